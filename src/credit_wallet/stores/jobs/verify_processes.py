"""Proving a ledger in several processes, all at the same snapshot (docs/decisions/0047).

They are programs of their own (``prover``), started, not forked: the caller may have threads, open connections and a
main module that must not run twice. A process that dies or falls silent ends the proof with ``VerifyInterrupted``: what
was not proved is never counted as in order.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from math import inf
from queue import SimpleQueue
from subprocess import PIPE, Popen
from types import TracebackType
from typing import IO, Any, Protocol, Self, cast

from credit_wallet.errors import VerifyInterrupted
from credit_wallet.stores import LedgerSource, Source
from credit_wallet.stores.jobs import prover
from credit_wallet.stores.jobs.proofs.parts import Asked, Part
from credit_wallet.stores.jobs.verify import Prove, proved_here

MAX_PROCESSES = 64

MOST_BY_DEFAULT = 4
"""More would hardly be faster: the longest part, which is not divided, takes a quarter of the time of all."""

MANY_ENTRIES = 200_000
"""Fewer are proved in less than a second, which is what starting processes takes."""

START_SECONDS = 60.0
"""How long starting the processes may take, and closing the snapshot."""

ATTEMPTS = 3
"""How often the snapshot is opened when not all are in time: on a machine with too much to do."""

SILENT_SECONDS = 60
"""How long a process may say nothing while it is at work; it should every second."""

_LONGEST_FIRST = ("usage", "lot_flow", "budgets", "answers", "seals", "cycle", "chain_order", "entries", "conservation")
"""So that no long part begins when the others have ended."""

_NEWEST = "SELECT coalesce(max(txn_id), 0) FROM am_credit_transaction_log"


class Provers(Protocol):
    """Whoever proves."""

    pieces: int
    """Into about how many pieces it divides what can be divided."""

    def at(self, source: LedgerSource) -> Any:
        """A context: a snapshot of the ledger, and what proves parts of it. Raises ``DatabaseError``."""


def sensible_processes(source: Source) -> int:
    """How many to prove a ledger with: one for each core, up to ``MOST_BY_DEFAULT``, and one if it has few entries."""
    [(newest,)] = source.rows(_NEWEST, {})
    return min(_cores(), MOST_BY_DEFAULT) if newest >= MANY_ENTRIES and sys.executable else 1


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def provers(size: int) -> Iterator[Provers]:
    """``size`` processes that prove, this one alone when that is 1. Raises ``VerifyInterrupted``."""
    if size == 1:
        yield ThisProcess()
    else:
        with Processes(size) as processes:
            yield processes


class ThisProcess:
    """Proves here, one part after another."""

    pieces = 1

    @contextmanager
    def at(self, source: LedgerSource) -> Iterator[tuple[Source, Prove]]:
        """A snapshot of the ledger, and what proves parts of it. Raises ``DatabaseError``."""
        with source.snapshot() as snapshot:
            yield snapshot, partial(proved_here, snapshot)


class Processes:
    """Proves in several processes, which live as long as the block."""

    def __init__(self, size: int) -> None:
        self.pieces = 2 * size
        self._size = size
        self._processes: list[_Process] = []

    def __enter__(self) -> Self:
        """Raises ``VerifyInterrupted`` when they do not start."""
        self._threads = ThreadPoolExecutor(self._size, thread_name_prefix="credit-wallet-prover")
        try:
            for _ in range(self._size):
                self._processes.append(_Process())
            self._wait_for([self._threads.submit(each.hear) for each in self._processes], START_SECONDS)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @contextmanager
    def at(self, source: LedgerSource) -> Iterator[tuple[Source, Prove]]:
        """A snapshot of the ledger, and what proves parts of it. Raises ``DatabaseError`` and ``VerifyInterrupted``."""
        with ExitStack() as stack:
            yield self._open(source, stack), self._proved
            self._all("leave")

    def _open(self, source: LedgerSource, stack: ExitStack) -> Source:
        """Open one snapshot everywhere. When that takes too long, others can write before the next attempt."""
        for _ in range(ATTEMPTS):
            shared = stack.enter_context(source.shared())
            opening = self._ask_all("open", shared.moment)
            if self._come(opening, shared.open_seconds):
                shared.let_go()
                return shared.source
            stack.close()
            self._wait_for(opening, START_SECONDS)
        raise _interrupted("could not open the ledger in time")

    def _proved(self, parts: Sequence[Part], asked: Asked) -> list[Any]:
        idle: SimpleQueue[_Process] = SimpleQueue()
        for process in self._processes:
            idle.put(process)

        def proved(part: Part) -> Any:
            process = idle.get()
            try:
                return process.ask("prove", part, asked)
            finally:
                idle.put(process)

        order = sorted(range(len(parts)), key=lambda number: _turn(parts[number]))
        results = {number: self._threads.submit(proved, parts[number]) for number in order}
        self._wait_for(results.values())
        return [results[number].result() for number in range(len(parts))]

    def _all(self, name: str, *arguments: object) -> None:
        self._wait_for(self._ask_all(name, *arguments), START_SECONDS)

    def _ask_all(self, name: str, *arguments: object) -> list[Future[Any]]:
        return [self._threads.submit(process.ask, name, *arguments) for process in self._processes]

    def _wait_for(self, replies: Iterable[Future[Any]], seconds: float = inf) -> None:
        """Wait for all. Raises like ``_come``, and ``VerifyInterrupted`` after ``seconds``."""
        if not self._come(replies, seconds):
            raise _interrupted("did not reply in time")

    def _come(self, replies: Iterable[Future[Any]], seconds: float) -> bool:
        """Whether all come in time. Raises what one of them raises, and ``VerifyInterrupted`` for a silent one.

        Seconds are counted one by one: a machine that slept has not waited.
        """
        to_come, waited = {*replies}, 0
        while to_come:
            done, to_come = wait(to_come, timeout=1.0, return_when=FIRST_EXCEPTION)
            for reply in done:
                reply.result()
            waited += 1
            for process in self._processes:
                process.silent_seconds += 1
            if any(process.is_asked and process.silent_seconds > SILENT_SECONDS for process in self._processes):
                raise _interrupted("has fallen silent")
            if to_come and waited >= seconds:
                return False
        return True

    def _end(self) -> None:
        for process in self._processes:
            process.end()
        self._threads.shutdown(cancel_futures=True)


class _Process:
    """One ``prover``, which one thread at a time talks to."""

    def __init__(self) -> None:
        try:
            self._process = Popen(  # noqa: S603 - this interpreter
                [sys.executable, "-P", "-m", prover.__name__],
                stdin=PIPE,
                stdout=PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        except OSError as error:
            raise _interrupted(f"cannot be started ({error})") from error
        self._requests, self._replies = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        self.is_asked = False
        self.silent_seconds = 0

    def ask(self, name: str, *arguments: object) -> Any:
        """What the prover's method ``name`` returns. Raises what it raises, and ``VerifyInterrupted``."""
        try:
            pickle.dump((name, arguments), self._requests)
            self._requests.flush()
        except OSError as error:
            raise self._gone() from error
        return self.hear()

    def hear(self) -> Any:
        """What the next reply says."""
        self.is_asked, self.silent_seconds = True, 0
        try:
            kind = prover.ALIVE
            while kind == prover.ALIVE:
                kind, value = pickle.load(self._replies)  # noqa: S301 - from a process that this one started
                self.silent_seconds = 0
        except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            raise self._gone() from error
        finally:
            self.is_asked = False
        if kind == prover.FAILED:
            raise value
        return value

    def end(self) -> None:
        """End it, whatever it does: it only reads."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._requests, self._replies):
            with suppress(OSError):  # what was not sent any more
                pipe.close()

    def _gone(self) -> VerifyInterrupted:
        return _interrupted(f"has ended (status {self._process.poll()})")


def _turn(part: Part) -> int:
    name = part.about[0] if part.name == "invariant" else part.name
    return _LONGEST_FIRST.index(name) if name in _LONGEST_FIRST else len(_LONGEST_FIRST)


def _interrupted(what: str) -> VerifyInterrupted:
    return VerifyInterrupted(
        f"a process of the proof {what}, so nothing is proved; try again, or prove in one process with --processes 1"
    )
