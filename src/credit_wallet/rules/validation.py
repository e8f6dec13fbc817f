"""Checks that commands are well formed. Runs in the caller, before anything is queued."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from msgspec import UNSET

from credit_wallet.domain.actors import OPERATOR, is_actor
from credit_wallet.domain.commands import (
    MAX_ATTEMPT_LENGTH,
    MAX_HOLD_SECONDS,
    MAX_IDEMPOTENCY_KEY_LENGTH,
    MAX_LEASE_SECONDS,
    MAX_NOTE_LENGTH,
    Above,
    Adjust,
    BeginClosing,
    Buy,
    Capture,
    Charge,
    Command,
    Configure,
    CreditGrant,
    EndClosing,
    EndTransfer,
    Extend,
    Freeze,
    Hold,
    Movement,
    PayBack,
    PurchaseCommand,
    Refund,
    Release,
    Renew,
    RequestAutoTopup,
    RequestTopup,
    Reverse,
    Topup,
    TransferIn,
    TransferOut,
    Undo,
)
from credit_wallet.domain.cycle import (
    CYCLE_PATTERN,
    FIRST_YEAR,
    LAST_YEAR,
    format_instant,
    is_time_zone,
    parse_end,
)
from credit_wallet.domain.money import MAX_AMOUNT_YEN, both, decimal_text, is_amount
from credit_wallet.domain.prices import GROUP
from credit_wallet.domain.settings import SETTINGS, Setting
from credit_wallet.domain.shares import MAX_OWN_THRESHOLDS, MAX_THRESHOLD_PCT
from credit_wallet.domain.transfers import is_transfer_id
from credit_wallet.errors import InvalidAmount, InvalidRequest, TransferNotAllowed, WalletError
from credit_wallet.rules.consents import malformed_consent
from credit_wallet.rules.correction_validation import malformed_adjustment, malformed_standing
from credit_wallet.rules.metadata import malformed_metadata
from credit_wallet.rules.names import malformed_names
from credit_wallet.rules.offers import malformed_offer
from credit_wallet.rules.usage import malformed_usage

MAX_ID = 2**63 - 1


def malformed(command: Command) -> WalletError | None:
    """What is wrong with ``command``, naming the field and the fix; None when it is well formed."""
    if not is_id(command.wallet_id):
        return _bad_id("wallet_id", command.wallet_id)
    if isinstance(command, Movement):
        if not is_idempotency_key(command.idempotency_key):
            return InvalidRequest(
                f"idempotency_key must be 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} printable characters",
                field="idempotency_key",
            )
        if command.actor != OPERATOR and not is_actor(command.actor):
            return _bad_actor(command.actor)
        if command.names is not None and (problem := malformed_names(command.names)):
            return problem
        if not isinstance(command, Charge):
            if isinstance(command, Adjust | CreditGrant):
                return _malformed_credit(command)
            return _malformed_movement(command)
        if command.usage is not None or not is_amount(command.amount_micros):
            return _malformed_spending(command)
        return None if command.note is None and command.key_id is None else _malformed_payer(command)
    return _malformed_keyless(command)


def _malformed_keyless(command: Command) -> WalletError | None:
    match command:
        case PurchaseCommand():
            return _malformed_purchase(command)
        case Extend():
            return (
                _malformed_id("hold_id", command.hold_id)
                or _malformed_count("ttl_seconds", command.ttl_seconds, 1, MAX_HOLD_SECONDS)
                or _malformed_asker(command)
                or (None if is_actor(command.actor) else _bad_actor(command.actor))
            )
        case Configure():
            return _malformed_settings(command)
        case Freeze() | BeginClosing() | EndClosing():
            return malformed_standing(command) or malformed_text("note", command.note)
        case TransferIn() | EndTransfer() if not is_transfer_id(command.transfer_id):
            return InvalidRequest(f"transfer_id is malformed: {command.transfer_id!r}", field="transfer_id")
    return None


def _malformed_purchase(command: PurchaseCommand) -> WalletError | None:
    if not is_idempotency_key(command.purchase_key):
        return InvalidRequest(
            f"purchase_key must be 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} printable characters", field="purchase_key"
        )
    if not is_idempotency_key(command.attempt) or len(command.attempt) > MAX_ATTEMPT_LENGTH:
        return InvalidRequest(f"attempt must be 1 to {MAX_ATTEMPT_LENGTH} printable characters", field="attempt")
    if not is_actor(command.actor):
        return _bad_actor(command.actor)
    match command:
        case Buy():
            return (
                _malformed_spending(command)
                or (None if command.names is None else malformed_names(command.names))
                or _malformed_lease(command.lease_seconds)
                or _malformed_count("free_retries", command.free_retries, 0, MAX_AMOUNT_YEN)
                or (
                    None
                    if command.hold_seconds is None
                    else _malformed_count("hold_seconds", command.hold_seconds, 1, MAX_HOLD_SECONDS)
                )
            )
        case Renew():
            return _malformed_lease(command.lease_seconds)
        case Undo():
            return malformed_text("reason", command.reason)
    return None


def _malformed_lease(seconds: object) -> WalletError | None:
    return _malformed_count("lease_seconds", seconds, 1, MAX_LEASE_SECONDS)


def _malformed_movement(command: Movement) -> WalletError | None:
    match command:
        case Hold():
            return _malformed_spending(command) or _malformed_count(
                "ttl_seconds", command.ttl_seconds, 1, MAX_HOLD_SECONDS
            )
        case Capture():
            return (
                _malformed_id("hold_id", command.hold_id)
                or _malformed_price(command)
                or _malformed_asker(command)
                or (None if command.above in get_args(Above) else _bad_above(command.above))
                or (None if type(command.final) is bool else InvalidRequest("final must be a bool", field="final"))
            )
        case Release():
            return _malformed_id("hold_id", command.hold_id) or _malformed_asker(command)
        case Refund(amount_micros=None):
            return _malformed_id("txn_id", command.txn_id) or malformed_text("note", command.note)
        case Refund() | Reverse():
            return (
                _malformed_id("txn_id", command.txn_id)
                or _malformed_amount(command.amount_micros)
                or malformed_text("note", command.note)
            )
        case RequestTopup() | PayBack():
            return malformed_offer(command) or _malformed_count_of_yen(command.amount_yen)
        case RequestAutoTopup():
            return None
        case Topup():
            return _malformed_amount(command.amount_micros) or malformed_text("note", command.note)
        case TransferOut():
            return _malformed_transfer(command)
    raise TypeError(f"{type(command).__name__} is not a movement")


def _malformed_transfer(command: TransferOut) -> WalletError | None:
    if command.to_wallet_id == command.wallet_id:
        return TransferNotAllowed(
            "a transfer goes to another wallet than the one it leaves",
            wallet_id=command.wallet_id,
            **both(max_amount=0),
        )
    return (
        _malformed_id("to_wallet_id", command.to_wallet_id)
        or _malformed_amount(command.amount_micros)
        or malformed_text("note", command.note)
    )


def _malformed_credit(command: Adjust | CreditGrant) -> WalletError | None:
    if isinstance(command, Adjust):
        return malformed_adjustment(command) or malformed_text("note", command.note)
    return _malformed_id("grant_id", command.grant_id) or _malformed_count(
        "occurrence", command.occurrence, 0, MAX_AMOUNT_YEN
    )


def _malformed_asker(command: Capture | Release | Extend) -> WalletError | None:
    return None if command.key_id is None else _malformed_id("key_id", command.key_id)


def _bad_above(value: object) -> WalletError:
    return InvalidRequest(f"above must be one of {', '.join(get_args(Above))}, not {value!r}", field="above")


def _bad_actor(value: object) -> WalletError:
    return InvalidRequest(f"actor must be payer, operator, product or seller:<id>, not {value!r}", field="actor")


def _malformed_payer(command: Charge | Hold | Buy) -> WalletError | None:
    if command.note is not None and (problem := malformed_text("note", command.note)):
        return problem
    return None if command.key_id is None else _malformed_id("key_id", command.key_id)


def _malformed_settings(command: Configure) -> WalletError | None:
    for setting in SETTINGS:
        value = getattr(command, setting.name)
        if value is not UNSET and (problem := _malformed_setting(setting, value)):
            return problem
    if command.metadata is not UNSET and (problem := malformed_metadata(command.metadata)):
        return problem
    return malformed_consent(command)


def _malformed_setting(setting: Setting, value: object) -> WalletError | None:
    name = setting.name
    if setting.kind == "text":
        return malformed_text(name, value)
    if setting.kind == "name":
        return _malformed_name(name, value)
    if setting.kind == "yen":
        return _malformed_count(name, value, 0, MAX_AMOUNT_YEN)
    if setting.kind == "percents":
        if _are_thresholds(value):
            return None
        wanted = f"up to {MAX_OWN_THRESHOLDS} different whole percents from 1 to {MAX_THRESHOLD_PCT}"
        return InvalidRequest(f"{name} must be {wanted}", field=name)
    if value in setting.choices:
        return None
    wanted = " or ".join(map(repr, setting.choices))
    return InvalidRequest(f"{name} must be {wanted}, not {value!r}", field=name)


def _malformed_name(field: str, value: object) -> WalletError | None:
    if value is None or (isinstance(value, str) and GROUP.fullmatch(value)):
        return None
    return InvalidRequest(
        f'{field} must be a name of up to 32 lower-case letters, digits and "_", not {str(value)[:80]!r}', field=field
    )


def _are_thresholds(values: object) -> bool:
    return (
        isinstance(values, tuple)
        and len(values) <= MAX_OWN_THRESHOLDS
        and len(set(values)) == len(values)
        and all(type(value) is int and 0 < value <= MAX_THRESHOLD_PCT for value in values)
    )


def malformed_auto_topup(threshold_yen: int, amount_yen: int) -> WalletError | None:
    """Auto-topup is on with both figures, or off with neither."""
    if bool(threshold_yen) == bool(amount_yen):
        return None
    return InvalidRequest(
        "auto_topup_threshold and auto_topup_amount go together: set both above 0, or both to 0",
        field="auto_topup_amount" if threshold_yen else "auto_topup_threshold",
    )


def is_id(value: object) -> bool:
    """Whether ``value`` can be the id of a row: an ``int`` from 1 to 2**63 - 1."""
    return type(value) is int and 0 < value <= MAX_ID


def is_idempotency_key(value: object) -> bool:
    """Whether ``value`` is 1 to 255 printable characters."""
    return type(value) is str and 0 < len(value) <= MAX_IDEMPOTENCY_KEY_LENGTH and value.isprintable()


def malformed_text(name: str, value: object) -> WalletError | None:
    """A note or label is None or up to 500 characters that a database can store (no NUL, no lone surrogate)."""
    if value is None:
        return None
    if isinstance(value, str) and len(value) <= MAX_NOTE_LENGTH and "\0" not in value and _encodable(value):
        return None
    return InvalidRequest(f"{name} must be text of at most {MAX_NOTE_LENGTH} characters without NUL", field=name)


def checked_end(name: str, value: str | None, time_zone: Callable[[], str]) -> str | None:
    """An expiry as the ledger writes instants; None for never.

    ``value`` is an ISO 8601 time, or a date: the end of that day, which is the midnight after it, in ``time_zone``
    (asked for dates alone). Raises ``InvalidRequest`` for anything else, and for years before 1000 or after 9998.
    """
    if value is None:
        return None
    try:
        return format_instant(parse_end(value, time_zone))
    except (ValueError, TypeError, OverflowError):
        raise InvalidRequest(
            f"{name} must be an ISO 8601 time such as 2026-12-31T15:00:00Z, or a date for the end of that day, in the "
            f"years {FIRST_YEAR} to {LAST_YEAR}, not {value!r}",
            field=name,
        ) from None


def checked_id(name: str, value: int) -> int:
    """``value`` if it can be the id of a row. Raises ``InvalidRequest`` naming the field when it cannot."""
    if not is_id(value):
        raise _bad_id(name, value)
    return value


def checked_after(value: int) -> int:
    """``value`` if a page can begin after it: the id of a row, or 0. Raises ``InvalidRequest`` when it cannot."""
    if value == 0 and type(value) is int:
        return value
    if not is_id(value):
        raise InvalidRequest(f"after must be a whole number from 0 to {MAX_ID}, not {value!r}", field="after")
    return value


def checked_cycle(value: str) -> str:
    """``value`` if it is a billing cycle. Raises ``InvalidRequest`` when it is not ``YYYY-MM``."""
    if isinstance(value, str) and CYCLE_PATTERN.fullmatch(value):
        return value
    raise InvalidRequest(f"cycle must be YYYY-MM, not {value!r}", field="cycle")


def check_time_zone(name: object) -> None:
    """Raise ``InvalidRequest`` unless ``name`` is an IANA name that is known here, spelled as IANA does.

    The zones of wallets, targets, the command line and HTTP all come through here.
    """
    if not isinstance(name, str) or not is_time_zone(name):
        raise InvalidRequest(f"time_zone must be an IANA name such as Asia/Tokyo, not {name!r}", field="time_zone")


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _malformed_spending(command: Charge | Hold | Buy) -> WalletError | None:
    return _malformed_price(command) or _malformed_payer(command)


def _malformed_price(command: Charge | Hold | Buy | Capture) -> WalletError | None:
    """An amount, or an item that is priced when the command is carried out."""
    if command.usage is None:
        return _malformed_amount(command.amount_micros)
    if problem := malformed_usage(command.usage):
        return problem
    if command.usage.item is None:
        return _malformed_amount(command.amount_micros)
    if command.amount_micros == 0 and command.usage.price_version is None:
        return None
    return InvalidRequest("send either amount_yen, or item with its quantity", field="amount_yen")


def _malformed_amount(micros: object) -> WalletError | None:
    if is_amount(micros):
        return None
    shown = decimal_text(micros) if type(micros) is int else repr(micros)
    return InvalidAmount(f"amount_yen must be from 0.000001 to {MAX_AMOUNT_YEN} yen, not {shown}", field="amount_yen")


def _malformed_count_of_yen(value: object) -> WalletError | None:
    if type(value) is int and 0 < value <= MAX_AMOUNT_YEN:
        return None
    return InvalidAmount(
        f"amount_yen must be a whole number of yen from 1 to {MAX_AMOUNT_YEN}, not {value!r}", field="amount_yen"
    )


def _malformed_count(name: str, value: object, minimum: int, maximum: int) -> WalletError | None:
    if type(value) is int and minimum <= value <= maximum:
        return None
    return InvalidRequest(f"{name} must be a whole number from {minimum} to {maximum}, not {value!r}", field=name)


def _malformed_id(name: str, value: object) -> WalletError | None:
    return None if is_id(value) else _bad_id(name, value)


def _bad_id(name: str, value: object) -> WalletError:
    return InvalidRequest(f"{name} must be a positive whole number, not {value!r}", field=name)
