"""Transactions: single ledger entries, and searches among many."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast, get_args

from credit_wallet.domain.commands import MAX_IDEMPOTENCY_KEY_LENGTH
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.entry_search import MAX_QUERY_LENGTH, MAX_QUERY_WORDS, EntryFilter, SearchStep, words_of
from credit_wallet.domain.outcomes import EntryType
from credit_wallet.domain.usage import ITEM, MAX_ITEM_LENGTH
from credit_wallet.domain.views import Transaction, TransactionView
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.ledger.usage import end_of, start_of
from credit_wallet.rules.metadata import checked_reference
from credit_wallet.rules.names import checked_request_id
from credit_wallet.rules.validation import MAX_ID, checked_id, is_idempotency_key, malformed_text
from credit_wallet.stores.entry_names import Position, Wanted, entries_named
from credit_wallet.stores.reads import WalletRow


class Transactions:
    """``wallets.transactions``: show one ledger entry, or search among many. ``wallets.history`` lists them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def show(self, txn_id: int) -> TransactionView:
        """One ledger entry, with the amount refunded or reversed of it. Raises ``EntryNotFound``."""
        return self._ledger.reader.transaction(checked_id("txn_id", txn_id))

    def search(
        self,
        wallet_id: int,
        *,
        limit: int = 50,
        before_txn_id: int | None = None,
        txn_type: str | None = None,
        key_id: int | None = None,
        note: str | None = None,
        item: str | None = None,
        since: str | None = None,
        until: str | None = None,
        query: str | None = None,
    ) -> SearchStep:
        """One step of ``wallets.history``, with the same filters, that looks at 2,000 entries, however few match.

        Returns the matches, up to ``limit`` (at most 1,000), the ``before_txn_id`` of the next step, None after the
        last one, and up to when it has looked. Raises ``WalletNotFound`` and ``InvalidRequest``.
        """
        wallet = wallet_to_search(self._ledger, wallet_id, before_txn_id)
        wanted = entry_filter(
            wallet.time_zone,
            txn_type=txn_type,
            key_id=key_id,
            note=note,
            item=item,
            since=since,
            until=until,
            query=query,
        )
        return self._ledger.reader.search(wallet, wanted, checked_page(limit), before_txn_id)

    def find(
        self,
        *,
        request_id: str | None = None,
        reference: str | None = None,
        idempotency_key: str | None = None,
        wallet_id: int | None = None,
        txn_type: str | None = None,
        key_id: int | None = None,
        note: str | None = None,
        item: str | None = None,
        since: str | None = None,
        until: str | None = None,
        query: str | None = None,
        limit: int = 50,
        after: tuple[int, int] | None = None,
    ) -> list[Transaction]:
        """Ledger entries of one wallet or of all by what they are called, wallets and entries backwards.

        The rest filters as in ``wallets.history``; days are those of the one wallet, or UTC. The next page comes
        ``after`` the wallet and the id of the last entry. By an idempotency key alone, an entry without another name is
        found for as long as keys are remembered. Raises ``InvalidRequest``.
        """
        found: list[Transaction] = []
        asked: dict[str, Any] = {"txn_type": txn_type, "key_id": key_id, "note": note, "item": item}
        rest = self.filter(wallet_id, since=since, until=until, query=query, **asked)
        wanted = Wanted(request_id, reference, idempotency_key, rest)
        position = after
        while len(found) < limit:
            step, position = self.find_step(wanted, wallet_id, limit=limit - len(found), after=position)
            found += step
            if position is None:
                break
        return found

    def filter(
        self, wallet_id: int | None, *, since: str | None = None, until: str | None = None, **asked: Any
    ) -> EntryFilter:
        """The ``rest`` of what ``find_step`` wants, from the arguments of ``search``.

        Raises ``WalletNotFound`` and ``InvalidRequest``.
        """
        time_zone = "UTC"
        if wallet_id is not None and (since, until) != (None, None):
            time_zone = self._ledger.reader.wallet(checked_id("wallet_id", wallet_id)).time_zone
        return entry_filter(time_zone, since=since, until=until, **asked)

    def find_step(
        self, wanted: Wanted, wallet_id: int | None = None, *, limit: int = 50, after: tuple[int, int] | None = None
    ) -> tuple[list[Transaction], Position | None]:
        """One step of ``find``, which looks at 1,000 entries at most, however few match; and where the next begins.

        Raises ``InvalidRequest``.
        """
        _check(wanted)
        if wallet_id is not None:
            checked_id("wallet_id", wallet_id)
        if after is None:
            after = (MAX_ID, MAX_ID) if wallet_id is None else (wallet_id, MAX_ID)
        position = Position(checked_id("after", after[0]), checked_id("after", after[1]))
        source = self._ledger.reader.source
        return entries_named(source, wanted, wallet_id or 0, position, checked_page(limit))


def _check(wanted: Wanted) -> None:
    """Raises ``InvalidRequest`` for a search that no entry can match, or that names nothing."""
    if wanted.request_id is wanted.reference is wanted.idempotency_key is None:
        raise InvalidRequest("send a request_id, a reference or an idempotency_key to look for", field="request_id")
    checked_request_id(wanted.request_id)
    checked_reference(wanted.reference)
    if wanted.idempotency_key is not None and not is_idempotency_key(wanted.idempotency_key):
        raise InvalidRequest(
            f"idempotency_key must be 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} printable characters", field="idempotency_key"
        )


def _check_filters(txn_type: str | None, key_id: int | None, note: str | None) -> None:
    """Raises ``InvalidRequest``."""
    if txn_type is not None and txn_type not in get_args(EntryType):
        raise InvalidRequest(f"txn_type must be one of {', '.join(get_args(EntryType))}", field="txn_type")
    if problem := malformed_text("note", note):
        raise problem
    if key_id is not None:
        checked_id("key_id", key_id)


def wallet_to_search(ledger: Ledger, wallet_id: int, before_txn_id: int | None) -> WalletRow:
    """The wallet, on the first page after settling what is due on it.

    Raises ``WalletNotFound`` and ``InvalidRequest``.
    """
    if before_txn_id is None:
        return ledger.row(wallet_id)
    checked_id("before_txn_id", before_txn_id)
    return ledger.reader.wallet(checked_id("wallet_id", wallet_id))


def entry_filter(
    time_zone: str,
    *,
    txn_type: str | None = None,
    key_id: int | None = None,
    note: str | None = None,
    item: str | None = None,
    since: str | None = None,
    until: str | None = None,
    query: str | None = None,
) -> EntryFilter:
    """What is looked for; months and days are those of ``time_zone``. Raises ``InvalidRequest`` naming the field."""
    _check_filters(txn_type, key_id, note)
    if item is not None and not (isinstance(item, str) and len(item) <= MAX_ITEM_LENGTH and ITEM.fullmatch(item)):
        raise InvalidRequest(
            f"item must be words of a-z, 0-9 and _ between dots, such as tokens.input, not {item!r}", field="item"
        )
    start = None if since is None else _bound(start_of("since", since, time_zone))
    end = None if until is None else _bound(end_of("until", until, time_zone))
    if start is not None and end is not None and start >= end:
        raise InvalidRequest("since must be before until", field="since")
    kind = cast("EntryType | None", txn_type)
    return EntryFilter(kind, key_id, note, item, start, end, () if query is None else _checked_words(query))


def _bound(moment: datetime) -> str:
    """An instant that compares with every spelling of it that writers use."""
    return format_instant(moment).removesuffix(".000Z")


def _checked_words(query: str) -> tuple[str, ...]:
    if not isinstance(query, str) or len(query) > MAX_QUERY_LENGTH or "\0" in query:
        raise InvalidRequest(
            f"query must be a text of at most {MAX_QUERY_LENGTH} characters without NUL", field="query"
        )
    words = words_of(query)
    if len(words) > MAX_QUERY_WORDS:
        raise InvalidRequest(f"query must have at most {MAX_QUERY_WORDS} words, not {len(words)}", field="query")
    return words
