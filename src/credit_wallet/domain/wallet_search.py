"""What operators can ask of a search of wallets, and how they go on from one page to the next."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Literal, TypeAlias

from msgspec import DecodeError, Struct, json

from credit_wallet.domain.views import WalletView

WalletStatus: TypeAlias = Literal["low", "in_debt", "exhausted", "disabled", "closed", "failed_topup"]
"""``low``: a notice said that the balance is low or used up, and none that it has recovered. ``exhausted``: a charge
was refused for lack of credit, and none has come in since. ``failed_topup``: a top-up failed, and no later one was
credited.
"""

WalletSort: TypeAlias = Literal[
    "wallet_id",
    "-wallet_id",
    "label",
    "-label",
    "reference",
    "-reference",
    "created_at",
    "-created_at",
    "balance",
    "-balance",
    "spent",
    "-spent",
]
"""``-`` begins with the largest. ``balance`` and ``spent`` need a filter, as charges change them."""

BY_FIGURES = ("balance", "spent")


class WalletPage(Struct, frozen=True):
    """Wallets that were found, and where the next page begins, if there may be more.

    A page can be shorter than was asked for, or empty, and still have a ``next_cursor``: the search pauses after a
    thousand wallets that do not match.
    """

    wallets: list[WalletView]
    next_cursor: str | None


class Place(Struct, frozen=True, array_like=True):
    """Where a page ended: at a wallet, and what it is sorted by; empty for its id alone."""

    sort: str
    value: str | int
    wallet_id: int


class WalletQuery(Struct, frozen=True):
    """A search, once it is checked. ``words`` are folded; ``named`` are wallets that the query names outright."""

    words: tuple[str, ...]
    named: tuple[int, ...]
    status: WalletStatus | None
    reference: str | None
    sort: WalletSort
    limit: int
    after: Place | None

    @property
    def key(self) -> str:
        """What is sorted by, in either order."""
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the largest comes first."""
        return self.sort.startswith("-")


def cursor_of(place: Place) -> str:
    """The text by which the next page is asked for."""
    return urlsafe_b64encode(json.encode(place)).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """The reverse of ``cursor_of``. Raises ``ValueError``."""
    try:
        return json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=Place)
    except (DecodeError, UnicodeError) as error:
        raise ValueError(str(error)) from error
