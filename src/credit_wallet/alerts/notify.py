"""Delivering notices: hand events out, take what is due, send it, note what became of it.

A delivery is taken for two minutes before it is sent. Whoever dies over it leaves it to the next one, so an event
arrives at least once, under the same id each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from credit_wallet.alerts.failure import NotDelivered
from credit_wallet.alerts.targets import OPERATOR, Target, address_of, is_webhook
from credit_wallet.alerts.texts import Notice
from credit_wallet.alerts.timing import next_attempt_at
from credit_wallet.cycle import format_instant
from credit_wallet.notifying import WalletNotifying
from credit_wallet.stores.notification_rows import Carried, Claimed

if TYPE_CHECKING:
    from credit_wallet.alerts.sending import Sender

_log = structlog.get_logger("credit_wallet.alerts")


class Tried(Struct, frozen=True):
    """What came of a sample that was sent to a target; ``error`` is None when it arrived."""

    target_id: int
    address: str
    error: str | None


class Notifier:
    """Delivers the notices of one ledger."""

    def __init__(self, wallets: WalletNotifying, load_sender: Callable[[], Sender]) -> None:
        """``load_sender`` is called when there is something to send for the first time."""
        self._wallets = wallets
        self._sender = cache(load_sender)

    def deliver(self) -> int:
        """Send everything that is due now; return how many deliveries arrived."""
        arrived = 0
        while self._wallets.has_notices() and (claimed := self._wallets.claim_notices()):
            carried = asyncio.run(self._carry_out(claimed))
            arrived += self._wallets.record_notices(carried)
        return arrived

    def test(self, wallet_id: int) -> list[Tried]:
        """Send a sample to each target of a wallet (0: of the operator) now. Raises ``WalletNotFound``."""
        return asyncio.run(self._try(self._wallets.targets_for_test(wallet_id)))

    def unreachable(self) -> list[str]:
        """What is wrong with the way to the operator's targets; sends nothing."""
        samples = self._wallets.targets_for_test(OPERATOR)
        return asyncio.run(self._unreachable([target for target, _ in samples]))

    async def _unreachable(self, targets: Sequence[Target]) -> list[str]:
        problems = []
        for target in targets:
            try:
                await self._sender().reach(target)
            except NotDelivered as failure:
                problems.append(f"target {target.target_id}: {failure}")
        return problems

    async def _carry_out(self, claimed: Sequence[Claimed]) -> list[Carried]:
        """Send to all targets at once, and to each what it gets: a webhook event by event, people in one message."""
        by_target = groupby(sorted(claimed, key=_target_id), key=_target_id)
        sending = []
        for _, group in by_target:
            deliveries = list(group)
            if is_webhook(deliveries[0].target.url):
                sending += [self._send([delivery]) for delivery in deliveries]
            else:
                sending.append(self._send(deliveries))
        return [carried for several in await asyncio.gather(*sending) for carried in several]

    async def _send(self, deliveries: Sequence[Claimed]) -> list[Carried]:
        target = deliveries[0].target
        failure = await self._attempt(target, [delivery.notice for delivery in deliveries])
        if failure is not None:
            return [self._failed(delivery, failure) for delivery in deliveries]
        return [Carried(delivery.delivery_id, target.target_id) for delivery in deliveries]

    async def _attempt(self, target: Target, notices: Sequence[Notice]) -> NotDelivered | None:
        """Send, and return what kept it from arriving."""
        try:
            await self._sender().send(target, notices)
        except NotDelivered as failure:
            return failure
        except Exception as error:  # whatever a receiver or a service's driver comes up with keeps no other waiting
            _log.exception("notice_not_sent", target_id=target.target_id)
            return NotDelivered(f"unexpected: {type(error).__name__}")
        return None

    def _failed(self, delivery: Claimed, failure: NotDelivered) -> Carried:
        retry = None
        if not failure.gone:
            retry = next_attempt_at(
                delivery.target, delivery.attempts, self._wallets.now(), failure.retry_after_seconds
            )
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
        return Carried(delivery.delivery_id, delivery.target.target_id, str(failure), next_at, failure.gone)

    async def _try(self, samples: Sequence[tuple[Target, Notice]]) -> list[Tried]:
        return list(await asyncio.gather(*(self._try_one(target, notice) for target, notice in samples)))

    async def _try_one(self, target: Target, notice: Notice) -> Tried:
        failure = await self._attempt(target, [notice])
        return Tried(target.target_id, address_of(target.url), None if failure is None else str(failure))


def _target_id(claimed: Claimed) -> int:
    return claimed.target.target_id
