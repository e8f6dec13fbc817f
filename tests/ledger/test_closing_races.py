"""Closing and merging against everything else at once: each yen is spent, moved or written off, once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases

from credit_wallet import CreditWallet
from credit_wallet.errors import ClosingBlocked, RailBusy, TransferReturned, WalletClosed, WalletDisabled, WalletError

pytestmark = on_both_databases

MAY_BE_REFUSED = (WalletClosed, WalletDisabled, ClosingBlocked, TransferReturned, RailBusy)
CREDIT = 100


def at_once(*acts: Callable[[], object]) -> list[object]:
    """What each came to; whatever else than these refusals is raised."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return act()
        except MAY_BE_REFUSED as refused:
            return refused

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@pytest.fixture
def nodes(db_url: str, clock: Clock) -> Any:
    with CreditWallet.open(db_url, clock=clock) as one, CreditWallet.open(db_url, clock=clock) as other:
        yield one, other


def funded(wallets: CreditWallet) -> int:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, CREDIT, idempotency_key="credit")
    return wallet_id


def charges(wallets: CreditWallet, wallet_id: int, prefix: str) -> Callable[[], int]:
    def charge() -> int:
        spent = 0
        for number in range(20):
            try:
                spent += wallets.charge(wallet_id, 1, idempotency_key=f"{prefix} {number}").amount_yen
            except WalletError:
                break
        return spent

    return charge


def until_done(act: Callable[[], object]) -> object:
    """As an operator would: the same again while something is in the way."""
    for _ in range(50):
        try:
            return act()
        except (ClosingBlocked, TransferReturned, RailBusy):
            continue
    return act()


def test_a_charge_comes_before_the_end_or_is_refused(nodes: tuple[CreditWallet, CreditWallet]) -> None:
    one, other = nodes
    wallet_id = funded(one)
    close = [lambda node=node: node.close_wallet(wallet_id, note="n", unused="write_off") for node in nodes]
    first, second, *spent = at_once(*close, charges(one, wallet_id, "a"), charges(other, wallet_id, "b"))
    closed = one.show(wallet_id)
    assert closed.closed_at is not None
    assert first == second == closed
    assert closed.balance_yen == 0
    written_off = [entry.amount_yen for entry in one.history(wallet_id) if entry.cause == "adjustment"]
    assert sum(written_off) == sum(map(int, map(str, spent))) - CREDIT
    assert one.verify() == []


def test_credit_that_is_merged_is_spent_or_moved(nodes: tuple[CreditWallet, CreditWallet]) -> None:
    one, other = nodes
    wallet_id, into = funded(one), funded(one)
    merge = [lambda node=node: until_done(lambda: node.merge(wallet_id, into, note="n")) for node in nodes]
    *_, spent, also_spent = at_once(*merge, charges(one, wallet_id, "a"), charges(other, into, "b"))
    assert one.merge(wallet_id, into, note="n").closed_at is not None
    assert one.balance(into) == 2 * CREDIT - int(str(spent)) - int(str(also_spent))
    assert one.balance(wallet_id) == 0
    assert one.verify() == []


def test_merges_in_both_directions_leave_one_wallet_open(nodes: tuple[CreditWallet, CreditWallet]) -> None:
    for _ in range(3):
        merge_both_ways(*nodes)
    assert nodes[0].verify() == []


def merge_both_ways(one: CreditWallet, other: CreditWallet) -> None:
    here, there = funded(one), funded(one)
    at_once(lambda: one.merge(here, there, note="n"), lambda: other.merge(there, here, note="n"))
    open_ones = [wallet_id for wallet_id in (here, there) if one.show(wallet_id).closed_at is None]
    assert open_ones
    for pair in ((here, there), (there, here)) if len(open_ones) == 2 else ():  # they are asked again
        with suppress(WalletClosed):
            one.merge(*pair, note="n")
    assert sorted((int(one.balance(here)), int(one.balance(there)))) == [0, 2 * CREDIT]
