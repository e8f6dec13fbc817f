"""Top-ups without Stripe: whatever order its news comes in, the ledger ends with what Stripe has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import deepcopy
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from clock import Clock
from databases import SqliteFiles
from hypothesis import given, settings
from hypothesis import strategies as st
from width import examples

from credit_wallet import CreditWallet
from credit_wallet.domain.topups import (
    MISMATCH,
    Clawback,
    PaymentFact,
    TopupState,
    clawed_back_yen,
    join,
    shortfall_yen,
    topup_id_of,
)
from credit_wallet.errors import (
    InvalidRequest,
    RefundExceedsCharge,
    TopupInFlight,
    TopupLimitReached,
    TopupNotDue,
    TopupNotFound,
    TopupStopped,
    WalletDisabled,
)
from credit_wallet.rules import lots
from credit_wallet.rules.declines import MAX_FAILURES

LIMITS: dict[str, Any] = {"min_yen": 50, "max_yen": 100_000}


def new_topup(status: str = "requested") -> TopupState:
    return TopupState(
        topup_id="tu_1",
        wallet_id=1,
        amount_yen=1_000,
        origin="owner",
        flow="intent",
        status=status,  # type: ignore[arg-type]
        processing=False,
        payment_intent=None,
        checkout_session=None,
        observed_at=0,
        received_yen=0,
        clawbacks={},
        credited_yen=0,
        reversed_yen=0,
        credit_txn_id=None,
        reason=None,
        action_url=None,
        created_at="2026-05-15T12:00:00.000Z",
    )


def joined(facts: Sequence[PaymentFact]) -> TopupState:
    topup = new_topup()
    for fact in facts:
        join(topup, fact)
    return topup


SUCCEEDED = PaymentFact(observed_at=30, status="succeeded", received_yen=1_000, payment_intent="pi_1")
NEWS = [
    PaymentFact(observed_at=10, status="pending", payment_intent="pi_1"),
    PaymentFact(observed_at=15, status="requires_action", payment_intent="pi_1", action_url="https://bank.example/"),
    PaymentFact(observed_at=18, status="failed", payment_intent="pi_1", reason="card_declined"),
    PaymentFact(observed_at=20, status="pending", processing=True, payment_intent="pi_1"),
    SUCCEEDED,
    PaymentFact(observed_at=40, clawbacks=(Clawback("re_1", "refund", 100, "withdrawn"),)),
    PaymentFact(observed_at=50, clawbacks=(Clawback("dp_1", "dispute", 400, "announced"),)),
    PaymentFact(observed_at=60, clawbacks=(Clawback("dp_1", "dispute", 400, "withdrawn"),)),
    PaymentFact(observed_at=70, clawbacks=(Clawback("dp_1", "dispute", 400, "reinstated"),)),
    PaymentFact(
        observed_at=19, status="failed", payment_intent="pi_1", decline="never", mismatches=("1000 of pi_1 in usd",)
    ),
    PaymentFact(
        observed_at=45,
        clawbacks=(Clawback("re_2", "refund", 50, "withdrawn"),),
        mismatches=("7 of re_3 in eur", "8 of dp_2 in eur"),
    ),
]
news = st.lists(st.sampled_from(NEWS), max_size=12)


# The states, pure


@given(news, st.randoms(use_true_random=False))
def test_the_order_of_what_is_said_does_not_matter(facts: list[PaymentFact], random: Any) -> None:
    shuffled = list(facts)
    random.shuffle(shuffled)
    assert joined(shuffled) == joined(facts)


@given(news)
def test_saying_it_again_changes_nothing(facts: list[PaymentFact]) -> None:
    once = joined(facts)
    again = deepcopy(once)
    for fact in facts:
        join(again, fact)
    assert again == once


@given(news)
def test_a_payment_that_succeeded_stays_so(facts: list[PaymentFact]) -> None:
    topup = joined([SUCCEEDED, *facts])
    assert (topup.status, topup.received_yen) == ("succeeded", 1_000)


def test_of_two_passing_states_the_one_said_later_counts() -> None:
    for facts in permutations(NEWS[:4]):
        topup = joined(facts)
        assert (topup.status, topup.processing, topup.reason) == ("pending", True, None)


def test_a_canceled_payment_may_still_turn_out_paid_and_nothing_else() -> None:
    canceled = PaymentFact(observed_at=5, status="canceled", reason="abandoned")
    assert joined([canceled, *NEWS[:4]]).status == "canceled"
    assert joined([canceled, SUCCEEDED]).status == "succeeded"


@given(news)
def test_what_was_not_in_yen_stays_in_the_row(facts: list[PaymentFact]) -> None:
    said = {mismatch for fact in facts for mismatch in fact.mismatches}
    reason = str(joined(facts).reason)
    assert all(mismatch in reason for mismatch in said)
    assert reason.startswith(MISMATCH) == bool(said)


def test_a_dispute_that_was_won_has_taken_nothing_and_an_inquiry_neither() -> None:
    assert clawed_back_yen(joined([SUCCEEDED, NEWS[5], NEWS[7]])) == 500
    assert clawed_back_yen(joined([SUCCEEDED, NEWS[5], NEWS[7], NEWS[8]])) == 100
    assert clawed_back_yen(joined([SUCCEEDED, NEWS[6]])) == 0


def test_a_refunded_payment_that_is_disputed_as_well_is_taken_twice() -> None:
    topup = joined(
        [
            SUCCEEDED,
            PaymentFact(
                observed_at=1,
                clawbacks=(Clawback("re", "refund", 900, "withdrawn"), Clawback("dp", "dispute", 1_000, "withdrawn")),
            ),
        ]
    )
    assert clawed_back_yen(topup) == 1_900


@pytest.mark.parametrize(
    ("balance", "debt", "threshold", "step", "expected"),
    [
        (499, 0, 500, 300, 300),
        (500, 0, 500, 300, 0),
        (0, 0, 500, 300, 600),
        (0, 700, 500, 300, 1_200),  # the debt is repaid first
        (490, 0, 500, 20, 60),  # no less than can be paid, in whole steps
        (0, 0, 500, 0, 0),
    ],
)
def test_the_whole_gap_is_closed_in_whole_steps(
    balance: int, debt: int, threshold: int, step: int, expected: int
) -> None:
    assert shortfall_yen(balance, debt, threshold, step, min_yen=50) == expected


# Through the ledger


@pytest.fixture
def payer(wallets: CreditWallet) -> int:
    """A wallet below its threshold with a saved method."""
    wallet_id = wallets.create(auto_topup_threshold=500, auto_topup_amount=300).wallet_id
    topup_id = request(wallets, wallet_id, 100, "first")
    wallets.topups.settle(
        wallet_id,
        topup_id,
        PaymentFact(observed_at=1, status="succeeded", received_yen=100, customer="cus_1", payment_method="pm_1"),
    )
    return wallet_id


def request(wallets: CreditWallet, wallet_id: int, amount_yen: int = 1_000, key: str = "topup") -> str:
    return str(wallets.topups.request(wallet_id, amount_yen, idempotency_key=key).topup_id)


def request_auto(wallets: CreditWallet, wallet_id: int, key: str = "auto", **limits: int) -> str:
    return str(wallets.topups.request_automatic(wallet_id, idempotency_key=key, **{**LIMITS, **limits}).topup_id)


def fail(wallets: CreditWallet, wallet_id: int, topup_id: str, decline: Any = "later") -> None:
    fact = PaymentFact(observed_at=9, status="failed", reason="card_declined", decline=decline)
    wallets.topups.settle(wallet_id, topup_id, fact)


@settings(max_examples=examples(40))
@given(facts=news, random=st.randoms(use_true_random=False))
def test_the_ledger_ends_with_what_stripe_has(facts: list[PaymentFact], random: Any) -> None:
    """Whatever the order, doubled or interleaved with spending: credited − taken back = received − taken."""
    with TemporaryDirectory() as name, SqliteFiles(Path(name)).ledger() as url, CreditWallet.open(url) as wallets:
        wallet_id = wallets.create().wallet_id
        topup_id = request(wallets, wallet_id)
        for position, fact in enumerate(facts):
            wallets.topups.settle(wallet_id, topup_id, fact)
            if random.random() < 0.5:
                spend = random.randrange(1, 600)
                wallets.charge_many([(wallet_id, spend, f"charge-{position}")])
        topup = wallets.topups.show(topup_id)
        expected = joined(facts)
        assert topup.credited_yen == expected.received_yen
        assert topup.reversed_yen == clawed_back_yen(expected)
        moved = {"topup": 0, "reversal": 0}
        for entry in wallets.history(wallet_id, limit=1_000):
            if entry.txn_type in moved:
                moved[entry.txn_type] += entry.amount_yen
        debt_yen = wallets.show(wallet_id).debt_yen
        assert moved["topup"] + moved["reversal"] - debt_yen == expected.received_yen - clawed_back_yen(expected)
        assert wallets.verify() == []


def test_a_retry_names_the_same_top_up_and_another_key_another(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    first = wallets.topups.request(wallet_id, 1_000, idempotency_key="k")
    again = wallets.topups.request(wallet_id, 1_000, idempotency_key="k")
    assert (again.topup_id, again.replayed) == (first.topup_id, True)
    assert first.topup_id == topup_id_of(wallet_id, "k")
    assert request(wallets, wallet_id, 1_000, "other") != first.topup_id
    assert len(wallets.topups.list(wallet_id)) == 2


def test_credit_comes_once_and_with_its_history(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    topup_id = request(wallets, wallet_id)
    for _ in range(3):
        clock.advance(seconds=1)
        for fact in NEWS[:5]:
            wallets.topups.settle(wallet_id, topup_id, fact)
    assert wallets.balance(wallet_id) == 1_000
    assert [step.status for step in wallets.topups.steps(topup_id)] == [
        "requested",
        "pending",
        "requires_action",
        "failed",
        "pending",
        "credited",
    ]
    [entry] = wallets.history(wallet_id)
    assert wallets.topups.show(topup_id).credit_txn_id == entry.txn_id


def test_what_was_spent_of_a_payment_taken_back_is_owed_and_comes_again_when_the_dispute_is_won(
    wallets: CreditWallet,
) -> None:
    wallet_id = wallets.create().wallet_id
    topup_id = request(wallets, wallet_id)
    wallets.topups.settle(wallet_id, topup_id, SUCCEEDED)
    wallets.charge(wallet_id, 700, idempotency_key="charge")
    wallets.topups.settle(wallet_id, topup_id, NEWS[7])
    assert (wallets.balance(wallet_id), wallets.balance(wallet_id).debt_yen) == (0, 100)
    wallets.topups.settle(wallet_id, topup_id, NEWS[8])
    assert (wallets.balance(wallet_id), wallets.balance(wallet_id).debt_yen) == (300, 0)
    assert wallets.verify() == []


def test_news_of_an_unknown_top_up_or_anothers_moves_nothing(wallets: CreditWallet) -> None:
    owner, other = wallets.create().wallet_id, wallets.create().wallet_id
    topup_id = request(wallets, owner)
    with pytest.raises(TopupNotFound):
        wallets.topups.settle(owner, "tu_unknown", SUCCEEDED)
    with pytest.raises(TopupNotFound):
        wallets.topups.settle(other, topup_id, SUCCEEDED)
    assert (wallets.balance(owner), wallets.balance(other)) == (0, 0)


def test_a_payment_that_lost_its_row_is_credited_once(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    for _ in range(2):
        wallets.topups.settle(wallet_id, "tu_pi_1", SUCCEEDED, amount_yen=1_000)
    assert wallets.balance(wallet_id) == 1_000
    assert [(topup.topup_id, topup.origin) for topup in wallets.topups.list(wallet_id)] == [("tu_pi_1", "found")]


def test_one_payment_is_under_way_at_a_time(wallets: CreditWallet, payer: int) -> None:
    waiting = request(wallets, payer, key="nobody has confirmed it")
    topup_id = request_auto(wallets, payer)
    with pytest.raises(TopupInFlight) as refusal:
        request_auto(wallets, payer, "another")
    assert refusal.value.details["topup_id"] == topup_id
    with pytest.raises(TopupInFlight):
        request(wallets, payer, key="the owner's")
    wallets.topups.settle(payer, topup_id, SUCCEEDED)
    with pytest.raises(TopupNotDue):
        request_auto(wallets, payer, "third")
    assert wallets.topups.show(waiting).status == "requested"


def test_an_automatic_top_up_closes_the_whole_gap_at_once(wallets: CreditWallet, payer: int) -> None:
    """Lago's wallets were topped up by one increment at a time, for weeks (lago-api #6103)."""
    wallets.configure(payer, auto_topup_threshold=5_000)
    assert wallets.topups.show(request_auto(wallets, payer)).amount_yen == 5_100


def test_caps_bound_what_automatic_top_ups_bring_and_are_told(wallets: CreditWallet, payer: int, clock: Clock) -> None:
    wallets.configure(payer, auto_topup_threshold=2_000)
    first = request_auto(wallets, payer, "one", daily_yen=1_000)
    assert wallets.topups.show(first).amount_yen == 900  # whole steps within the cap
    wallets.topups.settle(payer, first, PaymentFact(observed_at=2, status="succeeded", received_yen=900))
    with pytest.raises(TopupLimitReached):
        request_auto(wallets, payer, "two", daily_yen=1_000)
    assert wallets.topups.payer(payer).reason == "limit_reached 2026-05-15"
    clock.advance(days=1)
    second = request_auto(wallets, payer, "three", daily_yen=1_000)
    wallets.topups.settle(payer, second, PaymentFact(observed_at=3, status="succeeded", received_yen=900))
    clock.advance(days=1)
    wallets.charge(payer, 1_500, idempotency_key="spend")
    with pytest.raises(TopupLimitReached):
        request_auto(wallets, payer, "four", monthly_yen=2_000)


@pytest.mark.parametrize(("decline", "wait_hours"), [("soon", 1 / 6), ("later", 24)])
def test_a_declined_method_is_tried_again_later_and_then_no_more(
    wallets: CreditWallet, payer: int, clock: Clock, decline: str, wait_hours: float
) -> None:
    fail(wallets, payer, request_auto(wallets, payer, "attempt-0"), decline)
    with pytest.raises(TopupStopped):
        request_auto(wallets, payer, "too early")
    clock.advance(hours=wait_hours)
    for attempt in range(1, MAX_FAILURES):
        fail(wallets, payer, request_auto(wallets, payer, f"attempt-{attempt}"), decline)
        clock.advance(days=8)
    assert wallets.topups.payer(payer).stopped
    assert wallets.topups.due() == []
    with pytest.raises(TopupStopped):
        request_auto(wallets, payer, "one more")


@pytest.mark.parametrize("decline", ["never", "person"])
def test_some_declines_stop_at_once_until_the_owner_pays(wallets: CreditWallet, payer: int, decline: str) -> None:
    fail(wallets, payer, request_auto(wallets, payer), decline)
    state = wallets.topups.automatic_state(payer)
    assert (state.state, state.reason) == ("stopped", "card_declined")
    paid = request(wallets, payer, 60, "by hand")
    wallets.topups.settle(payer, paid, PaymentFact(observed_at=1, status="succeeded", received_yen=60))
    assert wallets.topups.automatic_state(payer).state == "ready"
    assert wallets.topups.due() == [payer]


def test_a_missing_method_is_told_and_not_skipped(wallets: CreditWallet) -> None:
    """A wallet without a payment method was silently passed over (openstory #328)."""
    wallet_id = wallets.create(auto_topup_threshold=500, auto_topup_amount=300).wallet_id
    assert wallets.topups.due() == [wallet_id]
    with pytest.raises(TopupStopped) as refusal:
        request_auto(wallets, wallet_id)
    assert refusal.value.details["reason"] == "no_payment_method"
    assert wallets.topups.automatic_state(wallet_id).reason == "no_payment_method"


def test_a_disabled_wallet_tops_nothing_up(wallets: CreditWallet, payer: int) -> None:
    wallets.freeze(payer)
    with pytest.raises(WalletDisabled):
        request_auto(wallets, payer)


def test_unused_credit_can_be_taken_out_once_and_never_more_than_is_unused(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    topup_id = request(wallets, wallet_id)
    wallets.topups.settle(wallet_id, topup_id, SUCCEEDED)
    wallets.charge(wallet_id, 700, idempotency_key="charge")
    with pytest.raises(RefundExceedsCharge) as refusal:
        wallets.topups.pay_back(wallet_id, topup_id, 301, idempotency_key="too much")
    assert refusal.value.details["refundable_yen"] == 300
    for _ in range(2):
        wallets.topups.pay_back(wallet_id, topup_id, 200, idempotency_key="back")
    assert (wallets.balance(wallet_id), wallets.balance(wallet_id).debt_yen) == (100, 0)
    assert wallets.verify() == []


# Beside as many gifts as a wallet can have


def ends(count: int) -> list[str]:
    """As many different ends of credit, all later than the clock of the tests."""
    return [f"2027-{1 + number // 28:02d}-{1 + number % 28:02d}T00:00:00Z" for number in range(count)]


@pytest.fixture
def gifted(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> int:
    """A wallet with as many gifts with ends of their own as it can have."""
    monkeypatch.setattr(lots, "MAX_OPEN_LOTS", 20)
    wallet_id = wallets.create().wallet_id
    for number, end in enumerate(ends(20)):
        wallets.topup(wallet_id, 1, idempotency_key=f"gift {number}", promo=True, expires_at=end)
    with pytest.raises(InvalidRequest):
        wallets.topup(wallet_id, 1, idempotency_key="no more", promo=True, expires_at="2028-01-01T00:00:00Z")
    return wallet_id


def test_a_paid_top_up_comes_in_beside_a_thousand_gifts(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id

    async def give() -> None:
        dates = [f"20{30 + number // 300}-{1 + number % 12:02d}-{1 + number // 12 % 25:02d}" for number in range(1_000)]
        assert len(set(dates)) == 1_000
        await asyncio.gather(
            *(
                wallets.atopup(wallet_id, 1, idempotency_key=date, promo=True, expires_at=f"{date}T00:00:00Z")
                for date in dates
            )
        )

    asyncio.run(give())
    topup_id = request(wallets, wallet_id)
    wallets.topups.settle(wallet_id, topup_id, SUCCEEDED)
    assert wallets.topups.show(topup_id).status == "credited"
    assert (wallets.balance(wallet_id), len(wallets.lots.list(wallet_id))) == (2_000, 1_001)
    assert wallets.verify() == []


def test_what_is_paid_in_any_way_comes_in(wallets: CreditWallet, gifted: int) -> None:
    """By hand, with an end of its own, again and again, and after a dispute was won."""
    wallets.topup(gifted, 10, idempotency_key="by hand")
    wallets.topup(gifted, 10, idempotency_key="with an end", expires_at="2028-01-01T00:00:00Z")
    topup_id = request(wallets, gifted)
    for fact in (SUCCEEDED, *NEWS[6:9]):
        wallets.topups.settle(gifted, topup_id, fact)
    for number in range(30):
        again = request(wallets, gifted, 100, f"again {number}")
        wallets.topups.settle(gifted, again, PaymentFact(observed_at=1, status="succeeded", received_yen=100))
    assert wallets.balance(gifted) == 20 + 10 + 10 + 1_000 + 3_000
    assert len([lot for lot in wallets.lots.list(gifted) if lot.kind == "paid"]) <= 21
    assert wallets.verify() == []


def test_paid_credit_with_ends_of_its_own_leaves_room_for_that_without(
    wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lots, "MAX_OPEN_LOTS", 20)
    wallet_id = wallets.create().wallet_id
    for number, end in enumerate(ends(20)):
        wallets.topup(wallet_id, 1, idempotency_key=f"paid {number}", expires_at=end)
    with pytest.raises(InvalidRequest):
        wallets.topup(wallet_id, 1, idempotency_key="no more", expires_at="2028-01-01T00:00:00Z")
    for number in range(3):
        wallets.topup(wallet_id, 100, idempotency_key=f"without an end {number}")
    wallets.topup(wallet_id, 5, idempotency_key="gift", promo=True)
    assert (wallets.balance(wallet_id), len(wallets.lots.list(wallet_id))) == (325, 22)
    assert wallets.verify() == []
