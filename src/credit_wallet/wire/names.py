"""What hosts and callers call what they ask for, as it stands in bodies and queries."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from credit_wallet.domain.metadata import (
    MAX_METADATA_KEY_LENGTH,
    MAX_METADATA_PAIRS,
    MAX_METADATA_VALUE_LENGTH,
    MAX_REFERENCE_LENGTH,
)
from credit_wallet.domain.names import MAX_REQUEST_ID_LENGTH

NAME_PATTERN = "^[^\\x00-\\x1f\\x7f]*$"

RequestId = Annotated[str, Meta(min_length=1, max_length=MAX_REQUEST_ID_LENGTH, pattern="^[ -~]+$")]
Reference = Annotated[str, Meta(min_length=1, max_length=MAX_REFERENCE_LENGTH, pattern=NAME_PATTERN)]
Metadata = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=MAX_METADATA_KEY_LENGTH, pattern=NAME_PATTERN)],
        Annotated[str, Meta(max_length=MAX_METADATA_VALUE_LENGTH, pattern="^[^\\x00]*$")],
    ],
    Meta(max_length=MAX_METADATA_PAIRS),
]
