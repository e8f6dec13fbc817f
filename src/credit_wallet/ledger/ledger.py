"""One open ledger: the rails that write, the reader that asks, the clock. Every noun of the facade builds on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from credit_wallet.domain.acts import LIBRARY, Author
from credit_wallet.domain.commands import Command, Expire
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.views import WalletView
from credit_wallet.errors import InvalidRequest, WalletError
from credit_wallet.ledger.lanes import Lanes
from credit_wallet.ledger.rail import Outcomes
from credit_wallet.ledger.reading_lanes import ReadingLanes
from credit_wallet.rules.validation import checked_id, malformed
from credit_wallet.runtime.steady_clock import SteadyClock
from credit_wallet.stores.acts import require_room
from credit_wallet.stores.reads import Reader, WalletRow

T = TypeVar("T")
Result = TypeVar("Result", bound=Outcome)

Now: TypeAlias = Callable[[], datetime]

MAX_STEPS_OF_DUE = 20
"""Batches in which what is due on a wallet is settled before it is shown; one is usually enough."""

MAX_PAGE = 1_000
"""Maximum rows of a page."""


class _Changes:
    """Counted by all views of a ledger; a change may be counted with another one."""

    count = 0


class Ledger:
    """What the nouns share. Thread-safe."""

    def __init__(self, lanes: Lanes, reader: Reader, clock: Now) -> None:
        self.lanes, self.reader, self.clock = lanes, reader, clock
        self.reading_lanes = ReadingLanes(in_process=reader.source.in_process)
        self.author = LIBRARY
        """Who acts: stands in the log of acts."""
        self._secret_changes = _Changes()
        self._session_changes = _Changes()

    def acting(self, author: Author) -> Ledger:
        """The same open ledger, in which ``author`` acts."""
        ledger = copy(self)
        ledger.author = author
        return ledger

    def close(self) -> None:
        """Finish the waiting commands and close the database."""
        self.reading_lanes.close()
        self.lanes.close()
        self.reader.close()

    # Writing

    def run(self, kind: type[Result], command: Command) -> Result:
        """Carry out a command durably and return its outcome, of ``kind``. Raises the refusal."""
        return _only(self.lanes.submit([well_formed(command)]), kind)

    async def arun(self, kind: type[Result], command: Command) -> Result:
        """The asyncio twin of ``run``."""
        return _only(await self.lanes.asubmit([well_formed(command)]), kind)

    def change_secrets(self, wallet_id: int, job: Callable[..., T], *args: object) -> T:
        """The same as ``write``, and mark cached tokens as stale."""
        done = self.write(wallet_id, job, *args)
        self.note_secret_change()
        return done

    def write(self, wallet_id: int, job: Callable[..., T], *args: object) -> T:
        """Run ``job(connection, *args, author, now)`` on the lane of a wallet (0: of none), in one transaction.

        The job leaves an act of the ``author`` for what it changes. It may be repeated with the same ``now``.
        """
        author, now = self.author, self.clock()
        self.require_room_for_acts(wallet_id)
        return self.lanes.of(wallet_id).call(lambda store: store.run_until_known(job, *args, author, now))

    def require_room_for_acts(self, wallet_id: int) -> None:
        """Raise ``TooManyChanges`` when the wallet's owner or an agent has changed too much of it today."""
        require_room(self.reader.source, wallet_id, self.author, self.clock())

    def note_secret_change(self) -> None:
        """Mark cached tokens as stale."""
        self._secret_changes.count += 1

    @property
    def secret_changes(self) -> int:
        """Another number whenever this process has added or ended a secret."""
        return self._secret_changes.count

    def note_session_change(self) -> None:
        """Mark cached sessions as stale."""
        self._session_changes.count += 1

    @property
    def session_changes(self) -> int:
        """Another number whenever this process has ended a session, or changed its secret."""
        return self._session_changes.count

    def maintain(self, job: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Run ``job(connection, …)`` on the rail of the background jobs."""
        return self.lanes.maintenance.call(lambda store: store.run(job, *args, **kwargs))

    # Reading

    def ask(self, statement: str, **parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        return self.reader.source.rows(statement, parameters)

    def row(self, wallet_id: int) -> WalletRow:
        """A wallet's row, after settling what is due on it; the worker does the rest if there is a lot.

        It is read once when nothing is due. Raises ``WalletNotFound``.
        """
        checked_id("wallet_id", wallet_id)
        for _ in range(MAX_STEPS_OF_DUE):
            row = self.reader.wallet(wallet_id)
            if not row.is_due(self.clock()):
                return row
            self.settle([wallet_id])
        return self.reader.wallet(wallet_id)

    def wallet(self, wallet_id: int) -> WalletView:
        """A wallet as its owner sees it, after settling what is due on it. Raises ``WalletNotFound``."""
        return self.reader.view(self.row(wallet_id), self.clock())

    def wallets(self, after: int, limit: int) -> list[WalletView]:
        """A page of wallets by id, after settling what is due on them."""
        now = self.clock()
        page = self.reader.wallets(now, after=after, limit=limit)
        if page and (due := self.reader.due_between(after, page[-1].wallet_id, now)):
            self.settle(due)
            page = self.reader.wallets(now, after=after, limit=limit)
        return page

    def wallets_with(self, wallet_ids: Sequence[int]) -> list[WalletView]:
        """Some wallets in their order, after settling what is due on them."""
        now = self.clock()
        rows = self.reader.wallets_with(wallet_ids)
        if due := [row.wallet_id for row in rows if row.is_due(now)]:
            self.settle(due)
            rows = self.reader.wallets_with(wallet_ids)
        return self.reader.views(rows, now)

    def time_zone_of(self, wallet_id: int) -> str:
        """Raises ``WalletNotFound``."""
        return self.reader.wallet(checked_id("wallet_id", wallet_id)).time_zone

    def ago(self, age: timedelta) -> datetime:
        """The latest instant that is at least ``age`` ago."""
        return self.clock.ago(age) if isinstance(self.clock, SteadyClock) else self.clock() - age

    # What is due

    def settle(self, wallet_ids: Sequence[int]) -> None:
        """Settle what is due on wallets: expired holds and lots."""
        self.lanes.submit_by_lane(Expire(wallet_id) for wallet_id in wallet_ids)

    def settle_all(self) -> None:
        """Settle what is due on all wallets, ``MAX_PAGE`` at a time."""
        before: list[int] = []
        steps = 0
        while due := self.reader.due_wallets(self.clock(), MAX_PAGE):
            steps = steps + 1 if due == before else 0
            if steps == MAX_STEPS_OF_DUE:
                return
            self.settle(due)
            before = due


def well_formed(command: Command) -> Command:
    """The command, if it is well formed. Raises ``InvalidRequest`` and its like."""
    problem = malformed(command)
    if problem is not None:
        raise problem
    return command


def checked_page(limit: int) -> int:
    """``limit``, if a page may be that long. Raises ``InvalidRequest``."""
    if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"limit must be 1 to {MAX_PAGE}, not {limit!r}", field="limit")
    return limit


def _only(outcomes: Outcomes, kind: type[Result]) -> Result:
    outcome = outcomes[0]
    if type(outcome) is kind:
        return outcome
    if isinstance(outcome, WalletError):
        raise outcome
    raise TypeError(f"the outcome is {outcome!r}, not a {kind.__name__}")
