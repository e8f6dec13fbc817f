"""An overview: everything that the holder of a wallet's token sees, with the wallet's row read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from msgspec import structs

from credit_wallet.domain.entry_search import EntryFilter
from credit_wallet.domain.views import AutoTopupState, KeyView, LotView, Transaction, WalletView
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.rules.limits import spendable_micros

if TYPE_CHECKING:
    from credit_wallet.domain.budget_views import BudgetView
    from credit_wallet.notices.targets import TargetView

RECENT_TRANSACTIONS = 10

Named = TypeVar("Named", WalletView, KeyView)


class Overview(NamedTuple):
    """A wallet as it is shown; ``key`` is the agent key that looks at it, None for the owner."""

    wallet: WalletView
    key: KeyView | None
    recent_transactions: list[Transaction]
    auto_topup: AutoTopupState
    targets: list[TargetView]
    lots: list[LotView]
    spendable_micros: int
    """The largest charge that would be accepted now; a budget for what it is for may limit it further."""
    budgets: list[BudgetView]
    """The first of those that can bound the key, or the owner."""


def overview_of(ledger: Ledger, wallet_id: int, key_id: int | None) -> Overview:
    """Raises ``WalletNotFound`` and ``KeyNotFound``."""
    from credit_wallet.ledger.budget_lists import limiting
    from credit_wallet.ledger.topups import automatic_state
    from credit_wallet.notices.targets import view_of
    from credit_wallet.stores.budget_reads import bounding
    from credit_wallet.stores.notification_rows import SQL, target_of

    wallet, reader = ledger.row(wallet_id), ledger.reader
    now = ledger.clock()
    if key_id is None:
        recent = reader.history(wallet, limit=RECENT_TRANSACTIONS)
        targets = [view_of(target_of(row)) for row in ledger.ask(SQL["targets"], wallet_id=wallet_id)]
    else:  # one step is enough: what is rare among the entries is found by a search
        recent = reader.search(wallet, EntryFilter(key_id=key_id), RECENT_TRANSACTIONS).entries
        targets = []
    view, key = reader.view(wallet, now), None
    if key_id is not None:
        view, key = _without_names(view), _without_names(reader.key(wallet, key_id, now))
    counters = bounding(reader.source, wallet, key, now)
    return Overview(
        wallet=view,
        key=key,
        recent_transactions=recent,
        auto_topup=automatic_state(ledger, wallet),
        targets=targets,
        lots=reader.lots(wallet_id, now),
        spendable_micros=spendable_micros(view, key, counters),
        budgets=limiting(ledger, wallet, view, key, counters, now),
    )


def _without_names(view: Named) -> Named:
    """What the host keeps about its customer is not for agents."""
    return structs.replace(view, reference=None, metadata={}, token_prefix=None)
