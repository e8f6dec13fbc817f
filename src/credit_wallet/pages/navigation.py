"""Where a person can go from a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from credit_wallet.pages.routes import CONSOLE, is_below
from credit_wallet.pages.words import text

if TYPE_CHECKING:
    from credit_wallet.pages.visit import Visit


class Section(NamedTuple):
    """A part of the pages: its address below the place, its name and icon, and the permission to see it.

    ``parts`` are addresses of pages that belong to it and do not begin with its own.
    """

    path: str
    name: str
    icon: str
    needs: str | None = None
    parts: tuple[str, ...] = ()


WALLET_SECTIONS = (
    Section("", text("Overview"), "wallet"),
    Section("/activity", text("Activity"), "list"),
    Section("/spending", text("Spending"), "chart"),
    Section("/budgets", text("Budgets"), "gauge"),
    Section("/keys", text("Keys"), "key", "manage"),
    Section("/pay-in", text("Pay in"), "card", "manage", ("/topups", "/transfers", "/thank-you")),
    Section("/auto-topup", text("Automatic top-up"), "plus", "manage"),
    Section("/notices", text("Notices"), "bell", "manage"),
    Section("/documents", text("Documents"), "file"),
    Section("/log", text("Who changed what"), "clock", "manage"),
    Section("/settings", text("Settings"), "cog", "manage"),
)
"""Of a wallet, for its owner."""

CUSTOMER_SECTIONS = (
    *(section._replace(needs=None) for section in WALLET_SECTIONS),
    Section("/corrections", text("Corrections"), "warning"),
)
"""Of a wallet, for operators."""

CONSOLE_SECTIONS = (
    Section("", text("Overview"), "chart"),
    Section("/wallets", text("Wallets"), "wallet"),
    Section("/find", text("Find"), "search"),
    Section("/payments", text("Payments"), "card"),
    Section("/deliveries", text("Deliveries"), "bell"),
    Section("/prices", text("Prices"), "tag"),
    Section("/operators", text("Operators"), "people", "administer"),
    Section("/log", text("Log"), "clock", "administer"),
    Section("/health", text("Health"), "heart"),
)
"""Of the operator."""


class Link(NamedTuple):
    """A section as a page shows it."""

    address: str
    name: str
    icon: str
    current: bool


class Navigation(NamedTuple):
    """The sections of the console, where an operator is, and those of the wallet."""

    console: list[Link]
    wallet: list[Link]


def navigation(visit: Visit, *, of_wallet: bool) -> Navigation:
    """The sections that the visitor has; those of the wallet on pages that know it."""
    place, caller = visit.place, visit.caller
    is_operator = caller is not None and caller.operator is not None
    sections = CUSTOMER_SECTIONS if place.of_operator else WALLET_SECTIONS
    return Navigation(
        _links(visit, CONSOLE, CONSOLE_SECTIONS) if place.of_operator and is_operator else [],
        _links(visit, place.base, sections) if of_wallet else [],
    )


def _links(visit: Visit, base: str, sections: tuple[Section, ...]) -> list[Link]:
    return [
        Link(f"{base}{section.path}", section.name, section.icon, _is_current(visit.path, base, section))
        for section in sections
        if section.needs is None or visit.allows(section.needs)
    ]


def _is_current(path: str, base: str, section: Section) -> bool:
    """Whether a page is in a section. What begins with the overview's address is not in the overview."""
    if path == base or not section.path:
        return path == f"{base}{section.path}"
    return any(is_below(path, f"{base}{part}") for part in (section.path, *section.parts))
