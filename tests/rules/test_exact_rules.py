"""Any course of commands, down to a millionth of a yen, keeps every law in micros and in whole yen after every step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count
from math import floor

from amounts import amounts, yen
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import Books
from msgspec import Struct, structs
from snapshots import WALLETS, new_snapshot
from width import examples

from credit_wallet.domain.commands import (
    Above,
    Buy,
    Capture,
    Charge,
    Command,
    Configure,
    Expire,
    Extend,
    Hold,
    Movement,
    PayBack,
    Refund,
    Release,
    Renew,
    Reverse,
    Serve,
    SettleTopup,
    Topup,
    Undo,
)
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.prices import EVERYBODY, Price, PriceBook, Tier
from credit_wallet.domain.topups import Clawback, ClawbackStatus, PaymentFact
from credit_wallet.domain.usage import QUANTITY_UNIT, Usage
from credit_wallet.errors import WalletError
from credit_wallet.rules import lots
from credit_wallet.rules.state import KeyState

START = datetime(2026, 5, 3, 12, tzinfo=UTC)
FACTS = Usage(facts=(("model", "large"), ("tool", "検索")), agent_facts=(("run", "7"),))


PRICES = [
    Price("search", EVERYBODY, "", "", 1, yen("3.30")),
    Price("search", 2, "", "", 1, yen("3")),
    Price("tokens", EVERYBODY, "", "", 1_000, yen("0.2")),
    Price("pages", EVERYBODY, "", "", 1, 0, (Tier(yen(40), 0), Tier(yen(90), yen("0.25")), Tier(None, yen("0.1")))),
]
ITEMS = ("search", "tokens", "pages")


class Step(Struct, frozen=True):
    """One command to be; what it names is chosen among what there is then, by ``position``."""

    kind: str
    amount_micros: int
    position: int
    seconds: int
    flag: bool
    is_told: bool


KINDS = [
    *["charge"] * 5,
    *["topup", "gift", "hold", "hold", "capture", "capture", "refund", "refund"],
    *["release", "reverse", "buy", "buy", "serve", "undo", "renew", "extend", "expire", "configure"],
    *["pay_in", "dispute", "win", "pay_back", "retry"],
    *["charge_item", "charge_item", "hold_item", "capture_item", "buy_item"],
]
steps = st.builds(
    Step,
    st.sampled_from(KINDS),
    st.one_of(amounts(60), amounts(400)),
    st.integers(0, 40),
    st.one_of(st.integers(1, 120), st.integers(1, 40 * 3600)),
    st.booleans(),
    st.sampled_from([False, False, True]),
)


class Course:
    """A course of commands on two wallets with agent keys, whose books are checked after each."""

    def __init__(self, mode: str) -> None:
        snapshot = new_snapshot(300, mode)
        snapshot.keys[12] = KeyState(12, 1, 0, "2026-05", 0, 0, None, None)
        snapshot.keys[21] = KeyState(21, 2, 50, "2026-05", 0, 0, None, None)
        snapshot.prices = PriceBook(7, PRICES)
        self.books = Books(snapshot)
        self.now = START
        self.numbers = count(1)
        self.carried_out: list[tuple[Movement, Outcome]] = []
        for wallet_id in WALLETS:
            self.carry_out(Topup(wallet_id, "first", yen(200)))

    def take(self, step: Step) -> None:
        self.now += timedelta(seconds=step.seconds)
        if step.kind == "retry":
            self._retry(step)
        elif command := self._of_item(step) if step.kind.endswith("_item") else self._command(step):
            self.carry_out(command)

    def carry_out(self, command: Command) -> None:
        used_micros = dict(self.books.snapshot.tier_usage)
        [outcome] = self.books.carry_out([command], self.now)
        wallet = self.books.snapshot.wallets[command.wallet_id]
        if isinstance(outcome, WalletError):
            return
        assert outcome.balance_micros == wallet.balance_micros
        assert (outcome.amount_yen, outcome.balance_yen) == (
            outcome.amount_micros // MICROS,
            outcome.balance_micros // MICROS,
        )
        if isinstance(command, Charge | Hold) and command.usage is not None and command.usage.item is not None:
            assert outcome.amount_micros == cost_micros(command.wallet_id, command.usage, used_micros)
            assert outcome.price_version == 7
        if isinstance(command, Movement):
            self.carried_out.append((command, outcome))

    def _retry(self, step: Step) -> None:
        """A key that was used answers the first outcome, to the micro, and a micro more is another request."""
        request, first = self.carried_out[step.position % len(self.carried_out)]
        entries = len(self.books.entries)
        [again] = self.books.carry_out([structs.replace(request)], self.now)
        assert again == structs.replace(first, replayed=True)
        if getattr(request, "amount_micros", None):
            another = structs.replace(request, amount_micros=request.amount_micros + 1)  # type: ignore[attr-defined]
            [refused] = self.books.carry_out([another], self.now)
            assert isinstance(refused, WalletError)
            assert refused.code == "idempotency_conflict"
        assert len(self.books.entries) == entries

    def _command(self, step: Step) -> Command | None:
        wallet_id = 1 + step.position % 5 // 4
        key = f"k{next(self.numbers)}"
        key_id = {1: (None, None, 11, 12), 2: (None, 21, 21, None)}[wallet_id][step.position % 4]
        usage = FACTS if step.is_told else None
        amount_micros = step.amount_micros
        match step.kind:
            case "charge":
                return Charge(wallet_id, key, amount_micros, None, key_id, usage)
            case "topup":
                return Topup(wallet_id, key, amount_micros)
            case "gift":
                end = format_instant(self.now + timedelta(seconds=step.seconds + step.position * 900))
                return Topup(wallet_id, key, amount_micros, True, end)
            case "hold":
                ttl = 60 + 3600 * step.position
                return Hold(wallet_id, key, amount_micros, ttl, None, key_id, usage)
            case "expire":
                return Expire(wallet_id)
            case "configure":
                budget_yen = (0, 100, 1_000)[step.position % 3]
                return Configure(wallet_id, monthly_budget_yen=budget_yen, budget_mode="cap" if step.flag else "alert")
            case "capture" | "release" | "extend":
                return self._on_hold(step, key, usage)
            case "refund" | "reverse":
                return self._on_entry(step, key)
            case "buy" | "serve" | "undo" | "renew":
                return self._on_purchase(step, wallet_id, key_id, usage)
        return self._on_payment(step, key)

    def _of_item(self, step: Step) -> Command | None:
        """The same command, for a quantity instead of an amount; of tokens a thousand times as many."""
        item = ITEMS[step.position % 3]
        command = self._command(structs.replace(step, kind=step.kind.removesuffix("_item")))
        if not isinstance(command, Charge | Hold | Capture | Buy):
            return None
        quantity_micros = step.amount_micros * (1_000 if item == "tokens" else 1)
        usage = structs.replace(command.usage or Usage(), item=item, quantity_micros=quantity_micros)
        return structs.replace(command, amount_micros=0, usage=usage)

    def _on_hold(self, step: Step, key: str, usage: Usage | None) -> Command | None:
        holds = list(self.books.snapshot.holds.values())
        if not holds:
            return None
        hold = holds[-1 - step.position % len(holds)]
        if step.kind == "release":
            return Release(hold.wallet_id, key, hold.hold_id)
        if step.kind == "extend":
            return Extend(hold.wallet_id, hold.hold_id, step.seconds)
        within = max(1, hold.left_micros * (step.position + 1) // 41)
        amount_micros = within if step.is_told else step.amount_micros
        above: Above = "reject" if step.position % 3 == 0 else "up_to_balance"
        return Capture(hold.wallet_id, key, hold.hold_id, amount_micros, step.flag, above, None, usage)

    def _on_entry(self, step: Step, key: str) -> Command | None:
        kind, command = ("charge", Refund) if step.kind == "refund" else ("topup", Reverse)
        named = [entry for entry in self.books.entries if entry.txn_type == kind]
        if not named:
            return None
        entry = named[-1 - step.position % len(named)]
        if step.kind == "refund" and step.flag:
            return Refund(entry.wallet_id, key, entry.txn_id)
        return command(entry.wallet_id, key, entry.txn_id, step.amount_micros)

    def _on_purchase(self, step: Step, wallet_id: int, key_id: int | None, usage: Usage | None) -> Command:
        name, attempt = "pqr"[step.position % 3], "ab"[step.flag]
        match step.kind:
            case "serve":
                return Serve(wallet_id, name, attempt, step.is_told)
            case "undo":
                return Undo(wallet_id, name, attempt)
            case "renew":
                return Renew(wallet_id, name, attempt, 1 + step.seconds % 3_600)
        price = yen(("0.3", "3.3", "120.000001")[step.position % 3])
        hold_seconds = 60 * step.position if step.position % 2 else None
        return Buy(wallet_id, name, attempt, price, hold_seconds, 1 + step.seconds % 900, 1, key_id=key_id, usage=usage)

    def _on_payment(self, step: Step, key: str) -> Command | None:
        """Payments are of whole yen, what is left of them is not."""
        if step.kind == "pay_in":
            amount_yen = 1 + step.amount_micros // MICROS
            fact = PaymentFact(observed_at=1, status="succeeded", payment_intent=f"pi_{key}", received_yen=amount_yen)
            return SettleTopup(1, f"tu_{key}", fact, amount_yen)
        topups = list(self.books.snapshot.topups.values())
        if not topups:
            return None
        topup = topups[-1 - step.position % len(topups)]
        part_yen = 1 + step.position % topup.amount_yen
        if step.kind == "pay_back":
            return PayBack(1, key, topup.topup_id, part_yen)
        status: ClawbackStatus = "withdrawn" if step.kind == "dispute" else "reinstated"
        known = topup.clawbacks.get("dp")
        part_yen = known.amount_yen if known else part_yen
        clawback = Clawback("dp", "dispute", part_yen, status)
        return SettleTopup(1, topup.topup_id, PaymentFact(observed_at=2, clawbacks=(clawback,)))


def cost_micros(wallet_id: int, usage: Usage, used_micros: dict[tuple[int, str], int]) -> int:
    """Quantity × unit price / per, in fractions, and rounded half up once; tiers unit by unit of what was used."""
    assert usage.item is not None
    prices = {(price.item, price.wallet_id): price for price in PRICES}
    price = prices.get((usage.item, wallet_id)) or prices[usage.item, EVERYBODY]
    start = Fraction(used_micros.get((wallet_id, usage.item), 0), QUANTITY_UNIT)
    end, low, cost = start + Fraction(usage.quantity_micros, QUANTITY_UNIT), Fraction(0), Fraction(0)
    for tier in price.tiers or (Tier(None, price.unit_price_micros),):
        high = end if tier.up_to_micros is None else Fraction(tier.up_to_micros, QUANTITY_UNIT)
        cost += max(Fraction(0), min(end, high) - max(start, low)) * tier.unit_price_micros
        low = high
    return floor(cost / price.per + Fraction(1, 2))


@settings(max_examples=examples(300, "RULES_EXAMPLES"), deadline=None)
@given(st.lists(steps, min_size=8, max_size=60), st.sampled_from(["alert", "cap"]))
def test_any_course_of_commands_keeps_every_law_after_every_step(course_of_steps: list[Step], mode: str) -> None:
    course = Course(mode)
    for step in course_of_steps:
        course.take(step)


def test_charges_of_a_third_of_a_yen_leave_whole_yen_that_add_up() -> None:
    """The whole yen that plain SQL adds up are never further from the exact sum than a yen."""
    snapshot = new_snapshot()
    books = Books(snapshot)
    books.carry_out([Topup(1, "topup", yen(1_000))], START)
    charges: list[Command] = [Charge(1, f"c{number}", yen("0.333333")) for number in range(3_000)]
    for position in range(0, 3_000, 100):
        books.carry_out(charges[position : position + 100], START)
    [last] = books.carry_out([Charge(1, "last", yen("0.001"))], START)
    assert isinstance(last, Outcome)
    assert last.balance_micros == 0
    assert sum(entry.amount_yen for entry in books.entries) == 0
    assert lots.parse_allocation(books.entries[-1].lots) == [(1, 1_000)]
