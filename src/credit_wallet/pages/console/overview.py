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


class Case(NamedTuple):
    """A kind of thing that needs a person: its name, the list that has all of them, and where one of them is."""

    name: str
    all: str
    one: str


CASES: Final = {
    "topups_failed": Case(text("Payments failed"), "/console/payments?status=failed", "/console/payments/{id}"),
    "topups_uncredited": Case(
        text("Payments are paid and not credited"), "/console/payments?status=succeeded", "/console/payments/{id}"
    ),
    "auto_topups_stopped": Case(
        text("Automatic top-ups have stopped"),
        "/console/wallets?status=failed_topup",
        "/console/wallets/{wallet_id}/auto-topup",
    ),
    "wallets_in_debt": Case(
        text("Customers owe something"), "/console/wallets?status=in_debt", "/console/wallets/{wallet_id}"
    ),
    "wallets_exhausted": Case(
        text("Customers have no credit left"), "/console/wallets?status=exhausted", "/console/wallets/{wallet_id}"
    ),
    "deliveries_dead": Case(
        text("Notices did not arrive"), "/console/deliveries?status=dead", "/console/wallets/{wallet_id}/notices"
    ),
    "targets_unconfirmed": Case(
        text("Mailboxes were not confirmed"), "/console/deliveries?status=all", "/console/wallets/{wallet_id}/notices"
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
        cases=[(CASES[kind], cases[kind]) for kind in CASES if kind in cases],
        health=await visit.get("/operator/health"),
    )


def _moved(key: str, name: str, found: Any) -> Moved:
    days = [Decimal(day[key]) for day in found["days"]]
    return Moved(key, name, days[-1], Decimal(found["last_week"][key]), [[value] for value in days])
