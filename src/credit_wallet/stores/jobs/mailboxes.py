"""Confirming mailboxes before they get notices, counting mail, and pruning old notices.

Jobs in separate transactions, the same on every database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from secrets import compare_digest
from typing import Literal

from credit_wallet.domain.acts import Act, Author
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.retry_after import whole_seconds
from credit_wallet.errors import TooManyConfirmations
from credit_wallet.notices.confirming import CONFIRM_WITHIN, MAX_GUESSES, code_sha256
from credit_wallet.notices.targets import mailbox_of
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.acts import record
from credit_wallet.stores.sql import statements

SQL = statements("mailboxes.sql")

ASKED_A_WALLET_AND_DAY = 10
"""Maximum confirmation requests a day (UTC) that a wallet's owner may cause …"""

ASKED_A_MAILBOX_AND_DAY = 3
"""… and the maximum for one mailbox, over all wallets."""

MAILS_A_MAILBOX_AND_DAY = 50
"""Mails with notices of owners' targets to a mailbox in a day (UTC); the rest wait for the next day."""

ROWS_A_STEP = 2_000

Answer = Literal["confirmed", "wrong", "unknown", "used_up"]


def about_to_ask(connection: Connection, wallet_id: int, url: str, now: datetime) -> str:
    """Count a confirmation request to a mailbox; return when its code expires. Raises ``TooManyConfirmations``."""
    for counted_for, counted, limit in _bounds(wallet_id, url):
        if _count(connection, counted_for, counted, now) > limit:
            raise _too_many(counted_for, limit, now)
    return format_instant(now + CONFIRM_WITHIN)


def require_room(source: Source, wallet_id: int, urls: Sequence[str], now: datetime) -> None:
    """Raise ``TooManyConfirmations`` unless all these mailboxes can be asked today; counts nothing."""
    day = format_instant(now)[:10]
    wanted = Counter(bound for url in urls for bound in _bounds(wallet_id, url))
    for (counted_for, counted, limit), more in wanted.items():
        rows = source.rows(SQL["counted"], {"wallet_id": counted_for, "counted": counted, "day": day})
        if sum(mails for (mails,) in rows) + more > limit:
            raise _too_many(counted_for, limit, now)


def _bounds(wallet_id: int, url: str) -> tuple[tuple[int, str, int], ...]:
    """The counters of a confirmation request, each with its daily limit."""
    return (
        (wallet_id, "asked", ASKED_A_WALLET_AND_DAY),
        (0, f"asked {mailbox_of(url)}", ASKED_A_MAILBOX_AND_DAY),
    )


def _too_many(counted_for: int, limit: int, now: datetime) -> TooManyConfirmations:
    return TooManyConfirmations(
        f"at most {limit} mails a day ask for confirmation {'of a wallet' if counted_for else 'of a mailbox'}; "
        "try again tomorrow (UTC)",
        retry_after_seconds=whole_seconds((_tomorrow(now) - now).total_seconds()),
    )


def mail_waits_until(connection: Connection, url: str, now: datetime) -> str | None:
    """Count a mail with notices to a mailbox; return until when it must wait if it has had the maximum."""
    if _count(connection, 0, f"mails {mailbox_of(url)}", now) <= MAILS_A_MAILBOX_AND_DAY:
        return None
    return format_instant(_tomorrow(now))


def _count(connection: Connection, wallet_id: int, counted: str, now: datetime) -> int:
    row = {"wallet_id": wallet_id, "counted": counted, "day": format_instant(now)[:10]}
    [(mails,)] = connection.execute(SQL["count_mail"], row).fetchall()
    return int(mails)


def count_notices(connection: Connection, wallet_id: int, more: int, now: datetime, counted: str = "told") -> int:
    """Count ``more`` notices of a wallet, to the operator or of what ``counted`` names; return how many there have been
    in this hour (UTC).
    """
    day, hour = format_instant(now)[:10], format_instant(now)[11:13]
    row = {"wallet_id": wallet_id, "counted": f"{counted} {hour}", "day": day, "more": more}
    [(notices,)] = connection.execute(SQL["count_notices"], row).fetchall()
    return int(notices)


def _tomorrow(now: datetime) -> datetime:
    return datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)


def put_code(connection: Connection, target_id: int, code: str) -> None:
    """Make ``code`` the one that confirms a mailbox; only its hash is kept."""
    connection.execute(SQL["put_code"], {"target_id": target_id, "code_sha256": code_sha256(code)})


def confirm(connection: Connection, wallet_id: int, target_id: int, code: str, author: Author, now: datetime) -> Answer:
    """Confirm a mailbox with the code it was sent. Wrong codes are counted; too many invalidate it."""
    rows = connection.execute(SQL["asked"], {"target_id": target_id, "wallet_id": wallet_id}).fetchall()
    if not rows:
        return "unknown"
    [(expected, guesses, confirm_by)] = rows
    if confirm_by is None:
        return "confirmed"
    if confirm_by <= format_instant(now):
        return "unknown"
    if guesses >= MAX_GUESSES:
        return "used_up"
    if expected is None or not compare_digest(expected, code_sha256(code)):
        connection.execute(SQL["guess"], {"target_id": target_id})
        return "wrong"
    connection.execute(SQL["confirm"], {"target_id": target_id})
    record(connection, author, Act("target.confirmed", f"target:{target_id}", wallet_id), now)
    return "confirmed"


def ask_again(connection: Connection, wallet_id: int, target_id: int, url: str, author: Author, now: datetime) -> None:
    """Send a mailbox another code. Raises ``TooManyConfirmations``."""
    confirm_by = about_to_ask(connection, wallet_id, url, now)
    row = {"target_id": target_id, "at": format_instant(now), "confirm_by": confirm_by}
    connection.execute(SQL["ask_again"], row)
    record(connection, author, Act("target.asked_again", f"target:{target_id}", wallet_id), now)


def delete_unconfirmed_of(connection: Connection, wallet_id: int, now: datetime) -> None:
    """Remove a wallet's mailboxes that did not answer in time."""
    connection.execute(SQL["delete_unconfirmed_of"], {"wallet_id": wallet_id, "at": format_instant(now)}).fetchall()


def prune_notices(connection: Connection, before: datetime, now: datetime) -> int:
    """One bounded step of pruning; return how many rows were deleted.

    It deletes deliveries and events from before ``before``, mailboxes that did not answer, and counts of past days.
    """
    at = format_instant(now)
    steps = (
        ("prune_deliveries", {"before": format_instant(before)}),
        ("prune_events", {"before": format_instant(before)}),
        ("prune_unconfirmed", {"at": at}),
        ("prune_counts", {"today": at[:10]}),
    )
    return sum(
        len(connection.execute(SQL[name], {**parameters, "limit": ROWS_A_STEP}).fetchall())
        for name, parameters in steps
    )
