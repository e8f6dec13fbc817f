"""What a person has filled in: read once, within bounds, and each field once."""

from __future__ import annotations

import re
from typing import Any
from unicodedata import normalize
from urllib.parse import parse_qsl

from credit_wallet.errors import InvalidRequest
from credit_wallet.wire.asgi import Receive
from credit_wallet.wire.receiving import CALLERS_ROOM, read_body

MAX_FORM_BYTES = 256 << 10
"""A price file is the longest that anybody pastes."""

MAX_FIELDS = 500


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
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise InvalidRequest("the field was sent twice", field=name)
        return values[0].replace("\r\n", "\n").strip() if values else ""

    def optional(self, name: str) -> str | None:
        """A field's text, None when it is empty."""
        return self.text(name) or None

    def whole(self, name: str) -> int | str | None:
        """A whole number, None when the field is empty. Any other text is passed on for the API to refuse."""
        given = self.amount(name)
        if given is None:
            return None
        return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else given

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

    def given(self, **fields: Any) -> dict[str, Any]:
        """Those of ``fields`` that are not None: what a body has."""
        return {name: value for name, value in fields.items() if value is not None}
