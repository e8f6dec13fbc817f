"""Load for a service on this machine: keep-alive connections, each with one charge under way at a time."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import cast

import uvloop
from msgspec import Struct, json

from credit_wallet.cli.bench import percentiles_ms
from credit_wallet.idempotency_keys import new_idempotency_key

CONNECTIONS = 64

GRACE_SECONDS = 10.0
"""How long an answer may take after a round's end."""

_SCRIPT = Path(__file__).with_name("http_charges.lua")
_BODY = b'{"amount_yen": 3}'


class Load(Struct, frozen=True):
    """One round. ``requests`` were answered, ``not_200`` of them with another status or not at all."""

    requests: int
    seconds: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    not_200: int = 0


Generator = Callable[[int, Path, float], Load]
"""Called with a port, a file with one owner token a line, and seconds."""


def wrk_is_there() -> bool:
    """Whether ``wrk`` is installed."""
    return shutil.which("wrk") is not None


def by_wrk(port: int, tokens: Path, seconds: float) -> Load:
    """``wrk``, with one thread. Charges that are under way at the end are made and not counted."""
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{max(1, round(seconds))}s"]
    command += ["--script", str(_SCRIPT), f"http://127.0.0.1:{port}", "--", str(tokens), str(random.getrandbits(31))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.decode(done.stdout.splitlines()[-1], type=Load)


def by_asyncio(port: int, tokens: Path, seconds: float) -> Load:
    """The generator for machines without ``wrk``: slower, and waits for what is under way at the end."""
    return uvloop.run(_generate(port, [line.encode() for line in tokens.read_text().split()], seconds))


async def _generate(port: int, tokens: Sequence[bytes], seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    started = perf_counter()
    callers = [_Caller(tokens, started + seconds) for _ in range(CONNECTIONS)]
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)  # type: ignore[misc]
    async with asyncio.timeout(seconds + GRACE_SECONDS):
        await asyncio.gather(*(caller.ended for caller in callers))
    elapsed = perf_counter() - started
    latencies_ms = [latency for caller in callers for latency in caller.latencies_ms]
    not_200 = sum(caller.not_200 for caller in callers)
    return Load(len(latencies_ms), elapsed, *percentiles_ms(latencies_ms), not_200)


class _Caller(asyncio.Protocol):
    """One connection: sends a charge, waits for its answer, sends the next, until ``deadline``."""

    def __init__(self, tokens: Sequence[bytes], deadline: float) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latencies_ms: list[float] = []
        self.not_200 = 0
        self._tokens = tokens
        self._deadline = deadline
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return
        self.latencies_ms.append((perf_counter() - self._sent_at) * 1_000)
        self.not_200 += not head.startswith(b"HTTP/1.1 200 ")
        self._received = b""
        if perf_counter() < self._deadline:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self) -> None:
        self._sent_at = perf_counter()
        self._transport.write(
            b"POST /credit/charge HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\nIdempotency-Key: %b\r\n\r\n%b"
            % (random.choice(self._tokens), len(_BODY), new_idempotency_key().encode(), _BODY)
        )


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0
