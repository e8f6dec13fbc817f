"""All wallets at a glance: what customers have, what moved today, what needs a person, and how the service does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, NamedTuple

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.console.health import VERDICTS
from credit_wallet.pages.routes import CONSOLE, page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

FIRST_SHOWN = 3
"""Things of a kind that need a person and are named here; the others are in their list."""

ZONES: Final = ("UTC", "Asia/Tokyo")
"""Whose days an operator may choose with one click."""


class Kind(NamedTuple):
    """A kind of what needs a person: its name, what to do, and where all of them and one of them are.

    ``one`` has ``{id}`` for the thing and ``{wallet}`` for whose it is.
    """

    name: str
    to_do: str
    all: str
    one: str
    mark: str = "bad"


KINDS: Final[dict[str, Kind]] = {
    "wallets_in_debt": Kind(
        text("Customers in debt"),
        text("A payment was taken back, or a correction was larger than the balance. What they pay in next settles it."),
        f"{CONSOLE}/wallets?status=in_debt",
        f"{CONSOLE}/wallets/{{wallet}}",
    ),
    "topups_uncredited": Kind(
        text("Paid, but not credited yet"),
        text("Each is compared with Stripe every five minutes. Look at those that stay here longer."),
        f"{CONSOLE}/payments?status=succeeded",
        f"{CONSOLE}/payments/{{id}}",
    ),
    "topups_failed": Kind(
        text("Payments that failed"),
        text("These customers have not paid in another way since."),
        f"{CONSOLE}/payments?status=failed",
        f"{CONSOLE}/payments/{{id}}",
    ),
    "auto_topups_stopped": Kind(
        text("Automatic top-ups that stopped"),
        text("The saved card was refused, or is gone. Ask the customer to save another."),
        "",
        f"{CONSOLE}/wallets/{{wallet}}/auto-topup",
    ),
    "deliveries_dead": Kind(
        text("Notices that did not arrive"),
        text("They were given up after three days. Correct the address, then send them again."),
        f"{CONSOLE}/deliveries",
        f"{CONSOLE}/wallets/{{wallet}}/notices",
    ),
    "wallets_exhausted": Kind(
        text("Customers out of credit"),
        text("Their calls are refused until something is paid in."),
        f"{CONSOLE}/wallets?status=exhausted",
        f"{CONSOLE}/wallets/{{wallet}}",
        "warn",
    ),
    "targets_unconfirmed": Kind(
        text("Mailboxes that nobody confirmed"),
        text("No notice goes there before somebody enters the code of the first message."),
        "",
        f"{CONSOLE}/wallets/{{wallet}}/notices",
        "warn",
    ),
}
"""By the kinds of the API, the most urgent first."""

REASONS: Final[dict[str, str]] = {
    **dict.fromkeys(("generic_decline", "card_declined", "do_not_honor"), text("declined by the bank")),
    "insufficient_funds": text("not enough money on the card"),
    "expired_card": text("the card has expired"),
    **dict.fromkeys(("authentication_required", "authentication_not_handled"), text("not confirmed with the bank")),
    "payment_intent_authentication_failure": text("not confirmed with the bank"),
    **dict.fromkeys(("no_payment_method", "payment_method_gone"), text("no card is saved")),
    **dict.fromkeys(("payment_intent_payment_attempt_expired", "abandoned", "expired"), text("not paid in time")),
}
"""Why payments failed, in a few words; other reasons are shown as Stripe or the receiver says them."""

FIGURES: Final[dict[str, str]] = {
    "paid_in": text("Paid in"),
    "spent": text("Spent"),
    "refunded": text("Refunded"),
    "lapsed": text("Lapsed"),
}
"""What of a day is shown."""


class Figure(NamedTuple):
    """What a day's figure is today, was by this time a week ago, and was on each of the days."""

    key: str
    name: str
    today: Decimal
    before: Decimal
    days: list[Decimal]

    @property
    def change(self) -> int | None:
        """By how many hundredths today is more, or less, than a week ago; None where nothing can be compared."""
        return round((self.today - self.before) * 100 / self.before) if self.before else None

    @property
    def columns(self) -> list[list[Decimal]]:
        """The days as columns of a chart, today in a series of its own."""
        return [*([day] for day in self.days[:-1]), [Decimal(), self.days[-1]]]


class Case(NamedTuple):
    """Things of a kind that need a person, and the first of them with where they are."""

    kind: Kind
    count: int
    more: bool
    first: list[tuple[Any, str]]

    @property
    def rest(self) -> int:
        """How many are not among the first."""
        return self.count - len(self.first)


@page(CONSOLE, "operator")
async def overview(visit: Visit) -> Reply:
    """What is owed to customers, and what needs a person."""
    seen = await visit.get("/operator/overview", zone=visit.zone)
    health = await visit.get("/operator/health")
    cases = _cases(seen["cases"])
    return await visit.show(
        "console/overview.html",
        seen=seen,
        figures=[_figure(key, name, seen) for key, name in FIGURES.items()],
        today=seen["days"][-1],
        cases=cases,
        needs=sum(case.count for case in cases),
        health=health,
        looks=[VERDICTS[each["check"]] for each in health["findings"] if not each["ok"] and each["check"] in VERDICTS],
        reasons=REASONS,
        zones=[zone for zone in ZONES if zone != visit.zone],
    )


def _figure(key: str, name: str, seen: Any) -> Figure:
    days = [Decimal(day[key]) for day in seen["days"]]
    return Figure(key, name, days[-1], Decimal(seen["last_week"][key]), days)


def _cases(found: list[Any]) -> list[Case]:
    """What there is of each kind, in our order; kinds of a later release have no words here."""
    by_kind = {each["kind"]: each for each in found}
    return [
        Case(kind, each["count"], each["more"], [(one, _address(kind, one)) for one in each["first"][:FIRST_SHOWN]])
        for name, kind in KINDS.items()
        if (each := by_kind.get(name)) and each["count"]
    ]


def _address(kind: Kind, one: Any) -> str:
    """Where one thing is; targets of the operators have no page."""
    if not one["wallet_id"]:
        return ""
    return kind.one.format(id=one["id"], wallet=one["wallet_id"])
