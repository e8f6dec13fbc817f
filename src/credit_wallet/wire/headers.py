"""Headers of responses: those that all have, those about a wallet, and the request id."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from secrets import token_hex

from credit_wallet.domain.commands import MAX_NOTE_LENGTH
from credit_wallet.domain.money import MICROS, decimal_text
from credit_wallet.domain.names import MAX_REQUEST_ID_LENGTH
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.shares import spent_pct, warn_pct
from credit_wallet.domain.views import WalletView
from credit_wallet.errors import InvalidRequest
from credit_wallet.wire.asgi import RawHeaders

ACT_NOTE = "X-Act-Note"
"""The header that says why something is changed: it stands in the log of acts."""

STANDING_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
"""Every response has these: it may show a token or a balance, and is what its content type says."""

_PROCESS_ID = token_hex(6)
_request_ids = (f"{_PROCESS_ID}-{number:x}".encode() for number in count(1))


def outcome_headers(outcome: Outcome) -> RawHeaders:
    """Balance, warning and replay mark of a movement."""
    headers = balance_headers(outcome.balance_micros)
    if outcome.warn_pct:
        headers.append((b"x-wallet-warn", b"%d" % outcome.warn_pct))
    if outcome.replayed:
        headers.append((b"idempotent-replayed", b"true"))
    return headers


def wallet_headers(view: WalletView) -> RawHeaders:
    """Balance and warning of a wallet as it stands."""
    headers = balance_headers(view.balance_micros)
    if view.monthly_budget_yen:
        warning = warn_pct(spent_pct(view.current_cycle_spent_micros, view.monthly_budget_yen * MICROS))
        if warning:
            headers.append((b"x-wallet-warn", b"%d" % warning))
    return headers


def balance_headers(micros: int) -> RawHeaders:
    """Whole yen and the exact amount of a balance."""
    yen, fraction = divmod(micros, MICROS)
    whole = b"%d" % yen
    exact = decimal_text(micros).encode() if fraction else whole
    return [(b"x-wallet-balance", whole), (b"x-wallet-balance-exact", exact)]


def act_note(given: str | None) -> str | None:
    """Why somebody acts, in their words, from the header as it was read: text in UTF-8. Raises ``InvalidRequest``."""
    if given is None or not given.strip():
        return None
    try:
        note = given.strip().encode("latin-1").decode()
    except UnicodeError:
        raise InvalidRequest(f"{ACT_NOTE} must be text in UTF-8", field=ACT_NOTE) from None
    if len(note) > MAX_NOTE_LENGTH or not note.isprintable():
        raise InvalidRequest(f"{ACT_NOTE} must be up to {MAX_NOTE_LENGTH} printable characters", field=ACT_NOTE)
    return note


def request_id_header(given: bytes | None) -> tuple[bytes, bytes]:
    """The caller's own request id when it is short and printable, else a new one."""
    return (b"x-request-id", next(_request_ids) if given is None or sent_request_id(given) is None else given)


def sent_request_id(given: bytes | None) -> str | None:
    """The caller's own request id when it is short and printable, else None."""
    if given is None or not 0 < len(given) <= MAX_REQUEST_ID_LENGTH or not given.isascii():
        return None
    request_id = given.decode()
    return request_id if request_id.isprintable() else None


def only_request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """What the headers of a request give as its id; of two ids neither counts."""
    given = [value for name, value in headers if name == b"x-request-id"]
    return given[0] if len(given) == 1 else None


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """The header of the answer to a request."""
    return request_id_header(only_request_id(headers))
