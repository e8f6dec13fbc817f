"""Facts about a call: the seller's, and the agent's, which come in a header. They are never mixed up."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from credit_wallet.domain.usage import FACT_KEY, MAX_FACT_LENGTH, MAX_FACTS
from credit_wallet.errors import InvalidRequest

if TYPE_CHECKING:
    from credit_wallet.gate.requests import GatedRequest

Facts: TypeAlias = Mapping[str, str]
FactsOf: TypeAlias = Facts | Callable[["GatedRequest"], Facts | Awaitable[Facts | None] | None]
"""Facts, or a function of the request, which may be a coroutine function."""

FACTS_HEADER = "X-Wallet-Facts"

MAX_HEADER_BYTES = 4096
"""Eight facts fit into it, even if every character is escaped."""

_MEMBER = re.compile(
    r"""
    [ \t]* (?P<key>[^=,;"\s]+) =
    (?: "(?P<string> (?:[ !\#-\[\]-~] | \\["\\])* )"
      | %"(?P<display> (?:[ !\#$&-~] | %[0-9a-f]{2})* )"
      | (?P<token>[!\#$%&'*+\-.^_`|~:/0-9A-Za-z]+) )
    [ \t]* (?:,|\Z)
    """,
    re.VERBOSE,
)
"""A member of a dictionary (RFC 9651, section 3.2): a token, a string or a display string; no parameters."""


class CallFacts(Struct, frozen=True):
    """The facts of one call, by who set them."""

    seller: Facts = {}
    agent: Facts = {}

    def require_room_for(self, more: Facts) -> None:
        """Raise ``ValueError`` when the seller cannot set ``more`` of them. The agent's give way."""
        if len({**self.seller, **more}) > MAX_FACTS:
            raise ValueError(f"a call has at most {MAX_FACTS} facts")


NO_FACTS = CallFacts()


def checked_facts(facts: Facts) -> dict[str, str]:
    """A seller's facts. Raises ``ValueError`` for what cannot be one: that is a mistake in the application."""
    if len(facts) > MAX_FACTS:
        raise ValueError(f"a call has at most {MAX_FACTS} facts, not {len(facts)}")
    for key, value in facts.items():
        if reason := _refusal(key, value):
            raise ValueError(reason)
    return dict(facts)


async def seller_facts(sources: Iterable[FactsOf | None], request: GatedRequest) -> dict[str, str]:
    """What the sources say, the later ones on top."""
    merged: dict[str, str] = {}
    for source in sources:
        if callable(source):
            said = source(request)
            given = await said if inspect.isawaitable(said) else said
            merged |= checked_facts(given or {})
        elif source:
            merged |= source
    return checked_facts(merged)


def tool_fact(name: str) -> Facts:
    """The fact ``tool`` of a call of an MCP tool: its name, shortened if need be."""
    return {"tool": name[:MAX_FACT_LENGTH]} if name.isprintable() and name else {}


def agent_facts(headers: Iterable[tuple[bytes, bytes]], seller: Facts) -> dict[str, str]:
    """The facts in the header; several lines of it are one list. Raises ``InvalidRequest``, which names the header.

    A fact that the seller set too is kept beside the seller's, which counts.
    """
    name = FACTS_HEADER.lower().encode()
    value = b", ".join(value for header, value in headers if header == name)
    if len(value) > MAX_HEADER_BYTES:
        raise _bad(f"is longer than {MAX_HEADER_BYTES} bytes")
    facts: dict[str, str] = {}
    room = MAX_FACTS - len(seller)
    for key, fact in _members(value.decode("latin-1")):
        if reason := _refusal(key, fact):
            raise _bad(f"has a fact that is not allowed: {reason}")
        if key in facts:
            raise _bad(f"sets the fact {key} twice")
        if len(facts) == room:
            raise _bad(f"has more than {room} facts; a call has at most {MAX_FACTS}, those of the seller included")
        facts[key] = fact
    return facts


def _members(value: str) -> Iterable[tuple[str, str]]:
    at, value = 0, value.strip(" \t")
    while at < len(value):
        member = _MEMBER.match(value, at)
        if member is None or (member[0].endswith(",") and member.end() == len(value)):
            raise _bad('cannot be read; send facts like run=r1, project="spring sale"')
        at = member.end()
        yield member["key"], _text(member)


def _text(member: re.Match[str]) -> str:
    if member["display"] is not None:
        try:
            return unquote_to_bytes(member["display"]).decode()
        except UnicodeDecodeError as error:
            raise _bad("has a display string that is not UTF-8") from error
    if member["string"] is not None:
        return re.sub(r"\\(.)", r"\1", member["string"])
    return member["token"]


def _refusal(key: object, value: object) -> str | None:
    """Why this is not a fact."""
    if not isinstance(key, str) or not FACT_KEY.fullmatch(key):
        return f"{str(key)[:40]!r} is not a key; keys are of a to z, 0 to 9 and _, at most 32 characters"
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_FACT_LENGTH or not value.isprintable():
        return f"the value of {key} must be 1 to {MAX_FACT_LENGTH} printable characters"
    return None


def _bad(why: str) -> InvalidRequest:
    return InvalidRequest(f"{FACTS_HEADER} {why}; nothing was charged", field=FACTS_HEADER)
