"""Names of wallets that were made without them: by a release from before migration 308, or by plain SQL.

Such a wallet gets its row of names and the terms by which it is found. Whoever inserts the row writes the terms, so it
does not matter how many do this at once; a label that is changed meanwhile waits for the row, and then replaces them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from credit_wallet.domain.search_terms import sorted_form, terms_of
from credit_wallet.stores import Connection
from credit_wallet.stores.profile_rows import ITSELF, ROWS_A_STATEMENT, SQL, numbered, put_terms

WALLETS_A_TRANSACTION = 1_000


def name_all(connection: Connection, transaction: Callable[[Any], AbstractContextManager[None]]) -> None:
    """Give names to all wallets that lack them, in transactions of ``WALLETS_A_TRANSACTION``.

    It goes on where it has stopped, and looks at what was added since when it is called again. Where few were added,
    and they have names, it writes nothing: a ledger that another process keeps locked is opened all the same.
    """
    rows = connection.execute(SQL["filled_to"]).fetchall()
    last = rows[0][0] if rows else 0
    limit = WALLETS_A_TRANSACTION
    while wallets := connection.execute(SQL["next_wallets"], {"after": last, "limit": limit}).fetchall():
        after, last = last, wallets[-1][0]
        between = {"after": after, "last": last}
        if len(wallets) < limit and not connection.execute(SQL["lack_names"], between).fetchall():
            return
        with transaction(connection):
            name_wallets(connection, wallets)
            new_keys = connection.execute(SQL["labels_of_keys"], between).fetchall()
            put_terms(connection, [(term, *key) for *key, label in new_keys for term in terms_of([label])])
            connection.execute(SQL["note_filled"], {"last": last})


def name_wallets(connection: Connection, wallets: Sequence[tuple[int, str | None, str]]) -> None:
    """Give names to those of some wallets that have none; each has its id, label and creation."""
    for start in range(0, len(wallets), ROWS_A_STATEMENT):
        some = wallets[start : start + ROWS_A_STATEMENT]
        places = ", ".join(f"(:wallet{n}, {ITSELF}, :label{n}, :at{n})" for n, _ in enumerate(some))
        rows = [(wallet_id, sorted_form(label), created_at) for wallet_id, label, created_at in some]
        inserted = connection.execute(
            "INSERT INTO am_credit_profile (wallet_id, key_id, sorted_label, created_at) "
            f"VALUES {places} ON CONFLICT DO NOTHING RETURNING wallet_id",
            numbered(("wallet", "label", "at"), rows),
        ).fetchall()
        labels = {wallet_id: label for wallet_id, label, _ in some}
        new = [(wallet_id, labels[wallet_id] or "") for (wallet_id,) in inserted]
        put_terms(connection, [(term, wallet_id, ITSELF) for wallet_id, label in new for term in terms_of([label])])
