"""Making wallets, and changing their owner tokens."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET

from credit_wallet.domain.commands import Configure
from credit_wallet.domain.settings import NewWallet
from credit_wallet.domain.tokens import NewToken, new_token
from credit_wallet.domain.views import CreatedWallet, ReferencedWallet
from credit_wallet.errors import InvalidRequest, WalletNotFound
from credit_wallet.ledger.keys import checked_overlap
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.rules.metadata import checked_metadata, checked_reference
from credit_wallet.rules.validation import check_time_zone, checked_id, malformed, malformed_auto_topup
from credit_wallet.stores import identity_rows, new_wallets, profile_rows


def create_wallet(
    ledger: Ledger,
    label: str | None,
    monthly_budget_yen: int,
    budget_mode: str,
    auto_topup_threshold: int,
    auto_topup_amount: int,
    time_zone: str,
    reference: str | None,
    metadata: Mapping[str, str] | None,
) -> CreatedWallet | ReferencedWallet:
    """A new, empty wallet, or the one that has ``reference``. Raises ``InvalidRequest`` naming the field."""
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
    new = NewWallet(
        label,
        auto_topup_threshold,
        auto_topup_amount,
        monthly_budget_yen,
        budget_mode,
        time_zone,
        checked_reference(reference),
        checked_metadata(metadata),
    )
    token = new_token()
    wallet_id, created = ledger.write(0, new_wallets.create_wallet, new, NewToken.of(token))
    if reference is None:
        return CreatedWallet(wallet_id, token)
    return ReferencedWallet(wallet_id, token if created else None, created)


def wallet_of_reference(ledger: Ledger, reference: str) -> int:
    """The id of the wallet that has a reference. Raises ``WalletNotFound`` and ``InvalidRequest``."""
    if checked_reference(reference) is None:
        raise InvalidRequest("reference must be a text", field="reference")
    wallet_id = profile_rows.wallet_of(ledger.reader.source, reference)
    if wallet_id is None:
        raise WalletNotFound(f"no wallet has the reference {reference!r}", reference=reference)
    return wallet_id


def rotate_owner_token(ledger: Ledger, wallet_id: int, overlap_seconds: int) -> CreatedWallet:
    """Another owner token. Raises ``WalletNotFound`` and ``TooManyTokens``."""
    token, overlap = new_token(), checked_overlap(overlap_seconds)
    checked_id("wallet_id", wallet_id)
    ledger.change_secrets(wallet_id, identity_rows.rotate_owner, wallet_id, NewToken.of(token), overlap)
    return CreatedWallet(wallet_id, token)
