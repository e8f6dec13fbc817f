"""What is the same for everybody and long: sent as gzip to whoever takes it, packed once."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any, NamedTuple

from litestar import Request, Response


class Packed(NamedTuple):
    """Content, and the same as gzip."""

    plain: bytes
    packed: bytes


def packed(content: bytes) -> Packed:
    """``content`` to be sent again and again."""
    return Packed(content, gzip.compress(content, mtime=0))


def sent(
    content: Packed, media_type: str, request: Request[Any, Any, Any], headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """The response that has ``content`` in a form that the caller takes."""
    fields = {**(headers or {}), "vary": "accept-encoding"}
    if not takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(content.plain, headers=fields, media_type=media_type)
    return Response(content.packed, headers={**fields, "content-encoding": "gzip"}, media_type=media_type)


def takes_gzip(accepted: str) -> bool:
    """Whether the header ``Accept-Encoding`` names gzip without refusing it (RFC 9110, section 12.5.3)."""
    named = (each.replace(" ", "").lower() for each in accepted.split(","))
    return any(each == "gzip" or (each.startswith("gzip;") and each.strip("0.") != "gzip;q=") for each in named)
