"""What is malformed: every field of every command, what it may be and what not."""

from __future__ import annotations

from itertools import product
from typing import Any, cast

import pytest
from amounts import yen
from msgspec import UNSET, structs

from credit_wallet.domain.commands import (
    Adjust,
    Buy,
    Capture,
    Charge,
    Command,
    Configure,
    CreditGrant,
    Expire,
    Extend,
    Hold,
    Refund,
    Release,
    Renew,
    Reverse,
    Serve,
    Topup,
    Undo,
)
from credit_wallet.domain.names import Names
from credit_wallet.domain.usage import QUANTITY_UNIT, Usage
from credit_wallet.errors import InvalidAmount, InvalidRequest
from credit_wallet.rules.validation import malformed

CHARGE = Charge(1, "key", yen(3))
HOLD = Hold(1, "key", yen(3))
CAPTURE = Capture(1, "key", 3, yen(4))
RELEASE = Release(1, "key", 3)
REFUND = Refund(1, "key", 3)
TOPUP = Topup(1, "key", yen(3))
GRANT = CreditGrant(1, "key", 3, 0)
REVERSE = Reverse(1, "key", 3, yen(4))
ADJUST = Adjust(1, "key", -yen(3), "other", "mistyped")
TAKE_BACK = Adjust(1, "key", -yen(3), "other", "mistyped", txn_id=3)
EXTEND = Extend(1, 3, 60)
BUY = Buy(1, "request", "attempt", yen(3))
SERVE = Serve(1, "request", "attempt")
RENEW = Renew(1, "request", "attempt")
UNDO = Undo(1, "request", "attempt")
PRICED: list[Command] = [CHARGE, HOLD, CAPTURE, BUY]
PURCHASES: list[Command] = [BUY, SERVE, RENEW, UNDO]
EXPIRE = Expire(1)
CONFIGURE = Configure(1)
MOVEMENTS: list[Command] = [CHARGE, HOLD, CAPTURE, RELEASE, REFUND, TOPUP, GRANT, REVERSE, ADJUST]
NAMED: list[Command] = [*MOVEMENTS, BUY]
NOTED: list[Command] = [CHARGE, HOLD, REFUND, TOPUP, REVERSE, BUY]
SIZED: list[Command] = [CHARGE, HOLD, CAPTURE, REFUND, TOPUP, REVERSE, BUY]
NO_KEYS = ["", "a" * 256, "a\n", "\0", "\x01key", "\ud800", 1, None, b"key"]
NO_ACTORS = ["", "owner", "seller", "seller:0", "seller:x", "seller:1\x1f", "PAYER", None, 1]
NO_SECONDS = [0, -1, True, 1.0, "1", None]
NO_IDS = [0, -1, 2**63, True, 1.0, "1", b"1"]
NO_TEXTS = ["a" * 501, "nul\0", "lone \ud800", 1, b"bytes"]
NO_BUDGETS = [-1, 10**12 + 1, True, 1.0, "1", None]

FIELDS: list[tuple[list[Command], str, list[Any], list[Any]]] = [
    ([*MOVEMENTS, *PURCHASES, EXTEND, EXPIRE, CONFIGURE], "wallet_id", [1, 2**63 - 1], [*NO_IDS, None]),
    (MOVEMENTS, "idempotency_key", ["a", "a" * 255, "鍵 1"], NO_KEYS),
    (PURCHASES, "purchase_key", ["a", "a" * 255, "鍵 1"], NO_KEYS),
    (PURCHASES, "attempt", ["a", "a" * 64], [*NO_KEYS, "a" * 65]),
    ([*MOVEMENTS, *PURCHASES, EXTEND], "actor", ["payer", "operator", "product", "seller:7"], NO_ACTORS),
    ([BUY], "hold_seconds", [None, 1, 2_678_400], [0, -1, 2_678_401, True, 1.0, "1"]),
    ([BUY, RENEW], "lease_seconds", [1, 86_400], [*NO_SECONDS, 86_401]),
    ([BUY], "free_retries", [0, 1, 10**12], [-1, True, 1.0, "1", None]),
    ([UNDO], "reason", ["", "a" * 500], NO_TEXTS),
    ([CAPTURE], "final", [True, False], [0, 1, "true", None]),
    ([CAPTURE], "above", ["reject", "up_to_balance"], ["", "owe", None, 1]),
    (SIZED, "amount_micros", [1, yen("3.30"), yen(10**12)], [0, -1, yen(10**12) + 1, True, 1.0, "1"]),
    ([each for each in SIZED if each is not REFUND], "amount_micros", [], [None]),
    ([REFUND], "amount_micros", [None], []),
    (NOTED, "note", [None, "", "a" * 500, "財布\nline"], NO_TEXTS),
    ([CHARGE, HOLD, CAPTURE, RELEASE, EXTEND, BUY], "key_id", [None, 1, 2**63 - 1], NO_IDS),
    ([HOLD, EXTEND], "ttl_seconds", [1, 2_678_400], [0, -1, 2_678_401, True, 1.0, "1", None]),
    ([CAPTURE, RELEASE, EXTEND], "hold_id", [1, 2**63 - 1], [*NO_IDS, None]),
    ([GRANT], "grant_id", [1, 2**63 - 1], [*NO_IDS, None]),
    ([GRANT], "occurrence", [0, 1, 10**12], [-1, True, 1.0, "1", None]),
    ([REFUND, REVERSE], "txn_id", [1, 2**63 - 1], [*NO_IDS, None]),
    ([ADJUST], "amount_micros", [1, -1, -yen("3.30"), -yen(10**12)], [0, -yen(10**12) - 1, True, -1.0, "-1", None]),
    ([TAKE_BACK], "amount_micros", [None, -1, -yen(10**12)], [0, 1, True, "-1"]),
    ([ADJUST], "txn_id", [None, 1, 2**63 - 1], NO_IDS),
    ([ADJUST], "reason", ["goodwill", "other"], ["", "because", None, 1]),
    ([ADJUST], "note", ["a", "a" * 500, "財布\nline"], ["", " \n", None, *NO_TEXTS]),
    ([ADJUST], "kind", [None, "paid", "promo"], ["", "gift", 1]),
    ([TAKE_BACK], "kind", [None], ["paid"]),
    ([ADJUST], "allow_debt", [True, False], [0, 1, "true", None]),
    ([ADJUST], "expires_at", [None], ["2027-01-01T00:00:00.000Z"]),
    ([CONFIGURE], "label", [UNSET, "", "a" * 500], NO_TEXTS),
    ([CONFIGURE], "price_group", [UNSET, None, "a", "a_1", "a" * 32], ["", "A", "1a", "a" * 33, "a-b", 1]),
    ([CONFIGURE], "monthly_budget_yen", [UNSET, 0, 10**12], NO_BUDGETS),
    ([CONFIGURE], "budget_mode", [UNSET, "alert", "cap"], ["", "Alert", "stop", None, 1]),
    ([CONFIGURE], "auto_topup_threshold", [UNSET, 0, 10**12], NO_BUDGETS),
    ([CONFIGURE], "auto_topup_amount", [UNSET, 0, 10**12], NO_BUDGETS),
    ([CONFIGURE], "auto_topup_daily_yen", [UNSET, 0, 10**12], NO_BUDGETS),
    ([CONFIGURE], "auto_topup_monthly_yen", [UNSET, 0, 10**12], NO_BUDGETS),
    (
        [CONFIGURE],
        "auto_topup_consent",
        [UNSET, "a", "a" * 4_000, " 同意\nします "],
        ["", " \n", "a" * 4_001, "nul\0", "lone \ud800", None, 1, b"bytes"],
    ),
    ([CONFIGURE], "auto_topup_consent_language", ["en", "ja"], ["", "fr", "EN", None, 1]),
    ([CONFIGURE], "low_balance_yen", [UNSET, 0, 10**12], NO_BUDGETS),
    (
        [CONFIGURE],
        "alert_thresholds_pct",
        [UNSET, (), (1, 1_000), tuple(range(1, 11))],
        [(0,), (1_001,), (True,), (1.0,), ("1",), (5, 5), tuple(range(1, 12)), [60], 60, None],
    ),
]


def test_the_table_has_every_field_of_every_command() -> None:
    covered = {(type(command), name) for commands_, name, *_ in FIELDS for command in commands_}
    every = {
        (type(each), name)
        for each in [*MOVEMENTS, *PURCHASES, EXTEND, EXPIRE, CONFIGURE]
        for name in each.__struct_fields__
    }
    checked_where_they_are_read = {(Topup, "promo"), (Topup, "expires_at"), (Serve, "forget"), (Undo, "abandoned")}
    checked_when_it_acts = {(kind, "author") for kind, field in every if field == "author"}
    usages = {(type(each), "usage") for each in PRICED}
    names = {(type(each), "names") for each in NAMED} | {(Configure, "metadata")}
    assert every - covered == checked_where_they_are_read | checked_when_it_acts | usages | names


@pytest.mark.parametrize(("commands", "name", "values"), [(row[0], row[1], row[2]) for row in FIELDS])
def test_what_a_field_may_be(commands: list[Command], name: str, values: list[Any]) -> None:
    for command, value in product(commands, values):
        assert malformed(structs.replace(command, **{name: value})) is None, (command, value)


@pytest.mark.parametrize(("commands", "name", "values"), [(row[0], row[1], row[3]) for row in FIELDS])
def test_what_a_field_may_not_be_is_named(commands: list[Command], name: str, values: list[Any]) -> None:
    field = name.replace("_micros", "_yen")  # as callers name it
    for command, value in product(commands, values):
        problem = malformed(structs.replace(command, **{name: value}))
        assert type(problem) is (InvalidAmount if name == "amount_micros" else InvalidRequest), (command, value)
        assert problem.details["field"] == field
        assert str(problem).startswith(f"{field} must be "), (command, value)


# What it is called

NO_METADATA: list[tuple[Any, str]] = [
    ((("", "value"),), "metadata"),
    ((("a" * 41, "value"),), "metadata"),
    ((("a\n", "value"),), "metadata"),
    (((5, "value"),), "metadata"),
    ((("key", "a" * 501),), "metadata.key"),
    ((("key", "nul\0"),), "metadata.key"),
    ((("key", 5),), "metadata.key"),
    ((("key", "a"), ("key", "b")), "metadata"),
    (tuple((f"{number}", "") for number in range(21)), "metadata"),
    (tuple((f"{number}", "a" * 500) for number in range(4)), "metadata"),
]


@pytest.mark.parametrize(
    "names", [Names(), Names("a" * 128, "a" * 255, (("a" * 40, "a" * 500), ("b", ""))), Names(reference="鍵 1")]
)
def test_what_a_movement_may_be_called(names: Names) -> None:
    for command in NAMED:
        assert malformed(structs.replace(command, names=names)) is None, command
    assert malformed(structs.replace(CONFIGURE, metadata=names.metadata)) is None


def test_a_name_that_it_may_not_have_is_named() -> None:
    wrong: list[tuple[Names, str]] = [
        *((Names(request_id=each), "request_id") for each in ("", "a" * 129, "a\n", "鍵", cast("str", 1))),
        *((Names(reference=each), "reference") for each in ("", "a" * 256, "a\n", "\ud800", cast("str", 1))),
        *((Names(metadata=each), field) for each, field in NO_METADATA),
    ]
    for (names, field), command in product(wrong, NAMED):
        problem = malformed(structs.replace(command, names=names))
        assert isinstance(problem, InvalidRequest), (command, names)
        assert problem.details["field"] == field
    for metadata, field in NO_METADATA:
        problem = malformed(structs.replace(CONFIGURE, metadata=metadata))
        assert problem is not None, metadata
        assert problem.details["field"] == field


# What it is for

UNIT = QUANTITY_UNIT
NO_FACTS = [
    ("Tool", "web"),
    ("1tool", "web"),
    ("", "web"),
    ("a" * 33, "web"),
    ("tool", ""),
    ("tool", "x" * 65),
    ("tool", "a\nb"),
    ("tool", "\ud800"),
    ("tool", 5),
    (5, "web"),
]


def used(**fields: Any) -> list[Command]:
    """Each command that can be for an item, for one."""
    return [structs.replace(each, amount_micros=0, usage=Usage(**fields)) for each in PRICED]


@pytest.mark.parametrize("item", ["search", "tokens.input", "a", "a_1.b_2.3", "a" * 64])
@pytest.mark.parametrize("quantity_micros", [1, UNIT, 10**12 * UNIT])
def test_a_command_names_an_item_and_a_quantity_instead_of_an_amount(item: str, quantity_micros: int) -> None:
    assert [malformed(each) for each in used(item=item, quantity_micros=quantity_micros)] == [None] * len(PRICED)


@pytest.mark.parametrize("item", ["", "Search", ".a", "a.", "a..b", "1a", "a b", "a" * 65, 5, "a\n", "ａ"])
def test_an_item_that_is_none_is_named(item: Any) -> None:
    for command in used(item=item, quantity_micros=UNIT):
        problem = malformed(command)
        assert problem is not None
        assert problem.details["field"] == "item"


@pytest.mark.parametrize("quantity", [0, -1, 10**12 * UNIT + 1, True, 1.0, "1", None])
def test_a_quantity_that_is_none_is_named(quantity: Any) -> None:
    for command in used(item="search", quantity_micros=quantity):
        problem = malformed(command)
        assert problem is not None
        assert problem.details["field"] == "quantity"


def test_an_amount_and_an_item_exclude_each_other() -> None:
    for command in used(item="search", quantity_micros=UNIT):
        problem = malformed(structs.replace(command, amount_micros=yen(3)))
        assert problem is not None
        assert problem.details["field"] == "amount_yen"
    for command in used(facts=(("tool", "web"),)):
        assert type(malformed(command)) is InvalidAmount


@pytest.mark.parametrize("fact", NO_FACTS)
@pytest.mark.parametrize("name", ["facts", "agent_facts"])
def test_a_fact_that_is_none_is_named(name: str, fact: Any) -> None:
    for command in used(item="search", quantity_micros=UNIT, **{name: (fact,)}):
        problem = malformed(command)
        assert problem is not None
        assert str(problem.details["field"]).startswith("facts")


@pytest.mark.parametrize("stray", [{"quantity_micros": 1}, {"price_version": 3}])
def test_a_quantity_and_a_version_are_of_an_item(stray: dict[str, Any]) -> None:
    for command in PRICED:
        problem = malformed(structs.replace(command, usage=Usage(**stray)))
        assert problem is not None
        assert problem.details["field"] == "quantity"


@pytest.mark.parametrize("name", ["facts", "agent_facts"])
def test_a_fact_is_told_once(name: str) -> None:
    twice: dict[str, Any] = {name: (("tool", "a"), ("tool", "b"))}
    for command in PRICED:
        problem = malformed(structs.replace(command, usage=Usage(**twice)))
        assert problem is not None
        assert problem.details["field"] == "facts"


def test_a_charge_has_eight_facts_whoever_set_them() -> None:
    facts = tuple((f"fact_{number}", "財" * 64) for number in range(9))
    eight = used(item="search", quantity_micros=UNIT, facts=facts[:5], agent_facts=facts[:3])
    assert [malformed(each) for each in eight] == [None] * len(PRICED)
    nine = used(item="search", quantity_micros=UNIT, facts=facts[:5], agent_facts=facts[:4])
    assert all(type(malformed(each)) is InvalidRequest for each in nine)
