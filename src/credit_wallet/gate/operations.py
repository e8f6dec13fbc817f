"""The operations of an application and their prices, for its OpenAPI document. Frameworks are known by attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from credit_wallet.gate.prices import Price
from credit_wallet.gate.routing import layers

PRICE_ATTRIBUTE = "credit_wallet_price"
"""What ``priced`` leaves on the functions and dependencies that it prices."""

Operations: TypeAlias = dict[tuple[str, str], Price]
"""Method and path, as the framework's document writes it, of every operation with a price of its own."""


def documents_of(app: Any) -> dict[str, Any]:
    """The applications within ``app`` that describe themselves in JSON, by the path at which they do."""
    return dict(_documents(app, ""))


def priced_operations(app: Any) -> Operations:
    """The operations of one of those applications that ``priced`` has given a price."""
    return dict(_litestar_prices(app) if hasattr(app, "asgi_router") else _starlette_prices(app))


def prices_within(app: Any) -> Iterator[Price]:
    """Every price that can be seen: of all applications, mounted ones too."""
    for layer in layers(app):
        if hasattr(layer, "asgi_router"):
            yield from (price for _, price in _litestar_prices(layer))
            return
        if hasattr(layer, "routes"):
            yield from (price for _, price in _starlette_prices(layer))
            for route in layer.routes:
                if getattr(route, "endpoint", None) is None and getattr(route, "app", None) is not None:
                    yield from prices_within(route.app)
            return


def _documents(app: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for layer in layers(app):
        if hasattr(layer, "asgi_router"):
            if config := getattr(layer, "openapi_config", None):
                yield f"{prefix}{_litestar_folder(config)}/openapi.json", layer
            return
        if hasattr(layer, "routes"):
            if url := getattr(layer, "openapi_url", None):
                yield f"{prefix}{url}", layer
            for route in layer.routes:
                if getattr(route, "endpoint", None) is None and getattr(route, "app", None) is not None:
                    yield from _documents(route.app, f"{prefix}{getattr(route, 'path', '')}")
            return


def _litestar_folder(config: Any) -> str:
    controller = getattr(config, "openapi_controller", None)
    path = getattr(config, "path", None) or getattr(controller, "path", None) or "/schema"
    return "/" + str(path).strip("/")


def _starlette_prices(app: Any) -> Iterator[tuple[tuple[str, str], Price]]:
    for route in _routes(app):
        path = getattr(route, "path_format", None) or getattr(route, "path", None)
        price = _price_in([getattr(route, "endpoint", None), *_calls(getattr(route, "dependant", None))])
        if price is not None and path is not None:
            for method in getattr(route, "methods", None) or ():
                yield (str(method), str(path)), price


def _routes(app: Any) -> Iterable[Any]:
    """The routes of an application, and those of routers that FastAPI has included."""
    try:
        from fastapi.routing import iter_route_contexts
    except ImportError:
        return list(app.routes)
    return list(iter_route_contexts(app.routes))


def _calls(dependant: Any) -> Iterator[Any]:
    """Everything that FastAPI calls for a route."""
    if dependant is not None:
        yield dependant.call
        for inner in dependant.dependencies:
            yield from _calls(inner)


def _litestar_prices(app: Any) -> Iterator[tuple[tuple[str, str], Price]]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            dependencies = [getattr(each, "dependency", None) for each in handler.resolve_dependencies().values()]
            price = _price_in([handler.fn, *handler.resolve_guards(), *dependencies])
            if price is not None:
                for method in getattr(handler, "http_methods", ()):
                    yield (str(getattr(method, "value", method)), str(route.path_format)), price


def _price_in(functions: Iterable[Any]) -> Price | None:
    for function in functions:
        price = getattr(function, PRICE_ATTRIBUTE, None)
        if isinstance(price, Price):
            return price
    return None
