"""Permissions: what each kind of caller may do. The one table that the service asks.

A caller is a wallet's owner, an agent key with scopes, a seller, or an operator with a role. What a call needs is one
permission, declared with its route; which wallet a caller may touch follows from its token.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

Scope: TypeAlias = Literal["spend", "read", "manage"]
"""What an agent key may do in its wallet: pay, see, and do what the owner does."""

Role: TypeAlias = Literal["viewer", "support", "finance", "seller", "admin"]
"""What an operator is there for."""

Kind: TypeAlias = Literal[
    "owner",
    "key:read",
    "key:spend",
    "key:manage",
    "seller",
    "operator:viewer",
    "operator:support",
    "operator:finance",
    "operator:seller",
    "operator:admin",
]
"""A kind of caller. An agent key is of as many kinds as it has scopes."""

Permission: TypeAlias = Literal[
    "identify",
    "read",
    "look_up",
    "spend",
    "manage",
    "own",
    "sell",
    "sell_to_many",
    "refund",
    "view",
    "support",
    "finance",
    "administer",
]
"""What a call needs."""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
ROLES: Final[tuple[Role, ...]] = get_args(Role)
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ORDINARY_SCOPES: Final[frozenset[Scope]] = frozenset(("spend", "read"))
"""Those of an agent key that was made without naming any."""


class Grant(NamedTuple):
    """What a permission allows, which token to use for it, and who has it."""

    allows: str
    use: str
    kinds: frozenset[Kind]


def _to(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)


_PAYERS = _to("owner", "key:spend")
_READERS = _to("owner", "key:read", "key:manage")
_SELLING = _to("operator:seller", "operator:admin")

PERMISSIONS: Final[dict[Permission, Grant]] = {
    "identify": Grant("Learn who the token is, and see prices.", "any valid token", frozenset(KINDS)),
    "read": Grant(
        "See the token's own wallet; an agent key without `manage` sees its own part of it.",
        "the wallet's owner token, or an agent key that may read",
        _READERS,
    ),
    "look_up": Grant(
        "See one entry or one hold: of the token's wallet, or of what the seller sold.",
        "the wallet's owner token, an agent key that may read, or the token of the seller that made it",
        _READERS | _to("seller"),
    ),
    "spend": Grant(
        "Charge, hold, capture, extend, release: from the token's wallet; sellers and operators, from any.",
        "the wallet's owner token, an agent key that may spend, a seller's token, or the key of an operator who sells",
        _PAYERS | _SELLING | _to("seller"),
    ),
    "manage": Grant(
        "Change the token's wallet: settings, agent keys, budgets, targets, top-ups.",
        "the wallet's owner token, or an agent key that may manage",
        _to("owner", "key:manage"),
    ),
    "own": Grant(
        "What only the owner does: rotate the owner token, move credit to another wallet.",
        "the wallet's owner token",
        _to("owner"),
    ),
    "sell": Grant(
        "Sell requests exactly once.",
        "a seller's token, or the key of an operator who sells",
        _SELLING | _to("seller"),
    ),
    "sell_to_many": Grant("Charge many wallets in one batch.", "the key of an operator who sells", _SELLING),
    "refund": Grant(
        "Give back what was charged; a seller, what it charged.",
        "a seller's token, or the key of an operator of sales or finance",
        _SELLING | _to("seller", "operator:finance"),
    ),
    "view": Grant(
        "See everything of all wallets, but no secrets.",
        "the key of an operator who may view wallets",
        _to("operator:viewer", "operator:support", "operator:finance", "operator:admin"),
    ),
    "support": Grant(
        "Help customers: create, freeze and set up wallets, their keys, tokens, budgets and targets; send again.",
        "the key of an operator of support",
        _to("operator:support", "operator:admin"),
    ),
    "finance": Grant(
        "Move credit without a sale: top-ups by hand, grants, transfers, corrections, pay-backs, closing.",
        "the key of an operator of finance",
        _to("operator:finance", "operator:admin"),
    ),
    "administer": Grant(
        "Operators, sellers, prices, the log, and the operators' own notices.",
        "the key of an operator who administers",
        _to("operator:admin"),
    ),
}
"""Who may do what. A call with another permission than these cannot be declared."""

OF_A_WALLET: Final = frozenset(
    permission
    for permission, grant in PERMISSIONS.items()
    if "owner" in grant.kinds and not any(kind.startswith("operator:") for kind in grant.kinds)
)
"""What only the tokens of a wallet allow."""


def permissions_of(kinds: Iterable[Kind]) -> frozenset[Permission]:
    """What a caller who is of all these kinds may do."""
    return _permissions_of(frozenset(kinds))


def kinds_of_key(scopes: Collection[Scope]) -> tuple[Kind, ...]:
    """The kinds that an agent key with ``scopes`` is of."""
    return tuple(kind for kind in KINDS if kind.startswith("key:") and kind.removeprefix("key:") in scopes)


def scopes_of(stored: str | None) -> frozenset[Scope]:
    """Scopes as an agent key's row has them, with commas; None are the ordinary ones."""
    return ORDINARY_SCOPES if stored is None else frozenset(each for each in SCOPES if each in stored.split(","))


def ordered(scopes: Collection[Scope]) -> tuple[Scope, ...]:
    """``scopes`` in their order."""
    return tuple(each for each in SCOPES if each in scopes)


def stored_scopes(scopes: Collection[Scope]) -> str | None:
    """``scopes`` as an agent key's row has them."""
    return None if {*scopes} == ORDINARY_SCOPES else ",".join(ordered(scopes))


def kind_of_operator(role: Role) -> Kind:
    """The kind that an operator with ``role`` is of."""
    return next(kind for kind in KINDS if kind == f"operator:{role}")


@cache
def _permissions_of(kinds: frozenset[Kind]) -> frozenset[Permission]:
    return frozenset(permission for permission, grant in PERMISSIONS.items() if grant.kinds & kinds)
