"""Transfers for tests: what a wallet has, a process that ends in between, a wallet that is full."""

from __future__ import annotations

import pytest

from credit_wallet import CreditWallet
from credit_wallet.domain.money import MAX_AMOUNT_YEN, MAX_BALANCE_YEN, decimal_text, whole_yen_up
from credit_wallet.ledger.ledger import Ledger

SOON = "2026-05-20T00:00:00.000Z"
LATE = "2026-09-01T00:00:00.000Z"


class Cut(Exception):
    """The process has ended."""


def two_wallets(wallets: CreditWallet, ends: str = LATE) -> tuple[int, int]:
    """A wallet with ¥1,000 paid and ¥100 given until ``ends``, and an empty one."""
    source, other = wallets.create().wallet_id, wallets.create().wallet_id
    wallets.topup(source, 1_000, idempotency_key="paid")
    wallets.topup(source, 100, idempotency_key="gift", promo=True, expires_at=ends)
    return source, other


def kinds(wallets: CreditWallet, wallet_id: int) -> list[tuple[str, str, str | None]]:
    return [(lot.kind, decimal_text(lot.remaining_micros), lot.expires_at) for lot in wallets.lots.list(wallet_id)]


def cut_after(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """End the process after a command of ``kind`` was carried out, and before anybody hears of it."""
    run = Ledger.run

    def run_and_end(self: Ledger, wanted: type[object], command: object) -> object:
        outcome = run(self, wanted, command)  # type: ignore[arg-type,type-var]
        if type(command).__name__ == kind:
            raise Cut
        return outcome

    monkeypatch.setattr(Ledger, "run", run_and_end)


def interrupted(wallets: CreditWallet, pair: tuple[int, int], yen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        cut_after(patch, "TransferOut")
        with pytest.raises(Cut):
            wallets.transfers.create(*pair, yen, idempotency_key="move")


def fill_up(wallets: CreditWallet, wallet_id: int, spare_yen: int) -> None:
    left = MAX_BALANCE_YEN - spare_yen - whole_yen_up(wallets.show(wallet_id).balance_micros)
    for number, start in enumerate(range(0, left, MAX_AMOUNT_YEN)):
        wallets.topup(wallet_id, min(MAX_AMOUNT_YEN, left - start), idempotency_key=f"fills {number}")
