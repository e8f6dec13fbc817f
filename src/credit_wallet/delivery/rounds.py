"""Sending what a target has waiting, and what is to be noted of it: one turn of a target's queue.

A webhook gets its notices one by one, ``ATTEMPTS_AT_ONCE`` of them at a time, and none after one that
failed; people get them in one message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from credit_wallet.delivery.bounds import ATTEMPTS_AT_ONCE
from credit_wallet.delivery.outbound import NotDelivered, Outbound
from credit_wallet.domain.cycle import format_instant
from credit_wallet.notices.targets import Target, is_webhook
from credit_wallet.notices.texts import Notice
from credit_wallet.notices.timing import next_attempt_at, rests_until
from credit_wallet.stores.jobs.notice_queue import Leased, Result, Settled, Turn
from credit_wallet.telemetry import Logger

_log = Logger("credit_wallet.alerts")


async def attempt(outbound: Outbound, target: Target, notices: Sequence[Notice]) -> NotDelivered | None:
    """Send, and return what kept it from arriving."""
    try:
        await outbound.send(target, notices)
    except NotDelivered as failure:
        return failure
    except Exception as error:  # whatever a receiver or a service's driver comes up with keeps no other waiting
        _log.exception("notice_not_sent", target_id=target.target_id)
        return NotDelivered(f"unexpected: {type(error).__name__}")
    return None


class Round:
    """One turn: ``carry_out`` it, then note what ``settled`` says, whether it came to its end or not."""

    def __init__(self, turn: Turn, outbound: Outbound, now: Callable[[], datetime]) -> None:
        self.turn = turn
        self._outbound = outbound
        self._now = now
        self._results: list[Result] = []
        self._waiting = list(turn.leased)
        self._under_way: dict[int, Leased] = {}
        self._failure: NotDelivered | None = None
        self._asked = False

    async def carry_out(self) -> None:
        """Send what the turn has, until something fails."""
        if self.turn.code is not None:
            self._failure = await self._ask(self.turn.code)
            self._asked = True
        elif is_webhook(self.turn.target.url):
            await asyncio.gather(*(self._send_in_turn() for _ in range(min(ATTEMPTS_AT_ONCE, len(self._waiting)))))
        else:
            together, self._waiting = self._waiting, []
            await self._send(together)

    def cut_off(self, reason: str) -> None:
        """Count what is under way as failed: it is being cancelled."""
        failure = NotDelivered(reason)
        self._note(list(self._under_way.values()), failure)

    def settled(self) -> Settled:
        """The results. Attempts that are under way stay leased, since they may have arrived."""
        failures, rest, error = 0, "", None
        if self._failure is not None:
            failures, error = self.turn.failures + 1, str(self._failure)
            rest = format_instant(rests_until(failures, self._now(), self._failure.retry_after_seconds))
        elif self._under_way or (self.turn.code is not None and not self._asked):
            failures, error = self.turn.failures, "it was stopped"
        untried = tuple(delivery.delivery_id for delivery in self._waiting)
        return Settled(self.turn, tuple(self._results), untried, failures, rest, error)

    async def _ask(self, code: str) -> NotDelivered | None:
        try:
            await self._outbound.ask(self.turn.target, code)
        except NotDelivered as failure:
            _log.warning("mailbox_not_asked", target_id=self.turn.target.target_id, error=str(failure))
            return failure
        except Exception as error:  # a driver's defect is this mailbox's alone
            _log.exception("mailbox_not_asked", target_id=self.turn.target.target_id)
            return NotDelivered(f"unexpected: {type(error).__name__}")
        return None

    async def _send_in_turn(self) -> None:
        while self._waiting and self._failure is None:
            await self._send([self._waiting.pop(0)])

    async def _send(self, deliveries: list[Leased]) -> None:
        self._under_way.update((delivery.delivery_id, delivery) for delivery in deliveries)
        notices = [delivery.notice for delivery in deliveries]
        self._note(deliveries, await attempt(self._outbound, self.turn.target, notices))

    def _note(self, deliveries: list[Leased], failure: NotDelivered | None) -> None:
        for delivery in deliveries:
            del self._under_way[delivery.delivery_id]
            if failure is None:
                self._results.append(Result(delivery.delivery_id, self.turn.target.target_id))
            else:
                self._results.append(self._failed(delivery, failure))
        self._failure = failure or self._failure

    def _failed(self, delivery: Leased, failure: NotDelivered) -> Result:
        retry = None
        if not failure.gone:
            retry = next_attempt_at(delivery.target, delivery.attempts, self._now(), failure.retry_after_seconds)
        _log.warning(
            "notice_not_delivered",
            delivery_id=delivery.delivery_id,
            event_id=delivery.notice.event_id,
            target_id=delivery.target.target_id,
            attempts=delivery.attempts,
            error=str(failure),
            dead=retry is None,
        )
        next_at = None if retry is None else format_instant(retry)
        return Result(delivery.delivery_id, delivery.target.target_id, str(failure), next_at, failure.gone)
