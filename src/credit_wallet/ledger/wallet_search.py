"""Searching wallets: a query becomes words, wallets that it names outright, and a place to go on from."""

from __future__ import annotations

import re
from typing import get_args

from credit_wallet.domain.search_terms import MAX_QUERY_LENGTH, MAX_QUERY_WORDS, folded, query_words
from credit_wallet.domain.tokens import PREFIX, SHOWN_LENGTH, looked_up
from credit_wallet.domain.wallet_search import (
    Place,
    WalletPage,
    WalletQuery,
    WalletSort,
    WalletStatus,
    cursor_of,
    place_of,
)
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.rules.metadata import checked_reference
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.stores import identity_rows, wallet_search

_WALLET_ID = re.compile("[1-9][0-9]{0,18}")


def search_wallets(
    ledger: Ledger,
    query: str | None,
    reference: str | None,
    status: WalletStatus | None,
    sort: WalletSort,
    cursor: str | None,
    limit: int,
) -> WalletPage:
    """A page of wallets. Raises ``InvalidRequest`` naming the field."""
    if status is not None and status not in get_args(WalletStatus):
        raise InvalidRequest(f"status must be one of {', '.join(get_args(WalletStatus))}", field="status")
    if sort not in get_args(WalletSort):
        raise InvalidRequest(f"sort must be one of {', '.join(get_args(WalletSort))}", field="sort")
    if isinstance(query, str) and not query.strip():
        query = None  # an empty field of a form leaves nobody out
    words, named = ((), ()) if query is None else _read(ledger, query)
    after = None if cursor is None else _checked_place(cursor, sort)
    wanted = WalletQuery(words, named, status, checked_reference(reference), sort, checked_page(limit), after)
    if query is not None and not words and not named:
        return WalletPage([], None)
    wallet_ids, place = wallet_search.found(ledger.reader.source, wanted, ledger.clock())
    return WalletPage(ledger.wallets_with(wallet_ids), None if place is None else cursor_of(place))


def _read(ledger: Ledger, query: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The words of a query, and the wallets that it names: by the id, or by all of a token."""
    if not isinstance(query, str) or len(query) > MAX_QUERY_LENGTH or "\0" in query:
        raise InvalidRequest(
            f"query must be a text of at most {MAX_QUERY_LENGTH} characters without NUL", field="query"
        )
    text = query.strip()
    if wallet_ids := _opened(ledger, text):
        return (), wallet_ids
    if text.startswith(PREFIX):
        return (folded(text[:SHOWN_LENGTH]),), ()
    words = query_words(text)
    if len(words) > MAX_QUERY_WORDS:
        raise InvalidRequest(f"query must have at most {MAX_QUERY_WORDS} words, not {len(words)}", field="query")
    is_id = _WALLET_ID.fullmatch(text) and int(text) <= MAX_ID
    return tuple(words), (int(text),) if is_id else ()


def _opened(ledger: Ledger, text: str) -> tuple[int, ...]:
    """The wallets of a token, or of a host's own key: also when it has ended, as long as the ledger knows it."""
    digest = None if " " in text else looked_up(text)
    return () if digest is None else identity_rows.wallets_of(ledger.reader.source, digest)


def _checked_place(cursor: str, sort: WalletSort) -> Place:
    try:
        place = place_of(cursor)
    except ValueError:
        raise InvalidRequest("cursor must be the next_cursor of a page", field="cursor") from None
    if place.sort != sort:
        raise InvalidRequest(
            "cursor is of a page that was sorted otherwise; send the same sort with it", field="cursor"
        )
    return place
