"""What the documented routes share: security, the problems each can answer with, the headers of every answer."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import HeaderParameter

from credit_wallet.domain.outcomes import Outcome
from credit_wallet.wire.bodies import MovementReply, Problem
from credit_wallet.wire.problems import CONTENT_TYPE
from credit_wallet.wire.replies import outcome_headers

SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"api_key": []}]

MONEY_SECURITY: list[dict[str, list[str]]] = [{}, *SECURITY]
"""Of what anybody may call and whose figures of money are for a token alone."""

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        description="New for every request, the same for every retry of it; 428 without one.",
        examples=[Example(value="0199f3a2-7c1e-7000-8000-3b1d5f8e2a10")],
    ),
]

_MEANING = {
    400: "The body is not JSON; or a header, a query parameter or a member is given twice.",
    401: "No token, or one that is unknown, revoked or expired.",
    402: "Not enough credit, budget or cap: `balance_yen`, `missing_yen` and `topup_url` say what it takes.",
    403: "The token is good, and not for this; or the wallet is disabled.",
    404: "There is no such thing, or it is somebody else's.",
    409: "The idempotency key was used for another request, or what it is about is closed.",
    413: "The body is too large.",
    422: "A field is wrong; `field` names it.",
    428: "The `Idempotency-Key` header is missing.",
    429: "Too many bad tokens came from this address, the wallet has as many questions under way as it may, or as many "
    "mailboxes were asked today as may.",
    501: "The installation takes no payments.",
    502: "Stripe could not be asked. Try again with the same idempotency key.",
    503: "Too much is waiting, or the database is out of order. Try again with the same idempotency key.",
}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The problem documents that a route can answer with; those of every authenticated call are among them."""
    return {status: problem(status) for status in sorted({400, 401, 403, 429, 503, *statuses})}


def problem(status: int, description: str | None = None) -> ResponseSpec:
    """A problem document of ``status``, as the document describes it."""
    meaning = description or _MEANING[status]
    return ResponseSpec(Problem, generate_examples=False, description=meaning, media_type=CONTENT_TYPE)


MOVEMENT_PROBLEMS = problems(400, 402, 404, 409, 413, 422, 428)


def movement_reply(outcome: Outcome) -> Response[MovementReply]:
    """The answer to a movement that was carried out."""
    return Response(MovementReply.of(outcome), headers=headers_of_outcome(outcome))


def headers_of_outcome(outcome: Outcome) -> dict[str, Any]:
    """Balance, warning and replay mark of a movement, as the framework takes headers."""
    return {name.decode(): value.decode() for name, value in outcome_headers(outcome)}
