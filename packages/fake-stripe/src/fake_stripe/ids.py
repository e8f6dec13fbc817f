"""Ids as Stripe makes them."""

from __future__ import annotations

import secrets
import string

_DIGITS = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """A fresh id: the prefix, an underscore, and random digits."""
    return f"{prefix}_{''.join(secrets.choice(_DIGITS) for _ in range(length))}"
