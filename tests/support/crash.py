"""A wallet under load is killed with SIGKILL again and again; nothing acknowledged may be lost, nothing done twice.

A child process moves money from several threads and journals to its parent, before each request what it is about to
send and afterwards what was answered. The parent kills it after a random number of answers, opens the database, sends
every request of the journal again, and compares the ledger with the answers. One ledger lives through all the kills.

On PostgreSQL it is the child or the server that is killed, as chance has it. When the server was, the child must get
answers again by itself; then it rests for the comparison, and goes on.

``python tests/support/crash.py --kills 200 [--database postgres]`` prints the figures as JSON and exits 1 when one is
not as it should be.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from random import Random

from crash_child import Answer, Intent, Line, Request, Rest, Unavailable, send, spend
from msgspec import Struct, json, structs
from plain_sql import PlainSql
from postgres import Server, new_database

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Outcome

WALLETS = 4
MAX_ANSWERS = 400
"""A child, or its server, is killed after at most so many answers."""

MAX_ANSWERS_AFTER_RESTART = 100
"""So many at most, and one at least, a child must get before it rests."""


class Figures(Struct):
    """What the kills did. Everything from ``lost`` on must stay 0."""

    kills: int = 0
    server_kills: int = 0
    """How many of them killed the server instead of the child."""
    acknowledged: int = 0
    refused: int = 0
    unavailable: int = 0
    """How many times a request was told that the database is away."""
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
        names = self.__struct_fields__
        return {name: getattr(self, name) for name in names[names.index("lost") :] if getattr(self, name)}


_line_decoder: json.Decoder[Line] = json.Decoder(Line)


def kill_repeatedly(url: str, kills: int, seed: int = 0, server: Server | None = None) -> Figures:
    """Make a ledger in the empty database at ``url``, have it spent from, kill ``kills`` times, count what went wrong.

    Without a ``server`` it is always the child that is killed.
    """
    figures = Figures()
    random = Random(seed)
    _prepare(url)
    child: _Child | None = None
    try:
        for number in range(kills):
            known = _known(url)
            child = _sent_on(child) or _Child(url, f"{seed}-{number}")
            journal = child.read(random.randint(0, MAX_ANSWERS))
            if server is not None and random.random() < 0.5:
                server.kill()
                server.start()
                journal += child.read(random.randint(1, MAX_ANSWERS_AFTER_RESTART)) + child.rest()
                figures.server_kills += 1
            else:
                journal += child.kill()
                child = None
            figures.kills += 1
            _compare(url, journal, known, figures)
    finally:
        if child is not None:
            child.kill()
    return figures


def _prepare(url: str) -> None:
    """Wallets of which the last runs out now and then."""
    with CreditWallet.open(url) as wallets:
        for number in range(WALLETS):
            wallet_id = wallets.create().wallet_id
            wallets.topup(wallet_id, 20 if number == WALLETS - 1 else 100_000, idempotency_key="start")


class _Child:
    """The process that spends, as its parent sees it."""

    def __init__(self, url: str, seed: str) -> None:
        arguments = [sys.executable, __file__, "--spend", url, "--seed", seed]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, answers: int) -> list[Line]:
        """Its journal from here on up to so many answers, at least a line."""
        lines: list[Line] = []
        while not lines or answers > 0:
            lines.append(self._line())
            answers -= isinstance(lines[-1], Answer)
        return lines

    def rest(self) -> list[Line]:
        """Have it come to rest; its journal up to there."""
        self._tell("rest")
        lines = [self._line()]
        while not isinstance(lines[-1], Rest):
            lines.append(self._line())
        return lines

    def go_on(self) -> None:
        """Have it go on after a rest."""
        self._tell("go on")

    def kill(self) -> list[Line]:
        """Kill it; the end of its journal."""
        self._process.kill()
        assert self._process.stdout is not None
        lines = [_line_decoder.decode(line) for line in self._process.stdout]
        with self._process as process:
            status = process.wait()
        if status != -signal.SIGKILL:
            raise RuntimeError(f"the child ended by itself with exit status {status}; see its traceback")
        return lines

    def _tell(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n".encode())
        self._process.stdin.flush()

    def _line(self) -> Line:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the child has ended by itself; see its traceback")
        return _line_decoder.decode(line)


def _sent_on(child: _Child | None) -> _Child | None:
    if child is not None:
        child.go_on()
    return child


class _Ids(Struct, frozen=True):
    """Entries (by id, with wallet and exact amount) and holds that are in the ledger."""

    entries: dict[int, tuple[int, int]]
    holds: dict[int, tuple[int, int]]


def _known(url: str) -> _Ids:
    with PlainSql(url) as host:
        return _Ids(
            *(
                {row_id: (wallet_id, abs(micros)) for row_id, wallet_id, micros in host.run(statement)}
                for statement in (
                    "SELECT txn_id, wallet_id, amount_micros FROM v_credit_transaction_exact",
                    "SELECT hold_id, wallet_id, amount_yen * 1000000 + amount_fraction FROM am_credit_hold",
                )
            )
        )


def _compare(url: str, journal: Iterable[Line], known: _Ids, figures: Figures) -> None:
    """Add to ``figures`` what the ledger and a second round of all requests say about the ``journal``."""
    intents = {line.number: line.requests for line in journal if isinstance(line, Intent)}
    answers = {line.number: line.outcomes for line in journal if isinstance(line, Answer)}
    figures.unavailable += sum(isinstance(line, Unavailable) for line in journal)
    with CreditWallet.open(url) as wallets:
        figures.violations += len(wallets.verify())
        after_kill = _known(url)
        for number, outcomes in answers.items():
            figures.acknowledged += sum(isinstance(outcome, Outcome) for outcome in outcomes)
            figures.refused += sum(isinstance(outcome, str) for outcome in outcomes)
            figures.half_done += _is_half_done(outcomes)
            figures.lost += sum(not _is_in(outcome, after_kill) for outcome in outcomes)
            figures.answered_differently += _asked_again(wallets, intents[number], outcomes)
        for number in intents.keys() - answers.keys():
            answers[number] = _send_in_flight(wallets, intents[number], figures)
            figures.answered_differently += _asked_again(wallets, intents[number], answers[number])
        figures.violations += len(wallets.verify())
    in_the_end = _known(url)
    figures.duplicated += _unaccounted(known, in_the_end, chain.from_iterable(answers.values()))
    figures.entries = len(in_the_end.entries)


def _send_in_flight(wallets: CreditWallet, requests: list[Request], figures: Figures) -> list[Outcome | str]:
    """Carry out what nobody knows whether it was; a batch must have been carried out whole or not at all."""
    outcomes = send(wallets, requests)
    done = [outcome.replayed for outcome in outcomes if isinstance(outcome, Outcome)]
    figures.in_flight += len(outcomes)
    figures.in_flight_done += sum(done)
    figures.half_done += _is_half_done(outcomes)
    return [outcome if isinstance(outcome, str) else structs.replace(outcome, replayed=False) for outcome in outcomes]


def _is_half_done(outcomes: list[Outcome | str]) -> bool:
    """Whether only some of a batch had been carried out before it was sent again."""
    return len({outcome.replayed for outcome in outcomes if isinstance(outcome, Outcome)}) > 1


def _asked_again(wallets: CreditWallet, requests: list[Request], first: list[Outcome | str]) -> int:
    """How many requests are answered differently now. A refusal is not remembered, so it is not asked for again."""
    pairs = [
        (request, outcome) for request, outcome in zip(requests, first, strict=True) if isinstance(outcome, Outcome)
    ]
    again = send(wallets, [request for request, _ in pairs]) if pairs else []
    return sum(
        structs.asdict(outcome) | {"replayed": True} != (structs.asdict(now) if isinstance(now, Outcome) else now)
        for (_, outcome), now in zip(pairs, again, strict=True)
    )


def _is_in(outcome: Outcome | str, ids: _Ids) -> bool:
    """Whether the entry or hold that an outcome names is there, with its wallet and amount."""
    if isinstance(outcome, str):
        return True
    if outcome.txn_id is not None:
        return ids.entries.get(outcome.txn_id) == (outcome.wallet_id, outcome.amount_micros)
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
    parser.add_argument(
        "--database", choices=("sqlite", "postgres"), default="sqlite", help="where it is (default: %(default)s)"
    )
    parser.add_argument("--seed", default="0", help="repeats the same mix of requests and the same points of killing")
    parser.add_argument("--spend", metavar="URL", help="be the child that is killed")
    options = parser.parse_args(arguments)
    if options.spend is not None:
        spend(options.spend, options.seed)
        return 0
    if options.database == "postgres":
        with Server() as server:
            figures = kill_repeatedly(new_database(server.url()), options.kills, int(options.seed), server)
    else:
        with tempfile.TemporaryDirectory() as folder:
            figures = kill_repeatedly(f"sqlite:///{Path(folder) / 'wallet.db'}", options.kills, int(options.seed))
    sys.stdout.write(json.encode(figures).decode() + "\n")
    return 1 if figures.wrong() else 0


if __name__ == "__main__":
    sys.exit(main())
