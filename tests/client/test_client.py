"""The clients of the service: the same behaviour of both, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from both_clients import QUICK, Clients
from clock import Clock
from served import Served
from service import OPERATOR_KEY, TOPUP_URL, free_port, new_app
from stand_in import StandIn
from weather import Fault, Weather, answering, bad_gateway, lost_answer

from credit_wallet import CreditWallet
from credit_wallet.client import AsyncWalletClient, Retries, WalletClient, calls
from credit_wallet.client.responses import NoResponse, Response, error_of, retry_after_seconds
from credit_wallet.client.transport import MAYBE_DONE, NOT_DONE
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.errors import (
    Forbidden,
    InsufficientFunds,
    InvalidRequest,
    KeyCapExhausted,
    RailBusy,
    ServiceFailed,
    ServiceUnreachable,
    TopupNotFound,
    Unauthorized,
    UnexpectedResponse,
    WalletError,
)
from credit_wallet.payments.replies import TopupReply
from credit_wallet.wire.problems import IdempotencyKeyRequired

CREDIT_YEN = 1_000


@pytest.fixture
def payments() -> StandIn:
    return StandIn()


@pytest.fixture
def weather(wallets: CreditWallet, payments: StandIn) -> Weather:
    return Weather(new_app(wallets, payments=payments))


@pytest.fixture(params=["sync", "async"])
def clients(request: pytest.FixtureRequest, weather: Weather) -> Iterator[Clients]:
    with Served(weather) as served, asyncio.Runner() as runner:
        yield Clients(request.param, served.url, runner)


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    created = wallets.create(monthly_budget_yen=CREDIT_YEN)
    wallets.topup(created.wallet_id, CREDIT_YEN, idempotency_key="start")
    return created


@pytest.fixture
def owner(clients: Clients, wallet: CreatedWallet) -> Any:
    return clients.client(wallet.owner_token)


@pytest.fixture
def operator(clients: Clients) -> Any:
    return clients.client(OPERATOR_KEY)


# What each call does


def test_a_charge_is_carried_out_once_under_a_key_of_its_own(owner: Any, weather: Weather) -> None:
    first, second = owner.charge(3, note="GET /search"), owner.charge(3)
    assert (first.balance_yen, second.balance_yen, second.replayed) == (997, 994, False)
    assert len(set(weather.keys)) == 2


def test_a_key_of_the_callers_makes_a_retry_free(owner: Any) -> None:
    first, again = owner.charge(3, idempotency_key="a"), owner.charge(3, idempotency_key="a")
    assert (again.replayed, again.txn_id, again.balance_yen) == (True, first.txn_id, 997)


def test_a_charge_reports_alerts_and_the_budget(owner: Any) -> None:
    outcome = owner.charge(850)
    assert [alert.threshold_pct for alert in outcome.alerts] == [50, 80]
    assert outcome.warn_pct == 80


def test_holds_are_captured_and_released(owner: Any) -> None:
    hold = owner.hold(300, ttl_seconds=60)
    assert owner.capture(hold.hold_id, 120).balance_yen == 880
    assert owner.capture(hold.hold_id, 120).replayed
    assert owner.hold_status(hold.hold_id).status == "captured"
    assert owner.release(owner.hold(300).hold_id).balance_yen == 880


def test_the_operator_charges_many_wallets_and_refunds(
    operator: Any, wallets: CreditWallet, wallet: CreatedWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "MAX_BATCH_CHARGES", 2)
    empty = operator.wallets.create(label="empty")
    outcomes = operator.charge_many(
        [
            (wallet.wallet_id, 3, "a"),
            (empty.wallet_id, 4, "b"),
            Charge(wallet.wallet_id, "c", 5_000_000, "note"),
        ]
    )
    assert [type(outcome) for outcome in outcomes] == [Outcome, InsufficientFunds, Outcome]
    assert outcomes[1].missing_yen == 4
    assert operator.refund(outcomes[2].txn_id).balance_yen == CREDIT_YEN - 3
    owner = operator.with_token(wallet.owner_token)
    assert [owner.transaction(outcomes[place].txn_id).refunded_yen for place in (0, 2)] == [0, 5]
    assert wallets.verify() == []


def test_a_batch_knows_no_agent_keys(operator: Any) -> None:
    with pytest.raises(InvalidRequest, match="token"):
        operator.charge_many([Charge(1, "a", 5, None, 7)])


def test_the_owner_reads_the_wallet(owner: Any, wallet: CreatedWallet) -> None:
    owner.charge(600, note="crawl")
    view = owner.wallet()
    assert (view.wallet_id, view.balance_yen, view.auto_topup.state) == (wallet.wallet_id, 400, "off")
    assert view.recent_transactions[0].note == "crawl"
    page = owner.transactions(limit=1)
    assert page.transactions[0].amount_yen == -600
    assert owner.transactions(limit=1, cursor=page.next_cursor).transactions[0].txn_type == "topup"
    assert len(owner.transactions(type="topup").transactions) == 1
    assert owner.transactions(key_id=404, note="nothing").transactions == []
    assert [alert.threshold_pct for alert in owner.alerts(cycle="2026-05")] == [50]
    assert owner.statement(cycle="2026-05").closing_yen == 400
    assert "crawl" in owner.statement_text()
    assert owner.statement_text(format="csv").startswith("txn_id,")
    assert owner.statement_text(format="csv", rows="notes").startswith("notes,")
    assert owner.forecast().spent_yen == 600
    assert [(lot.kind, lot.remaining_yen, lot.expires_at) for lot in owner.lots()] == [("paid", 400, None)]


def test_the_owner_sets_what_the_wallet_may(owner: Any) -> None:
    assert owner.configure(budget_mode="cap", label="search").budget_mode == "cap"


def test_agent_keys_are_made_shown_rotated_and_revoked(owner: Any) -> None:
    created = owner.keys.create(label="crawler", monthly_cap_yen=10)
    with pytest.raises(KeyCapExhausted):
        owner.with_token(created.token).charge(11)
    rotated = owner.keys.rotate(created.key_id, overlap_seconds=60)
    assert [view.key_id for view in owner.keys.list()] == [created.key_id]
    assert owner.keys.show(rotated.key_id).label == "crawler"
    for token in (created.token, rotated.token):
        assert owner.with_token(token).whoami().key_id == created.key_id
    assert owner.keys.revoke(created.key_id).revoked_at is not None
    for token in (created.token, rotated.token):
        with pytest.raises(Unauthorized):
            owner.with_token(token).wallet()


def test_an_owner_token_rotates_and_the_operator_replaces_one(owner: Any, operator: Any, wallet: CreatedWallet) -> None:
    rotated = owner.rotate_owner_token(overlap_seconds=60)
    assert owner.with_token(rotated.owner_token).whoami().role == owner.whoami().role == "owner"
    replaced = operator.wallets.replace_token(wallet.wallet_id)
    assert owner.with_token(replaced.owner_token).wallet().wallet_id == wallet.wallet_id
    for token in (wallet.owner_token, rotated.owner_token):
        with pytest.raises(Unauthorized):
            owner.with_token(token).wallet()


def test_a_hosts_own_key_is_registered_pays_and_is_removed(operator: Any, wallet: CreatedWallet) -> None:
    own = "tökén of the host"
    registered = operator.secrets.register(wallet.wallet_id, sha256(own.encode()).hexdigest())
    assert operator.secrets.list(wallet.wallet_id) == [registered]
    assert operator.with_token(own).charge(3).balance_yen == CREDIT_YEN - 3
    assert operator.secrets.remove(registered.sha256) == registered
    with pytest.raises(Unauthorized):
        operator.with_token(own).charge(3)


def test_a_seller_sells_with_a_token_of_its_own(operator: Any, owner: Any, wallet: CreatedWallet) -> None:
    created = operator.sellers.create(label="search")
    seller = operator.with_token(created.token)
    assert (seller.whoami().role, seller.whoami().seller_id) == ("seller", created.seller_id)
    charged = seller.charge(3, payer_token=wallet.owner_token)
    held = seller.hold(5, wallet_id=wallet.wallet_id)
    with pytest.raises(Forbidden):
        owner.release(held.hold_id)
    assert seller.refund(charged.txn_id).balance_yen == CREDIT_YEN - 5
    rotated = operator.sellers.rotate(created.seller_id, overlap_seconds=0)
    assert operator.with_token(rotated.token).release(held.hold_id).balance_yen == CREDIT_YEN
    with pytest.raises(Unauthorized):
        seller.whoami()
    assert operator.sellers.revoke(created.seller_id) == operator.sellers.list()[0]


def test_top_ups_are_asked_for_shown_and_given_up(owner: Any, wallets: CreditWallet, wallet: CreatedWallet) -> None:
    assert owner.topup(500, checkout=True).status == "requires_action"
    noted = wallets.topups.request(wallet.wallet_id, 500, idempotency_key="t")
    assert owner.topups.list().topups[0].topup_id == noted.topup_id
    assert owner.topups.show(noted.topup_id).status == "pending"
    assert owner.topups.cancel(noted.topup_id).status == "canceled"
    with pytest.raises(TopupNotFound):
        owner.topups.show("tu_unknown")


def test_the_operator_makes_wallets_and_credits_them(operator: Any) -> None:
    created = operator.wallets.create(label="new", monthly_budget_yen=100)
    assert operator.wallets.topup(created.wallet_id, 50, promo=True, expires_at="2099-01-01").balance_yen == 50
    assert [view.label for view in operator.wallets.list("new", limit=10).wallets] == ["new"]
    assert operator.wallets.freeze(created.wallet_id, reason="fraud").frozen
    assert operator.wallets.show(created.wallet_id).balance_yen == 50


def test_both_clients_have_the_same_calls() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(WalletClient) - {"close"} == public(AsyncWalletClient) - {"aclose"}


# Refusals


def test_an_empty_wallet_says_what_to_do(owner: Any, weather: Weather) -> None:
    with pytest.raises(InsufficientFunds) as refused:
        owner.charge(1_500)
    error = refused.value
    assert (error.balance_yen, error.missing_yen, error.topup_url) == (1_000, 500, TOPUP_URL)
    assert len(weather.keys) == 1, "a refusal is not sent again"


def test_refusals_are_the_librarys_own(owner: Any, clients: Clients) -> None:
    with pytest.raises(Forbidden):
        owner.refund(1)
    with pytest.raises(Unauthorized):
        clients.client("cw_live_wrong").charge(3)
    with pytest.raises(InvalidRequest, match="ASCII"):
        owner.charge(3, idempotency_key="é")
    assert isinstance(error_of(Response(428, {}, b'{"code":"idempotency_key_required"}')), IdempotencyKeyRequired)


def test_a_code_that_is_not_known_yet_is_reported_as_it_is(owner: Any, weather: Weather) -> None:
    weather.faults = [answering(418, b'{"code":"teapot","detail":"short and stout","status":418,"spout":1}')]
    with pytest.raises(UnexpectedResponse, match=r"teapot.*short and stout") as refused:
        owner.charge(3)
    assert refused.value.details == {"code": "teapot", "status": 418, "spout": 1}


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b"{}"), (302, b""), (404, b"<html>"), (404, b"{}"), (400, b"[]")]
)
def test_something_else_at_the_address_is_reported(owner: Any, weather: Weather, status: int, body: bytes) -> None:
    weather.faults = [answering(status, body)]
    with pytest.raises(UnexpectedResponse) as refused:
        owner.charge(3)
    assert refused.value.details["status"] == status


# Sending again


@pytest.mark.parametrize("status", sorted(NOT_DONE | MAYBE_DONE))
def test_a_failure_that_passes_is_met_with_the_same_request(
    owner: Any, weather: Weather, wallets: CreditWallet, wallet: CreatedWallet, status: int
) -> None:
    weather.faults = [answering(status), answering(status, retry_after="0")]
    assert owner.charge(3).balance_yen == 997
    assert len(weather.keys) == 3
    assert len(set(weather.keys)) == 1
    assert wallets.balance(wallet.wallet_id) == 997


@pytest.mark.parametrize("fault", [lost_answer, bad_gateway])
def test_a_charge_whose_answer_was_lost_is_not_made_twice(
    owner: Any, weather: Weather, wallets: CreditWallet, wallet: CreatedWallet, fault: Fault
) -> None:
    weather.faults = [fault, fault]
    outcome = owner.charge(3)
    assert (outcome.replayed, outcome.balance_yen) == (True, 997)
    assert wallets.balance(wallet.wallet_id) == 997


def test_what_has_no_key_is_not_sent_again_when_it_may_have_been_done(
    operator: Any, weather: Weather, wallets: CreditWallet
) -> None:
    weather.faults = [lost_answer]
    with pytest.raises(ServiceUnreachable) as failed:
        operator.wallets.create()
    assert failed.value.details["sent"] is True
    assert len(wallets.list()) == 1
    weather.faults = [answering(503), answering(429)]
    assert operator.wallets.create().wallet_id == 2


def test_the_last_failure_is_raised_when_it_does_not_pass(owner: Any, weather: Weather) -> None:
    busy = answering(503, b'{"code":"rail_busy","detail":"too much","status":503}')
    failed = answering(500, b'{"code":"internal_error","detail":"oh","status":500}')
    for fault, kind in ((busy, RailBusy), (failed, ServiceFailed), (answering(502, b"<html>"), UnexpectedResponse)):
        weather.faults, weather.keys = [fault] * QUICK.attempts, []
        with pytest.raises(kind):
            owner.charge(3)
        assert len(weather.keys) == QUICK.attempts


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_nobody_at_the_address_is_reported(kind: str) -> None:
    with asyncio.Runner() as runner:
        client = Clients(kind, f"http://127.0.0.1:{free_port()}", runner).client("token")
        with pytest.raises(ServiceUnreachable, match="not carried out") as failed:
            client.charge(3)
    assert failed.value.details["sent"] is False


def test_pauses_grow_are_bounded_and_keep_what_the_service_asks_for() -> None:
    retries = Retries(attempts=6, first_pause_seconds=1, longest_pause_seconds=4, total_seconds=30)
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (4, 4)):
        pause = retries.pause_seconds(attempt, None, 0)
        assert pause is not None
        assert longest / 2 <= pause <= longest
    assert retries.pause_seconds(1, 7, 0) == 7
    assert retries.pause_seconds(6, None, 0) is None, "no more attempts"
    assert retries.pause_seconds(1, 7, 24) is None, "no more time"


def test_retry_after_is_seconds_or_a_date() -> None:
    def asked(value: str) -> float | None:
        return retry_after_seconds(Response(503, {"retry-after": value}, b""))

    assert asked("3") == 3
    assert asked("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert (asked("Wed, 21 Oct 2099 07:28:00 GMT") or 0) > 3_600
    assert asked("soon") is None
    assert asked("Wed, 21 Oct 2015 07:28:00 -0000") is None
    assert retry_after_seconds(NoResponse("cut", sent=True)) is None


# An empty wallet that somebody tops up


def test_a_top_up_that_the_hook_made_is_waited_for_and_the_same_charge_sent_again(
    clients: Clients, wallets: CreditWallet, wallet: CreatedWallet, weather: Weather
) -> None:
    asked: list[InsufficientFunds] = []

    def top_up(refusal: InsufficientFunds) -> TopupReply:
        asked.append(refusal)
        wallets.topup(wallet.wallet_id, refusal.missing_yen, idempotency_key="more")
        return TopupReply("tu_1", wallet.wallet_id, refusal.missing_yen, "credited")

    client = clients.client(wallet.owner_token, on_insufficient_funds=top_up)
    assert client.charge(1_200).balance_yen == 0
    assert [refusal.missing_yen for refusal in asked] == [200]
    assert len(set(weather.keys)) == 1
    with pytest.raises(InsufficientFunds):
        clients.client(wallet.owner_token, on_insufficient_funds=lambda _: None).hold(1)


def test_a_top_up_that_takes_time_is_looked_at_until_it_is_credited(
    clients: Clients,
    wallets: CreditWallet,
    wallet: CreatedWallet,
    payments: StandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("credit_wallet.client.transport.POLL_SECONDS", 0.01)
    topup_id = str(wallets.topups.request(wallet.wallet_id, 500, idempotency_key="t").topup_id)
    pending = TopupReply(topup_id, wallet.wallet_id, 500, "pending")
    looks: list[str] = []

    def show(shown_id: str) -> TopupReply:
        looks.append(shown_id)
        if len(looks) < 3:
            return pending
        wallets.topup(wallet.wallet_id, 500, idempotency_key="paid")
        return TopupReply(shown_id, wallet.wallet_id, 500, "credited")

    monkeypatch.setattr(payments, "show", show)
    client = clients.client(wallet.owner_token, on_insufficient_funds=lambda _: pending)
    assert client.charge(1_200).balance_yen == 300
    assert looks == [topup_id] * 3


@pytest.mark.parametrize("status", ["pending", "canceled"])
def test_a_top_up_that_nobody_pays_leaves_the_refusal(
    clients: Clients, wallet: CreatedWallet, status: str, monkeypatch: pytest.MonkeyPatch, wallets: CreditWallet
) -> None:
    monkeypatch.setattr("credit_wallet.client.transport.POLL_SECONDS", 0.01)
    topup_id = str(wallets.topups.request(wallet.wallet_id, 500, idempotency_key="t").topup_id)
    topup = TopupReply(topup_id, wallet.wallet_id, 500, status)
    client = clients.client(wallet.owner_token, on_insufficient_funds=lambda _: topup, topup_seconds=0.05)
    with pytest.raises(InsufficientFunds):
        client.charge(1_200)


def test_an_agent_waits_for_the_balance_as_it_cannot_see_top_ups(
    clients: Clients, wallets: CreditWallet, wallet: CreatedWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("credit_wallet.client.transport.POLL_SECONDS", 0.01)
    agent = wallets.keys.create(wallet.wallet_id)

    def ask_a_person(refusal: InsufficientFunds) -> TopupReply:
        wallets.topup(wallet.wallet_id, refusal.missing_yen, idempotency_key="by hand")
        return TopupReply("tu_1", wallet.wallet_id, refusal.missing_yen, "pending")

    assert clients.client(agent.token, on_insufficient_funds=ask_a_person).charge(1_200).balance_yen == 0


def test_the_asyncio_client_takes_a_coroutine_function_as_hook(
    weather: Weather, wallets: CreditWallet, wallet: CreatedWallet, clock: Clock
) -> None:
    async def top_up(refusal: InsufficientFunds) -> TopupReply:
        await wallets.atopup(wallet.wallet_id, refusal.missing_yen, idempotency_key=f"{clock():%H}")
        return TopupReply("tu_1", wallet.wallet_id, refusal.missing_yen, "credited")

    async def charge(url: str) -> Outcome:
        async with AsyncWalletClient(url, wallet.owner_token, on_insufficient_funds=top_up) as client:
            return await client.charge(1_001)

    with Served(weather) as served:
        assert asyncio.run(charge(served.url)).balance_yen == 0


def test_every_refusal_of_the_library_survives_the_wire() -> None:
    codes = {kind.code for kind in WalletError.__subclasses__()}
    for code in codes:
        assert error_of(Response(400, {}, b'{"code":"%s"}' % code.encode())).code == code
