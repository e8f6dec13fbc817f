"""New wallets as rows: a job in a separate transaction, the same on every database."""

from __future__ import annotations

from datetime import datetime

from msgspec import structs

from credit_wallet.domain.acts import Act, Author
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.settings import NewWallet
from credit_wallet.domain.tokens import NewToken
from credit_wallet.stores import Connection
from credit_wallet.stores.acts import record
from credit_wallet.stores.consent_rows import write_first_consent
from credit_wallet.stores.profile_rows import ITSELF, Names, put_names, reserved
from credit_wallet.stores.sql import statements
from credit_wallet.stores.standing_rows import require_open

_SQL = statements("identity.sql")
_NAMES = statements("profiles.sql")


def create_wallet(
    connection: Connection, new: NewWallet, token: NewToken, author: Author, now: datetime
) -> tuple[int, bool]:
    """Insert a wallet; return its id, and True. The wallet that has its reference already is returned with False.

    Raises ``WalletClosed`` when that one is closed or being closed: ``hand_over`` gives it another reference, or none.

    Of several that are made at once with one reference, the others wait for the first, and then have its wallet.
    """
    for (wallet_id,) in connection.execute(_SQL["wallet_of_token"], {"token_hash": token.hash}).fetchall():
        return int(wallet_id), True  # it was committed, and that was unknown
    if new.reference is not None:
        named = {"reference": new.reference}
        for (wallet_id,) in connection.execute(_NAMES["wallet_of_reference"], named).fetchall():
            require_open(connection, int(wallet_id))
            return int(wallet_id), False
    at, auto_topup = format_instant(now), (new.auto_topup_threshold, new.auto_topup_amount)
    row = {"token_hash": token.hash, "consents": int(any(auto_topup)), "now": at, **structs.asdict(new)}
    del row["reference"], row["metadata"]
    [(wallet_id,)] = connection.execute(_SQL["create_wallet"], row).fetchall()
    wallet_id = int(wallet_id)
    if new.reference is not None and (owner := reserved(connection, wallet_id, new.reference)) != wallet_id:
        connection.execute(_SQL["delete_unused_wallet"], {"wallet_id": wallet_id})
        return owner, False
    write_first_consent(connection, wallet_id, auto_topup, at)
    put_names(connection, wallet_id, ITSELF, Names(new.label, new.reference, new.metadata), token.prefix, at)
    settings = {**structs.asdict(new), "metadata": dict(new.metadata)}
    record(connection, author, Act("wallet.created", f"wallet:{wallet_id}", wallet_id, after=settings), now)
    return wallet_id, True
