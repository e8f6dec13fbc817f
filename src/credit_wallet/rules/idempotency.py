"""Idempotency: a repeated key returns the first outcome, or is refused when the request differs."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeAlias

from msgspec import msgpack, structs

from credit_wallet.domain.commands import (
    Adjust,
    ByHand,
    Capture,
    Charge,
    CreditGrant,
    Hold,
    Movement,
    PayBack,
    Refund,
    Release,
    RequestAutoTopup,
    RequestTopup,
    Reverse,
    Topup,
    TransferOut,
)
from credit_wallet.domain.money import MICROS, decimal_text
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import (
    Adjusted,
    Captured,
    Charged,
    Granted,
    Held,
    Outcome,
    PaidBack,
    Refunded,
    Released,
    Reversed,
    ToppedUp,
    TopupRequested,
    TransferredOut,
)
from credit_wallet.errors import IdempotencyConflict, WalletError
from credit_wallet.rules.state import Remembered

FINGERPRINT_BYTES = 32
"""Length of a hashed fingerprint. Unhashed ones are shorter, so the two cannot be confused."""

_SHORT_BYTES = FINGERPRINT_BYTES - len(msgpack.encode(Charge.__name__))
"""Bytes from which on a charge is hashed: when it would be with its name."""

_encode = msgpack.Encoder().encode

Fields: TypeAlias = tuple[object, ...]


def requested(amount_micros: int) -> int | str:
    """An amount as requests say it: whole yen as the integer that they were before there were micros."""
    yen, fraction = divmod(amount_micros, MICROS)
    return decimal_text(amount_micros) if fraction else yen


def _without_defaults(*defaults: object) -> Callable[[Fields], Fields]:
    """Drop fields that were added later and have their defaults, so that requests equal those from before."""

    def shortened(fields: Fields) -> Fields:
        return fields[: -len(defaults)] if fields[-len(defaults) :] == defaults else fields

    return shortened


def _of_capture(fields: Fields) -> Fields:
    hold_id, amount_micros, *rest = fields
    return _without_defaults(True, "reject", None)(_without_defaults(None)((hold_id, _amount(amount_micros), *rest)))


def _of_refund(fields: Fields) -> Fields:
    txn_id, amount_micros, *rest = fields
    return (txn_id, _amount(amount_micros), *rest)


def _amount(amount_micros: object) -> object:
    return requested(amount_micros) if isinstance(amount_micros, int) else amount_micros


_REQUEST_OF: dict[type[Movement], Callable[[Fields], Fields]] = {
    Charge: lambda fields: _without_defaults(None)((_amount(fields[0]), *fields[1:])),
    Hold: lambda fields: _without_defaults(None)((_amount(fields[0]), *fields[1:])),
    Topup: lambda fields: (_amount(fields[0]), *fields[1:]),
    Refund: _of_refund,
    Reverse: _of_refund,
    Capture: _of_capture,
    Release: _without_defaults(None),
    PayBack: lambda fields: fields[:-1],
    RequestTopup: _without_defaults(None),
}
"""The fields that make up a command's request, where that is not all of them as they are."""

_OUTCOME_OF: dict[type[Movement], type[Outcome]] = {
    Charge: Charged,
    Hold: Held,
    Capture: Captured,
    Release: Released,
    Refund: Refunded,
    Topup: ToppedUp,
    CreditGrant: Granted,
    Reverse: Reversed,
    Adjust: Adjusted,
    RequestTopup: TopupRequested,
    RequestAutoTopup: TopupRequested,
    PayBack: PaidBack,
    TransferOut: TransferredOut,
}
"""The kind of outcome that a movement has, which the remembered row does not store."""


def fingerprint(command: Movement) -> bytes:
    """Equal for equal requests; an idempotency key compares it to distinguish a retry from a conflict.

    The command's name and its fields between key and actor, or their hash when that is shorter (``FINGERPRINT_BYTES``).
    Who the author is makes no difference, nor the id of the request. A charge without a usage goes without its name and
    without what it does not have; it begins with its amount. Reference and metadata come last.
    """
    if type(command) is not Charge or (command.names is not None and _part_of_the_request(command.names)):
        return _named(command)
    yen, fraction = divmod(command.amount_micros, MICROS)
    amount = requested(command.amount_micros) if fraction else yen
    if command.usage is not None:
        return _hashed_if_long(_encode((Charge.__name__, amount, command.note, command.key_id, command.usage)))
    if command.note is None and command.key_id is None:
        return _encode(amount)
    request = _encode((amount, command.note, command.key_id))
    return request if len(request) < _SHORT_BYTES else _named(command)


def _named(command: Movement) -> bytes:
    kind = type(command)
    fields = structs.astuple(command)[2 : -3 if isinstance(command, ByHand) else -2]
    if kind in _REQUEST_OF:
        fields = _REQUEST_OF[kind](fields)
    return _hashed_if_long(_encode((kind.__name__, *fields, *_part_of_the_request(command.names))))


def _part_of_the_request(names: Names | None) -> Fields:
    """What of the names is part of the request: a map, which no field is. None of a retry's request id."""
    if names is None or (names.reference is None and not names.metadata):
        return ()
    return ({"reference": names.reference, "metadata": names.metadata},)


def _hashed_if_long(request: bytes) -> bytes:
    return request if len(request) < FINGERPRINT_BYTES else blake2b(request, digest_size=FINGERPRINT_BYTES).digest()


def replay(command: Movement, request: bytes, before: Remembered) -> Outcome | WalletError:
    """The first outcome of a repeated key, or the conflict. Before migration 305 every charge had its name."""
    if before.fingerprint not in (request, _named(command)):
        return IdempotencyConflict(
            f"idempotency key {command.idempotency_key!r} was used for a different request; "
            "send a new key for a new request, or the same request for a retry",
            idempotency_key=command.idempotency_key,
        )
    return _OUTCOME_OF[type(command)](**{**structs.asdict(before.outcome), "replayed": True})
