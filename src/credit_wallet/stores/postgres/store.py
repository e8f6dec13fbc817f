"""The PostgreSQL store: any number of nodes and lanes turn batches of commands into durable transactions.

``execute`` is the hot path, in two round trips: BEGIN and load with the wallets' rows locked → ``decide`` → write and
COMMIT. Nodes take turns on a wallet by locking its row; a lane reads again only those that somebody else has written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from msgspec import structs

from credit_wallet.domain.commands import Command
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import WalletError
from credit_wallet.rules.decide import decide
from credit_wallet.rules.decision import Decision
from credit_wallet.stores.jobs.seals import Holder
from credit_wallet.stores.postgres.connection import PostgresConnection, Raw
from credit_wallet.stores.postgres.horizon import holders, settled_act_id, settled_txn_id
from credit_wallet.stores.postgres.identity import KnownLedger
from credit_wallet.stores.postgres.known_wallets import KnownWallets
from credit_wallet.stores.postgres.link import Link
from credit_wallet.stores.postgres.load import load
from credit_wallet.stores.postgres.readiness import Readiness
from credit_wallet.stores.postgres.write import write
from credit_wallet.stores.price_rows import KnownBook

P = ParamSpec("P")
T = TypeVar("T")

REMEMBERED_EVENTS = 10_000
"""Emitted dedupe keys that a store remembers, so that a wallet that is refused repeatedly writes nothing."""

PLANS_OF_THE_RAIL = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""The rail reads few rows, by their keys: its statements are planned once, whatever the table's statistics say."""

_PLANS_OF_A_JOB = """
SELECT set_config('plan_cache_mode', 'auto', true), set_config('enable_seqscan', 'on', true),
       set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true)
"""


class PostgresStore:
    """A ledger in a PostgreSQL database. Not thread-safe: each lane of a rail has its own."""

    checks_apart = True
    writes_by_others = None

    def __init__(self, known: KnownLedger) -> None:
        """Connect to a database whose schema is up to date. Raises ``DatabaseError``."""
        self._known = known
        self._link = Link(known, PLANS_OF_THE_RAIL)
        self._readiness = Readiness(known)
        self._emitted: set[tuple[int, str]] = set()
        self._prices = KnownBook()
        self._wallets = KnownWallets()

    def close(self) -> None:
        self._link.close()
        self._readiness.close()

    def execute(self, commands: Sequence[Command], clock: Callable[[], datetime]) -> list[Outcome | WalletError]:
        """Carry out ``commands`` in one durable transaction; one outcome or refusal per command, in order.

        They happen at what ``clock`` says behind the wallets' locks, of the try that is committed. Raises
        ``DatabaseError``, and then nothing moved, except as ``DatabaseUnavailable`` may say.
        """
        sent: list[Decision] = []

        def attempt(raw: Raw) -> list[Outcome | WalletError]:
            try:
                decision = self._carry_out(raw, commands, clock, sent)
            except BaseException:
                self._wallets.clear()
                raise
            if decision.emitted:
                self._emitted = decision.emitted | (self._emitted if len(self._emitted) < REMEMBERED_EVENTS else set())
            return decision.outcomes

        outcomes = self._link.carry_out(attempt, repeatable=True, seconds=self._known.waits.attempt_seconds)
        if (entry := next(sent[-1].appended(), None)) is not None:
            self._known.acknowledge(entry)
        return _as_first_answered(outcomes, sent[:-1]) if len(sent) > 1 else outcomes

    def _carry_out(
        self, raw: Raw, commands: Sequence[Command], clock: Callable[[], datetime], sent: list[Decision]
    ) -> Decision:
        with raw.pipeline():
            begun = raw.begin()
            snapshot, now = load(raw, commands, clock, self._emitted, self._wallets, self._prices)
            self._link.look_at(raw, begun)
            decision = decide(snapshot, commands, now)
            write(raw, snapshot, decision, self._wallets, format_instant(now))
            sent.append(decision)
            self._link.commit(raw)
        self._wallets.keep()
        return decision

    def check_writable(self) -> None:
        """Raises ``DatabaseError`` when the database would not take a write, ``MigrationError`` when it is outdated.

        May be called from any thread, and does not wait for work under way here.
        """
        self._readiness.check()

    def settled_txn_id(self) -> int:
        """The last id drawn so far, once nobody can write an earlier one any more; 0 when that does not come soon."""
        return self._link.carry_out(settled_txn_id, repeatable=True)

    def settled_act_id(self) -> int:
        """The same of acts."""
        return self._link.carry_out(settled_act_id, repeatable=True)

    def holding_back(self) -> list[Holder]:
        """The transactions that keep ``settled_txn_id`` at 0, the oldest first."""
        return self._link.carry_out(holders, repeatable=True)

    def run(self, job: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``job(connection, …)`` in one write transaction of its own; for the background jobs."""

        def work(raw: Raw) -> T:
            raw.execute(_PLANS_OF_A_JOB)
            return job(PostgresConnection(raw), *args, **kwargs)

        return self._in_transaction(work, lasts=True)

    def run_until_known(self, job: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like ``run``, but repeated when it is unknown whether it was committed: the job must be able to find out."""
        return self._in_transaction(lambda raw: job(PostgresConnection(raw), *args, **kwargs), repeatable=True)

    def _in_transaction(self, work: Callable[[Raw], T], *, repeatable: bool = False, lasts: bool = False) -> T:
        """``lasts`` means that it may take longer than a batch, as long as the server answers."""

        def attempt(raw: Raw) -> T:
            self._link.begin(raw)
            done = work(raw)
            self._link.commit(raw)
            return done

        seconds = None if lasts else self._known.waits.attempt_seconds
        return self._link.carry_out(attempt, repeatable=repeatable, seconds=seconds)


def _value(raw: Raw, statement: str, parameters: Sequence[Any]) -> Any:
    row = raw.execute(statement, parameters).fetchone()
    return None if row is None else row[0]


def _as_first_answered(
    outcomes: list[Outcome | WalletError], earlier: Iterable[Decision]
) -> list[Outcome | WalletError]:
    """``outcomes`` of a repeated batch, where replays of its first try are not replays to the caller."""
    answers = list(outcomes)
    for decision in earlier:
        for position, (first, again) in enumerate(zip(decision.outcomes, answers, strict=True)):
            if isinstance(first, Outcome) and again == structs.replace(first, replayed=True):
                answers[position] = first
    return answers
