"""Segments: which entries of a wallet's chain belong to which billing cycle.

The chain is in the order in which things were carried out, and clocks differ: what a node with a slow clock appends may
be dated in the month before its predecessor. So the chain is kept as runs of consecutive entries of one cycle. A run
ends when the wallet's row is carried into another cycle, or when an entry is dated elsewhere; the open one is of the
row's ``current_cycle``. A cycle's net is the sum of its segments' nets, whatever the order they came in.
"""

from __future__ import annotations

from collections.abc import Callable

from credit_wallet.domain.cycle import cycle_at, parse_instant
from credit_wallet.rules.batch import Batch
from credit_wallet.rules.state import ClosedSegment, Snapshot, WalletState


def close_open_segment(snapshot: Snapshot, wallet: WalletState) -> None:
    """End the run of entries up to the wallet's last one; they are of its ``current_cycle``."""
    _close(
        snapshot,
        wallet.wallet_id,
        wallet.last_txn_id,
        wallet.current_cycle,
        wallet.balance_micros + wallet.held_micros,
        None,
    )


def carry_out_at(batch: Batch, wallet: WalletState, at: str, step: Callable[[Batch], None]) -> None:
    """Run ``step`` with a batch whose time is ``at`` (not after now), so that its entries are dated then."""
    then = Batch(batch.snapshot, batch.decision, parse_instant(at), at)
    last_txn_id, ledger_micros = wallet.last_txn_id, wallet.balance_micros + wallet.held_micros
    step(then)
    cycle = cycle_at(then.now, wallet.time_zone)
    if cycle == wallet.current_cycle or wallet.last_txn_id == last_txn_id:
        return
    _close(batch.snapshot, wallet.wallet_id, last_txn_id, wallet.current_cycle, ledger_micros, None)
    closing_micros = wallet.balance_micros + wallet.held_micros
    _close(batch.snapshot, wallet.wallet_id, wallet.last_txn_id, cycle, closing_micros, last_txn_id)


def _close(
    snapshot: Snapshot, wallet_id: int, last_txn_id: int, cycle: str, closing_micros: int, after_txn_id: int | None
) -> None:
    """Record that a run has ended at ``last_txn_id``; it is merged with the run before it if that ended at
    ``after_txn_id`` in the same cycle.

    The store leaves out runs without entries, which end where the segment before them did.
    """
    if not last_txn_id or not cycle:
        return
    closed = snapshot.closed_segments.setdefault(wallet_id, [])
    if closed and closed[-1].last_txn_id == last_txn_id:
        return
    if closed and (closed[-1].last_txn_id, closed[-1].billing_cycle) == (after_txn_id, cycle):
        closed.pop()
    closed.append(ClosedSegment(wallet_id, last_txn_id, cycle, closing_micros))
