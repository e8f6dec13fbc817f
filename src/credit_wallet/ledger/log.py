"""The log of acts as it is asked for: checked filters, and pages."""

from __future__ import annotations

from collections.abc import Iterator

from credit_wallet.domain.acts import MAX_NAME_LENGTH, ActFilter, ActView
from credit_wallet.domain.cycle import FIRST_YEAR, LAST_YEAR, format_instant, parse_end
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import MAX_PAGE, Ledger, checked_page
from credit_wallet.rules.validation import MAX_ID, checked_after, checked_id, malformed_text
from credit_wallet.stores import acts


def log_of(ledger: Ledger, wanted: ActFilter, before: int | None, limit: int) -> list[ActView]:
    """A page of the log. Raises ``WalletNotFound`` and ``InvalidRequest``."""
    if wanted.wallet_id is not None:
        ledger.row(checked_id("wallet_id", wanted.wallet_id))
    first = MAX_ID if before is None else checked_after(before)
    return acts.acts(ledger.reader.source, wanted, first, checked_page(limit))


def all_of(ledger: Ledger, wanted: ActFilter) -> Iterator[list[ActView]]:
    """All acts that are wanted, page by page, newest first. Raises what ``log_of`` raises."""
    before: int | None = None
    while page := log_of(ledger, wanted, before, MAX_PAGE):
        yield page
        before = page[-1].act_id


def act_filter(
    wallet_id: int | None = None,
    kind: str | None = None,
    by: str | None = None,
    subject: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> ActFilter:
    """What is asked for; ``since`` and ``until`` are ISO 8601 times, or days in UTC, both included.

    Raises ``InvalidRequest`` naming the field.
    """
    for field, value in (("kind", kind), ("by", by), ("subject", subject)):
        if value is not None and (not value or len(value) > MAX_NAME_LENGTH or malformed_text(field, value)):
            raise InvalidRequest(f"{field} must be 1 to {MAX_NAME_LENGTH} characters", field=field)
    return ActFilter(wallet_id, kind, by, subject, _instant("since", since, 0), _instant("until", until, 1))


def _instant(field: str, text: str | None, days: int) -> str | None:
    if text is None:
        return None
    try:
        return format_instant(parse_end(text, lambda: "UTC", days=days))
    except (ValueError, TypeError, OverflowError):
        raise InvalidRequest(
            f"{field} must be an ISO 8601 time such as 2026-12-31T15:00:00Z, or a day, in the years {FIRST_YEAR} to "
            f"{LAST_YEAR}, not {text!r}",
            field=field,
        ) from None
