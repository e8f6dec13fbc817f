"""Consents to automatic top-ups as rows: written with the settings, the same on every database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import structs

from credit_wallet.domain.consents import Consent
from credit_wallet.rules.consents import first_consent
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.sql import statements

_SQL = statements("grants.sql")


def write_consents(connection: Connection, consents: Iterable[Consent]) -> None:
    """Write what was agreed to, in the transaction of the settings."""
    for consent in consents:
        connection.execute(_SQL["put_consent"], structs.asdict(consent))


def write_first_consent(connection: Connection, wallet_id: int, auto_topup: tuple[int, int], at: str) -> None:
    """Write what is agreed to by making a wallet whose automatic top-ups (threshold and amount) are on."""
    consent = first_consent(wallet_id, *auto_topup, at)
    if consent is not None:
        write_consents(connection, [consent])


def consents(source: Source, wallet_id: int, before: int, limit: int) -> list[Consent]:
    """Up to ``limit`` consents of a wallet with a number below ``before``, newest first."""
    rows = source.rows(_SQL["consents"], {"wallet_id": wallet_id, "before": before, "limit": limit})
    return [_consent(row) for row in rows]


def _consent(row: tuple[Any, ...]) -> Consent:
    figures, rest = row[:4], row[4:]
    return Consent(*figures, **dict(zip(Consent.__struct_fields__[4:], rest, strict=True)))
