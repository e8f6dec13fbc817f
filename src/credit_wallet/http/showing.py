"""What a token's wallet shows of itself, to the routes and to the tools of an agent alike."""

from __future__ import annotations

from msgspec import structs

from credit_wallet.alerts.targets import TargetView
from credit_wallet.errors import InvalidRequest
from credit_wallet.http.bodies import TransactionPage, WalletReply
from credit_wallet.limits import spendable_yen
from credit_wallet.outcomes import Access, EntryType
from credit_wallet.wallet import CreditWallet
from credit_wallet.whole_numbers import whole_number

RECENT_TRANSACTIONS = 10
MAX_PAGE = 200

CURSOR_PATTERN = "^[1-9][0-9]{0,17}$"


def wallet_shown(
    wallets: CreditWallet, access: Access, topup_url: str, targets: list[TargetView] | None = None
) -> WalletReply:
    """The wallet with its settings, spending and latest transactions, and what the caller can spend of it.

    An agent key is shown the transactions that it paid. ``targets`` are the notification targets when they were just
    set; otherwise an owner is shown what is set.
    """
    wallet_id, key_id = access.wallet_id, access.key_id
    view = wallets.show(wallet_id)
    key = None if key_id is None else wallets.key(key_id)
    if targets is None:
        targets = wallets.targets(wallet_id) if key is None else []
    return WalletReply(
        **structs.asdict(view),
        recent_transactions=wallets.history(wallet_id, limit=RECENT_TRANSACTIONS, key_id=key_id),
        auto_topup=wallets.auto_topup(wallet_id),
        notification_targets=targets,
        spendable_yen=spendable_yen(view, key),
        key=key,
        topup_url=topup_url,
        lots=[lot.view() for lot in wallets.lots(wallet_id)],
    )


def transactions_shown(
    wallets: CreditWallet,
    wallet_id: int,
    *,
    limit: int,
    cursor: str | None,
    type: EntryType | None,  # noqa: A002 - the parameter's name in HTTP
    key_id: int | None,
    note: str | None,
) -> TransactionPage:
    """A page of up to ``limit`` ledger entries, newest first, after that whose ``next_cursor`` is ``cursor``."""
    before = None if cursor is None else _entry_at(cursor)
    entries = wallets.history(wallet_id, limit=limit + 1, before_txn_id=before, txn_type=type, key_id=key_id, note=note)
    page = entries[:limit]
    return TransactionPage(page, str(page[-1].txn_id) if len(entries) > limit else None)


def _entry_at(cursor: str) -> int:
    try:
        return whole_number(cursor)
    except ValueError:
        raise InvalidRequest(f"cursor must be a next_cursor, not {cursor!r}", field="cursor") from None
