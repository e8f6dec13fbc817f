"""Wallets as a store loads them, for ``decide`` without a store."""

from __future__ import annotations

from itertools import count

from credit_wallet.rules.state import KeyState, Snapshot, WalletState

WALLETS = (1, 2)


def new_wallet(wallet_id: int, budget_yen: int, budget_mode: str) -> WalletState:
    return WalletState(
        wallet_id=wallet_id,
        balance_micros=0,
        held_micros=0,
        debt_micros=0,
        lots=[],
        current_cycle="2026-05",
        cycle_spent_micros=0,
        alerted_pct=0,
        last_txn_id=0,
        next_due_at=None,
        exhausted=False,
        enabled=True,
        label=None,
        monthly_budget_yen=budget_yen,
        budget_mode="cap" if budget_mode == "cap" else "alert",
        auto_topup_threshold=50,
        auto_topup_amount=100,
        time_zone="UTC",
    )


def new_snapshot(budget_yen: int = 0, budget_mode: str = "alert") -> Snapshot:
    """Two empty wallets; agent key 11 belongs to the first and can spend ¥100 a month."""
    return Snapshot(
        wallets={wallet_id: new_wallet(wallet_id, budget_yen, budget_mode) for wallet_id in WALLETS},
        keys={11: KeyState(11, 1, 100, "2026-05", 0, 0, None, None)},
        holds={},
        entries={},
        lot_openings={},
        remembered={},
        due_holds={},
        next_hold_expiry={},
        left_cycles=[],
        txn_ids=count(1),
        hold_ids=count(1),
    )
