"""How long a node waits for PostgreSQL, as far as an operator may configure it."""

from __future__ import annotations

from msgspec import Struct

from credit_wallet.config import POSTGRES_ATTEMPT_SECONDS, POSTGRES_PATIENCE_SECONDS
from credit_wallet.runtime import deadlines


class PostgresWaits(Struct, frozen=True):
    """Seconds; None stands for the default of ``deadlines``."""

    attempt: float | None = None
    """How long one attempt at a batch may take, 1 to 3,600."""

    patience: float | None = None
    """How long after it was lost a database may come back before callers get an error, 0 to 3,600."""

    @classmethod
    def of_environment(cls) -> PostgresWaits:
        """The values of the environment. Raises ``InvalidRequest`` for invalid ones."""
        return cls(POSTGRES_ATTEMPT_SECONDS.read(), POSTGRES_PATIENCE_SECONDS.read())

    @property
    def attempt_seconds(self) -> float:
        return deadlines.POSTGRES_ATTEMPT_SECONDS if self.attempt is None else self.attempt

    @property
    def patience_seconds(self) -> float:
        return deadlines.POSTGRES_PATIENCE_SECONDS if self.patience is None else self.patience

    @property
    def read_patience_seconds(self) -> float:
        return min(self.patience_seconds, deadlines.POSTGRES_READ_PATIENCE_SECONDS)
