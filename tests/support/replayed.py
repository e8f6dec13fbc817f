"""A past and plans for it: random charges of a ledger, charged again on another one under the plan's limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from clock import Clock
from databases import Databases
from hypothesis import strategies as st

from credit_wallet import CreditWallet
from credit_wallet.errors import RefundExceedsCharge, SpendingRefused

ZONES = ("UTC", "Asia/Tokyo", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
STARTS = (
    datetime(2026, 3, 28, 22, 30, tzinfo=UTC),  # clocks change in Berlin
    datetime(2026, 10, 31, 22, tzinfo=UTC),  # in New York, and a month ends
    datetime(2026, 12, 31, 14, 58, tzinfo=UTC),
    datetime(2026, 4, 4, 14, 50, tzinfo=UTC),  # by half an hour on Lord Howe Island
)
KEYS = ("acme", "acme/search", "beta", None)
"""The groups of the agent keys, which have the ids 1 to 4."""

PRICES = '[[price]]\nitem = "search"\nunit_price_yen = "3.30"\n[[price]]\nitem = "fetch"\nunit_price_yen = "0.7"\n'
OTHER_PRICES = (
    '[[price]]\nitem = "search"\ntiers = [{up_to = 3, unit_price_yen = "0"}, {unit_price_yen = "5.123456"}]\n'
    '[[price]]\nitem = "fetch"\nunit_price_yen = "2.5"\n'
)

values = st.sampled_from
scopes = st.dictionaries(values(["tool", "run"]), values(["a", "b", "*"]), max_size=2).flatmap(
    lambda scope: st.one_of(
        st.just(scope),
        values(["acme", "acme/search", "beta"]).map(lambda group: {**scope, "group": group}),
        values(["1", "2", "*"]).map(lambda key_id: {**scope, "key_id": key_id}),
        values(["search", "*"]).map(lambda item: {**scope, "item": item}),
    )
)
windows = values(
    ["minute", "hour", "day", "week", "month", "total", "rolling:1m", "rolling:5m", "rolling:2h", "rolling:24h"]
)
limits = st.one_of(
    st.integers(0, 6).map(lambda calls: {"limit_calls": calls}),
    st.integers(0, 40_000_000).map(lambda micros: {"limit_yen": str(Decimal(micros) / 1_000_000)}),
)
budgets = st.tuples(limits, windows, scopes, st.one_of(st.none(), values(ZONES)), values(["monday", "sunday"])).map(
    lambda given: {**given[0], "window": given[1], "scope": given[2], "time_zone": given[3], "week_start": given[4]}
)


class Step(NamedTuple):
    """What happens after ``wait``: a charge, a hold that is captured, a top-up, or a refund of the charge ``of``."""

    kind: str
    wait: timedelta
    wallet: int
    key: int | None
    what: dict[str, Any]
    of: int


steps = st.builds(
    Step,
    values(["charge"] * 8 + ["capture", "capture", "topup", "refund", "refund"]),
    st.one_of(
        st.integers(0, 3_000).map(lambda ms: timedelta(milliseconds=ms)),
        values([timedelta(0), timedelta(seconds=59, milliseconds=999), timedelta(minutes=1), timedelta(hours=1)]),
        st.integers(0, 50).map(lambda quarters: timedelta(minutes=15 * quarters, microseconds=400)),
        st.just(-timedelta(seconds=20)),
    ),
    values([0, 0, 1]),
    st.one_of(st.none(), st.integers(1, len(KEYS))),
    st.fixed_dictionaries(
        {
            "cost": st.one_of(
                values([{"item": "search"}, {"item": "search", "quantity": "2.5"}, {"item": "fetch"}]),
                st.integers(1, 20_000_000).map(lambda micros: {"amount_yen": str(Decimal(micros) / 1_000_000)}),
            ),
            "facts": st.dictionaries(values(["tool", "run"]), values(["a", "b", "c"])),
            "agent_facts": st.dictionaries(values(["run"]), values(["a", "d"])),
        }
    ),
    st.integers(0, 30),
)


class Refused(NamedTuple):
    """A refusal as the ledger and its replay must tell it, of which charge."""

    number: int
    budget: str
    value: str | None
    amount: Decimal | None
    left: Decimal


class Past:
    """A ledger with two wallets and four agent keys, on which steps happen."""

    def __init__(self, wallets: CreditWallet, clock: Clock, zone: str, prices: str, credit_yen: int) -> None:
        self.wallets, self._clock = wallets, clock
        wallets.prices.apply(prices)
        self.ids = [wallets.create(time_zone=each).wallet_id for each in (zone, "UTC")]
        self.keys = [wallets.keys.create(self.ids[0], group=group).key_id for group in KEYS]
        for wallet_id in self.ids:
            wallets.topup(wallet_id, credit_yen, idempotency_key="first")
        self.charges: list[int | None] = []
        self._refunded: set[int] = set()
        self.refused: list[Refused] = []
        self.earned = Decimal(0)

    def budget(self, number: int, budget: dict[str, Any], mode: str) -> list[str]:
        """Make the plan's budget ``number`` for every wallet."""
        made = []
        for wallet_id in self.ids:
            scope = budget["scope"]
            if scope.get("key_id", "*") != "*" and wallet_id != self.ids[0]:
                continue  # it is the key of another wallet
            made.append(
                self.wallets.budgets.create(wallet_id, **{**budget, "mode": mode, "label": f"{number}"}).budget_id
            )
        return made

    def happen(self, number: int, step: Step) -> None:
        """Carry a step out."""
        self._clock.advance(seconds=step.wait.total_seconds())
        if step.kind == "topup":
            self.wallets.topup(self.ids[step.wallet], 5, idempotency_key=f"t{number}")
        elif step.kind == "refund":
            self._refund(step)
        else:
            self._charge(number, step)

    def _charge(self, number: int, step: Step) -> None:
        wallet_id = self.ids[step.wallet]
        key_id = None if step.wallet or step.key is None else self.keys[step.key - 1]
        asked = {**step.what["cost"], "facts": step.what["facts"], "agent_facts": step.what["agent_facts"]}
        amount = asked.pop("amount_yen", None)
        given = () if amount is None else (amount,)
        name = f"c{number}"
        try:
            if step.kind == "charge":
                charged = self.wallets.charge(wallet_id, *given, key_id=key_id, idempotency_key=name, **asked)
            else:
                held = self.wallets.hold(wallet_id, *given, key_id=key_id, idempotency_key=name, **asked)
                priced = {field: each for field, each in asked.items() if field in ("item", "quantity")}
                charged = self.wallets.capture(held.hold_id, *given, idempotency_key=f"{name}c", **priced)
        except SpendingRefused as refusal:
            budget: Any = refusal.details.get("budget") or {
                "label": "balance",
                "value": None,
                "left": refusal.details["balance"],
            }
            asked_for = None if amount is None else Decimal(amount)
            number = len(self.charges)
            self.refused.append(Refused(number, budget["label"], budget["value"], asked_for, Decimal(budget["left"])))
            self.charges.append(None)
        else:
            self.charges.append(charged.txn_id)
            self.earned += charged.amount

    def _refund(self, step: Step) -> None:
        """Of a charge before, all that is left."""
        txn_id = self.charges[step.of] if step.of < len(self.charges) else None
        if txn_id is not None and txn_id not in self._refunded:
            self._refunded.add(txn_id)
            with suppress(RefundExceedsCharge):  # it was free
                self.earned -= self.wallets.refund(txn_id, idempotency_key=f"r{step.of}").amount


@contextmanager
def past(
    databases: Databases, start: datetime, zone: str, prices: str = PRICES, credit_yen: int = 10**6
) -> Iterator[Past]:
    """An empty past that begins at ``start``."""
    clock = Clock(start)
    with databases.ledger() as url, CreditWallet.open(url, clock=clock) as wallets:
        yield Past(wallets, clock, zone, prices, credit_yen)


def toml(budgets: Sequence[dict[str, Any]], prices: str = "") -> str:
    """The plan as a file."""
    lines = []
    for number, budget in enumerate(budgets, 1):
        lines.append(f'[[budget]]\nlabel = "{number}"')
        for name, value in budget.items():
            if name == "scope":
                lines.append("scope = {" + ", ".join(f'{key} = "{each}"' for key, each in value.items()) + "}")
            elif value is not None:
                lines.append(f"{name} = {value}" if isinstance(value, int) else f'{name} = "{value}"')
    return "\n".join([*lines, prices, ""])
