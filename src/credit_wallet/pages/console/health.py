"""How the service is, in plain words: what is well, what to look at, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import CONSOLE, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text


class Verdict(NamedTuple):
    """What is looked at: its name, what it says when all is well, and what to do when it is not."""

    name: str
    good: str
    to_do: str


VERDICTS: Final[dict[str, Verdict]] = {
    "clock": Verdict(
        text("Clock"),
        text("The clocks of this machine and of the ledger agree."),
        text(
            "The clocks disagree, so that days and ends of credit may be off. Set this machine's clock (NTP), then "
            "start the service again."
        ),
    ),
    "seals": Verdict(
        text("Seals"),
        text("Entries are sealed soon after they are made, so that nobody can change them unseen."),
        text("Entries wait too long for a seal. See whether the job 'seal' runs, and what the log says of it."),
    ),
    "jobs": Verdict(
        text("Background jobs"),
        text("Each job runs at its pace."),
        text(
            "A job is late. The log says why ('job_failed'); if it hangs, start the service again: a job goes on "
            "where it was."
        ),
    ),
    "commits": Verdict(
        text("Traffic"),
        text("What is asked is written down at once."),
        text(
            "Writing takes a second or more, so that callers wait. See what else the disk or the database's machine "
            "is doing, and whether it is full."
        ),
    ),
    "deliveries": Verdict(
        text("Notices"),
        text("Notices go out as they come."),
        text("Some notices were given up. Correct their addresses, then send them again."),
    ),
}
"""By the checks of ``GET /operator/health``."""

JOBS: Final[dict[str, str]] = {
    "expire": text("Ends credit and holds whose time is over"),
    "credit_grants": text("Credits grants that are due"),
    "undo_abandoned": text("Takes back what was begun and never finished"),
    "finish_transfers": text("Finishes transfers between wallets"),
    "seal": text("Seals entries"),
    "emit_seal": text("Announces the latest seal"),
    "alerts": text("Looks at budgets and low balances"),
    "watch_spending": text("Looks for unusual spending"),
    "count_usage": text("Counts usage"),
    "count_totals": text("Counts the totals"),
    "expiry_notices": text("Announces credit that ends soon"),
    "budget_renewals": text("Announces budgets that began anew"),
    "prune_idempotency_keys": text("Forgets old idempotency keys"),
    "prune_notices": text("Forgets old notices"),
    "prune_closed": text("Forgets what closed wallets need no longer"),
    "prune_budgets": text("Forgets what ended budgets have counted"),
    "reconcile": text("Compares payments with Stripe"),
    "topups": text("Makes automatic top-ups"),
}
"""What each background job does."""

DATABASES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

CLASSES: Final = {
    2: text("Done"),
    3: text("Sent on"),
    4: text("Refused"),
    5: text("Failed"),
}
"""What answers with statuses of the same hundred say."""

LATE_SECONDS = 60.0
"""From when on the lag of a job stands out."""

_UNITS = ("B", "kB", "MB", "GB", "TB")


@page(f"{CONSOLE}/health", "operator")
async def health(visit: Visit) -> Reply:
    """The database, the jobs, the queues, the seals, the rail and the requests."""
    seen = await visit.get("/operator/health")
    well = {each["check"]: each["ok"] for each in seen["findings"]}
    return await visit.show(
        "console/health.html",
        health=seen,
        well=well,
        details={each["check"]: each["detail"] for each in seen["findings"]},
        verdicts=VERDICTS,
        wrong=[VERDICTS[check] for check, ok in well.items() if not ok and check in VERDICTS],
        names=JOBS,
        database=DATABASES.get(seen["database"]["kind"], seen["database"]["kind"]),
        size=size_of(seen["database"]["bytes"]),
        failures=seen["requests"]["by_status"].get("500", 0),
        statuses=[*_statuses(seen["requests"]["by_status"])],
        CLASSES=CLASSES,
        jobs=[_job(each, visit.now) for each in seen["jobs"]],
        seal_age=_age(seen["seal"]["sealed_at"], visit.now),
        event_age=_age(seen["queue"]["oldest_event_at"], visit.now),
    )


def _job(job: Any, now: datetime) -> Any:
    """A job with the age of its last success, and whether it is late at its pace."""
    return {
        **job,
        "age": _age(job["last_success"], now),
        "is_late": job["late_seconds"] > max(LATE_SECONDS, 2 * job["every_seconds"]),
    }


class Statuses(NamedTuple):
    """How many answers there were of a class, such as all from 200 to 299, and of each status in it."""

    hundreds: int
    count: int
    each: list[tuple[str, int]]


def _statuses(by_status: Mapping[str, int]) -> Iterator[Statuses]:
    for hundreds in sorted({int(status) // 100 for status in by_status}):
        its = [(status, count) for status, count in sorted(by_status.items()) if int(status) // 100 == hundreds]
        yield Statuses(hundreds, sum(count for _, count in its), its)


def size_of(count: int) -> str:
    """A number of bytes as people say it: ``132 MB``."""
    size, unit = float(count), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if 0 < size < 10 and unit else f"{size:.0f} {_UNITS[unit]}"


def _age(instant: str | None, now: datetime) -> float | None:
    """For how many seconds something has been so."""
    return None if instant is None else max(0.0, (now - datetime.fromisoformat(instant)).total_seconds())
