"""What is the same for everybody and long: packed once as gzip, and sent so to whoever takes it.

Only what holds no secret: beside a secret, the length of what is packed would tell of it.
"""

from __future__ import annotations

import gzip
from typing import NamedTuple

from credit_wallet.wire.asgi import RawHeaders

VARIES: tuple[bytes, bytes] = (b"vary", b"accept-encoding")
AS_GZIP: tuple[bytes, bytes] = (b"content-encoding", b"gzip")


class Packed(NamedTuple):
    """Content, and the same as gzip."""

    plain: bytes
    packed: bytes

    def sent_to(self, accepted: str) -> tuple[bytes, RawHeaders]:
        """What a caller gets whose header ``Accept-Encoding`` is ``accepted``, and the headers that say so."""
        return (self.packed, [VARIES, AS_GZIP]) if takes_gzip(accepted) else (self.plain, [VARIES])


def packed(content: bytes) -> Packed:
    """``content`` to be sent again and again."""
    return Packed(content, gzip.compress(content, mtime=0))


def takes_gzip(accepted: str) -> bool:
    """Whether the header ``Accept-Encoding`` names gzip without refusing it (RFC 9110, section 12.5.3)."""
    named = (each.replace(" ", "").lower() for each in accepted.split(","))
    return any(each == "gzip" or (each.startswith("gzip;") and each.strip("0.") != "gzip;q=") for each in named)
