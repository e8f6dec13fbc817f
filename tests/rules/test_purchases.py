"""Purchases: served is paid, not served is not paid, never twice — whoever asks, in whichever process.

The adversaries: a buyer who repeats a request at another worker and leaves; one who sends keys that the product would
make; a worker that dies, hangs past its lease, or learns late that it had served; an operator who refunds meanwhile.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from clock import Clock
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Bought, Outcome
from credit_wallet.errors import (
    IdempotencyConflict,
    InsufficientFunds,
    PurchaseNotFound,
    PurchaseRunning,
    RetriesExhausted,
    Unauthorized,
    WalletError,
)

pytestmark = on_every_database


class Buyer:
    """A wallet with ¥1,000, and a seller's attempts at one request of its owner's."""

    def __init__(self, wallets: CreditWallet, hold_seconds: int | None = None) -> None:
        self.wallets = wallets
        self.wallet_id = wallets.create().wallet_id
        self.hold_seconds = hold_seconds
        wallets.topup(self.wallet_id, 1_000, idempotency_key="first")

    def buy(self, attempt: str, *, price: int = 100, free_retries: int = 2, key_id: int | None = None) -> Outcome:
        return self.wallets.purchases.buy(
            self.wallet_id,
            price,
            purchase_key="request",
            attempt=attempt,
            hold_seconds=self.hold_seconds,
            free_retries=free_retries,
            key_id=key_id,
        )

    def serve(self, attempt: str) -> Outcome:
        return self.wallets.purchases.serve(self.wallet_id, "request", attempt=attempt)

    def undo(self, attempt: str) -> Outcome:
        return self.wallets.purchases.undo(self.wallet_id, "request", attempt=attempt)

    def renew(self, attempt: str, seconds: int = 30) -> Outcome:
        return self.wallets.purchases.renew(self.wallet_id, "request", attempt=attempt, lease_seconds=seconds)

    @property
    def has_yen(self) -> int:
        """Balance and open holds together, less what is owed."""
        view = self.wallets.show(self.wallet_id)
        return view.balance_yen + view.held_yen - view.debt_yen

    @property
    def paid_yen(self) -> int:
        return 1_000 - self.has_yen


@pytest.fixture(params=[None, 900], ids=["charged", "held"])
def buyer(wallets: CreditWallet, request: pytest.FixtureRequest) -> Buyer:
    return Buyer(wallets, request.param)


def test_a_request_is_charged_once_and_served_once(buyer: Buyer, clock: Clock) -> None:
    bought = buyer.buy("a")
    assert (bought.amount_yen, bought.replayed, bought.free) == (100, False, False)
    buyer.serve("a")
    clock.advance(seconds=1_000)
    assert buyer.paid_yen == 100
    assert not buyer.wallets.verify()


def test_an_attempt_that_did_not_charge_gives_nothing_back(buyer: Buyer, clock: Clock) -> None:
    buyer.buy("a")
    buyer.serve("a")
    retry = buyer.buy("b")
    assert (retry.free, retry.replayed) == (True, True)
    assert buyer.undo("b").amount_yen == 0
    assert buyer.undo("a").amount_yen == 0
    clock.advance(seconds=1_000)
    assert buyer.paid_yen == 100


def test_what_was_not_served_is_given_back_and_charged_again_by_the_next_attempt(buyer: Buyer, clock: Clock) -> None:
    buyer.buy("a")
    assert buyer.undo("a").amount_yen == 100
    assert buyer.paid_yen == 0
    assert buyer.undo("a").amount_yen == 0
    again = buyer.buy("b")
    assert (again.replayed, again.free) == (False, False)
    buyer.serve("b")
    clock.advance(seconds=1_000)
    assert buyer.paid_yen == 100
    assert not buyer.wallets.verify()


def test_while_one_attempt_is_at_work_another_waits(buyer: Buyer, clock: Clock) -> None:
    buyer.buy("a")
    with pytest.raises(PurchaseRunning) as refused:
        buyer.buy("b")
    assert refused.value.details["retry_after_seconds"] == 10
    assert buyer.buy("a").replayed
    clock.advance(seconds=25)
    buyer.renew("a")
    clock.advance(seconds=25)
    with pytest.raises(PurchaseRunning):
        buyer.buy("b")
    with pytest.raises(PurchaseRunning):
        buyer.renew("b")


def test_an_attempt_that_was_lost_is_followed_by_another_that_pays_nothing_again(buyer: Buyer, clock: Clock) -> None:
    buyer.buy("a")
    clock.advance(seconds=31)
    taken_over = buyer.buy("b")
    assert (taken_over.replayed, taken_over.free) == (True, False)
    assert buyer.undo("a").amount_yen == 0
    with pytest.raises(PurchaseRunning):
        buyer.buy("c")
    buyer.serve("b")
    clock.advance(seconds=1_000)
    assert buyer.paid_yen == 100


def test_an_attempt_that_was_taken_for_lost_and_served_all_the_same_is_paid(buyer: Buyer, clock: Clock) -> None:
    buyer.buy("a")
    clock.advance(seconds=31)
    buyer.buy("b")
    buyer.serve("a")
    assert buyer.undo("b").amount_yen == 0
    clock.advance(seconds=1_000)
    assert buyer.paid_yen == 100


def test_what_was_served_after_it_was_given_back_is_charged_again(buyer: Buyer) -> None:
    buyer.buy("a")
    buyer.undo("a")
    buyer.serve("a")
    assert buyer.paid_yen == 100
    buyer.serve("a")
    assert buyer.paid_yen == 100
    assert buyer.buy("b").free
    assert not buyer.wallets.verify()


def test_what_was_served_after_it_was_given_back_and_spent_is_owed(buyer: Buyer) -> None:
    buyer.buy("a")
    buyer.undo("a")
    buyer.wallets.charge(buyer.wallet_id, 960, idempotency_key="elsewhere")
    buyer.serve("a")
    view = buyer.wallets.show(buyer.wallet_id)
    assert (view.balance_yen, view.debt_yen) == (0, 60)
    buyer.wallets.topup(buyer.wallet_id, 100, idempotency_key="second")
    assert buyer.wallets.balance(buyer.wallet_id) == 40
    assert not buyer.wallets.verify()


@pytest.mark.parametrize("elsewhere_yen", [1_000, 960])
def test_what_is_owed_for_is_a_purchase_and_its_retry_is_free(buyer: Buyer, elsewhere_yen: int) -> None:
    buyer.buy("a")
    buyer.undo("a")
    buyer.wallets.charge(buyer.wallet_id, elsewhere_yen, idempotency_key="elsewhere")
    buyer.serve("a")
    buyer.wallets.topup(buyer.wallet_id, 500, idempotency_key="second")
    before_yen = buyer.wallets.balance(buyer.wallet_id)
    assert buyer.buy("b").free
    assert buyer.wallets.balance(buyer.wallet_id) == before_yen == 1_500 - elsewhere_yen - 100
    assert not buyer.wallets.verify()


def test_served_requests_are_free_as_often_as_the_seller_says_in_whichever_process(
    buyer: Buyer, db_url: str, clock: Clock
) -> None:
    buyer.buy("a")
    buyer.serve("a")
    with CreditWallet.open(db_url, clock=clock) as elsewhere:
        other = Buyer.__new__(Buyer)
        other.wallets, other.wallet_id, other.hold_seconds = elsewhere, buyer.wallet_id, buyer.hold_seconds
        assert other.buy("b").free
        assert buyer.buy("c").free
        for each in (buyer, other):
            with pytest.raises(RetriesExhausted):
                each.buy("d")


def test_a_retry_with_another_price_or_payer_is_a_conflict(buyer: Buyer) -> None:
    key_id = buyer.wallets.keys.create(buyer.wallet_id).key_id
    buyer.buy("a")
    buyer.serve("a")
    with pytest.raises(IdempotencyConflict):
        buyer.buy("b", price=1)
    with pytest.raises(IdempotencyConflict):
        buyer.buy("b", key_id=key_id)


def test_what_an_operator_gave_back_is_charged_again(wallets: CreditWallet) -> None:
    buyer = Buyer(wallets)
    bought = buyer.buy("a")
    buyer.serve("a")
    assert bought.txn_id is not None
    wallets.refund(bought.txn_id, idempotency_key="goodwill")
    assert not buyer.buy("b").free
    assert buyer.paid_yen == 100


def test_a_purchase_that_was_abandoned_is_given_back_by_maintenance(buyer: Buyer, clock: Clock) -> None:
    buyer.buy("a")
    clock.advance(seconds=31)
    assert buyer.wallets.maintenance.undo_abandoned() == 0
    clock.advance(seconds=60)
    assert buyer.wallets.maintenance.undo_abandoned() == 1
    assert buyer.paid_yen == 0
    assert buyer.wallets.maintenance.undo_abandoned() == 0
    assert not buyer.wallets.verify()


def test_one_that_was_renewed_or_served_meanwhile_is_not(buyer: Buyer, clock: Clock) -> None:
    buyer.buy("a")
    clock.advance(seconds=120)
    buyer.renew("a")
    buyer.wallets.purchases.undo(buyer.wallet_id, "request", attempt="a", abandoned=True)
    buyer.serve("a")
    clock.advance(seconds=1_000)
    buyer.wallets.maintenance.undo_abandoned()
    assert buyer.paid_yen == 100


@pytest.mark.partitions
def test_nothing_is_bought_for_nothing(buyer: Buyer) -> None:
    with pytest.raises(InsufficientFunds):
        buyer.buy("a", price=1_001)
    key_id = buyer.wallets.keys.create(buyer.wallet_id).key_id
    buyer.wallets.keys.revoke(key_id)
    with pytest.raises(Unauthorized):
        buyer.buy("a", key_id=key_id)
    for act in (buyer.serve, buyer.undo, buyer.renew):
        with pytest.raises(PurchaseNotFound):
            act("a")
    assert buyer.has_yen == 1_000


def test_a_purchase_without_retries_is_forgotten_when_it_is_served(buyer: Buyer, clock: Clock) -> None:
    buyer.buy("a")
    buyer.wallets.purchases.serve(buyer.wallet_id, "request", attempt="a", forget=True)
    with pytest.raises(PurchaseNotFound):
        buyer.serve("a")
    clock.advance(seconds=1_000)
    assert buyer.paid_yen == 100
    assert not buyer.wallets.verify()


def test_a_held_purchase_pays_what_it_came_to(wallets: CreditWallet) -> None:
    buyer = Buyer(wallets, 900)
    hold_id = buyer.buy("a").hold_id
    assert hold_id is not None
    buyer.serve("a")
    wallets.capture(hold_id, 30, actor="product")
    assert buyer.paid_yen == 30
    assert buyer.buy("b").free


def test_a_captured_hold_is_paid_for_whether_or_not_it_was_said_to_be_served(
    wallets: CreditWallet, clock: Clock
) -> None:
    buyer = Buyer(wallets, 900)
    hold_id = buyer.buy("a").hold_id
    assert hold_id is not None
    wallets.capture(hold_id, 30, actor="product")
    clock.advance(seconds=1_000)
    assert (wallets.maintenance.undo_abandoned(), wallets.maintenance.undo_abandoned()) == (1, 0)
    assert buyer.undo("a").amount_yen == 0
    assert buyer.buy("b").free
    assert buyer.paid_yen == 30
    assert not wallets.verify()


@pytest.mark.parametrize("end", ["undone", "abandoned", "expired"])
def test_a_hold_that_was_captured_in_part_is_not_paid_for_again(wallets: CreditWallet, clock: Clock, end: str) -> None:
    """Its rest goes back, however it ends, and what was captured has paid."""
    buyer = Buyer(wallets, 60)
    hold_id = buyer.buy("a").hold_id
    assert hold_id is not None
    wallets.capture(hold_id, 30, idempotency_key="part", final=False)
    if end == "undone":
        assert buyer.undo("a").amount_yen == 70
    else:
        clock.advance(seconds=100)
        assert (wallets.maintenance.undo_abandoned() if end == "abandoned" else wallets.maintenance.expire_due()) == 1
    assert buyer.paid_yen == 30
    assert buyer.buy("b").free
    assert buyer.undo("b").amount_yen == 0
    assert buyer.paid_yen == 30
    assert wallets.show(buyer.wallet_id).held_yen == 0
    assert not wallets.verify()


def test_keys_that_callers_choose_are_not_those_of_purchases(buyer: Buyer) -> None:
    buyer.wallets.charge(buyer.wallet_id, 1, idempotency_key="request", actor="payer")
    buyer.wallets.charge(buyer.wallet_id, 1, idempotency_key="request")
    buyer.wallets.purchases.buy(buyer.wallet_id, 1, purchase_key="request", attempt="a", actor="seller:7")
    assert not buyer.buy("a").replayed


def test_sellers_do_not_touch_each_others_purchases(buyer: Buyer) -> None:
    buyer.buy("a")
    for act in (buyer.wallets.purchases.serve, buyer.wallets.purchases.undo, buyer.wallets.purchases.renew):
        with pytest.raises(PurchaseNotFound):
            act(buyer.wallet_id, "request", attempt="a", actor="seller:7")


def test_of_many_attempts_at_once_one_has_the_purchase(buyer: Buyer) -> None:
    def attempt(name: int) -> Outcome | WalletError:
        try:
            return buyer.buy(f"attempt {name}")
        except WalletError as refusal:
            return refusal

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(attempt, range(16)))
    assert sum(isinstance(each, Outcome) for each in answers) == 1
    assert {type(each) for each in answers} == {Bought, PurchaseRunning}
    assert buyer.paid_yen in (0, 100)


def test_serving_can_be_posted_and_rides_with_what_comes_next(buyer: Buyer) -> None:
    failures: list[Exception] = []
    buyer.buy("a")
    buyer.wallets.purchases.post_serve(buyer.wallet_id, "request", attempt="a", failed=failures.append)
    assert buyer.buy("b").free
    assert not failures


def test_what_was_posted_before_the_end_is_written(db_url: str, clock: Clock) -> None:
    with CreditWallet.open(db_url, clock=clock) as wallets:
        buyer = Buyer(wallets)
        buyer.buy("a")
        wallets.purchases.post_serve(buyer.wallet_id, "request", attempt="a", failed=_unexpected)
    with CreditWallet.open(db_url, clock=clock) as wallets:
        buyer.wallets = wallets
        assert buyer.buy("b").free


def test_a_posted_command_that_is_refused_is_reported(buyer: Buyer) -> None:
    reported = Event()
    failures: list[Exception] = []

    def failed(problem: Exception) -> None:
        failures.append(problem)
        reported.set()

    buyer.wallets.purchases.post_serve(buyer.wallet_id, "unknown", attempt="a", failed=failed)
    assert reported.wait(10)
    assert isinstance(failures[0], PurchaseNotFound)


def _unexpected(problem: Exception) -> None:
    raise AssertionError(problem)
