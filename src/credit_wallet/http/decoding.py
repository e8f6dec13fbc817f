"""Decoding a request's body, the same way for every call."""

from __future__ import annotations

from typing import Any, cast

from litestar import Request
from msgspec import DecodeError, json

from credit_wallet.domain.distinct_members import require_distinct_members
from credit_wallet.wire.asgi import Receive
from credit_wallet.wire.problems import body_refused
from credit_wallet.wire.receiving import CALLERS_ROOM, OPERATORS_ROOM, read_body

MAX_BODY_BYTES = 1 << 20
"""Longest body of any call: a batch of 1,000 charges with long notes."""

MAX_MOVEMENT_BYTES = 16_384
"""Longest body of a charge, hold, capture or release."""


def decode_body(decoder: json.Decoder[Any], body: bytes) -> Any:
    """``body`` as what ``decoder`` makes of it. Raises the refusal that names the field, or ``InvalidJson``."""
    try:
        decoded = decoder.decode(body)
        if body.count(b":") > 1:  # else there is but one member
            require_distinct_members(body)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise body_refused(error) from error
    return decoded


class BodyRequest(Request[Any, Any, Any]):
    """A request of the documented routes, whose body is read and decoded as the fast lane does."""

    async def body(self) -> bytes:
        """The whole body; an empty one is not JSON."""
        if not isinstance(self._body, bytes):
            limit = self.route_handler.resolve_request_max_body_size()
            room = CALLERS_ROOM if self.state.caller.operator is None else OPERATORS_ROOM
            body = await read_body(cast(Receive, self.receive), limit or MAX_BODY_BYTES, room)
            if not body:
                decode_body(json.Decoder(), body)
            self._body = body
        return self._body

    async def json(self) -> Any:
        """The body as the route's ``data``."""
        field = self.route_handler.parsed_data_field
        return decode_body(json.Decoder(field.annotation if field else Any), await self.body())
