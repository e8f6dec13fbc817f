"""The OpenAPI document, made as exact as the service is.

The framework derives the document from the routes. What it cannot express (fields that are refused, limits of optional
fields, headers of answers) is put right here, once, before the document is served.
"""

from __future__ import annotations

from typing import Any

from litestar.openapi.spec import OpenAPI, OpenAPIHeader, Operation, Parameter, Reference, Schema
from litestar.openapi.spec.enums import OpenAPIType
from msgspec.json import schema_components

from credit_wallet import outcomes
from credit_wallet.commands import MAX_IDEMPOTENCY_KEY_LENGTH
from credit_wallet.http import bodies

_TYPES: tuple[Any, ...] = (
    bodies.BatchBody,
    bodies.BatchReply,
    bodies.CaptureBody,
    bodies.ChargeBody,
    bodies.CreateKeyBody,
    bodies.CreateWalletBody,
    bodies.EnabledBody,
    bodies.HoldBody,
    bodies.MovementReply,
    bodies.OperatorTopupBody,
    bodies.RefundBody,
    bodies.ReleaseBody,
    bodies.RotateKeyBody,
    bodies.SettingsBody,
    bodies.TransactionPage,
    bodies.WalletReply,
    outcomes.CreatedKey,
    outcomes.CreatedWallet,
    outcomes.KeyView,
    outcomes.WalletView,
)
PRINTABLE = "^[ -~]+$"

_ANSWER_HEADERS = {
    "X-Request-Id": ("Names this request in the logs; the caller's own `X-Request-Id` when it sent one.", "string"),
}
_WALLET_HEADERS = {
    "X-Wallet-Balance": ("Yen that the wallet can spend now.", "integer"),
    "X-Wallet-Warn": ("80 or 100 when that share of the monthly budget is spent.", "integer"),
}
_MOVEMENT_HEADERS = {
    "Idempotent-Replayed": ("`true` when the answer is the one that the idempotency key got before.", "string"),
}


def make_exact(document: OpenAPI) -> None:
    """Correct ``document`` in place."""
    _, exact = schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    document.components.schemas |= exact  # type: ignore[arg-type]
    for path in (document.paths or {}).values():
        for method in ("get", "post", "patch", "delete"):
            operation: Operation | None = getattr(path, method)
            if operation is not None:
                _correct(operation)


def _correct(operation: Operation) -> None:
    parameters = [each for each in operation.parameters or () if isinstance(each, Parameter)]
    moves = False
    for parameter in parameters:
        if isinstance(parameter.schema, Schema):
            _drop_null(parameter.schema)
        if parameter.name == "Idempotency-Key":
            moves = parameter.required = True
            parameter.schema = Schema(
                type=OpenAPIType.STRING, min_length=1, max_length=MAX_IDEMPOTENCY_KEY_LENGTH, pattern=PRINTABLE
            )
    for status, response in (operation.responses or {}).items():
        if isinstance(response, Reference):
            continue
        headers = dict(_ANSWER_HEADERS)
        if operation.security:
            headers |= _WALLET_HEADERS
        if moves and status == "200":
            headers |= _MOVEMENT_HEADERS
        response.headers = {name: _header(*about) for name, about in headers.items()}
    # No call answers a framework's own error: the problem documents are all that a caller can get.
    framework_error = (operation.responses or {}).get("400")
    if (
        framework_error
        and not isinstance(framework_error, Reference)
        and "application/json" in (framework_error.content or {})
    ):
        del operation.responses["400"]  # type: ignore[index]


def _drop_null(schema: Schema) -> None:
    """A parameter is left out, never null."""
    if schema.one_of:
        (kept,) = [each for each in schema.one_of if isinstance(each, Schema) and each.type is not OpenAPIType.NULL]
        schema.one_of, schema.type = None, kept.type
    if isinstance(schema.type, list):
        (schema.type,) = [each for each in schema.type if each is not OpenAPIType.NULL]
    if schema.enum:
        schema.enum = [each for each in schema.enum if each is not None]


def _header(description: str, kind: str) -> OpenAPIHeader:
    return OpenAPIHeader(schema=Schema(type=OpenAPIType(kind)), description=description)
