"""What moves money: confirming, authenticating, and what a bank or a konbini reports later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from fake_stripe.calls import Confirmation, IntentCreate, KonbiniOptions
from fake_stripe.cards import (
    ASKING,
    ASKING_THEN_DECLINED,
    AUTHENTICATION_NOT_HANDLED,
    DECLINED,
    PAYING,
    Card,
    Decline,
    Verdict,
)
from fake_stripe.charges import Charge, Charges
from fake_stripe.customers import Customers
from fake_stripe.events import Events
from fake_stripe.failures import invalid, unexpected_state
from fake_stripe.intents import OPEN, Intent, Intents
from fake_stripe.localstripe import Localstripe, LocalstripeError
from fake_stripe.methods import Method, Methods, card_error
from fake_stripe.vouchers import Voucher, konbini_voucher

Json = dict[str, Any]
Turn = Literal["succeeded", "failed", "waiting"]
Watcher = Callable[[Intent, Turn], Awaitable[None]]

_AUTHENTICATION_FAILED = {
    "code": "payment_intent_authentication_failure",
    "doc_url": "https://docs.stripe.com/error-codes/payment-intent-authentication-failure",
    "message": "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new"
    " PaymentMethod to attempt to fulfill this PaymentIntent again.",
    "type": "invalid_request_error",
}
_EXPIRED = {
    "code": "payment_intent_payment_attempt_expired",
    "doc_url": "https://docs.stripe.com/error-codes/payment-intent-payment-attempt-expired",
    "message": "The payment attempt for this PaymentIntent has expired. You can provide payment_method_data or a new"
    " PaymentMethod to attempt to fulfill this PaymentIntent again.",
    "type": "invalid_request_error",
}


class Paying:
    """Carries payments out."""

    def __init__(
        self,
        localstripe: Localstripe,
        events: Events,
        customers: Customers,
        methods: Methods,
        intents: Intents,
        charges: Charges,
        clock: Callable[[], float],
    ) -> None:
        self._localstripe = localstripe
        self._events = events
        self._customers = customers
        self._methods = methods
        self._intents = intents
        self._charges = charges
        self._clock = clock
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        """Call ``watcher`` when a payment has succeeded, failed or begun to wait for money."""
        self._watchers.append(watcher)

    async def create(self, given: IntentCreate, *, of_session: bool = False) -> Intent:
        """Make a PaymentIntent, and confirm it when asked to."""
        method = await self._intents.method_given(given.payment_method, given.payment_method_data)
        if given.confirm:
            automatic = given.automatic_payment_methods
            chosen = given.allowed_payment_method_types or given.payment_method_types
            redirects = not chosen and (automatic is None or automatic.allow_redirects == "always")
            _confirmable(method, given, given.customer, redirects=redirects)
        intent = await self._intents.create(given, method, of_session=of_session)
        if given.confirm:
            await self._confirm(intent, given)
        return intent

    async def confirm(self, intent: Intent, given: Confirmation) -> None:
        """Try to pay. Raises StripeFailure when the card is declined or cannot be tried."""
        status = await self._intents.status(intent)
        if status == "succeeded":
            raise unexpected_state(
                "You cannot confirm this PaymentIntent because it has already succeeded after being previously"
                " confirmed.",
                "payment_intent_unexpected_state",
                payment_intent=await self._intents.view(intent),
            )
        if status not in OPEN:
            raise await self._intents.refusal(intent, "confirm")
        if intent.customer is not None:
            self._customers.find(intent.customer)
        given_method = await self._intents.method_given(given.payment_method, given.payment_method_data)
        redirects = intent.automatic is not None and intent.automatic["allow_redirects"] == "always"
        method = _confirmable(given_method or intent.method, given, intent.customer, redirects=redirects)
        self._intents.check_method(intent.types, intent.customer, method)
        intent.method = method
        if given.payment_method_options is not None:
            intent.options = given.payment_method_options
        if given.setup_future_usage is not None:
            intent.usage = given.setup_future_usage or None
        if given.receipt_email is not None:
            intent.shown["receipt_email"] = given.receipt_email or None
        await self._confirm(intent, given)

    async def authenticate(self, intent: Intent, *, success: bool) -> None:
        """The customer answers the bank's question. Raises StripeFailure when the card is declined afterwards."""
        status = await self._intents.status(intent)
        if status != "requires_action" or intent.voucher is not None or intent.method is None:
            raise ValueError(f"{intent.id} does not wait for authentication; its status is {status}")
        decline = intent.method.card.decline if intent.method.card else None
        answer = {"client_secret": intent.client_secret, "success": success}
        await self._carry_out(intent, "_authenticate", **answer)
        if success:
            await self._settle(intent, decline)
        else:
            await self._fail(intent, _AUTHENTICATION_FAILED)

    async def pay_voucher(self, intent: Intent) -> None:
        """The customer pays the slip at a konbini, or transfers what is missing."""
        voucher = _voucher_of(intent)
        if voucher.type == "customer_balance":
            return await self.fund(intent, voucher.amount_yen - voucher.funded_yen)
        return await self._receive(intent, voucher)

    async def fund(self, intent: Intent, amount_yen: int) -> None:
        """The customer transfers money; any excess stays in the customer's cash balance."""
        voucher = _voucher_of(intent)
        if voucher.type != "customer_balance" or intent.customer is None:
            raise ValueError(f"{intent.id} does not wait for a bank transfer")
        missing = voucher.amount_yen - voucher.funded_yen
        voucher.funded_yen += min(amount_yen, missing)
        if amount_yen > missing:
            self._customers.add_cash(self._customers.find(intent.customer), amount_yen - missing)
        if amount_yen < missing:
            self._events.record("payment_intent.partially_funded", await self._intents.view(intent))
        else:
            await self._receive(intent, voucher)

    async def expire_voucher(self, intent: Intent) -> None:
        """Nobody has paid the slip in time."""
        voucher = _voucher_of(intent)
        if voucher.type != "konbini":
            raise ValueError(f"{intent.id} waits for a bank transfer, which does not expire")
        await self._intents.point(intent, None)
        await self._fail(intent, _EXPIRED)

    async def _confirm(self, intent: Intent, given: Confirmation) -> None:
        card = intent.chosen_method.card
        intent.failure = None
        intent.return_url, intent.by_sdk = given.return_url or intent.return_url, given.use_stripe_sdk
        if card is not None:
            await self._charge(intent, card, given)
        else:
            await self._wait_for_money(intent)

    async def _charge(self, intent: Intent, card: Card, given: Confirmation) -> None:
        verdict = card.verdict(off_session=given.customer_is_away, set_up=intent.chosen_method.set_up)
        if verdict is Verdict.ASKS and given.error_on_requires_action:
            verdict = AUTHENTICATION_NOT_HANDLED
        if verdict is Verdict.ASKS:
            await self._intents.point(intent, ASKING_THEN_DECLINED if card.decline else ASKING)
            await self._carry_out(intent, "confirm")
            self._events.record("payment_intent.requires_action", await self._intents.view(intent))
            return
        decline = verdict if isinstance(verdict, Decline) else None
        await self._intents.point(intent, DECLINED if decline else PAYING)
        await self._carry_out(intent, "confirm")
        await self._settle(intent, decline)

    async def _wait_for_money(self, intent: Intent) -> None:
        if intent.chosen_method.type == "konbini":
            options = intent.options.konbini or KonbiniOptions()
            voucher = konbini_voucher(intent.amount_yen, options, self._clock())
        else:
            voucher = Voucher("customer_balance", intent.amount_yen)
        await self._intents.point(intent, PAYING)
        intent.voucher = voucher
        self._use_cash(intent, voucher)
        if voucher.funded_yen == voucher.amount_yen:
            return await self._receive(intent, voucher)
        self._events.record("payment_intent.requires_action", await self._intents.view(intent))
        return await self._notify(intent, "waiting")

    def _use_cash(self, intent: Intent, voucher: Voucher) -> None:
        """Take what earlier bank transfers have left."""
        if voucher.type == "customer_balance" and intent.customer is not None:
            customer = self._customers.find(intent.customer)
            voucher.funded_yen = min(customer.cash_yen, voucher.amount_yen)
            customer.cash_yen -= voucher.funded_yen

    async def _receive(self, intent: Intent, voucher: Voucher) -> None:
        """All of the money has arrived."""
        if voucher.type == "konbini":
            voucher.processing = True
            self._events.record("payment_intent.processing", await self._intents.view(intent))
        intent.voucher = None
        await self._carry_out(intent, "confirm")
        await self._settle(intent, None)

    async def _carry_out(self, intent: Intent, step: str, **parameters: object) -> None:
        """Let localstripe do it; a declined charge, which it answers with an error, is a normal outcome."""
        try:
            await self._localstripe.post(f"/v1/payment_intents/{intent.id}/{step}", **parameters)
        except LocalstripeError as error:
            if error.status != 402:
                raise

    async def _settle(self, intent: Intent, decline: Decline | None) -> None:
        """Record the charge that localstripe has made, and what follows from it."""
        kept = await self._localstripe.get(f"/v1/payment_intents/{intent.id}")
        charge = Charge(
            kept["latest_charge"]["id"],
            int(self._clock()),
            intent.amount_yen,
            intent.id,
            intent.customer,
            intent.chosen_method,
            decline,
            intent.shown | {"metadata": intent.metadata},
        )
        await self._charges.add(charge)
        intent.latest_charge = charge
        if decline is None:
            await self._succeed(intent, charge)
        else:
            await self._decline(intent, charge, decline)

    async def _succeed(self, intent: Intent, charge: Charge) -> None:
        method = intent.chosen_method
        intent.failure = None
        method.worn = method.customer is None
        if method.card is not None and intent.card_usage is not None:
            await self._save(intent, method)
        self._events.record("charge.succeeded", await self._charges.view(charge))
        self._events.record("payment_intent.succeeded", await self._intents.view(intent))
        await self._notify(intent, "succeeded")

    async def _save(self, intent: Intent, method: Method) -> None:
        """Keep the card for later payments, as ``setup_future_usage`` asks."""
        method.worn = False
        method.set_up = method.set_up or intent.card_usage == "off_session"
        if intent.customer is not None:
            await self._methods.attach(method, self._customers.find(intent.customer))

    async def _decline(self, intent: Intent, charge: Charge, decline: Decline) -> None:
        method = await self._methods.view(intent.chosen_method)
        failure = card_error(decline, charge=charge.id, payment_method=method)
        self._events.record("charge.failed", await self._charges.view(charge))
        await self._intents.point(intent, None)
        await self._fail(intent, failure.error)
        failure.error["payment_intent"] = await self._intents.view(intent)
        raise failure

    async def _fail(self, intent: Intent, failure: Json) -> None:
        """The payment needs another payment method now."""
        method = intent.method
        intent.failure = dict(failure)
        if method is not None:
            intent.failure.setdefault("payment_method", await self._methods.view(method))
        intent.method = None
        self._events.record("payment_intent.payment_failed", await self._intents.view(intent))
        await self._notify(intent, "failed")

    async def _notify(self, intent: Intent, turn: Turn) -> None:
        for watcher in self._watchers:
            await watcher(intent, turn)


def _voucher_of(intent: Intent) -> Voucher:
    if intent.voucher is None:
        raise ValueError(f"{intent.id} does not wait for a konbini payment or a bank transfer")
    return intent.voucher


def _confirmable(method: Method | None, given: Confirmation, customer_id: str | None, *, redirects: bool) -> Method:
    """The payment method, unless it cannot even be tried. ``redirects``: the PaymentIntent takes methods that do so."""
    if method is None:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the"
            " PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a"
            " payment method or ConfirmationToken.",
            "payment_method",
            "payment_intent_unexpected_state",
        )
    if method.type == "customer_balance" and customer_id is None:
        raise invalid("A customer is required to pay by bank transfer.", "customer", "parameter_missing")
    if redirects and given.return_url is None and not given.use_stripe_sdk:
        raise invalid(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of"
            " these payment methods might redirect your customer off of your page, you must provide a `return_url`."
            " If you don't want to accept redirect-based payment methods, set"
            " `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to"
            " `never` when creating Setup Intents and Payment Intents.",
            "return_url",
        )
    return method
