"""What makes a retry free: a key used again answers the first outcome, or is refused when the request is another."""

from __future__ import annotations

from hashlib import blake2b

from msgspec import msgpack, structs

from credit_wallet.commands import Movement
from credit_wallet.errors import IdempotencyConflict, WalletError
from credit_wallet.outcomes import Outcome
from credit_wallet.state import Remembered

FINGERPRINT_BYTES = 32
"""Length of a hashed fingerprint; one that is not hashed is shorter, so that the two cannot be mixed up."""


def fingerprint(command: Movement) -> bytes:
    """Equal for equal requests: what an idempotency key compares to tell a retry from a conflict.

    The command's name and its fields after wallet and key, or their hash when that is shorter (``FINGERPRINT_BYTES``).
    """
    request = msgpack.encode((type(command).__name__, *structs.astuple(command)[2:]))
    if len(request) < FINGERPRINT_BYTES:
        return request
    return blake2b(request, digest_size=FINGERPRINT_BYTES).digest()


def replay(command: Movement, request: bytes, before: Remembered) -> Outcome | WalletError:
    """The first outcome of a key used again, or the conflict."""
    if before.fingerprint != request:
        return IdempotencyConflict(
            f"idempotency key {command.idempotency_key!r} was used for a different request; "
            "send a new key for a new request, or the same request for a retry",
            idempotency_key=command.idempotency_key,
        )
    return structs.replace(before.outcome, replayed=True)
