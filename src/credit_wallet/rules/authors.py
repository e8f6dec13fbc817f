"""Who may stand in the log of acts as an author."""

from __future__ import annotations

from credit_wallet.domain.actors import is_actor
from credit_wallet.domain.acts import MAX_NAME_LENGTH, Author
from credit_wallet.domain.commands import MAX_IDEMPOTENCY_KEY_LENGTH, MAX_NOTE_LENGTH
from credit_wallet.errors import InvalidRequest


def checked_author(author: Author) -> Author:
    """``author``, whose name is 1 to 100 printable characters. Raises ``InvalidRequest`` naming the field."""
    if not is_actor(author.actor):
        raise InvalidRequest(
            f"actor must be payer, operator, product or seller:<id>, not {author.actor!r}", field="actor"
        )
    for field, value, max_length in (
        ("name", author.name, MAX_NAME_LENGTH),
        ("address", author.address, MAX_NAME_LENGTH),
        ("request_id", author.request_id, MAX_IDEMPOTENCY_KEY_LENGTH),
        ("note", author.note, MAX_NOTE_LENGTH),
    ):
        if value is None and field != "name":
            continue
        if not isinstance(value, str) or not 1 <= len(value) <= max_length or not value.isprintable():
            raise InvalidRequest(f"an author's {field} must be 1 to {max_length} printable characters", field=field)
    return author
