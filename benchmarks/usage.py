"""Usage by tool, model, key and run, on a ledger of 10,000 entries and on a long one; and what adding it up costs.

    python benchmarks/usage.py [--smoke] [--json FILE] [--rows N] [--data DIR]

Charges are spread over a year: 20 tools, 10 models, 50 agent keys, and a run for each 20 charges. Beside them
stands a ledger of whole yen that says nothing of what its charges were for.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import NamedTuple

import apsw
from reporting import Figure, add_data_option, data_folder, parser, publish, taking

from credit_wallet import CreditWallet
from credit_wallet.cli.bench import durability
from credit_wallet.domain.usage_periods import Every
from credit_wallet.stores.sqlite.store import SqliteStore

SHORT = 10_000
DAYS = 365
READS = 30
PLAIN_WALLETS = 100

ROWS_A_STATEMENT = 500_000

_WALLETS = """
WITH RECURSIVE n (id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM n WHERE id < :wallets)
INSERT INTO am_credit_wallet (wallet_id, owner_token_hash, time_zone, last_txn_id)
SELECT id, lower(hex(randomblob(32))), 'Asia/Kolkata', :charges FROM n
"""
_CHARGES = """
WITH RECURSIVE n (done) AS (VALUES (:first) UNION ALL SELECT done + 1 FROM n WHERE done + 1 < :after)
INSERT INTO am_credit_transaction_log
    (txn_id, wallet_id, amount_yen, txn_type, occurred_at, prev_txn_id, ledger_balance_yen, key_id, detail)
SELECT done + 1, done % :wallets + 1, -3, 'charge', strftime('%Y-%m-%dT%H:%M:%fZ', :start + done * :step, 'unixepoch'),
       done, 0, {said}
FROM n
"""
_NOTHING = "NULL, NULL"
_FACTS = """
done / 20 % 50 + 1, json_object('micros', -3300000, 'facts',
    json_object('model', 'model-' || (done / 3 % 10), 'tool', 'tool-' || (done * 17 % 20)))
"""
_RUNS = """
done / 20 % 50 + 1, json_object('micros', -3300000, 'facts',
    json_object('model', 'model-' || (done / 3 % 10), 'tool', 'tool-' || (done * 17 % 20)),
    'agent_facts', json_object('run', 'run-' || (done / 20)))
"""


class _Kind(NamedTuple):
    name: str
    said: str
    wallets: int


PLAIN = _Kind("whole yen, no keys", _NOTHING, PLAIN_WALLETS)
FACTS = _Kind("tool, model and key", _FACTS, 1)
RUNS = _Kind("tool, model, key and run", _RUNS, 1)


def main() -> None:
    options = parser("Usage by tool, model, key and run; and what adding it up costs.")
    options.add_argument("--rows", type=int, default=10_000_000, help="entries of the long ledger (default 10,000,000)")
    options.add_argument("--counting", type=Path, metavar="DB", help="only add up DB; prints seconds and memory in MB")
    add_data_option(options)
    given = options.parse_args()
    if given.counting is not None:
        print(*_counted(given.counting))
        return
    short, long = (1_000, 5_000) if given.smoke else (SHORT, given.rows)
    figures: list[Figure] = []
    with data_folder(given.data) as data:
        for kind in (PLAIN, FACTS, RUNS):
            rows = long // 10 if kind is RUNS else long  # so many rows take their time
            paths = [_ledger(data, kind, entries) for entries in (short, rows)]
            figures += _counting(kind, paths[1], rows)
            _counting(kind, paths[0], short)
            if kind is not PLAIN:
                figures += _reading(kind, paths[0], paths[1], 3 if given.smoke else READS)
        settings = f"{durability(paths[1])}; {short:,} and {long:,} entries"
    publish("SQLite, usage", settings, figures, given.json)


def _ledger(folder: Path, kind: _Kind, rows: int) -> Path:
    path = folder / f"usage-{kind.name.replace(' ', '-').replace(',', '')}-{rows}.db"
    if path.exists():
        return path
    now = datetime.now(UTC)
    SqliteStore(path, now).close()
    start = now - timedelta(days=DAYS)
    names = {"wallets": kind.wallets, "charges": rows, "start": start.timestamp()}
    names["step"] = timedelta(days=DAYS).total_seconds() / (rows + 1)
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_WALLETS, names)
        for first in range(0, rows, ROWS_A_STATEMENT):
            after = min(first + ROWS_A_STATEMENT, rows)
            connection.execute(_CHARGES.format(said=kind.said), {**names, "first": first, "after": after})
        connection.execute("PRAGMA journal_mode = WAL")
    return path


def _counting(kind: _Kind, path: Path, rows: int) -> list[Figure]:
    """What it takes to add up all entries: time, memory and bytes for each."""
    before = _pages(path)
    command = [sys.executable, __file__, "--counting", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, memory = map(float, done.split())
    grown = (_pages(path) - before) * 4096
    return [
        Figure(
            f"add up: {kind.name}",
            seconds / rows * 1e6,
            "µs an entry",
            detail=f"{rows:,} entries; peak RSS {memory:.0f} MB; {grown / rows:.2f} bytes an entry",
        )
    ]


def _pages(path: Path) -> int:
    with closing(apsw.Connection(str(path))) as connection:
        count: int = connection.execute("PRAGMA page_count").get
        return count


def _counted(path: Path) -> tuple[float, float]:
    """Seconds that adding up took, and the most memory that this process had resident, in MB."""
    seconds: list[float] = []
    with CreditWallet.open(f"sqlite:///{path}") as wallets, taking(seconds):
        while wallets.maintenance.count_usage():
            pass
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return seconds[0], int(line.split()[1]) / 1_000
    raise RuntimeError("the kernel does not tell VmHWM")


def _reading(kind: _Kind, short: Path, long: Path, reads: int) -> list[Figure]:
    figures = []
    dimensions = ("tool", "model", "key") if kind is FACTS else ("run",)
    with CreditWallet.open(f"sqlite:///{short}") as few, CreditWallet.open(f"sqlite:///{long}") as many:
        for every in ("hour", "day", "month"):
            for by in dimensions:
                of_few, of_many = _medians_ms((few, many), by, every, reads)
                figures.append(
                    Figure(
                        f"usage by {by}, every {every}",
                        of_many,
                        "ms",
                        "< 50 ms" if every == "hour" or kind is RUNS else "< 50 ms, <= 1.5 ×",
                        of_many / of_few,
                        f"the short ledger ({of_few:.2f} ms)",
                        f"{len(many.usage(1, by=by, every=every).rows):,} rows",
                    )
                )
    return figures


def _medians_ms(both: tuple[CreditWallet, CreditWallet], by: str, every: Every, reads: int) -> list[float]:
    """In alternating rounds, so that both meet the same weather."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(reads):
        for wallets, taken in zip(both, seconds, strict=True):
            with taking(taken):
                wallets.usage(1, by=by, every=every)
    return [median(taken) * 1_000 for taken in seconds]


if __name__ == "__main__":
    main()
