"""Holds of a node whose clock is late: they must fit in what has begun for the others already.

A charge counts in the window of its own instant, so a late clock takes nothing from a later window. But a hold reserves
in every window that begins while it is open. Usually nothing was spent there yet, so what fits in the first one fits in
all. When others have spent in a window or a cycle that this clock has not reached, a hold has to fit in there as well,
and one that was made there is captured here only as far as the window here has room.

What does not is refused by ``RailBusy``: once the clock has caught up, the limit itself decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from credit_wallet.errors import RailBusy
from credit_wallet.rules.batch import Batch
from credit_wallet.rules.bounds import Bound, bound_of_budget, bound_of_counter, bound_of_key
from credit_wallet.rules.state import Counter, HoldState, KeyState, WalletState

Later: TypeAlias = Sequence[tuple[str, int]]
"""What was spent in windows that begin later than the clock shows, by their start, ascending."""


def refusal_to_hold(
    batch: Batch,
    wallet: WalletState,
    key: KeyState | None,
    counters: Iterable[Counter],
    amount_micros: int,
    expires_at: str,
) -> RailBusy | None:
    """Why so much cannot be held until ``expires_at``; None when later windows have room for it."""
    for bound, later in _begun(batch, wallet, key, counters):
        cost_micros = bound.cost_of(amount_micros)
        if cost_micros and (start := _full_from(bound, later, cost_micros, expires_at)):
            return _refusal(bound, start)
    return None


def refusal_to_capture(
    wallet: WalletState, key: KeyState | None, hold: HoldState, counters: Iterable[Counter], amount_micros: int
) -> RailBusy | None:
    """Why a hold that was made later than the clock shows cannot be captured yet: it did not have to fit in here."""
    caps = [bound_of_counter(counter) for counter in counters if counter.budget.mode == "cap"]
    for bound in filter(None, (bound_of_budget(wallet), bound_of_key(wallet, key), *caps)):
        costs_nothing = not amount_micros if bound.unit == "yen" else hold.is_counted
        if bound.resets_at <= hold.created_at and bound.left_micros < 0 and not costs_nothing:
            return _refusal(bound, hold.created_at)
    return None


def longest_until(batch: Batch, wallet: WalletState, key: KeyState | None, hold: HoldState, expires_at: str) -> str:
    """Until when an open hold can be extended: ``expires_at``, or the start of a later window that has no room for it.

    In what begins before it was to expire, it had room when it was made.
    """
    names = [(reserved.budget_id, reserved.value) for reserved in hold.reserved if reserved.is_held]
    counters = [batch.snapshot.counters[name] for name in names if name in batch.snapshot.counters]
    starts = [_full_from(bound, later, 0, expires_at) for bound, later in _begun(batch, wallet, key, counters)]
    return min(start for start in (expires_at, *starts) if start is not None)


def fits_later(counter: Counter, cost_micros: int, until: str) -> bool:
    """Whether so much more can be held in a budget until then, as far as later windows are concerned."""
    later = counter.later
    return not later or not cost_micros or not _full_from(bound_of_counter(counter), later, cost_micros, until)


def _begun(
    batch: Batch, wallet: WalletState, key: KeyState | None, counters: Iterable[Counter]
) -> Iterator[tuple[Bound, Later]]:
    """The caps in which something was spent later than the clock shows."""
    if cycles := batch.snapshot.later_cycles:
        for bound, key_id in (
            (bound_of_budget(wallet), 0),
            (bound_of_key(wallet, key), 0 if key is None else key.key_id),
        ):
            if bound is not None and (wallet.wallet_id, key_id) in cycles:
                yield bound, cycles[wallet.wallet_id, key_id]
    for counter in counters:
        if counter.later and counter.budget.mode == "cap":
            yield bound_of_counter(counter), counter.later


def _full_from(bound: Bound, later: Later, cost_micros: int, until: str) -> str | None:
    """The start of the first of the later windows before ``until`` in which no more can be held."""
    for start, spent_micros in later:
        limit_micros = bound.limit_micros if bound.budget is None else bound.budget.limit_at(start)
        if start < until and spent_micros + bound.held_micros + cost_micros > limit_micros:
            return start
    return None


def _refusal(bound: Bound, since: str) -> RailBusy:
    return RailBusy(
        f"{bound.budget_id} is used since {since} by another clock, and the clock here is behind; set it right, or try "
        "again in a moment with the same idempotency key",
        budget_id=bound.budget_id,
    )
