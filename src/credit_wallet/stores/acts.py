"""The log of acts as rows: each is written in the transaction of what it records, the same on every database."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import json

from credit_wallet.domain.actors import PAYER
from credit_wallet.domain.acts import Act, ActFilter, ActView, Author
from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.retry_after import whole_seconds
from credit_wallet.errors import TooManyChanges
from credit_wallet.rules.decision import Decision
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.sql import statements

SQL = statements("acts.sql")


MAX_PAYERS_ACTS = 1_000
"""Acts on a wallet in 24 hours after which an owner, or an agent, has to wait: the log is kept for good."""

_NEWEST = 3 * MAX_PAYERS_ACTS
"""Acts that are looked at, so that one agent that has changed too much keeps neither the owner nor others waiting."""

_DAY = timedelta(hours=24)


def require_room(source: Source, wallet_id: int, author: Author, now: datetime) -> None:
    """Raise ``TooManyChanges`` when ``author``, a payer, has changed much of the wallet lately."""
    if author.actor != PAYER:
        return
    wanted = {
        "wallet_id": wallet_id,
        "author": author.name,
        "since": format_instant(now - _DAY),
        "newest": _NEWEST,
    }
    [(count, first)] = source.rows(SQL["recent_acts"], wanted)
    if count >= MAX_PAYERS_ACTS:
        wait = parse_instant(first) + _DAY - now
        raise TooManyChanges(
            f"{author.name} changed wallet {wallet_id} {MAX_PAYERS_ACTS:,} times in 24 hours, the maximum; try again "
            "later, or have an operator change it",
            retry_after_seconds=whole_seconds(wait.total_seconds()),
        )


def record(connection: Connection, author: Author, act: Act, now: datetime) -> None:
    """Add an act to the log, in the caller's transaction."""
    write(connection, author, act, format_instant(now))


def write(connection: Connection, author: Author, act: Act, at: str) -> None:
    """The same as ``record``, at an instant as the ledger writes it."""
    row = {
        "wallet_id": act.wallet_id,
        "kind": act.kind,
        "subject": act.subject,
        "now": at,
        "actor": author.actor,
        "author": author.name,
        "address": author.address,
        "request_id": author.request_id,
        "before": _as_text(act.before),
        "after": _as_text(act.after),
        "reason": act.reason,
        "note": act.note if act.note is not None else author.note,
    }
    connection.execute(SQL["put_act"], row)


def write_decided(connection: Connection, decision: Decision, at: str) -> None:
    """The acts of a batch."""
    for author, act in decision.acts:
        write(connection, author, act, at)


def acts(source: Source, wanted: ActFilter, before: int, limit: int) -> list[ActView]:
    """Up to ``limit`` acts with an id below ``before``, newest first."""
    named = {
        "before": before,
        "limit": limit,
        "wallet_id": wanted.wallet_id,
        "kind": wanted.kind,
        "author": wanted.by,
        "subject": wanted.subject,
        "since": wanted.since,
        "until": wanted.until,
    }
    return [_view(row) for row in source.rows(SQL[_statement(wanted)], named)]


def _statement(wanted: ActFilter) -> str:
    """The one that goes along the index with the fewest rows."""
    if wanted.subject is not None:
        return "acts_on"
    if wanted.wallet_id is not None:
        return "acts_of_wallet"
    return "acts" if wanted.by is None else "acts_by"


def _view(row: tuple[Any, ...]) -> ActView:
    act_id, occurred_at, kind, subject, wallet_id, author, actor, address, request_id, before, after, reason, note = row
    return ActView(
        act_id,
        occurred_at,
        kind,
        subject,
        wallet_id or None,
        author,
        actor,
        address,
        request_id,
        _as_dict(before),
        _as_dict(after),
        reason,
        note,
    )


def _as_text(changed: dict[str, Any] | None) -> str | None:
    return None if changed is None else json.encode(changed).decode()


def _as_dict(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.decode(text, type=dict[str, Any])
