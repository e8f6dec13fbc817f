"""Holds, captures and purchases by item: what they set aside, what they cost, and what they say they were for."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from clock import Clock
from databases import on_every_database
from priced import NOON, SEARCH, TIERED

from credit_wallet import CreditWallet
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import Bought
from credit_wallet.errors import BudgetExhausted, InsufficientFunds, InvalidAmount, InvalidRequest, ItemNotPriced

pytestmark = on_every_database


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def test_a_hold_asks_for_its_quantity_and_a_capture_costs_the_measured_one(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(SEARCH.format("3.30"))
    held = wallets.hold(payer, item="search", quantity=10, idempotency_key="a")
    assert (held.amount, held.price_version) == (Decimal(33), 1)
    wallets.prices.apply(SEARCH.format("2.20"))
    captured = wallets.capture(held.hold_id, item="search", quantity=4)
    assert (captured.amount, captured.price_version, captured.balance) == (Decimal("8.8"), 2, Decimal("991.2"))


def test_a_capture_that_has_become_dearer_than_its_hold_is_refused_or_takes_of_the_balance(
    wallets: CreditWallet, payer: int
) -> None:
    wallets.prices.apply(SEARCH.format(3))
    held = wallets.hold(payer, item="search", quantity=2, idempotency_key="a")
    wallets.prices.apply(SEARCH.format(5))
    with pytest.raises(InvalidAmount, match="holds ¥6"):
        wallets.capture(held.hold_id, item="search", quantity=2)
    assert wallets.capture(held.hold_id, item="search", quantity=2, above="up_to_balance").amount == 10


def test_a_price_that_is_gone_leaves_open_holds_alone(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(SEARCH.format(3))
    held = wallets.hold(payer, item="search", quantity=2, idempotency_key="a")
    wallets.prices.apply("price = []", allow_empty=True)
    with pytest.raises(ItemNotPriced):
        wallets.capture(held.hold_id, item="search", quantity=2)
    assert wallets.capture(held.hold_id, 5).amount == 5


def test_a_free_hold_can_be_captured_extended_and_released(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(SEARCH.format(0))
    holds = [wallets.hold(payer, item="search", idempotency_key=key) for key in ("a", "b")]
    wallets.extend(holds[0].hold_id, ttl_seconds=1_000)
    assert wallets.capture(holds[0].hold_id, item="search").amount == 0
    assert wallets.release(holds[1].hold_id).amount == 0
    assert wallets.verify() == []


def test_what_is_free_needs_no_room_in_a_budget_that_was_lowered(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(SEARCH.format(0))
    wallets.charge(payer, 10, idempotency_key="before")
    wallets.configure(payer, monthly_budget_yen=5, budget_mode="cap")
    assert wallets.charge(payer, item="search", idempotency_key="a").amount == 0
    assert wallets.hold(payer, item="search", idempotency_key="b").amount == 0
    with pytest.raises(BudgetExhausted):
        wallets.charge(payer, "0.000001", idempotency_key="c")


def test_what_is_free_is_of_no_lot_and_brings_none_back(wallets: CreditWallet, clock: Clock) -> None:
    wallets.prices.apply(SEARCH.format(0))
    buyer = wallets.create().wallet_id
    ends = NOON + timedelta(days=1)
    wallets.topup(buyer, 10, idempotency_key="credit", promo=True, expires_at=format_instant(ends))
    wallets.charge(buyer, item="search", idempotency_key="free")
    held = [wallets.hold(buyer, item="search", idempotency_key=key) for key in ("a", "b")]
    wallets.charge(buyer, 10, idempotency_key="all")
    wallets.release(held[0].hold_id)
    clock.set(ends)
    wallets.maintenance.expire(buyer)
    assert wallets.lots.list(buyer) == []
    assert [entry.txn_type for entry in wallets.history(buyer)] == ["charge", "charge", "topup"]
    assert wallets.verify() == []


@pytest.mark.parametrize("how", ["expires", "undone"])
def test_a_free_hold_of_which_more_was_captured_is_paid(
    wallets: CreditWallet, payer: int, clock: Clock, how: str
) -> None:
    wallets.prices.apply(TIERED)

    def buy(attempt: str) -> Bought:
        return wallets.purchases.buy(
            payer, item="tokens", purchase_key="p", attempt=attempt, hold_seconds=60, free_retries=1
        )

    held = buy("one")
    assert held.amount == 0
    assert held.hold_id is not None
    captured = wallets.capture(
        held.hold_id, item="tokens", quantity=1_500, final=False, above="up_to_balance", idempotency_key="part"
    )
    assert captured.amount == 100
    if how == "undone":
        wallets.purchases.undo(payer, "p", attempt="one")
    else:
        clock.set(NOON + timedelta(hours=1))
        wallets.maintenance.expire_due()
    again = buy("two")
    assert (again.free, again.hold_id, int(wallets.balance(payer))) == (True, held.hold_id, 900)
    while wallets.maintenance.seal():
        pass
    assert wallets.verify() == []


def test_a_purchase_keeps_the_price_at_which_it_was_bought(wallets: CreditWallet, payer: int) -> None:
    def buy(attempt: str) -> tuple[Decimal, int | None, bool]:
        bought = wallets.purchases.buy(payer, item="search", purchase_key="p", attempt=attempt, free_retries=1)
        return bought.amount, bought.price_version, bought.free

    wallets.prices.apply(SEARCH.format("3.30"))
    assert buy("one") == (Decimal("3.3"), 1, False)
    wallets.purchases.serve(payer, "p", attempt="one")
    wallets.prices.apply(SEARCH.format(9))
    assert buy("two") == (Decimal("3.3"), 1, True)


def test_a_served_hold_that_expires_says_what_it_was_for(wallets: CreditWallet, payer: int, clock: Clock) -> None:
    wallets.prices.apply(SEARCH.format("3.30"))
    wallets.purchases.buy(payer, item="search", quantity=2, purchase_key="p", attempt="a", hold_seconds=60)
    wallets.purchases.serve(payer, "p", attempt="a")
    clock.advance(seconds=61)
    [entry, _] = wallets.history(payer)
    assert (entry.item, entry.quantity, entry.amount, entry.price_version) == ("search", Decimal(2), Decimal("-6.6"), 1)


def test_a_capture_of_a_whole_hold_is_for_what_was_held(wallets: CreditWallet, payer: int) -> None:
    wallets.prices.apply(SEARCH.format("3.30"))
    held = wallets.hold(payer, item="search", quantity=2, facts={"run": "r1"}, idempotency_key="a")
    assert wallets.capture(held.hold_id, "6.60").price_version == 1
    [entry, _] = wallets.history(payer)
    assert (entry.item, entry.quantity, entry.facts) == ("search", Decimal(2), {"run": "r1"})
    part = wallets.hold(payer, item="search", quantity=2, idempotency_key="b")
    wallets.capture(part.hold_id, 6)
    assert wallets.history(payer)[0].item is None


def test_a_capture_beyond_a_hold_that_is_used_up_is_refused_when_nothing_is_left(
    wallets: CreditWallet, payer: int
) -> None:
    held = wallets.hold(payer, 10, idempotency_key="a")
    wallets.capture(held.hold_id, 10, final=False, above="up_to_balance", idempotency_key="b")
    wallets.charge(payer, 990, idempotency_key="c")
    with pytest.raises(InsufficientFunds):
        wallets.capture(held.hold_id, 1, above="up_to_balance", idempotency_key="d")
    wallets.topup(payer, 5, idempotency_key="more")
    assert wallets.capture(held.hold_id, 7, above="up_to_balance", idempotency_key="d").amount == 5


def test_the_facts_of_a_hold_and_its_capture_are_eight_at_most(wallets: CreditWallet, payer: int) -> None:
    facts = {f"fact{number}": "x" for number in range(8)}
    held = wallets.hold(payer, 10, facts=facts, idempotency_key="a")
    with pytest.raises(InvalidRequest, match="at most 8 facts, not 9") as refusal:
        wallets.capture(held.hold_id, 5, facts={"other": "y"})
    assert refusal.value.details == {"field": "facts"}
    assert wallets.show(payer).held == 10
    wallets.capture(held.hold_id, 5, facts={"fact1": "y"})
    assert wallets.history(payer)[0].facts == {**facts, "fact1": "y"}


def test_a_hold_that_is_used_up_is_captured_whoever_closes_it(wallets: CreditWallet, payer: int, clock: Clock) -> None:
    held = [wallets.hold(payer, 10, ttl_seconds=60, idempotency_key=key) for key in ("a", "b")]
    for hold in held:
        wallets.capture(hold.hold_id, 10, final=False, above="up_to_balance", idempotency_key=f"all of {hold.hold_id}")
    assert wallets.release(held[0].hold_id).amount == 0
    clock.advance(seconds=61)
    wallets.maintenance.expire_due()
    assert [wallets.holds.show(hold.hold_id).status for hold in held] == ["captured", "captured"]
    assert wallets.show(payer).balance == 980


def test_the_facts_of_an_agent_give_way_to_those_that_a_seller_adds(wallets: CreditWallet, payer: int) -> None:
    agents = {f"agent{number}": "x" for number in range(8)}
    held = wallets.hold(payer, 10, agent_facts=agents, idempotency_key="a")
    wallets.capture(
        held.hold_id, 4, facts={"model": "small"}, agent_facts={"said": "now"}, final=False, idempotency_key="b"
    )
    wallets.capture(held.hold_id, 3, final=False, idempotency_key="c")
    with pytest.raises(InvalidRequest, match="at most 8 facts, not 9"):
        wallets.capture(held.hold_id, 3, agent_facts={"ninth": "x"})
    with pytest.raises(InvalidRequest, match="at most 8 facts, not 9"):
        wallets.capture(held.hold_id, 3, facts={f"fact{number}": "x" for number in range(9)})
    kept = {f"agent{number}": "x" for number in range(6)}
    second, first = wallets.history(payer, limit=2)
    assert (first.facts, first.agent_facts) == ({"model": "small"}, {**kept, "said": "now"})
    assert (second.facts, second.agent_facts) == ({}, agents)
