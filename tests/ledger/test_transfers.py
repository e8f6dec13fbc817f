"""Credit moves between wallets of one owner exactly once, or not at all.

The kind: everything that moves credit without a purchase. Where it could go wrong:

- the same transfer twice: retried, by two nodes at once, long after its idempotency key was forgotten;
- an end in between: after out, after in, on either node, for longer than idempotency keys are remembered;
- another wallet that does not take it: full, gone, or of too many lots; one that is disabled or owes takes it.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from threading import Barrier, Thread

import pytest
from clock import Clock
from databases import on_every_database
from moved import LATE, Cut, cut_after, fill_up, interrupted, kinds, two_wallets
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import Command, EndTransfer, TransferIn
from credit_wallet.domain.money import MAX_AMOUNT_YEN, MAX_BALANCE_YEN
from credit_wallet.domain.outcomes import TransferEnded, TransferredIn
from credit_wallet.domain.transfers import Transferred
from credit_wallet.errors import (
    DatabaseUnavailable,
    IdempotencyConflict,
    InvalidAmount,
    TransferNotAllowed,
    TransferNotFound,
    TransferReturned,
    WalletDisabled,
    WalletNotFound,
)
from credit_wallet.ledger import transfers
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.rules import lots

pytestmark = on_every_database


@pytest.fixture
def pair(wallets: CreditWallet) -> tuple[int, int]:
    return two_wallets(wallets)


# It moves


def test_credit_moves_as_what_it_is_and_both_balances_are_answered(
    wallets: CreditWallet, pair: tuple[int, int]
) -> None:
    source, other = pair
    moved = wallets.transfers.create(source, other, "150.25", idempotency_key="move", note="for search")
    assert isinstance(moved, Transferred)
    assert (moved.amount, moved.balance, moved.to_balance) == (Decimal("150.25"), Decimal("949.75"), Decimal("150.25"))
    assert (moved.wallet_id, moved.to_wallet_id, moved.replayed) == (source, other, False)
    assert kinds(wallets, source) == [("paid", "949.75", None)]
    assert kinds(wallets, other) == [("promo", "100", LATE), ("paid", "50.25", None)]
    [out] = wallets.transfers.list(source)
    [came] = wallets.transfers.list(other)
    assert (out.direction, out.status, out.other_wallet_id, out.txn_id) == ("out", "done", other, moved.txn_id)
    assert (came.direction, came.status, came.other_wallet_id, came.note) == ("in", "done", source, "for search")
    assert out == wallets.transfers.show(moved.transfer_id)
    assert came == wallets.transfers.show(moved.transfer_id, wallet_id=other)
    [entry] = wallets.history(source, limit=1)
    assert (entry.txn_type, entry.cause, entry.amount) == ("reversal", "transfer_out", Decimal("-150.25"))
    assert entry.note == f"transfer {moved.transfer_id} to wallet {other}: for search"
    assert {each.cause for each in wallets.history(other)} == {"transfer_in"}
    assert wallets.verify() == []


def test_it_moves_for_asyncio_callers_as_well(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    moved = asyncio.run(wallets.transfers.acreate(*pair, 30, idempotency_key="move"))
    again = asyncio.run(wallets.transfers.acreate(*pair, 30, idempotency_key="move"))
    assert (moved.to_balance_yen, again.to_balance_yen, again.replayed) == (30, 30, True)
    assert wallets.verify() == []


def test_a_list_goes_on_where_the_page_before_ended(wallets: CreditWallet, pair: tuple[int, int], clock: Clock) -> None:
    source, other = pair
    ids = []
    for number in range(5):
        ids.append(wallets.transfers.create(source, other, 10, idempotency_key=f"{number}").transfer_id)
        clock.advance(seconds=number % 2)
    found: list[str] = []
    while page := wallets.transfers.list(source, limit=2, before=found[-1] if found else None):
        found += [each.transfer_id for each in page]
    assert sorted(found) == sorted(ids)
    assert [each.transfer_id for each in wallets.transfers.list(other)] == found
    with pytest.raises(TransferNotFound):
        wallets.transfers.list(source, before="tr_1_0123456789abcdef01234567")


# Once


def test_a_retry_answers_the_first_balances(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    first = wallets.transfers.create(*pair, 200, idempotency_key="move")
    wallets.charge(pair[0], 5, idempotency_key="spends")
    wallets.charge(pair[1], 7, idempotency_key="spends")
    again = wallets.transfers.create(*pair, 200, idempotency_key="move")
    assert (again.balance, again.to_balance, again.replayed) == (first.balance, first.to_balance, True)
    assert (wallets.balance(pair[0]), wallets.balance(pair[1])) == (895, 193)


@pytest.mark.parametrize("pruned", [False, True])
def test_the_same_key_for_another_transfer_is_a_conflict(
    wallets: CreditWallet, pair: tuple[int, int], clock: Clock, pruned: bool
) -> None:
    third = wallets.create().wallet_id
    wallets.transfers.create(*pair, 200, idempotency_key="move")
    if pruned:
        clock.advance(days=9)
        assert wallets.maintenance.prune_idempotency_keys()
    for to_wallet_id, amount_yen in ((third, 200), (pair[1], 201)):
        with pytest.raises(IdempotencyConflict):
            wallets.transfers.create(pair[0], to_wallet_id, amount_yen, idempotency_key="move")
    assert (wallets.balance(pair[0]), wallets.balance(pair[1]), wallets.balance(third)) == (900, 200, 0)


def test_a_retry_moves_nothing_again_when_its_key_is_forgotten(
    wallets: CreditWallet, pair: tuple[int, int], clock: Clock
) -> None:
    first = wallets.transfers.create(*pair, 200, idempotency_key="move")
    clock.advance(days=9)
    assert wallets.maintenance.prune_idempotency_keys()
    again = wallets.transfers.create(*pair, 200, idempotency_key="move")
    assert (again.transfer_id, again.txn_id, again.balance) == (first.transfer_id, first.txn_id, first.balance)
    assert again.replayed
    assert wallets.balance(pair[1]) == 200
    assert wallets.verify() == []


def test_keys_of_payers_and_operators_do_not_meet(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    for actor in ("operator", "payer"):
        wallets.transfers.create(*pair, 100, idempotency_key="move", actor=actor)
    assert wallets.balance(pair[1]) == 200


def test_nodes_that_send_the_same_transfer_at_once_move_it_once(
    wallets: CreditWallet, db_url: str, clock: Clock, pair: tuple[int, int]
) -> None:
    start = Barrier(6)
    answers: list[object] = []

    def move(node: CreditWallet, number: int) -> None:
        start.wait()
        moved = node.transfers.create(*pair, 100, idempotency_key=f"move {number}")
        answers.append((moved.amount, moved.transfer_id))

    with CreditWallet.open(db_url, clock=clock) as other:
        at_once = [Thread(target=move, args=(node, number)) for number in range(3) for node in (wallets, other)]
        for thread in at_once:
            thread.start()
        for thread in at_once:
            thread.join()
    assert len(answers) == 6
    assert len(set(answers)) == 3
    assert (wallets.balance(pair[0]), wallets.balance(pair[1])) == (800, 300)
    assert wallets.verify() == []


def test_wallets_that_move_credit_to_and_fro_at_once_keep_it_all(
    wallets: CreditWallet, db_url: str, clock: Clock, pair: tuple[int, int]
) -> None:
    wallets.topup(pair[1], 1_000, idempotency_key="start")
    start = Barrier(4)
    failures: list[Exception] = []

    def move(node: CreditWallet, source: int, other: int, name: str) -> None:
        start.wait()
        try:
            for number in range(10):
                node.transfers.create(source, other, "7.5", idempotency_key=f"{name} {number}")
        except Exception as error:
            failures.append(error)

    with CreditWallet.open(db_url, clock=clock) as second:
        threads = [
            Thread(target=partial(move, node, *way, f"{name}"))
            for name, node in enumerate((wallets, second))
            for way in (pair, pair[::-1])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert wallets.balance(pair[0]) + wallets.balance(pair[1]) == 2_100
    assert wallets.verify() == []


# An end in between


@pytest.mark.parametrize("step", ["TransferOut", "TransferIn", "EndTransfer"])
@pytest.mark.parametrize("finished_by", ["retry", "job", "both"])
@pytest.mark.parametrize("days", [0, 9])
def test_what_was_interrupted_is_finished_once(
    wallets: CreditWallet,
    pair: tuple[int, int],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    finished_by: str,
    days: int,
) -> None:
    """Nine days later no idempotency key is remembered: only the transfer's own rows are."""
    with monkeypatch.context() as patch:
        cut_after(patch, step)
        with pytest.raises(Cut):
            wallets.transfers.create(*pair, 300, idempotency_key="move")
    assert wallets.verify() == []
    assert wallets.balance(pair[0]) == 800
    assert wallets.balance(pair[1]) == (0 if step == "TransferOut" else 300)
    assert wallets.maintenance.finish_transfers() == 0, "whoever asked is still at it"
    clock.advance(days=days, seconds=11)
    wallets.maintenance.prune_idempotency_keys()
    if finished_by != "retry":
        assert wallets.maintenance.finish_transfers() == (step != "EndTransfer")
        assert wallets.maintenance.finish_transfers() == 0
    if finished_by != "job":
        moved = wallets.transfers.create(*pair, 300, idempotency_key="move")
        assert (moved.amount_yen, moved.balance_yen, moved.to_balance_yen, moved.replayed) == (300, 800, 300, True)
    assert [each.status for each in wallets.transfers.list(pair[0])] == ["done"]
    assert (wallets.balance(pair[0]), wallets.balance(pair[1])) == (800, 300)
    assert kinds(wallets, pair[1]) == [("promo", "100", LATE), ("paid", "200", None)]
    assert wallets.verify() == []


def test_a_clock_that_was_put_back_does_not_leave_a_transfer_on_its_way(
    wallets: CreditWallet, pair: tuple[int, int], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        cut_after(patch, "TransferOut")
        with pytest.raises(Cut):
            wallets.transfers.create(*pair, 300, idempotency_key="move")
    clock.advance(days=-40)
    assert wallets.maintenance.finish_transfers() == 1
    assert wallets.balance(pair[1]) == 300
    assert wallets.verify() == []


def test_when_only_the_note_of_the_end_fails_the_caller_still_has_an_answer(
    wallets: CreditWallet, pair: tuple[int, int], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Ledger.run

    def away(self: Ledger, kind: type[TransferEnded], command: Command) -> object:
        if isinstance(command, EndTransfer):
            raise DatabaseUnavailable("away")
        return run(self, kind, command)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "run", away)
        assert wallets.transfers.create(*pair, 300, idempotency_key="move").to_balance == 300
    assert [each.status for each in wallets.transfers.list(pair[0])] == ["out"]
    clock.advance(seconds=11)
    assert wallets.maintenance.finish_transfers() == 1
    assert [each.status for each in wallets.transfers.list(pair[0])] == ["done"]


def test_one_that_cannot_end_does_not_stop_those_behind_it(
    wallets: CreditWallet, pair: tuple[int, int], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = wallets.create().wallet_id
    with monkeypatch.context() as patch:
        cut_after(patch, "TransferOut")
        for number, to_wallet_id in enumerate((pair[1], third, pair[1])):
            with pytest.raises(Cut):
                wallets.transfers.create(pair[0], to_wallet_id, 10, idempotency_key=f"{number}")
            clock.advance(seconds=1)
    run = Ledger.run

    def away(self: Ledger, kind: type[TransferredIn], command: Command) -> object:
        if isinstance(command, TransferIn) and command.wallet_id == pair[1]:
            raise DatabaseUnavailable("its shard is away")
        return run(self, kind, command)

    clock.advance(seconds=11)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "run", away)
        ended, after = transfers.finish(wallets._ledger, limit=1)
        assert ended == 0
        assert transfers.finish(wallets._ledger, limit=1, after=after)[0] == 1
        assert wallets.maintenance.finish_transfers() == 0
    assert wallets.maintenance.finish_transfers() == 2


# Wallets that do not take it


def test_a_wallet_without_room_is_refused_before_anything_moves(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    fill_up(wallets, pair[1], 100)
    with pytest.raises(InvalidAmount):
        wallets.transfers.create(*pair, 101, idempotency_key="move")
    assert wallets.balance(pair[0]) == 1_100
    assert wallets.transfers.create(*pair, 100, idempotency_key="move").to_balance == MAX_BALANCE_YEN
    assert wallets.transfers.create(*pair, 100, idempotency_key="move").replayed


@pytest.mark.parametrize("by_job", [True, False])
def test_a_wallet_that_was_filled_meanwhile_refuses_and_the_credit_is_back(
    wallets: CreditWallet, pair: tuple[int, int], clock: Clock, monkeypatch: pytest.MonkeyPatch, by_job: bool
) -> None:
    interrupted(wallets, pair, 300, monkeypatch)
    fill_up(wallets, pair[1], 299)
    if by_job:
        clock.advance(seconds=11)
        assert wallets.maintenance.finish_transfers() == 1
    for _ in range(2):
        with pytest.raises(TransferReturned) as returned:
            wallets.transfers.create(*pair, 300, idempotency_key="move")
        assert "the balance would exceed" in str(returned.value.details["reason"])
    assert kinds(wallets, pair[0]) == [("promo", "100", LATE), ("paid", "1000", None)]
    [out] = wallets.transfers.list(pair[0])
    assert (out.status, out.reason) == ("returned", returned.value.details["reason"])
    assert wallets.transfers.list(pair[1]) == []
    with pytest.raises(TransferNotFound):
        wallets.transfers.show(out.transfer_id, wallet_id=pair[1])
    [entry] = wallets.history(pair[0], limit=1)
    assert (entry.txn_type, entry.cause, entry.related_txn_id) == ("topup", "transfer_returned", out.txn_id)
    assert wallets.verify() == []


def test_what_was_refused_once_does_not_come_in_later(
    wallets: CreditWallet, pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that has read the transfer before it was refused and returned brings it in, when there is room again."""
    interrupted(wallets, pair, 300, monkeypatch)
    [out] = wallets.transfers.list(pair[0])
    late = transfers._come_in(wallets._ledger, pair[0], out.transfer_id)
    fill_up(wallets, pair[1], 299)
    with pytest.raises(TransferReturned):
        wallets.transfers.create(*pair, 300, idempotency_key="move")
    wallets.charge(pair[1], MAX_AMOUNT_YEN, idempotency_key="makes room")
    came = wallets._ledger.run(TransferredIn, late)
    assert (came.amount_yen, came.reason is None, came.replayed) == (0, False, True)
    wallets._ledger.run(TransferEnded, EndTransfer(pair[0], out.transfer_id))
    assert [each.status for each in wallets.transfers.list(pair[0])] == ["returned"]
    assert wallets.verify() == []


def test_a_wallet_that_there_is_not_is_refused_before_anything_moves(
    wallets: CreditWallet, pair: tuple[int, int]
) -> None:
    with pytest.raises(WalletNotFound):
        wallets.transfers.create(pair[0], 99, 10, idempotency_key="move")
    with pytest.raises(WalletNotFound):
        wallets.transfers.create(99, pair[0], 10, idempotency_key="move")
    with pytest.raises(TransferNotAllowed):
        wallets.transfers.create(pair[0], pair[0], 10, idempotency_key="move")
    assert wallets.balance(pair[0]) == 1_100


def test_a_wallet_that_is_gone_gets_nothing_even_if_it_appears_again(
    wallets: CreditWallet, db_url: str, pair: tuple[int, int], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(wallets, pair, 300, monkeypatch)
    [out] = wallets.transfers.list(pair[0])
    late = transfers._come_in(wallets._ledger, pair[0], out.transfer_id)
    with PlainSql(db_url) as host:
        for table in ("am_credit_wallet", "am_credit_profile", "am_credit_search_term"):
            host.run(f"DELETE FROM {table} WHERE wallet_id = ?", pair[1])
    clock.advance(seconds=11)
    assert wallets.maintenance.finish_transfers() == 1
    assert wallets.balance(pair[0]) == 1_100
    assert wallets.create().wallet_id == pair[1] + 1
    came = wallets._ledger.run(TransferredIn, late)
    assert (came.amount_yen, came.reason) == (0, "there is no such wallet")
    with pytest.raises(TransferReturned):
        wallets.transfers.create(*pair, 300, idempotency_key="move")
    assert wallets.verify() == []


def test_a_disabled_wallet_takes_credit_and_gives_none(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    wallets.freeze(pair[1])
    assert wallets.transfers.create(*pair, 300, idempotency_key="move").to_balance == 300
    with pytest.raises(WalletDisabled):
        wallets.transfers.create(*pair[::-1], 300, idempotency_key="back")


def test_a_wallet_that_owes_pays_its_debt_from_what_comes_in(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    paid = wallets.topup(pair[1], 250, idempotency_key="paid")
    wallets.charge(pair[1], 250, idempotency_key="spends")
    wallets.reverse(paid.txn_id, 250, idempotency_key="clawed back")
    moved = wallets.transfers.create(*pair, 300, idempotency_key="move")
    assert moved.to_balance == 50
    assert (wallets.balance(pair[1]).debt_yen, wallets.balance(pair[1])) == (0, 50)
    assert wallets.verify() == []


@pytest.mark.parametrize(("kind", "refused"), [("gift", True), ("never", False), ("like one of them", False)])
def test_a_wallet_of_as_many_lots_as_it_can_have(
    wallets: CreditWallet, pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch, kind: str, refused: bool
) -> None:
    monkeypatch.setattr(lots, "MAX_OPEN_LOTS", 3)
    for number in range(3):
        ends = f"2026-10-0{number + 1}T00:00:00.000Z"
        wallets.topup(pair[1], 5, idempotency_key=f"gift {number}", promo=kind != "never", expires_at=ends)
    source = wallets.create().wallet_id
    end = {"gift": "2026-12-01", "never": None, "like one of them": "2026-10-02T00:00:00Z"}[kind]
    wallets.topup(source, 50, idempotency_key="credit", promo=kind != "never", expires_at=end)
    if refused:
        with pytest.raises(TransferReturned):
            wallets.transfers.create(source, pair[1], 50, idempotency_key="move")
        assert wallets.balance(source) == 50
    else:
        assert wallets.transfers.create(source, pair[1], 50, idempotency_key="move").to_balance == 65
    assert wallets.verify() == []


def test_credit_that_cannot_return_yet_stays_on_its_way(
    wallets: CreditWallet, pair: tuple[int, int], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(wallets, pair, 300, monkeypatch)
    for wallet_id in pair:
        fill_up(wallets, wallet_id, 1)
    clock.advance(seconds=11)
    assert wallets.maintenance.finish_transfers() == 0
    with pytest.raises(InvalidAmount):
        wallets.transfers.create(*pair, 300, idempotency_key="move")
    assert wallets.verify() == []
    wallets.charge(pair[0], 1_000, idempotency_key="makes room")
    assert wallets.maintenance.finish_transfers() == 1
    assert wallets.balance(pair[0]) == MAX_BALANCE_YEN - 1 - 1_000 + 300
    assert wallets.verify() == []
