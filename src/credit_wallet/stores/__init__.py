"""Stores: where a batch of commands becomes one durable transaction. All SQL is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:  # the alert job reads its SQL through this package with the standard library alone
    from credit_wallet.commands import Command
    from credit_wallet.errors import WalletError
    from credit_wallet.outcomes import Outcome

OLDEST_SAFE_SQLITE = (3, 51, 3)
"""Earlier versions can corrupt a database when its log is reset (sqlite.org/wal.html, "the WAL-reset bug")."""

P = ParamSpec("P")
T = TypeVar("T")


class Store(Protocol):
    """What the rail asks of a database. Every method is one durable transaction, or raises and nothing moved."""

    def execute(self, commands: Sequence[Command], now: datetime) -> list[Outcome | WalletError]:
        """Carry out ``commands``; one outcome or refusal per command, in order. Raises ``DatabaseError``."""

    def create_wallet(
        self,
        owner_token_hash: str,
        label: str | None,
        auto_topup: tuple[int, int],
        monthly_budget_yen: int,
        budget_mode: str,
        time_zone: str,
        now: datetime,
    ) -> int:
        """Insert a wallet and return its id; ``auto_topup`` is threshold and amount."""

    def create_key(
        self,
        wallet_id: int,
        token_hash: str,
        label: str | None,
        monthly_cap_yen: int,
        expires_at: str | None,
        now: datetime,
    ) -> int:
        """Insert an agent key and return its id."""

    def revoke_key(self, key_id: int, now: datetime) -> str:
        """Revoke an agent key for good, effective at once; return when it was revoked first. Raises ``KeyNotFound``."""

    def replace_key(self, key_id: int, token_hash: str, old_expires_at: str, now: datetime) -> int:
        """Insert a key like ``key_id`` and let that one end at ``old_expires_at``; return the new one's id."""

    def check_writable(self) -> None:
        """Raises ``DatabaseError`` when the database would not take a write, ``MigrationError`` when it is outdated."""

    def run(self, job: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``job(connection, …)``; for the background jobs."""

    def close(self) -> None:
        """Let go of the database."""
