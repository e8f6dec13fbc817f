"""How a service is, for the operators: its database, its jobs, and what it does."""

from __future__ import annotations

from msgspec import Struct

from credit_wallet.domain.views import Finding


class JobHealth(Struct, frozen=True):
    """How a background job of this process goes; ``late_seconds`` for how long it has been due, or at work."""

    job: str
    every_seconds: float
    succeeded: int
    failed: int
    last_success: str | None
    late_seconds: float


class DatabaseHealth(Struct, frozen=True):
    """The database: what it is, how large, and by which migration it was brought up to date."""

    kind: str
    bytes: int
    migration: str


class QueueHealth(Struct, frozen=True):
    """What waits to be reported: events without deliveries yet, deliveries to be sent, and those that were given up."""

    events: int
    oldest_event_at: str | None
    deliveries: int
    dead_deliveries: int


class SealHealth(Struct, frozen=True):
    """The latest seal of the ledger, and for how long entries have waited for the next."""

    seal_id: int | None
    sealed_at: str | None
    unsealed_seconds: float


class RailHealth(Struct, frozen=True):
    """What this process has committed in the last minute; percentiles are estimates, null when nothing was."""

    waiting: int
    batches_per_second: float
    commands_per_second: float
    commit_p50_ms: float | None
    commit_p99_ms: float | None


class RequestHealth(Struct, frozen=True):
    """What this process has answered: by status since it began, and in the last minute."""

    by_status: dict[str, int]
    per_second: float
    p50_ms: float | None
    p99_ms: float | None


class ServiceHealth(Struct, frozen=True):
    """How the service is: the ledger, and the process that answers. ``ok`` when nothing needs a look."""

    ok: bool
    findings: list[Finding]
    version: str
    started_at: str
    uptime_seconds: int
    database: DatabaseHealth
    queue: QueueHealth
    seal: SealHealth
    jobs: list[JobHealth]
    rail: RailHealth
    requests: RequestHealth
