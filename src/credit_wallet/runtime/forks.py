"""What is open when a process forks belongs to the parent.

A fork copies memory, but not threads: a rail would be waited for that nobody drives, and a connection would be spoken
on by two. So whatever is open registers here, and in a child process (``os.fork``, ``multiprocessing``, gunicorn's
``--preload``) it is replaced by something that raises ``UsedAfterFork`` at every use but ``close``, which does nothing.
The parent goes on as if nothing had been. It costs nothing until a fork happens.
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
    """Have ``in_child(opened)`` called in every child process that is forked while ``opened`` lives.

    It runs before anything else in the child, whose only thread it is on: it must not wait for another one's lock.
    """
    _in_child[opened] = in_child


def leave_behind(opened: Any, attribute: str) -> None:
    """Have ``attribute`` of ``opened`` replaced in every child process by what the parent has ``LeftBehind``."""
    guard(opened, lambda opened: leave(opened, attribute))


def leave(opened: Any, attribute: str) -> None:
    """In a child process: replace ``attribute`` of ``opened``, if it has one yet, by what is ``LeftBehind``."""
    if attribute in vars(opened):
        setattr(opened, attribute, LeftBehind(vars(opened)[attribute]))


class LeftBehind:
    """Stands in a child process for what is open in the parent, and keeps that from being let go of here."""

    def __init__(self, of_the_parent: object) -> None:
        self._of_the_parent = of_the_parent

    def __getattr__(self, name: str) -> NoReturn:
        refuse()

    def close(self) -> None:
        """Nothing: it is the parent's."""

    async def aclose(self) -> None:
        """Nothing: it is the parent's."""


def refuse() -> NoReturn:
    """Raise ``UsedAfterFork``, and log it: callers may hear no more than that something failed."""
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
