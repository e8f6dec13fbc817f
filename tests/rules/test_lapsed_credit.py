"""Credit that has lapsed counts nowhere, and lapsed when it ended, whoever notices it and however late.

The kind: what falls due by itself happens when somebody looks, and is dated then. Where that shows:

- the date of the ``expire`` entry, so the month it is of and the base dates of the law, and of what a hold that expired
  gives back: to its lots, and to a debt;
- whatever is read without a look at the wallet: the list of wallets, the sums over all, a hold's status, what an agent
  key holds, the first page of the history;
- yen that come back to a lot that was used up, which nothing looked after any more: they must lapse with it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from clock import Clock
from databases import Databases, on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import Charge, Refund
from credit_wallet.stores.databases import database_at

pytestmark = on_every_database

END = "2026-10-15T09:00:00.000Z"


def moment(text: str) -> datetime:
    """An ISO 8601 time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(moment("2026-10-01T12:00"))


def entries(wallets: CreditWallet, wallet_id: int, *types: str) -> list[tuple[str, int, str]]:
    """The wallet's ledger as it stands, oldest first: type, amount, date."""
    return [
        (entry.txn_type, entry.amount_yen, entry.occurred_at)
        for entry in reversed(wallets.history(wallet_id))
        if not types or entry.txn_type in types
    ]


def with_gift(wallets: CreditWallet, paid_yen: int = 0, gift_yen: int = 100) -> int:
    """A wallet with a gift until ``END`` and ``paid_yen`` for good."""
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, gift_yen, idempotency_key="gift", promo=True, expires_at=END)
    if paid_yen:
        wallets.topup(wallet_id, paid_yen, idempotency_key="paid")
    return wallet_id


def held(wallets: CreditWallet, wallet_id: int, amount_yen: int, seconds: int, key_id: int | None = None) -> int:
    hold_id = wallets.hold(
        wallet_id, amount_yen, idempotency_key=f"hold {amount_yen}", ttl_seconds=seconds, key_id=key_id
    ).hold_id
    assert hold_id is not None
    return hold_id


def assert_months_tie(wallets: CreditWallet, wallet_id: int) -> None:
    reports = [wallets.statement(wallet_id, f"2026-{month:02d}") for month in range(9, 13)]
    assert reports[0].opening_yen == 0
    for before, after in pairwise(reports):
        assert before.closing_yen == after.opening_yen
    view = wallets.show(wallet_id)
    assert reports[-1].closing_yen == view.balance_yen + view.held_yen


# When it lapsed


NOTICING: dict[str, Callable[[CreditWallet, int], object]] = {
    "charge": lambda wallets, wallet_id: wallets.charge(wallet_id, 1, idempotency_key="new"),
    "hold": lambda wallets, wallet_id: wallets.hold(wallet_id, 1, idempotency_key="new"),
    "topup": lambda wallets, wallet_id: wallets.topup(wallet_id, 1, idempotency_key="new"),
    "balance": lambda wallets, wallet_id: wallets.balance(wallet_id),
    "worker": lambda wallets, _: wallets.maintenance.expire_due(),
    "list": lambda wallets, _: wallets.list(),
    "totals": lambda wallets, _: wallets.maintenance.totals(),
    "history": lambda wallets, wallet_id: wallets.history(wallet_id),
    "statement": lambda wallets, wallet_id: wallets.statement(wallet_id, "2026-10"),
    "configure": lambda wallets, wallet_id: wallets.configure(wallet_id, label="new"),
}


@pytest.mark.parametrize("noticing", NOTICING)
def test_credit_lapses_at_its_end_whoever_notices_and_however_late(
    wallets: CreditWallet, clock: Clock, noticing: str
) -> None:
    wallet_id = with_gift(wallets, paid_yen=10)
    clock.set(moment("2026-11-03T08:00"))
    NOTICING[noticing](wallets, wallet_id)
    assert entries(wallets, wallet_id, "expire") == [("expire", -100, END)]
    october, november = (wallets.statement(wallet_id, cycle) for cycle in ("2026-10", "2026-11"))
    assert (october.expired_yen, october.closing_yen) == (-100, 10)
    assert (november.opening_yen, november.expired_yen) == (10, 0)
    assert_months_tie(wallets, wallet_id)
    assert wallets.verify() == []


def test_lots_that_ended_in_different_months_lapse_each_in_its_own(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create(time_zone="Asia/Tokyo").wallet_id
    ends = ("2026-10-31T14:59:59.999Z", "2026-10-31T15:00:00.000Z", "2026-10-20T00:00:00.000Z")
    for number, end in enumerate(ends):
        wallets.topup(wallet_id, 100 + number, idempotency_key=end, promo=True, expires_at=end)
    clock.set(moment("2026-12-24T12:00"))
    wallets.topup(wallet_id, 1, idempotency_key="december")
    assert entries(wallets, wallet_id, "expire") == [
        ("expire", -102, ends[2]),
        ("expire", -100, ends[0]),
        ("expire", -101, ends[1]),
    ]
    assert [wallets.statement(wallet_id, f"2026-{month}").expired_yen for month in (10, 11, 12)] == [-202, -101, 0]
    assert_months_tie(wallets, wallet_id)
    assert wallets.verify() == []


@pytest.mark.parametrize("returning", ["refund", "release", "capture"])
def test_what_comes_back_to_lapsed_credit_lapses_when_it_came_back(
    wallets: CreditWallet, clock: Clock, returning: str
) -> None:
    wallet_id = with_gift(wallets)
    charge_id = wallets.charge(wallet_id, 30, idempotency_key="charge").txn_id
    hold_id = held(wallets, wallet_id, 50, 86_400 * 30)
    clock.set(moment("2026-10-30T10:00"))
    match returning:
        case "refund":
            assert charge_id is not None
            wallets.refund(charge_id, idempotency_key="refund")
            returned_yen = 30
        case "release":
            wallets.release(hold_id)
            returned_yen = 50
        case _:
            wallets.capture(hold_id, 20)
            returned_yen = 30
    assert entries(wallets, wallet_id, "expire") == [
        ("expire", -20, END),
        ("expire", -returned_yen, "2026-10-30T10:00:00.000Z"),
    ]
    assert wallets.verify() == []


@pytest.mark.parametrize(
    ("hold_days", "dates"),
    [
        (10, [("2026-10-11T12:00:00.000Z", END)]),
        (20, [(END, END), ("2026-10-21T12:00:00.000Z", "2026-10-21T12:00:00.000Z")]),
    ],
)
def test_a_hold_gives_back_when_it_expired_and_what_ended_by_then_lapses_then(
    wallets: CreditWallet, clock: Clock, hold_days: int, dates: list[tuple[str, str]]
) -> None:
    """One that expired before the end gave back live credit, which lapsed at the end with the rest."""
    wallet_id = with_gift(wallets)
    held(wallets, wallet_id, 60, 86_400 * hold_days)
    clock.set(moment("2026-11-20T12:00"))
    assert wallets.balance(wallet_id) == 0
    amounts = [-100] if len(dates) == 1 else [-40, -60]
    assert entries(wallets, wallet_id, "expire") == [
        ("expire", amount_yen, lapsed_at) for amount_yen, (_, lapsed_at) in zip(amounts, dates, strict=True)
    ]
    assert_months_tie(wallets, wallet_id)
    assert wallets.verify() == []


def test_a_debt_is_repaid_when_the_hold_gave_back(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    topup_id = wallets.topup(wallet_id, 100, idempotency_key="clawed back").txn_id
    held(wallets, wallet_id, 80, 86_400 * 20)
    assert topup_id is not None
    wallets.reverse(topup_id, 100, idempotency_key="dispute")
    clock.set(moment("2026-11-20T12:00"))
    assert (wallets.balance(wallet_id), wallets.balance(wallet_id).debt_yen) == (0, 0)
    assert entries(wallets, wallet_id, "reversal")[1:] == [("reversal", -80, "2026-10-21T12:00:00.000Z")]
    assert_months_tie(wallets, wallet_id)
    assert wallets.verify() == []


def test_nothing_is_dated_after_now(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = with_gift(wallets, paid_yen=50)
    hold_id = held(wallets, wallet_id, 120, 86_400 * 30)
    clock.set(moment(END[:-1]))
    wallets.release(hold_id)
    assert [date for _, _, date in entries(wallets, wallet_id, "expire")] == [END]
    assert wallets.balance(wallet_id) == 50
    assert wallets.verify() == []


def test_yen_that_come_back_to_a_lot_that_was_used_up_lapse_with_it(wallets: CreditWallet, clock: Clock) -> None:
    """A refund opens the lot again; that it ends is due again, too."""
    wallet_id = with_gift(wallets, paid_yen=50)
    charge_id = wallets.charge(wallet_id, 100, idempotency_key="all of the gift").txn_id
    held(wallets, wallet_id, 10, 3_600)
    clock.advance(hours=2)
    assert wallets.maintenance.expire_due() == 1
    assert charge_id is not None
    wallets.refund(charge_id, idempotency_key="refund")
    assert wallets.balance(wallet_id) == 150
    clock.set(moment("2026-10-20T12:00"))
    assert wallets.maintenance.expire_due() == 1
    assert wallets.balance(wallet_id) == 50
    assert entries(wallets, wallet_id, "expire") == [("expire", -100, END)]
    assert wallets.verify() == []


def test_what_lapses_at_once_leaves_an_open_hold_due_when_it_is(wallets: CreditWallet, clock: Clock) -> None:
    """Two movements of one batch: the first gives yen back to a lot that has ended, the second looks what is due."""
    wallet_id = with_gift(wallets, paid_yen=50)
    charge_id = wallets.charge(wallet_id, 100, idempotency_key="all of the gift").txn_id
    hold_id = held(wallets, wallet_id, 10, 86_400 * 30)
    clock.set(moment("2026-10-20T12:00"))
    assert charge_id is not None
    refund = Refund(wallet_id, "refund", charge_id)
    wallets._ledger.lanes.submit([refund, Charge(wallet_id, "charge", 1)])
    assert wallets.verify() == []
    clock.set(moment("2026-10-31T12:00"))
    assert wallets.maintenance.expire_due() == 1
    assert wallets.holds.show(hold_id).status == "expired"


@pytest.mark.partitions
def test_a_lot_that_nothing_looked_after_is_due_again_once_the_ledger_is_brought_up_to_date(
    databases: Databases, clock: Clock
) -> None:
    with databases.ledger() as url:
        with CreditWallet.open(url, clock=clock) as wallets:
            wallet_id = with_gift(wallets, paid_yen=10)
        with PlainSql(url) as host:
            host.run("UPDATE am_credit_wallet SET next_due_at = NULL")
        database_at(url).rollback(289)
        clock.set(moment("2026-10-20T12:00"))
        with CreditWallet.open(url, clock=clock) as wallets:
            assert wallets.verify() == []
            assert wallets.maintenance.expire_due() == 1
            assert wallets.balance(wallet_id) == 10


# Where it is shown


def test_the_list_of_wallets_shows_no_lapsed_credit_and_no_dead_hold(wallets: CreditWallet, clock: Clock) -> None:
    ids = [with_gift(wallets, paid_yen=number) for number in range(1, 6)]
    held(wallets, ids[0], 101, 86_400 * 3)
    clock.set(moment("2026-11-01T12:00"))
    views = wallets.list(limit=3) + wallets.list(after=ids[2])
    assert [(view.balance_yen, view.held_yen) for view in views] == [(number, 0) for number in range(1, 6)]


def test_the_sums_over_all_wallets_have_no_lapsed_credit_and_no_dead_hold(wallets: CreditWallet, clock: Clock) -> None:
    for number in range(3):
        held(wallets, with_gift(wallets, paid_yen=10), 5 + number, 86_400 * 30)
    clock.set(moment("2026-10-20T12:00"))
    totals = wallets.maintenance.totals()
    assert (totals.balance_yen, totals.held_yen) == (30, 18)
    clock.set(moment("2026-11-20T12:00"))
    totals = wallets.maintenance.totals()
    assert (totals.balance_yen, totals.held_yen) == (30, 0)


@pytest.mark.partitions
def test_lapsed_credit_puts_off_no_automatic_top_up(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create(auto_topup_threshold=50, auto_topup_amount=100).wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="gift", promo=True, expires_at=END)
    assert wallets.topups.due() == []
    clock.set(moment("2026-10-20T12:00"))
    assert wallets.topups.due() == [wallet_id]


def test_a_hold_that_has_expired_is_not_shown_as_open(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = with_gift(wallets)
    hold_id = held(wallets, wallet_id, 10, 60)
    clock.advance(seconds=60)
    assert wallets.holds.show(hold_id).status == "expired"


def test_an_agent_key_holds_nothing_in_dead_holds(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = with_gift(wallets)
    key_id = wallets.keys.create(wallet_id).key_id
    held(wallets, wallet_id, 10, 60, key_id)
    clock.advance(seconds=59)
    assert wallets.keys.list(wallet_id)[0].held_yen == 10
    clock.advance(seconds=1)
    assert wallets.keys.show(key_id).held_yen == 0
    assert wallets.keys.list(wallet_id)[0].held_yen == 0


# The base dates of the law


def test_what_lapsed_before_a_base_date_is_not_unused_at_it(wallets: CreditWallet, clock: Clock) -> None:
    clock.set(moment("2026-09-01T12:00"))
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="kept")
    wallets.topup(wallet_id, 500, idempotency_key="short", expires_at="2026-09-20T00:00:00Z")
    clock.set(moment("2026-10-20T12:00"))
    room = wallets.topups.pay_back_room()
    assert (room.base_date, room.unused_yen) == ("2026-09-30", 1_000)
