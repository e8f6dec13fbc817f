"""What leaves an act although it moves money: movements that people ask for as such."""

from __future__ import annotations

from credit_wallet.domain.actors import OPERATOR, PAYER
from credit_wallet.domain.acts import Act
from credit_wallet.domain.commands import ByHand
from credit_wallet.domain.money import decimal_text
from credit_wallet.rules.batch import Batch


def leave_act(
    batch: Batch, command: ByHand, kind: str, subject: str, amount_micros: int, note: str | None = None, **after: object
) -> None:
    """Leave an act of whoever asked for a movement. What the product and sellers move is their daily work."""
    if command.actor in (OPERATOR, PAYER):
        changed = {"amount": decimal_text(amount_micros), **after}
        act = Act(kind, subject, command.wallet_id, after=changed, note=note)
        batch.decision.acts.append((command.author, act))
