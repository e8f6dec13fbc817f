"""The OpenAPI document, made as exact as the service is.

The framework derives the document from the routes. What it cannot express (fields that are refused, limits of optional
fields, headers of answers) is put right here, once, when the document is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any

from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import (
    OpenAPI,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    Reference,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIType
from litestar.utils.helpers import unwrap_partial
from msgspec.json import schema_components

from credit_wallet.domain import outcomes
from credit_wallet.domain.commands import MAX_IDEMPOTENCY_KEY_LENGTH
from credit_wallet.payments import replies
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire import bodies

_TYPES: tuple[Any, ...] = (
    bodies.BatchBody,
    bodies.BatchReply,
    bodies.BuyBody,
    bodies.CaptureBody,
    bodies.ChargeBody,
    bodies.ConfirmBody,
    bodies.CreateKeyBody,
    bodies.CreateSellerBody,
    bodies.CreateWalletBody,
    bodies.EnabledBody,
    bodies.ExtendBody,
    bodies.HoldBody,
    bodies.Identity,
    bodies.MovementReply,
    bodies.OperatorTopupBody,
    bodies.PayBackBody,
    bodies.PurchaseReply,
    bodies.RefundBody,
    bodies.ReleaseBody,
    bodies.RegisterSecretBody,
    bodies.RenewBody,
    bodies.ReplaceTokenBody,
    bodies.RotateBody,
    bodies.ServeBody,
    bodies.SettingsBody,
    bodies.TargetsBody,
    bodies.TopupBody,
    bodies.TopupPage,
    bodies.TransactionPage,
    bodies.UndoBody,
    bodies.WalletReply,
    outcomes.CreatedKey,
    outcomes.CreatedSeller,
    outcomes.CreatedWallet,
    outcomes.KeyView,
    outcomes.SecretView,
    outcomes.SellerView,
    outcomes.WalletView,
    replies.TopupReply,
)
_WORD = re.compile(r"[A-Za-z0-9]+")
_PARAMETER_TYPE = re.compile(r":\w+")
_KEY_HEADER = "Idempotency-Key"
_KEY = Schema(type=OpenAPIType.STRING, min_length=1, max_length=MAX_IDEMPOTENCY_KEY_LENGTH, pattern="^[ -~]+$")

_HEADERS = {
    "X-Request-Id": ("Names this request; the caller's own `X-Request-Id` when it sent one.", OpenAPIType.STRING),
    "X-Wallet-Balance": ("Yen that the wallet can spend now.", OpenAPIType.INTEGER),
    "X-Wallet-Warn": ("80 or 100 when that share of the monthly budget is spent.", OpenAPIType.INTEGER),
    "Idempotent-Replayed": ("`true` when this is what the idempotency key was answered first.", OpenAPIType.STRING),
    "Retry-After": ("Seconds to wait.", OpenAPIType.INTEGER),
}


class ExactConfig(OpenAPIConfig):
    """Has the document corrected when it is first asked for."""

    def to_openapi_schema(self) -> OpenAPI:
        """The document, its paths still to come."""
        begun = super().to_openapi_schema()
        return _ExactDocument(**{field.name: getattr(begun, field.name) for field in fields(begun)})


class _ExactDocument(OpenAPI):
    @cached_property
    def _exact(self) -> dict[str, Any]:
        _make_exact(self)
        return super().to_schema()

    def to_schema(self) -> dict[str, Any]:
        return self._exact


def named(handlers: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """``handlers`` with operation ids and summaries from the names of their functions and addresses.

    The framework takes them from what it has wrapped a function in.
    """
    for handler in handlers:
        words = unwrap_partial(handler.fn).__name__.split("_")
        address = _WORD.findall(_PARAMETER_TYPE.sub("", min(handler.paths)))
        handler.operation_id = "".join(word.title() for word in (*address, *words))
        handler.summary = " ".join(words).capitalize()
    return list(handlers)


def _make_exact(document: OpenAPI) -> None:
    _, exact = schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    document.components.schemas |= exact
    document.components.headers = {
        name: OpenAPIHeader(schema=Schema(type=kind), description=description)
        for name, (description, kind) in _HEADERS.items()
    }
    for path, item in (document.paths or {}).items():
        for operation in (item.get, item.post, item.put, item.patch, item.delete):
            if operation is not None:
                _correct(operation, path)


def _correct(operation: Operation, path: str) -> None:
    parameters = [each for each in operation.parameters or () if isinstance(each, Parameter)]
    for parameter in parameters:
        _correct_parameter(parameter)
    moves = any(parameter.name == _KEY_HEADER for parameter in parameters)
    for status, response in [*(operation.responses or {}).items()]:
        if not isinstance(response, OpenAPIResponse) or operation.responses is None:
            continue
        content = response.content or {}
        if status == "400" and "application/json" in content:
            del operation.responses[status]  # the framework's own error, which no call answers
        if path == "/credit/statement" and status == "200":
            content |= {kind: OpenAPIMediaType(Schema(type=OpenAPIType.STRING)) for kind in ("text/csv", "text/plain")}
        response.headers = _headers_of(status, owned=bool(operation.security), moves=moves)


def _correct_parameter(parameter: Parameter) -> None:
    schema = parameter.schema
    if parameter.name == _KEY_HEADER:
        parameter.required = True
        parameter.schema = _KEY
    elif isinstance(schema, Schema):
        _drop_null(schema)
        if schema.maximum is not None:  # a float, and so not exact
            schema.maximum = min(int(schema.maximum), MAX_ID)


def _drop_null(schema: Schema) -> None:
    """A parameter is left out, never null."""
    if schema.one_of:
        schema.type = next(each.type for each in schema.one_of if isinstance(each, Schema))
        schema.one_of = None
    if isinstance(schema.type, list):
        schema.type = next(each for each in schema.type if each is not OpenAPIType.NULL)
    if schema.enum:
        schema.enum = [each for each in schema.enum if each is not None]


def _headers_of(status: str, *, owned: bool, moves: bool) -> dict[str, OpenAPIHeader | Reference]:
    names = ["X-Request-Id"]
    if owned and status not in ("401", "429"):
        names += ["X-Wallet-Balance", "X-Wallet-Warn"]
    if moves and status in ("200", "201"):
        names.append("Idempotent-Replayed")
    if status in ("429", "502", "503"):
        names.append("Retry-After")
    return {name: Reference(ref=f"#/components/headers/{name}") for name in names}
