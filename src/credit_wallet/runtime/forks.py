"""Whatever is open when a process forks belongs to the parent.

A fork copies memory, but not threads: the child would wait for a rail that nobody drives, and two processes would use
one connection. So every open object registers here, and in a child process (``os.fork``, ``multiprocessing``,
gunicorn's ``--preload``) it is replaced by something that raises ``UsedAfterFork`` at every use but ``close``, which
does nothing. The parent is unaffected. It costs nothing until a fork happens.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar
from weakref import WeakKeyDictionary

from credit_wallet.errors import UsedAfterFork
from credit_wallet.telemetry import Logger

T = TypeVar("T")

_log = Logger("credit_wallet.forks")

_in_child: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def guard(opened: T, in_child: Callable[[T], None]) -> None:
    """Call ``in_child(opened)`` in every child process that is forked while ``opened`` lives.

    It runs before anything else in the child, on its only thread: it must not wait for another thread's lock.
    """
    _in_child[opened] = in_child


def leave_behind(opened: Any, attribute: str) -> None:
    """Replace ``attribute`` of ``opened`` by ``LeftBehind`` in every child process."""
    guard(opened, lambda opened: leave(opened, attribute))


def leave(opened: Any, attribute: str) -> None:
    """In a child process: replace ``attribute`` of ``opened``, if it has one yet, by what is ``LeftBehind``."""
    if attribute in vars(opened):
        setattr(opened, attribute, LeftBehind(vars(opened)[attribute]))


class LeftBehind:
    """Replaces, in a child process, an object that is open in the parent, and keeps it from being closed here."""

    def __init__(self, of_the_parent: object) -> None:
        self._of_the_parent = of_the_parent

    def __getattr__(self, name: str) -> NoReturn:
        refuse()

    def close(self) -> None:
        """Nothing: it is the parent's."""

    async def aclose(self) -> None:
        """Nothing: it is the parent's."""


def refuse() -> NoReturn:
    """Raise ``UsedAfterFork``, and log it: callers may learn only that something failed."""
    error = UsedAfterFork(
        "this was opened before its process was forked, and belongs to the parent; open it after the fork: in the "
        "application's lifespan, in a gunicorn post_fork hook, or in the child itself"
    )
    _log.error("used_after_fork", error=str(error))
    raise error


def _leave_all_behind() -> None:
    for opened, in_child in list(_in_child.items()):
        in_child(opened)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_behind)
