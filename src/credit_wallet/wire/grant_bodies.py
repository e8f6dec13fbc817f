"""The body of a request for a grant."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from credit_wallet.domain.grants import MAX_LAPSE_DAYS, Rhythm
from credit_wallet.wire.bodies import Amount, Body, End, Id, Note

Start = Annotated[
    str,
    Meta(
        extra_json_schema={"anyOf": [{"format": "date-time"}, {"format": "date"}]},
        description="ISO 8601 time when it starts; or a date, for the start of that day in the wallet's time zone.",
    ),
]


class CreateGrantBody(Body, frozen=True):
    """Credit to promise to a wallet: once, or every month."""

    wallet_id: Id
    amount_yen: Amount
    promo: bool = True
    starts_at: Start | None = None
    every: Rhythm | None = None
    until: End | None = None
    lapses: (
        Annotated[int, Meta(ge=1, le=MAX_LAPSE_DAYS, description="That many days after it was to come.")]
        | Literal["never", "next"]
    ) = "never"
    note: Note | None = None
