"""The parts of a proof: each can be proved apart from the others, in any order and in any process, at one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct, structs

from credit_wallet.stores import Source
from credit_wallet.stores.jobs.proofs.budgets import broken_budgets
from credit_wallet.stores.jobs.proofs.cycles import broken_chain, broken_spending, recorded_cycles, suspected
from credit_wallet.stores.jobs.proofs.details import proved_entries, proved_usages
from credit_wallet.stores.jobs.proofs.invariants import BY_CYCLE, broken, proofs
from credit_wallet.stores.jobs.proofs.protection import unprotected
from credit_wallet.stores.jobs.proofs.sealed import broken_anchors, broken_seals, missing_seals, unsealed
from credit_wallet.stores.jobs.proofs.usage import broken_usage
from credit_wallet.stores.jobs.proofs.violations import Violation
from credit_wallet.stores.jobs.seals import Anchor

T = TypeVar("T")

MAX_ID = (1 << 63) - 1

_NEWEST = "SELECT coalesce(max(txn_id), 0) FROM am_credit_transaction_log"
_SEALS = "SELECT seal_id FROM am_credit_seal ORDER BY seal_id"
_WITH_BUDGETS = "SELECT DISTINCT wallet_id FROM am_credit_budget WHERE deleted_at IS NULL ORDER BY wallet_id"


class Asked(Struct, frozen=True):
    """What all parts are asked with."""

    now: datetime | None
    usage: bool
    anchors: tuple[Anchor, ...]
    in_whole_yen: bool = False
    """Whether no entry has a detail; known once the details are proved."""

    def with_amounts(self, *, in_whole_yen: bool) -> Asked:
        """The same, once that is known."""
        return structs.replace(self, in_whole_yen=in_whole_yen)


class Part(NamedTuple):
    """A part by its name and what it is about, such as a range of ids: those above the first, up to the second."""

    name: str
    about: tuple[Any, ...] = ()


def proved(source: Source, part: Part, asked: Asked) -> Any:
    """The result of a part: violations, unless it is a step towards them."""
    return _PARTS[part.name](source, asked, *part.about)


# What there is to prove


def of_details(source: Source, pieces: int) -> list[Part]:
    """The details of entries by ranges of ids, and the usage of holds and purchases."""
    [(newest,)] = source.rows(_NEWEST, {})
    step = max(1, -(-newest // pieces))
    starts = range(0, max(1, newest), step)
    return [*(Part("details", (after, after + step)) for after in starts), Part("usages")]


def of_invariants() -> list[Part]:
    """Every invariant that does not depend on a cycle."""
    return [Part("invariant", (name,)) for name in proofs() if name not in BY_CYCLE]


def of_cycles(source: Source) -> list[Part]:
    """The wallets to suspect in each cycle."""
    return [Part("cycle", cycle) for cycle in recorded_cycles(source)]


def of_suspects(suspects: Collection[tuple[str, int]], pieces: int) -> list[Part]:
    """The sums and chains of wallets that are suspected."""
    to_walk = sorted(wallet_id for name, wallet_id in suspects if name == "cycles")
    to_count = sorted({wallet_id for name, wallet_id in suspects if name != "cycles"})
    return [
        *(Part("spending", (chunk,)) for chunk in _chunks(to_count, pieces)),
        *(Part("chains", (chunk,)) for chunk in _chunks(to_walk, pieces)),
    ]


def of_the_rest(source: Source, pieces: int) -> list[Part]:
    """Usage, budgets by ranges of wallets, protection, and seals by ranges of seals."""
    wallet_ids = [wallet_id for (wallet_id,) in source.rows(_WITH_BUDGETS, {})]
    seal_ids = [seal_id for (seal_id,) in source.rows(_SEALS, {})]
    return [
        Part("usage"),
        *(Part("budgets", span) for span in _ranges(wallet_ids, pieces)),
        Part("protection"),
        *(Part("seals", span) for span in _ranges(seal_ids, pieces)),
        Part("seal records"),
    ]


def _chunks(values: Sequence[T], pieces: int) -> list[Sequence[T]]:
    size = max(1, -(-len(values) // pieces))
    return [values[start : start + size] for start in range(0, len(values), size)]


def _ranges(ids: Sequence[int], pieces: int) -> list[tuple[int, int]]:
    """Ranges that cover every id there may be, each with about as many of ``ids``; at least one."""
    ends = [chunk[-1] for chunk in _chunks(ids, pieces)][:-1]
    return list(zip([-MAX_ID, *ends], [*ends, MAX_ID], strict=True))


# How a part is proved


def _spending(source: Source, asked: Asked, wallet_ids: Iterable[int]) -> list[Violation]:
    return [
        each for wallet_id in wallet_ids for each in broken_spending(source, wallet_id, in_whole_yen=asked.in_whole_yen)
    ]


def _chains(source: Source, _: Asked, wallet_ids: Iterable[int]) -> list[Violation]:
    return [each for wallet_id in wallet_ids for each in broken_chain(source, wallet_id)]


def _seal_records(source: Source, asked: Asked) -> list[Violation]:
    return [
        *missing_seals(source),
        *(unsealed(source, asked.now) if asked.now is not None else ()),
        *broken_anchors(source, asked.anchors),
    ]


_PARTS: dict[str, Callable[..., Any]] = {
    "details": lambda source, _, after, last: proved_entries(source, after, last),
    "usages": lambda source, _: proved_usages(source),
    "invariant": lambda source, asked, name: [*broken(source, name, in_whole_yen=asked.in_whole_yen)],
    "cycle": lambda source, asked, time_zone, cycle: suspected(
        source, time_zone, cycle, in_whole_yen=asked.in_whole_yen
    ),
    "spending": _spending,
    "chains": _chains,
    "usage": lambda source, asked: [*broken_usage(source, in_whole_yen=asked.in_whole_yen, counted_again=asked.usage)],
    "budgets": lambda source, asked, after, last: [*broken_budgets(source, asked.now, after, last)],
    "protection": lambda source, _: [*unprotected(source)],
    "seals": lambda source, _, after, last: [*broken_seals(source, after, last)],
    "seal records": _seal_records,
}
