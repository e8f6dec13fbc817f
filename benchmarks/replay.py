"""Replaying a ledger of 1,000,000 entries under budgets and prices, on SQLite and PostgreSQL, and the memory it takes.

    python benchmarks/replay.py [--smoke] [--json FILE] [--rows N] [--data DIR] [--db URL]

Charges of 200 wallets over a month, by 5 agent keys each, with an item, a tool and a run for each 50 charges. Without
``--db`` a private PostgreSQL is started in the temporary folder. A database given is filled, so give one that can be
dropped afterwards. Memory is that of a process which does nothing else.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import apsw
import psycopg
from postgres_charges import private_postgres
from reporting import Figure, add_data_option, data_folder, parser, publish, taking

from credit_wallet import CreditWallet
from credit_wallet.cli.bench import durability
from credit_wallet.domain.cycle import format_instant

WALLETS = 200
KEYS_EACH = 5
CHARGES_A_RUN = 50
TOOLS = 7
DAYS = 30
CREDIT_YEN = 10**9

ENTRY_COLUMNS = (
    "txn_id",
    "wallet_id",
    "amount_yen",
    "txn_type",
    "occurred_at",
    "prev_txn_id",
    "ledger_balance_yen",
    "key_id",
    "detail",
)
PUT_WALLET = "INSERT INTO am_credit_wallet (wallet_id, owner_token_hash, time_zone, last_txn_id) VALUES"
PUT_ENTRY = f"INSERT INTO am_credit_transaction_log ({', '.join(ENTRY_COLUMNS)}) VALUES"


class _Case(NamedTuple):
    name: str
    plan: str
    target: str = ""


ONE = """
[[budget]]
limit_yen = "400"
window = "day"
"""
FOUR = f"""{ONE}
[[budget]]
limit_calls = 3
window = "minute"
scope = {{ key_id = "*" }}
[[budget]]
limit_yen = "150"
window = "total"
scope = {{ run = "*" }}
[[budget]]
limit_yen = "300"
window = "rolling:24h"
scope = {{ tool = "tool-3" }}
mode = "shadow"
"""
PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.60"
"""
NOTHING_REFUSED = """
[[budget]]
limit_yen = 1000000
window = "day"
"""
CASES = (
    _Case("one budget that refuses nobody", NOTHING_REFUSED, "< 30 s"),
    _Case("one budget", ONE, "< 30 s"),
    _Case("four budgets", FOUR, "< 30 s"),
    _Case("other prices", PRICES, "< 30 s"),
    _Case("four budgets and other prices", FOUR + PRICES, "< 30 s"),
)


def main() -> None:
    options = parser("Replaying the ledger under budgets and prices.")
    options.add_argument("--rows", type=int, default=1_000_000, help="entries of the ledger (default 1,000,000)")
    options.add_argument("--db", metavar="URL", help="the PostgreSQL database to measure in")
    options.add_argument("--replaying", nargs=2, metavar=("URL", "CASE"), help="only replay URL; prints the result")
    add_data_option(options)
    given = options.parse_args()
    if given.replaying is not None:
        print(*_measured(given.replaying[0], CASES[int(given.replaying[1])]))
        return
    rows = 3_000 if given.smoke else given.rows
    with data_folder(given.data) as data:
        path = _sqlite_ledger(data, rows)
        figures = [_figure("SQLite", f"sqlite:///{path}", number, rows) for number in range(len(CASES))]
        with nullcontext(given.db) if given.db else private_postgres() as url:
            _fill_postgres(url, rows)
            figures += [_figure("PostgreSQL", url, number, rows) for number in range(len(CASES))]
        settings = f"{durability(path)}; {rows:,} entries"
    publish("Replay", settings, figures, given.json)


def _figure(where: str, url: str, number: int, rows: int) -> Figure:
    """Of a process of its own, which tells how much memory it takes."""
    command = [sys.executable, __file__, "--replaying", url, str(number)]
    done = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    seconds, cpu_seconds, before_mb, memory_mb = map(float, done[:4])
    cpu = f"{cpu_seconds:.1f} s of CPU, {cpu_seconds / rows * 1e6:.1f} µs an entry"
    detail = f"{int(done[4]):,} refused; {cpu}; peak RSS {memory_mb:.0f} MB, {before_mb:.0f} before"
    return Figure(f"{where}, {CASES[number].name}", seconds, "s", CASES[number].target, detail=detail)


def _measured(url: str, case: _Case) -> tuple[float, float, float, float, int]:
    """Seconds, those of the processor, the most memory that this process had resident before and at the end, in MB, and
    the refusals.
    """
    seconds: list[float] = []
    with CreditWallet.open(url) as wallets:
        before_mb, cpu_seconds = _peak_mb(), process_time()
        with taking(seconds):
            replayed = wallets.budgets.replay(case.plan)
        cpu_seconds = process_time() - cpu_seconds
    return seconds[0], cpu_seconds, before_mb, _peak_mb(), replayed.refusals


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1_000
    raise RuntimeError("the kernel does not tell VmHWM")


# The ledger


def _entries(rows: int) -> Iterator[tuple[Any, ...]]:
    """A top-up of each wallet, then charges that go round them, 49 of ¥3.30 and one of ¥33."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=DAYS)
    step = timedelta(days=DAYS) / rows
    balances = [CREDIT_YEN * 1_000_000] * WALLETS
    for number in range(rows):
        wallet, turn = number % WALLETS, number // WALLETS
        at, prev = format_instant(start + number * step), max(0, number + 1 - WALLETS)
        if not turn:
            yield number + 1, wallet + 1, CREDIT_YEN, "topup", at, 0, CREDIT_YEN, None, None
            continue
        micros = 33_000_000 if turn % 50 == 0 else 3_300_000
        before = balances[wallet]
        balances[wallet] = after = before - micros
        key = wallet * KEYS_EACH + turn // CHARGES_A_RUN % KEYS_EACH + 1
        yen, fraction = after // 1_000_000, after % 1_000_000
        detail = (
            f'{{"micros":{-micros},"fraction":{fraction},"item":"search","quantity":{micros // 33 * 10},'
            f'"price_version":1,"facts":{{"tool":"tool-{turn % TOOLS}"}},'
            f'"agent_facts":{{"run":"run-{wallet}-{turn // CHARGES_A_RUN}"}}}}'
        )
        yield number + 1, wallet + 1, yen - before // 1_000_000, "charge", at, prev, yen, key, detail


def _wallets(rows: int) -> list[tuple[Any, ...]]:
    lasts = [rows - (rows - number - 1) % WALLETS for number in range(WALLETS)]
    return [(n + 1, sha256(str(n).encode()).hexdigest(), "Asia/Tokyo", lasts[n]) for n in range(WALLETS)]


def _sqlite_ledger(folder: Path, rows: int) -> Path:
    path = folder / f"replay-{rows}.db"
    if not path.exists():
        CreditWallet.open(f"sqlite:///{path}").close()
        with closing(apsw.Connection(str(path))) as connection, connection:
            connection.executemany(f"{PUT_WALLET} (?, ?, ?, ?)", _wallets(rows))
            connection.executemany(f"{PUT_ENTRY} ({', '.join('?' * len(ENTRY_COLUMNS))})", _entries(rows))
    return path


def _fill_postgres(url: str, rows: int) -> None:
    CreditWallet.open(url).close()
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(f"{PUT_WALLET} (%s, %s, %s, %s)", _wallets(rows))
        with cursor.copy(f"COPY am_credit_transaction_log ({', '.join(ENTRY_COLUMNS)}) FROM STDIN") as copy:
            for entry in _entries(rows):
                copy.write_row(entry)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")


if __name__ == "__main__":
    main()
