"""Automatic top-ups: the saved method of a wallet that fell below its threshold pays for what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from credit_wallet.domain.topups import PaymentFact
from credit_wallet.domain.views import TopupView
from credit_wallet.errors import (
    TopupInFlight,
    TopupLimitReached,
    TopupNotDue,
    TopupStopped,
    WalletDisabled,
    WalletError,
)
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.apply import PaymentFacts, payment_for
from credit_wallet.payments.gateway import StripeGateway
from credit_wallet.payments.jobs import Ending, Silence
from credit_wallet.payments.replies import AutoTopup
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.telemetry import Logger

_EXPECTED = (TopupInFlight, TopupLimitReached, TopupNotDue, TopupStopped, WalletDisabled)
"""What may speak against an automatic top-up look after look; an event reports it once, and nobody need be warned."""

_log = Logger("credit_wallet.payments")


class AutomaticTopups:
    """Automatic top-ups of one ledger."""

    def __init__(
        self,
        wallets: CreditWallet,
        settings: PaymentSettings,
        gateway: StripeGateway,
        facts: PaymentFacts,
        ending: Ending,
        now: Callable[[], int],
    ) -> None:
        """``now`` gives Unix seconds."""
        self._wallets = wallets
        self._settings = settings
        self._gateway = gateway
        self._facts = facts
        self._ending = ending
        self._now = now

    def run(self) -> list[AutoTopup]:
        """Charge the saved methods of all wallets that are due, one after the other; one line for each.

        While Stripe does not answer, and once jobs are to end, the rest is left for the next time.
        """
        silence = Silence()
        done: list[AutoTopup] = []
        for wallet_id in self._ending.until(self._due()):
            if silence.is_long:
                break
            done.append(self._top_up(wallet_id, silence))
        return done

    def charge(self, topup: TopupView) -> None:
        """Charge the saved method for a top-up that is noted."""
        if self._ending.has_begun:
            return  # the next process sends it
        payer = self._wallets.topups.payer(topup.wallet_id)
        if payer.customer is None or payer.payment_method is None:
            fact = PaymentFact(observed_at=self._now(), status="failed", reason="no_payment_method")
        else:
            fact = self._gateway.charge_saved(topup, payer.customer, payer.payment_method)
        self._facts.apply(payment_for(topup, fact))

    def _due(self) -> Iterator[int]:
        after = 0
        while page := self._wallets.topups.due(after=after):
            yield from page
            after = page[-1]

    def _top_up(self, wallet_id: int, silence: Silence) -> AutoTopup:
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
            topup_id = outcome.topup_id
            self.charge(self._wallets.topups.show(topup_id))
            silence.note(None)
        except _EXPECTED as error:
            return AutoTopup(wallet_id, error.code, topup_id=topup_id, detail=str(error))
        except WalletError as error:
            silence.note(error)
            _log.warning("auto_topup_failed", wallet_id=wallet_id, topup_id=topup_id, code=error.code, error=str(error))
            return AutoTopup(wallet_id, error.code, topup_id=topup_id, detail=str(error))
        done = self._wallets.topups.show(topup_id)
        return AutoTopup(wallet_id, done.status, done.amount_yen, topup_id, done.reason)
