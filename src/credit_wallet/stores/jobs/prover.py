"""A process that proves parts of a ledger for another one: see ``verify_processes``, which starts it.

Requests and replies are pickled, on standard input and output. It ends when its standard input does, in the middle of a
statement if need be: whoever asked is gone.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from queue import SimpleQueue
from time import sleep
from typing import IO, Any

from credit_wallet.stores import Moment, Source
from credit_wallet.stores.jobs.proofs.parts import Asked, Part, proved
from credit_wallet.stores.sqlite import database as _  # noqa: F401 - imported now, not while writers wait

ALIVE, DONE, FAILED = "alive", "done", "failed"
"""The kinds of replies."""

ALIVE_SECONDS = 1.0
"""How often it says that it is alive while it is at work."""


class Prover:
    """Opens a snapshot, proves parts of it, and leaves it."""

    def __init__(self) -> None:
        self._source: Source
        self._opened = ExitStack()

    def open(self, moment: Moment) -> None:
        """Take part in a snapshot, and in no earlier one. Raises ``DatabaseError``."""
        self._opened.close()
        self._source = self._opened.enter_context(moment.opened())

    def prove(self, part: Part, asked: Asked) -> Any:
        """The result of a part. Raises ``DatabaseError``."""
        return proved(self._source, part, asked)

    def leave(self) -> None:
        """Close the snapshot."""
        self._opened.close()


class _Replies:
    """Standard output, for replies alone: what else would be printed there goes to standard error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._lock = threading.Lock()
        self.at_work = False
        threading.Thread(target=self._say_alive, daemon=True).start()

    def say(self, kind: str, value: Any = None) -> None:
        with self._lock:
            pickle.dump((kind, value), self._out)
            self._out.flush()

    def _say_alive(self) -> None:
        while True:
            sleep(ALIVE_SECONDS)
            if self.at_work:
                self.say(ALIVE)


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    replies, requests = _Replies(), SimpleQueue[tuple[str, tuple[Any, ...]]]()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests.put), daemon=True).start()
    prover = Prover()
    replies.say(DONE)
    while True:
        name, arguments = requests.get()
        replies.at_work = True
        try:
            reply = DONE, getattr(prover, name)(*arguments)
        except Exception as error:
            reply = FAILED, _that_can_be_sent(error)
        replies.at_work = False
        replies.say(*reply)


def _listen(requests: IO[bytes], put: Callable[[Any], None]) -> None:
    try:
        while True:
            put(pickle.load(requests))  # noqa: S301 - from the process that started this one
    finally:
        os._exit(0)


def _that_can_be_sent(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - its own
    except Exception:
        return RuntimeError(repr(error))
    return error


if __name__ == "__main__":
    main()
