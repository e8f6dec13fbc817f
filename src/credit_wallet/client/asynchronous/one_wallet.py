"""What is called of one wallet: by its owner and its agents, and by an operator who looks at it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

from msgspec import UNSET, UnsetType

from credit_wallet.client import calls
from credit_wallet.client.asynchronous.budgets import AsyncBudgets
from credit_wallet.client.asynchronous.deliveries import AsyncWalletDeliveries
from credit_wallet.client.asynchronous.keys import AsyncKeys
from credit_wallet.client.asynchronous.targets import AsyncWalletTargets
from credit_wallet.client.asynchronous.topups import AsyncWalletTopups
from credit_wallet.client.asynchronous.transfers import AsyncWalletTransfers
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as, read_text
from credit_wallet.client.transport import AsyncSend
from credit_wallet.domain.consents import ConsentLanguage
from credit_wallet.domain.outcomes import Alert, BudgetMode, EntryType
from credit_wallet.domain.topups import OfferLanguage
from credit_wallet.domain.usage_periods import Every
from credit_wallet.domain.usage_views import UsageReport
from credit_wallet.domain.views import ExpiredLotView, HoldView, LotView, TransactionView
from credit_wallet.notices.targets import WantedTarget
from credit_wallet.payments.replies import TopupReply
from credit_wallet.reports.statement import Rows, Statement
from credit_wallet.rules.forecast import Forecast
from credit_wallet.wire.bodies import SettingsBody, TopupBody
from credit_wallet.wire.replies import PricesReply, TransactionPage, WalletReply

T = TypeVar("T")


class AsyncOneWallet:
    """The calls about one wallet."""

    async def _send(self, call: Call[T]) -> T:
        """Send a call; who has the wallet says how."""
        raise NotImplementedError

    @property
    def keys(self) -> AsyncKeys:
        """Agent keys."""
        return AsyncKeys(self._send)

    @property
    def budgets(self) -> AsyncBudgets:
        """What limits the wallet and its agents."""
        return AsyncBudgets(self._send)

    @property
    def topups(self) -> AsyncWalletTopups:
        """Top-ups through the payment provider."""
        return AsyncWalletTopups(self._send)

    @property
    def transfers(self) -> AsyncWalletTransfers:
        """Credit that moves between wallets of one owner."""
        return AsyncWalletTransfers(self._send)

    @property
    def targets(self) -> AsyncWalletTargets:
        """Where notices go."""
        return AsyncWalletTargets(self._send)

    @property
    def deliveries(self) -> AsyncWalletDeliveries:
        """Notices on their way there."""
        return AsyncWalletDeliveries(self._send)

    async def topup(
        self,
        amount_yen: int,
        *,
        checkout: bool = False,
        method: str | None = None,
        save_card: bool = True,
        language: OfferLanguage | None = None,
        idempotency_key: str | None = None,
    ) -> TopupReply:
        """Ask for a payment that a person makes, with ``client_secret`` or at ``checkout_url``. For the owner.

        ``method`` is one of those of ``topups.options``, by default all of them; ``language`` is that of the page, by
        default the browser's. Raises ``PaymentsNotConfigured`` where the service takes no payments.
        """
        key = calls.checked_or_new(idempotency_key)
        body = TopupBody(amount_yen, checkout, method, save_card, language)
        return await self._send(Call("POST", "/credit/topup", read_as(TopupReply), body, idempotency_key=key))

    async def wallet(self) -> WalletReply:
        """The wallet with its settings, the spending of its cycle and its latest transactions."""
        return await self._send(calls.show_wallet())

    async def configure(
        self,
        *,
        label: str | UnsetType = UNSET,
        monthly_budget_yen: int | UnsetType = UNSET,
        budget_mode: BudgetMode | UnsetType = UNSET,
        auto_topup_threshold: int | UnsetType = UNSET,
        auto_topup_amount: int | UnsetType = UNSET,
        low_balance_yen: int | UnsetType = UNSET,
        alert_thresholds_pct: Sequence[int] | UnsetType = UNSET,
        notification_targets: Iterable[WantedTarget] | UnsetType = UNSET,
        auto_topup_daily_yen: int | UnsetType = UNSET,
        auto_topup_monthly_yen: int | UnsetType = UNSET,
        auto_topup_consent: str | UnsetType = UNSET,
        auto_topup_consent_language: ConsentLanguage = "en",
    ) -> WalletReply:
        """Change settings; those that you leave out stay. For the owner.

        ``notification_targets`` are all of them: others are removed. The secret of a new webhook is shown only now.
        What was agreed to for automatic top-ups is recorded: ``auto_topup_consent``, or else the standard text.
        """
        body = SettingsBody(
            label,
            monthly_budget_yen,
            budget_mode,
            auto_topup_threshold,
            auto_topup_amount,
            low_balance_yen,
            UNSET if isinstance(alert_thresholds_pct, UnsetType) else list(alert_thresholds_pct),
            UNSET if isinstance(notification_targets, UnsetType) else calls.target_bodies(notification_targets),
            auto_topup_daily_yen,
            auto_topup_monthly_yen,
            auto_topup_consent,
            auto_topup_consent_language,
        )
        shows_secrets = notification_targets is not UNSET
        return await self._send(
            Call("PATCH", "/credit/wallet", read_as(WalletReply), body, repeatable=not shows_secrets)
        )

    async def transactions(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        type: EntryType | None = None,  # noqa: A002 - the parameter's name in HTTP
        key_id: int | None = None,
        note: str | None = None,
        item: str | None = None,
        since: str | None = None,
        until: str | None = None,
        query: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        idempotency_key: str | None = None,
    ) -> TransactionPage:
        """A page of ledger entries, newest first; ``limit`` is 1 to 200, ``cursor`` the last page's ``next_cursor``.

        ``type``, ``key_id``, ``note``, ``item``, ``since``, ``until`` and ``query`` filter. A refund has the key, the
        note and the item of its charge. Entries are found at once by what they were called.
        """
        wanted = {"type": type, "key_id": key_id, "note": note, "item": item}
        wanted |= {"since": since, "until": until, "query": query}
        wanted |= {"request_id": request_id, "reference": reference, "idempotency_key": idempotency_key}
        return await self._send(
            calls.get("/credit/transactions", read_as(TransactionPage), limit=limit, cursor=cursor, **wanted)
        )

    async def transaction(self, txn_id: int) -> TransactionView:
        """One ledger entry, with what was refunded of it. Raises ``TransactionNotFound``."""
        return await self._send(calls.get(f"/credit/transactions/{txn_id:d}", read_as(TransactionView)))

    async def hold_status(self, hold_id: int) -> HoldView:
        """A hold: open, captured, released or expired. Raises ``HoldNotFound``."""
        return await self._send(calls.get(f"/credit/holds/{hold_id:d}", read_as(HoldView)))

    async def lots(self) -> list[LotView]:
        """The open lots in the order of spending, each with what is left of it and when it expires."""
        return await self._send(calls.get("/credit/lots", read_as(list[LotView])))

    async def expired_lots(self, days: int = 30) -> list[ExpiredLotView]:
        """The lots that expired within the last ``days`` (1 to 30) with something left, the latest first."""
        return await self._send(calls.get("/credit/lots/expired", read_as(list[ExpiredLotView]), days=days))

    async def prices(self, *, payer_token: str | None = None) -> PricesReply:
        """What items cost the wallet now, and the prices that are announced for later.

        Sellers and operators see the prices of everybody, or those of the wallet that ``payer_token`` is of.
        """
        return await self._send(Call("GET", "/credit/prices", read_as(PricesReply), payer_token=payer_token))

    async def usage(
        self,
        *,
        by: str | None = None,
        every: Every = "day",
        since: str | None = None,
        until: str | None = None,
        key_id: int | None = None,
        limit: int = 1_000,
        cursor: str | None = None,
    ) -> UsageReport:
        """What charges were for, by period, and by ``"key"``, ``"item"`` or a fact such as ``"tool"``; see the docs."""
        asked = {"by": by, "every": every, "since": since, "until": until, "key_id": key_id}
        return await self._send(calls.get("/credit/usage", read_as(UsageReport), limit=limit, cursor=cursor, **asked))

    async def alerts(self, *, cycle: str | None = None) -> list[Alert]:
        """The spending alerts that fired, newest first: of all cycles, or of one (``YYYY-MM``)."""
        return await self._send(calls.get("/credit/alerts", read_as(list[Alert]), cycle=cycle))

    async def statement(self, *, cycle: str | None = None, entries: bool = True, summary: bool = False) -> Statement:
        """The statement of a cycle (``YYYY-MM``), by default the current one, with or without every entry.

        A ``summary`` comes at once however many entries there are; its ``left_out`` names what it does not say then.
        """
        wanted = "summary" if summary else None if entries else "none"
        return await self._send(calls.get("/credit/statement", read_as(Statement), cycle=cycle, entries=wanted))

    async def statement_text(
        self,
        *,
        cycle: str | None = None,
        format: Literal["text", "csv"] = "text",  # noqa: A002 - the parameter's name in HTTP
        rows: Rows = "entries",
    ) -> str:
        """The statement for people, or its ``rows`` as CSV."""
        return await self._send(calls.get("/credit/statement", read_text, cycle=cycle, format=format, rows=rows))

    async def forecast(self) -> Forecast:
        """Where spending is heading, and when the balance and the budget run out."""
        return await self._send(calls.get("/credit/forecast", read_as(Forecast)))


class AsyncWalletOnBehalf(AsyncOneWallet):
    """A wallet as its owner has it, for an operator: what ``on`` of the client returns.

    Every method asks at the wallet's address under ``/operator/wallets``.
    """

    def __init__(self, send: AsyncSend, wallet_id: int) -> None:
        self._forward = send
        self._wallet_id = wallet_id

    async def _send(self, call: Call[T]) -> T:
        return await self._forward(calls.at_wallet(call, self._wallet_id))
