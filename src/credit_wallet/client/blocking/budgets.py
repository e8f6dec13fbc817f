"""Budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET, UnsetType

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import Send
from credit_wallet.domain.budget_views import BudgetChangeView, BudgetValueView, BudgetView
from credit_wallet.domain.budgets import DEFAULT_SHARES_PCT, Mode
from credit_wallet.rules.budget_requests import Limit
from credit_wallet.wire.budget_bodies import ConfigureBudgetBody, CreateBudgetBody


class Budgets:
    """What limits a wallet and its agents. All methods are for the owner.

    ``budget_id`` is a text: ``budget-12``, ``monthly-7`` for the monthly budget of wallet 7, ``key-3`` for the cap of
    agent key 3.
    """

    def __init__(self, send: Send) -> None:
        self._send = send

    def create(
        self,
        *,
        limit_yen: Limit | None = None,
        limit_calls: int | None = None,
        window: str,
        scope: Mapping[str, str | int] | None = None,
        mode: Mode = "cap",
        label: str | None = None,
        shares_pct: Sequence[int] = DEFAULT_SHARES_PCT,
        time_zone: str | None = None,
        week_start: str = "monday",
        raised_limit_yen: Limit | None = None,
        raised_limit_calls: int | None = None,
        raised_until: str | None = None,
    ) -> BudgetView:
        """A new budget of yen (exact) or of calls, as ``wallets.budgets.create`` of the library describes it.

        ``window`` is ``minute``, ``hour``, ``day``, ``week``, ``month``, ``total`` or ``rolling:24h``; ``scope`` has up
        to four conditions such as ``{"tool": "search", "run": "*"}``; ``mode`` is "cap", "alert" or "shadow".
        """
        body = CreateBudgetBody(
            limit_yen=UNSET if limit_yen is None else calls.sent_limit("limit_yen", limit_yen),
            limit_calls=UNSET if limit_calls is None else limit_calls,
            window=window,
            scope=dict(scope) if scope else UNSET,
            mode=mode,
            label=label,
            shares_pct=list(shares_pct),
            time_zone=time_zone,
            week_start=week_start,
            raised_limit_yen=calls.sent_limit_or_null("raised_limit_yen", raised_limit_yen),
            raised_limit_calls=raised_limit_calls,
            raised_until=raised_until,
        )
        return self._send(calls.create("/credit/budgets", read_as(BudgetView), body))

    def list(self, *, key_id: int | None = None, after: str | None = None, limit: int = 1_000) -> Sequence[BudgetView]:
        """What limits the wallet, and how much of it is spent, held and left: the monthly budget, the caps of agent
        keys, then budgets by id. ``key_id``: only those that can bound this key.
        """
        read = read_as(list[BudgetView])
        return self._send(calls.get("/credit/budgets", read, key_id=key_id, after=after, limit=limit))

    def show(self, budget_id: str) -> BudgetView:
        """One budget. Raises ``BudgetNotFound``."""
        return self._send(calls.get(_path(budget_id), read_as(BudgetView)))

    def values(self, budget_id: str, *, after: str = "", limit: int = 1_000) -> Sequence[BudgetValueView]:
        """What each value has used of a budget for each value, by value."""
        read = read_as(list[BudgetValueView])
        return self._send(calls.get(f"{_path(budget_id)}/values", read, after=after or None, limit=limit))

    def configure(
        self,
        budget_id: str,
        *,
        limit_yen: Limit | UnsetType = UNSET,
        limit_calls: int | UnsetType = UNSET,
        label: str | UnsetType | None = UNSET,
        mode: Mode | UnsetType = UNSET,
        shares_pct: Sequence[int] | UnsetType = UNSET,
        raised_limit_yen: Limit | UnsetType | None = UNSET,
        raised_limit_calls: int | UnsetType | None = UNSET,
        raised_until: str | UnsetType | None = UNSET,
    ) -> BudgetView:
        """Change a budget; what is omitted stays. A raise is another limit and until when it counts; None ends it."""
        body = ConfigureBudgetBody(
            limit_yen=calls.sent_limit("limit_yen", limit_yen),
            limit_calls=limit_calls,
            mode=mode,
            label=label,
            shares_pct=UNSET if isinstance(shares_pct, UnsetType) else list(shares_pct),
            raised_limit_yen=calls.sent_limit_or_null("raised_limit_yen", raised_limit_yen),
            raised_limit_calls=raised_limit_calls,
            raised_until=raised_until,
        )
        return self._send(Call("PATCH", _path(budget_id), read_as(BudgetView), body))

    def delete(self, budget_id: str) -> BudgetView:
        """Delete a budget for good; returns it as it was. A monthly budget and a cap are set to 0 instead."""
        return self._send(Call("DELETE", _path(budget_id), read_as(BudgetView)))

    def changes(
        self, *, budget_id: str | None = None, before: int | None = None, limit: int = 100
    ) -> Sequence[BudgetChangeView]:
        """Who changed which limit, when, and from what to what, newest first."""
        read = read_as(list[BudgetChangeView])
        return self._send(calls.get("/credit/budgets/changes", read, budget_id=budget_id, before=before, limit=limit))


def _path(budget_id: str) -> str:
    return f"/credit/budgets/{calls.segment(budget_id)}"
