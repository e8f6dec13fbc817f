"""A request as a gate sees it: enough to price it, to name it in the ledger, and to recognise its retries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from urllib.parse import SplitResult, parse_qs, parse_qsl

from credit_wallet.domain.text import one_line
from credit_wallet.errors import InvalidRequest
from credit_wallet.gate.credentials import Credentials
from credit_wallet.gate.facts import NO_FACTS, CallFacts, FactsOf, agent_facts, seller_facts
from credit_wallet.wire.asgi import Scope, address_of, text_of
from credit_wallet.wire.headers import only_request_id, sent_request_id
from credit_wallet.wire.problems import AmbiguousRequest

MAX_NOTE = 200
"""Characters of a note that the gate writes; the ledger has room for 500."""

_PRINTABLE = re.compile(rb"[ -~]+")
_IN_ORDER = re.compile(rb"[0-9a-zA-Z-]{13}")


class GatedRequest:
    """The request that a price depends on: method, path, query and headers. The body is not available."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    @property
    def method(self) -> str:
        """As ``GET``."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """Decoded, without the query."""
        return str(self.scope["path"])

    @property
    def url(self) -> SplitResult:
        """Path and query."""
        return SplitResult("", "", self.path, self.scope.get("query_string", b"").decode("latin-1"), "")

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case. Asking for one that is given twice refuses the request (400 ``ambiguous_request``)."""
        pairs = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in self.scope["headers"])
        return _Single("header", pairs)

    @cached_property
    def query_params(self) -> Mapping[str, str]:
        """Asking for one that is given twice refuses the request: the application might take the other value."""
        return _Single("query parameter", parse_qsl(self.url.query, keep_blank_values=True))

    @cached_property
    def query_lists(self) -> Mapping[str, Sequence[str]]:
        """Every value of each parameter, in order, for those that may be given several times."""
        return parse_qs(self.url.query, keep_blank_values=True)


class _Single(Mapping[str, str]):
    """Pairs of which a name that is there twice cannot be read."""

    def __init__(self, what: str, pairs: Iterable[tuple[str, str]]) -> None:
        self._what = what
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> str:
        values = self._values[name]
        if len(values) > 1:
            raise AmbiguousRequest(f"the {self._what} {name} is given twice; give it once", field=name)
        return values[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def credentials_of(scope: Scope, headers: Mapping[bytes, bytes]) -> Credentials:
    """What the request says about who pays, and its id."""
    return Credentials(
        text_of(headers.get(b"authorization")),
        text_of(headers.get(b"x-api-key")),
        address_of(scope),
        sent_request_id(only_request_id(scope["headers"])) if b"x-request-id" in headers else None,
    )


async def facts_of(scope: Scope, headers: Mapping[bytes, bytes], sources: Sequence[FactsOf | None]) -> CallFacts:
    """The facts of a call: the seller's from ``sources``, the later ones on top, and the agent's from the header.

    Raises ``InvalidRequest`` for facts of the agent that are not allowed.
    """
    seller = await seller_facts(sources, GatedRequest(scope)) if any(sources) else {}
    if b"x-wallet-facts" in headers:
        return CallFacts(seller, agent_facts(scope["headers"], seller))
    return CallFacts(seller) if seller else NO_FACTS


def checked_key(given: bytes | None) -> bytes | None:
    """The caller's idempotency key, if it sent one. Raises ``InvalidRequest`` unless it is printable ASCII."""
    if given and not _PRINTABLE.fullmatch(given):
        raise InvalidRequest("Idempotency-Key must be printable ASCII characters", field="idempotency_key")
    return given or None


def request_key(given: bytes, *parts: bytes) -> str:
    """The idempotency key of a request: equal parts give equal keys, and only they do.

    The parts are the caller's key and everything that identifies the request; each is hashed with its length, so that
    no part can be moved into its neighbour. The beginning of a key like a UUIDv7 is kept, so that keys that grow with
    time still land on the same pages of the database. Who pays is added by whoever knows it.
    """
    digest = sha256()
    for part in (given, *parts):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    begins = _IN_ORDER.match(given)
    return f"{begins[0].decode() if begins else 'gate'}:{digest.hexdigest()}"


def note_of(route: str | None, scope: Scope) -> str:
    """``GET /items/{id}``: the route if it is known, otherwise the path; never the query."""
    return one_line(f"{scope['method']} {route or scope['path']}")[:MAX_NOTE]
