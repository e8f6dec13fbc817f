"""The watch over pages notices what it is for."""

from __future__ import annotations

import pytest
from browsing import Page, Watch, axe_findings, fits_its_width
from playwright.sync_api import Browser
from served import Served

from credit_wallet.wire.asgi import Receive, Scope, Send

PAGES = {
    "/plain": "<title>Plain</title><main><h1>Plain</h1></main>",
    "/away": "<title>Away</title><img alt='' src='http://wallet.test/picture.png'>",
    "/logs": "<title>Logs</title><script>console.error('a broken promise')</script>",
    "/throws": "<title>Throws</title><script>setTimeout(() => { throw new Error('thrown later') })</script>",
    "/style": "<title>Style</title><p style='color: red'>red</p>",
    "/fails": "<title>Fails</title><img alt='' src='/500'>",
    "/dim": "<title>Dim</title><main><h1 style='color: #ddd'>Dim</h1></main>",
    "/wide": "<title>Wide</title><main><h1>Wide</h1><pre>" + "x" * 900 + "</pre></main>",
}


async def application(scope: Scope, _: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    policy = "style-src 'none'" if scope["path"] == "/style" else "default-src * 'unsafe-inline'"
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", policy.encode())]
    status = 500 if scope["path"] == "/500" else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})
    body = f"<!doctype html><html lang=en>{PAGES.get(scope['path'], '')}"
    await send({"type": "http.response.body", "body": body.encode()})


@pytest.mark.parametrize(
    ("path", "noted"),
    [
        ("/plain", ""),
        ("/away", "a request left the host: GET http://wallet.test/picture.png"),
        ("/logs", "a broken promise"),
        ("/throws", "thrown later"),
        ("/style", "content security policy: style-src-attr blocked inline"),
        ("/fails", "500 for GET"),
    ],
)
def test_what_a_page_may_not_do_is_noted(browser: Browser, path: str, noted: str) -> None:
    with Served(application) as served:
        watch = Watch(browser, served.url)
        watch.new_page().goto(path, wait_until="networkidle")
        watch.close()
    assert noted in "\n".join(watch.faults)
    assert bool(noted) == bool(watch.faults)


def test_what_people_cannot_read_is_found(browser: Browser) -> None:
    with Served(application) as served:
        watch = Watch(browser, served.url)
        page: Page = watch.new_page()
        page.goto("/dim")
        assert [each.rule for each in axe_findings(page)] == ["color-contrast"]
        assert axe_findings(page, but=["color-contrast"]) == []
        page.goto("/wide")
        with pytest.raises(AssertionError, match="px wider than the screen"):
            fits_its_width(page)
        watch.close()
