"""Which retries of a paid call are free, and which are not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clock import Clock
from gated import Application, answer, gated
from http_answers import assert_problem, funded
from served import PATIENCE_SECONDS
from streaming import Caller, Signal

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.gate.purchases import LEASE_SECONDS
from credit_wallet.middleware import charge_for
from credit_wallet.wire.asgi import Receive, Scope, Send

CREDIT_YEN = 10_000


@pytest.fixture(params=["embedded", "remote"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


class Flaky(Application):
    """Fails the first ``failures`` times."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__(self._fail_first)
        self.failures = failures

    async def _fail_first(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        self.failures -= 1
        await answer(send, 503 if self.failures >= 0 else 200)


def test_a_retry_is_free_and_says_so(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    app = Application()
    with gated(app, wallets, wallet, where, price_yen=3) as front:
        first, again = front.call(key="a"), front.call(key="a")
        assert "idempotent-replayed" not in first.headers
        assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert app.ran == 2
    assert front.balance_yen == CREDIT_YEN - 3


def test_what_one_application_sold_is_not_paid_for_at_another(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    for spent, name in ((3, "search"), (6, "maps"), (6, "search")):
        with gated(Application(), wallets, wallet, where, price_yen=3, name=name) as front:
            assert front.call(key="a").status_code == 200
            assert front.balance_yen == CREDIT_YEN - spent


def test_a_request_id_will_do_where_the_gate_is_told_so(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(Application(), wallets, wallet, price_yen=3, request_id_header="X-Request-Id") as front:
        for _ in range(2):
            front.call(headers={"X-Request-Id": "a"})
        assert front.balance_yen == CREDIT_YEN - 3
        front.call(headers={"X-Request-Id": "a", "Idempotency-Key": "b"})
        assert front.balance_yen == CREDIT_YEN - 6


def test_what_a_proxy_writes_is_no_key_by_itself(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(Application(), wallets, wallet, price_yen=3) as front:
        answers = [front.call(headers={"X-Request-Id": "constant"}) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert front.balance_yen == CREDIT_YEN - 18


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/other"},
        {"path": "/?q=1"},
        {"method": "PUT"},
        {"content": b"other"},
        {"key": "other"},
    ],
)
def test_another_request_with_the_key_is_charged(
    wallets: CreditWallet, wallet: CreatedWallet, other: dict[str, Any]
) -> None:
    same: dict[str, Any] = {"path": "/", "method": "POST", "content": b"body", "key": "a"}
    with gated(Application(), wallets, wallet, price_yen=3) as front:
        front.call(**same)
        front.call(**(same | other))
        assert front.balance_yen == CREDIT_YEN - 6
        front.call(**same)
        assert front.balance_yen == CREDIT_YEN - 6


def test_a_key_belongs_to_the_token_that_sent_it(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    agent = wallets.keys.create(wallet.wallet_id)
    with gated(Application(), wallets, wallet, where, price_yen=3) as front:
        assert front.call(key="a").status_code == front.call(key="a", token=agent.token).status_code == 200
        assert front.balance_yen == CREDIT_YEN - 6


def test_a_call_that_was_given_back_is_charged_again(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    with gated(Flaky(2), wallets, wallet, where, price_yen=3) as front:
        assert [front.call(key="a").status_code for _ in range(4)] == [503, 503, 200, 200]
        assert [yen for _, yen, _ in front.entries()] == [-3, 3, -3, 3, -3]


def test_another_process_knows_what_was_given_back(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    """A gate that was started afresh, or runs beside, asks the ledger."""
    with gated(Flaky(2), wallets, wallet, where, price_yen=3) as front:
        assert [front.call(key="a").status_code for _ in range(2)] == [503, 503]
    app = Application()
    with gated(app, wallets, wallet, where, price_yen=3) as front:
        assert [front.call(key="a").headers["x-wallet-balance"] for _ in range(2)] == ["9997", "9997"]
        assert [yen for _, yen, _ in front.entries()] == [-3, 3, -3, 3, -3]


def test_a_refund_by_hand_makes_the_next_retry_a_purchase(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(Application(), wallets, wallet, price_yen=3) as front:
        front.call(key="a")
        charged = wallets.history(wallet.wallet_id, txn_type="charge")[0].txn_id
        wallets.refund(charged, 1, idempotency_key="part")
        assert front.call(key="a").headers["idempotent-replayed"] == "true"
        wallets.refund(charged, idempotency_key="rest")
        assert "idempotent-replayed" not in front.call(key="a").headers
        assert front.balance_yen == CREDIT_YEN - 3


def test_a_key_is_no_subscription(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = Application()
    with gated(app, wallets, wallet, price_yen=3, free_retries=2) as front:
        assert [front.call(key="a").status_code for _ in range(3)] == [200] * 3
        assert_problem(front.call(key="a"), 409, "retries_exhausted", free_retries=2)
    assert app.ran == 3
    assert front.balance_yen == CREDIT_YEN - 3


def test_free_retries_are_counted_for_all_workers(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    for status in (200, 200, 200, 409):
        with gated(Application(), wallets, wallet, where, price_yen=3, free_retries=2) as front:
            assert front.call(key="a").status_code == status
    assert front.balance_yen == CREDIT_YEN - 3


def test_a_failing_retry_of_a_delivered_answer_is_not_given_back(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = Flaky()
    with gated(app, wallets, wallet, price_yen=3) as front:
        assert front.call(key="a").status_code == 200
        app.failures = 1
        assert front.call(key="a").status_code == 503
        front.stage.wait(2)
        assert front.balance_yen == CREDIT_YEN - 3


def test_an_attempt_whose_process_died_is_followed_by_another_that_pays_nothing(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its lease is over a retry is told to come again; then it is this purchase's attempt, failing or not."""
    with monkeypatch.context() as dying:
        dying.setattr("credit_wallet.gate.purchases.Purchase.serve", stopped)
        dying.setattr("credit_wallet.gate.purchases.Purchase.__aexit__", died)
        dying.setattr("credit_wallet.gate.purchases.Purchase.deliver", died)
        with gated(Application(), wallets, wallet, price_yen=3) as front:
            front.call(key="a")
    monkeypatch.setattr("credit_wallet.gate.billing.WAIT_SECONDS", 0.1)
    app = Flaky(1)
    with gated(app, wallets, wallet, price_yen=3) as front:
        running = front.call(key="a")
        assert_problem(running, 409, "purchase_running")
        assert int(running.headers["retry-after"]) >= 1
        clock.advance(seconds=LEASE_SECONDS)
        assert front.call(key="a").status_code == 503
        front.stage.wait(2)
        assert front.balance_yen == CREDIT_YEN
        assert "idempotent-replayed" not in front.call(key="a").headers
    assert app.ran == 2
    assert [yen for _, yen, _ in front.entries()] == [-3, 3, -3]
    assert wallets.verify() == []


def test_a_large_body_with_a_key_is_refused_and_without_one_is_not(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    app = Application()
    with gated(app, wallets, wallet, price_yen=3, max_keyed_body_bytes=100) as front:
        assert front.call(method="POST", content=b"x" * 101).status_code == 200
        assert front.call(method="POST", content=b"x" * 100, key="a").status_code == 200
        assert_problem(front.call(method="POST", content=b"x" * 101, key="a"), 413, "body_too_large")
    assert app.ran == 2


def test_a_price_that_changed_between_retries_is_a_conflict(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(Application(), wallets, wallet, price_yen=3) as front:
        front.call(key="a")
    with gated(Application(), wallets, wallet, price_yen=4) as front:
        assert_problem(front.call(key="a"), 409, "idempotency_conflict")


def test_retries_at_the_same_time_wait_for_the_first_answer(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    signal, beside = Signal(), []

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        beside.append(signal.begun.is_set() and not signal.go.is_set())
        await signal.meet()
        await answer(send)

    with gated(Application(handler), wallets, wallet, where, price_yen=3) as front, ThreadPoolExecutor(4) as callers:
        calls = [callers.submit(front.call, key="a") for _ in range(4)]
        signal.wait()
        signal.go.set()
        answers = [call.result(PATIENCE_SECONDS) for call in calls]
        assert [each.status_code for each in answers] == [200] * 4
        assert sum("idempotent-replayed" not in each.headers for each in answers) == 1
        assert not any(beside)
        assert front.balance_yen == CREDIT_YEN - 3


@pytest.mark.parametrize("option", ["price_yen", "hold"])
@pytest.mark.parametrize("cut", [False, True])
def test_a_retry_at_another_worker_that_leaves_gets_nothing_back(
    wallets: CreditWallet, wallet: CreatedWallet, where: str, option: str, cut: bool
) -> None:
    """An attempt that did not charge must not refund."""
    signal = Signal()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await signal.meet()
        await answer(send)

    options: dict[str, Any] = {option: 100, "refund_cut_answers": cut}
    with (
        gated(Application(), wallets, wallet, where, **options) as front,
        gated(Application(slow), wallets, wallet, where, **options) as other,
    ):
        assert front.call("/", key="k").status_code == 200
        front.stage.wait()
        caller = Caller(other, head="Idempotency-Key: k\r\n")
        signal.wait()
        caller.leave()
        assert other.stage.left(PATIENCE_SECONDS)
        signal.go.set()
        other.stage.wait()
        assert front.entries() == [("charge", -100, "GET /")]
    assert wallets.verify() == []


def test_a_retry_with_the_rotated_token_is_free(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    agent = wallets.keys.create(wallet.wallet_id)
    with gated(Application(), wallets, wallet, where, price_yen=3) as front:
        assert front.call(key="a", token=agent.token).status_code == 200
        front.stage.wait()
        rotated = wallets.keys.rotate(agent.key_id)
        assert front.call(key="a", token=rotated.token).headers["idempotent-replayed"] == "true"
    assert front.balance_yen == CREDIT_YEN - 3


def test_a_waiting_retry_is_charged_when_the_first_was_given_back(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    signal, app = Signal(), Flaky(1)
    fail_first = app.handler

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        await signal.meet()
        await fail_first(scope, receive, send)

    app.handler = handler
    with gated(app, wallets, wallet, where, price_yen=3) as front, ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(front.call, key="a") for _ in range(2)]
        signal.wait()
        signal.go.set()
        assert sorted(call.result(PATIENCE_SECONDS).status_code for call in calls) == [200, 503]
        front.stage.wait(2)
        assert [yen for _, yen, _ in front.entries()] == [-3, 3, -3]


# Holds


async def used(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    charge_for(scope).capture(120)
    await answer(send, 500 if scope["path"] == "/fails" else 200)


def test_a_retry_of_a_captured_hold_is_free(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    with gated(Application(used), wallets, wallet, where, hold=500) as front:
        for _ in range(2):
            assert front.call(key="a").status_code == 200
            front.stage.wait()
        assert front.entries() == [("charge", -120, "GET /")]


def test_a_retry_of_a_released_hold_holds_again(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    for _ in range(2):
        with gated(Application(used), wallets, wallet, where, hold=500) as front:
            front.call("/fails", key="a")
    assert front.balance_yen == CREDIT_YEN
    with gated(Application(), wallets, wallet, where, hold=500) as front:
        assert "idempotent-replayed" not in front.call("/fails", key="a").headers
    assert front.entries() == [("charge", -500, "GET /fails")]


def test_a_hold_that_a_process_left_behind_is_gone_on_with(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr("credit_wallet.gate.purchases.Purchase.serve", stopped)
        dying.setattr("credit_wallet.gate.purchases.Purchase.deliver", died)
        dying.setattr("credit_wallet.gate.purchases.Purchase.__aexit__", died)
        with gated(Application(used), wallets, wallet, hold=500) as front:
            front.call(key="a")
    assert wallets.show(wallet.wallet_id).held_yen == 500
    clock.advance(seconds=LEASE_SECONDS)
    with gated(Application(used), wallets, wallet, hold=500) as front:
        front.call(key="a")
        front.stage.wait()
    assert front.entries() == [("charge", -120, "GET /")]
    assert wallets.show(wallet.wallet_id).held_yen == 0


def stopped(*_: object) -> None:
    """What a process does that was killed: nothing."""


async def died(*_: object) -> None:
    """The same, awaited."""
