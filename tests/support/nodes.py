"""Four nodes, each a process of its own, on one PostgreSQL database."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import psycopg

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import WalletError

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier


NODES = 4

LIMIT_YEN = 300

PATIENCE_SECONDS = 60

Host: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

Answer: TypeAlias = Outcome | str


class Failure(NamedTuple):
    """An exception that nobody reckoned with."""

    report: str


class Inside:
    """What a node's process has: its wallets, the place where all nodes meet, and the line to the test."""

    wallets: CreditWallet

    def __init__(self, line: Connection, start: Barrier) -> None:
        self.line = line
        self._start = start

    def meet(self) -> None:
        """Wait until all nodes have come here."""
        self._start.wait(PATIENCE_SECONDS)


def live(line: Connection, start: Barrier) -> None:
    """Do what the test says, one thing after the other."""
    inside = Inside(line, start)
    while True:
        work, arguments = line.recv()
        try:
            line.send(work(inside, *arguments))
        except Exception:
            line.send(Failure(traceback.format_exc()))


class Node:
    """A process that works on a ledger."""

    def __init__(self, start: Barrier) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, end = context.Pipe()
        self._process = context.Process(target=live, args=(end, start), daemon=True)
        self._process.start()
        end.close()

    def begin(self, work: Callable[..., object], *arguments: object) -> None:
        """Have ``work(inside, …)`` done."""
        self._line.send((work, arguments))

    def answer(self) -> Any:
        """What the work has come to."""
        if not self._line.poll(PATIENCE_SECONDS):
            raise TimeoutError("the node does not answer")
        answer = self._line.recv()
        if type(answer) is Failure:
            raise RuntimeError(answer.report)
        return answer

    def call(self, work: Callable[..., object], *arguments: object) -> Any:
        self.begin(work, *arguments)
        return self.answer()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.join()
        self._line.close()


def on_all(nodes: Sequence[Node], work: Callable[..., object], *arguments: object) -> list[Any]:
    """Have all nodes do the same at once."""
    for node in nodes:
        node.begin(work, *arguments)
    return [node.answer() for node in nodes]


def number(host: Host, statement: str, *parameters: object) -> int:
    rows = host.execute(statement, parameters or None).fetchall()
    return int(rows[0][0])


def until(happens: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def open_ledger(inside: Inside, url: str) -> None:
    inside.wallets = CreditWallet.open(url)


def close_ledger(inside: Inside) -> None:
    inside.wallets.close()


def answer(act: Callable[[], Outcome]) -> Answer:
    try:
        return act()
    except WalletError as refusal:
        return refusal.code


def charge(inside: Inside, wallet_id: int, key: str, key_id: int | None = None) -> Answer:
    return answer(lambda: inside.wallets.charge(wallet_id, 1, idempotency_key=key, key_id=key_id))


def last_yen_of_a_wallet(wallets: CreditWallet) -> tuple[int, int | None]:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, LIMIT_YEN, idempotency_key="start")
    return wallet_id, None
