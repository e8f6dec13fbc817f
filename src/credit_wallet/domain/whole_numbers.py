"""Reading a whole number from text: of the command line, of a query, of the environment.

Python's ``int`` also takes ``1_0``, ``+3``, full-width digits and spaces, and other readers take ``3.0`` and ``1e1``.
Where the number is an amount or names a wallet, none of these may be accepted by mistake.
"""

from __future__ import annotations

import re

_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,38})")


def whole_number(text: str) -> int:
    """The number that ``text`` writes in decimal ASCII digits, as a program would: up to 39 of them, no leading zero.

    Raises ``ValueError`` for anything else.
    """
    if not _WHOLE_NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)
