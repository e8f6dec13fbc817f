"""The documented application: every route, those of the fast lane included, and the OpenAPI document of them all."""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping, Sequence
from functools import cache
from traceback import format_exception
from typing import Any, NamedTuple, cast

from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.status_codes import HTTP_404_NOT_FOUND, HTTP_405_METHOD_NOT_ALLOWED
from litestar.types import Message
from litestar.types import Scope as LitestarScope
from msgspec import DecodeError

from credit_wallet.domain.acts import Author
from credit_wallet.errors import InvalidJson, WalletError
from credit_wallet.http.access_routes import ACCESS_ROUTES
from credit_wallet.http.addressed import resolve
from credit_wallet.http.all_wallets_routes import ALL_WALLETS_ROUTES
from credit_wallet.http.app_settings import ServiceSettings
from credit_wallet.http.budget_routes import BUDGET_ROUTES
from credit_wallet.http.consent_routes import CONSENT_ROUTES
from credit_wallet.http.correction_routes import CORRECTION_ROUTES
from credit_wallet.http.decoding import MAX_BODY_BYTES, BodyRequest
from credit_wallet.http.docs import PAGE_POLICY, get_docs_file, show_docs
from credit_wallet.http.entry_names import find_transactions, get_transaction_of_all
from credit_wallet.http.fast import FastLane
from credit_wallet.http.forwarded import Forwarded
from credit_wallet.http.grant_routes import GRANT_ROUTES
from credit_wallet.http.key_routes import KEY_ROUTES
from credit_wallet.http.log_routes import LOG_ROUTES
from credit_wallet.http.mcp_routes import MCP_ROUTES
from credit_wallet.http.metrics import Metrics
from credit_wallet.http.mirrored_routes import MIRRORED_ROUTES
from credit_wallet.http.movement_routes import MOVEMENT_ROUTES
from credit_wallet.http.notice_routes import NOTICE_ROUTES
from credit_wallet.http.numbers import require_plain_numbers
from credit_wallet.http.operator_routes import OPERATOR_ROUTES
from credit_wallet.http.operators_routes import OPERATORS_ROUTES
from credit_wallet.http.payment_routes import PAYMENT_ROUTES
from credit_wallet.http.personal_routes import PERSONAL_ROUTES
from credit_wallet.http.price_routes import PRICE_ROUTES
from credit_wallet.http.purchase_routes import PURCHASE_ROUTES
from credit_wallet.http.query import require_known_parameters
from credit_wallet.http.routing import MONEY_SECURITY, NEEDS, DocumentResponse
from credit_wallet.http.strict import StrictApplication
from credit_wallet.http.system_routes import SYSTEM_ROUTES
from credit_wallet.http.traffic import Traffic, Watched
from credit_wallet.http.transfer_routes import TRANSFER_ROUTES
from credit_wallet.http.usage_routes import USAGE_ROUTES
from credit_wallet.http.wallet_routes import WALLET_ROUTES
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.pages.answers import wants_page
from credit_wallet.pages.application import Pages, is_page
from credit_wallet.pages.live import Live
from credit_wallet.pages.settings import PageSettings
from credit_wallet.payments.replies import Payments
from credit_wallet.telemetry import Logger
from credit_wallet.wire.ambiguity import distinct_query
from credit_wallet.wire.asgi import REFUSED, ROUTE, AsgiApp, RawHeaders, Receive, Scope, Send, address_of
from credit_wallet.wire.auth import PRESENT, Authenticator, Caller
from credit_wallet.wire.headers import (
    ACT_NOTE,
    STANDING_HEADERS,
    act_note,
    only_request_id,
    request_id_of,
    sent_request_id,
)
from credit_wallet.wire.people import People
from credit_wallet.wire.presenters import caller_headers
from credit_wallet.wire.problems import MethodNotAllowed, NotFound, body_refused, code_of, refusal

_SERVICE = "credit_wallet.service"

_log = Logger("credit_wallet.http")

ROUTES: tuple[HTTPRouteHandler, ...] = (
    *MOVEMENT_ROUTES,
    *PURCHASE_ROUTES,
    *TRANSFER_ROUTES,
    *WALLET_ROUTES,
    *BUDGET_ROUTES,
    *PRICE_ROUTES,
    *USAGE_ROUTES,
    *PAYMENT_ROUTES,
    *CONSENT_ROUTES,
    *KEY_ROUTES,
    *NOTICE_ROUTES,
    *OPERATOR_ROUTES,
    find_transactions,
    get_transaction_of_all,
    *MIRRORED_ROUTES,
    *ALL_WALLETS_ROUTES,
    *CORRECTION_ROUTES,
    *GRANT_ROUTES,
    *LOG_ROUTES,
    *PERSONAL_ROUTES,
    *ACCESS_ROUTES,
    *OPERATORS_ROUTES,
    *MCP_ROUTES,
    *SYSTEM_ROUTES,
    show_docs,
    get_docs_file,
)
"""Every route of the service."""


def create_app(
    wallets: CreditWallet,
    settings: ServiceSettings,
    metrics: Metrics,
    *,
    payments: Payments | None = None,
    live: Live | None = None,
    fast_lane: bool = True,
) -> AsgiApp:
    """The service as an ASGI application; ``fast_lane=False`` leaves the short cuts out.

    ``live`` are the streams of its pages, for whoever ends them when the service stops.
    """
    authenticator = Authenticator(wallets, settings.operator_keys, settings.metrics_key)
    api = _Serving(Service(wallets, settings, metrics, authenticator, payments))
    shown = PageSettings(settings.public_url, settings.frame_origins, settings.takes_test_money)
    pages = Pages(api, People(wallets, authenticator), shown, live or Live(wallets), wallets.clock.now)
    application: AsgiApp = _ForPeople(pages, api, metrics.traffic)
    if fast_lane:
        application = FastLane(application, wallets, authenticator, settings.topup_url, metrics.traffic)
    return application if settings.trusted_proxies is None else Forwarded(application, settings.trusted_proxies)


class Service(NamedTuple):
    """What an application serves: it comes with each request, so that the routes are made once in a process."""

    wallets: CreditWallet
    settings: ServiceSettings
    metrics: Metrics
    authenticator: Authenticator
    payments: Payments | None


class _ForPeople:
    """The pages at their addresses, and the API at all others."""

    def __init__(self, pages: Pages, api: AsgiApp, traffic: Traffic) -> None:
        self._pages = pages
        self._api = api
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_page(scope["path"]):
            scope.setdefault("state", {})
            await self._pages(scope, receive, Watched(scope, send, self._traffic).send)
        elif scope["type"] == "http" and wants_page(scope):
            await self._api(scope, receive, _PageInstead(self._pages, scope, send).send)
        else:
            await self._api(scope, receive, send)


class _PageInstead:
    """Sends what the API answers, and a page to a person who asks for an address that nobody has."""

    def __init__(self, pages: Pages, scope: Scope, send: Send) -> None:
        self._pages = pages
        self._scope = scope
        self._send = send
        self._is_replaced = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        is_missing = message["type"] == "http.response.start" and message["status"] == HTTP_404_NOT_FOUND
        if is_missing and not self._scope["state"].get(ROUTE):
            self._is_replaced = True
            await self._pages.not_found(self._scope, self._send)
        if not self._is_replaced:
            await self._send(message)


class _Serving:
    """The documented routes, of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[_SERVICE] = self._service
        scope.setdefault("state", {})
        if PRESENT not in scope:  # else it is part of a page, which is counted as one request
            send = Watched(scope, send, self._service.metrics.traffic).send
        await documented()(scope, receive, send)  # type: ignore[arg-type]


def _service(scope: Any) -> Service:
    return cast(Service, scope[_SERVICE])


@cache
def documented() -> Litestar:
    """Every documented route; whose they are is in the scope of each request."""

    async def add_headers(message: Message, scope: LitestarScope) -> None:
        if message["type"] == "http.response.start":
            scope["state"][ROUTE] = scope.get("path_template")
            message["headers"] = await _completed(message["headers"], scope, message["status"])

    def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        error = _as_refusal(error)
        if not isinstance(error, WalletError):
            _log.error("call_failed", path=request.scope["path_template"], exception="".join(format_exception(error)))
        request.scope["state"][REFUSED] = code_of(error)
        status, headers, content = refusal(error, _service(request.scope).settings.topup_url)
        fields = {name.decode(): value.decode() for name, value in headers if name != b"content-length"}
        return Response(content, status_code=status, headers=fields, media_type=fields["content-type"])

    return StrictApplication(
        route_handlers=declared(ROUTES),
        dependencies={
            "caller": Provide(_caller_of, sync_to_thread=False),
            "wallets": Provide(_wallets_of, sync_to_thread=False),
            "metrics": Provide(_metrics_of, sync_to_thread=False),
            "payments": Provide(_payments_of, sync_to_thread=False),
            "settings": Provide(_settings_of, sync_to_thread=False),
            "caller_request_id": Provide(_request_id_of, sync_to_thread=False),
        },
        exception_handlers={Exception: refuse, HTTPException: refuse, WalletError: refuse},
        before_request=_admit,
        before_send=[add_headers],
        request_class=BodyRequest,
        response_class=DocumentResponse,
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        logging_config=None,
    )


def declared(routes: Sequence[HTTPRouteHandler]) -> Sequence[HTTPRouteHandler]:
    """The routes, each of which says who may call it."""
    for each in routes:
        if NEEDS not in each.opt:
            raise TypeError(f"{each.fn.__name__} does not say what its callers need; declare it with route(needs=…)")
    return routes


async def _admit(request: Request[Any, Any, Any]) -> None:
    """Runs before the body is read: refuses what is said twice, and whoever may not make this call.

    Every route says which permission it needs. Nothing else decides who may call it.
    """
    request.state.request_id = request_id_of(request.scope["headers"])
    query = distinct_query(request.scope["query_string"])
    if request.method != "OPTIONS":  # which asks about an address as it is called, parameters and all
        require_known_parameters(request.route_handler, query)
    require_plain_numbers(request, query)
    needs = request.route_handler.opt.get(NEEDS)
    if needs is None:
        return
    authenticator, headers = _service(request.scope).authenticator, request.headers
    credentials = headers.get("authorization"), headers.get("x-api-key")
    address = address_of(cast(Scope, request.scope))
    if request.route_handler.security == MONEY_SECURITY:
        request.state.sees_money = any(credentials) and await authenticator.sees_money(*credentials, address, needs)
        return
    present = cast("Caller | None", request.scope.get(PRESENT))
    caller = present or await authenticator.caller(*credentials, address, headers.get("x-payer-token"))
    request.state.caller = caller
    request.state.address = address
    caller.require(needs)
    await resolve(request.scope, _service(request.scope).wallets)
    _note_operation(caller, request)


def _note_operation(caller: Caller, request: Request[Any, Any, Any]) -> None:
    """Say in the log which operator changes something."""
    operator = caller.operator
    if operator is not None and request.method != "GET" and request.scope["path"].startswith("/operator/"):
        named = {name: value for name, value in request.path_params.items() if name != "sha256"}
        address = cast(Scope, request.scope)["path_template"]
        _log.info("operation", operator=operator.name, method=request.method, path=address, **named)


def _caller_of(request: Request[Any, Any, Any]) -> Caller:
    return cast(Caller, request.state.caller)


def _wallets_of(request: Request[Any, Any, Any]) -> CreditWallet:
    """The ledger, in which the caller acts if the request may change something."""
    wallets, author = _service(request.scope).wallets, _author_of(request)
    return wallets if author is None else wallets.acting(author)


def _author_of(request: Request[Any, Any, Any]) -> Author | None:
    """Who acts, None where nobody does."""
    caller = request.state.get("caller")
    if caller is None or request.method == "GET":
        return None
    note = act_note(request.headers.get(ACT_NOTE))
    request_id = request.state.request_id[1].decode()
    return Author(caller.actor, caller.name, request.state.address or None, request_id, note)


def _metrics_of(request: Request[Any, Any, Any]) -> Metrics:
    return _service(request.scope).metrics


def _payments_of(request: Request[Any, Any, Any]) -> Payments | None:
    payments, author = _service(request.scope).payments, _author_of(request)
    return payments if payments is None or author is None else payments.acting(author)


def _settings_of(request: Request[Any, Any, Any]) -> ServiceSettings:
    return _service(request.scope).settings


def _request_id_of(request: Request[Any, Any, Any]) -> str | None:
    return sent_request_id(only_request_id(request.scope["headers"]))


async def _completed(headers: Iterable[tuple[bytes, bytes]], scope: LitestarScope, status: int) -> RawHeaders:
    """The headers of an answer with those that every answer has."""
    completed = [(name, value) for name, value in headers if name.lower() != b"allow"]
    present = {name.lower() for name, _ in completed}
    if b"x-request-id" not in present:
        completed.append(scope["state"].get("request_id") or request_id_of(scope["headers"]))
    completed += [each for each in STANDING_HEADERS if each[0] not in present]
    if b"text/html" in dict(completed).get(b"content-type", b""):
        completed.append(PAGE_POLICY)
    if PRESENT not in scope and b"x-wallet-balance" not in present:
        completed += await caller_headers(scope["state"].get("caller"), _service(scope).wallets)
    if status == HTTP_405_METHOD_NOT_ALLOWED or scope.get("method") == "OPTIONS":
        # The framework names the methods of one handler; an address can have several.
        methods = _methods_at(scope["litestar_app"], scope["path"])
        completed += [(b"allow", ", ".join(methods).encode())] if methods else []
    return completed


def _as_refusal(error: Exception) -> Exception:
    """What the framework found wrong, in the service's own words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, WalletError):
            return cause
        if isinstance(cause, DecodeError):
            return body_refused(cause)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, MethodNotAllowedException):
        return MethodNotAllowed("this endpoint does not support this method; see /openapi.json")
    if isinstance(error, NotFoundException):
        return NotFound("no such endpoint; see /openapi.json")
    if isinstance(error, HTTPException) and error.status_code < 500:
        return InvalidJson(error.detail)
    return error


def _methods_at(app: Litestar, path: str) -> list[str]:
    """The methods that the address ``path`` takes: an address without parameters comes before one that also matches."""
    for route in sorted(app.routes, key=lambda each: each.path_format.count("{")):
        pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(route.path_format))
        if isinstance(route, HTTPRoute) and re.fullmatch(pattern, path):
            return sorted({*route.methods, *(("HEAD",) if "GET" in route.methods else ())})
    return []
