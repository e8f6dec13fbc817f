"""What answers have in common: headers about the wallet, request ids, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from itertools import count
from secrets import token_hex
from typing import Any, TypeAlias

from credit_wallet.domain.budget import spent_pct, warn_pct
from credit_wallet.domain.outcomes import Outcome, WalletView
from credit_wallet.errors import WalletError
from credit_wallet.ledger.reading_lanes import OWNERS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.runtime import deadlines
from credit_wallet.wire.auth import Caller
from credit_wallet.wire.problems import CONTENT_TYPE, encode, headers_of, problem_of

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

MAX_REQUEST_ID_BYTES = 128

STANDING_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
"""What every answer carries: it may show a token or a balance, and is what its content type says."""

_PROCESS_ID = token_hex(6)
_request_ids = (f"{_PROCESS_ID}-{number:x}".encode() for number in count(1))


def outcome_headers(outcome: Outcome) -> RawHeaders:
    """Balance, warning and replay mark of a movement."""
    headers = [(b"x-wallet-balance", b"%d" % outcome.balance_yen)]
    if outcome.warn_pct:
        headers.append((b"x-wallet-warn", b"%d" % outcome.warn_pct))
    if outcome.replayed:
        headers.append((b"idempotent-replayed", b"true"))
    return headers


def wallet_headers(view: WalletView) -> RawHeaders:
    """Balance and warning of a wallet as it stands."""
    headers = [(b"x-wallet-balance", b"%d" % view.balance_yen)]
    if view.monthly_budget_yen:
        warning = warn_pct(spent_pct(view.current_cycle_spent_yen, view.monthly_budget_yen))
        if warning:
            headers.append((b"x-wallet-warn", b"%d" % warning))
    return headers


def request_id_header(given: bytes | None) -> tuple[bytes, bytes]:
    """The caller's own request id when it is short and printable, else a new one."""
    if (
        given is not None
        and 0 < len(given) <= MAX_REQUEST_ID_BYTES
        and given.isascii()
        and given.decode().isprintable()
    ):
        return (b"x-request-id", given)
    return (b"x-request-id", next(_request_ids))


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """The same from the headers of a request; two ids name nothing."""
    given = [value for name, value in headers if name == b"x-request-id"]
    return request_id_header(given[0] if len(given) == 1 else None)


def refusal(error: Exception, topup_url: str | None) -> tuple[int, RawHeaders, bytes]:
    """Status, headers and problem document that ``error`` is answered with."""
    status, document = problem_of(error, topup_url)
    content = encode(document)
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", b"%d" % len(content)),
        *((name.lower().encode(), value.encode()) for name, value in headers_of(error).items()),
        *STANDING_HEADERS,
    ]
    return status, headers, content


async def caller_headers(caller: Caller | None, wallets: CreditWallet) -> RawHeaders:
    """The headers about the wallet that an owner's answer carries when it is not a movement's."""
    if caller is None or caller.access is None:
        return []
    try:
        wallet_id = caller.access.wallet_id
        async with asyncio.timeout(deadlines.BALANCE_SECONDS):
            return wallet_headers(await wallets.reading_lanes.ask_for(wallet_id, OWNERS, wallets.show, wallet_id))
    except (WalletError, TimeoutError):  # the answer at hand matters more than its balance header
        return []


def text_of(value: bytes | None) -> str | None:
    """A header's value as text."""
    return None if value is None else value.decode("latin-1")


def address_of(scope: Scope) -> str:
    """The caller's address."""
    client = scope.get("client")
    return client[0] if client else ""
