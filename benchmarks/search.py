"""Pages of wallets that are searched for, among a few and among a million, on SQLite and PostgreSQL.

    python benchmarks/search.py [--smoke] [--json FILE] [--db URL] [--wallets N]

A case is the first page of 50, and the one after it. CPU is that of the thread that asks, and of PostgreSQL's backends
when ``/proc`` shows it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, thread_time
from typing import Any, NamedTuple

import apsw
import psycopg
from postgres_charges import add_database_option, private_postgres
from reporting import Figure, parser, publish

from credit_wallet import CreditWallet
from credit_wallet.domain.search_terms import sorted_form, terms_of_names

WALLETS = 1_000_000
TARGET_SECONDS = 0.02
READS = 20
PAGE = 50

NAMES = ("Acme", "Globex", "Initech", "東京研究所", "株式会社アクメ", "Umbrella", "Hooli", "山田商事", "Stark", "Wayne")
PLANS = ("free", "pro", "team", "enterprise")
STARTED = datetime(2026, 1, 1, tzinfo=UTC)

Rows = Iterator[tuple[Any, ...]]
Load = Callable[[str, tuple[str, ...], Rows], None]


class Search(NamedTuple):
    """A case: what is asked."""

    name: str
    given: dict[str, Any]


SEARCHES = (
    Search("all, by id", {}),
    Search("all, newest first", {"sort": "-wallet_id"}),
    Search("all, by label", {"sort": "label"}),
    Search("all, by reference", {"sort": "-reference"}),
    Search("a reference", {"query": "cust_500"}),
    Search("a rare word", {"query": "n77"}),
    Search("a word of a tenth", {"query": "globex"}),
    Search("within a Japanese word", {"query": "研究"}),
    Search("two common words", {"query": "acme pro"}),
    Search("two common words, by label", {"query": "acme pro", "sort": "-label"}),
    Search("words that nobody has both", {"query": "acme globex"}),
    Search("an unknown word", {"query": "nobody"}),
    Search("low, by balance", {"status": "low", "sort": "-balance"}),
    Search("disabled and common", {"status": "disabled", "query": "globex"}),
)


class Made(NamedTuple):
    """A wallet that is made up."""

    wallet_id: int
    label: str
    reference: str
    metadata: str
    plan: str
    created_at: str


def main() -> None:
    options = parser("Pages of wallets that are searched for.")
    add_database_option(options)
    options.add_argument("--wallets", type=int, default=WALLETS, help="wallets of the long ledger (default 1,000,000)")
    given = options.parse_args()
    sizes = (500, 2_000) if given.smoke else (10_000, given.wallets)
    reads = 2 if given.smoke else READS
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="credit-wallet-bench-") as folder:
        for size in sizes:
            path = Path(folder) / f"search-{size}.db"
            CreditWallet.open(f"sqlite:///{path}").close()
            with closing(apsw.Connection(str(path))) as connection, connection:
                made_up(size, lambda table, names, rows: into_sqlite(connection, table, names, rows))
            figures += measured(f"sqlite:///{path}", f"SQLite, {size:,} wallets", reads)
    for size in sizes if given.db is None else sizes[1:]:  # a database of the caller's is filled once
        with private_postgres() if given.db is None else nullcontext(given.db) as url:
            CreditWallet.open(url).close()
            with psycopg.connect(url, autocommit=True) as server:
                made_up(size, lambda table, names, rows: into_postgres(server, table, names, rows))
                server.execute("VACUUM ANALYZE")
                figures += measured(url, f"PostgreSQL, {size:,} wallets", reads, backends_cpu(server))
    publish("Search", f"pages of {PAGE}, {sizes[0]:,} and {sizes[1]:,} wallets", figures, given.json)


def wallets_of(size: int) -> Iterator[Made]:
    """Made-up wallets: one in ten has each name, one in four each plan."""
    for wallet_id in range(1, size + 1):
        plan = PLANS[wallet_id * 7 // 10 % len(PLANS)]
        label = f"{NAMES[wallet_id % len(NAMES)]} n{wallet_id * 7919 % size}"
        at = (STARTED + timedelta(seconds=wallet_id)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        yield Made(wallet_id, label, f"cust_{wallet_id}", f'{{"plan":"{plan}"}}', plan, at)


def made_up(size: int, load: Load) -> None:
    """Fill an empty ledger with wallets that have names."""
    wallets = (
        ("am_credit_wallet", _WALLET, _wallet_row),
        ("am_credit_reference", ("reference", "wallet_id"), lambda each: [(each.reference, each.wallet_id)]),
        ("am_credit_profile", _PROFILE, _profile_row),
        ("am_credit_search_term", ("term", "wallet_id", "key_id"), _terms),
    )
    for table, names, rows_of in wallets:
        load(table, names, (row for each in wallets_of(size) for row in rows_of(each)))


_WALLET = (
    *("wallet_id", "owner_token_hash", "label", "created_at", "updated_at", "last_txn_id", "current_cycle"),
    *("balance_yen", "enabled", "recovery_due"),
)
_PROFILE = ("wallet_id", "key_id", "reference", "sorted_label", "created_at", "metadata")


def _wallet_row(each: Made) -> list[tuple[Any, ...]]:
    off, low = each.wallet_id % 20 == 0, each.wallet_id % 1_000 == 0
    names = (each.wallet_id, f"{each.wallet_id:064x}", each.label, each.created_at, each.created_at)
    return [(*names, 0, "2026-01", 0, int(not off), int(low))]


def _profile_row(each: Made) -> list[tuple[Any, ...]]:
    return [(each.wallet_id, 0, each.reference, sorted_form(each.label), each.created_at, each.metadata)]


def _terms(each: Made) -> Iterable[tuple[Any, ...]]:
    terms = terms_of_names(each.label, each.reference, "", {"plan": each.plan})
    return [(term, each.wallet_id, 0) for term in sorted(terms)]


def into_sqlite(connection: apsw.Connection, table: str, names: tuple[str, ...], rows: Rows) -> None:
    places = ", ".join("?" * len(names))
    connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", rows)


def into_postgres(connection: psycopg.Connection, table: str, names: tuple[str, ...], rows: Rows) -> None:
    with connection.cursor().copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def measured(url: str, where: str, reads: int, servers_cpu: Callable[[], float] = lambda: 0.0) -> list[Figure]:
    """A figure for each search: CPU of a page, first and second ones on average, after one that warms up."""
    figures = []
    with CreditWallet.open(url) as wallets:
        for search in SEARCHES:
            _pages(wallets, search)
            before, cpu, elapsed = servers_cpu(), thread_time(), []
            for _ in range(reads):
                elapsed += _pages(wallets, search)
            seconds = (thread_time() - cpu + servers_cpu() - before) / len(elapsed)
            detail = f"{median(elapsed) * 1_000:.1f} ms elapsed"
            case, target = f"{where}: {search.name}", f"< {TARGET_SECONDS * 1_000:.0f}"
            figures.append(Figure(case, seconds * 1_000, "ms of CPU a page", target, detail=detail))
    return figures


def _pages(wallets: CreditWallet, search: Search) -> list[float]:
    """How long the first page takes, and the second one, if there is one."""
    taken, cursor = [], None
    for _ in range(2):
        start = perf_counter()
        page = wallets.search(**search.given, cursor=cursor, limit=PAGE)
        taken.append(perf_counter() - start)
        cursor = page.next_cursor
        if cursor is None:
            break
    return taken


def backends_cpu(server: psycopg.Connection) -> Callable[[], float]:
    """Tells the CPU that the backends of a database have taken, in seconds; 0 where ``/proc`` does not show it."""

    def seconds() -> float:
        ticks = 0
        for (pid,) in server.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()").fetchall():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    return seconds


if __name__ == "__main__":
    main()
