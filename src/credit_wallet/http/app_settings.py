"""The service's settings."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from credit_wallet.delivery.factory import NotifySettings
from credit_wallet.http.forwarded import TrustedProxies
from credit_wallet.wire.operator_keys import OperatorKey

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
EVERY_INTERFACE = ("0.0.0.0", "::")  # noqa: S104 - recognised, not listened on


class ServiceSettings(Struct, frozen=True):
    """``topup_url`` is where a 402 sends people to pay; ``notify`` says where notices may go.

    ``mcp_hosts`` are the names that MCP is served under. ``metrics_key`` is a token that sees the figures of money and
    nothing else. ``trusted_proxies`` are believed about who calls. ``public_url`` is where people reach the service,
    and ``frame_origins`` whose pages may show it in a frame.
    ``takes_test_money`` says that payments are not real.
    """

    operator_keys: tuple[OperatorKey, ...]
    topup_url: str
    notify: NotifySettings = NotifySettings()
    mcp_hosts: tuple[str, ...] = LOOPBACK
    metrics_key: OperatorKey | None = None
    trusted_proxies: TrustedProxies | None = None
    public_url: str = "http://127.0.0.1:8787"
    frame_origins: tuple[str, ...] = ()
    takes_test_money: bool = False


def own_address(host: str, port: int) -> str:
    """The URL of a service that listens on ``host:port``, from the machine that it runs on."""
    name = LOOPBACK[0] if host in EVERY_INTERFACE else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def mcp_hosts(listening_on: str, named: Iterable[str]) -> tuple[str, ...]:
    """The names that MCP is served under: loopback's, the address that is listened on, and those ``named``.

    Each as it stands in a URL, with any port or with the one it has.
    """
    own = () if listening_on in EVERY_INTERFACE else (f"[{listening_on}]" if ":" in listening_on else listening_on,)
    return tuple(dict.fromkeys((*LOOPBACK, *own, *named)))
