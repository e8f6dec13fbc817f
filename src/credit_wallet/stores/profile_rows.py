"""What wallets and agent keys are called, as rows: references, metadata, and the terms by which they are found.

Everything here runs in the transaction of what it belongs to, the same on every database. Whatever is changed is
written first, which locks the row of names; the terms follow from what all of them are then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import json

from credit_wallet.domain.acts import Act
from credit_wallet.domain.metadata import Metadata
from credit_wallet.domain.search_terms import sorted_form, terms_of_names
from credit_wallet.errors import ReferenceInUse
from credit_wallet.rules.decision import Decision
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.acts import write
from credit_wallet.stores.sql import statements

SQL = statements("profiles.sql")

ITSELF = 0
"""The ``key_id`` of a wallet's own names."""

ROWS_A_STATEMENT = 100


# References


def wallet_of(source: Source, reference: str) -> int | None:
    """The wallet that has a reference."""
    for (wallet_id,) in source.rows(SQL["wallet_of_reference"], {"reference": reference}):
        return int(wallet_id)
    return None


def reserved(connection: Connection, wallet_id: int, reference: str) -> int:
    """The wallet that has ``reference`` from now on: ``wallet_id``, unless another wallet has it already."""
    named = {"reference": reference, "wallet_id": wallet_id}
    for (owner,) in connection.execute(SQL["put_reference"], named).fetchall():
        return int(owner)
    [(owner,)] = connection.execute(SQL["wallet_of_reference"], {"reference": reference}).fetchall()
    return int(owner)


def set_reference(connection: Connection, wallet_id: int, reference: str | None) -> str | None:
    """Give a wallet another reference, or none; returns the one before. Raises ``ReferenceInUse``."""
    this = {"wallet_id": wallet_id}
    before = [str(old) for (old,) in connection.execute(SQL["reference_of_wallet"], this).fetchall()]
    connection.execute(SQL["drop_reference"], this)
    if reference is not None and (owner := reserved(connection, wallet_id, reference)) != wallet_id:
        raise ReferenceInUse(
            f"wallet {owner} has the reference {reference!r} already; references of wallets are unique",
            wallet_id=owner,
        )
    _set(connection, wallet_id, ITSELF, "reference", reference or "")
    return before[0] if before else None


# Names


class Names(NamedTuple):
    """What something is called by people and by the host."""

    label: str | None
    reference: str | None
    metadata: Metadata


def put_names(connection: Connection, wallet_id: int, key_id: int, names: Names, token_prefix: str, at: str) -> None:
    """The names of a new wallet or agent key. Raises ``ReferenceInUse`` for an agent key."""
    reference = names.reference or ""
    if key_id != ITSELF and reference:
        _require_free(connection, wallet_id, key_id, reference)
    row = {
        "wallet_id": wallet_id,
        "key_id": key_id,
        "reference": reference,
        "token_prefix": token_prefix,
        "sorted_label": sorted_form(names.label) if key_id == ITSELF else "",
        "created_at": at,
        "metadata": format_metadata(names.metadata),
    }
    connection.execute(SQL["put_names"], row)
    terms = terms_of_names(names.label, reference, token_prefix, dict(names.metadata))
    put_terms(connection, [(term, wallet_id, key_id) for term in sorted(terms)])


def set_metadata(connection: Connection, wallet_id: int, key_id: int, metadata: Metadata) -> None:
    """Other metadata of a wallet or an agent key."""
    _set(connection, wallet_id, key_id, "metadata", format_metadata(metadata))


def rename_key(connection: Connection, wallet_id: int, key_id: int, before: Names, after: Names) -> None:
    """Other names of an agent key, whose label is written. Raises ``ReferenceInUse``."""
    if after.reference != before.reference:
        if after.reference is not None:
            _require_free(connection, wallet_id, key_id, after.reference)
        _set(connection, wallet_id, key_id, "reference", after.reference or "")
    if after.metadata != before.metadata:
        set_metadata(connection, wallet_id, key_id, after.metadata)
    if after.label != before.label:
        note_label(connection, wallet_id, key_id, after.label)


def set_token_prefix(connection: Connection, wallet_id: int, key_id: int, token_prefix: str) -> None:
    """The beginning of another token."""
    _set(connection, wallet_id, key_id, "token_prefix", token_prefix)


def note_label(connection: Connection, wallet_id: int, key_id: int, label: str | None) -> None:
    """The label of a wallet or an agent key has changed."""
    _set(connection, wallet_id, key_id, "sorted_label", sorted_form(label) if key_id == ITSELF else "")


def write_names(connection: Connection, decision: Decision, at: str) -> None:
    """The names that a batch has given to wallets, whose labels are written."""
    for wallet_id, label in decision.relabeled.items():
        note_label(connection, wallet_id, ITSELF, label)
    for wallet_id, (author, metadata) in decision.described.items():
        _, before = names_of(connection, wallet_id, ITSELF)
        if before != metadata:
            set_metadata(connection, wallet_id, ITSELF, metadata)
            changed = ({"metadata": dict(before)}, {"metadata": dict(metadata)})
            write(connection, author, Act("wallet.configured", f"wallet:{wallet_id}", wallet_id, *changed), at)


def names_of(connection: Connection, wallet_id: int, key_id: int) -> tuple[str | None, Metadata]:
    """Reference and metadata of a wallet or an agent key."""
    rows = connection.execute(SQL["names"], {"wallet_id": wallet_id, "key_id": key_id}).fetchall()
    return (rows[0][0] or None, tuple(parse_metadata(rows[0][2]).items())) if rows else (None, ())


def format_metadata(metadata: Metadata) -> str:
    """The column ``metadata``."""
    return json.encode(dict(metadata)).decode()


def parse_metadata(text: str | None) -> dict[str, str]:
    """The reverse of ``format_metadata``; nothing for something that has no row of names."""
    return {} if text is None else json.decode(text, type=dict[str, str])


# Terms


def put_terms(connection: Connection, rows: Sequence[tuple[str, int, int]]) -> None:
    """Terms with the wallet and the agent key that are found by them."""
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        some = rows[start : start + ROWS_A_STATEMENT]
        places = ", ".join(f"(:term{n}, :wallet{n}, :key{n})" for n, _ in enumerate(some))
        connection.execute(
            f"INSERT INTO am_credit_search_term (term, wallet_id, key_id) VALUES {places} ON CONFLICT DO NOTHING",
            numbered(("term", "wallet", "key"), some),
        )


def _set(connection: Connection, wallet_id: int, key_id: int, column: str, value: str) -> None:
    named = {"wallet_id": wallet_id, "key_id": key_id}
    connection.execute(SQL[f"set_{column}"], {**named, column: value})
    [(reference, token_prefix, metadata)] = connection.execute(SQL["names"], named).fetchall()
    labelled = SQL["label_of_wallet"] if key_id == ITSELF else SQL["label_of_key"]
    [(label,)] = connection.execute(labelled, named).fetchall()
    wanted = terms_of_names(label, reference, token_prefix, parse_metadata(metadata))
    there = {term for (term,) in connection.execute(SQL["terms"], named).fetchall()}
    for term in sorted(there - wanted):
        connection.execute(SQL["drop_term"], {**named, "term": term})
    put_terms(connection, [(term, wallet_id, key_id) for term in sorted(wanted - there)])


def _require_free(connection: Connection, wallet_id: int, key_id: int, reference: str) -> None:
    """Only one transaction at a time makes or changes agent keys of a wallet, so what is free stays so."""
    named = {"wallet_id": wallet_id, "reference": reference}
    for (other,) in connection.execute(SQL["key_of_reference"], named).fetchall():
        if other != key_id:
            raise ReferenceInUse(
                f"agent key {other} of the wallet has the reference {reference!r} already; they are unique in a wallet",
                key_id=other,
            )


def numbered(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Mapping[str, Any]:
    """The parameters of a statement of many rows: ``term0``, ``wallet0``, …, ``term1``, …"""
    return {f"{name}{number}": value for number, row in enumerate(rows) for name, value in zip(names, row, strict=True)}
