"""Making wallets, and changing their owner tokens."""

from __future__ import annotations

from msgspec import UNSET

from credit_wallet.domain.commands import Configure
from credit_wallet.domain.tokens import new_token, token_hash
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.ledger.keys import checked_overlap
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.rules.validation import check_time_zone, checked_id, malformed, malformed_auto_topup
from credit_wallet.stores import identity_rows


def create_wallet(
    ledger: Ledger,
    label: str | None,
    monthly_budget_yen: int,
    budget_mode: str,
    auto_topup_threshold: int,
    auto_topup_amount: int,
    time_zone: str,
) -> CreatedWallet:
    """A new, empty wallet. Raises ``InvalidRequest`` naming the field."""
    wanted = Configure(
        1,
        label=UNSET if label is None else label,
        monthly_budget_yen=monthly_budget_yen,
        budget_mode=budget_mode,
        auto_topup_threshold=auto_topup_threshold,
        auto_topup_amount=auto_topup_amount,
    )
    if problem := malformed(wanted) or malformed_auto_topup(auto_topup_threshold, auto_topup_amount):
        raise problem
    check_time_zone(time_zone)
    token = new_token()
    wallet_id = ledger.lanes.of(0).call(
        lambda store: store.create_wallet(
            token_hash(token),
            label,
            (auto_topup_threshold, auto_topup_amount),
            monthly_budget_yen,
            budget_mode,
            time_zone,
            ledger.author,
            ledger.clock(),
        )
    )
    return CreatedWallet(wallet_id, token)


def rotate_owner_token(ledger: Ledger, wallet_id: int, overlap_seconds: int) -> CreatedWallet:
    """Another owner token. Raises ``WalletNotFound`` and ``TooManyTokens``."""
    token, overlap = new_token(), checked_overlap(overlap_seconds)
    checked_id("wallet_id", wallet_id)
    ledger.change_secrets(wallet_id, identity_rows.rotate_owner, wallet_id, token_hash(token), overlap)
    return CreatedWallet(wallet_id, token)
