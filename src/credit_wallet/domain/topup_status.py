"""What a top-up goes through. Apart from the other values of top-ups, as the command line names them in its help."""

from __future__ import annotations

from typing import Literal, get_args

TopupStatus = Literal["requested", "pending", "requires_action", "succeeded", "credited", "failed", "canceled"]

STATUSES: tuple[TopupStatus, ...] = get_args(TopupStatus)
