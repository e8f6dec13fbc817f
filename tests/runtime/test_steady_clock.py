"""A clock that lies destroys nothing: a jump of the wall clock is believed once it has held, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from databases import on_every_database
from structlog.testing import capture_logs

from credit_wallet import CreditWallet
from credit_wallet.runtime.steady_clock import CAUGHT_UP, SETTLES_SECONDS, TOLERANCE_SECONDS, SteadyClock

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)
YEAR = 365 * 86_400.0
MINUTE = 60.0
HALF = SETTLES_SECONDS / 2


class Machine:
    """A machine's two clocks: one that can be set, and one that only goes on."""

    def __init__(self, start: datetime = NOON) -> None:
        self.passed = 1_000.0
        self.set_by = 0.0
        self._start = start - timedelta(seconds=self.passed)

    def true(self) -> datetime:
        return self._start + timedelta(seconds=self.passed)

    def wall(self) -> float:
        return self.true().timestamp() + self.set_by

    def wall_time(self) -> datetime:
        return datetime.fromtimestamp(self.wall(), UTC)

    def clock(self) -> SteadyClock:
        return SteadyClock(self.wall, lambda: self.passed)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def gone_by(machine: Machine, clock: SteadyClock, steps: list[tuple[float, float]]) -> Iterator[float]:
    """After each step, seconds that pass and what the wall clock is then set by: by how much the clock is off."""
    for seconds, set_by in steps:
        machine.passed += seconds
        machine.set_by = set_by
        yield (clock() - machine.true()).total_seconds()


@pytest.mark.parametrize(
    ("steps", "off"),
    [
        ([(1, 0), (YEAR, 0)], [0, 0]),
        # what a time server corrects
        ([(1, TOLERANCE_SECONDS - 1), (1, -1)], [TOLERANCE_SECONDS - 1, -1]),
        # set for a second, and for nearly an hour
        ([(1, YEAR), (1, 0), (1, 0)], [0, 0, 0]),
        ([(1, -YEAR), (1, 0)], [0, 0]),
        ([(1, YEAR), (SETTLES_SECONDS - 1, YEAR), (1, 0)], [0, 0, 0]),
        # set for good
        ([(1, YEAR), (SETTLES_SECONDS, YEAR), (1, YEAR)], [0, YEAR, YEAR]),
        ([(1, -YEAR), (SETTLES_SECONDS, -YEAR)], [0, -YEAR]),
        # set again: the nearer time has held, and for the rest the hour begins anew
        (
            [(1, YEAR), (SETTLES_SECONDS - 1, 2 * YEAR), (1, 2 * YEAR), (SETTLES_SECONDS, 2 * YEAR)],
            [0, 0, YEAR, 2 * YEAR],
        ),
        ([(1, 2 * YEAR), (SETTLES_SECONDS - 1, YEAR), (1, 2 * YEAR)], [0, 0, YEAR]),
        ([(1, YEAR), (SETTLES_SECONDS - 1, -YEAR), (1, YEAR), (SETTLES_SECONDS, YEAR)], [0, 0, 0, YEAR]),
        # a machine that is paused again and again, half an hour each time, is an hour late at most
        (
            [(1, HALF), (HALF, 2 * HALF), (HALF, 3 * HALF), (HALF, 4 * HALF), (HALF, 5 * HALF), (HALF, 5 * HALF)],
            [0, 0, HALF, HALF, 3 * HALF, 3 * HALF],
        ),
        # believed, and set back: that is a jump as well
        ([(1, YEAR), (SETTLES_SECONDS, YEAR), (1, 0), (SETTLES_SECONDS, 0)], [0, YEAR, YEAR, 0]),
        # in between it agreed
        ([(1, YEAR), (SETTLES_SECONDS - 1, 0), (1, YEAR), (2, YEAR)], [0, 0, 0, 0]),
        # nobody looked for long
        ([(YEAR, YEAR), (1, YEAR)], [0, 0]),
    ],
)
def test_a_jump_is_believed_once_it_has_held(
    machine: Machine, steps: list[tuple[float, float]], off: list[float]
) -> None:
    assert list(gone_by(machine, machine.clock(), steps)) == pytest.approx(off, abs=1e-3)


def test_it_says_what_it_does_not_believe_once(machine: Machine) -> None:
    clock = machine.clock()
    assert (clock.ahead_seconds(), clock.problem()) == (0.0, None)
    with capture_logs() as logs:
        for _ in gone_by(machine, clock, [(1, YEAR), (1, YEAR), (1, YEAR)]):
            pass
        assert clock.ahead_seconds() == pytest.approx(YEAR)
        assert "set ahead by 31,536,000 s" in str(clock.problem())
        machine.set_by = -10 * MINUTE
        assert "set back by 600 s" in str(clock.problem())
        machine.set_by = 0.0
        assert (clock.ahead_seconds(), clock.problem()) == (0.0, None)
    assert [log["event"] for log in logs] == ["clock_jumped", "clock_jumped", "clock_agrees_again"]


@pytest.mark.parametrize(
    ("newest", "jump", "off"),
    [
        # a machine without a battery starts a year ago, and hears the time
        (timedelta(days=365), timedelta(days=365, minutes=5), timedelta(days=365, minutes=5)),
        (timedelta(days=365), timedelta(days=364) + CAUGHT_UP, timedelta(days=364) + CAUGHT_UP),
        # the time that it hears is not one that explains the entry
        (timedelta(days=365), timedelta(days=364), timedelta(0)),
        (timedelta(days=365), timedelta(days=366) + CAUGHT_UP, timedelta(0)),
        (timedelta(seconds=-1), timedelta(minutes=5), timedelta(0)),
        (timedelta(seconds=30), timedelta(minutes=5), timedelta(0)),
    ],
)
def test_a_clock_behind_the_ledger_may_catch_up_at_once(
    machine: Machine, newest: timedelta, jump: timedelta, off: timedelta
) -> None:
    clock = machine.clock()
    clock.compare(NOON + newest)
    assert (clock.problem() is not None) == (newest > timedelta(minutes=1))
    assert list(gone_by(machine, clock, [(1, jump.total_seconds())])) == pytest.approx([off.total_seconds()], abs=1e-3)


@pytest.mark.parametrize(
    ("after", "ahead", "off"),
    [
        (1, YEAR, 0.0),  # the machine had not heard the time yet when the service started
        (
            SETTLES_SECONDS,
            YEAR,
            YEAR,
        ),  # the service has run for long: a clock that was right may be set back for a second
        (1, 30 * 86_400.0, 30 * 86_400.0),  # it may have been down for so long
    ],
)
def test_a_clock_far_ahead_at_the_start_may_come_back_at_once(
    machine: Machine, after: float, ahead: float, off: float
) -> None:
    machine.set_by = ahead
    clock = machine.clock()
    clock.compare(NOON - timedelta(minutes=5))
    assert list(gone_by(machine, clock, [(after, ahead), (1, 0)])) == pytest.approx([ahead, off], abs=1e-3)


def test_a_jump_that_is_believed_makes_nothing_older(machine: Machine) -> None:
    clock = machine.clock()
    two_days = timedelta(days=2)
    list(gone_by(machine, clock, [(1, YEAR), (SETTLES_SECONDS, YEAR)]))
    assert clock() - clock.ago(two_days) == pytest.approx(two_days + timedelta(seconds=YEAR), abs=timedelta(seconds=1))
    machine.passed += two_days.total_seconds() + 1
    assert clock() - clock.ago(two_days) == two_days


@on_every_database
def test_a_node_that_was_paused_has_the_time_from_what_others_have_written(db_url: str, machine: Machine) -> None:
    clock = machine.clock()
    with CreditWallet.open(db_url, clock=clock) as paused, CreditWallet.open(db_url, clock=machine.wall_time) as other:
        wallet_id = paused.create().wallet_id
        paused.topup(wallet_id, 500, idempotency_key="before")
        machine.set_by = 8 * SETTLES_SECONDS
        paused.maintenance.expire_due()
        assert clock() == machine.true()
        hold_id = other.hold(wallet_id, 1, idempotency_key="hold", ttl_seconds=60).hold_id
        other.charge(wallet_id, 1, idempotency_key="charge")
        paused.maintenance.expire_due()
        assert clock() == machine.wall_time()
        assert hold_id is not None
        assert paused.capture(hold_id, 1).amount_yen == 1


@on_every_database
def test_a_clock_a_year_ahead_destroys_nothing(db_url: str, machine: Machine) -> None:
    clock = machine.clock()
    with CreditWallet.open(db_url, clock=clock) as wallets:
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 500, idempotency_key="june", expires_at="2026-06-30T00:00:00Z")
        held = wallets.hold(wallet_id, 100, idempotency_key="hold", ttl_seconds=600)
        first = wallets.charge(wallet_id, 3, idempotency_key="charge")

        machine.set_by = YEAR
        assert wallets.maintenance.expire_due() == 0
        assert wallets.maintenance.undo_abandoned() == 0
        assert wallets.maintenance.prune_idempotency_keys() == 0
        assert wallets.charge(wallet_id, 3, idempotency_key="meanwhile").balance_yen == 394
        assert wallets.clock.ahead_seconds() == pytest.approx(YEAR)
        machine.set_by = 0.0

        assert wallets.clock.problem() is None
        replayed = wallets.charge(wallet_id, 3, idempotency_key="charge")
        assert (replayed.replayed, replayed.txn_id) == (True, first.txn_id)
        assert {entry.occurred_at[:7] for entry in wallets.history(wallet_id)} == {"2026-05"}
        assert wallets.show(wallet_id).current_cycle == "2026-05"
        assert wallets.capture(int(str(held.hold_id)), 100).balance_yen == 394
        assert wallets.verify() == []


@on_every_database
def test_what_is_due_by_the_time_that_is_believed_is_carried_out(db_url: str, machine: Machine) -> None:
    """A service that was down for months works at once, and one whose clock is wrong goes on by the right time."""
    with CreditWallet.open(db_url, clock=machine.clock()) as wallets:
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 500, idempotency_key="june", expires_at="2026-06-30T00:00:00Z")
        wallets.hold(wallet_id, 100, idempotency_key="hold", ttl_seconds=600)
        machine.set_by = YEAR
        machine.passed += 601.0
        assert wallets.maintenance.expire_due() == 1
        assert wallets.balance(wallet_id) == 500
    with CreditWallet.open(db_url, clock=Machine(NOON + timedelta(days=90)).clock()) as wallets:
        assert wallets.maintenance.expire_due() == 1
        assert wallets.balance(wallet_id) == 0
        assert wallets.verify() == []
