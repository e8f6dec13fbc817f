"""Which route a request will reach: asked of the framework before the request is charged.

What a framework answers itself (redirects, 404, 405, ``OPTIONS``, its pages about the API) is not charged. So the gate
looks the route up as the framework will, and marks the route's handler, to know afterwards whether it ran: an answer of
300 and more without the mark (a body that does not validate, a host that a middleware refuses) is given back.
Frameworks are recognised by their attributes, not by import. If an application is none of them (``find`` returns None),
every request is charged.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, MutableMapping
from functools import update_wrapper, wraps
from typing import Any, TypeAlias

from msgspec import Struct

from credit_wallet.telemetry import Logger
from credit_wallet.wire.asgi import Receive, Scope, Send, text_of

Entered: TypeAlias = Callable[[], None]
"""What a handler calls when it begins."""

MAX_LAYERS = 50
"""How many layers of middleware around an application are searched."""

REMEMBERED_PATHS = 10_000
"""Paths whose handlers are known to be marked."""

_INNER = ("app", "application", "_app", "wsgi_application", "other_asgi_app")
"""What middleware calls the application that it is around."""

_LITESTARS_OWN = ("litestar._openapi", "litestar.openapi", "litestar.routes")

_log = Logger("credit_wallet.gate")


class Found(Struct, frozen=True):
    """How the framework will route a request. ``template`` is the route as it writes it: ``/items/{id}``.

    ``served``: a handler of the application runs. ``page``: the framework answers with one of its pages, not with an
    error. ``marked``: the handler will report when it begins.
    """

    template: str
    served: bool = True
    page: bool = False
    marked: bool = False


class Routes:
    """The routes of one application, through the middleware around it."""

    def __init__(self, app: Any, entered: Entered) -> None:
        self._app, self._entered = app, entered
        self._failed = False
        self._unseen = False
        self._marked: set[tuple[str, str]] = set()

    def mark(self, scope: Scope) -> None:
        """Mark the handler of a request without a price at the gate: its route may have one."""
        if self._unseen:
            return
        request = (scope["method"], scope["path"])
        if request not in self._marked:
            self.find(scope)
            if len(self._marked) < REMEMBERED_PATHS:
                self._marked.add(request)

    def find(self, scope: Scope) -> Found | None:
        """The route of a request; None when the application is not one whose routes can be seen."""
        if self._unseen and "route_handler" not in scope:
            return None
        try:
            if "route_handler" in scope:  # the gate stands behind Litestar's routing
                return _at_litestar_handler(scope["route_handler"], str(scope["path_template"]), self._entered)
            self._unseen = not any(_kind_of(layer) for layer in layers(self._app))
            return None if self._unseen else _find(self._app, scope, "", self._entered)
        except Exception:
            if not self._failed:
                _log.exception("gate_cannot_see_routes", application=repr(self._app))
            self._failed = True
            return None


def _find(app: Any, scope: Scope, prefix: str, entered: Entered) -> Found | None:
    for layer in layers(app):
        if kind := _kind_of(layer):
            return kind(layer, scope, prefix, entered)
    return None


def _kind_of(layer: Any) -> Callable[[Any, Scope, str, Entered], Found | None] | None:
    """The function that finds routes in such an application; None if it is not a known framework's."""
    if hasattr(layer, "asgi_router"):
        return _in_litestar
    if hasattr(layer, "url_map") and hasattr(layer, "view_functions"):
        return _in_werkzeug
    if hasattr(layer, "resolve_request") and hasattr(layer, "_view_middleware"):
        return _in_django
    router = getattr(layer, "router", layer)
    return _in_starlette if hasattr(router, "redirect_slashes") and hasattr(router, "routes") else None


def layers(app: Any) -> Iterator[Any]:
    """The application and what is inside it, from the outermost middleware on."""
    for _ in range(MAX_LAYERS):
        if inspect.ismethod(app):  # as in ``app.asgi_app = CreditGate(app.asgi_app, …)``
            app = app.__self__
        if app is None:
            return
        yield app
        inner = (getattr(app, name, None) for name in _INNER)
        mapping = getattr(app, "application_mapping", None)  # Channels
        found = mapping.get("http") if isinstance(mapping, MutableMapping) else None
        app = found or next((each for each in inner if callable(each) and not _is_own(each, app)), None)


def _is_own(value: Any, app: Any) -> bool:
    return inspect.ismethod(value) and value.__self__ is app


# Starlette and FastAPI


def _in_starlette(app: Any, scope: Scope, prefix: str, entered: Entered) -> Found | None:
    within = dict(scope)
    if root_path := getattr(app, "root_path", ""):  # FastAPI
        within["root_path"] = root_path
    return _in_router(getattr(app, "router", app), within, prefix, entered)


def _in_router(router: Any, scope: Scope, prefix: str, entered: Entered) -> Found | None:
    partial = False
    for route in router.routes:
        match, child, route, context = _matched(route, scope)
        if match == "FULL":
            return _at_route(route, context, {**scope, **child}, prefix, entered)
        partial = partial or match == "PARTIAL"
    path = str(scope["path"])
    if partial or _redirects(router, scope):
        return Found(path, served=False)
    low = getattr(router, "_match_low_priority", None)  # FastAPI's files for a browser
    if low is not None and low(scope)[0].name != "NONE":
        return Found(path)
    return Found(path, served=router.default != router.not_found)


def _matched(route: Any, scope: Scope) -> tuple[str, Scope, Any, Any]:
    """How a route matches; of a router that FastAPI has included, which of its routes, and as what."""
    match, child = route.matches(scope)
    context = None
    while match.name != "NONE" and hasattr(route, "_match"):
        match, child, route, context = route._match(scope)
    return match.name, child, route, context


def _redirects(router: Any, scope: Scope) -> bool:
    """Whether the path with, or without, a slash at its end is a route's."""
    path = str(scope["path"])
    if not router.redirect_slashes or path == "/":
        return False
    other = {**scope, "path": path.rstrip("/") if path.endswith("/") else f"{path}/"}
    return any(route.matches(other)[0].name != "NONE" for route in router.routes)


def _at_route(route: Any, context: Any, scope: Scope, prefix: str, entered: Entered) -> Found:
    dependant = getattr(context, "dependant", None) or getattr(route, "dependant", None)  # FastAPI
    template = prefix + str((context and context.path) or getattr(route, "path", ""))
    endpoint = getattr(route, "endpoint", None)
    if endpoint is None:  # a mount, or a host
        inner = _find(route.app, scope, template, entered)
        return inner or Found(template or str(scope["path"]), marked=_is_files(route.app))
    if getattr(inspect.unwrap(endpoint), "__module__", "") == "fastapi.applications":
        return Found(template, served=False, page=True)
    if inspect.isclass(endpoint) and hasattr(endpoint, "method_not_allowed"):
        return Found(template, served=_has_method(endpoint, scope["method"]), marked=_mark_app(route, entered))
    if dependant is None:
        return Found(template, marked=_mark_app(route, entered))
    if not isinstance(dependant.call, _Marked):
        dependant.call = _Marked(dependant.call, entered)
    return Found(template, marked=True)


def _is_files(app: Any) -> bool:
    """Whether files are served: what is not there reaches no handler."""
    return any(kind.__module__ == "starlette.staticfiles" for kind in type(app).__mro__)


def _has_method(view: Any, method: str) -> bool:
    return hasattr(view, method.lower()) or (method == "HEAD" and hasattr(view, "get"))


def _mark_app(route: Any, entered: Entered) -> bool:
    if not isinstance(route.app, _MarkedApp):
        route.app = _MarkedApp(route.app, entered)
    return True


# Litestar


def _in_litestar(app: Any, scope: Scope, prefix: str, entered: Entered) -> Found:
    from litestar.exceptions import HTTPException
    from litestar.utils import normalize_path

    path = str(scope["path"])
    if root_path := scope.get("root_path", ""):
        path = path.split(root_path, maxsplit=1)[-1]
    try:
        _, handler, _, _, template = app.asgi_router.handle_routing(path=normalize_path(path), method=scope["method"])
    except HTTPException:
        return Found(prefix + path, served=False)
    return _at_litestar_handler(handler, prefix + str(template), entered)


def _at_litestar_handler(handler: Any, template: str, entered: Entered) -> Found:
    function = handler.fn
    if str(getattr(inspect.unwrap(function), "__module__", "")).startswith(_LITESTARS_OWN):
        return Found(template, served=False, page=True)
    if not isinstance(function, _Marked):
        handler._fn = _Marked(function, entered)
    return Found(template, marked=True)


# Quart, and Flask behind an adapter


def _in_werkzeug(app: Any, scope: Scope, prefix: str, entered: Entered) -> Found:
    from werkzeug.exceptions import HTTPException

    root_path = str(scope.get("root_path", ""))
    path, method = str(scope["path"]).removeprefix(root_path), str(scope["method"])
    host = next((text_of(value) for name, value in scope["headers"] if name == b"host"), None)
    urls = app.url_map.bind(host or "localhost", root_path or "/", path_info=path, default_method=method)
    try:
        rule, _ = urls.match(return_rule=True)
    except HTTPException:  # not found, another method, or a redirect
        return Found(prefix + path, served=False)
    template = prefix + str(rule.rule)
    if method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
        return Found(template, served=False, page=True)
    if rule.endpoint == "static" or rule.endpoint.endswith(".static"):
        return Found(template, marked=True)
    view = app.view_functions[rule.endpoint]
    if not getattr(view, "credit_wallet_marked", False):
        app.view_functions[rule.endpoint] = _marked_view(view, entered)
    return Found(template, marked=True)


def _marked_view(view: Callable[..., Any], entered: Entered) -> Callable[..., Any]:
    """``view`` as a function of its kind: the framework asks whether it is to be awaited."""
    if inspect.iscoroutinefunction(view):

        @wraps(view)
        async def marked(*args: Any, **kwargs: Any) -> Any:
            entered()
            return await view(*args, **kwargs)
    else:

        @wraps(view)
        def marked(*args: Any, **kwargs: Any) -> Any:
            entered()
            return view(*args, **kwargs)

    marked.credit_wallet_marked = True  # type: ignore[attr-defined]
    return marked


# Django


def _in_django(app: Any, scope: Scope, prefix: str, entered: Entered) -> Found:
    from django.urls import Resolver404, get_resolver

    if not any(isinstance(each, _ViewMark) for each in app._view_middleware):
        app._view_middleware.append(_ViewMark(entered))
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
    try:
        match = get_resolver().resolve(path)
    except Resolver404:
        return Found(prefix + path, served=False)
    template = f"{prefix}/{match.route}"
    method, view = str(scope["method"]), match.func
    kind = getattr(view, "view_class", None) or getattr(view, "cls", None)
    actions = getattr(view, "actions", None)  # Django REST framework
    if kind is None:
        return Found(template, marked=True)
    if method == "OPTIONS" and str(getattr(kind.options, "__module__", "")).startswith(("django.", "rest_framework.")):
        return Found(template, served=False, page=True)
    allowed = method.lower() in actions if actions else _has_method(kind, method)
    return Found(template, served=allowed and method.lower() in kind.http_method_names, marked=True)


# Marks


class _ViewMark:
    """Runs as Django's last view middleware: nothing comes between it and the view."""

    def __init__(self, entered: Entered) -> None:
        self._entered = entered

    async def __call__(self, *_: Any) -> None:
        self._entered()


class _MarkedApp:
    """The application of a route of Starlette's."""

    def __init__(self, app: Any, entered: Entered) -> None:
        self.app, self._entered = app, entered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._entered()
        await self.app(scope, receive, send)


class _Marked:
    """A handler whose framework has found out before how to call it: it is called, or awaited, as it was."""

    def __init__(self, function: Callable[..., Any], entered: Entered) -> None:
        update_wrapper(self, function)
        self._function, self._entered = function, entered

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._entered()
        return self._function(*args, **kwargs)
