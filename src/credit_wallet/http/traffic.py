"""What the service answered: counts and times by route, and the lines of the log about requests.

Counting a request takes two dictionary look-ups. Its line, if it has one, is put into a bounded queue and written by a
thread, many at once: no request waits for whoever reads the log. A route is an address as it is documented, never what
a stranger has typed, so neither figures nor the log grow with what is asked for.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from time import perf_counter, time
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from credit_wallet.domain.cycle import format_instant
from credit_wallet.http.lately import Lately
from credit_wallet.telemetry import logs_from, write_entries
from credit_wallet.wire.asgi import GOES_ON, REFUSED, ROUTE, RawHeaders, Scope, Send
from credit_wallet.wire.auth import Caller

SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

WRITE_SECONDS = 0.25
"""How often lines are written."""

MAX_LINES, MAX_REFUSALS = 5_000, 250
"""Lines that are written at a time, and of them those of refusals, which cost a stranger nothing; further ones are
counted.
"""

CLOSE_SECONDS = 1.0
"""How long the end waits for the last lines."""

UNMATCHED = "unmatched"
"""The route of what has none."""


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Answered(NamedTuple):
    """A request and its answer."""

    route: str
    method: str
    status: int
    began: float
    """When it came in, by ``perf_counter``."""

    size: int
    headers: RawHeaders
    """Those of the answer."""

    caller: Caller | None
    code: str | None
    """That of the refusal; None when it was carried out."""


class _Said(NamedTuple):
    """What a line says."""

    at: float
    """Unix seconds."""

    answer: Answered
    seconds: float


class Traffic:
    """Counts answers, and records refusals and a share of the rest."""

    def __init__(self, access_share: float = 0.0, *, writes: bool = False) -> None:
        """``writes`` begins the thread that writes lines; without it nothing is logged."""
        self._share = access_share
        self._passed = 0.0
        self._counts: dict[tuple[str, str, int], int] = {}
        self._times: dict[tuple[str, str], _Times] = {}
        self.lately = Lately(self._by_seconds)
        self._lines = _Lines() if writes and logs_from("info") else None

    def answered(self, answer: Answered) -> None:
        """Record a request that was answered just now."""
        seconds = perf_counter() - answer.began
        self.lately.tick()
        method = _method(answer)
        counted = answer.route, method, answer.status
        self._counts[counted] = self._counts.get(counted, 0) + 1
        timed = answer.route, method
        times = self._times.get(timed)
        if times is None:
            times = self._times[timed] = _Times()
        times.buckets[bisect_left(SECONDS_BUCKETS, seconds)] += 1
        times.sum += seconds
        if self._lines is not None and (answer.code is not None or self._is_sampled()):
            self._lines.put(_Said(time(), answer, seconds))

    def by_status(self) -> dict[str, int]:
        """How many requests were answered with each status."""
        numbers: dict[str, int] = {}
        for (_, _, status), number in sorted(self._counts.items(), key=lambda each: each[0][2]):
            numbers[str(status)] = numbers.get(str(status), 0) + number
        return numbers

    def _by_seconds(self) -> list[float]:
        """How many requests took how long, by ``SECONDS_BUCKETS``."""
        routes = [each.buckets for each in list(self._times.values())]
        return [float(sum(numbers)) for numbers in zip(*routes, strict=True)] or [0.0] * (len(SECONDS_BUCKETS) + 1)

    def _is_sampled(self) -> bool:
        """Every n-th request, so that a share is kept without chance."""
        self._passed += self._share
        if self._passed < 1:
            return False
        self._passed -= 1
        return True

    def close(self) -> None:
        """Write what waits, and end."""
        if self._lines is not None:
            self._lines.close()

    def families(self) -> Iterator[Metric]:
        """The figures, for Prometheus."""
        requests = CounterMetricFamily(
            "credit_wallet_http_requests",
            "Requests by documented address, method and status of the answer.",
            labels=("route", "method", "status"),
        )
        for (route, method, status), number in sorted(self._counts.items()):
            requests.add_metric((route, method, str(status)), number)
        yield requests
        times = HistogramMetricFamily(
            "credit_wallet_http_request_seconds",
            "Seconds from the headers of a request to the end of its answer.",
            labels=("route", "method"),
        )
        for (route, method), each in sorted(self._times.items()):
            times.add_metric((route, method), each.cumulated(), each.sum)
        yield times


class _Times:
    """How long the answers of a route took."""

    __slots__ = ("buckets", "sum")

    def __init__(self) -> None:
        self.buckets = [0] * (len(SECONDS_BUCKETS) + 1)
        self.sum = 0.0

    def cumulated(self) -> list[tuple[str, float]]:
        """As Prometheus has them: each with all below it."""
        total, cumulated = 0, []
        for bound, number in zip((*map(str, SECONDS_BUCKETS), "+Inf"), list(self.buckets), strict=True):
            total += number
            cumulated.append((bound, float(total)))
        return cumulated


class _Lines:
    """Lines on their way to the log, written by a thread of their own."""

    def __init__(self) -> None:
        self._waiting: deque[_Said] = deque()
        self._refusals = self._left_out = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="credit-wallet-access-log", daemon=True)
        self._thread.start()

    def put(self, said: _Said) -> None:
        """Have a line written soon."""
        is_refusal = said.answer.code is not None
        if len(self._waiting) >= MAX_LINES or (is_refusal and self._refusals >= MAX_REFUSALS):
            self._left_out += 1
            return
        self._refusals += is_refusal
        self._waiting.append(said)

    def close(self) -> None:
        """Write what waits, and end; whoever does not take it is not waited for."""
        self._end.set()
        self._thread.join(timeout=CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._end.wait(WRITE_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        lines = [_line(self._waiting.popleft()) for _ in range(len(self._waiting))]
        left_out, self._left_out, self._refusals = self._left_out, 0, 0
        if left_out:
            lines.append({**_beginning(time(), "warning", "request_lines_left_out"), "lines": left_out})
        write_entries(lines)


def _beginning(at: float, level: str, event: str) -> dict[str, object]:
    return {"timestamp": format_instant(datetime.fromtimestamp(at, UTC)), "level": level, "event": event}


def _line(said: _Said) -> Mapping[str, object]:
    """No token, no address as it was typed, nothing of a body: a caller is a wallet's number and a key's, or a name."""
    answer = said.answer
    level = "warning" if answer.status >= 500 else "info"
    line = _beginning(said.at, level, "request" if answer.code is None else "refused")
    line |= {"method": _method(answer), "route": answer.route, "status": answer.status}
    if answer.code is not None:
        line["code"] = answer.code
    line |= {"ms": round(said.seconds * 1_000, 2), "bytes": answer.size}
    line["request_id"] = next((value.decode() for name, value in answer.headers if name == b"x-request-id"), None)
    if (caller := answer.caller) is not None:
        line["by"] = caller.name
        if caller.access is not None:
            line["wallet_id"] = caller.access.wallet_id
    return line


def _method(answer: Answered) -> str:
    return answer.method if answer.method in METHODS else "other"


class Watched:
    """The ``send`` of a request to the documented routes, which records what they send."""

    __slots__ = ("_began", "_headers", "_scope", "_send", "_size", "_status", "_traffic")

    def __init__(self, scope: Scope, send: Send, traffic: Traffic) -> None:
        """``scope`` must have a ``state``."""
        self._scope = scope
        self._send = send
        self._traffic = traffic
        self._began = perf_counter()
        self._status = self._size = 0
        self._headers: RawHeaders = []

    async def send(self, message: Any) -> None:
        """Send it, and record the answer when this was its end."""
        await self._send(message)
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], message["headers"]
            if self._scope["state"].get(GOES_ON):
                self._traffic.answered(self._answered())
        elif message["type"] == "http.response.body":
            self._size += len(message.get("body", b""))
            if not message.get("more_body", False) and not self._scope["state"].get(GOES_ON):
                self._traffic.answered(self._answered())

    def _answered(self) -> Answered:
        method, state = self._scope["method"], self._scope["state"]
        route, caller, code = state.get(ROUTE) or UNMATCHED, state.get("caller"), state.get(REFUSED)
        return Answered(route, method, self._status, self._began, self._size, self._headers, caller, code)
