"""Every page with 10,000 wallets and 1,000,000 entries in one of them: how long the service takes, and how much it sends.

    PYTHONPATH=tests/support python benchmarks/pages.py [--smoke] [--json FILE] [--data DIR] [--only WORD]

The service is a process of its own, asked over one connection from the same machine. A page is asked for several times,
by its wallet's owner or by an operator who has signed in; what counts is the median, and the slowest beside it. Bytes
are as sent (gzip where the service packs): the page, with every file that it names when a browser has none of them yet.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from socket import socket
from statistics import median
from time import perf_counter, sleep
from typing import NamedTuple
from urllib.parse import urlencode

import large_ledger
from http_service import OPERATOR_KEY, SERVICE
from reporting import Figure, add_data_option, data_folder, parser, publish
from shown_pages import ANYBODY, CONSOLE, CUSTOMER, WALLET, addresses, known_of

from credit_wallet import CreditWallet

READS = 7
TARGET_MS = 100
TARGET_BYTES = 100_000
FIRST = ("welcome", "wallet overview", "console overview")
"""The pages that people see first, whose bytes have a target."""

START_SECONDS = 60
_LOADED = re.compile(r'<(?:link|script|img)\b[^>]*?(?:href|src)="(/[^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


class Answer(NamedTuple):
    """What came: its status, its headers' cookies, its text, and how many bytes were sent."""

    status: int
    cookies: dict[str, str]
    content: bytes
    location: str


class Visitor:
    """Asks a service over one connection, with cookies."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=300)
        self._cookies: dict[str, str] = {}
        self.sent = 0

    def ask(self, path: str, fields: dict[str, str] | None = None, *, packed: bool = False) -> Answer:
        """The answer to a look at ``path``, or to a form with ``fields``; ``packed`` takes it as gzip."""
        headers = {"Accept": "text/html", "Accept-Encoding": "gzip" if packed else "identity"}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = None if fields is None else urlencode(fields)
        self._connection.request("GET" if fields is None else "POST", path, body, headers)
        answer = _read(self._connection.getresponse())
        self._cookies |= answer.cookies
        return answer

    def sign_in(self, token: str) -> None:
        """Sign in as a person does."""
        page = self.ask("/sign-in").content.decode()
        form = page[page.index('action="/sign-in"') :]
        answer = self.ask("/sign-in", {**dict(_HIDDEN.findall(form[: form.index("</form>")])), "token": token})
        assert answer.status == 303, answer.content[:500]


def _read(answer: HTTPResponse) -> Answer:
    cookies = {}
    for header in answer.headers.get_all("set-cookie") or []:
        name, _, value = header.partition(";")[0].partition("=")
        cookies[name] = value
    return Answer(answer.status, cookies, answer.read(), answer.headers.get("location", ""))


def main() -> None:
    given = _options()
    small = {"wallets": 100, "entries": 2_000} if given.smoke else {}
    with data_folder(given.data) as folder:
        path = large_ledger.ledger(folder, **small)
        with CreditWallet.open(f"sqlite:///{path}") as wallets:
            known = known_of(wallets, large_ledger.WALLET_ID)
        with _serving(path) as port:
            figures = [*_figures(port, known, 1 if given.smoke else READS, given)]
    settings = ", ".join(f"{value:,} {name}" for name, value in small.items()) or "10,000 wallets, 1,000,000 entries"
    publish("pages", settings, figures, given.json)


def _options() -> Namespace:
    options = parser("Every page on a large ledger.")
    add_data_option(options)
    options.add_argument("--only", default="", metavar="WORD", help="pages with this word in their name")
    return options.parse_args()


@contextmanager
def _serving(path: Path) -> Iterator[int]:
    """The service on ``path`` as a process; its port, once it answers."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    program = str(Path(__file__).with_name("http_service.py"))
    with subprocess.Popen(
        [sys.executable, program, SERVICE, str(port), str(path)], stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(port)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)


def _wait_for(port: int) -> None:
    give_up_at = perf_counter() + START_SECONDS
    while True:
        try:
            Visitor(port).ask("/readyz")
        except ConnectionError:
            if perf_counter() > give_up_at:
                raise
            sleep(0.05)
        else:
            return


def _figures(port: int, known: dict[str, str], reads: int, given: Namespace) -> Iterator[Figure]:
    owner, operator = Visitor(port), Visitor(port)
    owner.sign_in(large_ledger.OWNER_TOKEN)
    operator.sign_in(OPERATOR_KEY)
    customer = f"/console/wallets/{large_ledger.WALLET_ID}"
    for visitor, who, pages, base in (
        (Visitor(port), "", ANYBODY, ""),
        (owner, "wallet ", WALLET, "/wallet"),
        (operator, "console ", CONSOLE, "/console"),
        (operator, "customer ", CUSTOMER, customer),
    ):
        for page, address in addresses(pages, base, known).items():
            if given.only in (name := f"{who}{page}"):
                yield from _measured(visitor, name, address, reads)


def _measured(visitor: Visitor, name: str, address: str, reads: int) -> Iterator[Figure]:
    taken = []
    for _ in range(reads + 1):
        began = perf_counter()
        answer = visitor.ask(address)
        taken.append(1_000 * (perf_counter() - began))
    status = "" if answer.status == 200 else f"; status {answer.status}"
    again = taken[1:]
    detail = f"first {taken[0]:.0f} ms, slowest {max(again):.0f} ms{status}"
    yield Figure(f"{name}: time", median(again), "ms", f"< {TARGET_MS} ms", detail=detail)
    page = len(visitor.ask(address, packed=True).content)
    files = {each: len(visitor.ask(each, packed=True).content) for each in _LOADED.findall(answer.content.decode())}
    target = f"< {TARGET_BYTES // 1_000} kB" if name in FIRST else ""
    detail = f"page {page / 1_000:.1f} kB, {len(files)} files"
    yield Figure(f"{name}: bytes", (page + sum(files.values())) / 1_000, "kB", target, detail=detail)


if __name__ == "__main__":
    main()
