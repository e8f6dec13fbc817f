"""Structs as JSON documents, and back."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from msgspec import DecodeError, Meta, Struct, json, to_builtins

from credit_wallet.domain.documents import (
    ExactOfYen,
    document,
    document_as,
    document_type,
    from_builtins,
    from_json,
    to_json,
)
from credit_wallet.domain.money import Exact, WholeYen, WholeYenUp


class Crossed(Struct, frozen=True):
    spent_micros: int

    spent_yen, spent = WholeYen(), Exact()


class Moved(Struct, frozen=True):
    """What has moved."""

    wallet_id: int
    balance_micros: int
    debt_micros: int = 0
    held_micros: int | None = None
    kind: Literal["charge", "hold"] = "charge"
    crossed: tuple[Crossed, ...] = ()
    facts: dict[str, str] = {}

    balance_yen, balance = WholeYen(), Exact()
    debt_yen, debt = WholeYenUp(), Exact()
    held_yen, held = WholeYen(), Exact()


class Entry(Struct, frozen=True):
    """Its whole yen are not those of its exact amount."""

    amount_yen: int
    amount_micros: int
    quantity_micros: int

    amount, quantity = Exact(), Exact()


class Page(Struct, frozen=True):
    moved: list[Moved]
    latest: Moved | None
    entry: Entry


class Payment(Struct, frozen=True):
    amount_yen: int
    fee_yen: int = 0

    amount = ExactOfYen()


class Plain(Struct, frozen=True):
    names: list[str]
    more: dict[str, int] | None = None


MOVED = Moved(1, 9_996_700_000, 1, None, "hold", (Crossed(3_300_000),), {"tool": "search"})
SHOWN = {
    "wallet_id": 1,
    "balance_yen": 9_996,
    "balance": "9996.7",
    "debt_yen": 1,
    "debt": "0.000001",
    "held_yen": None,
    "held": None,
    "kind": "hold",
    "crossed": [{"spent_yen": 3, "spent": "3.3"}],
    "facts": {"tool": "search"},
}
PAGE = Page([MOVED], None, Entry(-4, -3_300_000, 500_000))


def test_an_amount_is_there_in_whole_yen_and_exactly() -> None:
    assert json.decode(to_json(MOVED)) == SHOWN


def test_documents_within_documents_follow() -> None:
    shown = json.decode(to_json(PAGE))
    assert shown["moved"] == [SHOWN]
    assert shown["latest"] is None
    assert shown["entry"] == {"amount_yen": -4, "amount": "-3.3", "quantity": "0.5"}


def test_lists_and_plain_values_are_documents_too() -> None:
    assert json.decode(to_json([MOVED, MOVED])) == [SHOWN, SHOWN]
    assert json.decode(to_json({"delivered": 3})) == {"delivered": 3}


def test_a_whole_amount_may_be_read_exactly() -> None:
    assert Payment(3).amount == Decimal(3)
    assert to_builtins(document(Payment(3, 1))) == {"amount_yen": 3, "amount": "3", "fee_yen": 1}


@pytest.mark.parametrize("value", [MOVED, PAGE, Plain(["a"]), Moved(1, 0)])
def test_what_is_read_is_what_was_written(value: Any) -> None:
    assert from_json(to_json(value), type(value)) == value
    assert from_builtins(json.decode(to_json(value)), type(value)) == value
    many: Any = list[type(value)]  # type: ignore[misc]  # at run time
    assert from_json(to_json([value]), many) == [value]


def test_a_struct_without_exact_amounts_is_its_own_document() -> None:
    assert document_type(Plain) is Plain
    assert document_type(list[Plain]) == list[Plain]
    plain = Plain(["a"])
    assert document(plain) is plain


def test_a_value_can_be_shown_as_a_kind_that_has_less() -> None:
    class Short(Struct):
        balance_micros: int

        balance_yen, balance = WholeYen(), Exact()

    assert to_builtins(document_as(MOVED, Short)) == {"balance_yen": 9_996, "balance": "9996.7"}


def test_a_description_is_of_both_readings() -> None:
    class Said(Struct):
        left_micros: Annotated[int, Meta(description="What is left.")]

        left_yen, left = WholeYen(), Exact()

    properties = json.schema(document_type(Said))["$defs"]["Said"]["properties"]
    assert properties == {
        "left_yen": {"type": "integer", "description": "What is left."},
        "left": {"type": "string", "format": "decimal", "description": "What is left."},
    }


def test_a_struct_that_lacks_a_reading_is_a_defect() -> None:
    class Forgotten(Struct):
        left_micros: int

        left = Exact()

    with pytest.raises(TypeError, match="Forgotten has left_micros, but not left_yen to read it by"):
        document_type(Forgotten)


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"wallet_id":1,"balance_yen":3,"balance":"x","debt":"0"}'])
def test_what_is_no_such_document_is_refused(content: bytes) -> None:
    with pytest.raises(DecodeError):
        from_json(content, Moved)
