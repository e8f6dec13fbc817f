"""What a movement is called by those who asked for it, so that they find it again."""

from __future__ import annotations

from msgspec import Struct

from credit_wallet.domain.metadata import Metadata

MAX_REQUEST_ID_LENGTH = 128
"""Characters of a request id, which is printable ASCII."""


class Names(Struct, frozen=True, gc=False):
    """The caller's id of the request, the host's id of the thing, and pairs of the host's.

    ``idempotency_key`` is set when the movement is carried out: an entry with names has the key of its request.
    """

    request_id: str | None = None
    reference: str | None = None
    metadata: Metadata = ()
    idempotency_key: str | None = None
