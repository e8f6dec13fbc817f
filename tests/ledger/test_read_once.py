"""Reading once: what a call asks of the database, statement by statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from credit_wallet import CreditWallet
from credit_wallet.stores import Source
from credit_wallet.stores.sql import statements

pytestmark = pytest.mark.databases("sqlite", "postgres")

NAMES = {text: name for file in ("reads.sql", "entry_search.sql") for name, text in statements(file).items()}
"""Of the statements that a wallet is read by, under what they are called."""


class CountingSource:
    """A source that notes the names of the statements it is asked; those of other files are ``other``."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.asked: Counter[str] = Counter()

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        self.asked[NAMES.get(statement, "other")] += 1
        return self._source.rows(statement, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


@contextmanager
def counting(wallets: CreditWallet) -> Iterator[Counter[str]]:
    """What is asked of the readers of ``wallets`` within the block."""
    reader = wallets._ledger.reader
    source = reader.source
    counted = CountingSource(source)
    reader.source = counted
    try:
        yield counted.asked
    finally:
        reader.source = source


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    wallet_id = wallets.create(auto_topup_threshold=100, auto_topup_amount=1_000).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="credit")
    return wallet_id


def test_showing_a_wallet_reads_its_row_and_nothing_else(wallets: CreditWallet, wallet_id: int) -> None:
    for show in (wallets.show, wallets.balance):
        with counting(wallets) as asked:
            show(wallet_id)
        assert asked == {"wallet": 1}


@pytest.mark.parametrize(
    ("look", "beside"),
    [
        (lambda wallets, wallet_id, _: wallets.history(wallet_id), {"history": 1}),
        (lambda wallets, wallet_id, _: wallets.lots.list(wallet_id), {"lots": 1}),
        (lambda wallets, wallet_id, _: wallets.keys.list(wallet_id), {"keys": 1}),
        (lambda wallets, _, key_id: wallets.keys.show(key_id), {"key_owner": 1, "key": 1}),
        (lambda wallets, wallet_id, _: wallets.targets.list(wallet_id), {"other": 1}),
        (lambda wallets, wallet_id, _: wallets.topups.automatic_state(wallet_id), {"payer": 1, "topups": 1}),
        (lambda wallets, wallet_id, _: wallets.forecast(wallet_id), {"first_credit": 1}),
    ],
    ids=["history", "lots", "keys", "key", "targets", "automatic", "forecast"],
)
def test_every_look_at_a_wallet_reads_its_row_once(
    wallets: CreditWallet,
    wallet_id: int,
    look: Callable[[CreditWallet, int, int], object],
    beside: Mapping[str, int],
) -> None:
    key_id = wallets.keys.create(wallet_id).key_id
    with counting(wallets) as asked:
        look(wallets, wallet_id, key_id)
    assert asked == {"wallet": 1, **beside}


def test_an_overview_reads_each_of_its_parts_once(wallets: CreditWallet, wallet_id: int) -> None:
    with counting(wallets) as asked:
        wallets.overview(wallet_id)
    assert asked == {"wallet": 1, "history": 1, "other": 1, "payer": 1, "topups": 1, "lots": 1}
    key_id = wallets.keys.create(wallet_id).key_id
    with counting(wallets) as asked:
        wallets.overview(wallet_id, key_id=key_id)
    assert asked == {"wallet": 1, "filtered_history": 1, "key": 1, "payer": 1, "topups": 1, "lots": 1}


def test_movements_read_the_hold_or_the_entry_once_and_not_at_all_when_the_wallet_is_known(
    wallets: CreditWallet, wallet_id: int
) -> None:
    hold_ids = [wallets.hold(wallet_id, 10, idempotency_key=f"hold {number}").hold_id for number in range(4)]
    txn_id = wallets.charge(wallet_id, 10, idempotency_key="charge").txn_id
    with counting(wallets) as asked:
        wallets.charge(wallet_id, 1, idempotency_key="another")
        wallets.hold(wallet_id, 1, idempotency_key="another hold")
        wallets.capture(hold_ids[0], 5, wallet_id=wallet_id)
        wallets.release(hold_ids[1], wallet_id=wallet_id)
    assert asked == {}
    with counting(wallets) as asked:
        wallets.extend(hold_ids[2], 1_000)
        wallets.capture(hold_ids[2], 5)
        wallets.release(hold_ids[3])
    assert asked == {"hold": 3}
    with counting(wallets) as asked:
        wallets.refund(txn_id, idempotency_key="refund")
    assert asked == {"wallet_of_entry": 1}
