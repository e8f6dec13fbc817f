"""All wallets at a glance: what is owed to customers, what moves, how the service is, and what needs a person."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, NamedTuple

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import CONSOLE, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

FIGURES: Final = {
    "paid_in": text("Paid in"),
    "spent": text("Spent"),
    "refunded": text("Given back"),
    "lapsed": text("Lapsed"),
}
"""What moves, in the order of the page."""


NAMED = 3
"""Customers of a kind that are named; the list has all."""


class Case(NamedTuple):
    """A kind of thing that needs a person: its name, the list of all, where one of them is, and what to do."""

    name: str
    all: str
    one: str
    to_do: str


CASES: Final = {
    "topups_failed": Case(
        text("Payments failed"),
        "/console/payments?status=failed",
        "/console/payments/{id}",
        text("They have not paid in another way since. Each says why, and what to do."),
    ),
    "topups_uncredited": Case(
        text("Payments are paid and not credited"),
        "/console/payments?status=succeeded",
        "/console/payments/{id}",
        text("They are compared with Stripe every five minutes. Look at those that stay."),
    ),
    "auto_topups_stopped": Case(
        text("Automatic top-ups stopped"),
        "/console/wallets?status=failed_topup",
        "/console/wallets/{wallet_id}/auto-topup",
        text("The saved card was refused, or is gone. Ask for another."),
    ),
    "wallets_in_debt": Case(
        text("Customers owe something"),
        "/console/wallets?status=in_debt",
        "/console/wallets/{wallet_id}",
        text("What they pay in next settles it."),
    ),
    "wallets_exhausted": Case(
        text("Customers have no credit left"),
        "/console/wallets?status=exhausted",
        "/console/wallets/{wallet_id}",
        text("Their calls are refused until something is paid in."),
    ),
    "deliveries_dead": Case(
        text("Notices did not arrive"),
        "/console/deliveries?status=dead",
        "/console/wallets/{wallet_id}/notices",
        text("Correct the addresses, then send them again."),
    ),
    "targets_unconfirmed": Case(
        text("Mailboxes were not confirmed"),
        "/console/deliveries?status=all",
        "/console/wallets/{wallet_id}/notices",
        text("Nothing is sent there before somebody enters the code of the first message."),
    ),
}
"""By the API's kinds, the most urgent first."""


class Moved(NamedTuple):
    """A figure of today, with that of the same part of the day a week ago, and those of all days that are shown."""

    key: str
    name: str
    today: Decimal
    last_week: Decimal
    days: list[list[Decimal]]

    @property
    def change(self) -> int | None:
        """By how many hundredths it differs from last week; None where there is nothing to compare with."""
        return None if self.last_week <= 0 else round((self.today - self.last_week) * 100 / self.last_week)


@page(CONSOLE, "operator")
async def overview(visit: Visit) -> Reply:
    """What is owed to customers, and what needs a person."""
    found = await visit.get("/operator/overview", zone=visit.zone)
    cases = {each["kind"]: each for each in found["cases"] if each["count"]}
    return await visit.show(
        "console/overview.html",
        zone=found["time_zone"],
        found=found,
        moved=[_moved(key, name, found) for key, name in FIGURES.items()],
        figures=FIGURES,
        cases=[(CASES[kind], cases[kind], _customers(cases[kind])) for kind in CASES if kind in cases],
        health=await visit.get("/operator/health"),
    )


def _customers(case: Any) -> list[Any]:
    """The first things of a kind, each customer once."""
    return list({one["wallet_id"]: one for one in reversed(case["first"])}.values())[::-1][:NAMED]


def _moved(key: str, name: str, found: Any) -> Moved:
    days = [Decimal(day[key]) for day in found["days"]]
    return Moved(key, name, days[-1], Decimal(found["last_week"][key]), [[value] for value in days])
