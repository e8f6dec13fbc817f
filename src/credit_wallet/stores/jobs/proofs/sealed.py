"""Proofs of the seals: each still covers its entries, none is missing, and those recorded elsewhere exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec import MsgspecError, Struct, json

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

_ERASED = """
SELECT subject, coalesce(before, ''), coalesce(after, '') FROM am_credit_act
WHERE subject >= 'seal:' AND subject < 'seal;' AND kind = 'erasure.sealed' ORDER BY act_id
"""

_COUNT = "SELECT count(*) FROM am_credit_seal"


def broken_seals(source: Source, after_seal_id: int, last_seal_id: int) -> Iterator[Violation]:
    """The seals above ``after_seal_id`` up to ``last_seal_id`` that the ledger does not match.

    One in whose range texts were erased has to have the hash that the last of those erasures left.
    """
    before, erased = None, _erased(source)
    for row in source.rows(SEALS, {}):
        seal = Seal(*row)
        if after_seal_id < seal.seal_id <= last_seal_id:
            follows, wanted = _hash_after(seal.sha256, erased.get(seal.seal_id, ()))
            if not follows or not is_whole(source, seal, before, wanted):
                yield Violation("seals", None, f"seal {seal.seal_id}: {_covered(seal, before)} have changed")
        before = seal


class _Hashes(Struct, frozen=True):
    """What an act says of a range: its hash."""

    sha256: str = ""


def _erased(source: Source) -> dict[int, list[tuple[str, str]]]:
    """By seal: the hashes of its range before and after each erasure in it, in their order."""
    found: dict[int, list[tuple[str, str]]] = {}
    for subject, *texts in source.rows(_ERASED, {}):
        with suppress(ValueError, MsgspecError):
            was, now_is = (json.decode(text, type=_Hashes).sha256 for text in texts)
            found.setdefault(int(subject.removeprefix("seal:")), []).append((was, now_is))
    return found


def _hash_after(sha256: str, erasures: Iterable[tuple[str, str]]) -> tuple[bool, str]:
    """Whether each erasure begins with the hash that the one before left, and the hash after the last."""
    for was, now_is in erasures:
        if was != sha256:
            return False, sha256
        sha256 = now_is
    return True, sha256


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
