"""What budgets cost charges: none, one and four that match, a hundred thousand on one wallet's runs, on both databases.

    python benchmarks/budgets.py [--base CHECKOUT] [--db URL] [--rounds N] [--smoke] [--json FILE]

Lists of 1,024 charges by an agent key with a fact, on one wallet and on 1,000, in ledgers that take turns. Ratios of
times are medians over pairs of neighbouring turns. With ``--base``, the path of another checkout such as the last
release, charges of a wallet without budgets take turns with its charges, as in ``whole_yen.py``.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from itertools import count, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import apsw
import psycopg
from checkouts import HERE, Child, add_base_option
from postgres_charges import add_database_option, private_postgres
from reporting import Figure, add_rounds_option, in_turns, parser, publish

from credit_wallet import CreditWallet
from credit_wallet.cli.workloads import require_success
from credit_wallet.database_urls import is_postgres
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.usage import Usage

BATCH = 1_024
LISTS = 4
ROUNDS = 10
SIZES = (1, 1_000)
MANY = 100_000
FEW = 10
CREDIT_YEN = 10**9
LIMIT_YEN = 10**9

_PUT = """
INSERT INTO am_credit_budget (wallet_id, time_window, scope, anchor, unit, limit_whole, mode, shares, time_zone,
                              week_start, created_at, after_txn_id)
"""
_SETTINGS = f"'yen', {LIMIT_YEN}, 'cap', '[80,100]', 'UTC', 'monday', '2026-01-01T00:00:00.000Z', 0"


class Ledger:
    """Wallets, each with an agent key."""

    def __init__(self, wallets: CreditWallet, size: int) -> None:
        self._wallets = wallets
        self.ids = [wallets.create(time_zone="UTC").wallet_id for _ in range(size)]
        self._keys = {wallet_id: wallets.keys.create(wallet_id, group="acme/search").key_id for wallet_id in self.ids}
        self._runs = tuple(f"r{number}" for number in range(FEW))
        self._charges = self._endless()
        for wallet_id in self.ids:
            wallets.topup(wallet_id, CREDIT_YEN, idempotency_key="start")

    def turn(self, lists: int) -> float:
        """Seconds a charge of so many lists; their making is not measured."""
        made = [list(islice(self._charges, BATCH)) for _ in range(lists)]
        started = perf_counter()
        outcomes = [self._wallets.charge_many(each) for each in made]
        seconds = perf_counter() - started
        for each in outcomes:
            require_success(each)
        return seconds / (lists * BATCH)

    def charge_runs(self, runs: int) -> None:
        """From now on charges are for so many runs, by turns."""
        self._runs = tuple(f"r{number}" for number in range(runs))

    def _endless(self) -> Iterator[Charge]:
        for number in count():
            wallet_id = self.ids[number * 7_919 % len(self.ids)]
            run = self._runs[number * 6_271 % len(self._runs)]
            usage = Usage(None, 0, (("run", run),), ())
            yield Charge(
                wallet_id, f"charge-{number}", amount_micros=3 * MICROS, key_id=self._keys[wallet_id], usage=usage
            )


def main() -> None:
    options = _options(parser("What budgets cost charges.")).parse_args()
    rounds, lists, sizes, many = (2, 1, (1, 20), 2_000) if options.smoke else (options.rounds, LISTS, SIZES, MANY)
    figures: list[Figure] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="credit-wallet-bench-")))
        server = options.db or stack.enter_context(private_postgres())
        for kind, urls in (("SQLite", _files(folder)), ("PostgreSQL", _databases(server))):
            for size in sizes:
                figures += _matching(kind, urls, size, rounds, lists)
            figures += _many(kind, urls, many, rounds, lists)
    if options.base is not None:
        figures += _beside(options.base, rounds, lists)
    settings = f"lists of {BATCH:,}; {rounds} rounds of {lists} lists"
    publish("Budgets", settings, figures, options.json)


def _options(options: ArgumentParser) -> ArgumentParser:
    add_database_option(options)
    add_base_option(options)
    add_rounds_option(options, ROUNDS)
    return options


def _files(folder: Path) -> Iterator[str]:
    return (f"sqlite:///{folder / f'{number}.db'}" for number in count())


def _databases(server: str) -> Iterator[str]:
    """New databases on the server, which must be one to spare."""
    with psycopg.connect(server, autocommit=True) as connection:
        for number in count():
            name = f"budgets_{number}"
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
            connection.execute(f"CREATE DATABASE {name}")
            parts = psycopg.conninfo.conninfo_to_dict(server)
            yield _url({**parts, "dbname": name})


def _url(parts: dict[str, object]) -> str:
    """A URL of a server on a socket or in the network."""
    named = "&".join(f"{name}={value}" for name, value in parts.items() if name != "dbname")
    return f"postgresql:///{parts['dbname']}?{named}"


def _matching(kind: str, urls: Iterator[str], size: int, rounds: int, lists: int) -> list[Figure]:
    """Ledgers with none, one and four budgets that every charge matches."""
    payers = "one wallet" if size == 1 else f"{size:,} wallets"
    with ExitStack() as stack:
        ledgers = {}
        for matching in (1, 4, 0):
            url = next(urls)
            ledgers[matching] = Ledger(stack.enter_context(CreditWallet.open(url)), size)
            if matching:
                _run(url, *_budgets_of_all(matching))
        seconds = in_turns({name: partial(ledger.turn, lists) for name, ledger in ledgers.items()}, rounds)
    return [
        Figure(f"{kind}, {payers}, no budget", 1 / median(seconds[0]), "charges/s"),
        _compared(f"{kind}, {payers}, one budget matches", seconds[1], seconds[0], "", "none"),
        _compared(f"{kind}, {payers}, four budgets match", seconds[4], seconds[1], "<= 1.5", "one"),
    ]


def _many(kind: str, urls: Iterator[str], many: int, rounds: int, lists: int) -> list[Figure]:
    """One wallet with a budget for each of many runs, and one with few of them; charges for the few runs alike."""
    with ExitStack() as stack:
        ledgers = {}
        for budgets in (FEW, many):
            url = next(urls)
            ledgers[budgets] = Ledger(stack.enter_context(CreditWallet.open(url)), 1)
            _run(url, *_budgets_of_runs(budgets))
        seconds = in_turns({name: partial(ledger.turn, lists) for name, ledger in ledgers.items()}, rounds)
        ledgers[many].charge_runs(many)
        ledgers[FEW].charge_runs(FEW)
        spread = in_turns({name: partial(ledger.turn, lists) for name, ledger in ledgers.items()}, rounds)
    return [
        Figure(f"{kind}, {FEW} budgets, one for each run", 1 / median(seconds[FEW]), "charges/s"),
        _compared(f"{kind}, {many:,} budgets, one for each run", seconds[many], seconds[FEW], "<= 1.1", f"{FEW}"),
        _compared(f"{kind}, the same, charges for all the runs", spread[many], spread[FEW], "", f"{FEW}"),
    ]


def _budgets_of_all(matching: int) -> Iterator[str]:
    """The first so many of four budgets for each wallet: of each run, of its key, of a group, of the whole wallet."""
    scopes = {
        "run": """'[["run","*"]]', 'run'""",
        ".key_id": """'[[".key_id","' || key_id || '"]]', '.key_id=' || key_id""",
        ".group": """'[[".group","acme"]]', '.group=acme'""",
        "": "'[]', ''",
    }
    kinds = sorted(list(scopes)[:matching])
    for kind in kinds:
        yield _PUT + f"SELECT wallet_id, 'day', {scopes[kind]}, {_SETTINGS} FROM am_credit_key"
    counted = ",".join(f'"{kind}":1' for kind in kinds)
    yield f"UPDATE am_credit_wallet SET budget_kinds = '{{{counted}}}'"


def _budgets_of_runs(budgets: int) -> Iterator[str]:
    """One for each of the runs ``r0``, ``r1``, …"""
    yield (
        f"WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {budgets}) {_PUT}"
        f"""SELECT wallet_id, 'total', '[["run","r' || i || '"]]', 'run=r' || i, {_SETTINGS} FROM n, am_credit_wallet"""
    )
    yield f"""UPDATE am_credit_wallet SET budget_kinds = '{{"run":{budgets}}}'"""


def _run(url: str, *statements: str) -> None:
    """Budgets as ``wallets.budgets.create`` makes them, but many at once, and not in the log of changes."""
    with closing(psycopg.connect(url, autocommit=True) if is_postgres(url) else apsw.Connection(url[10:])) as raw:
        for statement in (*statements, "ANALYZE am_credit_budget"):
            raw.execute(statement)


def _beside(base: Path, rounds: int, lists: int) -> list[Figure]:
    """Charges of wallets without budgets, beside another checkout."""
    figures = []
    for size in SIZES:
        case = f"whole:{size}:{BATCH}"
        with Child(HERE, case, lists) as mine, Child(base, case, lists) as other:
            seconds = in_turns({1: partial(_turn, mine), 0: partial(_turn, other)}, rounds)
        payers = "one wallet" if size == 1 else f"{size:,} wallets"
        ratio = median(there / here for here, there in zip(seconds[1], seconds[0], strict=True))
        label = f"SQLite, {payers}, no budget"
        figures.append(Figure(label, 1 / median(seconds[1]), "charges/s", ">= 0.97", ratio, "base, times as fast"))
    return figures


def _turn(child: Child) -> float:
    answer = child.ask("charge")
    return answer["seconds"] / answer["charges"]


def _compared(case: str, mine: list[float], other: list[float], target: str, name: str) -> Figure:
    ratio = median(here / there for here, there in zip(mine, other, strict=True))
    return Figure(case, 1 / median(mine), "charges/s", target, ratio, f"the time of {name}")


if __name__ == "__main__":
    main()
