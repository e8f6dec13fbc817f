"""Connections to receivers: made to the very address that was looked at, and kept for the next notice.

A request keeps the receiver's name, so ``Host``, the name in TLS and the check of the certificate are what they always
are, and a kept connection is for that name alone. Only how a name becomes a connection is ours: every address of it
must be one of the public internet's, unless the operator lets targets be in a private network, and one that was looked
at is what is connected to.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from credit_wallet.delivery.addresses import is_public
from credit_wallet.delivery.names import Addresses, Names
from credit_wallet.delivery.outbound import NotDelivered
from credit_wallet.runtime.deadlines import NOTICE_CONNECT_SECONDS, NOTICE_SECONDS

MAX_KEPT = 100
KEPT_SECONDS = 30.0

MAX_ADDRESSES = 3
"""Of a name that are tried, one after the other."""


async def allowed_addresses(names: Names, host: str, *, private: bool) -> Addresses:
    """The addresses to connect to. Raises ``NotDelivered`` when one of the host's is private and may not be."""
    addresses = await names.addresses(host)
    if not private and not all(map(is_public, addresses)):
        raise NotDelivered("the host is in a private network")
    return addresses[:MAX_ADDRESSES]


class CheckedConnections(httpcore.AsyncNetworkBackend):
    """Connects by name, and to no address that may not be connected to."""

    def __init__(self, names: Names, *, private: bool) -> None:
        self._names = names
        self._private = private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises ``NotDelivered``, ``httpcore.ConnectError`` and ``httpcore.ConnectTimeout``."""
        *others, last = await allowed_addresses(self._names, host, private=self._private)
        for address in others:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(str(last), port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


def open_client(names: Names, tls: ssl.SSLContext, *, private: bool, max_connections: int) -> httpx.AsyncClient:
    """One client for all receivers, with up to ``max_connections``; to be used and closed by one event loop."""
    transport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False)
    transport._pool = httpcore.AsyncConnectionPool(
        ssl_context=tls,
        max_connections=max_connections,
        max_keepalive_connections=MAX_KEPT,
        keepalive_expiry=KEPT_SECONDS,
        network_backend=CheckedConnections(names, private=private),
    )
    timeout = httpx.Timeout(NOTICE_SECONDS, connect=NOTICE_CONNECT_SECONDS)
    return httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)
