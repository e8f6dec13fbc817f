"""When a call is sent again: after no response, after a failure that passes, and after a top-up.

Written once, as coroutines over a ``Transport``. The transport of the blocking client waits inside its methods, so a
coroutine over it never suspends and runs to its end without an event loop.
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import Any, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from credit_wallet.client.calls import Call, show_topup, show_wallet
from credit_wallet.client.responses import NoResponse, Response, error_of, retry_after_seconds
from credit_wallet.domain.backoff import Backoff, no_sooner_than_asked
from credit_wallet.errors import CallLimitReached, Forbidden, InsufficientFunds
from credit_wallet.payments.replies import TopupReply

T = TypeVar("T")

PendingTopup: TypeAlias = TopupReply | None
"""What a hook returns: a top-up that somebody is paying, or None to let the refusal stand."""

TOO_MANY = 429

NOT_DONE = frozenset({TOO_MANY, 503})
"""Statuses which say that nothing was carried out. A limit on calls is waited for when the service says how long, and
not by a seller: it is the buyer's, who may prefer to do something else.
"""

MAYBE_DONE = frozenset({500, 502, 504})
"""Statuses after which only a repeatable call may be sent again."""

POLL_SECONDS = 1.0
"""How often a pending top-up is looked at."""


class Retries(Struct, frozen=True):
    """How often a call is sent, and for how long at most.

    The pause doubles from ``first_pause_seconds`` up to ``longest_pause_seconds``; a random half of it is left out, so
    that callers who failed together do not come back together. A pause is never shorter than the service's
    ``Retry-After``, and none begins that would end after ``total_seconds``.
    """

    attempts: int = 5
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 5.0
    total_seconds: float = 30.0

    def pause_seconds(self, attempt: int, asked_seconds: float | None, elapsed_seconds: float) -> float | None:
        """How long to wait after attempt number ``attempt`` (from 1) failed; None to give up."""
        if attempt >= self.attempts:
            return None
        backoff = Backoff(self.first_pause_seconds, self.longest_pause_seconds, spread=0.5)
        usual = backoff.spread_out(backoff.pause_seconds(attempt))
        pause = no_sooner_than_asked(usual, asked_seconds, inf)
        return pause if elapsed_seconds + pause <= self.total_seconds else None


class Transport(Protocol):
    """What carrying out a call needs of the world."""

    async def send(self, call: Call[Any]) -> Response | NoResponse:
        """Send a call once."""

    async def pause(self, seconds: float) -> None:
        """Let time pass."""

    async def ask_for_topup(self, refusal: InsufficientFunds) -> PendingTopup:
        """Ask the user of the client what to do about an empty wallet."""


class Send(Protocol):
    """Carries out a call: sends it, and returns or raises what follows."""

    def __call__(self, call: Call[T], /) -> T: ...


class AsyncSend(Protocol):
    """``Send`` for asyncio."""

    async def __call__(self, call: Call[T], /) -> T: ...


async def carry_out(call: Call[T], transport: Transport, retries: Retries, topup_seconds: float) -> T:
    """Send a call until it is carried out, refused or given up.

    When it finds the wallet empty, the user may top it up, once, and the same call is sent again.
    """
    try:
        return await _send_until_done(call, transport, retries)
    except InsufficientFunds as refusal:
        if not call.spends:
            raise
        topup = await transport.ask_for_topup(refusal)
        if topup is None or not await _is_credited(topup, refusal, transport, retries, topup_seconds):
            raise
    return await _send_until_done(call, transport, retries)


async def _send_until_done(call: Call[T], transport: Transport, retries: Retries) -> T:
    started, attempt = monotonic(), 1
    while True:
        response = await transport.send(call)
        if isinstance(response, Response) and response.is_success:
            return call.read(response)
        pause = None
        if _may_repeat(call, response):
            pause = retries.pause_seconds(attempt, retry_after_seconds(response), monotonic() - started)
        if pause is None:
            raise error_of(response)
        await transport.pause(pause)
        attempt += 1


async def _is_credited(
    topup: TopupReply, refusal: InsufficientFunds, transport: Transport, retries: Retries, topup_seconds: float
) -> bool:
    """Whether the top-up is credited within ``topup_seconds``."""
    started = monotonic()
    while topup.status != "credited":
        if topup.status == "canceled" or monotonic() - started + POLL_SECONDS > topup_seconds:
            return False
        await transport.pause(POLL_SECONDS)
        try:
            topup = await _send_until_done(show_topup(topup.topup_id), transport, retries)
        except Forbidden:  # an agent key cannot see top-ups; it sees their effect on the balance
            wallet = await _send_until_done(show_wallet(), transport, retries)
            if wallet.balance_yen >= refusal.balance_yen + refusal.missing_yen:
                return True
    return True


def _may_repeat(call: Call[Any], response: Response | NoResponse) -> bool:
    if isinstance(response, NoResponse):
        return call.repeatable or not response.sent
    if response.status == TOO_MANY and isinstance(error_of(response), CallLimitReached):
        return call.payer_token is None and retry_after_seconds(response) is not None
    return response.status in NOT_DONE or (call.repeatable and response.status in MAYBE_DONE)
