"""Proofs of the seals: each still covers its entries, none is missing, and those recorded elsewhere exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from credit_wallet.stores import Source
from credit_wallet.stores.jobs.proofs.violations import Violation
from credit_wallet.stores.jobs.seals import SEALS, Anchor, Seal, is_whole, unsealed_since

UNSEALED_FOR = timedelta(hours=1)
"""How long entries and acts of a ledger that is being sealed may wait for a seal; the worker makes one every minute."""

_NOTED = "SELECT seal_id, sha256, last_txn_id, sealed_at FROM am_credit_seal WHERE seal_id = :seal_id"

_EVER_MADE = {
    "": "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'am_credit_seal'",
    "postgres": "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM am_credit_seal_seal_id_seq",
}
"""By dialect: the highest id that a seal ever had."""

_COUNT = "SELECT count(*) FROM am_credit_seal"


def broken_seals(source: Source, after_seal_id: int, last_seal_id: int) -> Iterator[Violation]:
    """The seals above ``after_seal_id`` up to ``last_seal_id`` that the ledger does not match."""
    before = None
    for row in source.rows(SEALS, {}):
        seal = Seal(*row)
        if after_seal_id < seal.seal_id <= last_seal_id and not is_whole(source, seal, before):
            yield Violation("seals", None, f"seal {seal.seal_id}: {_covered(seal, before)} have changed")
        before = seal


def _covered(seal: Seal, before: Seal | None) -> str:
    """What a seal covers, in words."""
    covered = [f"entries {seal.first_txn_id} to {seal.last_txn_id}"] if seal.entries else []
    if seal.acts:
        covered.append(f"acts {(0 if before is None else before.last_act_id) + 1} to {seal.last_act_id}")
    return " or ".join(covered)


def missing_seals(source: Source) -> Iterator[Violation]:
    """Seals that were made and are missing. Only SQLite numbers them without gaps."""
    if source.dialect:
        return
    made, found = _ever_made(source), source.rows(_COUNT, {})[0][0]
    if made != found:
        yield Violation("seals", None, f"{made} seals were made and {found} are there")


def unsealed(source: Source, now: datetime) -> Iterator[Violation]:
    """What has waited for a seal for longer than ``UNSEALED_FOR``, in a ledger that was ever sealed."""
    since = unsealed_since(source)
    if since is not None and now - since > UNSEALED_FOR and _ever_made(source):
        hours = (now - since) / timedelta(hours=1)
        yield Violation(
            "unsealed",
            None,
            f"entries or acts have had no seal for {hours:.1f} hours; is the worker running? If it is, seals are gone",
        )


def broken_anchors(source: Source, anchors: Iterable[Anchor]) -> Iterator[Violation]:
    """Seals that were recorded elsewhere and do not match the ledger."""
    for anchor in anchors:
        found = [Anchor(*row) for row in source.rows(_NOTED, {"seal_id": anchor.seal_id})]
        if anchor not in [form for seal in found for form in (seal, seal.short)]:
            has = f"the ledger has {found[0]}" if found else "the ledger has no seal of that number"
            yield Violation("anchors", None, f"{anchor} was noted, and {has}")


def _ever_made(source: Source) -> int:
    [(made,)] = source.rows(_EVER_MADE[source.dialect], {})
    return int(made)
