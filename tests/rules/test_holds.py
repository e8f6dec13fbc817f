"""Holds: who may close one, longer ones, several captures, and what a capture takes beyond its hold.

A hold is a promise to whoever made it. The adversary is the one who promised: a payer's token that captures ¥1 of a
seller's hold, releases it, or uses up beforehand the idempotency key that the product would close it with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import pytest
from clock import Clock
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.errors import (
    Forbidden,
    HoldClosed,
    HoldNotFound,
    InvalidAmount,
    InvalidRequest,
    RailBusy,
    Unauthorized,
    WalletError,
)
from credit_wallet.rules.state import MAX_DUE_HOLDS

pytestmark = on_every_database

Act: TypeAlias = Callable[[], object]

ACTORS = ("payer", "operator", "product", "seller:1", "seller:2")
MAY_CLOSE = {
    "payer": {"payer", "operator", "product"},
    "operator": {"operator", "product"},
    "product": {"operator", "product"},
    "seller:1": {"seller:1", "operator", "product"},
}


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    """A wallet with ¥1,000."""
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="first")
    return wallet_id


def held(wallets: CreditWallet, wallet_id: int, yen: int = 100, *, actor: str = "operator", key: str = "hold") -> int:
    hold_id = wallets.hold(wallet_id, yen, idempotency_key=key, actor=actor).hold_id
    assert hold_id is not None
    return hold_id


@pytest.mark.parametrize("asker", ACTORS)
@pytest.mark.parametrize("closer", MAY_CLOSE)
def test_a_hold_is_closed_by_whoever_made_it_or_those_above(
    wallets: CreditWallet, wallet_id: int, closer: str, asker: str
) -> None:
    hold_id = held(wallets, wallet_id, actor=closer)
    acts: tuple[Act, ...] = (
        lambda: wallets.extend(hold_id, 1_800, actor=asker),
        lambda: wallets.capture(hold_id, 1, idempotency_key="capture", final=False, actor=asker),
        lambda: wallets.release(hold_id, idempotency_key="release", actor=asker),
    )
    for act in acts:
        if asker in MAY_CLOSE[closer]:
            act()
        else:
            with pytest.raises(Forbidden):
                act()
    kept = 0 if asker in MAY_CLOSE[closer] else 100
    assert wallets.balance(wallet_id).held_yen == kept
    assert not wallets.verify()


def test_an_agent_closes_the_holds_it_made_while_its_key_works(wallets: CreditWallet, wallet_id: int) -> None:
    mine, other = (wallets.keys.create(wallet_id).key_id for _ in range(2))
    hold_ids = [
        wallets.hold(wallet_id, 10, idempotency_key=f"{key_id}{n}", key_id=key_id, actor="payer").hold_id or 0
        for n, key_id in enumerate((mine, mine, other))
    ]
    wallets.capture(hold_ids[0], 5, idempotency_key="a", key_id=mine, actor="payer")
    with pytest.raises(HoldNotFound):
        wallets.release(hold_ids[2], idempotency_key="b", key_id=mine, actor="payer")
    wallets.keys.revoke(mine)
    closing: tuple[Act, ...] = (
        lambda: wallets.release(hold_ids[1], idempotency_key="c", key_id=mine, actor="payer"),
        lambda: wallets.extend(hold_ids[1], 1_800, key_id=mine, actor="payer"),
    )
    for act in closing:
        with pytest.raises(Unauthorized):
            act()
    wallets.release(hold_ids[1], idempotency_key="d", actor="payer")


# Keys that the product makes


def own_keys(hold_id: int) -> list[str]:
    return [f"{act}:{hold_id + ahead}" for act in ("capture", "release") for ahead in range(3)]


@pytest.mark.parametrize("actor", ["payer", "operator", "seller:1"])
def test_keys_that_callers_choose_do_not_stand_in_the_way_of_the_products_own(
    wallets: CreditWallet, wallet_id: int, actor: str
) -> None:
    for key in own_keys(1):
        wallets.charge(wallet_id, 1, idempotency_key=key, actor=actor)
    captured, released = held(wallets, wallet_id, key="a"), held(wallets, wallet_id, key="b")
    assert wallets.capture(captured, 50).amount_yen == 50
    assert wallets.capture(captured, 50).replayed
    assert wallets.release(released).amount_yen == 100


def test_a_key_is_its_own_in_each_room(wallets: CreditWallet, wallet_id: int) -> None:
    for spent, actor in enumerate(ACTORS, start=1):
        outcome = wallets.charge(wallet_id, spent, idempotency_key="same", actor=actor)
        assert not outcome.replayed
        assert wallets.charge(wallet_id, spent, idempotency_key="same", actor=actor).replayed
    assert wallets.balance(wallet_id) == 1_000 - 15


@pytest.mark.parametrize("key", ["\x01same", "\x02capture:1", "\x031\x1fsame", "\x1f", "a\x01"])
def test_no_caller_writes_into_another_room(wallets: CreditWallet, wallet_id: int, key: str) -> None:
    for actor in ACTORS:
        with pytest.raises(InvalidRequest):
            wallets.charge(wallet_id, 1, idempotency_key=key, actor=actor)


def test_without_a_key_only_those_above_close_a_hold(wallets: CreditWallet, wallet_id: int) -> None:
    hold_id = held(wallets, wallet_id, actor="payer")
    closing: tuple[Act, ...] = (
        lambda: wallets.capture(hold_id, 1, actor="payer"),
        lambda: wallets.release(hold_id, actor="payer"),
        lambda: wallets.capture(hold_id, 1, final=False),
    )
    for act in closing:
        with pytest.raises(InvalidRequest) as refused:
            act()
        assert refused.value.details["field"] == "idempotency_key"


# Longer


def test_a_hold_lasts_as_long_as_it_is_extended_and_never_less(
    wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    hold_id = held(wallets, wallet_id)
    for _ in range(3):
        clock.advance(seconds=800)
        wallets.extend(hold_id, 900)
    assert wallets.extend(hold_id, 1).expires_at == "2026-05-15T12:55:00.000Z"
    assert wallets.balance(wallet_id).held_yen == 100
    clock.advance(seconds=901)
    assert wallets.balance(wallet_id) == 1_000
    with pytest.raises(HoldClosed):
        wallets.extend(hold_id, 900)
    assert not wallets.verify()


def test_no_hold_grows_older_than_31_days(wallets: CreditWallet, wallet_id: int, clock: Clock) -> None:
    hold_id = held(wallets, wallet_id)
    for _ in range(40):
        wallets.extend(hold_id, 2_678_400)
        clock.advance(days=1)
        if clock().isoformat() >= "2026-06-15":
            break
    assert wallets.holds.show(hold_id).expires_at == "2026-06-15T12:00:00.000Z"
    clock.advance(days=1)
    assert wallets.balance(wallet_id) == 1_000


def test_an_extended_hold_does_not_lapse_with_those_beside_it(
    wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    long, short = held(wallets, wallet_id, 100, key="a"), held(wallets, wallet_id, 10, key="b")
    wallets.extend(long, 3_600)
    clock.advance(seconds=1_000)
    assert wallets.balance(wallet_id) == 900
    assert wallets.holds.show(short).status == "expired"
    clock.advance(seconds=3_000)
    assert wallets.balance(wallet_id) == 1_000
    assert not wallets.verify()


# Several captures


def test_a_hold_can_be_captured_several_times_until_one_is_final(wallets: CreditWallet, wallet_id: int) -> None:
    key_id = wallets.keys.create(wallet_id, monthly_cap_yen=100).key_id
    hold_id = wallets.hold(wallet_id, 100, idempotency_key="hold", key_id=key_id).hold_id or 0
    for n, spent in enumerate((30, 20)):
        outcome = wallets.capture(hold_id, spent, idempotency_key=f"part {n}", final=False)
        assert (outcome.amount_yen, outcome.balance_yen) == (spent, 900)
    view = wallets.holds.show(hold_id)
    assert (view.status, view.captured_yen) == ("open", 50)
    assert wallets.keys.show(key_id).held_yen == 50
    with pytest.raises(InvalidAmount) as refused:
        wallets.capture(hold_id, 51, idempotency_key="too much")
    assert refused.value.details["held_yen"] == 50
    assert wallets.capture(hold_id, 10).balance_yen == 940
    with pytest.raises(HoldClosed):
        wallets.capture(hold_id, 1, idempotency_key="after", final=False)
    assert wallets.keys.show(key_id).current_cycle_spent_yen == 60
    assert not wallets.verify()


def test_capturing_all_of_a_hold_closes_it(wallets: CreditWallet, wallet_id: int) -> None:
    hold_id = held(wallets, wallet_id)
    wallets.capture(hold_id, 40, idempotency_key="a", final=False)
    wallets.capture(hold_id, 60, idempotency_key="b", final=False)
    assert wallets.holds.show(hold_id).status == "captured"
    assert not wallets.verify()


def test_what_is_left_after_some_captures_goes_back(wallets: CreditWallet, wallet_id: int, clock: Clock) -> None:
    released, expired = held(wallets, wallet_id, key="a"), held(wallets, wallet_id, key="b")
    for hold_id in (released, expired):
        wallets.capture(hold_id, 30, idempotency_key=f"part of {hold_id}", final=False)
    assert wallets.release(released).amount_yen == 70
    clock.advance(seconds=1_000)
    assert wallets.balance(wallet_id) == 940
    assert not wallets.verify()


def test_each_capture_spends_the_lots_that_the_hold_took_in_order(wallets: CreditWallet, wallet_id: int) -> None:
    wallets.topup(wallet_id, 50, idempotency_key="gift", promo=True)
    hold_id = held(wallets, wallet_id, 80)
    wallets.capture(hold_id, 60, idempotency_key="a", final=False)
    wallets.release(hold_id)
    assert [(lot.kind, lot.remaining_yen) for lot in wallets.lots.list(wallet_id)] == [("paid", 990)]
    assert not wallets.verify()


# Above


def test_whoever_made_a_hold_may_settle_above_it_up_to_the_balance(wallets: CreditWallet, wallet_id: int) -> None:
    hold_id = held(wallets, wallet_id, actor="seller:1")
    outcome = wallets.capture(hold_id, 150, idempotency_key="a", above="up_to_balance", actor="seller:1")
    assert (outcome.amount_yen, outcome.balance_yen) == (150, 850)
    hold_id = held(wallets, wallet_id, 800, key="b")
    assert wallets.capture(hold_id, 2_000, above="up_to_balance").amount_yen == 850
    assert wallets.balance(wallet_id) == 0
    assert not wallets.verify()


def test_above_a_hold_the_budget_and_the_cap_still_hold(wallets: CreditWallet, wallet_id: int) -> None:
    key_id = wallets.keys.create(wallet_id, monthly_cap_yen=130).key_id
    hold_id = wallets.hold(wallet_id, 100, idempotency_key="a", key_id=key_id).hold_id or 0
    assert wallets.capture(hold_id, 200, above="up_to_balance").amount_yen == 130
    wallets.configure(wallet_id, monthly_budget_yen=250, budget_mode="cap")
    hold_id = held(wallets, wallet_id, 100, key="b")
    assert wallets.capture(hold_id, 200, above="up_to_balance").amount_yen == 120
    assert not wallets.verify()


def test_no_payer_settles_above(wallets: CreditWallet, wallet_id: int) -> None:
    hold_id = held(wallets, wallet_id, actor="payer")
    with pytest.raises(InvalidAmount):
        wallets.capture(hold_id, 101, idempotency_key="a", above="up_to_balance", actor="payer")
    assert wallets.balance(wallet_id) == 900


def test_a_refund_of_a_capture_above_gives_all_of_it_back(wallets: CreditWallet, wallet_id: int) -> None:
    hold_id = held(wallets, wallet_id)
    txn_id = wallets.capture(hold_id, 150, above="up_to_balance").txn_id
    assert txn_id is not None
    wallets.refund(txn_id, idempotency_key="refund")
    assert wallets.balance(wallet_id) == 1_000
    assert not wallets.verify()


def test_a_stranger_learns_nothing_of_a_hold(wallets: CreditWallet, wallet_id: int) -> None:
    with pytest.raises(WalletError):
        wallets.capture(held(wallets, wallet_id) + 1, 1)


# Very many


def held_by_the_yen(wallets: CreditWallet, wallet_id: int) -> None:
    """All of a wallet, in holds of ¥1 that end after a minute."""

    async def hold() -> None:
        await asyncio.gather(
            *(wallets.ahold(wallet_id, 1, idempotency_key=f"hold-{number}", ttl_seconds=60) for number in range(1_000))
        )

    asyncio.run(hold())


def test_what_has_expired_is_given_back_in_steps_and_nothing_else_happens_to_the_wallet_meanwhile(
    wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    """A wallet that has as many holds as yen keeps no other one waiting while they expire all at once."""
    assert MAX_DUE_HOLDS == 500
    held_by_the_yen(wallets, wallet_id)
    clock.advance(seconds=61)
    with pytest.raises(RailBusy):
        wallets.charge(wallet_id, 1, idempotency_key="charge")
    outcome = wallets.charge(wallet_id, 1_000, idempotency_key="charge")
    assert (outcome.balance_yen, outcome.replayed) == (0, False)
    assert wallets.verify() == []


def test_a_wallet_is_shown_once_all_that_has_expired_was_given_back(
    wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    held_by_the_yen(wallets, wallet_id)
    clock.advance(seconds=61)
    assert wallets.show(wallet_id).balance_yen == 1_000


def test_totals_are_of_what_has_expired_in_many_steps_too(wallets: CreditWallet, wallet_id: int, clock: Clock) -> None:
    held_by_the_yen(wallets, wallet_id)
    clock.advance(seconds=61)
    totals = wallets.maintenance.totals()
    assert (totals.balance_yen, totals.held_yen) == (1_000, 0)


def test_the_worker_gives_back_all_that_has_expired(wallets: CreditWallet, wallet_id: int, clock: Clock) -> None:
    held_by_the_yen(wallets, wallet_id)
    clock.advance(seconds=61)
    assert [wallets.maintenance.expire_due() for _ in range(3)] == [1, 1, 0]
