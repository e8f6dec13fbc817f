"""The process that ``crash.py`` kills: it moves money from several threads, and journals what it sends and is told."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from random import Random
from typing import TypeAlias

import structlog
from amounts import yen
from msgspec import Struct, json

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import Capture, Charge, Hold, Refund, Release, Topup
from credit_wallet.domain.money import decimal_of
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import DatabaseError, DatabaseUnavailable, WalletError
from credit_wallet.runtime import deadlines
from credit_wallet.stores.sqlite import connection

Request: TypeAlias = Charge | Hold | Capture | Release | Refund | Topup

THREADS = 8

PAGES_A_CHECKPOINT = 50
"""Small, so that kills hit checkpoints too."""

PATIENCE_SECONDS = (0.1, 15.0)
"""A child waits so long for PostgreSQL to come back, one of the two: too short and long enough for most restarts."""

RETRY_SECONDS = 0.02
"""How long a caller waits before it tries again because the database was away."""

STUCK_SECONDS = 120
"""A child that works for longer without a rest is stuck; it shows where and ends."""


class Intent(Struct, frozen=True, tag=True):
    """What is about to be sent; several requests are one ``charge_many``."""

    number: str
    requests: list[Request]


class Answer(Struct, frozen=True, tag=True):
    """What came of it: an outcome or the code of a refusal per request, in order."""

    number: str
    outcomes: list[Outcome | str]


class Unavailable(Struct, frozen=True, tag=True):
    """The database was away, and it is sent again."""

    number: str


class Rest(Struct, frozen=True, tag=True):
    """Everything sent has been answered, and nothing more is sent until the parent says so."""


Line: TypeAlias = Intent | Answer | Unavailable | Rest


def spend(url: str, seed: str) -> None:
    """Move money from ``THREADS`` threads until killed, journalling on standard output.

    Each line on standard input has the threads rest, or go on.
    """
    connection.CHECKPOINT_PAGES = PAGES_A_CHECKPOINT
    deadlines.POSTGRES_PATIENCE_SECONDS = Random(seed).choice(PATIENCE_SECONDS)
    _keep_quiet()
    wallets = CreditWallet.open(url)
    gate = _Gate()
    for thread in range(THREADS):
        spender = _Spender(wallets, f"{seed}-{thread}", gate)
        threading.Thread(target=spender.run).start()
    faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
    while sys.stdin.readline():
        gate.shut()
        faulthandler.cancel_dump_traceback_later()
        _journal(Rest())
        sys.stdin.readline()
        faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
        gate.open()


def _keep_quiet() -> None:
    """Standard output is the journal's, and every kill would be logged."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable()


class _Gate:
    """Where the threads come by between two requests."""

    def __init__(self) -> None:
        self._is_open = threading.Event()
        self._is_open.set()
        self._all_rest = threading.Barrier(THREADS + 1)

    def pass_through(self) -> None:
        """Rest while it is shut."""
        if not self._is_open.is_set():
            self._all_rest.wait()
            self._is_open.wait()

    def shut(self) -> None:
        """Return when all threads rest."""
        self._is_open.clear()
        self._all_rest.wait()

    def open(self) -> None:
        self._is_open.set()


class _Spender:
    """One thread's requests, a random mix."""

    def __init__(self, wallets: CreditWallet, name: str, gate: _Gate) -> None:
        self._wallets = wallets
        self._name = name
        self._gate = gate
        self._random = Random(name)
        self._wallet_ids = [view.wallet_id for view in wallets.list()]
        self._numbers = count()
        self._refundable: list[int] = []

    def run(self) -> None:
        try:
            while True:
                self._gate.pass_through()
                action = self._random.choices(
                    [self._charge, self._charge_many, self._hold, self._refund, self._topup], [50, 10, 15, 15, 10]
                )
                action[0]()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)

    def _charge(self) -> None:
        wallet_id, key = self._wallet_id(), self._key()
        for outcome in self._send([Charge(wallet_id, key, self._micros(5), key)]):
            if isinstance(outcome, Outcome) and outcome.txn_id is not None:
                self._refundable.append(outcome.txn_id)

    def _charge_many(self) -> None:
        """On wallets that never run out, so that what is refused and what is half done cannot be mixed up."""
        wallet_ids = self._random.choices(self._wallet_ids[:-1], k=self._random.randint(2, 8))
        self._send([Charge(wallet_id, self._key(), self._micros(5)) for wallet_id in wallet_ids])

    def _hold(self) -> None:
        wallet_id = self._wallet_id()
        (held,) = self._send([Hold(wallet_id, self._key(), yen("10.5"), 86_400)])
        if isinstance(held, str) or held.hold_id is None:
            return
        closing_request = self._random.choice(
            [
                Capture(wallet_id, self._key(), held.hold_id, self._micros(10)),
                Release(wallet_id, self._key(), held.hold_id),
                None,
            ]
        )
        if closing_request is not None:
            self._send([closing_request])

    def _refund(self) -> None:
        if self._refundable:
            self._send([Refund(0, self._key(), self._refundable.pop(), None)])

    def _topup(self) -> None:
        self._send([Topup(self._wallet_id(), self._key(), self._micros(30), self._random.random() < 0.5)])

    def _micros(self, max_yen: int) -> int:
        """Half of the amounts are whole yen."""
        amount_yen = self._random.randint(1, max_yen)
        return self._random.choice([yen(amount_yen), self._random.randint(1, yen(amount_yen))])

    def _wallet_id(self) -> int:
        return self._random.choice(self._wallet_ids)

    def _key(self) -> str:
        return f"{self._name}-{next(self._numbers)}"

    def _send(self, requests: Sequence[Request]) -> list[Outcome | str]:
        number = requests[0].idempotency_key
        _journal(Intent(number, list(requests)))
        while True:
            try:
                outcomes = send(self._wallets, requests)
            except DatabaseUnavailable:
                _journal(Unavailable(number))
                time.sleep(RETRY_SECONDS)
            else:
                _journal(Answer(number, outcomes))
                return outcomes


def _journal(line: Line) -> None:
    """Hand a line to the parent. What ``write`` took survives the kill, and whole: it is shorter than PIPE_BUF."""
    os.write(1, json.encode(line) + b"\n")


def send(wallets: CreditWallet, requests: Sequence[Request]) -> list[Outcome | str]:
    """An outcome or the code of a refusal per request, in order. Raises ``DatabaseError``."""
    if len(requests) > 1:
        charges = [(each.wallet_id, _yen(each), each.idempotency_key) for each in requests if type(each) is Charge]
        outcomes = wallets.charge_many(charges)
        return [outcome.code if isinstance(outcome, WalletError) else outcome for outcome in outcomes]
    try:
        return [_send_one(wallets, requests[0])]
    except DatabaseError:
        raise
    except WalletError as refusal:
        return [refusal.code]


def _send_one(wallets: CreditWallet, request: Request) -> Outcome:
    key = request.idempotency_key
    match request:
        case Charge():
            return wallets.charge(request.wallet_id, _yen(request), idempotency_key=key, note=request.note)
        case Hold():
            return wallets.hold(request.wallet_id, _yen(request), idempotency_key=key, ttl_seconds=request.ttl_seconds)
        case Capture():
            return wallets.capture(request.hold_id, _yen(request), idempotency_key=key)
        case Release():
            return wallets.release(request.hold_id, idempotency_key=key)
        case Refund():
            return wallets.refund(request.txn_id, idempotency_key=key)
        case Topup():
            return wallets.topup(request.wallet_id, _yen(request), idempotency_key=key, promo=request.promo)


def _yen(request: Charge | Hold | Capture | Topup) -> Decimal:
    return decimal_of(request.amount_micros)
