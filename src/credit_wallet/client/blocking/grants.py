"""The operator's grants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import Send
from credit_wallet.domain.grants import GrantOccurrence, GrantView, Rhythm
from credit_wallet.rules.usage import Amount
from credit_wallet.wire.grant_bodies import CreateGrantBody


class Grants:
    """Credit that is promised to wallets. All methods are for the operator."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def create(
        self,
        wallet_id: int,
        amount_yen: Amount,
        *,
        promo: bool = True,
        starts_at: str | None = None,
        every: Rhythm | None = None,
        until: str | None = None,
        lapses: int | Literal["never", "next"] = "never",
        note: str | None = None,
        idempotency_key: str | None = None,
    ) -> GrantView:
        """Promise a wallet credit: once, or ``every`` month until a time. Exact as ``charge`` is.

        The credit lapses never, when the next month's comes, or that many days after it was to come.
        """
        amount = calls.sent_exactly(amount_yen)
        body = CreateGrantBody(wallet_id, amount, promo, starts_at, every, until, lapses, note)
        key = calls.checked_or_new(idempotency_key)
        return self._send(Call("POST", "/operator/grants", read_as(GrantView), body, idempotency_key=key))

    def list(self, wallet_id: int | None = None, *, after: int = 0, limit: int = 100) -> Sequence[GrantView]:
        """Grants with an id above ``after``, by id, of a wallet or of all; ``limit`` is 1 to 1,000."""
        read = read_as(list[GrantView])
        return self._send(calls.get("/operator/grants", read, wallet_id=wallet_id, after=after, limit=limit))

    def show(self, grant_id: int) -> GrantView:
        """One grant. Raises ``GrantNotFound``."""
        return self._send(calls.get(f"/operator/grants/{grant_id:d}", read_as(GrantView)))

    def occurrences(self, grant_id: int, *, before: int | None = None, limit: int = 100) -> Sequence[GrantOccurrence]:
        """What was due of a grant, newest first; ``limit`` is 1 to 1,000. Raises ``GrantNotFound``."""
        path = f"/operator/grants/{grant_id:d}/occurrences"
        return self._send(calls.get(path, read_as(list[GrantOccurrence]), before=before, limit=limit))

    def cancel(self, grant_id: int) -> GrantView:
        """Cancel a grant for good; credit that has arrived stays. Raises ``GrantNotFound``."""
        return self._send(Call("DELETE", f"/operator/grants/{grant_id:d}", read_as(GrantView)))
