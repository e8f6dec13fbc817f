"""``FakeStripe``: starts the fake, and does what payers, banks and people in Stripe's dashboard do.

Nothing here moves real money, and everything is forgotten when it ends. The official ``stripe`` SDK gets the answers
that Stripe gives, for payments in yen: customers, cards, PaymentIntents, SetupIntents, Checkout Sessions, konbini, bank
transfers, refunds, disputes, events, webhooks, idempotency keys. People pay on the fake's pages.

A card that needs authentication while the customer is away (``off_session``) is answered as by Stripe: 402 with code
``authentication_required``, the PaymentIntent in ``requires_payment_method`` with its ``last_payment_error``. The page
at ``pay_url`` then brings the customer back to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from msgspec import Struct

from fake_stripe.account import Account
from fake_stripe.calls import CardNumber, MethodData, RefundCreate
from fake_stripe.charges import Charge
from fake_stripe.failures import StripeFailure
from fake_stripe.intents import Intent
from fake_stripe.localstripe import LocalstripeProcess
from fake_stripe.loop_thread import LoopThread
from fake_stripe.pages import confirmation
from fake_stripe.service import Service
from fake_stripe.webhooks import Endpoint

Json = dict[str, Any]
T = TypeVar("T")

RETRY_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0)
PATIENCE_SECONDS = 30.0
PAYING_CARD = "4242424242424242"


class Payment(Struct, frozen=True):
    """The truth about a PaymentIntent, in yen."""

    id: str
    status: str
    amount: int
    received: int
    refunded: int
    disputed: int
    """What disputes have withdrawn and not reinstated."""
    customer: str | None
    metadata: dict[str, str]


class FakeStripe:
    """Stripe with test money, on loopback ports, while the with-block runs. Any thread may call it.

    ``clock`` returns the time in seconds since 1970. A webhook that fails is delivered again after each of
    ``retry_seconds``, and after that at the last interval; an endpoint has ``webhook_timeout_seconds`` to answer.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        clock: Callable[[], float] = time.time,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
        webhook_timeout_seconds: float = 10.0,
    ) -> None:
        """Start it, and return when it is ready. Port 0 picks a free one."""
        self._stack = ExitStack()
        with ExitStack() as started:
            process = LocalstripeProcess()
            started.callback(process.close)
            self._thread = LoopThread("fake Stripe")
            started.callback(self._thread.close)
            self._service = self._run(Service.start(process.url, port, clock, retry_seconds, webhook_timeout_seconds))
            started.callback(lambda: self._run(self._service.close()))
            self._stack = started.pop_all()
        self.url = self._account.url
        """Where the API and the pages are."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop it; webhooks that have not been delivered are dropped."""
        self._stack.close()

    def send_webhooks_to(self, url: str, *secrets: str, types: Sequence[str] = ("*",)) -> None:
        """From now on, deliver events of these types to ``url``, signed with each secret (two while they rotate)."""
        if not secrets:
            raise ValueError("a webhook endpoint needs a secret to sign with")
        self._call(_now(lambda: self._account.webhooks.add(Endpoint(url, secrets, tuple(types)))))

    def stop_webhooks_to(self, url: str) -> None:
        """Stop delivering to ``url``; events that have not arrived there are dropped."""
        self._call(_now(lambda: self._account.webhooks.remove(url)))

    def wait_delivered(self, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Return when every endpoint has accepted every event that it wants. Raises TimeoutError."""
        self._thread.run(self._account.webhooks.wait_delivered(), timeout_seconds)

    def deliver_again(self, event_id: str) -> None:
        """Deliver an event once more, as happens at Stripe."""
        self._call(_now(lambda: self._account.webhooks.send(self._account.events.retrieve(event_id))))

    def events(self, *types: str) -> list[Json]:
        """All events, or those of these types, oldest first."""
        happened = self._call(_now(self._account.events.all))
        return [event for event in happened if not types or event["type"] in types]

    def payment_intents(self) -> list[Payment]:
        """The truth about all PaymentIntents, oldest first."""
        return self._call(self._payments())

    def payment_intent(self, intent_id: str) -> Payment:
        """The truth about one PaymentIntent."""
        return self._call(self._payment(self._account.intents.find(intent_id)))

    def pay_url(self, intent_id: str) -> str:
        """The page where a person pays a PaymentIntent or answers the bank's question."""
        return self._account.page_of_intent(self._account.intents.find(intent_id))

    def new_card(self, customer_id: str, number: str = PAYING_CARD, *, set_up: bool = False) -> str:
        """Save a test card for a customer and return the id of the payment method.

        ``set_up`` means that its bank has authenticated the customer for charges while the customer is away.
        """
        return self._call(self._new_card(customer_id, number, set_up=set_up))

    def pay(self, target_id: str, card: str = PAYING_CARD) -> Json:
        """The customer pays a PaymentIntent or a Checkout Session. Returns the PaymentIntent.

        ``card`` is a test card's number, a payment method's id, ``konbini`` or ``customer_balance``.
        """
        return self._call(self._pay(target_id, card))

    def authenticate(self, intent_id: str, *, success: bool = True) -> Json:
        """The customer answers the bank's question about a PaymentIntent or SetupIntent. Returns that intent."""
        return self._call(self._authenticate(intent_id, success=success))

    def pay_voucher(self, intent_id: str) -> Json:
        """The customer pays at the konbini, or transfers what is missing. Returns the PaymentIntent."""
        return self._call(self._with_intent(intent_id, self._account.paying.pay_voucher))

    def fund(self, intent_id: str, amount_yen: int) -> Json:
        """The customer transfers money; any excess stays in the cash balance. Returns the PaymentIntent."""
        return self._call(self._with_intent(intent_id, lambda intent: self._account.paying.fund(intent, amount_yen)))

    def expire_voucher(self, intent_id: str) -> Json:
        """Nobody has paid at the konbini in time. Returns the PaymentIntent."""
        return self._call(self._with_intent(intent_id, self._account.paying.expire_voucher))

    def expire_session(self, session_id: str) -> Json:
        """A Checkout Session expires. Returns the session."""
        return self._call(self._expire_session(session_id))

    def refund(self, target_id: str, amount_yen: int | None = None) -> str:
        """Refund a charge or a PaymentIntent, as someone in Stripe's dashboard does. Returns the refund's id."""
        return self._call(self._refund(target_id, amount_yen))

    def settle_refund(self, refund_id: str, *, success: bool) -> Json:
        """A refund that waits for the payer's bank succeeds, or a refund fails. Returns the refund."""
        return self._call(self._settle_refund(refund_id, success=success))

    def dispute(
        self, target_id: str, amount_yen: int | None = None, *, inquiry: bool = False, reason: str = "fraudulent"
    ) -> str:
        """The payer disputes a charge or a PaymentIntent (an ``inquiry`` takes no money). Returns its id."""
        return self._call(self._dispute(target_id, amount_yen, reason, inquiry=inquiry))

    def escalate_dispute(self, dispute_id: str) -> None:
        """An inquiry becomes a dispute, and the money is withdrawn."""
        disputes = self._account.disputes
        self._call(_now(lambda: disputes.escalate(disputes.find(dispute_id))))

    def close_dispute(self, dispute_id: str, *, won: bool) -> None:
        """The bank decides a dispute; when it is won, the money is reinstated."""
        disputes = self._account.disputes
        self._call(_now(lambda: disputes.close(disputes.find(dispute_id), won=won)))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold all requests while the with-block runs. Other methods of this object would wait as well."""
        self._run(self._account.busy.acquire())
        try:
            yield
        finally:
            self._run(_now(self._account.busy.release))

    @property
    def _account(self) -> Account:
        return self._service.account

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.run(coroutine, PATIENCE_SECONDS)

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it between two requests."""

        async def alone() -> T:
            async with self._account.busy:
                return await coroutine

        return self._run(alone())

    async def _payments(self) -> list[Payment]:
        return [await self._payment(intent) for intent in self._account.intents.all()]

    async def _payment(self, intent: Intent) -> Payment:
        paid = [charge for charge in self._account.charges.of_payment(intent.id) if charge.decline is None]
        return Payment(
            intent.id,
            await self._account.intents.status(intent),
            intent.amount_yen,
            sum(charge.amount_yen for charge in paid),
            sum(charge.refunded_yen for charge in paid),
            sum(charge.withdrawn_yen for charge in paid),
            intent.customer,
            dict(intent.metadata),
        )

    async def _new_card(self, customer_id: str, number: str, *, set_up: bool) -> str:
        methods = self._account.methods
        card = CardNumber(number=number, exp_month=12, exp_year=2040, cvc="123")
        method = await methods.create(MethodData(type="card", card=card))
        await methods.attach(method, self._account.customers.find(customer_id))
        method.set_up = set_up
        return method.id

    async def _pay(self, target_id: str, card: str) -> Json:
        account = self._account
        given = confirmation(card)
        await account.sessions.expire_due()
        intent = None if target_id.startswith("cs_") else account.intents.find(target_id)
        try:
            if intent is None:
                await account.sessions.submit(account.sessions.find(target_id), given)
            else:
                await account.paying.confirm(intent, given)
        except StripeFailure as failure:
            if failure.status != 402:
                raise
        intent = intent or account.sessions.find(target_id).intent
        if intent is None:
            raise ValueError(f"the fake cannot try to pay with {card}")
        return await account.intents.view(intent)

    async def _authenticate(self, intent_id: str, *, success: bool) -> Json:
        account = self._account
        if intent_id.startswith("seti_"):
            setup = account.setups.find(intent_id)
            await account.setups.authenticate(setup, success=success)
            return await account.setups.view(setup)
        intent = account.intents.find(intent_id)
        try:
            await account.paying.authenticate(intent, success=success)
        except StripeFailure as failure:
            if failure.status != 402:
                raise
        return await account.intents.view(intent)

    async def _with_intent(self, intent_id: str, act: Callable[[Intent], Coroutine[Any, Any, None]]) -> Json:
        intent = self._account.intents.find(intent_id)
        await act(intent)
        return await self._account.intents.view(intent)

    async def _expire_session(self, session_id: str) -> Json:
        session = self._account.sessions.find(session_id)
        await self._account.sessions.expire(session)
        return self._account.sessions.view(session)

    async def _refund(self, target_id: str, amount_yen: int | None) -> str:
        charge = self._charge(target_id)
        email = charge.method.email or "someone@example.com"
        given = RefundCreate(charge=charge.id, amount=amount_yen, instructions_email=email)
        return (await self._account.refunds.create(given)).id

    async def _settle_refund(self, refund_id: str, *, success: bool) -> Json:
        refund = self._account.refunds.find(refund_id)
        await self._account.refunds.settle(refund, success=success)
        return await self._account.refunds.view(refund)

    async def _dispute(self, target_id: str, amount_yen: int | None, reason: str, *, inquiry: bool) -> str:
        return self._account.disputes.open(self._charge(target_id), amount_yen, reason, inquiry=inquiry).id

    def _charge(self, target_id: str) -> Charge:
        if target_id.startswith("ch_"):
            return self._account.charges.find(target_id)
        charge = self._account.intents.find(target_id).latest_charge
        if charge is None:
            raise ValueError(f"{target_id} has not been paid")
        return charge


async def _now(act: Callable[[], T]) -> T:
    """Run it in the thread of the event loop."""
    return act()
