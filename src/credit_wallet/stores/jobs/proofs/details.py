"""Proofs of details: what an entry says beyond its whole yen, and what it, a hold or a purchase is for.

A detail is read strictly and written again: it is in order if that gives the same text, its amount has the sign of its
entry and less than a yen that ``amount_yen`` does not have, and what it is for keeps the limits of a request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from msgspec import DecodeError

from credit_wallet.domain.money import MAX_BALANCE_MICROS, MICROS
from credit_wallet.domain.names import Names
from credit_wallet.domain.usage import Usage
from credit_wallet.rules.details import EntryDetail, exact_micros, format_detail, names_of, parse_detail, usage_of
from credit_wallet.rules.names import malformed_names
from credit_wallet.rules.usage import malformed_usage
from credit_wallet.rules.validation import is_idempotency_key
from credit_wallet.stores import Source
from credit_wallet.stores.entry_names import SQL, kept_of
from credit_wallet.stores.jobs.proofs.invariants import violation
from credit_wallet.stores.jobs.proofs.violations import Violation

DETAILS_A_STEP = 10_000

_DETAILS = """
SELECT txn_id, wallet_id, txn_type, amount_yen, CAST(detail AS TEXT) FROM am_credit_transaction_log
WHERE detail IS NOT NULL AND txn_id > :after AND txn_id <= :last
ORDER BY txn_id
LIMIT :limit
"""
_USAGES = """
SELECT wallet_id, CAST(usage AS TEXT) FROM am_credit_hold WHERE usage IS NOT NULL
UNION ALL
SELECT wallet_id, CAST(usage AS TEXT) FROM am_credit_purchase WHERE usage IS NOT NULL
"""
_VERSIONS = "SELECT version FROM am_credit_price_version"

_CREDIT = ("topup", "refund")


class Details(NamedTuple):
    """What the details of a ledger are like."""

    violations: list[Violation]
    exist: bool
    """Whether any entry has one; else all amounts of entries are whole yen."""

    readable: bool
    """Whether their amounts can be added up by SQL."""

    priced: dict[int, int]
    """The versions of the price book that were named, each with the first wallet that did."""

    names: dict[int, int]
    """How many names the entries of a wallet have, by which they are found."""


def merged(source: Source, pieces: Iterable[Details]) -> Details:
    """What the pieces come to, and whether there were the versions of the price book that they name."""
    violations: list[Violation] = []
    priced: dict[int, int] = {}
    names: Counter[int] = Counter()
    exist, readable = False, True
    for piece in pieces:
        violations += piece.violations
        exist, readable = exist or piece.exist, readable and piece.readable
        priced = piece.priced | priced
        names.update(piece.names)
    violations += [*_unknown_versions(source, priced), *_miscounted(source, names)]
    return Details(violations, exist, readable, priced, names)


def proved_entries(source: Source, after: int, last: int) -> Details:
    """Read the details of entries above ``after`` up to ``last``."""
    violations: list[Violation] = []
    priced: dict[int, int] = {}
    counted: Counter[int] = Counter()
    exist, readable = False, True
    while rows := source.rows(_DETAILS, {"after": after, "last": last, "limit": DETAILS_A_STEP}):
        exist, after = True, rows[-1][0]
        for _, wallet_id, txn_type, amount_yen, text in rows:
            detail = _read(text)
            if detail is None or not _can_be_added_up(amount_yen, detail):
                readable = False
                violations.append(violation("details", wallet_id, "a detail", text))
            elif (should_be := _of_entry(txn_type, amount_yen, detail)) != text:
                violations.append(violation("details", wallet_id, should_be, text))
            elif detail.price_version is not None:
                priced.setdefault(detail.price_version, wallet_id)
            if detail is not None and (names := names_of(detail)) is not None:
                counted[wallet_id] += sum(1 for _ in kept_of(names))
    return Details(violations, exist, readable, priced, counted)


def proved_usages(source: Source) -> Details:
    """Read the usage of every hold and purchase, which no amount depends on."""
    violations: list[Violation] = []
    priced: dict[int, int] = {}
    for wallet_id, text in source.rows(_USAGES, {}):
        detail = _read(text)
        usage, names = (None, None) if detail is None else (usage_of(detail), names_of(detail))
        if (
            detail is None
            or (usage is None and names is None)
            or (usage is not None and _problem(usage))
            or (names is not None and _problem_of_names(names))
            or format_detail(None, 0, usage, names=names) != text
        ):
            violations.append(violation("details", wallet_id, "a usage", text))
        elif detail.price_version is not None:
            priced.setdefault(detail.price_version, wallet_id)
    return Details(violations, exist=False, readable=True, priced=priced, names={})


def _read(text: str) -> EntryDetail | None:
    try:
        return parse_detail(text)
    except DecodeError:
        return None


def _can_be_added_up(amount_yen: int, detail: EntryDetail) -> bool:
    """Whether its numbers fit into the columns of sums, and differ by less than a yen from the entry's whole yen."""
    return (
        abs(exact_micros(amount_yen, detail) - amount_yen * MICROS) < MICROS
        and abs(amount_yen * MICROS) <= MAX_BALANCE_MICROS  # plain SQL may move more at once than a command
        and 0 <= detail.fraction < MICROS
    )


def _of_entry(txn_type: str, amount_yen: int, detail: EntryDetail) -> str:
    """The detail as the wallet writes it, or what is wrong with it."""
    amount_micros = exact_micros(amount_yen, detail)
    usage, names = usage_of(detail), names_of(detail)
    if amount_micros < 0 if txn_type in _CREDIT else amount_micros > 0:
        return f"an amount of the sign of a {txn_type}"
    if not amount_micros and (usage is None or usage.item is None):
        return "an amount, or a priced item"
    if usage is not None and (problem := _problem(usage)):
        return problem
    if names is not None and (problem := _problem_of_names(names)):
        return problem
    if usage is None and (detail.quantity or detail.price_version is not None):
        return "an item of the quantity"
    is_whole = amount_micros == amount_yen * MICROS and amount_micros != 0
    if is_whole and not detail.fraction and usage is None and detail.reason is None and names is None:
        return "no detail"
    return format_detail(None if is_whole else amount_micros, detail.fraction, usage, detail.reason, names)


@lru_cache(4_096)
def _problem(usage: Usage) -> str:
    """Why a request could not have had this usage; the empty text when it could. Many calls are for the same."""
    if usage.item is None and (usage.quantity_micros or usage.price_version is not None):
        return "an item of the quantity"
    malformed = malformed_usage(usage)
    return "" if malformed is None else str(malformed)


def _problem_of_names(names: Names) -> str:
    """Why a request could not have had these names; the empty text when it could."""
    if names == Names(idempotency_key=names.idempotency_key):
        return "a name beside the idempotency key"
    if names.idempotency_key is not None and not is_idempotency_key(names.idempotency_key):
        return "an idempotency key"
    malformed = malformed_names(names)
    return "" if malformed is None else str(malformed)


def _miscounted(source: Source, names: Counter[int]) -> Iterator[Violation]:
    """Wallets of whose entries more or fewer names are kept than they have. Each that is kept is one: see ``names``."""
    kept = Counter(dict(source.rows(SQL["names_by_wallet"], {})))
    for wallet_id in sorted(names.keys() | kept.keys()):
        if names[wallet_id] != kept[wallet_id]:
            yield violation("names", wallet_id, names[wallet_id], kept[wallet_id])


def _unknown_versions(source: Source, priced: dict[int, int]) -> Iterator[Violation]:
    """Versions of the price book that were named and that there never were."""
    known = {version for (version,) in source.rows(_VERSIONS, {})} if priced else set()
    for version, wallet_id in sorted(priced.items()):
        if version not in known:
            yield violation("prices", wallet_id, "a version of the price book", version)
