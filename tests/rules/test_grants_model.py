"""Grants beside a naive model: workers of two clocks that jump, cancellations, prunings, in any order."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from clock import Clock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from width import examples

from credit_wallet import CreditWallet
from credit_wallet.domain.cycle import parse_instant

START = datetime(2027, 11, 30, 23, 30, tzinfo=UTC)
ZONES = ("UTC", "Asia/Tokyo", "America/New_York", "Australia/Lord_Howe")


class Promise(NamedTuple):
    """A grant as the model has it: local start, and what became of its occurrences."""

    wallet_id: int
    zone: ZoneInfo
    start: datetime
    every: bool
    until: datetime | None
    lapses: Any
    came: list[str]


def later(start: datetime, zone: ZoneInfo, months: int) -> datetime:
    """The same local time that many months later, on the last day of shorter months; found day by day."""
    local = start.astimezone(zone)
    year, month = local.year, local.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    day = local.day
    while day > calendar.monthrange(year, month)[1]:
        day -= 1
    moved = datetime(year, month, day, local.hour, local.minute, local.second, local.microsecond, zone)
    return start if months == 0 else moved.astimezone(UTC)


class Grants(RuleBasedStateMachine):
    """Two nodes of one ledger on SQLite are two clocks: one process writes at a time anyway."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = Clock(START)
        self.wallets = CreditWallet.open(f"sqlite:///{self.folder.name}/wallet.db", clock=self.clock)
        self.promises: dict[int, Promise] = {}
        self.canceled: set[int] = set()

    def teardown(self) -> None:
        assert self.wallets.verify() == []
        self.wallets.close()
        self.folder.cleanup()

    @initialize()
    def wallets_in_every_zone(self) -> None:
        self.ids = {self.wallets.create(time_zone=zone).wallet_id: ZoneInfo(zone) for zone in ZONES}

    @rule(
        place=st.integers(0, len(ZONES) - 1),
        days=st.integers(-300, 60),
        every=st.booleans(),
        months=st.none() | st.integers(0, 5),
        lapses=st.sampled_from(["never", "next", 1, 30, 400]),
    )
    def promise(self, place: int, days: int, every: bool, months: int | None, lapses: Any) -> None:
        wallet_id, zone = list(self.ids.items())[place]
        start = self.clock() + timedelta(days=days)
        until = None if months is None or not every else start + timedelta(days=31 * months + 1)
        given: dict[str, Any] = {} if until is None else {"until": until.isoformat()}
        lapses = 30 if lapses == "next" and not every else lapses
        grant = self.wallets.grants.create(
            wallet_id, 100, starts_at=start, every="month" if every else None, lapses=lapses, **given
        )
        self.promises[grant.grant_id] = Promise(wallet_id, zone, start, every, until, lapses, [])

    @rule(hours=st.integers(-24 * 40, 24 * 70))
    def the_clock_jumps(self, hours: int) -> None:
        self.clock.set(max(START - timedelta(days=30), self.clock() + timedelta(hours=hours)))

    @rule(limit=st.integers(1, 100))
    def work(self, limit: int) -> None:
        while self.wallets.maintenance.credit_grants(limit):
            pass
        for grant_id, promise in self.promises.items():
            if grant_id not in self.canceled:
                self._catch_up(promise)

    def _catch_up(self, promise: Promise) -> None:
        now = self.clock()
        while promise.every or not promise.came:
            at = later(promise.start, promise.zone, len(promise.came))
            if at > now or (promise.until is not None and at >= promise.until):
                return
            end = self._end(promise, at)
            promise.came.append("lapsed" if end is not None and end <= now else "credited")

    @staticmethod
    def _end(promise: Promise, at: datetime) -> datetime | None:
        match promise.lapses:
            case "never":
                return None
            case "next":
                return later(promise.start, promise.zone, len(promise.came) + 1)
        local = at.astimezone(promise.zone).replace(tzinfo=None, fold=0) + timedelta(days=promise.lapses)
        return local.replace(tzinfo=promise.zone).astimezone(UTC)

    @precondition(lambda self: self.promises)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        grant_id = data.draw(st.sampled_from(sorted(self.promises)))
        self.wallets.grants.cancel(grant_id)
        self.canceled.add(grant_id)

    @rule()
    def idempotency_keys_are_pruned(self) -> None:
        self.wallets.maintenance.prune_idempotency_keys(1)

    @invariant()
    def what_was_credited_is_what_was_promised(self) -> None:
        credited: dict[int, int] = {}
        for grant_id, promise in self.promises.items():
            recorded = list(reversed(self.wallets.grants.occurrences(grant_id)))
            assert [each.status for each in recorded] == promise.came
            for number, each in enumerate(recorded):
                assert each.occurrence == number
                assert parse_instant(each.came_at) == later(promise.start, promise.zone, number)
            credited[promise.wallet_id] = credited.get(promise.wallet_id, 0) + promise.came.count("credited")
        for wallet_id, count in credited.items():
            entries = self.wallets.history(wallet_id, limit=1_000, txn_type="topup")
            assert [entry.amount_yen for entry in entries] == [100] * count


Grants.TestCase.settings = settings(max_examples=examples(25), stateful_step_count=25, deadline=None)
TestGrants = Grants.TestCase
