"""Statements month by month, to read, to print and to keep, and the receipts of payments."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple, get_args

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.api import Refused
from credit_wallet.pages.formats import Formats
from credit_wallet.pages.owner.payment import takes_test_money
from credit_wallet.pages.payments import PAYMENT_WORDS
from credit_wallet.pages.routes import wallet_page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import Words, text

_CYCLE = re.compile("[1-9][0-9]{3}-(0[1-9]|1[0-2])")
RECEIPTS = 12

SECONDS_PER_CHARGE = 30e-6
"""About what drawing up all of a statement takes, where nothing else runs."""

FileKind = Literal["text", "csv", "json"]
_ENDINGS: dict[FileKind, str] = {"text": "txt", "csv": "csv", "json": "json"}
_ROWS = ("entries", "keys", "notes", "items")


class Month(NamedTuple):
    """A billing cycle with what its charges came to, less refunds; ``spent`` is None where nothing was counted."""

    cycle: str
    spent: Decimal | None
    charges: int
    is_current: bool


class Line(NamedTuple):
    """A line of a statement's totals."""

    name: str
    amount: str
    hint: str = ""


LINES: Final = (
    ("topups", text("Paid in and given"), ""),
    ("transferred_in", text("From other wallets of the owner"), ""),
    ("transferred_out", text("To other wallets of the owner"), ""),
    ("charges", text("Spent"), ""),
    ("refunds", text("Refunded"), text("of what was spent, in this month or before")),
    ("expired", text("Lapsed"), text("credit whose time was over")),
    ("reversed", text("Taken back"), text("of payments that were returned or disputed")),
    ("adjusted", text("Corrected"), text("by whoever runs the service")),
    ("other", text("Everything else"), text("lapsed, taken back, moved to other wallets or corrected")),
)
"""In the order in which they are read; those without an amount are left out, save the first and what was spent."""

ALWAYS = ("topups", "charges")

_TIER = re.compile("¥(?P<yen>[0-9.,]+)(?: per (?P<per>[0-9,]+))?(?: up to (?P<to>[0-9,.]+))?")


@wallet_page("/documents")
async def documents(visit: Visit) -> Reply:
    """The months that have a statement, newest first, and the latest receipts."""
    wallet = await visit.wallet()
    months = await _months(visit, wallet)
    receipts = []
    if visit.allows("view" if visit.place.of_operator else "manage"):
        page = await visit.get("/credit/topups", limit=50)
        receipts = [each for each in page["topups"] if each["credit_txn_id"] is not None][:RECEIPTS]
    years = [(year, list(found)) for year, found in groupby(months, lambda month: month.cycle[:4])]
    return await visit.show("wallet/documents.html", years=years, receipts=receipts, **PAYMENT_WORDS)


@wallet_page("/documents/{cycle}")
async def show_statement(visit: Visit) -> Reply:
    """One statement, to read and to print."""
    cycle = _checked(visit.params["cycle"])
    wanted = "none" if "whole" in visit.query else "summary"
    statement = await visit.get("/credit/statement", cycle=cycle, entries=wanted)
    wallet = await visit.wallet()
    first, last = _days(cycle)
    shown = [
        Line(name, statement[member], hint)
        for member, name, hint in LINES
        if member in ALWAYS or Decimal(statement[member])
    ]
    return await visit.show(
        "wallet/statement.html",
        statement=statement,
        lines=shown,
        seconds=max(sum(line["charges"] for line in statement["spend_by_key"]) * SECONDS_PER_CHARGE, 1),
        first=first,
        last=last,
        is_current=cycle == wallet["current_cycle"],
        is_test_money=await takes_test_money(visit),
        is_part=visit.caller is not None and visit.caller.key_id is not None and not visit.place.of_operator,
        earlier=_neighbour(cycle, -1, wallet),
        later=_neighbour(cycle, 1, wallet),
        price_words=lambda price: _price(price, visit.words, Formats(visit.words.language, wallet["time_zone"])),
    )


@wallet_page("/documents/{cycle}/{file}")
async def download_statement(visit: Visit) -> Reply:
    """The same as a file: ``statement.csv``, ``statement.txt``, ``statement.json``, and ``items.csv`` for example."""
    cycle = _checked(visit.params["cycle"])
    rows, _, ending = visit.params["file"].partition(".")
    kind = next((kind for kind in get_args(FileKind) if _ENDINGS[kind] == ending), None)
    if kind is None or rows not in ("statement", *_ROWS) or (rows != "statement" and kind != "csv"):
        raise Refused(404, {"code": "not_found", "detail": ""})
    wallet = await visit.wallet()
    name = f"wallet-{wallet['wallet_id']}-{cycle}{'' if rows == 'statement' else f'-{rows}'}.{ending}"
    asked = {"cycle": cycle, "format": kind, "rows": None if rows == "statement" else rows}
    return visit.download("/credit/statement", name, **asked)


def _price(price: str, words: Words, formats: Formats) -> str:
    """A price with tiers in the language of the page; as it is where it cannot be read."""
    tiers = [_TIER.fullmatch(tier) for tier in price.split(", then ")]
    if words.language == "en" or None in tiers:
        return price
    said = []
    for tier in filter(None, tiers):
        yen = formats.yen(tier["yen"].replace(",", ""))
        unit = words.say("{yen} per {n}", yen=yen, n=tier["per"]) if tier["per"] else yen
        limited = words.say("up to {n}: {price}", n=tier["to"], price=unit)
        said.append(limited if tier["to"] else words.say("then {price}", price=unit))
    return str(words.say(", ")).join(said)


def _checked(cycle: str) -> str:
    if _CYCLE.fullmatch(cycle) is None:
        raise Refused(404, {"code": "not_found", "detail": ""})
    return cycle


async def _months(visit: Visit, wallet: Any) -> list[Month]:
    """From the wallet's first month to this one, the newest first."""
    now = wallet["current_cycle"]
    formats = Formats("en", wallet["time_zone"])
    first = f"{formats.local(wallet['created_at']):%Y-%m}"
    usage = await visit.get("/credit/usage", every="month", since=first)
    spent = {row["period"]: row for row in usage["rows"]}
    found = []
    cycle = now
    while cycle >= first:
        row = spent.get(cycle)
        amount = Decimal(row["amount"]) - Decimal(row["refunded"]) if row else None
        found.append(Month(cycle, amount, row["charges"] if row else 0, cycle == now))
        cycle = _moved(cycle, -1)
    return found


def _moved(cycle: str, months: int) -> str:
    year, month = map(int, cycle.split("-"))
    place = year * 12 + month - 1 + months
    return f"{place // 12:04}-{place % 12 + 1:02}"


def _days(cycle: str) -> tuple[str, str]:
    """The first day of a cycle and its last."""
    first, after = date.fromisoformat(f"{cycle}-01"), date.fromisoformat(f"{_moved(cycle, 1)}-01")
    return first.isoformat(), (after - timedelta(days=1)).isoformat()


def _neighbour(cycle: str, months: int, wallet: Any) -> str | None:
    """The month before or after, if the wallet has a statement of it."""
    formats = Formats("en", wallet["time_zone"])
    moved = _moved(cycle, months)
    first = f"{formats.local(wallet['created_at']):%Y-%m}"
    return moved if first <= moved <= wallet["current_cycle"] else None
