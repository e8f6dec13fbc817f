"""Replaying the ledger: what other limits or prices would have refused, and what they would have earned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from credit_wallet.domain.budgets import EACH, KEY
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MAX_AMOUNT_YEN
from credit_wallet.domain.price_file import WalletOf
from credit_wallet.domain.prices import NO_PRICES, PriceBook
from credit_wallet.domain.replay_views import Replayed
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.ledger.prices import text_of
from credit_wallet.ledger.usage import end_of, start_of
from credit_wallet.rules.replay import Replay
from credit_wallet.rules.replay_entries import EVERY_WALLET, Plan
from credit_wallet.rules.replay_plan import parse_plan, planned_budgets
from credit_wallet.rules.validation import checked_id
from credit_wallet.stores import Source, replay_reads

TRIED_VERSION = 1
"""Of the tried price book; nothing is stored by it."""

_FIRST, _LAST = "", "9999"
"""Before and after every instant."""


class Asked(Struct, frozen=True):
    """What a replay was asked for."""

    wallet_id: int | None
    since: str | None
    until: str | None
    keep: bool
    limit: int


def replay_of(ledger: Ledger, plan: Plan, asked: Asked) -> Replayed:
    """Replay the ledger under ``plan``, and with ``keep`` under the limits that count now as well.

    Reads one snapshot, page by page, on a connection of its own: the rail goes on meanwhile. Raises ``WalletNotFound``
    and ``KeyNotFound``.
    """
    if asked.wallet_id is not None:
        ledger.reader.wallet(checked_id("wallet_id", asked.wallet_id))
    _check_named(ledger, plan)
    with ledger.reader.source.snapshot() as snapshot:
        replay = Replay(_with_kept(snapshot, plan, asked.wallet_id) if asked.keep else plan, checked_page(asked.limit))
        for entry in replay_reads.logged(snapshot, asked.wallet_id, asked.since or _FIRST, asked.until or _LAST):
            replay.take(entry)
    return replay.sums.view(asked.wallet_id, asked.since, asked.until)


def asked_for(
    ledger: Ledger, wallet_id: int | None, since: str | None, until: str | None, *, keep: bool, limit: int
) -> Asked:
    """Months and days are those of the wallet's time zone, or of UTC. Raises ``InvalidRequest``."""
    zone = "UTC" if wallet_id is None else ledger.time_zone_of(wallet_id)
    start = None if since is None else format_instant(start_of("since", since, zone))
    end = None if until is None else format_instant(end_of("until", until, zone))
    if start is not None and end is not None and start >= end:
        raise InvalidRequest("since must be before until", field="since")
    return Asked(wallet_id, start, end, keep, limit)


def planned(
    text_or_path: str | Path | None,
    budgets: Sequence[Mapping[str, Any]],
    monthly_budget_yen: int | None,
    key_caps_yen: Mapping[int, int],
    *,
    keep: bool,
    wallet_of: WalletOf,
) -> Plan:
    """The plan of a file, of budgets as ``create`` takes them, and of monthly limits. Raises ``InvalidRequest``."""
    if text_or_path is not None and budgets:
        raise InvalidRequest("send either a plan or budgets: budgets can stand in the plan as well", field="budgets")
    of_file, prices = ((), ()) if text_or_path is None else parse_plan(text_of(text_or_path, "plan"), wallet_of)
    found = of_file or planned_budgets(budgets)
    monthly = {} if monthly_budget_yen is None else {EVERY_WALLET: _yen("monthly_budget_yen", monthly_budget_yen)}
    caps = {checked_id("key_id", key_id): _yen("key_caps_yen", cap) for key_id, cap in key_caps_yen.items()}
    if not (found or prices or monthly or caps or keep):
        raise InvalidRequest("there is nothing to try; send a plan with [[budget]] or [[price]] tables", field="plan")
    book = PriceBook(TRIED_VERSION, prices) if prices else NO_PRICES
    return Plan(found, book, monthly, caps)


def _check_named(ledger: Ledger, plan: Plan) -> None:
    """Raise for a wallet or an agent key that is not there: its limit would refuse nobody, and look harmless."""
    for wallet_id in {each.wallet_id for each in plan.budgets} - {EVERY_WALLET}:
        ledger.reader.wallet(wallet_id)
    scoped = {value for each in plan.budgets for name, value in each.scope if name == KEY and value != EACH}
    for key_id in {*plan.key_caps_yen, *map(int, scoped)}:
        ledger.reader.owner_of_key(key_id)


def _with_kept(source: Source, plan: Plan, wallet_id: int | None) -> Plan:
    """The plan's limits, and those that count now; where both say the same one, the plan's."""
    monthly, caps = replay_reads.monthly_limits(source)
    return Plan(
        [*replay_reads.live_budgets(source, wallet_id), *plan.budgets],
        plan.prices,
        plan.monthly_caps_yen or monthly,
        {**caps, **plan.key_caps_yen},
    )


def _yen(field: str, value: object) -> int:
    if type(value) is int and 0 <= value <= MAX_AMOUNT_YEN:
        return value
    raise InvalidRequest(f"{field} must be whole yen from 0 to {MAX_AMOUNT_YEN}, not {value!r}", field=field)
