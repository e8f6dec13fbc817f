"""Requests that could be read in two ways: they are refused.

Of two values with one name, one reader takes the first and another the last, so that a proxy, a gate and an application
can each see a different request. Two values are therefore refused, and so is a body whose length is given in two ways
(RFC 9112, section 6.3) and a request without a host (section 3.2). A path has one spelling, so that nobody evades a
proxy's rule for ``/metrics`` with ``/metrics/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from credit_wallet.domain.distinct_members import first_repeated
from credit_wallet.wire.problems import AmbiguousRequest, NotFound

SINGLE_HEADERS = frozenset(
    {
        b"host",
        b"content-length",
        b"content-type",
        b"transfer-encoding",
        b"origin",
        b"authorization",
        b"x-api-key",
        b"x-payer-token",
        b"idempotency-key",
        b"stripe-signature",
        b"payment-signature",
    }
)
"""Headers that say where a request goes and ends, who pays, for what, and whether it is a retry."""

MAX_QUERY_FIELDS = 100
"""Far more than any endpoint has parameters."""

_WITHOUT_HOST = ("1", "1.0")
_HOST = re.compile(rb"[A-Za-z0-9._-]*(:[0-9]{0,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{0,5})?")


def require_single_headers(headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes] = SINGLE_HEADERS) -> None:
    """Raise ``AmbiguousRequest`` when a header of ``names`` (in lower case) was sent twice."""
    _require_distinct((name.decode("latin-1") for name, _ in headers if name in names), "header")


def require_one_framing(headers: Mapping[bytes, bytes], http_version: str) -> None:
    """Raise ``AmbiguousRequest`` unless the headers say in one way where the body ends, and name one host.

    The server beneath makes an empty ``Host`` of none; HTTP/1.0 needs none.
    """
    encoding = headers.get(b"transfer-encoding")
    if encoding is not None and (encoding.lower() != b"chunked" or b"content-length" in headers):
        raise AmbiguousRequest(
            "send Content-Length, or Transfer-Encoding with the one value chunked", field="transfer-encoding"
        )
    host = headers.get(b"host", b"")
    if not (host or http_version in _WITHOUT_HOST) or not _is_host(host):
        raise AmbiguousRequest("send one Host header with a name or address, and a port if need be", field="host")


def require_only_spelling(scope: Mapping[str, Any]) -> None:
    """Raise ``NotFound`` for a path in any other spelling than the documented one."""
    path: str = scope["path"]
    raw_path: bytes | None = scope.get("raw_path")
    if raw_path is not None and raw_path.partition(b"?")[0] != path.encode("utf-8", "surrogateescape"):
        raise NotFound("no such endpoint; send the path without percent-encoded characters")
    if (path != "/" and path.endswith("/")) or "//" in path:
        raise NotFound("no such endpoint; send the path without a trailing slash and without double slashes")


@lru_cache(maxsize=1024)
def _is_host(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None


def distinct_query(query: bytes) -> dict[str, str]:
    """The query's parameters. Raises ``AmbiguousRequest`` when one was sent twice."""
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise AmbiguousRequest(f"the query has more than {MAX_QUERY_FIELDS} parameters; send fewer") from None
    _require_distinct((name for name, _ in pairs), "query parameter")
    return dict(pairs)


def _require_distinct(names: Iterable[str], what: str) -> None:
    if (name := first_repeated(names)) is not None:
        raise AmbiguousRequest(f"the {what} {name} was sent twice; send it once", field=name)
