"""Seals: hashes over the ledger's entries, and the transactions that delay the next one."""

from __future__ import annotations

from credit_wallet.ledger.ledger import Ledger
from credit_wallet.stores.jobs.seals import Anchor, Holder, latest_seal, unsealed_since


class Seals:
    """``wallets.seals``: the latest seal, and what delays the next. ``maintenance.seal`` makes them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def latest(self) -> Anchor | None:
        """The latest seal, None before the first. Keep its ``str`` where nobody can change it: it is an anchor."""
        return latest_seal(self._ledger.reader.source)

    def unsealed_seconds(self) -> float:
        """For how long entries have waited for a seal; 0 when all have one."""
        since = unsealed_since(self._ledger.reader.source)
        return 0.0 if since is None else max(0.0, (self._ledger.clock() - since).total_seconds())

    def held_back_by(self) -> list[Holder]:
        """The open transactions that may still add an entry between those to be sealed, the oldest first."""
        return self._ledger.lanes.maintenance.call(lambda store: store.holding_back())
