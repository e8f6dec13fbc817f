"""Budgets: limits on what charges may spend, in a window and within a scope."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import UNSET, UnsetType

from credit_wallet.domain.budget_settings import BudgetSettings, KeySettings
from credit_wallet.domain.budget_views import BudgetChangeView, BudgetValueView, BudgetView
from credit_wallet.domain.budgets import DEFAULT_SHARES_PCT, Budget
from credit_wallet.domain.commands import Configure
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import Configured
from credit_wallet.domain.replay_views import Replayed
from credit_wallet.domain.views import KeyView
from credit_wallet.errors import BudgetNotFound, InvalidRequest, KeyNotFound, WalletNotFound
from credit_wallet.ledger import budget_lists
from credit_wallet.ledger.keys import checked_future_end
from credit_wallet.ledger.ledger import MAX_PAGE, Ledger, checked_page
from credit_wallet.rules import budget_requests
from credit_wallet.rules.budget_requests import BudgetName, Limit, Raise, checked_budget_id
from credit_wallet.rules.validation import MAX_ID, checked_after, checked_id
from credit_wallet.stores import budget_jobs, budget_reads, profile_rows


class Budgets:
    """``wallets.budgets``: make, list, change and delete budgets of a wallet, and see who changed what.

    A wallet's monthly budget (``monthly-7``) and the caps of its agent keys (``key-3``) are listed and configured here
    as well. Budgets count what charges and captures spend; a refund gives back credit, not budget.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create(
        self,
        wallet_id: int,
        *,
        limit_yen: Limit | None = None,
        limit_calls: int | None = None,
        window: str,
        scope: Mapping[str, str | int] | None = None,
        mode: str = "cap",
        label: str | None = None,
        shares_pct: Sequence[int] = DEFAULT_SHARES_PCT,
        time_zone: str | None = None,
        week_start: str = "monday",
        raised_limit_yen: Limit | None = None,
        raised_limit_calls: int | None = None,
        raised_until: str | None = None,
    ) -> BudgetView:
        """A new budget of yen (exact) or of calls, 0 to 10**12; 0 stops every charge that it matches.

        ``window`` is ``minute``, ``hour``, ``day``, ``week``, ``month`` or ``total``, by the clocks of ``time_zone``
        (by default the wallet's), or ``rolling:24h``: one minute to 31 days, in ``m``, ``h`` or ``d``. ``scope`` is up
        to four conditions that a charge must meet, as in ``{"group": "acme", "tool": "search"}``: ``group``,
        ``key_id``, ``item``, or facts. With ``"*"`` each value has the limit for itself: ``{"run": "*"}``.

        ``mode`` "cap" refuses what would pass the limit, "alert" notifies at ``shares_pct`` of it, "shadow" lets
        everything through and records what a cap would refuse. A raised limit counts until ``raised_until``, an ISO
        8601 time or a date.

        It counts from now on, and reserves what open holds have left. Raises ``WalletNotFound``, ``KeyNotFound``,
        ``TooManyBudgets``, and ``InvalidRequest`` naming the field.
        """
        checked_id("wallet_id", wallet_id)
        new = budget_requests.checked_budget(
            wallet_id,
            limit_yen=limit_yen,
            limit_calls=limit_calls,
            window=window,
            scope=scope,
            mode=mode,
            label=label,
            shares_pct=shares_pct,
            time_zone=time_zone,
            week_start=week_start,
            raised=(raised_limit_yen, raised_limit_calls, raised_until),
            ends=lambda field, until: checked_future_end(
                self._ledger, field, until, lambda: time_zone or self._ledger.time_zone_of(wallet_id)
            ),
        )
        budget_lists.check_key_of(self._ledger, wallet_id, new.scope)
        budget_id = self._ledger.write(wallet_id, budget_jobs.create_budget, new)
        return self._shown(self._budget(BudgetName("budget", budget_id)))

    def list(
        self, wallet_id: int, *, key_id: int | None = None, after: str | None = None, limit: int = MAX_PAGE
    ) -> builtins.list[BudgetView]:
        """A wallet's budgets with what is used of each, up to ``limit`` (at most 1,000) after the one with an id.

        First the monthly budget, if the wallet has one, then the caps of working agent keys, then budgets by id. With
        ``key_id`` only those that can bound this key; one for each key then shows what this one has used, and other
        values are not named. Raises ``WalletNotFound``, ``KeyNotFound`` and ``InvalidRequest``.
        """
        if key_id is not None:
            checked_id("key_id", key_id)
        start = None if after is None else checked_budget_id(after)
        return budget_lists.page(self._ledger, wallet_id, key_id, start, checked_page(limit))

    def show(self, budget_id: str) -> BudgetView:
        """A budget, a monthly budget or a key's cap, with what is used of it. Raises ``BudgetNotFound``."""
        name = checked_budget_id(budget_id)
        return self._shown(self._budget(name)) if name.kind == "budget" else self._monthly_limit(name)

    def values(self, budget_id: str, *, after: str = "", limit: int = MAX_PAGE) -> builtins.list[BudgetValueView]:
        """What each value has used of a budget for each value in the current window, in the order of the database.

        Up to ``limit`` (at most 1,000) after a ``value`` of the page before. Raises ``BudgetNotFound``.
        """
        name, checked = checked_budget_id(budget_id), checked_page(limit)
        if not isinstance(after, str) or not after.isprintable():
            raise InvalidRequest("after must be a value of the page before", field="after")
        if name.kind != "budget":
            self._monthly_limit(name)
            return []
        budget = self._budget(name)
        self._ledger.row(budget.wallet_id)
        return budget_lists.values_of(self._ledger, budget, after, checked)

    def configure(
        self,
        budget_id: str,
        *,
        limit_yen: Limit | UnsetType = UNSET,
        limit_calls: int | UnsetType = UNSET,
        label: str | UnsetType | None = UNSET,
        mode: str | UnsetType = UNSET,
        shares_pct: Sequence[int] | UnsetType = UNSET,
        raised_limit_yen: Limit | UnsetType | None = UNSET,
        raised_limit_calls: int | UnsetType | None = UNSET,
        raised_until: str | UnsetType | None = UNSET,
    ) -> BudgetView:
        """Change a budget; what is omitted stays. Unit, window, scope and time zone stay: make another budget for them.

        A lower limit counts at once, also when more is spent already. A raise is a limit and until when it counts
        instead of the usual one; None in either ends it. Of a monthly budget, ``limit_yen`` (whole yen, 0 for none) and
        ``mode`` (alert or cap) can be changed, of a key's cap ``limit_yen`` (0 for none). Raises ``BudgetNotFound`` and
        ``InvalidRequest`` naming the field.
        """
        name = checked_budget_id(budget_id)
        raised = (raised_limit_yen, raised_limit_calls, raised_until)
        if name.kind != "budget":
            others = {
                "limit_calls": limit_calls,
                "label": label,
                "shares_pct": shares_pct,
                "raised_limit_yen": raised_limit_yen,
                "raised_limit_calls": raised_limit_calls,
                "raised_until": raised_until,
            }
            return self._configure_monthly(name, limit_yen, mode, others)
        budget = self._budget(name)
        lasts = budget.raised_until is not None and budget.raised_until > format_instant(self._ledger.clock())
        changes = budget_requests.checked_settings(
            budget_id,
            budget.unit,
            limit_yen=limit_yen,
            limit_calls=limit_calls,
            label=label,
            mode=mode,
            shares_pct=shares_pct,
            raised=raised,
            known_raise=Raise(budget.raised_micros, budget.raised_until) if lasts else Raise(None, None),
            ends=lambda field, until: checked_future_end(self._ledger, field, until, lambda: budget.time_zone),
        )
        if changes != BudgetSettings():
            self._ledger.write(budget.wallet_id, budget_jobs.configure_budget, budget.budget_id, changes)
        return self._shown(self._budget(name))

    def delete(self, budget_id: str) -> BudgetView:
        """Delete a budget for good; returns it as it was. What open holds reserve in it is forgotten.

        The log of changes keeps it. Raises ``BudgetNotFound``, and ``InvalidRequest`` for a monthly budget or a cap:
        set their limit to 0 instead.
        """
        name = checked_budget_id(budget_id)
        if name.kind != "budget":
            raise InvalidRequest(
                f"{budget_id} cannot be deleted; set its limit to 0 (configure, limit_yen) for no limit",
                field="budget_id",
            )
        shown = self.show(budget_id)
        self._ledger.write(shown.wallet_id, budget_jobs.delete_budget, name.number)
        return shown

    def replay(
        self,
        text_or_path: str | Path | None = None,
        *,
        wallet_id: int | None = None,
        budgets: Sequence[Mapping[str, Any]] = (),
        monthly_budget_yen: int | None = None,
        key_caps_yen: Mapping[int, int] = MappingProxyType({}),
        keep: bool = False,
        since: str | None = None,
        until: str | None = None,
        limit: int = 20,
    ) -> Replayed:
        """What a plan would have made of the ledger's past: who would have been refused, what would have been earned.

        The plan is a file (a path, or its text) with tables ``[[budget]]``, which have the fields of ``create``, and
        ``[[price]]`` as in a price file; or ``budgets``, each a mapping of arguments of ``create``. A budget is each
        wallet's unless it has a ``wallet_id``. ``monthly_budget_yen`` is one that stops spending, ``key_caps_yen`` are
        caps by agent key. With ``keep``, what limits spending now is tried as well, as it is set now.

        Every charge between ``since`` and ``until`` (a month, a day or an ISO 8601 time, both included) of a wallet, or
        of all, is decided anew at its own time; nothing is changed, and charges go on meanwhile. Lists have up to
        ``limit`` rows (at most 1,000). Raises ``WalletNotFound``, ``KeyNotFound``, and ``InvalidRequest`` that names
        every wrong field.
        """
        from credit_wallet.ledger import replay  # commands that do not replay start sooner

        wallet_of = partial(profile_rows.wallet_of, self._ledger.reader.source)
        plan = replay.planned(text_or_path, budgets, monthly_budget_yen, key_caps_yen, keep=keep, wallet_of=wallet_of)
        asked = replay.asked_for(self._ledger, wallet_id, since, until, keep=keep, limit=limit)
        return replay.replay_of(self._ledger, plan, asked)

    def changes(
        self, wallet_id: int, *, budget_id: str | None = None, before: int | None = None, limit: int = 100
    ) -> builtins.list[BudgetChangeView]:
        """Who changed which budget of a wallet, when, and from what to what, newest first; deleted ones included.

        Up to ``limit`` (at most 1,000) before the change with an id; with ``budget_id`` only those of one budget.
        Raises ``WalletNotFound`` and ``InvalidRequest``.
        """
        self._ledger.reader.wallet(checked_id("wallet_id", wallet_id))
        if budget_id is not None:
            checked_budget_id(budget_id)
        start = MAX_ID if before is None else checked_after(before)
        found = budget_reads.changes(self._ledger.reader.source, wallet_id, budget_id, start, checked_page(limit))
        return [budget_lists.change_view(each) for each in found]

    # Inside

    def _budget(self, name: BudgetName) -> Budget:
        """Raises ``BudgetNotFound``."""
        budget = budget_reads.budget(self._ledger.reader.source, name.number)
        if budget is None:
            raise _no_budget(name)
        return budget

    def _shown(self, budget: Budget) -> BudgetView:
        self._ledger.row(budget.wallet_id)  # settles holds that have expired
        return budget_lists.views_of(self._ledger, budget.wallet_id, [budget], self._ledger.clock())[0]

    def _monthly_limit(self, name: BudgetName) -> BudgetView:
        """A monthly budget or a key's cap, also when it is 0. Raises ``BudgetNotFound``."""
        try:
            if name.kind == "monthly":
                return budget_lists.monthly(self._ledger.wallet(name.number))
            wallet = self._ledger.wallet(self._ledger.reader.owner_of_key(name.number))
            return budget_lists.cap_of(wallet, budget_lists.cap_in(self._key(wallet.wallet_id, name.number)))
        except (WalletNotFound, KeyNotFound):
            raise _no_budget(name) from None

    def _key(self, wallet_id: int, key_id: int) -> KeyView:
        return self._ledger.reader.key(self._ledger.reader.wallet(wallet_id), key_id, self._ledger.clock())

    def _configure_monthly(
        self,
        name: BudgetName,
        limit_yen: Limit | UnsetType,
        mode: str | UnsetType,
        others: Mapping[str, object],
    ) -> BudgetView:
        shown = self._monthly_limit(name)
        checked = budget_requests.checked_monthly(shown.budget_id, name.kind, limit_yen, mode, others)
        if name.kind == "monthly":
            settings = Configure(
                name.number,
                monthly_budget_yen=checked.limit_yen,
                budget_mode=checked.mode,
                author=self._ledger.author,
            )
            self._ledger.run(Configured, settings)
        elif checked.limit_yen is not UNSET:
            cap = KeySettings(monthly_cap_yen=checked.limit_yen)
            self._ledger.write(shown.wallet_id, budget_jobs.configure_key, name.number, cap)
        return self._monthly_limit(name)


def _no_budget(name: BudgetName) -> BudgetNotFound:
    budget_id = f"{name.kind}-{name.number}"
    return BudgetNotFound(f"there is no {budget_id}, or it was deleted; check the id", budget_id=budget_id)
