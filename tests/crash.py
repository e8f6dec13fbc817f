"""A wallet under load is killed with SIGKILL again and again; nothing acknowledged may be lost, nothing done twice.

A child process moves money from several threads and journals to its parent, before each request what it is about to
send and afterwards what was answered. The parent kills it after a random number of answers, opens the database, sends
every request of the journal again, and compares the ledger with the answers. One ledger lives through all the kills.

``python tests/crash.py --kills 200`` prints the figures as JSON and exits 1 when one is not as it should be.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, count
from pathlib import Path
from random import Random
from typing import TypeAlias

import apsw
from msgspec import Struct, json, structs

from credit_wallet import CreditWallet
from credit_wallet.commands import Capture, Charge, Hold, Refund, Release, Topup
from credit_wallet.errors import WalletError
from credit_wallet.outcomes import Outcome
from credit_wallet.stores import sqlite_connection

Request: TypeAlias = Charge | Hold | Capture | Release | Refund | Topup

WALLETS = 4
THREADS = 8
MOST_ANSWERS = 400
"""A child is killed after at most so many answers."""

PAGES_A_CHECKPOINT = 50
"""Small, so that kills hit checkpoints too."""


class Intent(Struct, frozen=True, tag=True):
    """What is about to be sent; several requests are one ``charge_many``."""

    number: str
    requests: list[Request]


class Answer(Struct, frozen=True, tag=True):
    """What came of it: an outcome or the code of a refusal per request, in order."""

    number: str
    outcomes: list[Outcome | str]


class Figures(Struct):
    """What the kills did. Everything from ``lost`` on must stay 0."""

    kills: int = 0
    acknowledged: int = 0
    refused: int = 0
    in_flight: int = 0
    in_flight_done: int = 0
    """Requests in flight that had been carried out before the kill."""
    entries: int = 0
    lost: int = 0
    duplicated: int = 0
    answered_differently: int = 0
    half_done: int = 0
    """Requests that were sent as one batch, of which only some were carried out."""
    violations: int = 0

    def wrong(self) -> dict[str, int]:
        """The figures that should be 0 and are not."""
        good = ("kills", "acknowledged", "refused", "in_flight", "in_flight_done", "entries")
        return {name: value for name, value in structs.asdict(self).items() if name not in good and value}


_line_decoder = json.Decoder(Intent | Answer)


# The child


def spend(path: Path, seed: str) -> None:
    """Move money from ``THREADS`` threads until killed, journalling on standard output."""
    sqlite_connection.CHECKPOINT_PAGES = PAGES_A_CHECKPOINT
    wallets = CreditWallet.open(f"sqlite:///{path}")
    for thread in range(THREADS):
        spender = _Spender(wallets, f"{seed}-{thread}")
        threading.Thread(target=spender.run).start()


class _Spender:
    """One thread's requests, a random mix."""

    def __init__(self, wallets: CreditWallet, name: str) -> None:
        self._wallets = wallets
        self._name = name
        self._random = Random(name)
        self._wallet_ids = [view.wallet_id for view in wallets.wallets()]
        self._numbers = count()
        self._refundable: list[int] = []

    def run(self) -> None:
        try:
            while True:
                action = self._random.choices(
                    [self._charge, self._charge_many, self._hold, self._refund, self._topup], [50, 10, 15, 15, 10]
                )
                action[0]()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)

    def _charge(self) -> None:
        wallet_id, key = self._wallet_id(), self._key()
        for outcome in self._send([Charge(wallet_id, key, self._random.randint(1, 5), key)]):
            if isinstance(outcome, Outcome) and outcome.txn_id is not None:
                self._refundable.append(outcome.txn_id)

    def _charge_many(self) -> None:
        """On wallets that never run out, so that what is refused and what is half done cannot be mixed up."""
        wallet_ids = self._random.choices(self._wallet_ids[:-1], k=self._random.randint(2, 8))
        self._send([Charge(wallet_id, self._key(), self._random.randint(1, 5)) for wallet_id in wallet_ids])

    def _hold(self) -> None:
        wallet_id = self._wallet_id()
        (held,) = self._send([Hold(wallet_id, self._key(), 10, 86_400)])
        if isinstance(held, str) or held.hold_id is None:
            return
        closing_request = self._random.choice(
            [
                Capture(wallet_id, self._key(), held.hold_id, self._random.randint(1, 10)),
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
        self._send([Topup(self._wallet_id(), self._key(), self._random.randint(1, 30), self._random.random() < 0.5)])

    def _wallet_id(self) -> int:
        return self._random.choice(self._wallet_ids)

    def _key(self) -> str:
        return f"{self._name}-{next(self._numbers)}"

    def _send(self, requests: Sequence[Request]) -> list[Outcome | str]:
        number = requests[0].idempotency_key
        _journal(Intent(number, list(requests)))
        outcomes = send(self._wallets, requests)
        _journal(Answer(number, outcomes))
        return outcomes


def _journal(line: Intent | Answer) -> None:
    """Hand a line to the parent. What ``write`` took survives the kill, and whole: it is shorter than PIPE_BUF."""
    os.write(1, json.encode(line) + b"\n")


def send(wallets: CreditWallet, requests: Sequence[Request]) -> list[Outcome | str]:
    """An outcome or the code of a refusal per request, in order."""
    if len(requests) > 1:
        charges = [(each.wallet_id, each.amount_yen, each.idempotency_key) for each in requests if type(each) is Charge]
        outcomes = wallets.charge_many(charges)
        return [outcome.code if isinstance(outcome, WalletError) else outcome for outcome in outcomes]
    try:
        return [_send_one(wallets, requests[0])]
    except WalletError as refusal:
        return [refusal.code]


def _send_one(wallets: CreditWallet, request: Request) -> Outcome:
    key = request.idempotency_key
    match request:
        case Charge():
            return wallets.charge(request.wallet_id, request.amount_yen, idempotency_key=key, note=request.note)
        case Hold():
            return wallets.hold(
                request.wallet_id, request.amount_yen, idempotency_key=key, ttl_seconds=request.ttl_seconds
            )
        case Capture():
            return wallets.capture(request.hold_id, request.amount_yen, idempotency_key=key)
        case Release():
            return wallets.release(request.hold_id, idempotency_key=key)
        case Refund():
            return wallets.refund(request.txn_id, request.amount_yen, idempotency_key=key)
        case Topup():
            return wallets.topup(request.wallet_id, request.amount_yen, idempotency_key=key, promo=request.promo)


# The parent


def kill_repeatedly(path: Path, kills: int, seed: int = 0) -> Figures:
    """Make a ledger at ``path``, kill a child that spends from it ``kills`` times, and count what went wrong."""
    figures = Figures()
    random = Random(seed)
    _prepare(path)
    for _ in range(kills):
        known = _known(path)
        journal = _kill_one(path, f"{seed}-{figures.kills}", random.randint(0, MOST_ANSWERS))
        figures.kills += 1
        _compare(path, journal, known, figures)
    return figures


def _prepare(path: Path) -> None:
    """Wallets of which the last runs out now and then."""
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        for number in range(WALLETS):
            wallet_id = wallets.create().wallet_id
            wallets.topup(wallet_id, 20 if number == WALLETS - 1 else 100_000, idempotency_key="start")


def _kill_one(path: Path, seed: str, answers: int) -> list[Intent | Answer]:
    """The journal of a child that was killed after ``answers`` answers."""
    journal = []
    child = subprocess.Popen([sys.executable, __file__, "--spend", str(path), "--seed", seed], stdout=subprocess.PIPE)
    with child:
        for line in _whole_lines(child):
            journal.append(line)
            answers -= isinstance(line, Answer)
            if answers <= 0:
                child.send_signal(signal.SIGKILL)
    if child.returncode != -signal.SIGKILL:
        raise RuntimeError(f"the child ended by itself with exit status {child.returncode}; see its traceback")
    return journal


def _whole_lines(child: subprocess.Popen[bytes]) -> Iterator[Intent | Answer]:
    assert child.stdout is not None
    for line in child.stdout:
        yield _line_decoder.decode(line)


class _Ids(Struct, frozen=True):
    """Entries (by id, with wallet and amount) and holds that are in the ledger."""

    entries: dict[int, tuple[int, int]]
    holds: dict[int, tuple[int, int]]


def _known(path: Path) -> _Ids:
    with closing(apsw.Connection(str(path))) as connection:
        return _Ids(
            *(
                {
                    row_id: (wallet_id, abs(amount_yen))
                    for row_id, wallet_id, amount_yen in connection.execute(statement)
                }
                for statement in (
                    "SELECT txn_id, wallet_id, amount_yen FROM am_credit_transaction_log",
                    "SELECT hold_id, wallet_id, amount_yen FROM am_credit_hold",
                )
            )
        )


def _compare(path: Path, journal: Iterable[Intent | Answer], known: _Ids, figures: Figures) -> None:
    """Add to ``figures`` what the ledger and a second round of all requests say about the ``journal``."""
    intents = {line.number: line.requests for line in journal if isinstance(line, Intent)}
    answers = {line.number: line.outcomes for line in journal if isinstance(line, Answer)}
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        figures.violations += len(wallets.verify())
        after_kill = _known(path)
        for number, outcomes in answers.items():
            figures.acknowledged += sum(isinstance(outcome, Outcome) for outcome in outcomes)
            figures.refused += sum(isinstance(outcome, str) for outcome in outcomes)
            figures.lost += sum(not _is_in(outcome, after_kill) for outcome in outcomes)
            figures.answered_differently += _asked_again(wallets, intents[number], outcomes)
        for number in intents.keys() - answers.keys():
            answers[number] = _send_in_flight(wallets, intents[number], figures)
            figures.answered_differently += _asked_again(wallets, intents[number], answers[number])
        figures.violations += len(wallets.verify())
    in_the_end = _known(path)
    figures.duplicated += _unaccounted(known, in_the_end, chain.from_iterable(answers.values()))
    figures.entries = len(in_the_end.entries)


def _send_in_flight(wallets: CreditWallet, requests: list[Request], figures: Figures) -> list[Outcome | str]:
    """Carry out what nobody knows whether it was; a batch must have been carried out whole or not at all."""
    outcomes = send(wallets, requests)
    done = [outcome.replayed for outcome in outcomes if isinstance(outcome, Outcome)]
    figures.in_flight += len(outcomes)
    figures.in_flight_done += sum(done)
    figures.half_done += any(done) and not all(done)
    return [outcome if isinstance(outcome, str) else structs.replace(outcome, replayed=False) for outcome in outcomes]


def _asked_again(wallets: CreditWallet, requests: list[Request], first: list[Outcome | str]) -> int:
    """How many requests are answered differently now. A refusal is not remembered, so it is not asked for again."""
    pairs = [
        (request, outcome) for request, outcome in zip(requests, first, strict=True) if isinstance(outcome, Outcome)
    ]
    again = send(wallets, [request for request, _ in pairs]) if pairs else []
    return sum(structs.replace(outcome, replayed=True) != now for (_, outcome), now in zip(pairs, again, strict=True))


def _is_in(outcome: Outcome | str, ids: _Ids) -> bool:
    """Whether the entry or hold that an outcome names is there, with its wallet and amount."""
    if isinstance(outcome, str):
        return True
    if outcome.txn_id is not None:
        return ids.entries.get(outcome.txn_id) == (outcome.wallet_id, outcome.amount_yen)
    return outcome.hold_id in ids.holds


def _unaccounted(before: _Ids, after: _Ids, outcomes: Iterable[Outcome | str]) -> int:
    """Entries and holds that no outcome accounts for, or that two outcomes claim."""
    named = [outcome for outcome in outcomes if isinstance(outcome, Outcome)]
    entries = [outcome.txn_id for outcome in named if outcome.txn_id is not None]
    holds = {outcome.hold_id for outcome in named if outcome.hold_id is not None}
    claimed_twice = len(entries) - len(set(entries))
    new_entries = after.entries.keys() - before.entries.keys()
    new_holds = after.holds.keys() - before.holds.keys()
    return claimed_twice + len(new_entries - set(entries)) + len(new_holds - holds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill, and print the figures."""
    parser = argparse.ArgumentParser(
        description="Kill a wallet under load again and again and prove that nothing is lost."
    )
    parser.add_argument("--kills", type=int, default=200, help="how many times (default: %(default)s)")
    parser.add_argument("--seed", default="0", help="repeats the same mix of requests and the same points of killing")
    parser.add_argument("--spend", type=Path, metavar="DATABASE", help="be the child that is killed")
    options = parser.parse_args(arguments)
    if options.spend is not None:
        spend(options.spend, options.seed)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        figures = kill_repeatedly(Path(folder) / "wallet.db", options.kills, int(options.seed))
    sys.stdout.write(json.encode(figures).decode() + "\n")
    return 1 if figures.wrong() else 0


if __name__ == "__main__":
    sys.exit(main())
