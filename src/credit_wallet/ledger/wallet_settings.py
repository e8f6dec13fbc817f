"""The settings of the facade: how a wallet behaves, and what its owner has agreed to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET, UnsetType

from credit_wallet.domain.commands import Configure
from credit_wallet.domain.consents import ConsentLanguage
from credit_wallet.domain.outcomes import Configured
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.ledger.reading_lanes import MONEY
from credit_wallet.rules.metadata import checked_metadata


class WalletSettings:
    """Changes of a wallet's settings."""

    _ledger: Ledger

    def configure(
        self,
        wallet_id: int,
        *,
        label: str | UnsetType = UNSET,
        monthly_budget_yen: int | UnsetType = UNSET,
        budget_mode: str | UnsetType = UNSET,
        auto_topup_threshold: int | UnsetType = UNSET,
        auto_topup_amount: int | UnsetType = UNSET,
        low_balance_yen: int | UnsetType = UNSET,
        alert_thresholds_pct: Sequence[int] | UnsetType = UNSET,
        price_group: str | UnsetType | None = UNSET,
        auto_topup_daily_yen: int | UnsetType = UNSET,
        auto_topup_monthly_yen: int | UnsetType = UNSET,
        auto_topup_consent: str | UnsetType = UNSET,
        auto_topup_consent_language: ConsentLanguage = "en",
        metadata: Mapping[str, str] | UnsetType = UNSET,
    ) -> Configured:
        """Change settings; omitted ones stay as they are.

        A notice is sent when spending carries the balance below ``low_balance_yen`` (0 = never).
        ``alert_thresholds_pct`` are up to ten more shares of the budget, 1 to 1,000 %, to alert at besides 50, 80 and
        100 %. ``price_group`` is the group of the price book whose prices count for the wallet, None for none.

        ``auto_topup_daily_yen`` and ``auto_topup_monthly_yen`` (0 = none) are the owner's own limits on automatic
        top-ups, by the wallet's clocks. When these are switched on or changed, what is agreed to is recorded:
        ``auto_topup_consent`` is the text that was shown, by default the standard one in
        ``auto_topup_consent_language`` (en, ja). Who agrees is the author that ``acting`` names: the owner, or an
        operator.

        ``metadata`` replaces all pairs of texts that there were. Raises ``WalletNotFound``, ``TooManyChanges``
        for owners and agents, and ``InvalidRequest`` naming the field.
        """
        self._ledger.require_room_for_acts(wallet_id)
        return self._ledger.run(
            Configured,
            Configure(
                wallet_id,
                label,
                monthly_budget_yen,
                budget_mode,
                auto_topup_threshold,
                auto_topup_amount,
                low_balance_yen,
                _as_tuple(alert_thresholds_pct),
                price_group,
                auto_topup_daily_yen,
                auto_topup_monthly_yen,
                auto_topup_consent,
                auto_topup_consent_language,
                metadata if metadata is UNSET else checked_metadata(metadata),
                self._ledger.author,
            ),
        )

    async def aconfigure(
        self,
        wallet_id: int,
        *,
        label: str | UnsetType = UNSET,
        monthly_budget_yen: int | UnsetType = UNSET,
        budget_mode: str | UnsetType = UNSET,
        auto_topup_threshold: int | UnsetType = UNSET,
        auto_topup_amount: int | UnsetType = UNSET,
        low_balance_yen: int | UnsetType = UNSET,
        alert_thresholds_pct: Sequence[int] | UnsetType = UNSET,
        price_group: str | UnsetType | None = UNSET,
        auto_topup_daily_yen: int | UnsetType = UNSET,
        auto_topup_monthly_yen: int | UnsetType = UNSET,
        auto_topup_consent: str | UnsetType = UNSET,
        auto_topup_consent_language: ConsentLanguage = "en",
        metadata: Mapping[str, str] | UnsetType = UNSET,
    ) -> Configured:
        """The asyncio twin of ``configure``."""
        await self._ledger.reading_lanes.ask(MONEY, self._ledger.require_room_for_acts, wallet_id)
        return await self._ledger.arun(
            Configured,
            Configure(
                wallet_id,
                label,
                monthly_budget_yen,
                budget_mode,
                auto_topup_threshold,
                auto_topup_amount,
                low_balance_yen,
                _as_tuple(alert_thresholds_pct),
                price_group,
                auto_topup_daily_yen,
                auto_topup_monthly_yen,
                auto_topup_consent,
                auto_topup_consent_language,
                metadata if metadata is UNSET else checked_metadata(metadata),
                self._ledger.author,
            ),
        )


def _as_tuple(thresholds: Sequence[int] | UnsetType) -> tuple[int, ...] | UnsetType:
    """A tuple of a list; the check refuses anything else."""
    return tuple(thresholds) if isinstance(thresholds, list) else thresholds  # type: ignore[return-value]
