"""The checks of ``credit-wallet doctor``: configuration, database, clock, payments, notices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from credit_wallet.config import (
    CLOSED_KEPT_DAYS,
    IDEMPOTENCY_KEPT_DAYS,
    NOTICES_KEPT_DAYS,
    PUBLIC_URL,
    RETURN_URL,
    given,
    unknown,
)
from credit_wallet.database_urls import without_password
from credit_wallet.delivery.factory import open_notifier
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import format_yen
from credit_wallet.domain.views import Finding
from credit_wallet.errors import WalletError
from credit_wallet.ledger.maintenance import HELD_BACK_SECONDS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.notices.targets import OPERATOR
from credit_wallet.payments.factory import open_payments
from credit_wallet.payments.settings import payment_settings
from credit_wallet.payments.shapes import is_live
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.jobs.growth import Days
from credit_wallet.stores.jobs.seals import Holder

CLOCK_TOLERANCE = timedelta(seconds=5)
SHOWN_OPENINGS = 5


def examine(url: str) -> list[Finding]:
    """Look at everything a wallet at ``url`` needs. Never raises for what it finds wrong."""
    findings: list[Finding] = []
    try:
        findings.extend(_examine(url))
    except WalletError as error:
        findings.append(Finding(error.code, False, str(error)))
    return findings


def _examine(url: str) -> Iterator[Finding]:
    database = database_at(url)
    yield Finding(
        "configuration",
        True,
        f"database {without_password(url)}; variables that are set: {', '.join(given()) or 'none'}",
    )
    if names := unknown():
        yield Finding("settings", False, f"{', '.join(names)}: no such setting; check the spelling")
    yield from database.findings()
    with CreditWallet.open(url, create=False) as wallets:
        wallets.maintenance.check_ready()
        yield Finding("database", True, "opens, is up to date and can be written")
        yield _clock(wallets)
        violations = wallets.verify()
        yield Finding("ledger", not violations, violations[0].message if violations else "every invariant holds")
        yield from _openings(wallets)
        yield _seals(wallets)
        yield _notices(wallets)
        yield from _payments(wallets)
        yield from _kept(wallets)


def _openings(wallets: CreditWallet) -> Iterator[Finding]:
    """Nothing when the entries explain every wallet."""
    openings = wallets.maintenance.openings()
    if not openings:
        return
    shown = ", ".join(f"wallet {each.wallet_id} {format_yen(each.opening_yen)}" for each in openings[:SHOWN_OPENINGS])
    more = f" and {len(openings) - SHOWN_OPENINGS} more; see credit-wallet verify" * (len(openings) > SHOWN_OPENINGS)
    yield Finding("openings", True, f"not a violation, but no entry explains this credit: {shown}{more}")


def _clock(wallets: CreditWallet) -> Finding:
    now = datetime.now(UTC)
    newest = wallets.clock.newest_entry_at()
    ahead = newest is not None and newest > format_instant(now + CLOCK_TOLERANCE)
    if ahead:
        return Finding(
            "clock", False, f"the newest entry is dated {newest}, in the future; set the clock of this machine (NTP)"
        )
    return Finding("clock", True, f"{format_instant(now)}")


def _seals(wallets: CreditWallet) -> Finding:
    waiting_seconds = wallets.seals.unsealed_seconds()
    if waiting_seconds < HELD_BACK_SECONDS:
        return Finding("seals", True, f"no entry has waited longer than {HELD_BACK_SECONDS // 60} minutes for a seal")
    waiting = f"entries have waited {waiting_seconds / 60:,.0f} minutes for a seal"
    if holders := wallets.seals.held_back_by():
        by = ", ".join(map(_described, holders))
        return Finding("seals", False, f"{waiting}, held back by {by}; end them if they are not needed")
    return Finding("seals", True, f"{waiting}; the background jobs of serve and worker make the seals")


def _described(holder: Holder) -> str:
    return holder.who if holder.seconds is None else f"{holder.who} since {holder.seconds:,} s"


def _payments(wallets: CreditWallet) -> Iterator[Finding]:
    """Nothing when no payments are set up."""
    settings = payment_settings()
    payments = None if settings is None else open_payments(wallets, settings)
    if settings is None or payments is None:
        return
    page = settings.return_url or settings.public_url
    if is_live(settings.secret_key) and not page.startswith("https://"):
        named = (RETURN_URL if settings.return_url else PUBLIC_URL).name
        detail = f"with live money Stripe returns people to https:// alone, not to {page}; set {named}"
        yield Finding("return", False, detail)
    yield Finding("payments", True, payments.check())


def _kept(wallets: CreditWallet) -> Iterator[Finding]:
    """What the ledger keeps: each table with rows, for how long, how many there are, and since when."""
    days = Days(IDEMPOTENCY_KEPT_DAYS.read(), CLOSED_KEPT_DAYS.read(), NOTICES_KEPT_DAYS.read())
    for each in wallets.maintenance.growth(days):
        since = "" if each.oldest is None else f", the oldest of {each.oldest}"
        late = "; the background jobs of serve and worker delete older ones" if each.is_late else ""
        rows = f"{each.rows:,} row{'s' if each.rows > 1 else ''}"
        yield Finding(f"kept {each.name}", True, f"{each.kept}: {rows}{since}{late}")


def _notices(wallets: CreditWallet) -> Finding:
    notifier = open_notifier(wallets)
    if notifier is None:
        return Finding("notices", True, "not delivered; to deliver them: pip install 'agent-credit-wallet[notify]'")
    problems = notifier.unreachable()
    if wallets.deliveries.list(status="dead", limit=1):
        problems.append("some deliveries are dead; see credit-wallet alerts deliveries --status dead")
    reached = f"the operator has {len(wallets.targets.list(OPERATOR))} targets, and all can be reached"
    return Finding("notices", not problems, "; ".join(problems) or reached)
