"""Acts: what people do to a ledger besides moving money, and who did it, from where and why."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, structs

from credit_wallet.domain.actors import OPERATOR, PAYER, PRODUCT, Actor

MAX_NAME_LENGTH = 100
"""Characters of an author's name or address."""


class Author(Struct, frozen=True):
    """Who acts, and from where.

    ``actor`` is the capacity, as for movements; ``name`` is who: ``owner``, ``agent:7``, ``operator:3``, ``seller:1``,
    ``library``, ``command line: alice``, or ``link:operator:3`` for whoever a link of that operator has let in.
    ``address`` and ``request_id`` are those of an HTTP request, ``note`` is why, in the author's own words.
    """

    actor: Actor
    name: str
    address: str | None = None
    request_id: str | None = None
    note: str | None = None


BY_LINK: Final = "link:"
"""Before the name of who made a link, in the name of who acts in its session."""

LIBRARY: Final = Author(OPERATOR, "library")
"""Whoever has opened the ledger."""

OWNER: Final = Author(PAYER, "owner")

WORKER: Final = Author(PRODUCT, "worker")
"""The background jobs."""


class Act(Struct, frozen=True):
    """Something that was done: ``kind`` is ``noun.verb``, ``subject`` the thing, as in ``key:7``.

    ``before`` and ``after`` are what changed of it; None where it was not there. ``wallet_id`` is 0 for what belongs to
    no wallet. ``reason`` is a code, for acts that ask for one.
    """

    kind: str
    subject: str
    wallet_id: int = 0
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    reason: str | None = None
    note: str | None = None


class ActView(Struct, frozen=True):
    """An act as the log keeps it."""

    act_id: int
    occurred_at: str
    kind: str
    subject: str
    wallet_id: int | None
    by: str
    """The author's name."""
    actor: Actor
    address: str | None
    request_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    note: str | None


class ActFilter(Struct, frozen=True):
    """Which acts are meant: all that are not filtered out.

    Instants are as the ledger writes them; ``until`` is excluded. ``kind`` is one
    (``budget.configured``) or its noun (``budget``).
    """

    wallet_id: int | None = None
    kind: str | None = None
    by: str | None = None
    subject: str | None = None
    since: str | None = None
    until: str | None = None


class ActPage(Struct, frozen=True):
    """A page of the log of acts, newest first. ``next_cursor`` is sent for the next page; null on the last one."""

    acts: list[ActView]
    next_cursor: int | None


def as_owner_sees(act: ActView) -> ActView:
    """An act as the wallet's owner sees it: of others than the owner and its agents only in which capacity they acted.

    Who of the operators it was, from where and in which words, is the operators' own; also who made a link.
    """
    if act.actor == PAYER:
        return structs.replace(act, by="link") if act.by.startswith(BY_LINK) else act
    return structs.replace(act, by=act.actor, address=None, request_id=None, note=None)


def difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of ``before`` is no longer so, and how it is ``after``; both have the same names."""
    changed = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in changed}, {name: after[name] for name in changed}
