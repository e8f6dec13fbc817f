"""Top-ups through a payment provider. They move the money here and do not depend on the provider's API."""

from __future__ import annotations

import builtins
from datetime import timedelta
from typing import Literal

from credit_wallet.domain.actors import OPERATOR, PRODUCT, Actor
from credit_wallet.domain.commands import PayBack, PayBackLimit, RequestAutoTopup, RequestTopup, SettleTopup
from credit_wallet.domain.consents import Consent
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import PaidBack, TopupRequested, TopupSettled
from credit_wallet.domain.topup_status import STATUSES, TopupStatus
from credit_wallet.domain.topups import AFTER_ALL_TOPUPS, OPEN, Flow, Offer, PaymentFact
from credit_wallet.domain.views import AutoTopupState, PayerView, TopupStepView, TopupView
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.rules.pay_back import PayBackRoom, pay_back_limit, pay_back_room
from credit_wallet.rules.validation import MAX_ID, checked_after, checked_id
from credit_wallet.stores import consent_rows
from credit_wallet.stores.reads import WalletRow

RECENT_TOPUPS = 10
"""Among which one that asks for a person is looked for."""


class Topups:
    """``wallets.topups``: credit paid for through a payment provider. ``wallets.topup`` credits without one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def request(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        flow: Flow = "intent",
        offer: Offer | None = None,
        actor: Actor = OPERATOR,
    ) -> TopupRequested:
        """Record that the owner will pay ``amount_yen`` through the payment provider, as the outcome's ``topup_id``.

        This adds no credit: ``settle`` does once the provider confirms the payment. ``offer`` says how it
        may be paid, by default in every way that there is. Raises ``WalletNotFound``, ``TopupInFlight`` and
        ``IdempotencyConflict``.
        """
        return self._ledger.run(
            TopupRequested, self._requested(wallet_id, idempotency_key, amount_yen, flow, offer, actor)
        )

    async def arequest(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        flow: Flow = "intent",
        offer: Offer | None = None,
        actor: Actor = OPERATOR,
    ) -> TopupRequested:
        """The asyncio twin of ``request``."""
        return await self._ledger.arun(
            TopupRequested, self._requested(wallet_id, idempotency_key, amount_yen, flow, offer, actor)
        )

    def request_automatic(
        self,
        wallet_id: int,
        *,
        idempotency_key: str,
        min_yen: int,
        max_yen: int,
        daily_yen: int = 0,
        monthly_yen: int = 0,
    ) -> TopupRequested:
        """Record that the saved method will pay what the wallet lacks to its threshold, in whole steps.

        ``min_yen`` and ``max_yen`` bound the payment; ``daily_yen`` and ``monthly_yen`` (0 = no limit) limit automatic
        top-ups a day and a month (UTC), beside the owner's own limits: the stricter counts. Raises ``TopupNotDue``,
        ``TopupInFlight``, ``TopupStopped``, ``TopupLimitReached`` and ``WalletDisabled``.
        """
        return self._ledger.run(
            TopupRequested,
            RequestAutoTopup(wallet_id, idempotency_key, min_yen, max_yen, daily_yen, monthly_yen, actor=PRODUCT),
        )

    def settle(
        self, wallet_id: int, topup_id: str, fact: PaymentFact, *, amount_yen: int = 0, by_hand: bool = False
    ) -> TopupSettled:
        """Apply what the provider reports of a top-up's payment, any number of times and in any order.

        The payment is credited or taken back, or the reason why not is recorded. ``amount_yen`` is given for a payment
        of the wallet's that has no row; ``by_hand`` says that somebody gives the top-up up. Raises ``TopupNotFound``.
        """
        return self._ledger.run(TopupSettled, self._settled(wallet_id, topup_id, fact, amount_yen, by_hand))

    async def asettle(
        self, wallet_id: int, topup_id: str, fact: PaymentFact, *, amount_yen: int = 0, by_hand: bool = False
    ) -> TopupSettled:
        """The asyncio twin of ``settle``."""
        return await self._ledger.arun(TopupSettled, self._settled(wallet_id, topup_id, fact, amount_yen, by_hand))

    def pay_back(
        self,
        wallet_id: int,
        topup_id: str,
        amount_yen: int,
        *,
        idempotency_key: str,
        limit: PayBackLimit | None = None,
    ) -> PaidBack:
        """Take unused credit of a top-up out of the wallet, for the payment provider to pay it back.

        ``limit`` bounds what is paid back of all wallets, see ``pay_back_limit``; None is for what the law allows
        without a figure. Raises ``TopupNotFound``, ``RefundExceedsCharge`` and ``PayBackNotAllowed``.
        """
        return self._ledger.run(PaidBack, self._paid_back(wallet_id, idempotency_key, topup_id, amount_yen, limit))

    async def apay_back(
        self,
        wallet_id: int,
        topup_id: str,
        amount_yen: int,
        *,
        idempotency_key: str,
        limit: PayBackLimit | None = None,
    ) -> PaidBack:
        """The asyncio twin of ``pay_back``."""
        return await self._ledger.arun(
            PaidBack, self._paid_back(wallet_id, idempotency_key, topup_id, amount_yen, limit)
        )

    def _requested(
        self, wallet_id: int, key: str, amount_yen: int, flow: Flow, offer: Offer | None, actor: Actor
    ) -> RequestTopup:
        return RequestTopup(wallet_id, key, amount_yen, flow, offer, actor=actor, author=self._ledger.author)

    def _settled(self, wallet_id: int, topup_id: str, fact: PaymentFact, amount_yen: int, by_hand: bool) -> SettleTopup:
        return SettleTopup(wallet_id, topup_id, fact, amount_yen, self._ledger.author if by_hand else None)

    def _paid_back(
        self, wallet_id: int, key: str, topup_id: str, amount_yen: int, limit: PayBackLimit | None
    ) -> PayBack:
        return PayBack(wallet_id, key, topup_id, amount_yen, limit, author=self._ledger.author)

    def show(self, topup_id: str) -> TopupView:
        """A top-up and its state. Raises ``TopupNotFound``."""
        return self._ledger.reader.topup(topup_id)

    def list(
        self,
        wallet_id: int | None = None,
        *,
        status: TopupStatus | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> builtins.list[TopupView]:
        """Top-ups through the payment provider, of one wallet or of all, newest first, up to ``limit`` (at most 1,000).

        ``status`` leaves those with that status. For the next page, pass the last one's ``place`` as ``before``. Raises
        ``InvalidRequest``.
        """
        if status not in (None, *STATUSES):
            raise InvalidRequest(f"status must be one of {', '.join(STATUSES)}", field="status")
        if wallet_id is not None:
            checked_id("wallet_id", wallet_id)
        created_at, _, topup_id = ("~".join(AFTER_ALL_TOPUPS) if before is None else before).partition("~")
        place = created_at, topup_id
        return self._ledger.reader.topups(wallet_id, checked_page(limit), status=status, before=place)

    def steps(self, topup_id: str) -> builtins.list[TopupStepView]:
        """The steps that led to a top-up's status, oldest first; empty if there is no such top-up."""
        return self._ledger.reader.topup_steps(topup_id)

    def of_payment(self, payment_intent: str) -> tuple[str, int] | None:
        """Id and wallet of the top-up that a payment of the provider belongs to; None when there is none."""
        return self._ledger.reader.topup_of_payment(payment_intent)

    def unsettled(self, older_than: timedelta, *, limit: int = 100) -> builtins.list[TopupView]:
        """Open top-ups without news for ``older_than``, longest waiting first, up to ``limit`` (at most 1,000)."""
        before = format_instant(self._ledger.clock() - older_than)
        return self._ledger.reader.unsettled_topups(before, checked_page(limit))

    def due(self, *, after: int = 0, limit: int = 1_000) -> builtins.list[int]:
        """Ids of wallets above ``after`` that an automatic top-up is due for, by id, up to ``limit`` (at most 1,000).

        Expired credit does not count.
        """
        if not checked_after(after):
            self._ledger.settle_all()
        return self._ledger.reader.topups_due(self._ledger.clock(), after, checked_page(limit))

    def consents(self, wallet_id: int, *, before: int | None = None, limit: int = 100) -> builtins.list[Consent]:
        """What was agreed to whenever automatic top-ups were switched on, changed or switched off, newest first.

        Up to ``limit`` (at most 1,000); for the next page, pass the last ``consent_no`` as ``before``. Raises
        ``WalletNotFound``.
        """
        self._ledger.row(wallet_id)
        first = MAX_ID if before is None else checked_after(before)
        return consent_rows.consents(self._ledger.reader.source, wallet_id, first, checked_page(limit))

    def payer(self, wallet_id: int) -> PayerView:
        """The saved payment method for the wallet's automatic top-ups, and whether it may be charged."""
        return self._ledger.reader.payer(checked_id("wallet_id", wallet_id))

    def automatic_state(self, wallet_id: int) -> AutoTopupState:
        """Whether the wallet can top itself up, and if not what must be done. Raises ``WalletNotFound``."""
        return automatic_state(self._ledger, self._ledger.row(wallet_id))

    def pay_back_room(self) -> PayBackRoom:
        """How much unused credit may by law be paid back in this period; reads the whole ledger."""
        self._ledger.settle_all()
        return pay_back_room(self._ledger.reader, self._ledger.clock())

    def pay_back_limit(self) -> PayBackLimit:
        """The legal limit of ``pay_back`` in this period, over all wallets; reads the whole ledger."""
        self._ledger.settle_all()
        return pay_back_limit(self._ledger.reader, self._ledger.clock())

    def installation_id(self) -> str:
        """The random name of this ledger, to distinguish its payments from those of others at the same provider."""
        return self._ledger.reader.installation_id()


def automatic_state(ledger: Ledger, wallet: WalletRow) -> AutoTopupState:
    """Whether a wallet can top itself up, and if not what must be done."""
    payer = ledger.reader.payer(wallet.wallet_id)
    if not wallet.auto_topup_threshold:
        return AutoTopupState("off", payer.payment_method)
    topups = ledger.reader.topups(wallet.wallet_id, RECENT_TOPUPS)
    action_url = next((each.action_url for each in topups if each.status in OPEN and each.action_url), None)
    if payer.stopped or payer.payment_method is None:
        reason = payer.reason or "no_payment_method"
        return AutoTopupState("stopped", payer.payment_method, reason, None, action_url)
    waits = payer.retry_at is not None and payer.retry_at > format_instant(ledger.clock())
    state: Literal["waiting", "ready"] = "waiting" if waits else "ready"
    return AutoTopupState(state, payer.payment_method, payer.reason, payer.retry_at, action_url)
