"""Turns of the rules that seldom happen, decided without a store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from amounts import yen
from msgspec import structs
from snapshots import new_snapshot

from credit_wallet.domain.commands import (
    Buy,
    Capture,
    Charge,
    Command,
    Configure,
    Hold,
    Movement,
    PayBack,
    Refund,
    Renew,
    RequestAutoTopup,
    RequestTopup,
    Serve,
    SettleTopup,
    Topup,
    Undo,
)
from credit_wallet.domain.money import MAX_BALANCE_MICROS
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.prices import EVERYBODY, Price, PriceBook
from credit_wallet.domain.topups import AutoToppedUp, Clawback, PayerState, PaymentFact, TopupState, topup_id_of
from credit_wallet.domain.usage import QUANTITY_UNIT, Usage
from credit_wallet.domain.views import KeyView, WalletView
from credit_wallet.errors import (
    InvalidAmount,
    InvalidRequest,
    TopupLimitReached,
    TopupNotFound,
    TopupStopped,
    WalletError,
)
from credit_wallet.rules.decide import decide
from credit_wallet.rules.declines import decline_kind
from credit_wallet.rules.events import ledger_sealed
from credit_wallet.rules.limits import spendable_micros
from credit_wallet.rules.pay_back import PayBackRoom
from credit_wallet.rules.state import ClawbackState, EntryRecord, HoldState, Lot, Snapshot
from credit_wallet.rules.validation import checked_after, checked_cycle, checked_end, malformed, malformed_auto_topup

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)


def outcomes(snapshot: Snapshot, *commands: Command) -> list[Any]:
    return list(decide(snapshot, commands, NOON).outcomes)


def funded(micros: int) -> Snapshot:
    snapshot = new_snapshot()
    wallet = snapshot.wallets[1]
    wallet.balance_micros, wallet.lots = micros, [Lot(0, "paid", micros, None)]
    return snapshot


def topup(status: str = "credited", **more: Any) -> TopupState:
    values: dict[str, Any] = {
        "topup_id": "tu_1",
        "wallet_id": 1,
        "amount_yen": 500,
        "origin": "owner",
        "flow": "intent",
        "status": status,
        "processing": False,
        "payment_intent": "pi_1",
        "checkout_session": None,
        "observed_at": 1,
        "received_yen": 500,
        "clawbacks": {},
        "credited_yen": 500,
        "reversed_yen": 0,
        "credit_txn_id": 7,
        "reason": None,
        "action_url": None,
        "created_at": "2026-05-01T00:00:00.000Z",
    }
    return TopupState(**{**values, **more})


# Spending and giving back


def test_a_charge_that_plain_sql_wrote_without_lots_is_refunded_as_a_lot_of_its_own() -> None:
    snapshot = new_snapshot()
    snapshot.entries[3] = EntryRecord(3, 1, -yen("40.5"), "charge", [], 0)
    decision = decide(snapshot, [Refund(1, "refund", 3)], NOON)
    assert [(lot.kind, lot.granted_micros, lot.expires_at) for lot in decision.opened_lots] == [
        ("paid", yen("40.5"), None)
    ]
    assert snapshot.wallets[1].balance_micros == yen("40.5")


def test_a_purchase_is_undone_in_the_batch_that_charged_it_and_renewing_it_then_changes_nothing() -> None:
    snapshot = funded(yen(100))
    bought, undone, renewed = outcomes(
        snapshot, Buy(1, "p", "a", yen(30)), Undo(1, "p", "a"), Renew(1, "p", "a", lease_seconds=60)
    )
    assert (bought.balance_yen, undone.amount_yen, renewed.balance_yen) == (70, 30, 100)


def test_a_purchase_cannot_be_undone_into_a_wallet_that_is_full() -> None:
    snapshot = funded(yen(100))
    fill = Topup(1, "fill", MAX_BALANCE_MICROS - yen(70))
    *_, refusal = outcomes(snapshot, Buy(1, "p", "a", yen(30)), fill, Undo(1, "p", "a"))
    assert isinstance(refusal, InvalidAmount)


def test_serving_a_hold_that_was_captured_spends_nothing_more() -> None:
    snapshot = funded(yen(100))
    [bought] = outcomes(snapshot, Buy(1, "p", "a", yen(30), hold_seconds=60))
    outcomes(snapshot, Capture(1, "capture", bought.hold_id, yen(30)))
    [served] = outcomes(snapshot, Serve(1, "p", "a"))
    assert isinstance(served, Outcome)
    assert snapshot.wallets[1].balance_micros == yen(70)


def test_a_disabled_wallet_gives_nothing_beyond_a_hold() -> None:
    snapshot = funded(yen(100))
    [held] = outcomes(snapshot, Hold(1, "hold", yen(30)))
    snapshot.wallets[1].enabled = False
    [captured] = outcomes(snapshot, Capture(1, "capture", held.hold_id, yen(50), above="up_to_balance"))
    assert captured.amount_yen == 30


def test_debt_of_several_top_ups_is_repaid_in_order_as_far_as_the_credit_goes() -> None:
    snapshot = new_snapshot()
    snapshot.wallets[1].debt_micros = yen(90)
    snapshot.clawbacks[1] = {number: ClawbackState(1, number, [], yen(30)) for number in (5, 6, 7)}
    outcomes(snapshot, Topup(1, "topup", yen("50.5")))
    assert [each.owed_micros for each in snapshot.clawbacks[1].values()] == [0, yen("9.5"), yen(30)]
    assert (snapshot.wallets[1].balance_micros, snapshot.wallets[1].debt_micros) == (0, yen("39.5"))


def view(**more: Any) -> WalletView:
    values: dict[str, Any] = dict.fromkeys(WalletView.__struct_fields__, 0)
    return WalletView(**{**values, "enabled": True, "balance_micros": yen(100), "budget_mode": "cap", **more})


def key(**more: Any) -> KeyView:
    values: dict[str, Any] = dict.fromkeys(KeyView.__struct_fields__, 0)
    return KeyView(**{**values, "scopes": ("spend",), **more})


@pytest.mark.parametrize(
    ("wallet", "agent", "spendable"),
    [
        (view(), None, "100"),
        (view(enabled=False), None, "0"),
        (view(monthly_budget_yen=60, current_cycle_spent_micros=yen("19.7")), None, "40.3"),
        (view(monthly_budget_yen=60, current_cycle_spent_micros=yen(80)), None, "0"),
        (view(), key(monthly_cap_yen=30, current_cycle_spent_micros=yen(5), held_micros=yen("5.25")), "19.75"),
    ],
)
def test_what_can_be_spent_is_the_least_of_balance_budget_and_cap(
    wallet: WalletView, agent: KeyView | None, spendable: str
) -> None:
    assert spendable_micros(wallet, agent) == yen(spendable)


# Payments


def test_what_was_taken_before_there_was_a_register_comes_back_as_paid_credit() -> None:
    snapshot = new_snapshot()
    snapshot.topups["tu_1"] = topup(reversed_yen=200, clawbacks={"dp_1": Clawback("dp_1", "dispute", 200, "withdrawn")})
    won = Clawback("dp_1", "dispute", 200, "reinstated")
    outcomes(snapshot, SettleTopup(1, "tu_1", PaymentFact(observed_at=2, clawbacks=(won,))))
    assert [(lot.kind, lot.remaining_micros) for lot in snapshot.wallets[1].lots] == [("paid", yen(200))]


def test_an_amount_that_is_not_in_yen_is_reported_whether_its_top_up_is_known_or_not() -> None:
    snapshot = new_snapshot()
    fact = PaymentFact(observed_at=2, mismatches=("amount 5 of pi_1, currency usd: not a whole number of yen",))
    decision = decide(snapshot, [SettleTopup(1, "tu_9", fact)], NOON)
    assert [event.kind for event in decision.events] == ["topup.currency_mismatch"]
    [refusal] = outcomes(new_snapshot(), SettleTopup(1, "tu_9", PaymentFact(observed_at=2)))
    assert isinstance(refusal, TopupNotFound)


def test_a_payment_that_was_found_and_is_not_paid_yet_has_a_history_and_no_news() -> None:
    snapshot = new_snapshot()
    fact = PaymentFact(observed_at=2, status="pending", payment_intent="pi_2")
    decision = decide(snapshot, [SettleTopup(1, "tu_2", fact, 500)], NOON)
    assert [(step.topup_id, step.status) for step in decision.topup_steps] == [("tu_2", "pending")]
    requested = decide(new_snapshot(), [SettleTopup(1, "tu_2", PaymentFact(observed_at=2), 500)], NOON)
    assert [step.status for step in requested.topup_steps] == ["requested"]


def test_a_payment_of_another_top_up_cancels_the_one_that_it_was_asked_for_under() -> None:
    snapshot = new_snapshot()
    snapshot.topups |= {"tu_1": topup(), "tu_2": topup("pending", topup_id="tu_2", received_yen=0, credit_txn_id=None)}
    outcomes(snapshot, SettleTopup(1, "tu_2", PaymentFact(observed_at=2, status="succeeded", received_yen=500)))
    assert (snapshot.topups["tu_2"].status, snapshot.topups["tu_2"].reason) == ("canceled", "paid_as_another")


def test_a_payment_that_the_wallet_cannot_take_stays_to_be_looked_at() -> None:
    snapshot = funded(MAX_BALANCE_MICROS)
    snapshot.topups["tu_1"] = topup("pending", received_yen=0, credited_yen=0, credit_txn_id=None)
    outcomes(snapshot, SettleTopup(1, "tu_1", PaymentFact(observed_at=2, status="succeeded", received_yen=500)))
    assert snapshot.topups["tu_1"].status == "succeeded"
    assert "would exceed" in str(snapshot.topups["tu_1"].reason)


@pytest.mark.parametrize("payer", [PayerState(1), PayerState(1, payment_method="pm_1")])
def test_what_keeps_automatic_top_ups_from_happening_is_emitted_once(payer: PayerState) -> None:
    snapshot = new_snapshot()
    snapshot.payers[1] = payer
    max_yen = 40 if payer.payment_method else 1_000
    commands = [RequestAutoTopup(1, f"auto {number}", 10, max_yen) for number in range(2)]
    decision = decide(snapshot, commands, NOON)
    assert {type(each) for each in decision.outcomes} == {TopupLimitReached if payer.payment_method else TopupStopped}
    assert len(decision.events) == 1


def test_automatic_top_ups_that_run_away_are_reported_once_an_hour() -> None:
    snapshot = new_snapshot()
    snapshot.payers[1] = PayerState(1, payment_method="pm_1")
    snapshot.auto_topped_up[1] = AutoToppedUp(300, 300, 300, 300, 3)
    decision = decide(snapshot, [RequestAutoTopup(1, "auto", 10, 1_000)], NOON)
    assert [(event.kind, event.payload["topups"]) for event in decision.events] == [("auto_topup.runaway_detected", 4)]


@pytest.mark.parametrize(("origin", "is_known"), [("owner", True), ("auto", False)])
def test_a_top_up_that_was_asked_for_long_ago_is_the_same_one(origin: Any, is_known: bool) -> None:
    snapshot = new_snapshot()
    topup_id = topup_id_of(1, RequestTopup(1, "key", 900).stored_key)
    snapshot.topups[topup_id] = topup("failed", topup_id=topup_id, origin=origin)
    [outcome] = outcomes(snapshot, RequestTopup(1, "key", 900))
    if is_known:
        assert (outcome.topup_id, outcome.amount_yen) == (topup_id, 500)
    else:
        assert isinstance(outcome, TopupNotFound)


def test_only_a_top_up_that_was_credited_is_paid_back() -> None:
    snapshot = new_snapshot()
    snapshot.topups["tu_1"] = topup("pending")
    for topup_id in ("tu_1", "tu_9"):
        assert isinstance(outcomes(snapshot, PayBack(1, f"back {topup_id}", topup_id, 1))[0], TopupNotFound)


def test_no_room_is_below_zero() -> None:
    assert PayBackRoom("2026-03-31", 0, 0, 100, 30).left_yen == 70
    assert PayBackRoom("2026-03-31", 0, 0, 100, 130).left_yen == 0


@pytest.mark.parametrize(
    ("code", "advice", "kind"),
    [
        ("insufficient_funds", None, "later"),
        (None, None, "later"),
        ("stolen_card", None, "never"),
        ("try_again_later", None, "soon"),
        ("try_again_later", "03", "never"),
        ("call_issuer", None, "person"),
    ],
)
def test_codes_say_whether_a_declined_card_is_tried_again(code: str | None, advice: str | None, kind: str) -> None:
    assert decline_kind(code, advice) == kind


def test_a_seal_is_reported_once_a_day() -> None:
    event = ledger_sealed(3, "seal 1 …", "2026-05-15")
    assert event == (3, "ledger.sealed", {"wallet_id": 3, "anchor": "seal 1 …"}, "ledger.sealed 2026-05-15")


# What is asked for


def test_automatic_top_ups_have_both_figures_or_none() -> None:
    assert malformed_auto_topup(0, 0) is None
    assert malformed_auto_topup(5, 10) is None
    for threshold_yen, amount_yen, field in ((5, 0, "auto_topup_amount"), (0, 5, "auto_topup_threshold")):
        problem = malformed_auto_topup(threshold_yen, amount_yen)
        assert problem is not None
        assert problem.details["field"] == field
    [refusal] = outcomes(new_snapshot(), Configure(1, auto_topup_amount=0))
    assert isinstance(refusal, InvalidRequest)


def test_a_movement_that_no_rule_knows_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="is not a movement"):
        malformed(Movement(1, "key"))


@pytest.mark.parametrize("value", ["2026-13-01", "2026-W20", "soon", "0999-01-01", 5])
def test_an_end_that_is_none_is_refused_by_name(value: Any) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        checked_end("expires_at", value, lambda: "UTC")
    assert refusal.value.details["field"] == "expires_at"


def test_a_page_begins_after_an_id_or_at_the_beginning() -> None:
    assert (checked_after(0), checked_after(7)) == (0, 7)
    for value in (-1, 2**63, True, "1"):
        with pytest.raises(InvalidRequest):
            checked_after(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["2026-13", "9999-01", "May", None])
def test_a_cycle_is_a_year_and_a_month(value: Any) -> None:
    assert checked_cycle("2026-05") == "2026-05"
    with pytest.raises(InvalidRequest):
        checked_cycle(value)


def test_a_charge_of_a_key_that_names_another_wallet_is_refused() -> None:
    [refusal] = outcomes(funded(yen(100)), Charge(2, "charge", yen(1), key_id=11))
    assert isinstance(refusal, WalletError)


def test_a_released_hold_gives_back_what_it_held() -> None:
    snapshot = funded(yen(100))
    [held] = outcomes(snapshot, Hold(1, "hold", yen(30)))
    hold: HoldState = snapshot.holds[held.hold_id]
    assert (hold.left_micros, snapshot.wallets[1].balance_micros) == (yen(30), yen(70))


@pytest.mark.parametrize("hold_seconds", [None, 60])
@pytest.mark.parametrize("usage", [None, Usage("search", QUANTITY_UNIT)])
def test_a_gift_that_a_purchase_used_up_comes_back_as_a_gift_in_the_same_batch(
    usage: Usage | None, hold_seconds: int | None
) -> None:
    gift = Lot(5, "promo", yen("3.3"), "2026-06-01T00:00:00.000Z")
    snapshot = new_snapshot()
    snapshot.prices = PriceBook(1, [Price("search", EVERYBODY, "", "", 1, yen("3.3"))])
    snapshot.wallets[1].balance_micros, snapshot.wallets[1].lots = yen("3.3"), [structs.replace(gift)]
    amount_micros = 0 if usage else yen("3.3")
    buy = Buy(1, "p", "a", amount_micros, hold_seconds, usage=usage)
    decision = decide(snapshot, [buy, Undo(1, "p", "a")], NOON)
    assert [each.amount_micros for each in decision.outcomes] == [yen("3.3")] * 2  # type: ignore[union-attr]
    assert snapshot.wallets[1].lots == [gift]
    assert decision.opened_lots == []
