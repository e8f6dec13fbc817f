"""What a gate charges, refuses and gives back; with the wallets in its process and behind the service."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from clock import Clock
from gated import Application, answer, gated
from http_answers import assert_problem, funded
from service import OPERATOR_KEY, TOPUP_URL, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.tokens import new_token
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.middleware import CreditGate, GatedRequest, charge_for, priced
from credit_wallet.wire.asgi import Receive, Scope, Send

CREDIT_YEN = 10_000


@pytest.fixture(params=["embedded", "remote"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


async def failing(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    if scope["path"] == "/raises":
        raise RuntimeError("broken")
    await answer(send, int(scope["path"][1:]))


# What a call is called


@pytest.mark.parametrize(
    ("sent", "kept"), [({"X-Request-ID": "req-1"}, "req-1"), ({"X-Request-ID": "r" * 129}, None), ({}, None)]
)
def test_a_call_is_found_by_the_id_of_its_request(
    wallets: CreditWallet, wallet: CreatedWallet, where: str, sent: dict[str, str], kept: str | None
) -> None:
    with gated(failing, wallets, wallet, where, price_yen=3) as front:
        front.call("/200", headers=sent)
        front.call("/500", headers=sent)
    entries = wallets.history(wallet.wallet_id, limit=3)
    assert [(entry.txn_type, entry.request_id) for entry in entries] == [
        ("refund", kept),
        ("charge", kept),
        ("charge", kept),
    ]
    if kept is not None:
        assert wallets.transactions.find(request_id=kept) == entries
    assert wallets.verify() == []


# Charging


def test_a_call_is_charged_before_it_runs(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await answer(send, body=b"%d" % wallets.balance(wallet.wallet_id))

    with gated(Application(handler), wallets, wallet, where, price_yen=3) as front:
        got = front.call("/search?q=tuna")
    assert (got.status_code, got.text, got.headers["x-wallet-balance"]) == (200, "9997", "9997")
    assert front.entries() == [("charge", -3, "GET /search")]


def test_two_calls_without_a_key_are_two_charges(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    with gated(Application(), wallets, wallet, where, price_yen=3) as front:
        assert [front.call().headers["x-wallet-balance"] for _ in range(2)] == ["9997", "9994"]


def test_an_agent_pays_within_its_cap(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    agent = wallets.keys.create(wallet.wallet_id, monthly_cap_yen=5)
    app = Application()
    with gated(app, wallets, wallet, where, price_yen=3) as front:
        assert front.call(headers={"X-API-Key": agent.token}, token=None).status_code == 200
        assert_problem(front.call(token=agent.token), 402, "key_cap_exhausted", missing_yen=1, topup_url=TOPUP_URL)
    assert app.ran == 1
    assert wallets.keys.show(agent.key_id).current_cycle_spent_yen == 3


def test_the_budget_warns(wallets: CreditWallet, where: str) -> None:
    wallet = funded(wallets, monthly_budget_yen=4)
    with gated(Application(), wallets, wallet, where, price_yen=3) as front:
        assert "x-wallet-warn" not in front.call().headers
        assert front.call().headers["x-wallet-warn"] == "100"


# Refusals: the handler does not run


def test_no_token_and_a_bad_one_are_401(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    app = Application()
    with gated(app, wallets, wallet, where, price_yen=3) as front:
        for token in (None, "nonsense", new_token(), OPERATOR_KEY):
            refused = front.call(token=token)
            assert_problem(refused, 401, "unauthorized")
            assert refused.headers["www-authenticate"] == "Bearer"
    assert app.ran == 0
    assert front.balance_yen == CREDIT_YEN


def test_a_revoked_key_pays_for_nothing(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    agent = wallets.keys.create(wallet.wallet_id)
    app = Application()
    with gated(app, wallets, wallet, where, price_yen=3) as front:
        assert front.call(token=agent.token).status_code == 200
        wallets.keys.revoke(agent.key_id)
        assert_problem(front.call(token=agent.token), 401, "unauthorized")
    assert app.ran == 1


def test_an_empty_wallet_is_402_and_says_where_to_pay(wallets: CreditWallet, where: str) -> None:
    wallet = wallets.create()
    wallets.topup(wallet.wallet_id, 2, idempotency_key="little")
    app = Application()
    with gated(app, wallets, wallet, where, price_yen=3) as front:
        refused = front.call()
        assert_problem(
            refused,
            402,
            "insufficient_funds",
            balance_yen=2,
            missing_yen=1,
            topup_url=TOPUP_URL,
            reason="wallet_exhausted",
        )
        assert refused.headers["x-wallet-balance"] == "2"
        wallets.topup(wallet.wallet_id, 1, idempotency_key="more")
        assert front.call().headers["x-wallet-balance"] == "0"
    assert app.ran == 1


def test_a_capped_budget_and_a_disabled_wallet_stop_calls(wallets: CreditWallet, where: str) -> None:
    wallet = funded(wallets, monthly_budget_yen=4, budget_mode="cap")
    app = Application()
    with gated(app, wallets, wallet, where, price_yen=3) as front:
        assert front.call().status_code == 200
        assert_problem(front.call(), 402, "budget_exhausted", missing_yen=2)
        wallets.freeze(wallet.wallet_id)
        assert_problem(front.call(), 403, "wallet_disabled")
    assert app.ran == 1


def test_one_address_may_send_so_many_bad_tokens(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(Application(), wallets, wallet, price_yen=3) as front:
        assert front.call().status_code == 200
        statuses = [front.call(token=new_token()).status_code for _ in range(21)]
        assert statuses == [401] * 20 + [429]
        assert front.call().status_code == 200  # a token that was good there before


# Giving back


@pytest.mark.parametrize("path", ["/500", "/503", "/raises"])
def test_a_failure_is_given_back(wallets: CreditWallet, wallet: CreatedWallet, where: str, path: str) -> None:
    with gated(Application(failing), wallets, wallet, where, price_yen=3) as front:
        assert front.call(path).status_code >= 500
        front.stage.wait()
        assert [(kind, yen) for kind, yen, _ in front.entries()] == [("charge", -3), ("refund", 3)]
    assert wallets.verify() == []


def test_an_answer_that_says_so_has_the_balance_after_the_refund(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    with gated(Application(failing), wallets, wallet, where, price_yen=3) as front:
        assert front.call("/503").headers["x-wallet-balance"] == "10000"


def test_other_answers_are_kept_unless_the_gate_is_told_otherwise(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(Application(failing), wallets, wallet, price_yen=3) as front:
        assert [front.call(f"/{status}").headers["x-wallet-balance"] for status in (404, 422)] == ["9997", "9994"]
    with gated(Application(failing), wallets, wallet, price_yen=3, refund_if=lambda status: status >= 400) as front:
        assert front.call("/404").headers["x-wallet-balance"] == "9994"


def test_work_after_the_answer_does_not_give_it_back(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await answer(send)
        raise RuntimeError("a background task broke")

    with gated(Application(handler), wallets, wallet, price_yen=3) as front:
        assert front.call().status_code == 200
        front.stage.wait()
        assert front.balance_yen == CREDIT_YEN - 3


# Prices


def test_a_price_may_be_a_function_of_the_request(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    async def price(request: GatedRequest) -> int | None:
        if request.url.path == "/healthz":
            return None
        return int(request.query_params.get("yen", "0")) * (2 if request.headers.get("x-deep") else 1)

    with gated(Application(), wallets, wallet, where, price_yen=price) as front:
        free = front.call("/healthz", token=None)
        assert (free.status_code, "x-wallet-balance" in free.headers) == (200, False)
        assert front.call("/?yen=0", token=None).status_code == 200
        assert front.call("/?yen=7").headers["x-wallet-balance"] == "9993"
        assert front.call("/?yen=7", headers={"X-Deep": "1"}).headers["x-wallet-balance"] == "9979"


@pytest.mark.parametrize(
    "price", [-3, 3.0, True, "3 yen", "0.0000001", "-1", "NaN", Decimal("NaN"), Decimal("Infinity"), 10**13]
)
def test_a_price_that_is_none_is_the_applications_fault(
    wallets: CreditWallet, wallet: CreatedWallet, price: Any
) -> None:
    app = Application()
    with gated(app, wallets, wallet, price_yen=lambda _: price) as front:
        assert front.call().status_code == 500
    assert (app.ran, front.balance_yen) == (0, CREDIT_YEN)


def test_a_gate_has_a_price_or_a_hold(wallets: CreditWallet) -> None:
    with pytest.raises(ValueError, match="one of price=, price_yen= and hold="):
        CreditGate(Application(), wallets, price_yen=3, hold=3)
    with pytest.raises(ValueError, match="yen= or hold="):
        priced()
    with pytest.raises(ValueError, match="go together"):
        priced(yen=3, wallets=wallets)


def test_a_note_can_be_chosen_and_is_kept_short(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(Application(), wallets, wallet, price_yen=3, note=lambda request: f"v2 {request.method}") as front:
        front.call("/search")
    with gated(Application(), wallets, wallet, price_yen=3) as front:
        front.call("/" + "a" * 400)
        front.call("/a%0Ab")
    notes = [note for _, _, note in front.entries()]
    assert notes == ["v2 GET", "GET /" + "a" * 195, "GET /a\\nb"]


# Holds


async def used(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    if scope["path"] != "/":
        charge_for(scope).capture(int(scope["path"][1:]))
    await answer(send, 500 if scope["query_string"] == b"fail" else 200)


@pytest.mark.parametrize(("path", "left_yen"), [("/120", 9_880), ("/0", 10_000), ("/500", 9_500), ("/", 9_500)])
def test_a_hold_spends_what_the_handler_reports(
    wallets: CreditWallet, wallet: CreatedWallet, where: str, path: str, left_yen: int
) -> None:
    with gated(Application(used), wallets, wallet, where, hold=500) as front:
        assert front.call(path).headers["x-wallet-balance"] == "9500"
        front.stage.wait()
        assert front.balance_yen == left_yen
        assert wallets.show(wallet.wallet_id).held_yen == 0
    assert wallets.verify() == []


def test_a_failure_releases_the_hold(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    with gated(Application(used), wallets, wallet, where, hold=500) as front:
        assert front.call("/120?fail").headers["x-wallet-balance"] == "10000"
        front.stage.wait()
    assert (front.balance_yen, front.entries()) == (CREDIT_YEN, [])


def test_an_empty_wallet_cannot_hold(wallets: CreditWallet, where: str) -> None:
    with gated(Application(used), wallets, wallets.create(), where, hold=500) as front:
        assert_problem(front.call("/1"), 402, "insufficient_funds", missing_yen=500)


def test_a_report_that_makes_no_sense_is_the_handlers_fault(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(Application(used), wallets, wallet, hold=500) as front:
        assert front.call("/501").status_code == 500
        front.stage.wait()
    with gated(Application(used), wallets, wallet, price_yen=500) as front:
        assert front.call("/1").status_code == 500
        front.stage.wait()
    assert front.balance_yen == CREDIT_YEN


# Around the gate


def test_an_application_that_has_no_lifespan_gets_the_gates(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(Application(), wallets, wallet, price_yen=3) as front:
        assert front.call().status_code == 200


def test_a_request_is_priced_once(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await priced(yen=3)(scope)
        await answer(send)

    with gated(Application(handler), wallets, wallet, price_yen=3) as front:
        assert front.call().status_code == 500
        front.stage.wait()
        assert front.balance_yen == CREDIT_YEN


def test_a_price_without_a_gate_lets_nobody_through() -> None:
    with pytest.raises(RuntimeError, match="wrap the application"):
        priced(yen=3)(object()).send(None)
    with pytest.raises(LookupError, match="no wallet was charged"):
        charge_for()


# Holds are the seller's


def closing(wallets: CreditWallet, token: str, call: str) -> Any:
    """What the service answers a caller that closes the hold of its wallet itself."""
    with Api(new_app(wallets)) as api:
        key = None if call == "extend" else "mine"
        return api.post(f"/credit/{call}", token, key=key, hold_id=1, **CALLS[call])


CALLS: dict[str, dict[str, Any]] = {"release": {}, "capture": {"amount_yen": 1}, "extend": {"ttl_seconds": 60}}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("who", ["owner", "agent"])
def test_a_caller_cannot_close_the_hold_that_pays_for_its_call(
    wallets: CreditWallet, wallet: CreatedWallet, where: str, call: str, who: str
) -> None:
    agent = wallets.keys.create(wallet.wallet_id)
    token = {"owner": wallet.owner_token, "agent": agent.token}[who]
    refused: list[int] = []

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        answered = await asyncio.to_thread(closing, wallets, token, call)
        refused.append(answered.status_code)
        await answer(send)

    with gated(Application(handler), wallets, wallet, where, hold=100) as front:
        assert front.call(token=token).status_code == 200
        front.stage.wait()
        assert (refused, front.balance_yen) == ([403], CREDIT_YEN - 100)


@pytest.mark.parametrize("captures", [False, True])
@pytest.mark.parametrize("expires", ["before the first byte", "in the stream"])
def test_a_call_that_outlives_its_hold_is_paid(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock, where: str, captures: bool, expires: str
) -> None:
    """Its gate was away for longer than the hold lasts: what was served is paid, what was not is not."""

    def pass_time() -> None:
        clock.advance(seconds=61)
        wallets.maintenance.expire(wallet.wallet_id)

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        if expires == "before the first byte":
            await asyncio.to_thread(pass_time)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.to_thread(wallets.charge, wallet.wallet_id, 1, idempotency_key="beside")
        if expires == "in the stream":
            await asyncio.to_thread(pass_time)
        if captures:
            charge_for(scope).capture(40)
        await send({"type": "http.response.body", "body": b"last"})

    with gated(Application(handler), wallets, wallet, where, hold=100, hold_seconds=60) as front:
        assert front.call().text == "firstlast"
        front.stage.wait()
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 101
    assert wallets.show(wallet.wallet_id).held_yen == 0
    assert wallets.verify() == []


@pytest.mark.parametrize("key", [None, "a"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_hold_lives_on_while_its_handler_runs(
    wallets: CreditWallet,
    wallet: CreatedWallet,
    where: str,
    streams: bool,
    key: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("credit_wallet.gate.purchases.RENEW_SECONDS", 0.02)
    begins = wallets.hold(wallet.wallet_id, 1, idempotency_key="beside", ttl_seconds=2)

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        hold_id = charge_for(scope).outcome.hold_id or 0
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if streams:
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            await wallets.acharge(wallet.wallet_id, 1, idempotency_key="what was posted is written down with this")
        while True:
            held = await asyncio.to_thread(wallets.holds.show, hold_id)
            if held.expires_at > str(begins.expires_at):
                break
        charge_for(scope).capture(40)
        await send({"type": "http.response.body", "body": b"last"})

    with gated(Application(handler), wallets, wallet, where, hold=100, hold_seconds=1) as front:
        assert front.call(key=key).status_code == 200
        front.stage.wait()
        assert front.balance_yen == CREDIT_YEN - 41 - streams


@pytest.mark.parametrize(("captured", "left_yen"), [(150, 850), (5_000, 0)])
def test_a_capture_above_the_hold_is_taken_of_the_balance_where_the_gate_is_told_so(
    wallets: CreditWallet, where: str, captured: int, left_yen: int
) -> None:
    wallet = wallets.create()
    wallets.topup(wallet.wallet_id, 1_000, idempotency_key="start")

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        charge_for(scope).capture(captured)
        await answer(send)

    with gated(Application(handler), wallets, wallet, where, hold=100, above="up_to_balance") as front:
        assert front.call().status_code == 200
        front.stage.wait()
        assert front.balance_yen == left_yen
    assert wallets.verify() == []


# Tokens


def test_a_token_beside_another_scheme_is_found(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    """An application behind a proxy has an ``Authorization`` of its own."""
    beside = {"Authorization": "Basic dXNlcjpzZWNyZXQ=", "X-API-Key": wallet.owner_token}
    with gated(Application(), wallets, wallet, where, price_yen=3) as front:
        assert front.call(token=None, headers=beside).status_code == 200
        assert front.balance_yen == CREDIT_YEN - 3
