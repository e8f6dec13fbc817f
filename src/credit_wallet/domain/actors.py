"""Who asks for a movement, in which room the idempotency keys of each live, and who may close whose hold.

A *payer* is the wallet's owner or one of its agent keys. An *operator* holds the operator key or has opened the ledger:
the library's caller and the command line. A *seller* holds a key that sells, and nothing more. The *product* moves
money for one of these: an embedded gate, top-ups, maintenance.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

Actor: TypeAlias = str
"""``"payer"``, ``"operator"``, ``"product"`` or ``"seller:<id>"``."""

PAYER: Final = "payer"
OPERATOR: Final = "operator"
PRODUCT: Final = "product"

_SELLER = re.compile(r"seller:[1-9][0-9]{0,18}")
_ROOMS = {OPERATOR: "", PAYER: "\x01", PRODUCT: "\x02"}

NO_SELLERS: Final = frozenset(_ROOMS)

SUPERVISORS: Final = frozenset((OPERATOR, PRODUCT))
"""They may close every hold."""


def seller(seller_id: int) -> Actor:
    """The actor behind a seller's key."""
    return f"seller:{seller_id}"


def seller_of(actor: Actor) -> int | None:
    """The id of the seller that ``actor`` is, None for anybody else."""
    return int(actor.removeprefix("seller:")) if _SELLER.fullmatch(actor) else None


def is_actor(value: object) -> bool:
    """Whether ``value`` names an actor."""
    return isinstance(value, str) and (value in _ROOMS or _SELLER.fullmatch(value) is not None)


def room(actor: Actor) -> str:
    """What stands before the idempotency keys of ``actor`` where they are stored.

    A caller's key is printable and a room is not, so nobody can write into another's.
    """
    known = _ROOMS.get(actor)
    return f"\x03{actor.removeprefix('seller:')}\x1f" if known is None else known


def may_close(closer: Actor, actor: Actor) -> bool:
    """Whether ``actor`` may capture, extend or release a hold that ``closer`` made.

    A promise to a seller is not the payer's to undo: a hold is closed by whoever made it, or by those above.
    """
    return actor == closer or actor in SUPERVISORS
