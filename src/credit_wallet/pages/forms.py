"""What a person has filled in: read once, within bounds, and each field once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from unicodedata import normalize
from urllib.parse import parse_qsl

from credit_wallet.errors import InvalidRequest
from credit_wallet.pages.api import Refused
from credit_wallet.wire.asgi import Receive
from credit_wallet.wire.receiving import CALLERS_ROOM, read_body

MAX_FORM_BYTES = 256 << 10
"""A price file is the longest that anybody pastes."""

MAX_FIELDS = 500

WAS = "was."
"""Before the name of a hidden field: what the field has shown when the page was made."""

CHANGED_MEANWHILE = "changed_meanwhile"
"""The code of a refusal: somebody else has changed the same. Its ``changed`` has the names of the fields."""


async def read_form(receive: Receive, media_type: str) -> dict[str, list[str]]:
    """The fields of a form, each with its values. Raises ``InvalidRequest``."""
    if media_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise InvalidRequest("send the form as application/x-www-form-urlencoded", field="content-type")
    body = await read_body(receive, MAX_FORM_BYTES, CALLERS_ROOM)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=False,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise InvalidRequest("the form cannot be read; send text in UTF-8") from error
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


class Form:
    """The fields of a form; ``text`` and the others read one as what the API takes."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self.fields = fields

    def text(self, name: str) -> str:
        """A field's only value without spaces around it; empty when it is absent. Raises ``InvalidRequest``."""
        values = self._texts(name)
        if len(values) > 1:
            raise InvalidRequest("the field was sent twice", field=name)
        return values[0] if values else ""

    def optional(self, name: str) -> str | None:
        """A field's text, None when it is empty."""
        return self.text(name) or None

    def whole(self, name: str) -> int | str | None:
        """A whole number, None when the field is empty. Any other text is passed on for the API to refuse."""
        given = self.amount(name)
        if given is None:
            return None
        return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else given

    def whole_or_zero(self, name: str) -> int | str:
        """The same, 0 when the field is empty: a limit of none."""
        return self.whole(name) or 0

    def amount(self, name: str) -> str | None:
        """An amount of yen as text, without the commas, signs and wide digits of people; None when it is empty."""
        return normalize("NFKC", self.text(name)).replace(",", "").removeprefix("¥").removesuffix("円").strip() or None

    def percentages(self, name: str) -> list[int | str]:
        """Percentages as people write them, ``80, 100 %``. Anything else is passed on for the API to refuse."""
        given = re.split(r"[\s,、%]+", normalize("NFKC", self.text(name)))
        return [int(share) if share.isdecimal() and len(share) < 9 else share for share in given if share]

    def checked(self, name: str) -> bool:
        """Whether a box is ticked."""
        return name in self.fields

    def many(self, name: str) -> list[str]:
        """Every value of a field."""
        return list(self.fields.get(name, []))

    def is_touched(self, name: str) -> bool:
        """Whether the person has changed what the field has shown; yes when nothing says what that was."""
        return WAS + name not in self.fields or self._texts(name) != self._texts(WAS + name)

    def _texts(self, name: str) -> list[str]:
        return [value.replace("\r\n", "\n").strip() for value in self.fields.get(name, [])]

    def changed(self, now: Mapping[str, Any], **fields: Callable[[Form, str], Any]) -> dict[str, Any]:
        """Those of ``fields`` that the person has changed, read by the function that each has.

        A page may be older than what is ``now``: what was only shown is not written. Raises ``Refused`` when somebody
        else has changed one of the same fields since the page was made.
        """
        wanted = {
            name: read(self, name) for name, read in fields.items() if name in self.fields and self.is_touched(name)
        }
        shown = {name: fields[name](self, WAS + name) for name in wanted if WAS + name in self.fields}
        changes = {name: value for name, value in wanted.items() if not is_same(value, shown.get(name, _UNKNOWN))}
        require_unchanged(
            name
            for name, value in changes.items()
            if name in shown and not is_same(now[name], shown[name]) and not is_same(now[name], value)
        )
        return {name: value for name, value in changes.items() if name not in shown or not is_same(now[name], value)}

    def given(self, **fields: Any) -> dict[str, Any]:
        """Those of ``fields`` that are not None: what a body has."""
        return {name: value for name, value in fields.items() if value is not None}


_UNKNOWN = object()


def is_same(one: Any, other: Any) -> bool:
    """Whether two values of a setting are the same; empty ones are."""
    return bool((one or None) == (other or None))


def require_unchanged(taken: Iterable[str]) -> None:
    """Raises ``Refused`` when there are fields that somebody else has changed meanwhile."""
    if changed := list(taken):
        detail = "somebody else has changed the same since the page was made; look at it and send the form again"
        raise Refused(409, {"code": CHANGED_MEANWHILE, "detail": detail, "field": changed[0], "changed": changed})


def merged(was: Mapping[str, str], wanted: Mapping[str, str], now: Mapping[str, str], field: str) -> dict[str, str]:
    """The pairs that are ``now``, with what makes ``wanted`` of those that the page has shown.

    Raises ``Refused`` when somebody else has changed one of the same pairs since.
    """
    changes = {name: wanted.get(name) for name in {**was, **wanted} if was.get(name) != wanted.get(name)}
    require_unchanged(field for name, value in changes.items() if now.get(name) not in (was.get(name), value))
    kept = {name: value for name, value in now.items() if name not in changes}
    return {**kept, **{name: value for name, value in changes.items() if value is not None}}
