"""A real Django application."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, cast


def django_app() -> Any:
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpRequest, HttpResponse
    from django.urls import path
    from django.views import View
    from django.views.decorators.http import require_GET

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            SECRET_KEY="secret",  # noqa: S106
            ROOT_URLCONF="credit_wallet_test_urls",
            MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
            LOGGING_CONFIG=None,
        )
        django.setup()

    @require_GET  # type: ignore[untyped-decorator]
    def found(request: HttpRequest, item: int = 0) -> HttpResponse:  # noqa: ARG001
        return HttpResponse("found")

    async def missing(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        return HttpResponse(status=404)

    def breaks(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        raise RuntimeError("broken")

    class Seen(View):  # type: ignore[misc]
        def get(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002
            return HttpResponse("found")

    urls = ModuleType("credit_wallet_test_urls")
    cast(Any, urls).urlpatterns = [
        path("search/", found),
        path("items/<int:item>", found),
        path("missing", missing),
        path("breaks", breaks),
        path("view", Seen.as_view()),
    ]
    sys.modules["credit_wallet_test_urls"] = urls
    from django.urls import clear_url_caches

    clear_url_caches()
    return get_asgi_application()
