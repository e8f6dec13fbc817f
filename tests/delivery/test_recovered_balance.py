"""After a notice that the balance is low or too small, another says that it has recovered: once, and never before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from clock import Clock
from databases import on_every_database
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import json
from plain_sql import PlainSql
from snapshots import new_snapshot
from width import examples

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import Charge, Command, Configure, Hold, Release, Topup
from credit_wallet.domain.money import MICROS
from credit_wallet.errors import InsufficientFunds, WalletError
from credit_wallet.notices.texts import Notice, message_of
from credit_wallet.rules.decide import decide
from credit_wallet.rules.events import Event

_numbers = count()


@pytest.fixture
def host(db_url: str, wallets: CreditWallet) -> Iterator[PlainSql]:
    assert not wallets.maintenance.waiting()
    with PlainSql(db_url) as opened:
        yield opened


def key() -> str:
    return f"recovered-{next(_numbers)}"


class Person:
    """A wallet with ¥100, and what can happen to it."""

    def __init__(self, wallets: CreditWallet, low_yen: int) -> None:
        self.wallets = wallets
        self.wallet_id = wallets.create(label="search").wallet_id
        wallets.configure(self.wallet_id, low_balance_yen=low_yen)
        self.topup("100")
        self.charges: list[int] = []
        self.holds: list[int] = []

    def topup(self, amount: str) -> None:
        self.wallets.topup(self.wallet_id, amount, idempotency_key=key())

    def charge(self, amount: str) -> None:
        self.charges.append(self.wallets.charge(self.wallet_id, amount, idempotency_key=key()).txn_id)

    def refused(self, amount: str) -> None:
        with pytest.raises(WalletError):
            self.wallets.charge(self.wallet_id, amount, idempotency_key=key())

    def hold(self, amount: str) -> None:
        self.holds.append(self.wallets.hold(self.wallet_id, amount, idempotency_key=key()).hold_id)

    def release(self) -> None:
        self.wallets.release(self.holds.pop(), idempotency_key=key())

    def refund(self) -> None:
        self.wallets.refund(self.charges.pop(), idempotency_key=key())

    def mark(self, low_yen: str) -> None:
        self.wallets.configure(self.wallet_id, low_balance_yen=int(low_yen))


LOW, OUT, BACK = "balance.low", "wallet.exhausted", "balance.recovered"


def told(host: PlainSql) -> list[str]:
    rows = host.run("SELECT kind FROM am_credit_outbox ORDER BY event_id")
    return [kind for (kind,) in rows if kind in (LOW, OUT, BACK)]


@on_every_database
@pytest.mark.parametrize(
    ("low_yen", "happens", "is_told"),
    [
        # a mark
        (20, ["charge 90", "topup 50"], [LOW, BACK]),
        (20, ["charge 90", "topup 10"], [LOW, BACK]),  # exactly the mark
        (20, ["charge 90", "topup 9.999999"], [LOW]),
        (20, ["charge 90", "topup 5", "topup 5"], [LOW, BACK]),
        (20, ["charge 90", "topup 50", "topup 50"], [LOW, BACK]),
        (20, ["charge 90", "refund"], [LOW, BACK]),
        (20, ["charge 10", "topup 50"], []),
        (20, ["charge 90", "refused 11", "topup 5", "topup 50"], [LOW, OUT, BACK]),
        # the second low balance of an hour is not told of, and that it is over is
        (20, ["charge 90", "refused 11", "topup 50", "charge 60", "topup 50"], [LOW, OUT, BACK, BACK]),
        # no mark
        (0, ["charge 100", "topup 50"], []),  # nobody was told anything
        (0, ["charge 100", "refused 1", "topup 0.5"], [OUT, BACK]),
        (0, ["charge 90", "refused 11", "topup 1"], [OUT, BACK]),
        (0, ["charge 100", "refused 1", "topup 1", "charge 1", "refused 1", "topup 1"], [OUT, BACK, OUT, BACK]),
        # what an agent gets back free of charge is no credit
        (20, ["hold 90", "release"], [LOW]),
        (20, ["hold 90", "release", "hold 90", "release"], [LOW]),
        (0, ["hold 100", "refused 1", "release"], [OUT]),
        (0, ["hold 100", "refused 1", "topup 5"], [OUT, BACK]),
        # the mark is moved
        (20, ["charge 90", "mark 5", "topup 1"], [LOW, BACK]),
        (20, ["charge 90", "mark 0", "topup 1"], [LOW, BACK]),
        (20, ["charge 50", "mark 60", "topup 50"], []),  # it was not said to be low
        (20, ["charge 90", "mark 200", "topup 50", "topup 200"], [LOW, BACK]),
    ],
)
def test_it_is_said_once_when_credit_has_come_in(
    wallets: CreditWallet, host: PlainSql, low_yen: int, happens: list[str], is_told: list[str]
) -> None:
    person = Person(wallets, low_yen)
    for each in happens:
        name, *amount = each.split()
        step: Callable[..., None] = getattr(person, name)
        step(*amount)
    assert told(host) == is_told


@on_every_database
def test_it_is_known_after_the_ledger_was_opened_again(
    wallets: CreditWallet, host: PlainSql, db_url: str, clock: Clock
) -> None:
    person = Person(wallets, 20)
    person.charge("90")
    wallets.close()
    with CreditWallet.open(db_url, clock=clock) as again:
        for number in range(2):
            again.topup(person.wallet_id, "50.5", idempotency_key=f"again {number}")
    assert told(host) == [LOW, BACK]
    [(payload,)] = host.run(f"SELECT payload FROM am_credit_outbox WHERE kind = '{BACK}'")
    said = {"wallet_id": person.wallet_id, "balance_yen": 60, "balance": "60.5", "low_balance_yen": 20}
    assert json.decode(payload) == said
    shown = [message_of([Notice(1, 1, "search", BACK, said, "")], language) for language in ("en", "ja")]
    assert [(each.title, each.body) for each in shown] == [
        ("Balance recovered", "Wallet 1 (search) has ¥60.5 again."),
        ("残高が回復しました", "ウォレット1(search)の残高は¥60.5に回復しました。"),
    ]


@on_every_database
def test_a_balance_around_the_mark_is_told_of_once_an_hour(wallets: CreditWallet, host: PlainSql, clock: Clock) -> None:
    person = Person(wallets, 20)
    for hour in range(1, 4):
        for _ in range(5):
            person.charge("90")
            person.topup("90")
        assert told(host) == [LOW, BACK] * hour
        clock.advance(hours=1)


@on_every_database
def test_a_host_that_credits_by_plain_sql_knows_it_without_an_event(
    wallets: CreditWallet, host: PlainSql, clock: Clock
) -> None:
    person = Person(wallets, 20)
    person.charge("90")
    host.move(person.wallet_id, "topup", 50, "2026-05-15T12:30:00.000Z")
    clock.advance(hours=1)
    person.charge("1")
    person.topup("100")
    assert told(host) == [LOW]


# Whatever happens, in whatever order


class AnyOrder(RuleBasedStateMachine):
    """A naive reading of the rule, beside ``decide``: what was said, and whether it may be taken back."""

    amounts = st.sampled_from([500_000, MICROS, 7 * MICROS, 20 * MICROS, 90 * MICROS])

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = new_snapshot()
        self.wallet = self.snapshot.wallets[1]
        self.now = datetime(2026, 5, 15, 12, tzinfo=UTC)
        self.charges: list[int] = []
        self.holds: list[int] = []
        self.is_bad_news_out = False
        self.last_of_hour: dict[str, str] = {}

    def carry_out(self, command: Command, *, is_credit: bool) -> object:
        before = self.wallet.balance_micros
        decision = decide(self.snapshot, [command], self.now)
        self.snapshot.emitted = {*self.snapshot.emitted, *decision.emitted}
        for hold in decision.touched_holds.values():
            self.snapshot.holds[hold.hold_id] = hold
        outcome = decision.outcomes[0]
        self.check([event for event in decision.events if event.kind in (LOW, OUT, BACK)], before, is_credit)
        if isinstance(outcome, InsufficientFunds):
            self.is_bad_news_out = True  # told of now, or before in this hour
        return outcome

    def check(self, events: list[Event], before: int, is_credit: bool) -> None:
        after, mark = self.wallet.balance_micros, self.wallet.low_balance_yen * MICROS
        crossed_low = after < mark <= before
        back = [event for event in events if event.kind == BACK]
        assert len(back) <= 1
        if back:
            assert is_credit
            assert self.is_bad_news_out
            assert after >= max(mark, 1)
            self.is_bad_news_out = False
        elif is_credit and self.is_bad_news_out and after >= max(mark, 1):
            assert self.last_of_hour.get(BACK) == self.hour, "held back only if another was emitted in this hour"
            self.is_bad_news_out = False
        if back:
            self.last_of_hour[BACK] = self.hour
        if crossed_low or any(event.kind in (LOW, OUT) for event in events):
            self.is_bad_news_out = True

    @property
    def hour(self) -> str:
        return self.now.isoformat()[:13]

    @rule(amount=amounts)
    def topup(self, amount: int) -> None:
        self.carry_out(Topup(1, key(), amount), is_credit=True)

    @rule(amount=amounts)
    def charge(self, amount: int) -> None:
        outcome = self.carry_out(Charge(1, key(), amount), is_credit=False)
        if not isinstance(outcome, WalletError):
            self.charges.append(outcome.txn_id)  # type: ignore[attr-defined]

    @rule(amount=amounts)
    def hold(self, amount: int) -> None:
        outcome = self.carry_out(Hold(1, key(), amount), is_credit=False)
        if not isinstance(outcome, WalletError):
            self.holds.append(outcome.hold_id)  # type: ignore[attr-defined]

    @rule()
    def release(self) -> None:
        if self.holds:
            self.carry_out(Release(1, key(), self.holds.pop()), is_credit=False)

    @rule(low_yen=st.sampled_from([0, 1, 20, 100]))
    def mark(self, low_yen: int) -> None:
        self.carry_out(Configure(1, low_balance_yen=low_yen), is_credit=False)

    @rule(minutes=st.sampled_from([1, 61]))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @invariant()
    def the_row_knows_what_was_said(self) -> None:
        if self.is_bad_news_out:
            assert self.wallet.recovery_due or self.wallet.exhausted
        else:
            assert not self.wallet.recovery_due


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(150), stateful_step_count=40, deadline=None)
