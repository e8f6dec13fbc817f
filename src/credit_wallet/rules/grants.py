"""The rule of grants: an occurrence is credited once, when it has come, in the transaction that records it.

A grant's row says which occurrence is next; it moves on with the money. So an occurrence is credited once whatever
number of workers send it, whatever their clocks say, and wherever one of them dies.
"""

from __future__ import annotations

from datetime import timedelta

from credit_wallet.domain.commands import CreditGrant
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.grants import GrantOccurrence, GrantState, OccurrenceStatus, lapses_at, occurrence_at
from credit_wallet.domain.money import both
from credit_wallet.domain.outcomes import Granted
from credit_wallet.errors import GrantNotDue, GrantNotFound, WalletError
from credit_wallet.rules.batch import Batch, emit_once
from credit_wallet.rules.credit import credit
from credit_wallet.rules.state import WalletState

RETRY_AFTER = timedelta(hours=1)
"""When an occurrence is tried again that the wallet could not take."""


def credit_grant(batch: Batch, wallet: WalletState, command: CreditGrant) -> Granted | WalletError:
    """Credit the next occurrence of a grant, or record that its credit would have lapsed by now.

    When the wallet cannot take it, an event says so once, and the occurrence is tried again later.
    """
    grant = batch.snapshot.grants.get(command.grant_id)
    if grant is None or grant.wallet_id != wallet.wallet_id:
        return GrantNotFound(f"there is no grant {command.grant_id}; check the id", grant_id=command.grant_id)
    terms = grant.terms(wallet.time_zone)
    came_at = occurrence_at(terms, command.occurrence)
    if not _is_next(grant, command) or came_at is None or came_at > batch.at:
        return GrantNotDue(
            f"occurrence {command.occurrence} of grant {grant.grant_id} is not due", grant_id=grant.grant_id
        )
    lapses = lapses_at(terms, command.occurrence)
    txn_id: int | None = None
    amount_micros = 0
    if lapses is None or lapses > batch.at:
        amount_micros = grant.amount_micros
        note = f"grant {grant.grant_id}" if grant.note is None else grant.note
        credited = credit(batch, wallet, amount_micros, grant.kind, lapses, note, "grant")
        if isinstance(credited, WalletError):
            _delay(batch, wallet, grant, came_at, credited)
            return credited
        txn_id = credited
    status: OccurrenceStatus = "lapsed" if txn_id is None else "credited"
    batch.decision.granted.append(
        GrantOccurrence(wallet.wallet_id, grant.grant_id, command.occurrence, came_at, status, txn_id, lapses)
    )
    grant.next_occurrence += 1
    grant.next_at = grant.due_at = occurrence_at(terms, grant.next_occurrence)
    batch.decision.touched_grants[grant.grant_id] = grant
    return Granted(wallet.wallet_id, amount_micros, wallet.balance_micros, txn_id, expires_at=lapses)


def _is_next(grant: GrantState, command: CreditGrant) -> bool:
    return grant.canceled_at is None and grant.next_at is not None and command.occurrence == grant.next_occurrence


def _delay(batch: Batch, wallet: WalletState, grant: GrantState, came_at: str, refusal: WalletError) -> None:
    grant.due_at = format_instant(batch.now + RETRY_AFTER)
    batch.decision.touched_grants[grant.grant_id] = grant
    emit_once(
        batch,
        wallet,
        "grant.delayed",
        f"{grant.grant_id} {grant.next_occurrence}",
        grant_id=grant.grant_id,
        came_at=came_at,
        reason=str(refusal),
        **both(granted=grant.amount_micros),
    )
