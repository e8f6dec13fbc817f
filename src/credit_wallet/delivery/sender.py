"""Sending a notice to a target: signed webhooks by ``httpx``, mail and services such as Slack by ``apprise``.

A webhook is signed as Standard Webhooks say (github.com/standard-webhooks/standard-webhooks, spec): ``webhook-id`` is
the event's and the same for every attempt, ``webhook-signature`` has one signature for each secret that is in force.
Private addresses are refused at the moment of sending, see ``connections``. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from apprise import Apprise, AppriseAsset, NotifyFormat
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.google_chat import NotifyGoogleChat
from msgspec import json
from standardwebhooks import Webhook

from credit_wallet.delivery.bounds import MAILS_AT_ONCE, MAX_CONNECTIONS, MESSAGES_AT_ONCE
from credit_wallet.delivery.connections import allowed_addresses, open_client
from credit_wallet.delivery.names import Names
from credit_wallet.delivery.outbound import NotDelivered
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.retry_after import retry_after_seconds
from credit_wallet.notices.confirming import question
from credit_wallet.notices.targets import Channel, Target, channel_of, is_mail, is_webhook
from credit_wallet.notices.texts import Message, Notice, message_of
from credit_wallet.runtime.deadlines import NOTICE_CONNECT_SECONDS, Crew, CrewBusy
from credit_wallet.runtime.deadlines import NOTICE_SECONDS as SEND_SECONDS
from credit_wallet.version import __version__

PAYLOAD_VERSION = 1

MAX_ANSWERED_BYTES = 65_536
"""Of an answer that are read, and left out, so that its connection can be kept."""

SMTP, SUBMISSION = 25, 587
"""Ports of a mail server that names none, without and with TLS."""

_ASSET = AppriseAsset(
    app_id="Agent Credit Wallet", app_desc="Agent Credit Wallet", image_url_mask="", image_url_logo=""
)


class Sender:
    """How this installation sends. ``source`` is its ledger's name, which makes event ids its own.

    ``mail_url`` is the operator's mail server as ``apprise`` writes it (``mailtos://user:password@smtp.example.com``).
    ``private`` lets webhooks go to private addresses.
    """

    def __init__(self, source: str, mail_url: str | None = None, private: bool = False) -> None:
        self.source = source
        self.private = private
        self._mail_url = mail_url

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Sending]:
        """What sends from this event loop: one client, a crew for names, two for what waits. Closing waits for none."""
        names = Names()
        crews: dict[Channel, Crew] = {
            "mail": Crew("credit-wallet-mail", MAILS_AT_ONCE, MAILS_AT_ONCE),
            "service": Crew("credit-wallet-messages", MESSAGES_AT_ONCE, MESSAGES_AT_ONCE),
        }
        client = open_client(names, self._tls, private=self.private, max_connections=MAX_CONNECTIONS)
        try:
            yield Sending(self, client, names, crews)
        finally:
            names.close()
            for crew in crews.values():
                crew.close()
            await client.aclose()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """One for all: to make it takes tens of milliseconds."""
        return httpx.create_ssl_context(trust_env=False)

    def say_notices(self, target: Target, notices: Sequence[Notice]) -> None:
        """Send people what happened, in their language, and wait. Raises ``NotDelivered``."""
        self.say(target, message_of(notices, target.language))

    def say(self, target: Target, message: Message) -> None:
        """Send a message to people, and wait. Raises ``NotDelivered``."""
        service = Apprise.instantiate(self._service_url(target), asset=_ASSET, suppress_exceptions=True)
        if service is None:
            raise NotDelivered("the service no longer accepts such an address")
        services = Apprise(asset=_ASSET)
        services.add(service)
        if not services.notify(title=message.title, body=message.body, body_format=_fitted(service)):
            raise NotDelivered("the service could not be reached, or did not accept it")

    def _service_url(self, target: Target) -> str:
        if not is_mail(target.url):
            return target.url
        if self._mail_url is None:
            raise NotDelivered("the operator has no mail server")
        separator = "&" if "?" in self._mail_url else "?"
        return f"{self._mail_url}{separator}to={quote(target.url.removeprefix('mailto:'), safe='@')}"

    def mail_server(self, target: Target) -> tuple[str, int]:
        """Host and port of the mail server. Raises ``NotDelivered`` when there is none."""
        parts = urlsplit(self._service_url(target))
        return str(parts.hostname), parts.port or (SUBMISSION if parts.scheme == "mailtos" else SMTP)


class Sending:
    """The ``outbound.Outbound`` of this installation."""

    def __init__(self, sender: Sender, client: httpx.AsyncClient, names: Names, crews: dict[Channel, Crew]) -> None:
        self._sender = sender
        self._client = client
        self._names = names
        self._crews = crews

    async def send(self, target: Target, notices: Sequence[Notice]) -> None:
        """Send ``notices`` to ``target`` in one message; a webhook takes one. Raises ``NotDelivered``."""
        sending: Coroutine[Any, Any, None]
        if is_webhook(target.url):
            [notice] = notices
            sending = self._send_webhook(target, notice)
        else:
            sending = self._crews[channel_of(target.url)].ask(self._sender.say_notices, target, notices)
        await _in_time(sending)

    async def ask(self, target: Target, code: str) -> None:
        """Ask a mailbox whether it wants notices. Raises ``NotDelivered``."""
        await _in_time(self._crews["mail"].ask(self._sender.say, target, question(code, target.language)))

    async def reach(self, target: Target) -> None:
        """Open and close a connection to a webhook or the mail server, and send nothing. Raises ``NotDelivered``.

        Other services are not asked: their addresses are their own.
        """
        if is_webhook(target.url):
            host, port = _host_of(target.url)
            addresses = await allowed_addresses(self._names, host, private=self._sender.private)
            await _connect(str(addresses[0]), port, host)
        elif is_mail(target.url):
            host, port = self._sender.mail_server(target)
            await _connect(str((await self._names.addresses(host))[0]), port, host)

    async def _send_webhook(self, target: Target, notice: Notice) -> None:
        source = self._sender.source
        body = payload_of(notice, source)
        headers = {
            "content-type": "application/json",
            "user-agent": f"agent-credit-wallet/{__version__}",
            **signed(event_name(notice, source), body, target, datetime.now(UTC)),
        }
        try:
            async with self._client.stream("POST", target.url, content=body, headers=headers) as answer:
                _require_taken(answer)
                await _read(answer)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotDelivered(f"the receiver could not be reached ({type(error).__name__})") from error


async def _in_time(sending: Coroutine[Any, Any, None]) -> None:
    try:
        await asyncio.wait_for(sending, SEND_SECONDS)
    except TimeoutError:
        raise NotDelivered(f"no answer within {SEND_SECONDS:.0f} seconds") from None
    except CrewBusy:
        raise NotDelivered("too many messages are on their way; this one waits for the next attempt") from None


async def _read(answer: httpx.Response) -> None:
    """Read a short answer to its end; a connection with a long one is not worth keeping."""
    read_bytes = 0
    async for part in answer.aiter_raw():
        read_bytes += len(part)
        if read_bytes > MAX_ANSWERED_BYTES:
            return


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


async def _connect(address: str, port: int, host: str) -> None:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), NOTICE_CONNECT_SECONDS)
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
