"""Checks of scopes and of groups of agent keys as callers name them.

Outside, a scope is ``{"key_id": "3", "tool": "search"}``; a fact that is called as another condition is ``fact.item``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from credit_wallet.domain.budgets import (
    EACH,
    GROUP,
    ITEM,
    KEY,
    KEY_GROUP,
    MAX_CONDITIONS,
    MAX_GROUP_LENGTH,
    Condition,
    Scope,
)
from credit_wallet.domain.usage import FACT_KEY, MAX_FACT_LENGTH, MAX_ITEM_LENGTH
from credit_wallet.domain.usage import ITEM as ITEM_NAME
from credit_wallet.errors import InvalidRequest
from credit_wallet.rules.validation import MAX_ID

_FACT = "fact."


def checked_scope(scope: object) -> Scope:
    """The conditions of a scope such as ``{"tool": "search", "run": "*"}``; of None, none: the whole wallet."""
    if scope is None:
        return ()
    if not isinstance(scope, Mapping):
        raise InvalidRequest(
            f'scope must be conditions by their names, such as {{"tool": "search"}}, not {cut(scope)}', field="scope"
        )
    if len(scope) > MAX_CONDITIONS:
        raise InvalidRequest(f"scope has at most {MAX_CONDITIONS} conditions, not {len(scope)}", field="scope")
    conditions = [_condition(name, value) for name, value in scope.items()]
    if len({name for name, _ in conditions}) < len(conditions):
        raise InvalidRequest("scope names the same fact twice; fact.tool and tool are the same", field="scope")
    return tuple(sorted(conditions))


def checked_group(field: str, value: object) -> str:
    """A group of agent keys."""
    if isinstance(value, str) and len(value) <= MAX_GROUP_LENGTH and KEY_GROUP.fullmatch(value):
        return value
    each = "; a budget for each group is not possible: make one for each" if value == EACH else ""
    raise InvalidRequest(
        f"{field} must be up to four names a-z, 0-9, _ and - with / between them, such as acme/research, of at most "
        f"{MAX_GROUP_LENGTH} characters, not {cut(value)}{each}",
        field=field,
    )


def _condition(name: object, value: object) -> Condition:
    field = f"scope.{name}" if isinstance(name, str) and name.isprintable() and len(name) < 80 else "scope"
    match name:
        case "group":
            return GROUP, checked_group(field, value)
        case "key_id":
            return KEY, _key_id(field, value)
        case "item":
            return ITEM, _item(field, value)
        case "key":
            raise InvalidRequest("send key_id for an agent key, or fact.key for a fact that is called key", field=field)
    fact = name.removeprefix(_FACT) if isinstance(name, str) else ""
    if not FACT_KEY.fullmatch(fact):
        raise InvalidRequest(
            "a condition of scope must be group, key_id, item, or the key of a fact (1 to 32 characters a-z, 0-9 and "
            f"_, beginning with a letter), not {cut(name)}",
            field="scope",
        )
    return fact, _fact(field, value)


def _key_id(field: str, value: object) -> str:
    if value == EACH:
        return EACH
    text = str(value) if type(value) is int else value
    if isinstance(text, str) and re.fullmatch(r"[1-9][0-9]{0,18}", text, re.ASCII) and int(text) <= MAX_ID:
        return text
    raise InvalidRequest(f"{field} must be the id of an agent key, or * for each key, not {cut(value)}", field=field)


def _item(field: str, value: object) -> str:
    if value == EACH or (isinstance(value, str) and len(value) <= MAX_ITEM_LENGTH and ITEM_NAME.fullmatch(value)):
        return value
    raise InvalidRequest(
        f"{field} must be a name such as search or tokens.input, of at most {MAX_ITEM_LENGTH} characters, or * for "
        f"each item, not {cut(value)}",
        field=field,
    )


def _fact(field: str, value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_FACT_LENGTH and value.isprintable():
        return value
    raise InvalidRequest(
        f"{field} must be a text of 1 to {MAX_FACT_LENGTH} printable characters, or * for each value, not {cut(value)}",
        field=field,
    )


def cut(value: object) -> str:
    """What was given, for messages."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
