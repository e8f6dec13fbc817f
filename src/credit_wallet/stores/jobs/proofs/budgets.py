"""Proofs of budgets: what is counted and reserved in them is counted again, from the charges and the open holds.

A ledger without budgets is asked a few short questions. In a wallet that has some, every charge since the first of them
is matched with their scopes, as it is when it is made.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from msgspec import DecodeError, Struct, field, json

from credit_wallet.domain.budgets import CALL, GROUP, Budget, anchor_of, anchors_of, counted_as, kind_of, labels_of
from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.money import MICROS, decimal_text
from credit_wallet.domain.windows import ALWAYS, second_after, window_at
from credit_wallet.rules.bounds import budget_id_text, key_cap_id
from credit_wallet.rules.details import exact_micros, parse_detail, usage_of
from credit_wallet.stores import Source
from credit_wallet.stores.budget_rows import BUDGET_COLUMNS, budget_of, described, parse_kinds, parse_reserved
from credit_wallet.stores.jobs.budget_pruning import CLOCKS_DIFFER, KEPT_DAYS
from credit_wallet.stores.jobs.proofs.invariants import violation
from credit_wallet.stores.jobs.proofs.violations import Violation

CHARGES_A_STEP = 20_000

_BUDGETS = f"""
SELECT {BUDGET_COLUMNS}, anchor, after_txn_id, deleted_at FROM am_credit_budget ORDER BY wallet_id, budget_id
"""
_KINDS = "SELECT wallet_id, budget_kinds FROM am_credit_wallet WHERE budget_kinds <> ''"
_CHANGES = """
SELECT wallet_id, budget_id, before, after, after_txn_id FROM am_credit_budget_change ORDER BY change_id
"""
_HELD = """
SELECT wallet_id, budget_id, value, held, held_fraction FROM am_credit_budget_held WHERE held + held_fraction <> 0
"""
_HOLDS = """
SELECT wallet_id, hold_id, key_id, amount_yen - captured_yen, amount_fraction - captured_fraction,
       CAST(usage AS TEXT), reserved
FROM am_credit_hold
WHERE status = 'open'
  AND (reserved IS NOT NULL OR wallet_id IN (SELECT wallet_id FROM am_credit_budget WHERE deleted_at IS NULL))
"""
_GROUPS = "SELECT key_id, key_group FROM am_credit_key WHERE wallet_id = :wallet_id"
_SPENT = """
SELECT budget_id, value, window_start, window_end, spent, spent_fraction, refused, refused_fraction, counted_from,
       last_at
FROM am_credit_budget_spent WHERE wallet_id = :wallet_id
"""
_STEPS = "SELECT budget_id, value, at, spent, spent_fraction FROM am_credit_budget_step WHERE wallet_id = :wallet_id"
_FIRST_OF_HOLDS = """
SELECT min(txn_id) FROM am_credit_transaction_log
WHERE wallet_id = :wallet_id AND txn_type = 'charge' AND hold_id IS NOT NULL GROUP BY hold_id
"""
_CAPTURED = """
SELECT DISTINCT hold_id FROM am_credit_transaction_log
WHERE wallet_id = :wallet_id AND txn_type = 'charge' AND hold_id IS NOT NULL
"""
_CHARGES = """
SELECT txn_id, amount_yen, CAST(detail AS TEXT), occurred_at, key_id, hold_id FROM am_credit_transaction_log
WHERE wallet_id = :wallet_id AND txn_type = 'charge' AND txn_id > :after ORDER BY txn_id LIMIT :limit
"""

_Cell: TypeAlias = tuple[int, str, str]
"""A budget, a value, and the start of a window, or the second in which something counts in a rolling one."""


class _Stored(NamedTuple):
    budget: Budget
    anchor: str
    after_txn_id: int
    deleted_at: str | None


class _OpenHold(NamedTuple):
    wallet_id: int
    hold_id: int
    key_id: int | None
    left_yen: int
    left_fraction: int
    usage: str | None
    reserved: str | None

    @property
    def left_micros(self) -> int:
        return int(self.left_yen) * MICROS + int(self.left_fraction)


class _Known(Struct):
    """The budgets of a ledger that are not deleted, by wallet, and what changes of budgets and keys were logged."""

    live: dict[int, dict[int, _Stored]] = field(default_factory=lambda: defaultdict(dict))
    every: dict[tuple[int, int], _Stored] = field(default_factory=dict)
    changes: dict[tuple[int, str], list[tuple[Any, Any, int]]] = field(default_factory=lambda: defaultdict(list))


def broken_budgets(
    source: Source, now: datetime | None, after_wallet_id: int, last_wallet_id: int
) -> Iterator[Violation]:
    """What is not as the charges, the open holds and the log of changes say. ``now`` tells what may be pruned.

    The charges of wallets above ``after_wallet_id`` up to ``last_wallet_id`` are counted, and what takes little is
    proved with the first of them.
    """
    known = _Known()
    for *row, anchor, after_txn_id, deleted_at in source.rows(_BUDGETS, {}):
        stored = _Stored(budget_of(row), anchor, after_txn_id, deleted_at)
        wallet_id, budget_id = stored.budget.wallet_id, stored.budget.budget_id
        known.every[wallet_id, budget_id] = stored
        if deleted_at is None:
            known.live[wallet_id][budget_id] = stored
    for wallet_id, subject, before, after, after_txn_id in source.rows(_CHANGES, {}):
        known.changes[wallet_id, subject].append((_decoded(before), _decoded(after), after_txn_id))
    if after_wallet_id < 0:
        yield from _wrong_definitions(source, known)
        yield from _wrong_changes(known)
        yield from _wrong_holds(source, known)
    for wallet_id, of_wallet in known.live.items():
        if after_wallet_id < wallet_id <= last_wallet_id:
            yield from _Counted(source, wallet_id, of_wallet, known.changes).wrong(now)


def _decoded(text: str | None) -> Any:
    try:
        return None if text is None else json.decode(text)
    except DecodeError:
        return text


def _wrong_definitions(source: Source, known: _Known) -> Iterator[Violation]:
    """Budgets that charges do not find."""
    kinds: dict[int, Counter[str]] = defaultdict(Counter)
    for wallet_id, of_wallet in known.live.items():
        for stored in of_wallet.values():
            anchor = anchor_of(stored.budget.scope)
            kinds[wallet_id][kind_of(anchor)] += 1
            if stored.anchor != anchor:
                named = budget_id_text(stored.budget.budget_id)
                yield violation("budgets", wallet_id, f"{named} at {anchor!r}", f"at {stored.anchor!r}")
    noted = {wallet_id: parse_kinds(text) for wallet_id, text in source.rows(_KINDS, {})}
    for wallet_id in sorted(noted.keys() | kinds.keys()):
        if noted.get(wallet_id, {}) != kinds[wallet_id]:
            yield violation("budgets", wallet_id, dict(kinds[wallet_id]), noted.get(wallet_id, {}))


# The log of changes


def _wrong_changes(known: _Known) -> Iterator[Violation]:
    """Budgets that are not what the log of their changes leads to, and the other way round."""
    named = {(wallet_id, budget_id_text(number)): stored for (wallet_id, number), stored in known.every.items()}
    for name in known.changes.keys() - named.keys():
        if name[1].startswith("budget-"):
            yield violation("budget_changes", name[0], "a budget", f"changes of {name[1]} alone")
    for (wallet_id, subject), stored in named.items():
        told = _replayed(known.changes.get((wallet_id, subject), []))
        is_ = None if stored.deleted_at is not None else described(stored.budget)
        if told != is_:
            yield violation("budget_changes", wallet_id, f"{subject} as {told}", is_)


def _replayed(changes: list[tuple[Any, Any, int]]) -> Any:
    """What a budget is after its changes; None when it is deleted, and a text where they do not follow one another."""
    state: Any = None
    for number, (before, after, _) in enumerate(changes):
        is_creation = before is None and not number
        is_deletion = after is None and before == state
        is_change = isinstance(state, dict) and isinstance(before, dict) and before.items() <= _flat(state)
        if is_creation:
            state = after
        elif is_deletion:
            state = None
        elif is_change and isinstance(after, dict):
            state = {**state, **after}
        else:
            return f"a change from {before} to {after}, which does not follow"
    return state if changes else "nothing"


class _flat:  # noqa: N801  compared as the items of a mapping whose values may be lists
    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state

    def __ge__(self, items: Any) -> bool:
        return all(name in self._state and self._state[name] == value for name, value in items)


# What holds reserve


def _wrong_holds(source: Source, known: _Known) -> Iterator[Violation]:
    held: Counter[tuple[int, int, str]] = Counter()
    captured: dict[int, set[int]] = {}
    for row in source.rows(_HOLDS, {}):
        hold = _OpenHold(*row)
        if hold.wallet_id not in captured:
            of_wallet = source.rows(_CAPTURED, {"wallet_id": hold.wallet_id})
            captured[hold.wallet_id] = {hold_id for (hold_id,) in of_wallet}
        yield from _wrong_hold(hold, known, held, is_captured=hold.hold_id in captured[hold.wallet_id])
    stored_held = {
        (wallet_id, budget_id, value): int(whole) * MICROS + int(fraction)
        for wallet_id, budget_id, value, whole, fraction in source.rows(_HELD, {})
        if budget_id in known.live.get(wallet_id, {})
    }
    for wallet_id, budget_id, value in sorted(stored_held.keys() | +held):
        expected, found = held[wallet_id, budget_id, value], stored_held.get((wallet_id, budget_id, value), 0)
        if expected != found:
            yield _differs("budget_held", wallet_id, budget_id, value, expected, found)


def _wrong_hold(
    hold: _OpenHold, known: _Known, held: Counter[tuple[int, int, str]], *, is_captured: bool
) -> Iterator[Violation]:
    """Adds what an open hold reserves to ``held``."""
    wallet_id, named, live = hold.wallet_id, f"hold {hold.hold_id}", known.live.get(hold.wallet_id, {})
    reserved, is_counted = parse_reserved(hold.reserved)
    if hold.reserved is not None and is_counted != is_captured:
        yield violation("budget_reserves", wallet_id, f"{named} captured: {is_captured}", hold.reserved)
    for each in reserved:
        if (wallet_id, each.budget_id) not in known.every:
            yield violation("budget_reserves", wallet_id, "a budget", f"{budget_id_text(each.budget_id)} in {named}")
        elif each.is_held and each.budget_id in live:
            is_yen = live[each.budget_id].budget.unit == "yen"
            held[wallet_id, each.budget_id, each.value] += hold.left_micros if is_yen else CALL * (not is_captured)
    names = {(each.budget_id, each.value) for each in reserved}
    labels = labels_of(hold.key_id, None, _usage(hold.usage))  # its group then is not known
    for budget_id, stored in live.items():
        value = counted_as(stored.budget.scope, labels)
        if value is not None and (budget_id, value) not in names:
            yield violation("budget_reserves", wallet_id, f"{budget_id_text(budget_id)} in {named}", hold.reserved)


def _usage(text: str | None) -> Any:
    try:
        return usage_of(parse_detail(text))
    except DecodeError:
        return None


def _differs(check: str, wallet_id: int, budget_id: int, value: str, expected: int, found: int) -> Violation:
    name = f"{budget_id_text(budget_id)} {value!r}" if value else budget_id_text(budget_id)
    return violation(check, wallet_id, f"{decimal_text(expected)} in {name}", decimal_text(found))


# What is spent


class _Counted:
    """The charges of a wallet, counted again in its budgets."""

    def __init__(
        self,
        source: Source,
        wallet_id: int,
        live: Mapping[int, _Stored],
        changes: Mapping[tuple[int, str], list[tuple[Any, Any, int]]],
    ) -> None:
        self._source, self._wallet_id, self._live = source, wallet_id, live
        self._at_anchor: dict[str, list[_Stored]] = defaultdict(list)
        for stored in live.values():
            self._at_anchor[anchor_of(stored.budget.scope)].append(stored)
        self._kinds = frozenset(map(kind_of, self._at_anchor))
        self._shadows = {number for number in live if _was_shadow(live[number].budget, changes)}
        self._groups: dict[int, list[tuple[int, str | None]]] = {}
        if any(name == GROUP for stored in live.values() for name, _ in stored.budget.scope):
            self._groups = {
                key_id: _history(group, changes.get((wallet_id, key_cap_id(key_id)), []))
                for key_id, group in source.rows(_GROUPS, self._here)
            }
        self._of_windows: Counter[_Cell] = Counter()
        self._of_captures: Counter[_Cell] = Counter()
        self._of_steps: Counter[_Cell] = Counter()
        self._ends: dict[_Cell, str] = {}

    @property
    def _here(self) -> dict[str, Any]:
        return {"wallet_id": self._wallet_id}

    def wrong(self, now: datetime | None) -> Iterator[Violation]:
        """Counters that are not what the charges add up to."""
        firsts: set[int] = set()
        if any(stored.budget.unit == "calls" for stored in self._live.values()):
            firsts = {txn_id for (txn_id,) in self._source.rows(_FIRST_OF_HOLDS, self._here)}
        after = min(stored.after_txn_id for stored in self._live.values())
        while rows := self._source.rows(_CHARGES, {**self._here, "after": after, "limit": CHARGES_A_STEP}):
            after = rows[-1][0]
            for txn_id, yen, detail, occurred_at, key_id, hold_id in rows:
                is_call = hold_id is None or txn_id in firsts
                self._count(txn_id, yen, detail, occurred_at, key_id, is_call=is_call, is_capture=hold_id is not None)
        yield from self._wrong_steps(now)
        yield from self._wrong_windows(now)

    def _count(
        self,
        txn_id: int,
        yen: int,
        text: str | None,
        occurred_at: str,
        key_id: int | None,
        *,
        is_call: bool,
        is_capture: bool,
    ) -> None:
        detail = parse_detail(text)
        labels = labels_of(key_id, self._group(key_id, txn_id), usage_of(detail))
        micros = -exact_micros(yen, detail)
        for anchor in anchors_of(labels, self._kinds):
            for budget, _, after_txn_id, _ in self._at_anchor.get(anchor, ()):
                value = counted_as(budget.scope, labels)
                cost_micros = micros if budget.unit == "yen" else CALL * is_call
                if value is not None and txn_id > after_txn_id and cost_micros:
                    self._add(budget, value, occurred_at, cost_micros, is_capture=is_capture)

    def _add(self, budget: Budget, value: str, occurred_at: str, cost_micros: int, *, is_capture: bool) -> None:
        """Plain SQL may have written any text as its time; such a charge counts in all time alone."""
        passed_micros = cost_micros if is_capture and budget.budget_id in self._shadows else 0
        if budget.window == "total":
            self._of_windows[budget.budget_id, value, ALWAYS] += cost_micros
            self._of_captures[budget.budget_id, value, ALWAYS] += passed_micros
            return
        with suppress(ValueError, OverflowError):
            moment = parse_instant(occurred_at)
            if budget.rolls is not None:
                self._of_steps[budget.budget_id, value, format_instant(second_after(moment))] += cost_micros
                return
            span = window_at(budget.window, moment, budget.time_zone, budget.week_start)
            cell = (budget.budget_id, value, span.start)
            self._of_windows[cell] += cost_micros
            self._of_captures[cell] += passed_micros
            self._ends[cell] = span.end

    def _group(self, key_id: int | None, txn_id: int) -> str | None:
        """The group of a key when an entry was made."""
        if key_id is None:
            return None
        return next((group for last, group in self._groups.get(key_id, ()) if txn_id <= last), None)

    def _wrong_windows(self, now: datetime | None) -> Iterator[Violation]:
        kept = "~" if now is None else format_instant(now - timedelta(days=KEPT_DAYS) + CLOCKS_DIFFER)
        found = set()
        for budget_id, value, start, _, whole, fraction, refused, refused_fraction, since, last_at in self._source.rows(
            _SPENT, self._here
        ):
            stored = self._live.get(budget_id)
            if stored is None:
                continue
            spent_micros = whole * MICROS + fraction
            if stored.budget.rolls is not None:
                yield from self._wrong_sum(stored.budget, value, spent_micros, since, last_at)
                continue
            cell = (budget_id, value, start)
            found.add(cell)
            expected = self._of_windows[cell]
            minimum = expected - refused * MICROS - refused_fraction - self._of_captures[cell]
            if budget_id in self._shadows and minimum <= spent_micros <= expected:
                continue  # what a shadow lets through beyond its limit is not spent in it, nor what its holds capture
            if spent_micros != expected:
                yield _differs("budget_spent", self._wallet_id, budget_id, value, expected, spent_micros)
        for cell in sorted(+(self._of_windows - self._of_captures)):
            if cell not in found and (self._ends.get(cell) or "~") >= kept:
                yield _differs("budget_spent", self._wallet_id, *cell[:2], self._of_windows[cell], 0)

    def _wrong_steps(self, now: datetime | None) -> Iterator[Violation]:
        self._stored_steps: dict[tuple[int, str], list[tuple[str, int]]] = defaultdict(list)
        found: dict[_Cell, int] = {}
        for budget_id, value, at, whole, fraction in self._source.rows(_STEPS, self._here):
            if budget_id in self._live:
                found[budget_id, value, at] = int(whole) * MICROS + int(fraction)
                self._stored_steps[budget_id, value].append((at, int(whole) * MICROS + int(fraction)))
        for cell in sorted(found.keys() | +self._of_steps):
            budget_id, value, at = cell
            expected, stored_micros = self._of_steps[cell], found.get(cell)
            if stored_micros is None:
                seconds = self._live[budget_id].budget.rolls or 0
                if now is None or at < format_instant(now - timedelta(seconds=seconds)):
                    continue  # may be pruned
                stored_micros = 0
            if stored_micros != expected and not (budget_id in self._shadows and stored_micros < expected):
                yield _differs("budget_steps", self._wallet_id, budget_id, value, expected, stored_micros)

    def _wrong_sum(
        self, budget: Budget, value: str, spent_micros: int, since: str | None, last_at: str | None
    ) -> Iterator[Violation]:
        steps = self._stored_steps.get((budget.budget_id, value), [])
        expected = sum(micros for at, micros in steps if at > (since or ""))
        if spent_micros != expected:
            yield _differs("budget_steps", self._wallet_id, budget.budget_id, value, expected, spent_micros)
        elif spent_micros and last_at != max(at for at, _ in steps):
            yield violation("budget_steps", self._wallet_id, max(at for at, _ in steps), last_at)


def _was_shadow(budget: Budget, changes: Mapping[tuple[int, str], list[tuple[Any, Any, int]]]) -> bool:
    logged = changes.get((budget.wallet_id, budget_id_text(budget.budget_id)), [])
    modes = {each.get("mode") for change in logged for each in change[:2] if isinstance(each, dict)}
    return "shadow" in modes | {budget.mode}


def _history(group: str | None, changes: list[tuple[Any, Any, int]]) -> list[tuple[int, str | None]]:
    """The groups that a key was in, each with the last entry of its wallet up to which it was."""
    history = [
        ((before or {}).get("group"), after_txn_id)
        for before, after, after_txn_id in changes
        if isinstance(after, dict) and "group" in after
    ]
    return [*((last, then) for then, last in history), (1 << 63, group)]
