"""Checks of what a charge is for, and of exact amounts as callers give them. Runs in the caller."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from credit_wallet.domain.actors import PAYER, Actor
from credit_wallet.domain.money import MAX_AMOUNT_YEN, PLACES, micros_of
from credit_wallet.domain.usage import (
    FACT_KEY,
    ITEM,
    MAX_FACT_LENGTH,
    MAX_FACTS,
    MAX_ITEM_LENGTH,
    MAX_QUANTITY,
    QUANTITY_UNIT,
    Facts,
    Usage,
)
from credit_wallet.errors import InvalidAmount, InvalidRequest, WalletError

Amount: TypeAlias = int | Decimal | str
"""Yen as callers give them: whole as an int, exact as a ``Decimal`` or a string with up to six places. No floats."""


def checked_amount(value: object, field: str = "amount_yen") -> int:
    """The micros of an amount. Raises ``InvalidAmount`` naming ``field``."""
    try:
        return micros_of(value)
    except ValueError:
        raise _invalid_amount(value, field) from None


def checked_change(value: object, field: str = "amount_yen") -> int:
    """The micros of an amount that may be below zero, as ``-10`` or ``"-3.30"``. Raises ``InvalidAmount``."""
    if isinstance(value, str) and value.startswith("-"):
        return -checked_amount(value[1:], field)
    return checked_amount(value, field)


_LONGEST = 40


def _invalid_amount(value: object, field: str) -> InvalidAmount:
    shown = repr(value)
    if len(shown) > _LONGEST:  # longer than any amount: it may be a token that was put in its place
        shown = f"{shown[:3]}… of {len(shown)} characters"
    quote = '; a float is not exact: write it as a string, as "3.30"' if isinstance(value, float) else ""
    return InvalidAmount(
        f"{field} must be a whole number of yen, or an exact decimal with up to {PLACES} places such as "
        f'"3.30", from 0.000001 to {MAX_AMOUNT_YEN}, not {shown}{quote}',
        field=field,
    )


def asked_for(
    amount_yen: Amount | None,
    item: str | None,
    quantity: Amount | None,
    facts: Mapping[str, str] | None,
    agent_facts: Mapping[str, str] | None,
    actor: Actor,
) -> tuple[int, Usage | None]:
    """The micros and the usage of a request: an amount or an item, and facts.

    ``facts`` are the payer's own when ``actor`` is the payer. Raises ``InvalidAmount`` and ``InvalidRequest``.
    """
    if amount_yen is not None and item is None and quantity is None and not facts and not agent_facts:
        return checked_amount(amount_yen), None
    if amount_yen is None and item is None:
        raise InvalidAmount("amount_yen is missing; send it, or item with its quantity", field="amount_yen")
    if amount_yen is not None and item is not None:
        raise InvalidRequest("send either amount_yen, or item with its quantity", field="amount_yen")
    if item is None and quantity is not None:
        raise InvalidRequest("quantity is of an item; send item as well, or amount_yen alone", field="quantity")
    usage = Usage(item, 0 if item is None else _quantity(quantity), _facts(facts), _facts(agent_facts))
    if actor == PAYER:
        if agent_facts:
            raise InvalidRequest("a payer's facts are sent as facts", field="agent_facts")
        usage = Usage(item, usage.quantity_micros, (), usage.facts)
    if problem := malformed_usage(usage):
        raise problem
    if amount_yen is not None:
        return checked_amount(amount_yen), usage
    return 0, usage


def malformed_usage(usage: Usage) -> WalletError | None:
    """What is wrong with a usage, naming the field and the fix; None when it is well formed."""
    if usage.item is not None:
        if not isinstance(usage.item, str) or len(usage.item) > MAX_ITEM_LENGTH or not ITEM.fullmatch(usage.item):
            return InvalidRequest(
                f"item must be a name such as search or tokens.input, of at most {MAX_ITEM_LENGTH} characters "
                f"a-z, 0-9, _ and ., not {str(usage.item)[:80]!r}",
                field="item",
            )
        if type(usage.quantity_micros) is not int or not 0 < usage.quantity_micros <= MAX_QUANTITY * QUANTITY_UNIT:
            return _bad_quantity()
    elif usage.quantity_micros or usage.price_version is not None:
        return InvalidRequest("quantity is of an item; send item as well", field="quantity")
    return _malformed_facts(usage)


def too_many_facts(usage: Usage) -> WalletError | None:
    """The refusal of more facts than a charge can have, those of its hold included."""
    facts = len(usage.facts) + len(usage.agent_facts)
    return (
        InvalidRequest(f"a charge has at most {MAX_FACTS} facts, not {facts}", field="facts")
        if facts > MAX_FACTS
        else None
    )


def _malformed_facts(usage: Usage) -> WalletError | None:
    if problem := too_many_facts(usage):
        return problem
    for facts in (usage.facts, usage.agent_facts):
        if len(dict(facts)) < len(facts):
            return InvalidRequest("facts must have different keys", field="facts")
    for key, value in (*usage.facts, *usage.agent_facts):
        if not isinstance(key, str) or not FACT_KEY.fullmatch(key):
            return InvalidRequest(
                "a fact's key must be 1 to 32 characters a-z, 0-9 and _, beginning with a letter, "
                f"not {str(key)[:80]!r}",
                field="facts",
            )
        if not isinstance(value, str) or not 0 < len(value) <= MAX_FACT_LENGTH or not value.isprintable():
            return InvalidRequest(
                f"fact {key} must be a text of 1 to {MAX_FACT_LENGTH} printable characters", field=f"facts.{key}"
            )
    return None


def _quantity(quantity: Amount | None) -> int:
    try:
        return micros_of(1 if quantity is None else quantity)
    except ValueError:
        raise _bad_quantity() from None


def _bad_quantity() -> InvalidRequest:
    return InvalidRequest(
        f'quantity must be a whole number, or a decimal with up to 6 places such as "1.5", above 0 and at most '
        f"{MAX_QUANTITY}",
        field="quantity",
    )


def _facts(facts: Mapping[str, str] | None) -> Facts:
    if not facts:
        return ()
    if not isinstance(facts, Mapping):
        raise InvalidRequest("facts must be a mapping of keys to texts", field="facts")
    return tuple(sorted(facts.items(), key=lambda fact: str(fact[0])))
