"""What was taken back comes again as what it was: to the lots that it was taken from, and lapsing with them.

The kind: everything that comes again. Where else yen come again, and could come as something better:

- a dispute that is won, a refund that fails, in whole or in part, twice, or with another top-up's claim beside it;
- a pay-back that the provider did not carry out;
- debt that was repaid meanwhile: from gifts, from refunds of gifts, from holds that gave back;
- what is still owed: it is cancelled, it does not come as credit;
- a gift that ended in between: what comes again lapses at once;
- taken and given again in one batch, where the lot is known from nowhere but the batch itself; a purchase that is made
  and undone in one;
- what was taken before there was a register of it.

Nothing of it is credit that came in: not in a statement, and not in what the law calls issued.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import NamedTuple

import pytest
from amounts import yen
from clock import Clock
from databases import Databases, on_every_database
from msgspec import json, structs
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import Buy, SettleTopup, Undo
from credit_wallet.domain.money import MAX_AMOUNT_YEN, MAX_BALANCE_YEN
from credit_wallet.domain.topups import CLAWBACK_STATUSES, Clawback, PaymentFact
from credit_wallet.errors import WalletError
from credit_wallet.rules.state import ClawbackState
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.jobs.books import clawbacks_of
from credit_wallet.stores.segments import ChainEntry

pytestmark = on_every_database

END = "2026-12-10T00:00:00.000Z"


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 5, 12, tzinfo=UTC))


class Payer(NamedTuple):
    """A wallet, and what its provider says of its payments."""

    wallets: CreditWallet
    wallet_id: int

    def pays(self, yen: int, key: str = "payment") -> str:
        topup_id = self.wallets.topups.request(self.wallet_id, yen, idempotency_key=key).topup_id
        assert topup_id is not None
        self.says(topup_id, PaymentFact(observed_at=1, status="succeeded", received_yen=yen))
        return topup_id

    def says(self, topup_id: str, fact: PaymentFact) -> None:
        self.wallets.topups.settle(self.wallet_id, topup_id, fact)

    def loses(self, topup_id: str, yen: int, dispute: str = "dispute") -> None:
        self.says(topup_id, PaymentFact(observed_at=2, clawbacks=(Clawback(dispute, "dispute", yen, "withdrawn"),)))

    def wins(self, topup_id: str, yen: int, dispute: str = "dispute") -> None:
        self.says(topup_id, PaymentFact(observed_at=3, clawbacks=(Clawback(dispute, "dispute", yen, "reinstated"),)))

    def gift(self, yen: int, expires_at: str | None = END) -> None:
        self.wallets.topup(
            self.wallet_id, yen, idempotency_key=f"gift {yen} {expires_at}", promo=True, expires_at=expires_at
        )

    def spends(self, yen: int) -> int:
        txn_id = self.wallets.charge(self.wallet_id, yen, idempotency_key=f"charge {yen}").txn_id
        assert txn_id is not None
        return txn_id

    @property
    def lots(self) -> list[tuple[str, int, str | None]]:
        return [(lot.kind, lot.remaining_yen, lot.expires_at) for lot in self.wallets.lots.list(self.wallet_id)]

    @property
    def debt_yen(self) -> int:
        return self.wallets.balance(self.wallet_id).debt_yen

    @property
    def entries(self) -> list[tuple[str, int]]:
        return [(entry.txn_type, entry.amount_yen) for entry in reversed(self.wallets.history(self.wallet_id))]


@pytest.fixture
def payer(wallets: CreditWallet) -> Iterator[Payer]:
    opened = Payer(wallets, wallets.create().wallet_id)
    yield opened
    assert wallets.verify() == []


def test_a_gift_that_a_dispute_took_is_a_gift_again_when_the_dispute_is_won(payer: Payer, clock: Clock) -> None:
    topup_id = payer.pays(1_000)
    payer.spends(1_000)
    payer.gift(500)
    payer.loses(topup_id, 1_000)
    assert (payer.lots, payer.debt_yen) == ([], 500)
    payer.wins(topup_id, 1_000)
    assert (payer.lots, payer.debt_yen) == ([("promo", 500, END)], 0)
    clock.set(datetime(2026, 12, 10, tzinfo=UTC))
    assert payer.lots == []
    assert payer.entries[-1] == ("expire", -500)


def test_a_gift_that_ended_meanwhile_comes_again_and_lapses_at_once(payer: Payer, clock: Clock) -> None:
    topup_id = payer.pays(1_000)
    payer.spends(900)
    payer.gift(500)
    payer.loses(topup_id, 400)
    assert payer.lots == [("promo", 200, END)]
    clock.set(datetime(2026, 12, 20, tzinfo=UTC))
    payer.wins(topup_id, 400)
    assert payer.lots == [("paid", 100, None)]
    assert payer.entries[-3:] == [("expire", -200), ("topup", 400), ("expire", -300)]
    entries = payer.wallets.history(payer.wallet_id)
    assert [entry.occurred_at for entry in entries[:3]] == [
        "2026-12-20T00:00:00.000Z",
        "2026-12-20T00:00:00.000Z",
        END,
    ]


def test_a_gift_that_repaid_the_debt_is_a_gift_again(payer: Payer) -> None:
    topup_id = payer.pays(1_000)
    payer.spends(1_000)
    payer.loses(topup_id, 1_000)
    payer.gift(300)
    assert (payer.lots, payer.debt_yen) == ([], 700)
    payer.wins(topup_id, 1_000)
    assert (payer.lots, payer.debt_yen) == ([("promo", 300, END)], 0)


def test_what_a_refund_or_a_hold_repaid_goes_back_to_its_lots(payer: Payer, clock: Clock) -> None:
    topup_id = payer.pays(1_000)
    payer.gift(200)
    gift_spent = payer.spends(150)
    hold_id = payer.wallets.hold(payer.wallet_id, 50, idempotency_key="hold", ttl_seconds=60).hold_id
    payer.spends(1_000)
    payer.loses(topup_id, 1_000)
    payer.wallets.refund(gift_spent, idempotency_key="refund")
    clock.advance(seconds=60)
    assert (payer.lots, payer.debt_yen) == ([], 800)
    assert hold_id is not None
    payer.wins(topup_id, 1_000)
    assert (payer.lots, payer.debt_yen) == ([("promo", 200, END)], 0)


def test_what_was_taken_last_comes_again_first(payer: Payer) -> None:
    topup_id = payer.pays(1_000)
    payer.spends(900)
    payer.gift(500)
    payer.loses(topup_id, 300, "one")
    payer.loses(topup_id, 100, "two")
    assert payer.lots == [("promo", 200, END)]
    payer.wins(topup_id, 100, "two")
    assert payer.lots == [("promo", 300, END)]
    payer.wins(topup_id, 300, "one")
    assert payer.lots == [("promo", 500, END), ("paid", 100, None)]


def test_the_debt_of_the_oldest_top_up_is_repaid_first_and_each_comes_again_by_itself(payer: Payer) -> None:
    first, second = payer.pays(300, "first"), payer.pays(200, "second")
    payer.spends(500)
    payer.loses(second, 200, "later top-up, earlier dispute")
    payer.loses(first, 300)
    payer.gift(400)
    assert (payer.lots, payer.debt_yen) == ([], 100)
    payer.wins(second, 200, "later top-up, earlier dispute")
    assert (payer.lots, payer.debt_yen) == ([("promo", 100, END)], 0)
    payer.wins(first, 300)
    assert (payer.lots, payer.debt_yen) == ([("promo", 400, END)], 0)


def test_what_comes_again_repays_what_is_owed_for_another_top_up(payer: Payer) -> None:
    first, second = payer.pays(300, "first"), payer.pays(200, "second")
    payer.spends(500)
    payer.gift(250)
    payer.loses(first, 300)
    payer.loses(second, 200)
    assert (payer.lots, payer.debt_yen) == ([], 250)
    payer.wins(first, 300)
    assert (payer.lots, payer.debt_yen) == ([("promo", 50, END)], 0)
    payer.wins(second, 200)
    assert (payer.lots, payer.debt_yen) == ([("promo", 250, END)], 0)


def test_a_dispute_after_a_dispute_that_was_won_takes_again(payer: Payer) -> None:
    topup_id = payer.pays(1_000)
    payer.spends(1_000)
    payer.gift(400)
    for number in range(3):
        payer.loses(topup_id, 1_000, f"dispute {number}")
        assert (payer.lots, payer.debt_yen) == ([], 600)
        payer.wins(topup_id, 1_000, f"dispute {number}")
        assert (payer.lots, payer.debt_yen) == ([("promo", 400, END)], 0)


def test_a_pay_back_that_failed_comes_again_to_the_lot_it_was_taken_from(payer: Payer) -> None:
    topup_id = payer.pays(1_000)
    lot_id = payer.wallets.lots.list(payer.wallet_id)[0].lot_id
    payer.wallets.topups.pay_back(payer.wallet_id, topup_id, 600, idempotency_key="back")
    [clawback] = payer.wallets.topups.show(topup_id).clawbacks
    assert clawback == Clawback(clawback.id, "pay_back", 600, "withdrawn")
    payer.says(topup_id, PaymentFact(observed_at=9, clawbacks=(structs.replace(clawback, status="reinstated"),)))
    assert [(lot.lot_id, lot.remaining_yen) for lot in payer.wallets.lots.list(payer.wallet_id)] == [(lot_id, 1_000)]
    assert payer.wallets.topups.pay_back(payer.wallet_id, topup_id, 1_000, idempotency_key="again").balance_yen == 0


def test_taken_and_given_again_in_one_batch(payer: Payer) -> None:
    topup_id = payer.pays(1_000)
    payer.spends(1_000)
    payer.gift(500)
    facts = [
        PaymentFact(observed_at=number, clawbacks=(Clawback(dispute, "dispute", 700, status),))
        for number, (dispute, status) in enumerate(product("ab", CLAWBACK_STATUSES[1:]))
    ]
    outcomes = payer.wallets._ledger.lanes.submit([SettleTopup(payer.wallet_id, topup_id, fact) for fact in facts])
    assert not [outcome for outcome in outcomes if isinstance(outcome, WalletError)]
    assert (payer.lots, payer.debt_yen) == ([("promo", 500, END)], 0)


@pytest.mark.parametrize("amount_micros", [yen(550), yen("500.000001"), yen("0.00055")])
def test_a_purchase_that_is_made_and_undone_in_one_batch_gives_the_gift_back(payer: Payer, amount_micros: int) -> None:
    payer.gift(500)
    payer.pays(100)
    for number, hold_seconds in enumerate((None, 60)):
        buy = Buy(payer.wallet_id, f"p{number}", "attempt", amount_micros, hold_seconds)
        outcomes = payer.wallets._ledger.lanes.submit([buy, Undo(payer.wallet_id, f"p{number}", "attempt")])
        assert not [outcome for outcome in outcomes if isinstance(outcome, WalletError)]
        assert payer.lots == [("promo", 500, END), ("paid", 100, None)]


def test_what_there_is_no_room_for_comes_again_when_there_is(payer: Payer) -> None:
    topup_id = payer.pays(1_000)
    payer.gift(500)
    payer.loses(topup_id, 1_000)
    left_yen = MAX_BALANCE_YEN - 300 - payer.wallets.balance(payer.wallet_id)
    while left_yen:
        part_yen = min(left_yen, MAX_AMOUNT_YEN)
        payer.wallets.topup(payer.wallet_id, part_yen, idempotency_key=f"filling {left_yen}")
        left_yen -= part_yen
    payer.wins(topup_id, 1_000)
    assert payer.wallets.balance(payer.wallet_id) == MAX_BALANCE_YEN
    assert payer.wallets.topups.show(topup_id).reversed_yen == 700
    payer.spends(5_000)
    payer.wins(topup_id, 1_000)
    assert payer.wallets.topups.show(topup_id).reversed_yen == 0
    assert payer.wallets.balance(payer.wallet_id) == MAX_BALANCE_YEN - 4_300


# What it is not


def test_what_comes_again_is_not_credit_that_came_in(payer: Payer, clock: Clock) -> None:
    clock.set(datetime(2026, 8, 1, 12, tzinfo=UTC))
    topup_id = payer.pays(1_000)
    payer.spends(400)
    payer.loses(topup_id, 1_000)
    payer.wins(topup_id, 1_000)
    report = payer.wallets.statement(payer.wallet_id, "2026-08")
    assert (report.topups_yen, report.charges_yen, report.reversed_yen, report.closing_yen) == (1_000, -400, 0, 600)
    assert payer.entries == [("topup", 1_000), ("charge", -400), ("reversal", -600), ("topup", 600)]
    clock.set(datetime(2026, 11, 1, 12, tzinfo=UTC))
    assert payer.wallets.topups.pay_back_room().issued_yen == 1_000


# Before there was a register


@pytest.mark.partitions
def test_a_ledger_from_before_has_a_register_once_it_is_opened(databases: Databases, clock: Clock) -> None:
    with databases.ledger() as url:
        with CreditWallet.open(url, clock=clock) as wallets:
            ids = [wallets.create().wallet_id for _ in range(3)]
            won = {}
            for wallet_id in ids:
                payer = Payer(wallets, wallet_id)
                won[wallet_id] = payer.pays(1_000)
                payer.spends(900)
                payer.gift(500)
                payer.loses(won[wallet_id], 800)
            reversed_by_hand = wallets.topup(ids[1], 100, idempotency_key="by hand").txn_id
            assert reversed_by_hand is not None
            wallets.reverse(reversed_by_hand, 100, idempotency_key="reverse")
            Payer(wallets, ids[1]).gift(150, None)
            for wallet_id in ids:  # a rollback forgets no debts: they must be settled
                wallets.topup(wallet_id, 1_000, idempotency_key="settling", promo=True, expires_at=END)
                assert wallets.balance(wallet_id).debt_yen == 0
            registers = register_of(url)
        database_at(url).rollback(289)
        with CreditWallet.open(url, clock=clock) as wallets:
            assert register_of(url) == registers
            assert wallets.verify() == []
            for wallet_id in ids:
                Payer(wallets, wallet_id).wins(won[wallet_id], 800)
            assert Payer(wallets, ids[0]).lots == [("promo", 500, END), ("promo", 1_000, END), ("paid", 100, None)]
            assert wallets.verify() == []


def register_of(url: str) -> list[tuple[object, ...]]:
    with PlainSql(url) as host:
        return sorted(host.run("SELECT wallet_id, credit_txn_id, taken, owed_yen FROM am_credit_clawback"), key=repr)


@pytest.mark.parametrize(
    ("forgotten", "lots", "debt_yen"),
    [
        ("taken = '[]', owed_yen = 0", [("paid", 100, None)], 0),
        ("owed_yen = 0", [("promo", 100, END)], 0),
    ],
)
def test_what_the_register_does_not_know_cancels_debt_and_comes_as_paid(
    payer: Payer, db_url: str, forgotten: str, lots: list[tuple[str, int, str | None]], debt_yen: int
) -> None:
    topup_id = payer.pays(1_000)
    payer.spends(1_000)
    payer.gift(100)
    payer.loses(topup_id, 300)
    with PlainSql(db_url) as host:
        host.run(f"UPDATE am_credit_clawback SET {forgotten}")
        owed = "SELECT wallet_id, 0, '[]', debt_yen FROM am_credit_wallet WHERE debt_yen > 0"
        host.run(f"INSERT INTO am_credit_clawback (wallet_id, credit_txn_id, taken, owed_yen) {owed}")
        host.run("UPDATE am_credit_counted SET last_txn_id = 1000 WHERE counted = 'books'")  # all is from before it
    payer.wins(topup_id, 300)
    assert (payer.lots, payer.debt_yen) == (lots, debt_yen)


def test_debt_that_was_repaid_before_entries_named_its_top_up_is_shared_out_in_order() -> None:
    """What a top-up's own entries do not account for was repaid by entries that named none, or is owed still."""
    entries = [
        ChainEntry(10, 9, "", 0, -300, "reversal", 1, "[[1,100],[5,200]]"),
        ChainEntry(11, 10, "", 0, -150, "reversal", None, "[[6,150]]"),
        ChainEntry(12, 11, "", 0, -50, "reversal", None, "[[7,50]]"),
        ChainEntry(13, 12, "", 0, -40, "reversal", 3, "[[8,40]]"),
        ChainEntry(14, 13, "", 0, 30, "topup", 3, "[[8,30]]"),
    ]
    assert clawbacks_of(9, entries, {1: yen(400), 2: yen(250), 3: yen(10), 4: yen(5)}, yen(150)) == [
        ClawbackState(9, 1, [(1, yen(100)), (5, yen(200)), (6, yen(100))], 0),
        ClawbackState(9, 2, [(6, yen(50)), (7, yen(50))], yen(150)),
        ClawbackState(9, 3, [(8, yen(10))], 0),
        ClawbackState(9, 4, [], 0),
    ]


def test_debt_that_is_for_no_top_up_is_in_the_register_by_itself() -> None:
    assert clawbacks_of(9, [], {}, yen(40)) == [ClawbackState(9, 0, [], yen(40))]


def test_what_a_clawback_id_says_is_not_written_beside_it(payer: Payer, db_url: str) -> None:
    """Releases before 294 read rows of three; one that is rolled back to, or still runs, must be able to."""
    topup_id = payer.pays(1_000)
    named = (
        Clawback("dp_1", "dispute", 300, "withdrawn"),
        Clawback("du_1", "dispute", 10, "announced"),
        Clawback("re_1", "refund", 20, "reinstated"),
        Clawback("pb_1", "pay_back", 30, "withdrawn"),
    )
    unnamed = (Clawback("x", "dispute", 1, "withdrawn"), Clawback("dp_2", "refund", 2, "announced"))
    payer.says(topup_id, PaymentFact(observed_at=2, clawbacks=named))
    rows = [["dp_1", 300, 1], ["du_1", 10, 0], ["re_1", 20, 2], ["pb_1", 30, 1]]
    with PlainSql(db_url) as host:
        [(taken,)] = host.run("SELECT takings FROM am_credit_topup")
    assert json.decode(taken) == rows
    payer.says(topup_id, PaymentFact(observed_at=3, clawbacks=unnamed))
    with PlainSql(db_url) as host:
        [(taken,)] = host.run("SELECT takings FROM am_credit_topup")
    assert json.decode(taken) == [*rows, ["x", 1, 1, "dispute"], ["dp_2", 2, 0, "refund"]]
    assert payer.wallets.topups.show(topup_id).clawbacks == named + unnamed


def test_a_reversal_with_the_words_of_a_pay_back_is_no_violation(payer: Payer) -> None:
    topup_id = payer.pays(1_000)
    txn_id = payer.wallets.topups.show(topup_id).credit_txn_id
    assert txn_id is not None
    payer.wallets.reverse(txn_id, 100, idempotency_key="reversal", note=f"paid back of top-up {topup_id}")
    assert payer.wallets.topups.pay_back_room().paid_back_yen == 0
    assert payer.wallets.verify() == []
