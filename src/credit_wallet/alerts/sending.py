"""Sending a notice to a target: signed webhooks by ``httpx``, mail and services such as Slack by ``apprise``.

A webhook is signed as Standard Webhooks say (github.com/standard-webhooks/standard-webhooks, spec): ``webhook-id`` is
the event's and the same for every attempt, ``webhook-signature`` has one signature for each secret that is in force.
Private addresses are refused at the moment of sending, when the name has been looked up, and the connection goes to
the very address that was looked at. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from apprise import Apprise, AppriseAsset, NotifyFormat
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.google_chat import NotifyGoogleChat
from msgspec import Struct, json
from standardwebhooks import Webhook

from credit_wallet import VERSION
from credit_wallet.alerts.addresses import is_public
from credit_wallet.alerts.failure import NotDelivered
from credit_wallet.alerts.targets import Target, is_mail, is_webhook
from credit_wallet.alerts.texts import Notice, message_of
from credit_wallet.cycle import format_instant
from credit_wallet.retry_after import retry_after_seconds

PAYLOAD_VERSION = 1

CONNECT_SECONDS = 5.0
SEND_SECONDS = 15.0
"""For all of an attempt, however slowly the receiver answers."""

SMTP, SUBMISSION = 25, 587
"""Ports of a mail server that names none, without and with TLS."""

_ASSET = AppriseAsset(
    app_id="Agent Credit Wallet", app_desc="Agent Credit Wallet", image_url_mask="", image_url_logo=""
)


class Sender(Struct, frozen=True):
    """How this installation sends. ``source`` is its ledger's name, which makes event ids its own.

    ``mail_url`` is the operator's mail server as ``apprise`` writes it (``mailtos://user:password@smtp.example.com``).
    ``private`` lets webhooks go to private addresses.
    """

    source: str
    mail_url: str | None = None
    private: bool = False

    async def send(self, target: Target, notices: Sequence[Notice]) -> None:
        """Send ``notices`` to ``target`` in one message; a webhook takes one. Raises ``NotDelivered``."""
        sending: Coroutine[Any, Any, None]
        if not is_webhook(target.url):
            sending = asyncio.to_thread(self._send_message, target, notices)
        else:
            [notice] = notices
            sending = self._send_webhook(target, notice)
        try:
            await asyncio.wait_for(sending, SEND_SECONDS)
        except TimeoutError:
            raise NotDelivered(f"no answer within {SEND_SECONDS:.0f} seconds") from None

    async def reach(self, target: Target) -> None:
        """Open and close a connection to a webhook or the mail server, and send nothing. Raises ``NotDelivered``.

        Other services are not asked: their addresses are their own.
        """
        if is_webhook(target.url):
            host, port = _host_of(target.url)
            await _connect(str(await self._address(host, port)), port)
        elif is_mail(target.url):
            parts = urlsplit(self._service_url(target))
            await _connect(str(parts.hostname), parts.port or (SUBMISSION if parts.scheme == "mailtos" else SMTP))

    def _send_message(self, target: Target, notices: Sequence[Notice]) -> None:
        services = Apprise(asset=_ASSET)
        if not services.add(self._service_url(target)):
            raise NotDelivered("the service no longer takes such an address")
        message = message_of(notices, target.language)
        [service] = services
        if not services.notify(title=message.title, body=message.body, body_format=_fitted(service)):
            raise NotDelivered("the service could not be reached, or did not take it")

    def _service_url(self, target: Target) -> str:
        if not is_mail(target.url):
            return target.url
        if self.mail_url is None:
            raise NotDelivered("the operator has no mail server")
        separator = "&" if "?" in self.mail_url else "?"
        return f"{self.mail_url}{separator}to={quote(target.url.removeprefix('mailto:'), safe='@')}"

    async def _send_webhook(self, target: Target, notice: Notice) -> None:
        host, port = _host_of(target.url)
        address = await self._address(host, port)
        body = payload_of(notice, self.source)
        url = httpx.URL(target.url).copy_with(host=str(address))
        headers = {
            "host": urlsplit(target.url).netloc,
            "content-type": "application/json",
            "user-agent": f"agent-credit-wallet/{VERSION}",
            **signed(event_name(notice, self.source), body, target, datetime.now(UTC)),
        }
        timeout = httpx.Timeout(SEND_SECONDS, connect=CONNECT_SECONDS)
        try:
            async with (
                httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False) as client,
                client.stream("POST", url, content=body, headers=headers, extensions={"sni_hostname": host}) as answer,
            ):
                _require_taken(answer)
        except httpx.HTTPError as error:
            raise NotDelivered(f"the receiver could not be reached ({type(error).__name__})") from error

    async def _address(self, host: str, port: int) -> IPv4Address | IPv6Address:
        """The address to connect to. Raises ``NotDelivered`` when one of the host's is private and may not be."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NotDelivered("the host's name is not known") from error
        addresses = [ip_address(address[0]) for *_, address in found]
        if not self.private and not all(map(is_public, addresses)):
            raise NotDelivered("the host is in a private network")
        return addresses[0]


def _fitted(service: object) -> NotifyFormat:
    """See to what ``apprise`` leaves to its callers; the format that the text is to be handed over in.

    - Discord looks for mentions in what it is sent, unless the message says which it may have.
    - Google Chat shows the escapes that ``apprise`` writes, in addresses too; the text has no markup to escape.
    """
    if isinstance(service, NotifyDiscord) and not getattr(service, "ping", None):
        send = service._send
        silent: dict[str, Any] = {"allowed_mentions": {"parse": []}}
        service._send = lambda payload, **options: send({**payload, **silent}, **options)  # type: ignore[method-assign]
    return NotifyFormat.MARKDOWN if isinstance(service, NotifyGoogleChat) else NotifyFormat.TEXT


def _host_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)


async def _connect(host: str, port: int) -> None:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_SECONDS)
    except (OSError, TimeoutError) as error:
        raise NotDelivered(f"{host}:{port} could not be reached ({type(error).__name__})") from error
    writer.close()


def payload_of(notice: Notice, source: str) -> bytes:
    """The body of a webhook: versioned JSON, the same for every attempt."""
    return json.encode(
        {
            "id": event_name(notice, source),
            "type": notice.kind,
            "version": PAYLOAD_VERSION,
            "timestamp": notice.occurred_at,
            "wallet_id": notice.wallet_id,
            "data": {name: value for name, value in notice.payload.items() if name != "wallet_id"},
        }
    )


def event_name(notice: Notice, source: str) -> str:
    """The stable id of an event, to dedupe on."""
    return f"evt_{source}_{notice.event_id}" if notice.event_id else f"evt_{source}_test_{notice.occurred_at}"


def signed(message_id: str, body: bytes, target: Target, now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks for ``body`` at ``now``."""
    secrets = target.signing_secrets(format_instant(now))
    signatures = [Webhook(secret).sign(message_id, now, body.decode()) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _require_taken(answer: httpx.Response) -> None:
    status = answer.status_code
    if status == 410:
        raise NotDelivered("the receiver is gone (410)", gone=True)
    if not 200 <= status < 300:
        hint = "; redirects are not followed" if 300 <= status < 400 else ""
        raise NotDelivered(f"the receiver answered {status}{hint}", retry_after_seconds=_retry_after(answer))


def _retry_after(answer: httpx.Response) -> float:
    """What the answer's ``Retry-After`` asks for, in seconds; 0 when there is none that can be read."""
    return retry_after_seconds(answer.headers.get("retry-after"), datetime.now(UTC)) or 0.0
