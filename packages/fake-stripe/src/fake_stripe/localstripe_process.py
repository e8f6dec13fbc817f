"""Runs localstripe, unchanged, as a separate program: on loopback only, with its state in memory only.

This file is run by its path and never imported. It prints the port once the program listens, and exits when standard
input closes, so it never outlives the process that started it.
"""

from __future__ import annotations

import builtins
import logging
import os
import pickle
import runpy
import socket
import sys
import threading
from typing import Any

STATE_FILE = "/tmp/localstripe.pickle"  # noqa: S108
"""Where the program would keep a copy of its state after every change."""

_open = builtins.open


class LoopbackSocket(socket.socket):
    """Listens on 127.0.0.1, on a free port, whatever address it is given; the program would listen on all of them."""

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:  # noqa: A002
        super().__init__(socket.AF_INET if family == socket.AF_INET6 else family, type, proto, fileno)

    def bind(self, _address: object, /) -> None:
        super().bind(("127.0.0.1", 0))

    def listen(self, backlog: int = 128, /) -> None:
        super().listen(backlog)
        sys.stdout.write(f"{self.getsockname()[1]}\n")
        sys.stdout.flush()
        sys.stdout = _open(os.devnull, "w", encoding="utf-8")


def open_unless_state(file: Any, *arguments: Any, **options: Any) -> Any:
    """``open``, except that the file in which the program would keep its state stays unwritten."""
    return _open(os.devnull if file == STATE_FILE else file, *arguments, **options)


def end_with_parent() -> None:
    """Wait for the end of standard input, then end."""
    while os.read(0, 1):
        pass
    os._exit(0)


def main() -> None:
    """Prepare what the program finds, and run it."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    logging.disable(logging.INFO)
    builtins.open = open_unless_state
    pickle.dump = lambda *_arguments, **_options: None
    socket.socket = LoopbackSocket  # type: ignore[misc]
    sys.argv = ["localstripe", "--from-scratch", "--port", "0"]
    runpy.run_module("localstripe", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
