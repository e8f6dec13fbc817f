"""Every page, with 10,000 wallets and 1,000,000 entries in one of them: how long the service takes, what it sends.

    PYTHONPATH=tests/support python benchmarks/pages.py [--smoke] [--json FILE] [--data DIR] [--only WORD]

The service is a process of its own, asked from the same machine. A page is asked for several times, by its wallet's
owner or by an operator who has signed in; what counts is the median, with the CPU of the service and the slowest beside
it. Bytes are as sent (gzip where the service packs): the page, and every file that it names, as at a first visit.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
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
PATIENCE_SECONDS = 30
PAGE_SECONDS = 5
"""A page is not asked for again after so long."""

_LOADED = re.compile(r'<(?:link|script|img)\b[^>]*?(?:href|src)="(/[^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


class Answer(NamedTuple):
    """What came: its status, its cookies, and its content as it was sent."""

    status: int
    cookies: dict[str, str]
    content: bytes


class Visitor:
    """Asks a service, with cookies."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}

    def ask(self, path: str, fields: dict[str, str] | None = None, *, packed: bool = False) -> Answer:
        """The answer to a look at ``path``, or to a form with ``fields``; ``packed`` takes it as gzip."""
        headers = {"Accept": "text/html", "Accept-Encoding": "gzip" if packed else "identity"}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = None if fields is None else urlencode(fields)
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)) as connection:
            connection.request("GET" if fields is None else "POST", path, body, headers)
            answer = _read(connection.getresponse())
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
    return Answer(answer.status, cookies, answer.read())


def main() -> None:
    given = _options()
    small = {"wallets": 100, "entries": 2_000} if given.smoke else {}
    with data_folder(given.data) as folder:
        path = large_ledger.ledger(folder, **small)
        with CreditWallet.open(f"sqlite:///{path}") as wallets:
            known = known_of(wallets, large_ledger.WALLET_ID)
        with _serving(path) as (port, pid):
            figures = [*_figures(port, pid, known, 1 if given.smoke else READS, given)]
    settings = ", ".join(f"{value:,} {name}" for name, value in small.items()) or "10,000 wallets, 1,000,000 entries"
    publish("pages", settings, figures, given.json)


def _options() -> Namespace:
    options = parser("Every page on a large ledger.")
    add_data_option(options)
    options.add_argument("--only", default="", metavar="WORD", help="pages with this word in their name")
    return options.parse_args()


@contextmanager
def _serving(path: Path) -> Iterator[tuple[int, int]]:
    """The service on ``path`` as a process; its port, once it answers, and its process."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    program = str(Path(__file__).with_name("http_service.py"))
    with subprocess.Popen(
        [sys.executable, program, SERVICE, str(port), str(path)], stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(port)
            yield port, process.pid
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


def _figures(port: int, pid: int, known: dict[str, str], reads: int, given: Namespace) -> Iterator[Figure]:
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
                yield from _measured(visitor, pid, name, address, reads)


def _measured(visitor: Visitor, pid: int, name: str, address: str, reads: int) -> Iterator[Figure]:
    taken: list[float] = []
    processor: list[float] = []
    while len(taken) <= reads and sum(taken) < 1_000 * PAGE_SECONDS:
        began, began_cpu = perf_counter(), _cpu_ms(pid)
        try:
            answer = visitor.ask(address)
        except TimeoutError:
            yield Figure(f"{name}: time", 1_000 * PATIENCE_SECONDS, "ms", f"< {TARGET_MS} ms", detail="no answer")
            return
        taken.append(1_000 * (perf_counter() - began))
        processor.append(_cpu_ms(pid) - began_cpu)
    assert answer.status < 500, f"{address}: {answer.content[:500]!r}"
    status = "" if answer.status == 200 else f"; status {answer.status}"
    again = taken[1:] or taken
    detail = f"CPU {median(processor):.0f} ms; first {taken[0]:.0f} ms, slowest {max(again):.0f} ms{status}"
    yield Figure(f"{name}: time", median(again), "ms", f"< {TARGET_MS} ms", detail=detail)
    page = len(visitor.ask(address, packed=True).content)
    files = {each: len(visitor.ask(each, packed=True).content) for each in _LOADED.findall(answer.content.decode())}
    target = f"< {TARGET_BYTES // 1_000} kB" if name in FIRST else ""
    detail = f"page {page / 1_000:.1f} kB, {len(files)} files"
    yield Figure(f"{name}: bytes", (page + sum(files.values())) / 1_000, "kB", target, detail=detail)


def _cpu_ms(pid: int) -> float:
    """The CPU time of all threads of a process so far; 0 where ``/proc`` does not say it."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e6


if __name__ == "__main__":
    main()
