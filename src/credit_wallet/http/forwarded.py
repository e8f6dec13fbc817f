"""Whose request it is when proxies stand in front: the address that the nearest trusted one saw.

``X-Forwarded-For`` is what anybody may write. It is read only when the request comes from a proxy that the settings
name, and from its end, since each proxy appends the address that it saw itself.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from credit_wallet.config import TRUSTED_PROXIES
from credit_wallet.errors import InvalidRequest
from credit_wallet.wire.asgi import AsgiApp, Receive, Scope, Send, address_of


class TrustedProxies:
    """Addresses and networks, as the text ``127.0.0.1,10.0.0.0/8``. Raises ``InvalidRequest``, naming the setting."""

    def __init__(self, text: str) -> None:
        try:
            self._networks = [ip_network(part.strip()) for part in text.split(",")]
        except ValueError as error:
            raise InvalidRequest(
                f"{TRUSTED_PROXIES.name} must be addresses or networks such as 127.0.0.1,10.0.0.0/8: {error}",
                field=TRUSTED_PROXIES.name,
            ) from None
        self.has = lru_cache(maxsize=1024)(self._has)

    def _has(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:  # of a socket for both (RFC 4291)
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)


class Forwarded:
    """An ASGI application that hands ``app`` the address of the caller behind ``proxies``."""

    def __init__(self, app: AsgiApp, proxies: TrustedProxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] == "http" and self._proxies.has(address_of(scope)):
            scope["client"] = (self._caller(scope), 0)
        await self._app(scope, receive, send)

    def _caller(self, scope: Scope) -> str:
        """The last address that does not belong to a trusted proxy; anything that cannot be parsed ends the search."""
        hops = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
        caller = address_of(scope)
        for hop in reversed([hop.strip() for hop in hops.split(",")]):
            try:
                caller = str(ip_address(hop))
            except ValueError:
                break
            if not self._proxies.has(caller):
                break
        return caller
