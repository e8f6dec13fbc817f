"""The hourly alert job: fires the 50, 80 and 100 % thresholds that charges have reached.

The rail fires alerts at the moment of crossing; the job catches what plain SQL wrote. It works on a database with
migration 281 alone, where it sums the ledger, and on the whole schema, where it reads each wallet's row and its cost
does not grow with the ledger. It imports only the standard library, and ``apsw`` if installed, so that a host can run
it from a plain checkout.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from operator import attrgetter
from os.path import samestat
from pathlib import Path
from typing import Any, NamedTuple

from credit_wallet.domain.cycle import cycle_at, cycle_bounds, format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.shares import ALERT_THRESHOLDS_PCT, MAX_THRESHOLD_PCT, spent_pct, thresholds_pct
from credit_wallet.rules.events import Event, threshold_reached
from credit_wallet.stores import OLDEST_SAFE_SQLITE
from credit_wallet.stores.outbox import event_row, put_event
from credit_wallet.stores.sql import statements

BUSY_TIMEOUT_MS = 30_000

_SQL = statements("alerts.sql")
_LATER_COLUMNS = 4
_THRESHOLDS = dict(zip(("first_pct", "second_pct", "third_pct"), ALERT_THRESHOLDS_PCT, strict=True))

_log = logging.getLogger("process_credit_wallet_alerts")


@dataclass(frozen=True)
class FiredAlert:
    """A threshold that fired, with the spending and the budget at that moment."""

    wallet_id: int
    threshold_pct: int
    spent_yen: int
    budget_yen: int


class _Spending(NamedTuple):
    """A wallet that may have reached a threshold in a cycle; ``own_thresholds`` is JSON.

    What plain SQL wrote is whole yen; ``spent_fraction`` are the micros beyond them that the wallet has counted.
    ``known_pct`` is the share of the budget, as it is now, that was spent when the last alert fired.
    """

    billing_cycle: str
    wallet_id: int
    spent_yen: int
    spent_fraction: int
    budget_yen: int
    own_thresholds: str
    alerted_pct: int
    known_pct: int = MAX_THRESHOLD_PCT

    @property
    def spent_micros(self) -> int:
        """The exact spending."""
        return self.spent_yen * MICROS + self.spent_fraction


@dataclass
class AlertReport:
    """The report of a run: what it looked at and fired, or would have fired; the seed contract fixes its JSON form."""

    dry_run: bool
    billing_cycle: str
    wallets_scanned: int = 0
    alerts_fired: list[FiredAlert] = field(default_factory=list)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({"dim": "U", "wave": 47, **asdict(self)}, ensure_ascii=False)


def run_alert_job(
    connection: Any, now: datetime, *, cycle: str | None = None, dry_run: bool = False, whole_schema: bool = True
) -> AlertReport:
    """Fire what is due in ``cycle`` (default: each wallet's current one), in the transaction that ``connection`` is in.

    A threshold that has fired for an earlier budget only emits an event, which is not in the report.

    The report's cycle is the UTC one. ``dry_run`` writes nothing. ``whole_schema`` means that the database has more
    than migration 281. Wallets are locked in order of their ids, as everywhere.
    """
    report = AlertReport(dry_run, cycle or cycle_at(now))
    report.wallets_scanned = _value(connection, "wallets_scanned")
    reached = _reached(connection, now, cycle) if whole_schema else _seed_reached(connection, report.billing_cycle)
    for spending in sorted(reached, key=attrgetter("wallet_id")):
        for threshold_pct in _reached_thresholds(spending):
            alert = FiredAlert(spending.wallet_id, threshold_pct, spending.spent_yen, spending.budget_yen)
            if _fire(connection, alert, spending, format_instant(now), whole_schema, dry_run):
                report.alerts_fired.append(alert)
            elif whole_schema and not dry_run and threshold_pct > spending.known_pct:
                _emit_for_another_budget(connection, alert, spending, format_instant(now))
    return report


def _reached_thresholds(spending: _Spending) -> Iterator[int]:
    """The thresholds that may have to fire, ascending. A wallet's own ones below one that has fired are skipped."""
    share_pct = spent_pct(spending.spent_micros, spending.budget_yen * MICROS)
    known_pct = min(spending.alerted_pct, spending.known_pct)
    for threshold_pct in thresholds_pct(json.loads(spending.own_thresholds)):
        if threshold_pct > share_pct:
            break
        if threshold_pct in ALERT_THRESHOLDS_PCT or threshold_pct > known_pct:
            yield threshold_pct


def _seed_reached(connection: Any, cycle: str) -> Iterator[_Spending]:
    start, end = cycle_bounds(cycle)
    wanted = {"cycle_start": start, "cycle_end": end, "first_pct": ALERT_THRESHOLDS_PCT[0]}
    rows = connection.execute(_SQL["seed_reached"], wanted).fetchall()
    return (_Spending(cycle, *row) for row in rows)


def _reached(connection: Any, now: datetime, cycle: str | None) -> Iterator[_Spending]:
    """Wallets of every time zone that reached a threshold; those with pending charges first, with their whole sum."""
    for (time_zone,) in connection.execute(_SQL["time_zones"]).fetchall():
        billing_cycle = cycle or cycle_at(now, time_zone)
        start, end = cycle_bounds(billing_cycle, time_zone)
        zone = {"cycle": billing_cycle, "time_zone": time_zone}
        cycle_range = {**zone, "cycle_start": start, "cycle_end": end}
        pending = _all(connection, "reached_by_plain_sql", billing_cycle, cycle_range)
        others = _all(connection, "reached", billing_cycle, {**zone, **_THRESHOLDS})
        wallet_ids = {each.wallet_id for each in pending}
        found = [*pending, *(each for each in others if each.wallet_id not in wallet_ids)]
        is_current = billing_cycle == cycle_at(now, time_zone)
        for each in found:
            yield each if is_current else each._replace(known_pct=MAX_THRESHOLD_PCT)


def _all(connection: Any, name: str, cycle: str, parameters: dict[str, Any]) -> list[_Spending]:
    return [_Spending(cycle, *row) for row in connection.execute(_SQL[name], parameters).fetchall()]


def _fire(
    connection: Any, alert: FiredAlert, spending: _Spending, fired_at: str, whole_schema: bool, dry_run: bool
) -> bool:
    """Record an alert unless it fired before; whether it is new. The first writer emits its event."""
    row = {**asdict(alert), "billing_cycle": spending.billing_cycle, "fired_at": fired_at}
    name = {key: row[key] for key in ("wallet_id", "threshold_pct", "billing_cycle")}
    own = _own(alert)
    if dry_run:
        return not _value(connection, f"has_fired{own}", name)
    if whole_schema:
        connection.execute(_SQL["note_fired"], name)  # first, which locks the wallet, as the rail does
    if not connection.execute(_SQL[f"fire{own}"], row).fetchall():
        return False
    if whole_schema:
        put_event(connection, _event(alert, spending), fired_at)
    return True


def _emit_for_another_budget(connection: Any, alert: FiredAlert, spending: _Spending, fired_at: str) -> None:
    """Emit the event of a threshold that fired in the cycle for another budget, once for each budget."""
    name = {
        "threshold_pct": alert.threshold_pct,
        "billing_cycle": spending.billing_cycle,
        "budget_yen": alert.budget_yen,
    }
    statement = _SQL[f"emit_for_another_budget{_own(alert)}"]
    connection.execute(statement, {**event_row(_event(alert, spending), fired_at), **name})


def _own(alert: FiredAlert) -> str:
    """A wallet's own thresholds have a separate table, and statements named for it."""
    return "" if alert.threshold_pct in ALERT_THRESHOLDS_PCT else "_own"


def _event(alert: FiredAlert, spending: _Spending) -> Event:
    cycle, spent_micros = spending.billing_cycle, spending.spent_micros
    return threshold_reached(alert.wallet_id, alert.threshold_pct, cycle, spent_micros, alert.budget_yen)


def _value(connection: Any, name: str, parameters: dict[str, Any] | None = None) -> int:
    rows = connection.execute(_SQL[name], parameters or {}).fetchall()
    return int(rows[0][0])


def run_on_file(path: Path, now: datetime, *, cycle: str | None = None, dry_run: bool = False) -> AlertReport:
    """Run the job on a database file in a transaction of its own; a missing file is a warning and an empty report."""
    if not path.exists():
        _log.warning("%s does not exist; nothing to do", path)
        return AlertReport(dry_run, cycle or cycle_at(now))
    with closing(_connect(path)) as connection:
        opened = path.stat()
        connection.execute("BEGIN" if dry_run else "BEGIN IMMEDIATE")
        whole_schema = _has_whole_schema(connection, path)
        report = run_alert_job(connection, now, cycle=cycle, dry_run=dry_run, whole_schema=whole_schema)
        connection.execute("COMMIT")
        if not (path.exists() and samestat(path.stat(), opened)):
            raise RuntimeError(f"{path} was moved, removed or replaced meanwhile; put it back, or run the job again")
    return report


def _has_whole_schema(connection: Any, path: Path) -> bool:
    """Whether there is more than migration 281. Raises ``RuntimeError`` when there is more, and not all of it.

    Before 294 and 295, which apply together, events have other names: an alert would be reported twice. Before 296
    spending is not exact.
    """
    later = _value(connection, "columns_of_later_migrations")
    if 0 < later < _LATER_COLUMNS:
        raise RuntimeError(f"{path} lacks migrations that this job needs; run credit-wallet migrate")
    return later > 0


def _connect(path: Path) -> Any:
    """The database as it is, its journal mode left alone."""
    try:
        import apsw
    except ImportError:
        return _connect_with_standard_library(path)
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    return connection


def _connect_with_standard_library(path: Path) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < OLDEST_SAFE_SQLITE and _is_in_wal_mode(path):
        raise RuntimeError(
            f"{path} is in WAL mode and this Python's SQLite {sqlite3.sqlite_version} can corrupt it; install apsw"
        )
    return sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)


def _is_in_wal_mode(path: Path) -> bool:
    """From the file's header (sqlite.org/fileformat.html, 1.3.3): a connection would already write its log back."""
    with path.open("rb") as file:
        return file.read(20)[18:] == b"\x02\x02"
