"""When a call is sent again: after no answer, after a failure that passes, and after a top-up.

Written once, as coroutines over a ``Line``. The line of the synchronous client waits inside its methods, so that a
coroutine over it never suspends and can be run to its end without an event loop.
"""

from __future__ import annotations

from random import random
from time import monotonic
from typing import Any, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from credit_wallet.client.calls import Call, show_wallet, topup_status
from credit_wallet.client.responses import Answer, NoAnswer, error_of, retry_after_seconds
from credit_wallet.errors import Forbidden, InsufficientFunds
from credit_wallet.payments.replies import TopupReply

T = TypeVar("T")

TopupToAwait: TypeAlias = TopupReply | None
"""What a hook returns: a top-up that somebody is paying, or None when the refusal stands."""

NOT_DONE = frozenset({429, 503})
"""Statuses that say that nothing was carried out."""

MAYBE_DONE = frozenset({500, 502, 504})
"""Statuses after which only a call that can be repeated may be sent again."""

POLL_SECONDS = 1.0
"""How often a top-up that is waited for is looked at."""


class Retries(Struct, frozen=True):
    """How often a call is sent, and for how long at most.

    The pause doubles from ``first_pause_seconds`` up to ``longest_pause_seconds``, of which a random half is left out,
    lest callers who failed together come back together. What the service asks for in ``Retry-After`` is kept. A pause
    that would end after ``total_seconds`` is not begun.
    """

    attempts: int = 5
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 5.0
    total_seconds: float = 30.0

    def pause_seconds(self, attempt: int, asked_seconds: float | None, elapsed_seconds: float) -> float | None:
        """How long to wait after attempt number ``attempt`` (from 1) failed; None to give up."""
        if attempt >= self.attempts:
            return None
        usual = min(self.first_pause_seconds * 2 ** (attempt - 1), self.longest_pause_seconds)
        pause = max(usual * (1 + random()) / 2, asked_seconds or 0.0)  # noqa: S311 - spreads load, guards nothing
        return pause if elapsed_seconds + pause <= self.total_seconds else None


class Line(Protocol):
    """What a conversation needs of the world."""

    async def send(self, call: Call[Any]) -> Answer | NoAnswer:
        """Send a call once."""

    async def pause(self, seconds: float) -> None:
        """Let time pass."""

    async def ask_for_topup(self, refusal: InsufficientFunds) -> TopupToAwait:
        """What the user of the client wants to do about an empty wallet."""


async def carried_out(call: Call[T], line: Line, retries: Retries) -> T:
    """Send a call until it is carried out, refused, or given up."""
    started, attempt = monotonic(), 1
    while True:
        answer = await line.send(call)
        if isinstance(answer, Answer) and answer.is_success:
            return call.read(answer)
        pause = None
        if _may_repeat(call, answer):
            pause = retries.pause_seconds(attempt, retry_after_seconds(answer), monotonic() - started)
        if pause is None:
            raise error_of(answer)
        await line.pause(pause)
        attempt += 1


async def carried_out_after_topup(call: Call[T], line: Line, retries: Retries, topup_seconds: float) -> T:
    """``carried_out``; a wallet that is empty may be topped up once, and the same call is sent again."""
    try:
        return await carried_out(call, line, retries)
    except InsufficientFunds as refusal:
        topup = await line.ask_for_topup(refusal)
        if topup is None or not await _credited(topup, refusal, line, retries, topup_seconds):
            raise
    return await carried_out(call, line, retries)


async def _credited(
    topup: TopupReply, refusal: InsufficientFunds, line: Line, retries: Retries, topup_seconds: float
) -> bool:
    """Whether the top-up was credited within ``topup_seconds``."""
    started = monotonic()
    while topup.status != "credited":
        if topup.status == "canceled" or monotonic() - started + POLL_SECONDS > topup_seconds:
            return False
        await line.pause(POLL_SECONDS)
        try:
            topup = await carried_out(topup_status(topup.topup_id), line, retries)
        except Forbidden:  # an agent key cannot see top-ups; it sees what they bring
            wallet = await carried_out(show_wallet(), line, retries)
            if wallet.balance_yen >= refusal.balance_yen + refusal.missing_yen:
                return True
    return True


def _may_repeat(call: Call[Any], answer: Answer | NoAnswer) -> bool:
    if isinstance(answer, NoAnswer):
        return call.repeatable or not answer.sent
    return answer.status in NOT_DONE or (call.repeatable and answer.status in MAYBE_DONE)
