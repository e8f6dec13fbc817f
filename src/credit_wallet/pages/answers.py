"""What a page answers with, and the headers that every page has."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, TypeAlias

from credit_wallet.wire.asgi import AsgiApp, RawHeaders, Scope, Send

HTML = "text/html; charset=utf-8"


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes = b""
    media_type: str = HTML
    headers: RawHeaders = []  # noqa: RUF012 - never changed

    async def send(self, standing: RawHeaders, send: Send, *, head: bool = False) -> None:
        """Send it, with ``standing`` headers where it has none of that name."""
        own = {name for name, _ in self.headers}
        headers = [
            (b"content-type", self.media_type.encode()),
            (b"content-length", b"%d" % len(self.body)),
            *self.headers,
            *(each for each in standing if each[0] not in own),
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else self.body})


Reply: TypeAlias = Answer | AsgiApp
"""What a page function returns: a whole answer, or an application that sends a long one."""


def redirect(address: str) -> Answer:
    """Go on at ``address`` with ``GET``."""
    return Answer(303, headers=[(b"location", address.encode())])


@cache
def page_headers(frame_origins: tuple[str, ...], *, https: bool = False) -> RawHeaders:
    """Pages load and do nothing but what is ours; only pages of ``frame_origins`` may show them in a frame.

    The origin of a form that is sent is known with the referrer policy ``same-origin``, with a stricter one it is not.
    """
    frames = " ".join(frame_origins) or "'none'"
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
    )
    https_only = [(b"strict-transport-security", b"max-age=31536000")] if https else []
    return [
        *https_only,
        (b"content-security-policy", policy.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
    ]


def wants_page(scope: Scope) -> bool:
    """Whether whoever asks is a browser that shows pages: it says so, and brings no token."""
    headers = dict(scope["headers"])
    is_reading = scope["method"] == "GET" and b"authorization" not in headers and b"x-api-key" not in headers
    return is_reading and b"text/html" in headers.get(b"accept", b"")
