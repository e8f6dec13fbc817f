"""What the documented routes share: tags, security, the codes each can answer with, headers of movements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from litestar import Request, Response
from litestar.openapi.spec import Example
from litestar.params import HeaderParameter, PathParameter, QueryParameter
from litestar.serialization import default_serializer
from litestar.types import Serializer

from credit_wallet.domain.documents import document
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.permissions import Permission
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.asgi import RawHeaders
from credit_wallet.wire.headers import outcome_headers
from credit_wallet.wire.packing import Packed
from credit_wallet.wire.replies import MovementReply

T = TypeVar("T")

SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"api_key": []}]
"""The caller must send a token, in either header."""

MONEY_SECURITY: list[dict[str, list[str]]] = [{}, *SECURITY]
"""Open to anybody; the figures of money are for callers with a token."""

CODES = "codes"
"""Under which a route's ``opt`` lists the codes that it can answer with."""

ALSO = "also"
"""Under which it has another status of success, 0 for none."""

NEEDS = "needs"
"""In the ``opt`` of every route: the permission that a caller needs, None when it is open to anybody."""

PAYER = "payer"
"""In the ``opt`` of a route: a seller or operator may say who pays with ``X-Payer-Token``."""

SPENDING_CODES = (
    "invalid_amount",
    "item_not_priced",
    "insufficient_funds",
    "budget_exhausted",
    "key_cap_exhausted",
    "call_limit_reached",
    "wallet_disabled",
    "wallet_closed",
    "wallet_not_found",
)
"""Of every call that spends."""

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        description="Names this request: new for every request, the same for every retry of it. 1 to 255 printable "
        "ASCII characters; a UUIDv7 is best. Without the header the answer is 428.",
        examples=[Example(value="0199f3a2-7c1e-7000-8000-3b1d5f8e2a10")],
    ),
]


def id_in_path(what: str) -> Any:
    """The id of ``what`` in an address."""
    return PathParameter(ge=1, le=MAX_ID, description=f"Id of the {what}.", examples=[Example(value=1)])


def id_after(what: str) -> Any:
    """The query parameter by which a list goes on: the last id of the page before."""
    return QueryParameter(
        ge=0,
        le=MAX_ID,
        description=f"Only {what} with a higher id: send the last id of the page before.",
        examples=[Example(value=0)],
    )


def page_size(largest: int) -> Any:
    """The query parameter that says how many a page has at most."""
    return QueryParameter(
        ge=1,
        le=largest,
        description=f"Items to list at most, 1 to {largest:,}.",
        examples=[Example(value=min(50, largest))],
    )


WalletId = Annotated[
    int,
    PathParameter(
        ge=1,
        le=MAX_ID,
        description="Id of the wallet. `ref:` and its reference, percent-encoded, can stand for it: `ref:cust_1`.",
        examples=[Example(value=1)],
    ),
]


def route(
    tag: str,
    *codes: str,
    needs: Permission | None,
    security: Sequence[dict[str, list[str]]] = SECURITY,
    payer: bool = False,
    also: int = 0,
) -> dict[str, Any]:
    """What a route is declared with: its tag, the permission that a caller needs, and the codes that are its own.

    A route that needs None is open to anybody. Codes that follow from the kind of call (a token, a body, an idempotency
    key) are added by the document. ``payer`` is for calls that take ``X-Payer-Token``; ``also`` is another status of
    success.
    """
    return {
        "tags": [tag],
        "security": None if needs is None else security,
        "opt": {CODES: codes, PAYER: payer, NEEDS: needs, ALSO: also},
    }


class DocumentResponse(Response[T]):
    """A response whose amounts are whole yen and exact decimals, as ``domain.documents`` says."""

    def render(self, content: Any, media_type: str, enc_hook: Serializer = default_serializer) -> bytes:
        """The body's bytes."""
        return super().render(document(content), media_type, enc_hook)


def packed_reply(
    content: Packed, media_type: str, request: Request[Any, Any, Any], headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """The response that has ``content`` in the form that the caller takes."""
    sent, said = content.sent_to(request.headers.get("accept-encoding", ""))
    return Response(sent, headers={**(headers or {}), **text_headers(said)}, media_type=media_type)


def movement_reply(outcome: Outcome) -> Response[MovementReply]:
    """The response to a movement that was carried out."""
    return DocumentResponse(MovementReply.of(outcome), headers=text_headers(outcome_headers(outcome)))


def text_headers(headers: RawHeaders) -> dict[str, Any]:
    """Headers as the framework takes them."""
    return {name.decode(): value.decode() for name, value in headers}
