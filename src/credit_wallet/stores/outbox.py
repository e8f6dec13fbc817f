"""The outbox: events as rows, written in the transaction that causes them.

Imports the standard library alone, so that the alert job can run on it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from credit_wallet.rules.events import Event
from credit_wallet.stores.sql import statements

if TYPE_CHECKING:
    from credit_wallet.stores import Connection

SQL = statements("outbox.sql")


def put_event(connection: Connection, event: Event, at: str) -> None:
    """Emit an event at the instant ``at``, unless it has been emitted before."""
    connection.execute(SQL["put_event"], event_row(event, at))


def event_row(event: Event, at: str) -> dict[str, Any]:
    """The columns of an event."""
    payload = json.dumps(event.payload, ensure_ascii=False, separators=(",", ":"))
    named = {"wallet_id": event.wallet_id, "kind": event.kind, "dedupe_key": event.dedupe_key}
    return {**named, "payload": payload, "at": at}
