"""The bodies of requests about purchases."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from credit_wallet.domain.commands import MAX_ATTEMPT_LENGTH, MAX_HOLD_SECONDS, MAX_LEASE_SECONDS
from credit_wallet.wire.bodies import Body, Id, Note, SentKey, Sold
from credit_wallet.wire.names import Metadata, Reference

Attempt = Annotated[str, Meta(min_length=1, max_length=MAX_ATTEMPT_LENGTH, pattern="^[ -~]+$")]
LeaseSeconds = Annotated[int, Meta(ge=1, le=MAX_LEASE_SECONDS)]


class BuyBody(Sold, frozen=True, kw_only=True):
    """The price of a request, and the attempt to serve it."""

    attempt: Attempt
    hold_seconds: Annotated[int, Meta(ge=1, le=MAX_HOLD_SECONDS)] | None = None
    lease_seconds: LeaseSeconds = 30
    free_retries: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    note: Note | None = None
    wallet_id: Id | None = None
    reference: Reference | None = None
    metadata: Metadata | None = None


class ServeBody(Body, frozen=True):
    """The attempt whose response has reached the buyer."""

    wallet_id: Id
    purchase_key: SentKey
    attempt: Attempt
    forget: bool = False


class RenewBody(Body, frozen=True):
    """The attempt that is still working."""

    wallet_id: Id
    purchase_key: SentKey
    attempt: Attempt
    lease_seconds: LeaseSeconds = 30


class UndoBody(Body, frozen=True):
    """The attempt that failed, and why."""

    wallet_id: Id
    purchase_key: SentKey
    attempt: Attempt
    reason: Note = "not served"
