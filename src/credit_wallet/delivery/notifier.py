"""Delivering notices: fan events out, lease targets that have something due, send it, note the results.

A target is leased for two minutes before it is sent to. When a process dies meanwhile, another one sends again, so an
event arrives at least once, under the same id each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from credit_wallet.delivery.dispatch import Dispatch
from credit_wallet.delivery.outbound import NotDelivered, Outbound
from credit_wallet.delivery.rounds import attempt
from credit_wallet.ledger.notices import Notices
from credit_wallet.notices.targets import OPERATOR, Target, address_of
from credit_wallet.notices.texts import Notice

if TYPE_CHECKING:
    from credit_wallet.delivery.sender import Sender

NOT_CONFIRMED = "the mailbox has not been confirmed"


class Tried(Struct, frozen=True):
    """What came of a sample that was sent to a target; ``error`` is None when it arrived."""

    target_id: int
    address: str
    error: str | None


class Notifier:
    """Delivers the notices of one ledger."""

    def __init__(self, notices: Notices, load_sender: Callable[[], Sender]) -> None:
        """``load_sender`` is called when there is something to send for the first time."""
        self._notices = notices
        self._sender = cache(load_sender)

    def deliver(self) -> int:
        """Send everything that is due now, and wait for it; return how many deliveries arrived."""
        if not self._notices.are_due():
            return 0
        return asyncio.run(self._dispatch(lambda: False).until_quiet())

    def run(self, stopping: Callable[[], bool]) -> None:
        """Send what falls due until ``stopping``, which is asked ten times a second; returns a few seconds later."""
        asyncio.run(self._dispatch(stopping).until_stopped())

    def test(self, wallet_id: int) -> list[Tried]:
        """Send a sample to each target of a wallet (0: of the operator) now. Raises ``WalletNotFound``."""
        return asyncio.run(self._try(self._notices.samples(wallet_id)))

    def unreachable(self) -> list[str]:
        """What is wrong with the way to the operator's targets; sends nothing."""
        samples = self._notices.samples(OPERATOR)
        return asyncio.run(self._problems([target for target, _ in samples]))

    def _dispatch(self, stopping: Callable[[], bool]) -> Dispatch:
        return Dispatch(self._notices, lambda: self._sender().opened(), stopping)

    async def _problems(self, targets: Sequence[Target]) -> list[str]:
        if not targets:
            return []
        problems = []
        async with self._sender().opened() as outbound:
            for target in targets:
                try:
                    await outbound.reach(target)
                except NotDelivered as failure:
                    problems.append(f"target {target.target_id}: {failure}")
        return problems

    async def _try(self, samples: Sequence[tuple[Target, Notice]]) -> list[Tried]:
        if not samples:
            return []
        async with self._sender().opened() as outbound:
            return list(await asyncio.gather(*(_tried(outbound, target, notice) for target, notice in samples)))


class NoticeWorker:
    """Delivers what falls due on whatever thread ``run`` is called, until it is stopped."""

    name = "notices"

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._stopping = False

    def run(self) -> None:
        """Deliver until ``stop`` is called, and return a few seconds later, whoever hangs."""
        self._notifier.run(lambda: self._stopping)

    def stop(self) -> None:
        """End ``run``; may be called from any thread or signal handler."""
        self._stopping = True


async def _tried(outbound: Outbound, target: Target, notice: Notice) -> Tried:
    failure: object = NOT_CONFIRMED
    if target.confirm_by is None:
        failure = await attempt(outbound, target, [notice])
    return Tried(target.target_id, address_of(target.url), None if failure is None else str(failure))
