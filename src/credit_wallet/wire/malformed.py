"""What is wrong with a field of a request, in words: from what the decoder says of types, bounds and patterns."""

from __future__ import annotations

import re

_PLACE = re.compile(r" - at (`key` in )?`\$\.?([^`]*)`$")
_NAMED = re.compile(r"field `([^`]+)`$")
_EXPECTED = re.compile(r"Expected `([^`]+)`(?:(?: of length)? ([<>]=) (-?\d+)|, got `([^`]+)`)?$")
_VALUE = re.compile(r"Invalid enum value (.+)$")
_PATTERN = "matching regex"
_LENGTH = " of length "

_KINDS = {
    "int": "a whole number",
    "float": "a fraction",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}

_FACTS = "keys of up to 32 of a-z, 0-9 and _, the first a letter, with texts of up to 64 characters"

_FORMS = {
    "after": "the last id, or value, of the page before",
    "agent_facts": _FACTS,
    "amount_yen": 'a decimal above 0 in plain digits with up to six places, such as "3.30"',
    "above": "reject or up_to_balance",
    "attempt": "1 to 64 printable ASCII characters",
    "auto_topup_consent": "text without NUL characters",
    "auto_topup_consent_language": "en or ja",
    "before": "the last id of the page before",
    "budget_id": "as in the list of budgets, such as budget-12, monthly-7 or key-3",
    "budget_mode": "alert or cap",
    "by": "key, item, or the key of a fact, such as tool",
    "cursor": "the next_cursor of a page",
    "cycle": "YYYY-MM, such as 2026-12",
    "digest": "hourly, or a time such as 09:00",
    "entries": "all, none or summary",
    "every": "month for a grant; hour, day or month for usage",
    "facts": _FACTS,
    "format": "json, csv or text",
    "group": "up to four names of a-z, 0-9, _ and - with / between them, such as acme/research",
    "idempotency_key": "1 to 255 printable ASCII characters",
    "item": "words of a-z, 0-9 and _ between dots, such as tokens.input",
    "language": "en or ja",
    "lapses": "never, next, or a whole number of days from 1 to 3,660",
    "limit_yen": 'a decimal in plain digits with up to six places, such as "3.30"',
    "kind": "paid or promo for credit; for acts as in the log, such as budget.configured",
    "label": "text without NUL characters",
    "metadata": "keys and texts without control characters",
    "method": "one of those of the options for top-ups, such as card",
    "mode": "alert, cap or shadow",
    "name": "1 to 64 of a-z, 0-9 and ._@+- for an operator; else text without control characters",
    "note": "text without NUL characters; of a correction, some words that say what happened",
    "path": "/wallet or a page below it, such as /wallet/keys",
    "price_group": 'a name of up to 32 lower-case letters, digits and "_", such as partners; null for none',
    "purchase_key": "1 to 255 printable ASCII characters",
    "query": "up to eight words without control characters",
    "quantity": 'a decimal above 0 in plain digits with up to six places, such as "0.5"',
    "quiet_hours": "a range of hours such as 22:00-07:00",
    "raised_limit_yen": 'a decimal in plain digits with up to six places, such as "3.30"',
    "reason": "one of closing, customer_request, duplicate_charge, fraud, goodwill, leaked_token, merge, "
    "mistyped_topup, other, service_failure or write_off; of an undone purchase, text without NUL characters",
    "reference": "up to 255 characters without control characters",
    "role": "viewer, support, finance, seller or admin",
    "rows": "entries, keys, notes or items",
    "scopes": "of spend, read and manage",
    "sha256": "64 hexadecimal digits",
    "request_id": "1 to 128 printable ASCII characters",
    "since": "a day or an ISO 8601 time, such as 2026-12-01",
    "sort": "wallet_id, label, reference, created_at, balance or spent, or with - before it, such as -created_at, "
    "-wallet_id, -label, -reference, -balance and -spent",
    "status": "of deliveries pending, delivered or dead; of top-ups requested, pending, requires_action, succeeded, "
    "credited, failed or canceled; of wallets low, in_debt, exhausted, disabled, closed or failed_topup",
    "subject": "the thing that was changed, such as budget:budget-7",
    "topup_id": "the id of a top-up, such as tu_1a2b",
    "transfer_id": "the id of a transfer, such as tr_1_206e147864ef7ab96bd1d844",
    "type": "topup, charge, refund, expire or reversal",
    "until": "a day or an ISO 8601 time, such as 2026-12-31",
    "unused": "pay_back or write_off",
    "week_start": "monday, tuesday, wednesday, thursday, friday, saturday or sunday",
    "window": "minute, hour, day, week, month, total, or rolling: with minutes, hours or days, such as rolling:24h",
}
"""What a text must be that a pattern or a list of values refuses."""


_DECIMALS = {"amount_yen": "3.30", "limit_yen": "3.30", "raised_limit_yen": "3.30", "quantity": "0.5"}
"""Fields that take a whole number or a quoted decimal, each with an example."""


def explained(message: str) -> tuple[str, str]:
    """The field that a decoder's ``message`` is about, empty when it is the whole body, and what is wrong with it."""
    place = _PLACE.search(message)
    problem = message[: place.start()] if place else message
    within = place[2] if place else ""
    if named := _NAMED.search(problem):
        field = f"{within}.{named[1]}" if within else named[1]
        is_missing = "missing" in problem
        return field, f"{field} is missing" if is_missing else f"{field} is not a field of this request"
    field = within.removesuffix("[...]")
    what = field if field == within else f"a value of {field}"
    if place and place[1] and not (_PATTERN in problem and field in _FORMS):  # whose form is that of all its keys
        what = f"a key of {field}"
    return field, f"{what or 'the body'} {_explained_value(field, problem)}"


def _explained_value(field: str, problem: str) -> str:
    name = field.rpartition(".")[2]
    if _PATTERN in problem:
        return f"must be {_FORMS[name]}" if name in _FORMS else "has an invalid format"
    if found := _VALUE.match(problem):
        return f"must be {_FORMS.get(name, 'one of the values in the API reference')}, not {found[1]}"
    if (found := _EXPECTED.match(problem)) is None:
        return f"is invalid: {problem}"
    kind, comparison, bound, got = found.groups()
    if name in _DECIMALS and kind.startswith("int | str"):
        return _not_a_decimal(name, got)
    if comparison is None:
        return f"must be {_kind(kind)}" + (f", not {_kind(got)}" if got else "")
    bounds = f"{int(bound):,} or {'more' if comparison == '>=' else 'fewer' if _LENGTH in problem else 'less'}"
    if _LENGTH not in problem:
        return f"must be {_kind(kind)}, {bounds}"
    return f"must have {bounds} {'characters' if kind.startswith('str') else 'items'}"


def _not_a_decimal(name: str, got: str) -> str:
    """A number with a fraction is refused: what a program made of it before it was sent is anybody's guess."""
    example = f'"{name}": "{_DECIMALS[name]}"'
    if got == "float":
        return f"must not be a number with a fraction or an exponent; put decimals in quotes: {example}"
    return f"must be a whole number or a decimal in quotes ({example}), not {_kind(got)}"


def _kind(name: str) -> str:
    """``int | null`` in words."""
    return " or ".join(_KINDS.get(each, each) for each in name.split(" | "))
