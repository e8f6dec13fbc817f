"""Notification targets: where a wallet's notices go, and what its owner wants to hear there.

- ``https://…`` is a signed webhook (Standard Webhooks, standardwebhooks.com);
- ``mailto:person@example.com`` is mail, sent through the operator's mail server;
- anything else is a service that ``apprise`` speaks: ``slack://…``, ``tgram://…``, and the addresses that Slack,
  Discord and Google Chat give out themselves.

An owner may name services whose address is fixed, so that a target cannot be made to reach into the operator's network,
and one receiver there; an operator may name whatever ``apprise`` speaks. A mailbox that an owner names is asked first,
see ``confirming``.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct

from credit_wallet.domain.cycle import format_instant
from credit_wallet.errors import InvalidRequest
from credit_wallet.notices.texts import FOR_PEOPLE, KINDS
from credit_wallet.rules.validation import check_time_zone

OPERATOR = 0
"""The ``wallet_id`` of the operator's targets, which hear of every wallet."""

MAX_TARGETS = 10
"""Of a wallet, or of the operator."""

MAX_URL_LENGTH = 2_000

MAX_SERVICE_URL_LENGTH = 300
"""Of an owner's address of a service such as Slack. Reading it takes ``apprise`` a time that grows with its square."""

OWNERS_SERVICES = ("discord", "gchat", "line", "pover", "slack", "tgram")
"""Schemas of ``apprise`` whose address is the service's own."""

OWNERS_HOSTS = ("hooks.slack.com", "discord.com", "discordapp.com", "chat.googleapis.com")
"""Where services give out addresses of their own that ``apprise`` understands."""

ROTATION_OVERLAP = timedelta(days=1)
"""How long the secret before the newest goes on signing."""

SECRET_BYTES = 32

Language = Literal["en", "ja"]

Secrets: TypeAlias = tuple[tuple[str, str | None], ...]
"""What signs a webhook, newest first, each with when it ends."""

Channel = Literal["webhook", "mail", "service"]
"""How a target is sent to."""

CountReceivers: TypeAlias = Callable[[str], int]
"""How many receivers an address of a service such as Slack names; 0 when no service knows it."""

MAX_MAILBOX_LENGTH = 254
"""RFC 5321, section 4.5.3.1.3, without its brackets."""

_NO_PART_OF_MAIL = r"\s@/?&=#:%,;<>()\[\]\"'\\"
_MAIL = re.compile(f"mailto:[^{_NO_PART_OF_MAIL}]++@[^.{_NO_PART_OF_MAIL}]++(?:[.][^.{_NO_PART_OF_MAIL}]++)++")
"""One address and nothing else: no name, no second address, nothing that a URL encodes. Nothing is looked at twice."""

_NEW_MAIL = re.compile(
    r"mailto:[A-Za-z0-9!*+_~-]+([.][A-Za-z0-9!*+_~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?[.])+[A-Za-z]{2,63}"
)
"""What a mailbox must look like today: letters that every mail server and every library reads alike."""

_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*:")

QUIET_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", re.ASCII)
DIGEST = re.compile(r"hourly|([01]\d|2[0-3]):[0-5]\d", re.ASCII)


class TargetSettings(Struct, frozen=True, kw_only=True):
    """A target as it is asked for. No ``kinds`` means everything that a person should hear.

    ``quiet_hours`` (``22:00-07:00``) hold notices back until they are over. ``digest`` gathers them into one message,
    ``hourly`` or at a time of day (``09:00``). Both are in ``time_zone``.
    """

    url: str
    kinds: tuple[str, ...] = ()
    language: Language = "en"
    quiet_hours: str | None = None
    digest: str | None = None
    time_zone: str = "UTC"


class WantedTarget(TargetSettings, frozen=True, kw_only=True):
    """A target as its owner writes it: by its address, or one that is there by its ``target_id``."""

    url: str = ""
    target_id: int | None = None
    rotate_secret: bool = False


class Target(TargetSettings, frozen=True, kw_only=True):
    """A target as it is stored. ``stopped`` says why nothing is sent to it any more.

    ``confirm_by`` is until when its mailbox may say yes, None when it has or need not. ``hour_notices`` is how many it
    was handed in ``hour`` (YYYY-MM-DDTHH, UTC) and those that came before and are put off until later ones.
    """

    target_id: int
    wallet_id: int
    secrets: Secrets
    stopped: str | None
    created_at: str
    confirm_by: str | None = None
    hour: str = ""
    hour_notices: int = 0

    def signing_secrets(self, at: str) -> list[str]:
        """The secrets that sign what is sent at the instant ``at``."""
        return [secret for secret, until in self.secrets if until is None or until > at]


class TargetView(Struct, frozen=True, kw_only=True):
    """A notification target as its owner sees it: the address without its secret parts."""

    target_id: int
    wallet_id: int
    address: str
    kinds: tuple[str, ...]
    language: Language
    quiet_hours: str | None
    digest: str | None
    time_zone: str
    stopped: str | None
    secret: str | None = None
    confirm_by: str | None = None


def normalised(url: str) -> str:
    """``url`` with its scheme, and a web address's host, in small letters: one spelling for what is the same."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return url
    small, rest = scheme[0].lower(), url[scheme.end() :]
    if small not in ("https:", "http:") or not rest.startswith("//"):
        return small + rest
    end = next((place for place, letter in enumerate(rest[2:], 2) if letter in "/?#"), len(rest))
    user, at, host = rest[2:end].rpartition("@")
    return f"{small}//{user}{at}{host.lower()}{rest[end:]}"


def is_webhook(url: str) -> bool:
    """Whether an address is a webhook of the owner's own."""
    scheme = url[:8].lower()
    return scheme.startswith(("https://", "http://")) and urlsplit(url).hostname not in OWNERS_HOSTS


def is_mail(url: str) -> bool:
    """Whether an address is a person's mailbox, written to through the operator's mail server."""
    return _MAIL.fullmatch(url) is not None


def channel_of(url: str) -> Channel:
    """How an address is sent to."""
    if is_webhook(url):
        return "webhook"
    return "mail" if is_mail(url) else "service"


def mailbox_of(url: str) -> str:
    """Whose mailbox an address is, whatever tag and letters it is written with: ``Me+a@X.org`` is ``me@x.org``."""
    name, _, host = url.removeprefix("mailto:").lower().rpartition("@")
    return f"{name.partition('+')[0]}@{host}"


def address_of(url: str) -> str:
    """An address as it may be shown: without paths, passwords and tokens."""
    if is_mail(url):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/…" if parts.scheme in ("http", "https") else f"{parts.scheme}://…"


def view_of(target: Target, secret: str | None = None) -> TargetView:
    """What is shown of a target."""
    return TargetView(
        target_id=target.target_id,
        wallet_id=target.wallet_id,
        address=address_of(target.url),
        kinds=target.kinds or FOR_PEOPLE,
        language=target.language,
        quiet_hours=target.quiet_hours,
        digest=target.digest,
        time_zone=target.time_zone,
        stopped=target.stopped,
        secret=secret,
        confirm_by=target.confirm_by,
    )


def new_secret() -> str:
    """A secret as Standard Webhooks writes it: ``whsec_`` and 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def rotated(known: Secrets, now: datetime) -> Secrets:
    """A new secret before the newest of ``known``, which goes on for ``ROTATION_OVERLAP``."""
    until = format_instant(now + ROTATION_OVERLAP)
    return ((new_secret(), None), *((secret, until) for secret, _ in known[:1]))


def check(
    settings: TargetSettings, wallet_id: int, count_receivers: CountReceivers, *, mail: bool, private: bool
) -> None:
    """Raise ``InvalidRequest`` naming the field that is wrong.

    ``mail`` says that the operator has a mail server, ``private`` that targets may be in a private network.
    """
    _check_url(settings.url, wallet_id, count_receivers, mail=mail, private=private)
    if unknown := [kind for kind in settings.kinds if kind not in KINDS]:
        raise InvalidRequest(f"kinds has {unknown[0]!r}; there are {', '.join(KINDS)}", field="kinds")
    if settings.language not in ("en", "ja"):
        raise InvalidRequest(f"language must be en or ja, not {settings.language!r}", field="language")
    _check_pattern("quiet_hours", settings.quiet_hours, QUIET_HOURS, "HH:MM-HH:MM such as 22:00-07:00")
    if settings.quiet_hours is not None and len({*settings.quiet_hours.split("-")}) == 1:
        raise InvalidRequest(
            f"quiet_hours {settings.quiet_hours} begin and end at one time, which is the whole day or none of it",
            field="quiet_hours",
        )
    _check_pattern("digest", settings.digest, DIGEST, "hourly or a time of day such as 09:00")
    if settings.digest is not None and is_webhook(settings.url):
        raise InvalidRequest("digest is for people; a webhook gets every event on its own", field="digest")
    check_time_zone(settings.time_zone)


def _check_pattern(name: str, value: Any, pattern: re.Pattern[str], example: str) -> None:
    if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
        raise InvalidRequest(f"{name} must be {example}, not {value!r}", field=name)


def _check_url(url: object, wallet_id: int, count_receivers: CountReceivers, *, mail: bool, private: bool) -> None:
    if url == "":
        raise InvalidRequest("send url for a new target, or target_id for one that exists", field="url")
    if not isinstance(url, str) or not 0 < len(url) <= MAX_URL_LENGTH or not url.isprintable() or " " in url:
        raise InvalidRequest(f"url must be an address of at most {MAX_URL_LENGTH} characters", field="url")
    if is_mail(url):
        _check_mail(url, mail=mail)
    elif is_webhook(url):
        _check_webhook(url, private=private)
    else:
        _check_service(url, wallet_id, count_receivers, private=private)


def _check_mail(url: str, *, mail: bool) -> None:
    if not mail:
        raise InvalidRequest("the operator has no mail server; use another target than mail", field="url")
    if not _NEW_MAIL.fullmatch(url) or len(url.removeprefix("mailto:")) > MAX_MAILBOX_LENGTH:
        raise InvalidRequest("url must be mailto: and one mailbox, such as mailto:person@example.com", field="url")


def _check_webhook(url: str, *, private: bool) -> None:
    if not _is_plain_web_address(url):
        raise InvalidRequest("url must be https://host/path, without user, password or #", field="url")
    if not url.startswith("https://") and not private:
        raise InvalidRequest("url must begin with https://", field="url")


def _is_plain_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc and not parts.fragment
    except ValueError:
        return False


def _check_service(url: str, wallet_id: int, count_receivers: CountReceivers, *, private: bool) -> None:
    scheme = url.partition(":")[0]
    if wallet_id != OPERATOR:
        _check_owners_service(url, scheme, private=private)
    receivers = count_receivers(url)
    if not receivers:
        raise InvalidRequest(
            f"url is not an address of the service {scheme}; see github.com/caronc/apprise", field="url"
        )
    if wallet_id != OPERATOR and receivers > 1:
        raise InvalidRequest("url must name one receiver; add a target for each", field="url")


def _check_owners_service(url: str, scheme: str, *, private: bool) -> None:
    """What keeps an owner's target to a service of a fixed address."""
    if len(url) > MAX_SERVICE_URL_LENGTH:
        raise InvalidRequest(
            f"url must be an address of at most {MAX_SERVICE_URL_LENGTH} characters, or a webhook", field="url"
        )
    if "?" in url:
        raise InvalidRequest("url must be without options; only the operator may set any", field="url")
    if not private and scheme not in (*OWNERS_SERVICES, "https"):
        raise InvalidRequest(
            f"url must be https://…, mailto:person@example.com or one of {', '.join(OWNERS_SERVICES)}://…", field="url"
        )
    if scheme == "https" and (not _is_plain_web_address(url) or urlsplit(url).port not in (None, 443)):
        raise InvalidRequest("url must be the address that the service provides", field="url")
