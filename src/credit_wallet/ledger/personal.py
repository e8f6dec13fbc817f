"""A wallet's personal data, page by page: settings first, then acts, then the ledger's entries, newest first."""

from __future__ import annotations

from collections.abc import Callable

from credit_wallet.domain.acts import ActFilter, ActView
from credit_wallet.domain.personal import PersonalItem, PersonalPage
from credit_wallet.domain.views import Transaction
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.rules.validation import MAX_ID, checked_id
from credit_wallet.stores.acts import acts
from credit_wallet.stores.personal_rows import FIELDS, personal_items
from credit_wallet.stores.profile_rows import parse_metadata
from credit_wallet.stores.reads import WalletRow

KINDS = ("wallet", *FIELDS, "act", "entry")
"""In the order of the pages."""


def personal_data(ledger: Ledger, wallet_id: int, cursor: str | None, limit: int) -> PersonalPage:
    """A page of what a wallet has of people. Raises ``WalletNotFound`` and ``InvalidRequest``."""
    wallet = ledger.row(checked_id("wallet_id", wallet_id))
    room = checked_page(limit)
    position, after = (0, 0) if cursor is None else _read(cursor)
    items: list[PersonalItem] = []
    while True:
        kind = KINDS[position]
        found, after, is_done = _READ.get(kind, _of_rows(kind))(ledger, wallet, after, room - len(items))
        items += found
        if not is_done:
            return PersonalPage(items, f"{kind}:{after}")
        position, after = position + 1, 0
        if position == len(KINDS):
            return PersonalPage(items, None)
        if len(items) >= room:
            return PersonalPage(items, f"{KINDS[position]}:0")


def _read(cursor: str) -> tuple[int, int]:
    kind, _, after = cursor.partition(":")
    if kind not in KINDS or not after.isascii() or not after.isdigit() or len(after) > len(str(MAX_ID)):
        raise InvalidRequest("cursor must be the next_cursor of the page before", field="cursor")
    return KINDS.index(kind), min(int(after), MAX_ID)


_Found = tuple[list[PersonalItem], int, bool]
"""Items, where the next page of the kind begins, and whether there is none."""

_Reader = Callable[[Ledger, WalletRow, int, int], _Found]


def _of_rows(kind: str) -> _Reader:
    def read(ledger: Ledger, wallet: WalletRow, after: int, room: int) -> _Found:
        items = personal_items(ledger.reader.source, kind, wallet.wallet_id, after, room)
        return items, items[-1].id if items else after, len(items) < room

    return read


def _of_wallet(_: Ledger, wallet: WalletRow, __: int, ___: int) -> _Found:
    view = {
        "label": wallet.label,
        "time_zone": wallet.time_zone,
        "reference": wallet.reference or None,
        "metadata": parse_metadata(wallet.metadata) or None,
        "frozen_note": wallet.frozen_note,
    }
    data = {name: value for name, value in view.items() if value is not None}
    return [PersonalItem("wallet", wallet.wallet_id, None, data)], 0, True


def _of_acts(ledger: Ledger, wallet: WalletRow, before: int, room: int) -> _Found:
    found = acts(ledger.reader.source, ActFilter(wallet.wallet_id), before or MAX_ID, room)
    items = [PersonalItem("act", act.act_id, act.occurred_at, _said_in(act)) for act in found]
    return items, found[-1].act_id if found else before, len(found) < room


def _said_in(act: ActView) -> dict[str, object]:
    values = {
        "kind": act.kind,
        "by": act.by,
        "address": act.address,
        "request_id": act.request_id,
        "before": act.before,
        "after": act.after,
        "note": act.note,
    }
    return {name: value for name, value in values.items() if value is not None}


def _of_entries(ledger: Ledger, wallet: WalletRow, before: int, room: int) -> _Found:
    """The entries that say something; a page looks through as many as it may have, so that it is quick."""
    found = ledger.reader.history(wallet, limit=room, before_txn_id=before or None)
    said = [(entry, _told_in(entry)) for entry in found]
    items = [PersonalItem("entry", entry.txn_id, entry.occurred_at, data) for entry, data in said if data]
    return items, found[-1].txn_id if found else before, len(found) < room


def _told_in(entry: Transaction) -> dict[str, object]:
    values = {
        "note": entry.note,
        "facts": entry.facts,
        "agent_facts": entry.agent_facts,
        "request_id": entry.request_id,
        "reference": entry.reference,
        "metadata": entry.metadata,
        "idempotency_key": entry.idempotency_key,
    }
    return {name: value for name, value in values.items() if value}


_READ: dict[str, _Reader] = {"wallet": _of_wallet, "act": _of_acts, "entry": _of_entries}
