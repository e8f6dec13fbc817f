"""What operators see of all wallets together: totals, payments that need help, notices that did not arrive."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from clock import Clock
from databases import on_both_databases
from http_answers import assert_problem
from msgspec import json
from notified import notifier_of, told_of_charges
from plain_sql import PlainSql
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.wire.replies import Resent

pytestmark = on_both_databases


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 28, 12, tzinfo=UTC))


def test_totals_say_what_all_wallets_have_and_what_moved_this_month(wallets: CreditWallet, clock: Clock) -> None:
    one, two, three = (wallets.create().wallet_id for _ in range(3))
    clock.set(datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    wallets.topup(one, 5, idempotency_key="october")
    clock.set(datetime(2026, 11, 1, tzinfo=UTC))
    wallets.topup(one, "100.50", idempotency_key="paid")
    wallets.topup(two, 40, idempotency_key="promo", promo=True)
    charged = wallets.charge(one, "3.30", idempotency_key="c")
    wallets.refund(charged.txn_id, "0.30", idempotency_key="r")
    wallets.hold(two, 15, idempotency_key="h")
    wallets.transfers.create(one, two, 2, idempotency_key="t")
    wallets.freeze(three, reason="other", note="n")
    while wallets.maintenance.count_totals():
        pass
    with Api(new_app(wallets)) as api:
        totals = api.get("/operator/totals", OPERATOR_KEY).json()
        assert {name: totals[name] for name in ("wallets", "frozen", "closed", "in_debt", "exhausted")} == {
            "wallets": 3,
            "frozen": 1,
            "closed": 0,
            "in_debt": 0,
            "exhausted": 1,
        }
        figures = ["127.5", "102.5", "25", "15"]
        assert [totals[name] for name in ("balance", "paid", "promo", "held", "debt")] == [*figures, "0"]
        assert [totals[name] for name in ("credited", "charged", "refunded", "expired", "taken_back")] == [
            "140.5",
            "3.3",
            "0.3",
            "0",
            "0",
        ]
        assert (totals["month"], totals["month_counted_to"][:10]) == ("2026-11", "2026-11-01")

        wallets.charge(one, 7, idempotency_key="later")
        assert api.get("/operator/totals", OPERATOR_KEY).json() == totals
        anew = wallets.totals(anew=True)
        assert (anew.charged_yen, anew.taken_back_yen) == (10, 0)
        clock.set(datetime(2026, 12, 1, tzinfo=UTC))
        assert api.get("/operator/totals", OPERATOR_KEY).json()["charged"] == "0"


def test_totals_that_were_never_counted_are_counted_when_they_are_asked_for(wallets: CreditWallet) -> None:
    assert (wallets.totals().wallets, wallets.totals().month_counted_to) == (0, None)


def test_entries_are_counted_once_whoever_counts(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 9, idempotency_key="t")
    wallets.totals(anew=True)
    assert wallets.totals(anew=True).credited_yen == wallets.totals().credited_yen == 9


def failed(wallets: CreditWallet, wallet_id: int, key: str, reason: str | None) -> str:
    topup_id = wallets.topups.request(wallet_id, 1_000, idempotency_key=key).topup_id
    if reason is not None:
        wallets.topups.settle(wallet_id, topup_id, PaymentFact(observed_at=1, status="failed", reason=reason))
    return topup_id


def test_failed_payments_of_everybody_say_what_to_do(wallets: CreditWallet, clock: Clock) -> None:
    expected = []
    for reason, advice in (
        ("no_payment_method", "ask the owner to save a card"),
        ("expired_card", "save another card"),
        ("authentication_required", "to confirm it"),
        ("insufficient_funds", "try again"),
    ):
        clock.advance(seconds=1)
        expected.append((failed(wallets, wallets.create().wallet_id, "k", reason), advice))
    pending = failed(wallets, wallets.create().wallet_id, "k", None)
    with Api(new_app(wallets)) as api:
        found, cursor = [], None
        while True:
            asked = {"status": "failed", "limit": 3, **({"cursor": cursor} if cursor else {})}
            page = api.get("/operator/topups", OPERATOR_KEY, **asked).json()
            found += page["topups"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert [each["topup_id"] for each in found] == [topup_id for topup_id, _ in expected[::-1]]
        assert all(advice in each["next_step"] for each, (_, advice) in zip(found, expected[::-1], strict=True))
        everything = api.get("/operator/topups", OPERATOR_KEY).json()
        assert everything["topups"][0]["topup_id"] == pending
        assert (len(everything["topups"]), everything["next_cursor"]) == (5, None)
        for wrong in ({"status": "lost"}, {"cursor": "1"}):
            assert_problem(api.get("/operator/topups", OPERATOR_KEY, **wrong), 422, "invalid_request")


def test_dead_notices_of_everybody_are_listed_and_sent_again(wallets: CreditWallet, db_url: str) -> None:
    one, two = (told_of_charges(wallets, "http://127.0.0.1:1/hook") for _ in range(2))
    notifier_of(wallets).deliver()
    with PlainSql(db_url) as host:
        host.run("UPDATE am_credit_delivery SET status = 'dead', last_error = 'gone'")
    with Api(new_app(wallets)) as api:
        dead = api.get("/operator/deliveries", OPERATOR_KEY, status="dead").json()
        assert {each["wallet_id"] for each in dead} == {one, two}
        assert [each["delivery_id"] for each in dead] == sorted((each["delivery_id"] for each in dead), reverse=True)
        last = dead[-1]["delivery_id"]
        earlier = api.get("/operator/deliveries", OPERATOR_KEY, before=last + 1, limit=1).json()
        assert [each["delivery_id"] for each in earlier] == [last]
        again = api.post(f"/operator/deliveries/{last}/resend", OPERATOR_KEY)
        assert (again.status_code, json.decode(again.content, type=Resent).resent) == (200, 1)
        assert last not in [
            each["delivery_id"] for each in api.get("/operator/deliveries", OPERATOR_KEY, status="dead").json()
        ]
        assert_problem(api.post("/operator/deliveries/999/resend", OPERATOR_KEY), 404, "delivery_not_found")
