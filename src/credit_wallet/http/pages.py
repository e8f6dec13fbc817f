"""Pages for people."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from litestar.openapi.plugins import SwaggerRenderPlugin

from credit_wallet.http.openapi.document import document_of
from credit_wallet.http.routing import NEEDS

_SWAGGER = "5.18.2"
_SWAGGER_FILES = f"https://cdn.jsdelivr.net/npm/swagger-ui-dist@{_SWAGGER}/"

PAGE_POLICY = (
    b"content-security-policy",
    "default-src 'none'; connect-src 'self'; img-src 'self' data: https://cdn.jsdelivr.net; "
    f"script-src 'unsafe-inline' {_SWAGGER_FILES}; style-src 'unsafe-inline' {_SWAGGER_FILES}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'".encode(),
)
"""For pages, which are those of the API: nobody may frame them, and they load nothing but what draws them."""

_swagger = SwaggerRenderPlugin(version=_SWAGGER)


@get("/docs", media_type="text/html", include_in_schema=False, sync_to_thread=False, opt={NEEDS: None})
def show_docs(request: Request[Any, Any, Any]) -> bytes:
    """The endpoints in a browser, to read and to try."""
    return _swagger.render(request, document_of(request.app))
