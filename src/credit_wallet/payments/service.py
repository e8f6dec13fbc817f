"""Top-ups from end to end: asked for at Stripe, taken in when Stripe says something, looked up when it does not.

A top-up is noted before Stripe is asked, and Stripe is asked under a name made from it. Whatever is lost on the way,
the answer, a delivery or this process, the next look finds the same payment: ``reconcile`` needs no webhook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from msgspec import structs

from credit_wallet.config import PAY_BACK
from credit_wallet.domain.actors import PAYER, PRODUCT
from credit_wallet.domain.commands import PayBackLimit
from credit_wallet.domain.cycle import parse_instant
from credit_wallet.domain.money import is_amount
from credit_wallet.domain.outcomes import TopupView
from credit_wallet.domain.topups import OPEN, PAYABLE, RETURNED, PaymentFact, Way, pay_back_id_of
from credit_wallet.errors import (
    DatabaseError,
    InvalidAmount,
    PayBackNotAllowed,
    PaymentProviderError,
    RailBusy,
    TopupInFlight,
    TopupLimitReached,
    TopupNotDue,
    TopupNotFound,
    TopupStopped,
    WalletDisabled,
    WalletError,
)
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.gateway import Asked, Payment, StripeGateway, StripeSilent, UnknownToStripe
from credit_wallet.payments.replies import AutoTopup, Reconciliation, TopupReply
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.runtime.deadlines import STRIPE_SILENT_CALLS
from credit_wallet.runtime.steady_clock import SteadyClock, utc_now
from credit_wallet.telemetry import Logger

QUIET = timedelta(minutes=10)
"""How long nothing may be heard of an open top-up before Stripe is asked."""

UNSENT_FOR = timedelta(hours=1)
"""How long a top-up that Stripe does not know may wait to be sent again; Stripe remembers its key for a day."""

UNPAID_FOR = timedelta(days=1)
"""How long an owner may take to pay; delayed methods have limits of their own."""

LOOK_BACK = timedelta(days=3)
"""How far behind the last comparison that got through payments, refunds and disputes are compared with the ledger
again; webhooks are redelivered as long.
"""

FIRST_LOOK_BACK = timedelta(days=30)
"""How far back the first comparison after a start goes, since nobody may have looked for long; Stripe keeps events as
long.
"""

_EXPECTED = (TopupInFlight, TopupLimitReached, TopupNotDue, TopupStopped, WalletDisabled)
"""What may speak against an automatic top-up look after look; the outbox tells it once, and nobody need be warned."""

Problems: TypeAlias = tuple[str, ...]
"""What a person must see of a payment."""

_log = Logger("credit_wallet.payments")


class _Silence:
    """How often in a row Stripe did not answer."""

    def __init__(self) -> None:
        self._calls = 0

    def note(self, error: WalletError | None) -> None:
        """What came of a call."""
        self._calls = self._calls + 1 if isinstance(error, StripeSilent) else 0

    @property
    def is_long(self) -> bool:
        """Whether it is of no use to ask on."""
        return self._calls >= STRIPE_SILENT_CALLS


class StripePayments:
    """Payments of one ledger. Thread-safe; its calls wait for Stripe."""

    def __init__(
        self, wallets: CreditWallet, settings: PaymentSettings, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._wallets = wallets
        self._settings = settings
        self._clock = clock
        self._compare_since = clock() - FIRST_LOOK_BACK
        self._jobs_end = False
        self.gateway = StripeGateway(settings, wallets.topups.installation_id(), self._seconds)

    def request(self, wallet_id: int, amount_yen: int, *, idempotency_key: str, way: Way = "intent") -> TopupReply:
        """Ask for a payment that the owner will make, with a card form (``intent``) or on a page of Stripe's.

        Raises ``InvalidAmount``, ``TopupInFlight`` and ``PaymentProviderError``.
        """
        min_yen, max_yen = self._settings.min_yen, self._settings.max_yen
        if not is_amount(amount_yen) or not min_yen <= amount_yen <= max_yen:
            raise InvalidAmount(
                f"amount_yen must be a whole number from {min_yen} to {max_yen}, not {amount_yen!r}",
                field="amount_yen",
            )
        self._wallets.show(wallet_id)
        outcome = self._wallets.topups.request(
            wallet_id, amount_yen, idempotency_key=idempotency_key, way=way, actor=PAYER
        )
        topup = self._wallets.topups.show(str(outcome.topup_id))
        asked = self._asked(topup)
        return self._reply(topup.topup_id, asked.client_secret, replayed=outcome.replayed)

    def show(self, topup_id: str) -> TopupReply:
        """A top-up with what its owner needs to pay it, as Stripe has it now.

        Raises ``TopupNotFound`` and ``PaymentProviderError``.
        """
        topup = self._wallets.topups.show(topup_id)
        if topup.status not in PAYABLE:
            return self._reply(topup_id, None)
        asked = self.gateway.ask_again(topup)
        self._settle(topup, asked.fact)
        return self._reply(topup_id, asked.client_secret)

    def cancel(self, topup_id: str) -> TopupReply:
        """Give up a top-up that nobody has paid; one that was paid meanwhile is credited."""
        topup = self._wallets.topups.show(topup_id)
        if topup.status == "requested" and topup.origin == "owner":
            self._asked(topup)  # whether Stripe knows of it is not known; after this it does, under a name
            topup = self._wallets.topups.show(topup_id)
        if topup.status in PAYABLE:
            self._settle(topup, self.gateway.cancel(topup))
        return self._reply(topup_id, None)

    def deliver(self, payload: bytes, signature: str | None) -> str:
        """Take in a webhook delivery and say what was done with it: ``settled``, or ``ignored`` when not ours.

        ``reported`` when some amount is not in yen: that moves nothing, and a person is told.

        Raises ``InvalidSignature`` for one that Stripe did not sign, and whatever keeps it from being taken in whole;
        it is then delivered again.
        """
        event = self.gateway.event(payload, signature)
        payment = self.gateway.payment_of(event)
        if payment is None:
            return "ignored"
        return "reported" if self._take_in(payment) else "settled"

    def run_automatic(self) -> list[AutoTopup]:
        """Charge the saved methods of all wallets that are due, one after the other; one line for each.

        While Stripe does not answer, and once jobs are to end, the rest is left for the next time.
        """
        silence = _Silence()
        done: list[AutoTopup] = []
        for wallet_id in self._due():
            if self._jobs_end or silence.is_long:
                break
            done.append(self._top_up(wallet_id, silence))
        return done

    def reconcile(self) -> Reconciliation:
        """Ask Stripe about open top-ups that were quiet for long, and compare recent payments with the ledger.

        While Stripe does not answer, and once jobs are to end, the rest is left for the next time.
        """
        report, silence = Reconciliation(), _Silence()
        for topup in self._wallets.topups.unsettled(QUIET):
            if self._jobs_end or silence.is_long:
                break
            self._attempt(report, silence, topup.topup_id, partial(self._look_up, topup))
        if not self._jobs_end and not silence.is_long:
            self._compare_recent(report, silence)
        report.problems = [*dict.fromkeys(report.problems)]
        return report

    def pay_back(self, topup_id: str, amount_yen: int, *, idempotency_key: str) -> TopupReply:
        """Pay unused credit of a top-up back to where it came from, inside the limits of the law.

        The credit leaves the wallet first; when Stripe refuses it comes again. Raises ``PayBackNotAllowed``,
        ``RefundExceedsCharge`` and ``PaymentProviderError`` (send it again with the same key).
        """
        topup = self._wallets.topups.show(topup_id)
        if topup.payment_intent is None:
            raise TopupNotFound(f"top-up {topup_id} has no payment", topup_id=topup_id)
        name = pay_back_id_of(topup.wallet_id, idempotency_key)
        stage = next((stage for taking, _, stage in topup.takings if taking == name), None)
        if stage == RETURNED:
            raise PayBackNotAllowed("Stripe did not pay it back; the wallet has its credit again. Try with a new key")
        limit = self._pay_back_limit() if stage is None else None
        self._wallets.topups.pay_back(
            topup.wallet_id, topup_id, amount_yen, idempotency_key=idempotency_key, limit=limit
        )
        known = None if stage is None else self.gateway.refund_asked_for(topup.payment_intent, name)
        fact = known or self.gateway.refund(topup.payment_intent, amount_yen, name)
        self._settle(topup, fact)
        if any(stage == RETURNED for _, _, stage in fact.takings):
            raise PayBackNotAllowed(f"Stripe did not pay it back ({fact.reason}); the wallet has its credit again")
        return self._reply(topup_id, None)

    def end_jobs(self) -> None:
        """Have jobs end after the call they are at: no card is charged any more, and nothing tried again."""
        self._jobs_end = True
        self.gateway.end_retries()

    def check(self) -> str:
        """That Stripe answers, for a check-up. Raises ``PaymentProviderError``."""
        told = "" if self._settings.webhook_secrets else "; without a webhook secret, payments are found by looking"
        return self.gateway.check() + told

    # Inside

    def _pay_back_limit(self) -> PayBackLimit:
        if not self._settings.pay_back:
            raise PayBackNotAllowed(f"paying credit back is off; the operator may allow it with {PAY_BACK.name}=on")
        return self._wallets.topups.pay_back_limit()

    def _asked(self, topup: TopupView) -> Asked:
        """Ask Stripe for a top-up's payment, or about it when it was asked for before, and take in the answer."""
        if topup.payment_intent is not None or topup.checkout_session is not None or topup.status not in OPEN:
            asked = self.gateway.ask_again(topup)
        else:
            asked = self._asked_first(
                topup, self.gateway.new_checkout if topup.way == "checkout" else self.gateway.new_intent
            )
        self._settle(topup, asked.fact)
        return asked

    def _asked_first(self, topup: TopupView, ask: Callable[[TopupView, str], Asked]) -> Asked:
        """Ask for the payment of the wallet's customer, or of a new one when Stripe knows that one no more."""
        customer = self._customer(topup.wallet_id)
        try:
            return ask(topup, customer)
        except UnknownToStripe:
            return ask(topup, self.gateway.new_customer(topup.wallet_id, instead_of=customer))

    def _customer(self, wallet_id: int) -> str:
        return self._wallets.topups.payer(wallet_id).customer or self.gateway.new_customer(wallet_id)

    def _settle(self, topup: TopupView, fact: PaymentFact) -> None:
        self._take(topup.wallet_id, topup.topup_id, fact)

    def _take(self, wallet_id: int, topup_id: str, fact: PaymentFact, amount_yen: int = 0) -> None:
        """Settle a top-up, and when its bank wants a person, call for one."""
        self._wallets.topups.settle(wallet_id, topup_id, fact, amount_yen=amount_yen)
        for mismatch in fact.mismatches:
            _log.warning("payment_currency_mismatch", wallet_id=wallet_id, topup_id=topup_id, mismatch=mismatch)
        if fact.decline == "person":
            self._invite(self._wallets.topups.show(topup_id))

    def _reply(self, topup_id: str, client_secret: str | None, *, replayed: bool = False) -> TopupReply:
        topup = self._wallets.topups.show(topup_id)
        is_page = topup.way == "checkout" and topup.status in OPEN
        return TopupReply(
            topup_id=topup.topup_id,
            wallet_id=topup.wallet_id,
            amount_yen=topup.amount_yen,
            status=topup.status,
            payment_intent=topup.payment_intent,
            client_secret=client_secret,
            checkout_url=topup.action_url if is_page else None,
            action_url=topup.action_url,
            reason=topup.reason,
            replayed=replayed,
        )

    def _take_in(self, payment: Payment) -> Problems:
        """Settle the top-up that a payment belongs to. One that lost its row, or whose row is another's, gets a new:
        unless it was not asked for in yen, and has nothing to show in a row.
        """
        intent = payment.fact.payment_intent
        found = self._wallets.topups.of_payment(intent) if intent is not None else None
        topup_id, amount_yen = payment.topup_id, 0
        if found is not None:
            topup_id = found[0]
        elif intent is not None and self._belongs_to_another(payment):
            topup_id, amount_yen = f"tu_{intent}", payment.amount_yen
            _log.warning("payment_without_topup", payment_intent=intent, wallet_id=payment.wallet_id)
        self._take(payment.wallet_id, topup_id, payment.fact, amount_yen)
        return payment.fact.mismatches

    def _belongs_to_another(self, payment: Payment) -> bool:
        """Whether the named top-up is not there, or has another payment, as after a backup was restored."""
        try:
            topup = self._wallets.topups.show(payment.topup_id)
        except TopupNotFound:
            return True
        return (
            topup.wallet_id != payment.wallet_id
            or payment.amount_yen not in (0, topup.amount_yen)
            or topup.payment_intent not in (None, payment.fact.payment_intent)
        )

    def _is_credited(self, intent: str) -> bool:
        found = self._wallets.topups.of_payment(intent)
        return found is not None and self._wallets.topups.show(found[0]).status == "credited"

    def _due(self) -> Iterator[int]:
        after = 0
        while page := self._wallets.topups.due(after=after):
            yield from page
            after = page[-1]

    def _top_up(self, wallet_id: int, silence: _Silence) -> AutoTopup:
        """One automatic top-up; what speaks against it is said, and what Stripe did not answer is looked up later."""
        settings = self._settings
        topup_id: str | None = None
        try:
            outcome = self._wallets.topups.request_automatic(
                wallet_id,
                idempotency_key=new_idempotency_key(),
                min_yen=settings.min_yen,
                max_yen=settings.max_yen,
                daily_yen=settings.auto_daily_yen,
                monthly_yen=settings.auto_monthly_yen,
            )
            topup_id = str(outcome.topup_id)
            self._charge(self._wallets.topups.show(topup_id))
            silence.note(None)
        except _EXPECTED as error:
            return AutoTopup(wallet_id, error.code, topup_id=topup_id, detail=str(error))
        except WalletError as error:
            silence.note(error)
            _log.warning("auto_topup_failed", wallet_id=wallet_id, topup_id=topup_id, code=error.code, error=str(error))
            return AutoTopup(wallet_id, error.code, topup_id=topup_id, detail=str(error))
        done = self._wallets.topups.show(topup_id)
        return AutoTopup(wallet_id, done.status, done.amount_yen, topup_id, done.reason)

    def _charge(self, topup: TopupView) -> None:
        if self._jobs_end:
            return  # it is noted, and sent by the next process
        payer = self._wallets.topups.payer(topup.wallet_id)
        if payer.customer is None or payer.payment_method is None:
            self._settle(topup, PaymentFact(told_at=self._seconds(), status="failed", reason="no_payment_method"))
            return
        self._settle(topup, self.gateway.charge_saved(topup, payer.customer, payer.payment_method).fact)

    def _invite(self, declined: TopupView) -> None:
        """Give the owner a page to pay on in place of an automatic top-up, once; the declined payment is given up."""
        if declined.origin != "auto" or not self._wallets.topups.payer(declined.wallet_id).stopped:
            return
        try:
            outcome = self._wallets.topups.request(
                declined.wallet_id,
                declined.amount_yen,
                idempotency_key=f"instead of {declined.topup_id}",
                way="checkout",
                actor=PRODUCT,
            )
        except TopupInFlight:  # the owner pays in another way already
            return
        topup = self._wallets.topups.show(str(outcome.topup_id))
        if topup.status in OPEN and topup.checkout_session is None:
            fact = self._asked_first(topup, self.gateway.new_checkout).fact
            self._settle(topup, structs.replace(fact, status="requires_action", reason="authentication_required"))
            with suppress(PaymentProviderError):
                self.gateway.cancel(declined)

    def _look_up(self, topup: TopupView) -> Problems:
        """Bring an open top-up up to what Stripe knows of it."""
        if topup.payment_intent is None and topup.checkout_session is None:
            return self._send_or_give_up(topup)
        fact = self.gateway.ask_again(topup).fact
        waits_for_owner = topup.origin == "owner" and fact.status in ("pending", "failed") and not fact.processing
        if waits_for_owner and self._age(topup) > UNPAID_FOR:
            fact = self.gateway.cancel(topup)
        self._settle(topup, fact)
        return fact.mismatches

    def _send_or_give_up(self, topup: TopupView) -> Problems:
        """A top-up that was noted and perhaps sent: send it again under its name, or when that is too old, look."""
        if self._latest() - parse_instant(topup.created_at) <= UNSENT_FOR:
            if topup.origin == "auto":
                self._charge(topup)
            else:
                self._asked(topup)
            return ()
        made = int(parse_instant(topup.created_at).timestamp())
        for payment in self.gateway.payments_since(made - 60):
            if payment.topup_id == topup.topup_id:
                return self._take_in(payment)
        self._settle(topup, PaymentFact(told_at=self._seconds(), status="canceled", reason="never_sent"))
        return ()

    def _compare_recent(self, report: Reconciliation, silence: _Silence) -> None:
        """Compare what has turned since the last comparison that got through; the next one begins where this one did,
        unless this one gets through.
        """
        now, since = self._clock(), int(self._compare_since.timestamp())
        received = self._until_jobs_end(self.gateway.payments_received_since(since))
        intents = [each for each in received if not self._is_credited(each)]
        intents += self._until_jobs_end(self.gateway.payments_taken_since(since))
        for intent in self._until_jobs_end(dict.fromkeys(intents)):
            if silence.is_long:
                return
            self._attempt(report, silence, intent, partial(self._compare, intent))
        if not self._jobs_end:
            self._compare_since = now - LOOK_BACK

    def _until_jobs_end(self, items: Iterable[str]) -> Iterator[str]:
        for item in items:
            if self._jobs_end:
                return
            yield item

    def _compare(self, intent: str) -> Problems:
        payment = self.gateway.truth(intent)
        return () if payment is None else self._take_in(payment)

    def _attempt(self, report: Reconciliation, silence: _Silence, name: str, repair: Callable[[], Problems]) -> None:
        """Repair one thing; what goes wrong is reported and does not keep the others from it."""
        report.asked += 1
        before = self._state(name)
        try:
            report.problems += [f"{name}: {problem}" for problem in repair()]
            silence.note(None)
        except (DatabaseError, RailBusy):
            raise
        except WalletError as error:
            silence.note(error)
            report.problems.append(f"{name}: {error}")
        after = self._state(name)
        report.changed += after != before
        if after is not None and after[1] == "succeeded":
            report.problems.append(f"{after[0]}: paid and not credited ({after[-1]})")

    def _state(self, name: str) -> tuple[object, ...] | None:
        found = self._wallets.topups.of_payment(name)
        try:
            topup = self._wallets.topups.show(found[0] if found else name)
        except TopupNotFound:
            return None
        return topup.topup_id, topup.status, topup.credited_yen, topup.reversed_yen, topup.reason

    def _age(self, topup: TopupView) -> timedelta:
        return self._clock() - parse_instant(topup.created_at)

    def _latest(self) -> datetime:
        """The latest that it may be: Stripe forgets by its own clock, while ours may be behind after a pause."""
        return self._clock.latest() if isinstance(self._clock, SteadyClock) else self._clock()

    def _seconds(self) -> int:
        return int(self._clock().timestamp())
