"""Stopping a long-running command: in time, whatever hangs, with everything acknowledged durable.

Anything acknowledged has been committed before, so that stopping at any moment loses none of it. The rest is courtesy,
and bounded: responses under way, the current step of each job, the commands waiting on the rails, then the database.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from traceback import format_stack
from types import FrameType, TracebackType
from typing import Any, NoReturn, Protocol, Self, TypeVar

from credit_wallet.runtime.deadlines import (
    CLOSE_SECONDS,
    LAST_RESORT_SECONDS,
    LINGER_SECONDS,
    SAY_SECONDS,
    STOP_SECONDS,
    Deadline,
)
from credit_wallet.telemetry import Logger

ABANDONED = 3
"""Exit status of a command that had to abandon something that hung while stopping."""

SHOWN_CALLS = 4
"""How many calls are shown of a hung thread."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = Logger("credit_wallet.stopping")


class Stop:
    """Handles the signals that end a command, and ends it in time. For the main thread, around everything else.

    A separate thread receives the signals, since the main one may be stuck. Threads and processes started inside do not
    receive them.
    """

    def __init__(self, seconds: float = STOP_SECONDS) -> None:
        self._seconds = seconds
        self._listeners: list[Callable[[], object]] = []
        self._last: Callable[[], object] | None = None
        self._abandoned: list[str] = []
        self._before: dict[signal.Signals, Any] = {}
        self._lock = threading.RLock()  # a signal may interrupt who holds it
        self._since: float | None = None
        self.asked = threading.Event()
        """Whether a signal has come."""

    def __enter__(self) -> Self:
        for number in SIGNALS:  # for those threads that are there already, and may be given a signal
            self._before[number] = signal.signal(number, self._handle)
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._listen, name="credit-wallet-stop", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.asked.is_set():
            self._abandon_threads()
        if self._abandoned:
            if error is not None:
                _log.error("command_failed", exc_info=error)
            self._leave(0.0)
        if not self.asked.is_set():  # else a second signal would end what is ending already
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def on_stop(self, call: Callable[[], object]) -> None:
        """Call ``call`` when the command is asked to stop, or now if it has been; perhaps twice. It must not block."""
        with self._lock:
            self._listeners.append(call)
            if not self.asked.is_set():
                return
        call()

    def left(self, seconds: float) -> float:
        """What is left of ``seconds`` since the command was asked to stop; all of them if it was not."""
        return seconds if self._since is None else max(0.0, self._since + seconds - monotonic())

    def last_resort(self, close: Callable[[], object]) -> None:
        """Call ``close`` even when nothing else is waited for any more."""
        self._last = close

    def within(self, seconds: float, what: str, call: Callable[[], object]) -> None:
        """Call ``call`` and wait for it up to ``seconds``; when it hangs, ``what`` is abandoned.

        Raises what ``call`` raises in that time.
        """
        errors: list[BaseException] = []

        def carry_out() -> None:
            try:
                call()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=carry_out, name=f"credit-wallet-end-{what}", daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            self.abandon(what)
        elif errors:
            raise errors[0]

    def abandon(self, *what: str) -> None:
        """Record that ``what`` hangs and is not waited for; the command ends with status ``ABANDONED``."""
        self._abandoned.extend(what)

    # Inside

    def _listen(self) -> None:
        signal.sigwait(SIGNALS)
        self._begin()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._begin()

    def _begin(self) -> None:
        with self._lock:
            if self.asked.is_set():
                return
            self._since = monotonic()
            self.asked.set()
            listeners = list(self._listeners)
        threading.Thread(
            target=self._watch, args=(Deadline(self._seconds),), name="credit-wallet-watchdog", daemon=True
        ).start()
        for call in listeners:
            try:
                call()
            except Exception:
                _log.exception("stop_failed")

    def _watch(self, deadline: Deadline) -> None:
        """End the process when it has not ended by then."""
        threading.Event().wait(deadline.remaining() - LAST_RESORT_SECONDS)
        self.abandon("the end itself")
        self._leave(LAST_RESORT_SECONDS / 2)

    def _abandon_threads(self) -> None:
        """The threads that Python would wait for indefinitely at exit: callers in the executor of an event loop."""
        deadline = Deadline(LINGER_SECONDS)
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join(deadline.remaining())
                if thread.is_alive():
                    self.abandon(thread.name)

    def _leave(self, last_seconds: float) -> NoReturn:
        """Log what hangs, and end the process with its threads as they are."""
        _spend(SAY_SECONDS, self._say)
        if self._last is not None and last_seconds:
            _spend(last_seconds, self._last)
        os._exit(ABANDONED)

    def _say(self) -> None:
        _log.error("stop_abandoned", what=", ".join(self._abandoned), stacks=stacks())
        sys.stdout.flush()
        sys.stderr.flush()


def _spend(seconds: float, call: Callable[[], object]) -> None:
    """Call ``call`` and wait for it up to ``seconds``, whatever its result: the reader of the log may hang as well."""
    thread = threading.Thread(target=call, name="credit-wallet-last", daemon=True)
    thread.start()
    thread.join(seconds)


class Closable(Protocol):
    """Something open that waits for what is under way when it is closed."""

    def close(self) -> None:
        """Finish and close."""


C = TypeVar("C", bound=Closable)


@contextmanager
def closing_in_time(stop: Stop, opened: C) -> Iterator[C]:
    """Close ``opened`` at the end of the block, whatever else hangs; abandon it when it hangs itself."""
    stop.last_resort(opened.close)
    try:
        yield opened
    finally:
        stop.within(CLOSE_SECONDS, "the ledger", opened.close)


def stacks() -> str:
    """Where every thread is, for people: the innermost calls of each."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(format_stack(frame, SHOWN_CALLS))}"
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident()
    )
