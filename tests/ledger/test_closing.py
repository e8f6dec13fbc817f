"""Freezing, closing and merging wallets: what a wallet still takes, and what a retry goes on with.

Who would get it wrong: an owner who undoes a freeze, a charge that slips in while a wallet is closed, a hold that
a seller loses, money that is paid back twice or kept, a crash between two steps, two merges in opposite directions.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from databases import on_both_databases
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import Author
from credit_wallet.domain.commands import BeginClosing
from credit_wallet.domain.outcomes import Configured
from credit_wallet.domain.topups import Clawback, PaymentFact, pay_back_id_of
from credit_wallet.errors import (
    ClosingBlocked,
    InvalidRequest,
    PaymentProviderError,
    ReferenceInUse,
    TransferReturned,
    Unauthorized,
    WalletClosed,
    WalletDisabled,
    WalletError,
)
from credit_wallet.ledger import closing
from credit_wallet.rules.topup_advice import next_step

pytestmark = on_both_databases

LEAVES: dict[str, Any] = {"note": "contract ended"}


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    """¥500 of a payment, a gift of ¥20.5, automatic top-ups, a grant and an agent key."""
    wallet_id = wallets.create(auto_topup_threshold=100, auto_topup_amount=500).wallet_id
    pay(wallets, wallet_id, 500, "pays")
    wallets.topup(wallet_id, "20.5", idempotency_key="gift", promo=True)
    wallets.grants.create(wallet_id, 5, every="month", starts_at="2099-01-01")
    wallets.keys.create(wallet_id)
    return wallet_id


def pay(wallets: CreditWallet, wallet_id: int, yen: int, key: str) -> str:
    topup_id = wallets.topups.request(wallet_id, yen, idempotency_key=key).topup_id
    wallets.topups.settle(wallet_id, topup_id, PaymentFact(observed_at=1, status="succeeded", received_yen=yen))
    return topup_id


class Provider:
    """Pays back as ``payments`` does: the credit leaves first, then the provider is asked, which may fail."""

    def __init__(self, wallets: CreditWallet) -> None:
        self.wallets, self.paid, self.fails = wallets, dict[str, int](), 0

    def __call__(self, topup_id: str, amount_yen: int, *, idempotency_key: str) -> None:
        wallet_id = self.wallets.topups.show(topup_id).wallet_id
        self.wallets.topups.pay_back(wallet_id, topup_id, amount_yen, idempotency_key=idempotency_key)
        if self.fails:
            self.fails -= 1
            raise PaymentProviderError("no answer")
        self.paid[pay_back_id_of(wallet_id, idempotency_key)] = amount_yen


def kinds_of_acts(wallets: CreditWallet, wallet_id: int) -> list[str]:
    rows = wallets._ledger.ask(
        "SELECT kind FROM am_credit_act WHERE wallet_id = :wallet_id ORDER BY act_id", wallet_id=wallet_id
    )
    return [str(kind) for (kind,) in rows]


# Freezing


def test_a_frozen_wallet_spends_nothing_until_an_operator_unfreezes_it(wallets: CreditWallet, wallet_id: int) -> None:
    frozen = wallets.acting(Author("operator", "operator:3")).freeze(wallet_id, reason="fraud", note="ticket 1")
    assert (frozen.frozen, frozen.enabled, frozen.frozen_reason, frozen.frozen_note) == (
        True,
        False,
        "fraud",
        "ticket 1",
    )
    assert frozen.frozen_at is not None
    assert wallets.freeze(wallet_id, reason="fraud", note="ticket 1") == frozen
    again = wallets.freeze(wallet_id, reason="other", note="ticket 2")
    assert (again.frozen_at, again.frozen_reason) == (frozen.frozen_at, "other")
    for spend in (wallets.charge, wallets.hold):
        with pytest.raises(WalletDisabled):
            spend(wallet_id, 1, idempotency_key="k")
    wallets.topup(wallet_id, 1, idempotency_key="still takes credit")
    wallets.configure(wallet_id, label="changes nothing of it")
    assert wallets.show(wallet_id).frozen
    assert wallets.unfreeze(wallet_id) == wallets.unfreeze(wallet_id)
    assert wallets.show(wallet_id).frozen_at is None
    wallets.charge(wallet_id, 1, idempotency_key="k")
    kinds = [kind for kind in kinds_of_acts(wallets, wallet_id) if "frozen" in kind]
    assert kinds == ["wallet.frozen", "wallet.frozen", "wallet.unfrozen"]
    assert wallets.verify() == []


@pytest.mark.parametrize("asked", [{"reason": "because"}, {"note": "x" * 501}])
def test_a_freeze_has_a_reason_of_the_list(wallets: CreditWallet, wallet_id: int, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        wallets.freeze(wallet_id, **asked)


# Closing


def test_a_customer_leaves(wallets: CreditWallet, wallet_id: int) -> None:
    provider = Provider(wallets)
    wallets.charge(wallet_id, "120.5", idempotency_key="spends the gift and 100 of the payment")
    gift = wallets.topup(wallet_id, 7, idempotency_key="another gift", promo=True)
    closed = wallets.close_wallet(wallet_id, **LEAVES, pay_back=provider)
    assert list(provider.paid.values()) == [400]
    assert (closed.balance_yen, closed.closed_at, closed.merged_into) == (0, closed.closing_at, None)
    assert (closed.frozen, closed.auto_topup_threshold, closed.auto_topup_amount) == (True, 0, 0)
    assert [grant.canceled_at is None for grant in wallets.grants.list(wallet_id)] == [False]
    assert [key.revoked_at is None for key in wallets.keys.list(wallet_id)] == [False]
    assert [
        (each.txn_type, each.cause, each.reason, each.amount_yen) for each in wallets.history(wallet_id, limit=2)
    ] == [
        ("reversal", "adjustment", "closing", -7),
        ("reversal", "pay_back", None, -400),
    ]
    assert wallets.close_wallet(wallet_id, **LEAVES, pay_back=provider) == closed
    assert kinds_of_acts(wallets, wallet_id).count("wallet.closed") == 1
    assert wallets.topup(wallet_id, 7, idempotency_key="another gift", promo=True) == wallets.topup(
        wallet_id, 7, idempotency_key="another gift", promo=True
    )
    assert gift.txn_id == wallets.topup(wallet_id, 7, idempotency_key="another gift", promo=True).txn_id
    assert wallets.verify() == []


@pytest.mark.parametrize(
    "act",
    [
        lambda wallets, wallet_id: wallets.topup(wallet_id, 1, idempotency_key="k"),
        lambda wallets, wallet_id: wallets.charge(wallet_id, 1, idempotency_key="k"),
        lambda wallets, wallet_id: wallets.adjust(wallet_id, 1, reason="other", note="n", idempotency_key="k"),
        lambda wallets, wallet_id: wallets.configure(wallet_id, monthly_budget_yen=1),
        lambda wallets, wallet_id: wallets.unfreeze(wallet_id),
        lambda wallets, wallet_id: wallets.freeze(wallet_id),
        lambda wallets, wallet_id: wallets.topups.request(wallet_id, 1, idempotency_key="k"),
        lambda wallets, wallet_id: wallets.transfers.create(
            wallets.create().wallet_id, wallet_id, 1, idempotency_key="k"
        ),
        lambda wallets, wallet_id: wallets.merge(wallet_id, wallets.create().wallet_id, note="n"),
        lambda wallets, wallet_id: wallets.merge(wallets.create().wallet_id, wallet_id, note="n"),
    ],
)
def test_a_closed_wallet_takes_nothing(
    wallets: CreditWallet, wallet_id: int, act: Callable[[CreditWallet, int], object]
) -> None:
    wallets.close_wallet(wallet_id, **LEAVES, unused="write_off")
    with pytest.raises(WalletError) as refused:
        act(wallets, wallet_id)
    assert refused.value.code in ("wallet_closed", "insufficient_funds")  # of the wallet that a transfer leaves
    assert wallets.balance(wallet_id) == 0


def test_tokens_end_with_it(wallets: CreditWallet) -> None:
    created = wallets.create()
    key = wallets.keys.create(created.wallet_id)
    wallets.secrets.register(created.wallet_id, "ab" * 32)
    wallets.rotate_owner_token(created.wallet_id, overlap_seconds=3_600)
    wallets.close_wallet(created.wallet_id, **LEAVES)
    for token in (created.owner_token, key.token):
        with pytest.raises(Unauthorized):
            wallets.tokens.authenticate(token)
    assert wallets.secrets.list(created.wallet_id) == []


def test_open_holds_are_waited_for_or_released(wallets: CreditWallet, wallet_id: int) -> None:
    holds = [wallets.hold(wallet_id, 100, idempotency_key=f"{n}").hold_id for n in range(2)]
    with pytest.raises(ClosingBlocked) as blocked:
        wallets.close_wallet(wallet_id, **LEAVES, unused="write_off")
    assert (blocked.value.details["blocked_by"], blocked.value.details["hold_ids"]) == ("holds", holds)
    assert wallets.show(wallet_id).closing_at is not None
    wallets.capture(holds[0], 60)
    with pytest.raises(WalletDisabled):
        wallets.hold(wallet_id, 1, idempotency_key="no more")
    wallets.close_wallet(wallet_id, **LEAVES, unused="write_off", release_holds=True)
    assert wallets.verify() == []


def test_a_purchase_that_is_being_served_is_waited_for(wallets: CreditWallet, wallet_id: int) -> None:
    wallets.purchases.buy(wallet_id, 5, purchase_key="p", attempt="a")
    with pytest.raises(ClosingBlocked) as blocked:
        wallets.close_wallet(wallet_id, **LEAVES, unused="write_off")
    assert blocked.value.details["blocked_by"] == "purchases"
    wallets.purchases.serve(wallet_id, "p", attempt="a")
    wallets.close_wallet(wallet_id, **LEAVES, unused="write_off")


def test_debt_is_repaid_or_written_off(wallets: CreditWallet, wallet_id: int) -> None:
    wallets.adjust(wallet_id, -600, reason="fraud", note="n", idempotency_key="k", allow_debt=True)
    with pytest.raises(ClosingBlocked) as blocked:
        wallets.close_wallet(wallet_id, **LEAVES)
    assert (blocked.value.details["blocked_by"], blocked.value.details["debt"]) == ("debt", "79.5")
    assert not wallets.show(wallet_id).frozen
    wallets.close_wallet(wallet_id, **LEAVES, write_off_debt=True)
    assert wallets.balance(wallet_id).debt_yen == 0
    assert wallets.verify() == []


def test_what_was_paid_by_hand_is_not_kept_unasked(wallets: CreditWallet, wallet_id: int) -> None:
    wallets.topup(wallet_id, 30, idempotency_key="by bank")
    with pytest.raises(ClosingBlocked) as blocked:
        wallets.close_wallet(wallet_id, **LEAVES, pay_back=Provider(wallets))
    assert (blocked.value.details["blocked_by"], blocked.value.details["left"]) == ("paid_by_hand", "30")
    wallets.close_wallet(wallet_id, **LEAVES, unused="write_off")
    assert wallets.verify() == []


def test_what_is_paid_back_is_paid_back_once(wallets: CreditWallet, wallet_id: int) -> None:
    provider = Provider(wallets)
    provider.fails = 1
    with pytest.raises(PaymentProviderError):
        wallets.close_wallet(wallet_id, **LEAVES, pay_back=provider)
    wallets.close_wallet(wallet_id, **LEAVES, pay_back=provider)
    assert list(provider.paid.values()) == [500]
    [topup] = wallets.topups.list(wallet_id)
    [clawback] = topup.clawbacks
    failed = Clawback(clawback.id, "pay_back", 500, "reinstated")
    wallets.topups.settle(wallet_id, topup.topup_id, PaymentFact(observed_at=2, clawbacks=(failed,)))
    assert wallets.balance(wallet_id) == 500
    wallets.close_wallet(wallet_id, **LEAVES, pay_back=provider)
    assert (list(provider.paid.values()), wallets.balance(wallet_id)) == ([500, 500], 0)
    assert wallets.verify() == []


def test_a_payment_that_arrives_too_late_is_not_lost(wallets: CreditWallet, wallet_id: int) -> None:
    topup_id = wallets.topups.request(wallet_id, 300, idempotency_key="late").topup_id
    with pytest.raises(ClosingBlocked) as refused:
        wallets.close_wallet(wallet_id, **LEAVES, unused="write_off")
    assert refused.value.details["topup_ids"] == [topup_id]
    wallets.topups.settle(wallet_id, topup_id, PaymentFact(observed_at=1, status="canceled"))
    wallets.close_wallet(wallet_id, **LEAVES, unused="write_off")
    wallets.topups.settle(wallet_id, topup_id, PaymentFact(observed_at=2, status="succeeded", received_yen=300))
    topup = wallets.topups.show(topup_id)
    assert (topup.status, topup.credited_yen, wallets.balance(wallet_id)) == ("succeeded", 0, 0)
    assert "closed" in str(topup.reason)
    assert "refund it" in str(next_step(topup))
    assert wallets.verify() == []


STEPS = ["_settle", "_pay_back", "_end"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [False, True])
def test_it_goes_on_wherever_it_was_cut(
    wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    provider, carried_out = Provider(wallets), getattr(closing, step)

    def cut(*args: Any, **kwargs: Any) -> None:
        if after:
            carried_out(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(closing, step, cut)
        with pytest.raises(KeyboardInterrupt):
            wallets.close_wallet(wallet_id, **LEAVES, pay_back=provider)
    assert wallets.verify() == []
    closed = wallets.close_wallet(wallet_id, **LEAVES, pay_back=provider)
    assert closed.closed_at is not None
    assert list(provider.paid.values()) == [500]
    assert wallets.verify() == []


def test_unfreezing_takes_a_closing_back(wallets: CreditWallet, wallet_id: int) -> None:
    hold_id = wallets.hold(wallet_id, 100, idempotency_key="h").hold_id
    with pytest.raises(ClosingBlocked):
        wallets.close_wallet(wallet_id, **LEAVES, unused="write_off")
    assert wallets.unfreeze(wallet_id, note="stays").closing_at is None
    wallets.capture(hold_id, 100)
    wallets.charge(wallet_id, 1, idempotency_key="k")


@pytest.mark.parametrize(
    "change", ["enabled = 1", "closing_at = NULL", "merged_into = 999", "merged_into = wallet_id", "frozen_at = 'now'"]
)
def test_a_standing_that_is_changed_by_hand_is_found(
    wallets: CreditWallet, wallet_id: int, db_url: str, change: str
) -> None:
    closed = wallet_id if not change.startswith("frozen") else wallets.create().wallet_id
    if closed == wallet_id:
        wallets.close_wallet(wallet_id, **LEAVES, unused="write_off")
    assert wallets.verify() == []
    with PlainSql(db_url) as host:
        host.run(f"UPDATE am_credit_wallet SET {change} WHERE wallet_id = {closed}")
    assert {violation.check for violation in wallets.verify()} == {"standing"}


# Merging


def test_credit_moves_as_it_is_and_the_wallet_closes(wallets: CreditWallet, wallet_id: int) -> None:
    into = wallets.create().wallet_id
    wallets.topup(wallet_id, 9, idempotency_key="lapses", promo=True, expires_at="2099-01-01")
    before = [(lot.kind, lot.remaining, lot.expires_at) for lot in wallets.lots.list(wallet_id)]
    merged = wallets.merge(wallet_id, into, note="registered twice")
    assert (merged.merged_into, merged.closed_at is not None, merged.balance_yen) == (into, True, 0)
    assert [(lot.kind, lot.remaining, lot.expires_at) for lot in wallets.lots.list(into)] == before
    assert wallets.merge(wallet_id, into, note="registered twice") == merged
    with pytest.raises(WalletClosed) as refused:
        wallets.charge(wallet_id, 1, idempotency_key="k")
    assert refused.value.merged_into == into
    assert wallets.verify() == []


def test_a_merge_waits_for_holds_and_debt_before_anything_is_frozen(wallets: CreditWallet, wallet_id: int) -> None:
    into = wallets.create().wallet_id
    hold_id = wallets.hold(wallet_id, 10, idempotency_key="h").hold_id
    with pytest.raises(ClosingBlocked) as blocked:
        wallets.merge(wallet_id, into, note="n")
    assert blocked.value.details["hold_ids"] == [hold_id]
    wallets.release(hold_id)
    wallets.adjust(wallet_id, -600, reason="fraud", note="n", idempotency_key="k", allow_debt=True)
    with pytest.raises(ClosingBlocked) as blocked:
        wallets.merge(wallet_id, into, note="n")
    assert blocked.value.details["blocked_by"] == "debt"
    assert not wallets.show(wallet_id).frozen


@pytest.mark.parametrize("step", ["_give_way", "_settle", "_move", "_end"])
def test_a_merge_goes_on_wherever_it_was_cut(
    wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    into = wallets.create().wallet_id

    def cut(*_args: Any, **_kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(closing, step, cut)
        with pytest.raises(KeyboardInterrupt):
            wallets.merge(wallet_id, into, note="n")
    if step == "_end":
        wallets.adjust(wallet_id, 1, reason="other", note="comes in meanwhile", idempotency_key="k")
    assert wallets.merge(wallet_id, into, note="n").closed_at is not None
    assert wallets.balance(into) == 520 + (step == "_end")
    assert wallets.verify() == []


@pytest.mark.parametrize("step", ["_give_way", "_settle", "_move"])
@pytest.mark.parametrize("upwards", [True, False])
def test_two_that_are_merged_into_each_other_do_not_both_close(
    wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch, step: str, upwards: bool
) -> None:
    """The other merge is begun by one that had looked at this one before, and reaches each of its steps."""
    other = wallets.create().wallet_id
    wallets.topup(other, 10, idempotency_key="other")
    lower, higher = sorted((wallet_id, other))
    first, second = (lower, higher) if upwards else (higher, lower)
    own = getattr(closing, step)

    def with_the_other_merge(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(closing, step, own)
        with monkeypatch.context() as patched:
            patched.setattr(closing, "_check_target", lambda *_: None)
            with pytest.raises(WalletClosed):
                wallets.merge(second, first, note="n")
        own(*args, **kwargs)

    monkeypatch.setattr(closing, step, with_the_other_merge)
    try:
        wallets.merge(first, second, note="n")
    except (WalletClosed, TransferReturned):
        assert [wallets.show(each).closed_at for each in (lower, higher)] == [None, None]
    for _ in range(2):  # whoever repeats either gets out of it
        for pair in ((lower, higher), (higher, lower)):
            with suppress(WalletClosed):
                wallets.merge(*pair, note="n")
    closed = [each for each in (lower, higher) if wallets.show(each).closed_at is not None]
    assert len(closed) == 1
    assert not wallets.show(lower if closed == [higher] else higher).frozen
    assert wallets.balance(lower) + wallets.balance(higher) == 530
    assert wallets.verify() == []


@pytest.mark.parametrize("again", ["lower", "higher"])
def test_two_merges_that_were_cut_give_way_when_they_are_repeated(wallets: CreditWallet, again: str) -> None:
    """Both had begun when their processes ended, so each finds the other being closed."""
    lower, higher = wallets.create().wallet_id, wallets.create().wallet_id
    wallets.topup(lower, 7, idempotency_key="k")
    for one, into in ((lower, higher), (higher, lower)):
        begin = BeginClosing(one, "merge", "n", into, author=wallets._ledger.author)
        wallets._ledger.run(Configured, begin)
    with pytest.raises(WalletClosed, match="given way" if again == "higher" else "nothing was moved"):
        wallets.merge(*((higher, lower) if again == "higher" else (lower, higher)), note="n")
    with suppress(WalletClosed):
        wallets.merge(lower, higher, note="n")
    assert wallets.merge(higher, lower, note="n").closed_at is not None
    assert (wallets.balance(lower), wallets.show(lower).frozen, wallets.verify()) == (7, False, [])


# Moving to another owner


def test_a_wallet_is_handed_over_and_nothing_of_the_old_owner_opens_it(wallets: CreditWallet) -> None:
    created = wallets.create(reference="cust_1", metadata={"plan": "a"})
    other = wallets.create(reference="cust_3")
    assert created.owner_token is not None
    key = wallets.keys.create(created.wallet_id)
    linked = wallets.hand_over(created.wallet_id, "cust_2", rotate_token=True, note="company sold")
    assert linked.owner_token is not None
    for token in (created.owner_token, key.token):
        with pytest.raises(Unauthorized):
            wallets.tokens.authenticate(token)
    assert wallets.tokens.authenticate(linked.owner_token).wallet_id == created.wallet_id
    assert wallets.find(reference="cust_2").wallet_id == created.wallet_id
    again = wallets.hand_over(created.wallet_id, "cust_2", metadata={"plan": "b"})
    assert (again.owner_token, wallets.show(created.wallet_id).metadata) == (None, {"plan": "b"})
    with pytest.raises(ReferenceInUse):
        wallets.hand_over(other.wallet_id, "cust_2")
    assert wallets.find(reference="cust_3").wallet_id == other.wallet_id
    assert kinds_of_acts(wallets, created.wallet_id).count("wallet.handed_over") == 2
    assert wallets.verify() == []
