"""Operators: people and programs of the host's, each with a name, a role and keys of its own."""

from __future__ import annotations

from msgspec import Struct

from credit_wallet.domain.permissions import Role

ROOT = 0
"""The ``operator_id`` of the environment's keys: they may do everything and make the first operator."""


class OperatorAccess(Struct, frozen=True):
    """The access that an operator's key gives. ``ends_at`` is when the key ends, None when no end is known."""

    operator_id: int
    name: str
    role: Role
    ends_at: str | None = None
