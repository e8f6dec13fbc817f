"""Paying per call without a wallet (x402): offered, verified, settled once, and only for an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import pytest
from facilitator import FAULTS, Facilitator, Fault
from gated import Application, Front, answer, gated
from http_answers import assert_problem, funded
from served import PATIENCE_SECONDS, Served
from service import free_port
from streaming import START, Caller, Signal, chunk
from structlog.testing import capture_logs
from x402.http.utils import (
    decode_payment_required_header,
    decode_payment_response_header,
    encode_payment_signature_header,
)
from x402.schemas import PaymentPayload, PaymentRequired, PaymentRequirements

from credit_wallet import CreditWallet
from credit_wallet.domain.tokens import new_token
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.middleware import X402, charge_for, priced
from credit_wallet.wire.asgi import Receive, Scope, Send

PAY_TO = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
PAYER = "0x857b06519E91e3A54538791bDbb0E22373e36b66"
USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
UNITS_PER_YEN = 6_700
CREDIT_YEN = 10_000


@pytest.fixture
def facilitator() -> Facilitator:
    return Facilitator()


@pytest.fixture
def x402(facilitator: Facilitator) -> Iterator[X402]:
    with Served(facilitator) as served:
        yield settings(served.url)


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


def settings(url: str, **others: Any) -> X402:
    usual: dict[str, Any] = {
        "pay_to": PAY_TO,
        "network": "eip155:84532",
        "asset": USDC,
        "units_per_yen": UNITS_PER_YEN,
        "facilitator_url": url,
        "extra": {"name": "USDC", "version": "2"},
    }
    return X402(**(usual | others))


def offered(refused: httpx.Response) -> PaymentRequirements:
    """The one way to pay that a 402 names."""
    required = decode_payment_required_header(refused.headers["payment-required"])
    assert isinstance(required, PaymentRequired)
    assert required.x402_version == 2
    [requirements] = required.accepts
    return requirements


def signed(requirements: PaymentRequirements, nonce: str | None = "0x01", **payload: Any) -> dict[str, str]:
    """The header of a payment as an agent signs it; the facilitator of the tests looks at no signature.

    Without a ``nonce`` the ``payload`` says all of it.
    """
    authorization = {"from": PAYER, "to": requirements.pay_to, "value": requirements.amount, "nonce": nonce}
    content = payload if nonce is None else {"signature": "0x00", "authorization": authorization, **payload}
    return {
        "PAYMENT-SIGNATURE": encode_payment_signature_header(PaymentPayload(payload=content, accepted=requirements))
    }


def pay(front: Front, path: str = "/", nonce: str = "0x01", **payload: Any) -> httpx.Response:
    """Ask, be refused, pay."""
    asked = offered(front.call(path, token=None))
    return front.call(path, token=None, headers=signed(asked, nonce, **payload))


def test_a_caller_without_a_wallet_is_offered_to_pay_per_call(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402
) -> None:
    app = Application()
    with gated(app, wallets, wallet, price_yen=3, x402=x402) as front:
        refused = front.call("/search?q=tuna", token=None)
    assert_problem(refused, 402, "payment_required")
    assert "reason" not in refused.json()
    asked = offered(refused)
    assert (asked.scheme, asked.network, asked.asset, asked.pay_to) == ("exact", "eip155:84532", USDC, PAY_TO)
    assert (asked.amount, asked.extra) == (str(3 * UNITS_PER_YEN), {"name": "USDC", "version": "2"})
    required = decode_payment_required_header(refused.headers["payment-required"])
    assert isinstance(required, PaymentRequired)
    assert required.resource is not None
    assert required.resource.url == f"{front.url}/search"
    assert app.ran == 0


def test_a_payment_is_verified_then_the_call_runs_then_it_is_settled(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator
) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        with pytest.raises(LookupError):
            charge_for(scope)
        await answer(send, body=f"{facilitator.verified} {facilitator.settled}".encode())

    with gated(Application(handler), wallets, wallet, price_yen=3, x402=x402) as front:
        paid = pay(front)
    assert (paid.status_code, paid.text) == (200, "['0x01'] []")
    receipt = decode_payment_response_header(paid.headers["payment-response"])
    assert (receipt.success, receipt.payer, receipt.network) == (True, PAYER, "eip155:84532")
    assert (facilitator.verified, facilitator.settled) == (["0x01"], ["0x01"])
    assert "x-wallet-balance" not in paid.headers
    assert front.balance_yen == CREDIT_YEN


def test_a_failed_call_is_not_settled_and_its_payment_stays_good(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator
) -> None:
    statuses = iter((500, 200))

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await answer(send, next(statuses))

    with gated(Application(handler), wallets, wallet, price_yen=3, x402=x402) as front:
        failed = pay(front)
        assert (failed.status_code, "payment-response" in failed.headers) == (500, False)
        assert facilitator.settled == []
        assert pay(front).status_code == 200
    assert facilitator.settled == ["0x01"]


@pytest.mark.parametrize("again", [{}, {"signature": "0x0000"}, {"more": 1}])
def test_a_payment_is_good_once_however_it_is_written(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator, again: dict[str, Any]
) -> None:
    app = Application()
    with gated(app, wallets, wallet, price_yen=3, x402=x402) as front:
        assert pay(front, nonce="0xab").status_code == 200
        refused = pay(front, nonce="0xAB", **again)
        assert_problem(refused, 402, "payment_invalid")
        assert offered(refused).amount == str(3 * UNITS_PER_YEN)
    assert (app.ran, facilitator.settled) == (1, ["0xab"])


@pytest.mark.parametrize("kind", ["authorization", "transaction"])
def test_what_a_payer_adds_to_a_payment_makes_no_other_of_it(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator, kind: str
) -> None:
    """A facilitator that remembers settles the same payment again with success: it is the gate that must know it."""
    facilitator.repeats = True
    app = Application()
    with gated(app, wallets, wallet, price_yen=3, x402=x402) as front:
        asked = offered(front.call(token=None))
        pays = {"from": PAYER, "to": asked.pay_to, "value": asked.amount, "nonce": "0x01"}
        content = {kind: pays if kind == "authorization" else json.dumps(pays)}
        answered = [
            front.call(
                token=None, headers=signed(asked.model_copy(update={"network": network}), None, **content, **more)
            )
            for network, more in ((asked.network, {}), (asked.network.upper(), {}), (asked.network, {"more": 1}))
        ]
    assert [each.status_code for each in answered] == [200, 402, 402]
    assert (app.ran, facilitator.settled) == (1, ["0x01"])


def test_a_payment_with_two_authorizations_is_refused(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator
) -> None:
    """The gate would know it by one, and the facilitator settle the other."""
    with gated(Application(), wallets, wallet, price_yen=3, x402=x402) as front:
        refused = pay(front, permit2Authorization={"from": PAYER, "nonce": "0x02"})
        assert_problem(refused, 402, "payment_invalid")
    assert facilitator.verified == []


def test_a_payment_that_is_sent_twice_at_once_is_settled_once(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator
) -> None:
    signal = Signal()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await signal.meet()
        await answer(send)

    app = Application(handler)
    with gated(app, wallets, wallet, price_yen=3, x402=x402) as front, ThreadPoolExecutor(1) as other:
        first = other.submit(pay, front)
        signal.wait()
        assert_problem(pay(front), 402, "payment_invalid")
        signal.go.set()
        assert first.result(PATIENCE_SECONDS).status_code == 200
    assert (app.ran, facilitator.settled) == (1, ["0x01"])


def test_nothing_runs_without_verification(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator
) -> None:
    app = Application()
    with gated(app, wallets, wallet, price_yen=3, x402=x402) as front:
        facilitator.refuses = {"verify"}
        assert_problem(pay(front), 402, "payment_invalid", detail="the payment is not valid: invalid_payment")
        facilitator.refuses, facilitator.breaks = set(), {"verify"}
        broken = pay(front)
        assert_problem(broken, 502, "payment_provider_error")
        assert broken.headers["retry-after"] == "1"
        assert app.ran == 0
        facilitator.breaks = set()
        assert pay(front).status_code == 200, "a payment that was not tried stays good"
    assert facilitator.settled == ["0x01"]


@pytest.mark.parametrize(
    "other", [{"amount": "1"}, {"pay_to": PAYER}, {"network": "eip155:1"}, {"asset": PAY_TO}, {"scheme": "upto"}]
)
def test_a_payment_for_something_else_is_refused_here(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator, other: dict[str, str]
) -> None:
    app = Application()
    with gated(app, wallets, wallet, price_yen=3, x402=x402) as front:
        asked = offered(front.call(token=None)).model_copy(update=other)
        assert_problem(front.call(token=None, headers=signed(asked)), 402, "payment_invalid")
    assert (app.ran, facilitator.verified) == (0, [])


@pytest.mark.parametrize("header", ["nonsense", "e30=", "W10=", "bnVsbA==", "eyJ4NDAyVmVyc2lvbiI6MX0=", "5Y=", "é"])
def test_a_payment_that_cannot_be_read_is_refused(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, header: str
) -> None:
    app = Application()
    with gated(app, wallets, wallet, price_yen=3, x402=x402) as front:
        refused = httpx.get(front.url, headers=[(b"payment-signature", header.encode("latin-1"))])
    assert_problem(refused, 402, "payment_invalid")
    assert app.ran == 0


def test_an_answer_whose_payment_is_not_settled_is_kept_back(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator
) -> None:
    facilitator.refuses = {"settle"}
    with gated(Application(), wallets, wallet, price_yen=3, x402=x402) as front:
        refused = pay(front)
        assert_problem(refused, 402, "payment_invalid", detail="the payment was not settled: insufficient_funds")
        assert "done" not in refused.text


def test_a_payment_that_was_not_settled_may_be_sent_again(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator
) -> None:
    with gated(Application(), wallets, wallet, price_yen=3, x402=x402) as front:
        facilitator.refuses = {"settle"}
        assert_problem(pay(front), 402, "payment_invalid")
        facilitator.refuses = set()
        assert pay(front).status_code == 200
        again = pay(front)
        used = "this payment has been used for an answer already; sign a new one"
        assert_problem(again, 402, "payment_invalid", detail=used)
    assert facilitator.settled == ["0x01"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.name}-{'settled' if fault.settles else 'not'}")
@pytest.mark.parametrize("repeats", [False, True])
def test_a_settlement_that_nobody_knows_of_is_tried_again_with_the_same_payment(
    wallets: CreditWallet, wallet: CreatedWallet, facilitator: Facilitator, fault: Fault, repeats: bool
) -> None:
    """One payment, one answer, whatever the facilitator says the first time; nobody is told to pay twice."""
    app = Application()
    facilitator.fault, facilitator.repeats = fault, repeats
    with (
        Served(facilitator) as served,
        capture_logs() as logs,
        gated(app, wallets, wallet, price_yen=3, x402=settings(served.url, facilitator_seconds=0.5)) as front,
    ):
        unknown = pay(front)
        assert_problem(unknown, 502, "payment_provider_error")
        assert "same payment again" in unknown.json()["detail"]
        answered = pay(front)
        assert (answered.status_code, "payment-response" in answered.headers) == (200, True)
        assert_problem(pay(front), 402, "payment_invalid")
    assert (app.ran, facilitator.settled) == (2, ["0x01"])
    assert [line["payer"] for line in logs if line["event"] == "x402_settlement_unknown"] == [PAYER]


@pytest.mark.parametrize(("settles", "repeats", "status"), [(False, False, 200), (True, True, 200), (True, False, 402)])
def test_another_worker_settles_what_nobody_knows_of(
    wallets: CreditWallet,
    wallet: CreatedWallet,
    facilitator: Facilitator,
    settles: bool,
    repeats: bool,
    status: int,
) -> None:
    """What only the first worker could know to be paid is refused there, without asking for another payment."""
    facilitator.fault, facilitator.repeats = Fault("500", settles), repeats
    with (
        Served(facilitator) as served,
        gated(Application(), wallets, wallet, price_yen=3, x402=settings(served.url)) as front,
        gated(Application(), wallets, wallet, price_yen=3, x402=settings(served.url)) as other,
    ):
        assert_problem(pay(front), 502, "payment_provider_error")
        answered = pay(other)
    assert answered.status_code == status
    assert "sign a new one" not in answered.text
    assert ("do not pay again" in answered.text) == (status == 402)
    assert facilitator.settled == ["0x01"]


def test_a_caller_that_leaves_before_the_answer_is_not_settled(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator
) -> None:
    signal = Signal()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await signal.meet()
        await answer(send)

    with gated(Application(handler), wallets, wallet, price_yen=3, x402=x402) as front:
        header = signed(offered(front.call(token=None)))["PAYMENT-SIGNATURE"]
        caller = Caller(front, head=f"payment-signature: {header}\r\n")
        signal.wait()
        caller.leave()
        assert front.stage.left(PATIENCE_SECONDS)
        signal.go.set()
        front.stage.wait(2)
    assert facilitator.settled == []


def test_a_stream_that_breaks_after_it_was_settled_is_told(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator
) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send(START)
        await send(chunk(b"a"))
        raise RuntimeError("broken in the middle")

    with capture_logs() as logs, gated(Application(stream), wallets, wallet, price_yen=3, x402=x402) as front:
        with pytest.raises(httpx.RemoteProtocolError):
            pay(front)
        front.stage.wait(2)
    assert facilitator.settled == ["0x01"]
    assert [line["reason"] for line in logs if line["event"] == "x402_answer_failed"] == ["failed: RuntimeError"]


# Beside wallets


def test_wallets_go_on_paying(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator
) -> None:
    with gated(Application(), wallets, wallet, price_yen=3, x402=x402) as front:
        assert front.call().headers["x-wallet-balance"] == "9997"
        assert_problem(front.call(token=new_token()), 401, "unauthorized")
    assert facilitator.verified == []


def test_an_empty_wallet_may_pay_this_call_by_itself(wallets: CreditWallet, x402: X402) -> None:
    empty = wallets.create()
    with gated(Application(), wallets, empty, price_yen=3, x402=x402) as front:
        refused = front.call()
        assert_problem(refused, 402, "insufficient_funds", missing_yen=3, reason="wallet_exhausted")
        assert front.call(headers=signed(offered(refused))).status_code == 200


def test_a_priced_route_takes_payments_and_a_hold_does_not(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402
) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await (priced(yen=5) if scope["path"] == "/yen" else priced(hold=5))(scope)
        await answer(send)

    with gated(Application(handler), wallets, wallet, x402=x402) as front:
        assert pay(front, "/yen").status_code == 200
        refused = front.call("/hold", token=None)
        assert_problem(refused, 401, "unauthorized")
        assert "payment-required" not in refused.headers


def test_a_gate_without_x402_knows_no_payments(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    requirements = PaymentRequirements(
        scheme="exact", network="eip155:84532", asset=USDC, amount="1", pay_to=PAY_TO, max_timeout_seconds=60
    )
    with gated(Application(), wallets, wallet, price_yen=3) as front:
        refused = front.call(token=None, headers=signed(requirements))
        assert_problem(refused, 401, "unauthorized")
        assert "payment-required" not in refused.headers


# Settings


def test_the_facilitator_is_told_who_asks(
    wallets: CreditWallet, wallet: CreatedWallet, facilitator: Facilitator
) -> None:
    def headers() -> dict[str, dict[str, str]]:
        return {"verify": {"X-Facilitator-Key": "v"}, "settle": {"X-Facilitator-Key": "s"}}

    with Served(facilitator) as served:
        x402 = settings(served.url, facilitator_headers=headers, units_per_yen=lambda yen: yen * 20_001 // 3)
        with gated(Application(), wallets, wallet, price_yen=3, x402=x402) as front:
            assert offered(front.call(token=None)).amount == "20001"
            assert pay(front).status_code == 200
    assert facilitator.headers == [b"v", b"s"]


def test_a_facilitator_that_is_not_there_is_502(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    x402 = settings(f"http://127.0.0.1:{free_port()}")
    with gated(Application(), wallets, wallet, price_yen=3, x402=x402) as front:
        assert_problem(pay(front), 502, "payment_provider_error")


@pytest.mark.parametrize("option", [{"price_yen": "3.30"}, {"price": "search"}])
@pytest.mark.parametrize(
    ("units_per_yen", "amount"),
    [
        (6_700, "22110"),
        (Decimal("6711.409396"), "22148"),  # 22147.65…, rounded up
        (lambda yen: -(-yen * 1_000_000 // 149), "22148"),
        (lambda yen: yen * Fraction(1_000_000, 149), "22148"),
    ],
)
def test_a_price_below_the_yen_is_offered_and_paid_exactly(
    wallets: CreditWallet,
    wallet: CreatedWallet,
    facilitator: Facilitator,
    option: dict[str, Any],
    units_per_yen: Any,
    amount: str,
) -> None:
    wallets.prices.apply('[[price]]\nitem = "search"\nunit_price_yen = "3.30"')
    with Served(facilitator) as served:
        x402 = settings(served.url, units_per_yen=units_per_yen)
        with gated(Application(), wallets, wallet, x402=x402, **option) as front:
            assert offered(front.call(token=None)).amount == amount
            assert pay(front).status_code == 200
            asked = offered(front.call(token=None))
            cheaper = asked.model_copy(update={"amount": str(int(amount) - 1)})
            assert_problem(front.call(token=None, headers=signed(cheaper, "0x02")), 402, "payment_invalid")
    assert facilitator.settled == ["0x01"]


def test_after_a_change_of_prices_the_new_one_is_offered(
    wallets: CreditWallet, wallet: CreatedWallet, x402: X402, facilitator: Facilitator
) -> None:
    prices = '[[price]]\nitem = "search"\nunit_price_yen = "3.30"'
    wallets.prices.apply(prices)
    app = Application()
    with gated(app, wallets, wallet, price="search", x402=x402) as front:
        before = offered(front.call(token=None))
        wallets.prices.apply(prices.replace("3.30", "4"))
        refused = front.call(token=None, headers=signed(before))
        assert_problem(refused, 402, "payment_invalid")
        assert offered(refused).amount == str(4 * UNITS_PER_YEN)
        wallets.prices.apply(prices.replace("search", "find"))
        assert_problem(front.call(token=None), 500, "price_missing")
        assert_problem(front.call(token=None, headers=signed(before)), 500, "price_missing")
    assert (app.ran, facilitator.verified) == (0, [])


@pytest.mark.parametrize("units", [0, 0.5, lambda yen: yen * 0.5, lambda yen: 0])  # noqa: ARG005
def test_money_is_whole(units: Any) -> None:
    with pytest.raises(ValueError, match="exact number of units"):
        settings("http://facilitator.test", units_per_yen=units).units(3_000_000)
