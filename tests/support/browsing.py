"""Chromium for tests of pages: found on this machine, and watched while it visits a service.

Every context notes what no page may do: send a request to another host, write an error into the console, break the
Content-Security-Policy, be answered 500 or above, or leave a script's error unhandled. ``Watch.require_clean`` says
what was noted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    Response,
    WebError,
    sync_playwright,
)

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ON_A_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
MISSING = (
    "no Chromium on this machine: run tests/support/browser_tools.sh as root on Debian (it installs chromium and "
    "fonts-noto-cjk), or install Chromium or Google Chrome and a Japanese font"
)
ARGUMENTS = (
    "--no-sandbox",  # which root may not have, and the pages are our own
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--font-render-hinting=none",
)
WAIT_MS = 20_000
"""How long a page may take for anything, on a busy machine."""

Look = Literal["light", "dark"]
Language = Literal["en", "ja"]
LOCALES: dict[Language, str] = {"en": "en-GB", "ja": "ja-JP"}


class Screen(NamedTuple):
    """A viewport in CSS pixels."""

    width: int
    height: int


PHONE = Screen(390, 844)
DESKTOP = Screen(1280, 800)

_SAY_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", event => console.error(
    `content security policy: ${event.effectiveDirective} blocked ${event.blockedURI} in ${event.sourceFile}:` +
    `${event.lineNumber} ${event.sample}`));
"""


def chromium_path() -> str:
    """The executable of Chromium or Chrome. Raises ``RuntimeError`` that says how to get one."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and ON_A_MAC.exists():
        found = str(ON_A_MAC)
    if found is None:
        raise RuntimeError(MISSING)
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running Chromium.

    While it runs, no event loop can be started in this thread: Playwright has one under way in it.
    """
    executable = chromium_path()
    with sync_playwright() as playwright:
        browser = _launched(playwright, executable)
        yield browser
        browser.close()


def _launched(playwright: Playwright, executable: str) -> Browser:
    return playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)


class Watch:
    """Opens contexts for one service, and notes what their pages do that no page may do."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._origins = {_origin(url)}
        self.url = url
        self.faults: list[str] = []
        self._contexts: list[BrowserContext] = []

    def allow(self, url: str) -> None:
        """From now on requests may also go where ``url`` is, such as to the pages of a payment provider."""
        self._origins.add(_origin(url))

    def new_page(
        self, *, screen: Screen = DESKTOP, look: Look = "light", language: Language = "en", scripts: bool = True
    ) -> Page:
        """A page of a visitor of its own, with cookies of its own; ``scripts=False`` runs none."""
        context = self._browser.new_context(
            base_url=self.url,
            viewport={"width": screen.width, "height": screen.height},
            color_scheme=look,
            locale=LOCALES[language],
            timezone_id="Asia/Tokyo",
            reduced_motion="reduce",
            java_script_enabled=scripts,
            is_mobile=screen.width < 600,
            has_touch=screen.width < 600,
        )
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(_SAY_VIOLATIONS)
        context.on("request", self._look_at_request)
        context.on("response", self._look_at_response)
        context.on("console", self._look_at_console)
        context.on("weberror", self._look_at_error)
        self._contexts.append(context)
        return context.new_page()

    def require_clean(self) -> None:
        """Fail with what pages did that no page may do."""
        assert not self.faults, "\n".join(self.faults)

    def close(self) -> None:
        """Close every context."""
        for context in self._contexts:
            context.close()

    def _look_at_request(self, request: Request) -> None:
        if request.url.startswith(("http:", "https:", "ws:", "wss:")) and _origin(request.url) not in self._origins:
            self.faults.append(f"a request left the host: {request.method} {request.url}")

    def _look_at_response(self, response: Response) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status} for {response.request.method} {response.url}")

    def _look_at_console(self, message: ConsoleMessage) -> None:
        refused = message.text.startswith("Failed to load resource: the server responded with a status of 4")
        if message.type in ("error", "assert") and not refused:
            self.faults.append(f"console of {message.page.url if message.page else '?'}: {message.text}")

    def _look_at_error(self, error: WebError) -> None:
        self.faults.append(f"script: {error.error}")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Finding(NamedTuple):
    """What axe-core finds wrong: its rule, what to do, and where."""

    rule: str
    impact: str
    help: str
    places: tuple[str, ...]

    def __str__(self) -> str:
        return "\n    ".join((f"{self.rule} ({self.impact}): {self.help}", *self.places))


@cache
def _axe() -> Axe:
    return Axe()


def axe_findings(page: Page, *, but: Sequence[str] = ()) -> list[Finding]:
    """What axe-core finds wrong with ``page`` by its rules of WCAG and of best practice, save those in ``but``."""
    off = {rule: {"enabled": False} for rule in but}
    found: dict[str, Any] = _axe().run(page, options={"rules": off}).response
    return [
        Finding(
            each["id"],
            str(each["impact"]),
            each["help"],
            tuple(
                f"{' '.join(map(str, node['target']))}  {node['html'][:200]}  {_reasons(node)}"
                for node in each["nodes"]
            ),
        )
        for each in found["violations"]
    ]


def _reasons(node: dict[str, Any]) -> str:
    return "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])


def no_axe_findings(page: Page, *, but: Sequence[str] = ()) -> None:
    """Fail with what axe-core finds wrong with ``page``."""
    found = axe_findings(page, but=but)
    assert not found, f"{page.url}\n" + "\n".join(map(str, found))


def fits_its_width(page: Page) -> None:
    """Fail when ``page`` is wider than its screen, so that a phone would scroll it sideways."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} px wider than the screen"


__all__ = [
    "DESKTOP",
    "PHONE",
    "Error",
    "Finding",
    "Language",
    "Look",
    "Page",
    "Screen",
    "Watch",
    "axe_findings",
    "chromium",
    "chromium_path",
    "fits_its_width",
    "no_axe_findings",
]
