"""Decisions, each taken twice: with the short way for charges that no rule has anything to say about, and without."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from itertools import count
from unittest.mock import patch

from msgspec import structs

from credit_wallet.domain.commands import Command
from credit_wallet.errors import WalletError
from credit_wallet.rules.decide import decide
from credit_wallet.rules.decision import Decision
from credit_wallet.rules.headroom import QuietCharges
from credit_wallet.rules.state import Snapshot
from credit_wallet.stores.rows import resting_row


def decide_twice(snapshot: Snapshot, commands: Sequence[Command], now: datetime) -> Decision:
    """What ``decide`` says, once it has said the same by its rules alone, of a copy."""
    twin = deepcopy(snapshot, {id(snapshot.prices): snapshot.prices})
    before = {wallet_id: resting_row(wallet) for wallet_id, wallet in snapshot.wallets.items()}
    decision = decide(snapshot, commands, now)
    with patch.object(QuietCharges, "charge", return_value=None):
        by_rules = decide(twin, commands, now)
    assert comparable(decision) == comparable(by_rules)
    assert comparable(snapshot) == comparable(twin)
    for wallet_id in decision.moved.keys() - decision.touched.keys():
        assert resting_row(decision.moved[wallet_id]) == before[wallet_id], "a store leaves these columns out"
    return decision


def comparable(value: object) -> object:
    """Something that is equal when the decisions are: refusals by their content, ids to come by their next.

    The book of prices never changes.
    """
    match value:
        case count():
            return repr(value)
        case WalletError():
            return type(value), str(value), value.details
        case Decision():
            fields = {name: comparable(each) for name, each in structs.asdict(value).items()}
            written = {**value.touched, **value.moved}
            return {**fields, "touched": written, "moved": None, "entries": sorted(value.appended())}
        case Snapshot():
            fields = structs.asdict(value)
            return {name: comparable(each) for name, each in fields.items() if name not in ("prices", "headrooms")}
        case list():
            return [comparable(each) for each in value]
    return value
