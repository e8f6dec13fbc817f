"""How long a node waits for PostgreSQL, where an operator may say otherwise."""

from __future__ import annotations

import os
from math import isfinite

from msgspec import Struct

from credit_wallet.errors import InvalidRequest
from credit_wallet.runtime import deadlines

ATTEMPT_VARIABLE = "CREDIT_WALLET_POSTGRES_ATTEMPT_SECONDS"
PATIENCE_VARIABLE = "CREDIT_WALLET_POSTGRES_PATIENCE_SECONDS"
MAX_SECONDS = 3_600.0


class PostgresWaits(Struct, frozen=True):
    """Seconds; what is None is as ``deadlines`` says."""

    attempt: float | None = None
    """How long one attempt at a batch may take, 1 to 3,600."""

    patience: float | None = None
    """How long after it was lost a database may come back before callers get an error, 0 to 3,600."""

    @classmethod
    def of_environment(cls) -> PostgresWaits:
        """What the environment says. Raises ``InvalidRequest`` when that makes no sense."""
        return cls(_seconds(ATTEMPT_VARIABLE, least=1.0), _seconds(PATIENCE_VARIABLE, least=0.0))

    @property
    def attempt_seconds(self) -> float:
        return deadlines.POSTGRES_ATTEMPT_SECONDS if self.attempt is None else self.attempt

    @property
    def patience_seconds(self) -> float:
        return deadlines.POSTGRES_PATIENCE_SECONDS if self.patience is None else self.patience

    @property
    def read_patience_seconds(self) -> float:
        return min(self.patience_seconds, deadlines.POSTGRES_READ_PATIENCE_SECONDS)


def _seconds(variable: str, *, least: float) -> float | None:
    said = os.environ.get(variable, "").strip()
    if not said:
        return None
    try:
        seconds = float(said)
    except ValueError:
        seconds = -1.0
    if not (isfinite(seconds) and least <= seconds <= MAX_SECONDS):
        raise InvalidRequest(
            f"{variable} must be {least:g} to {MAX_SECONDS:,.0f} seconds, not {said!r}", field=variable
        )
    return seconds
