"""Top-ups and payers as rows: loaded and written with the same statements on every database.

A batch has few of them, so each takes a separate statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, json, structs

from credit_wallet.domain.commands import Command, PayBack, RequestAutoTopup, RequestTopup, SettleTopup
from credit_wallet.domain.cycle import cycle_at, cycle_bounds, day_start, format_instant
from credit_wallet.domain.topups import (
    CLAWBACK_STATUSES,
    AutoToppedUp,
    Clawback,
    ClawbackKind,
    Offer,
    OfferLanguage,
    PayerState,
    TopupState,
    topup_id_of,
)
from credit_wallet.rules.decision import Decision
from credit_wallet.rules.pay_back import period_start
from credit_wallet.rules.state import Snapshot
from credit_wallet.stores import Connection
from credit_wallet.stores.sql import statements

_SQL = statements("topups.sql")

_ABOUT_TOPUPS = frozenset((SettleTopup, PayBack, RequestTopup, RequestAutoTopup))

_KINDS: dict[str, ClawbackKind] = {"dp": "dispute", "du": "dispute", "pb": "pay_back"}
"""By the prefix of a clawback's id: Stripe's, and ours for what is paid back. Others are refunds."""


def load_topups(connection: Connection, snapshot: Snapshot, commands: Sequence[Command], now: datetime) -> None:
    """Load the top-ups and payers that ``commands`` need, if any."""
    if _ABOUT_TOPUPS.isdisjoint(map(type, commands)):
        return
    for command in commands:
        if not isinstance(command, SettleTopup | PayBack | RequestTopup | RequestAutoTopup):
            continue
        this: dict[str, Any] = {"wallet_id": command.wallet_id}
        if isinstance(command, PayBack) and command.limit is not None:
            snapshot.paid_back_yen = _paid_back_yen(connection, now)
        if isinstance(command, SettleTopup | PayBack):
            named = command.topup_id
        else:
            named = topup_id_of(command.wallet_id, command.stored_key)
            _load(connection, snapshot, _SQL["open_topups"], this)
        _load(connection, snapshot, _SQL["topup"], {"topup_id": named})
        if isinstance(command, SettleTopup):
            known = snapshot.topups.get(named)
            for intent in {command.fact.payment_intent, known and known.payment_intent} - {None}:
                _load(connection, snapshot, _SQL["topups_of_payment"], {**this, "payment_intent": intent})
        for row in connection.execute(_SQL["payer"], this).fetchall():
            payer = PayerState(*row)
            payer.stopped = bool(payer.stopped)
            snapshot.payers[payer.wallet_id] = payer
        if isinstance(command, RequestAutoTopup):
            wallet = snapshot.wallets.get(command.wallet_id)
            windows = _windows(now, "UTC" if wallet is None else wallet.time_zone)
            [sums] = connection.execute(_SQL["auto_topped_up"], {**this, **windows}).fetchall()
            snapshot.auto_topped_up[command.wallet_id] = AutoToppedUp(*sums)


def _windows(now: datetime, time_zone: str) -> dict[str, str]:
    """When today and this month began, in UTC and by the clocks of ``time_zone``, and the last hour; and the earliest
    of these.
    """
    at = format_instant(now)
    own_month, _ = cycle_bounds(cycle_at(now, time_zone), time_zone)
    began = {
        "today": at[:10],
        "month": at[:7],
        "own_today": format_instant(day_start(now, time_zone)),
        "own_month": own_month,
        "hour_ago": format_instant(now - timedelta(hours=1)),
    }
    return {**began, "since": min(began.values())}


def _paid_back_yen(connection: Connection, now: datetime) -> int:
    """The yen paid back from all wallets in the current period; other pay-backs wait until the transaction ends."""
    connection.execute(_SQL["lock_pay_backs"])
    [(paid_back_yen,)] = connection.execute(_SQL["paid_back"], {"start": period_start(now)}).fetchall()
    return int(paid_back_yen)


def _load(connection: Connection, snapshot: Snapshot, statement: str, parameters: dict[str, Any]) -> None:
    for row in connection.execute(statement, parameters).fetchall():
        topup = topup_of(row)
        snapshot.topups.setdefault(topup.topup_id, topup)


def topup_of(row: tuple[Any, ...]) -> TopupState:
    """A top-up from the columns of its fields."""
    topup = TopupState(*row)
    topup.processing = bool(topup.processing)
    topup.clawbacks = {each.id: each for each in read_clawbacks(str(topup.clawbacks))}
    topup.offer = read_offer(topup.offer)
    return topup


def write_topups(connection: Connection, decision: Decision, at: str) -> None:
    """Write the top-ups and payers that a decision changed."""
    for topup in decision.touched_topups.values():
        row = {**structs.asdict(topup), "processing": int(topup.processing), "clawbacks": _text(topup)}
        row["offer"] = offer_text(topup.offer)
        connection.execute(_SQL["put_topup"], {**row, "at": at})
    for step in decision.topup_steps:
        connection.execute(_SQL["put_step"], {**structs.asdict(step), "at": at})
    for payer in decision.touched_payers.values():
        connection.execute(_SQL["put_payer"], {**structs.asdict(payer), "stopped": int(payer.stopped), "at": at})


class _ClawbackRow(Struct, array_like=True):
    """A clawback as the database has it: its status by its place, and its kind unless its id says it."""

    id: str
    amount_yen: int
    status: int
    kind: ClawbackKind | None = None


def read_clawbacks(text: str) -> tuple[Clawback, ...]:
    """Clawbacks as the database stores them."""
    return tuple(
        Clawback(
            each.id,
            each.kind or _kind_in(each.id),
            each.amount_yen,
            CLAWBACK_STATUSES[each.status],
        )
        for each in json.decode(text, type=list[_ClawbackRow])
    )


def read_offer(text: object) -> Offer | None:
    """An offer as the database stores it."""
    return None if text is None else Offer(*json.decode(str(text), type=tuple[str | None, bool, OfferLanguage | None]))


def offer_text(offer: Offer | None) -> str | None:
    """The same for the database."""
    return None if offer is None else json.encode(structs.astuple(offer)).decode()


def _text(topup: TopupState) -> str:
    return json.encode([_row_of(each) for each in topup.clawbacks.values()]).decode()


def _row_of(clawback: Clawback) -> tuple[str | int, ...]:
    """A clawback's row: without its kind where its id says it, as releases before 294 write and read it."""
    row = (clawback.id, clawback.amount_yen, CLAWBACK_STATUSES.index(clawback.status))
    return row if clawback.kind == _kind_in(clawback.id) else (*row, clawback.kind)


def _kind_in(clawback_id: str) -> ClawbackKind:
    return _KINDS.get(clawback_id.partition("_")[0], "refund")
