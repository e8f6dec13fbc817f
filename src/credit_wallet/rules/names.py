"""Names of movements: their checks, which run in the caller, and which of them an entry has."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from credit_wallet.domain.actors import PRODUCT, Actor
from credit_wallet.domain.commands import Movement
from credit_wallet.domain.names import MAX_REQUEST_ID_LENGTH, Names
from credit_wallet.errors import InvalidRequest, WalletError
from credit_wallet.rules.metadata import (
    checked_metadata,
    checked_reference,
    malformed_metadata,
    malformed_reference,
)


def called(request_id: str | None, reference: str | None, metadata: Mapping[str, str] | None) -> Names | None:
    """The names that a caller gives a movement, None for none. Raises ``InvalidRequest``."""
    if request_id is None and reference is None and not metadata:
        return None
    return Names(checked_request_id(request_id), checked_reference(reference), checked_metadata(metadata))


def checked_request_id(value: object) -> str | None:
    """``value`` if it is None or a request id. Raises ``InvalidRequest``."""
    if problem := malformed_request_id(value):
        raise problem
    return value if isinstance(value, str) else None


def malformed_request_id(value: object) -> WalletError | None:
    """A request id is None or 1 to 128 printable ASCII characters, as an ``X-Request-ID`` has them."""
    if value is None or (
        isinstance(value, str) and 0 < len(value) <= MAX_REQUEST_ID_LENGTH and value.isascii() and value.isprintable()
    ):
        return None
    return InvalidRequest(
        f"request_id must be 1 to {MAX_REQUEST_ID_LENGTH} printable ASCII characters", field="request_id"
    )


def malformed_names(names: Names) -> WalletError | None:
    """What is wrong with names, naming the field and the fix; None when they are well formed."""
    return (
        malformed_request_id(names.request_id)
        or malformed_reference(names.reference)
        or malformed_metadata(names.metadata)
    )


def names_of_entry(command: Movement) -> Names | None:
    """The names of the entry that a movement makes: with its idempotency key, when it has any."""
    return command.names and structs.replace(command.names, idempotency_key=command.idempotency_key)


def names_of_capture(of_hold: Names | None, own: Names | None, idempotency_key: str, actor: Actor) -> Names | None:
    """The names of a capture: what it does not name itself is that of its hold.

    So is the idempotency key where the product made one, since nobody knows it.
    """
    if not (of_hold or own):
        return None
    own, of_hold = own or Names(), of_hold or Names()
    return Names(
        of_hold.request_id if own.request_id is None else own.request_id,
        of_hold.reference if own.reference is None else own.reference,
        own.metadata or of_hold.metadata,
        of_hold.idempotency_key if actor == PRODUCT else idempotency_key,
    )
