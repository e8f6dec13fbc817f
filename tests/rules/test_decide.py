"""The rules by themselves: the same in, the same out; which credit is spent; what a request is; what is malformed."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, structs
from snapshots import WALLETS, new_snapshot

from credit_wallet.domain.commands import (
    Buy,
    Capture,
    Charge,
    Command,
    Configure,
    Expire,
    Extend,
    Hold,
    Movement,
    Refund,
    Release,
    Renew,
    Reverse,
    Serve,
    Topup,
    Undo,
)
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import InvalidAmount, InvalidRequest, WalletError
from credit_wallet.rules import lots
from credit_wallet.rules.decide import decide
from credit_wallet.rules.idempotency import FINGERPRINT_BYTES, fingerprint
from credit_wallet.rules.state import (
    Allocation,
    Decision,
    EntryRecord,
    Lot,
    LotOpening,
    Snapshot,
)
from credit_wallet.rules.validation import malformed

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)
SOON = "2026-05-15T12:00:30.000Z"


# Decisions


def load_again(snapshot: Snapshot, decision: Decision, now: datetime) -> None:
    """What a store would load beside the wallets for the next batch: entries, holds, and which of them are due."""
    for entry in decision.entries:
        snapshot.entries[entry.txn_id] = EntryRecord(
            entry.txn_id, entry.wallet_id, entry.amount_yen, entry.txn_type, lots.parse_allocation(entry.lots), 0
        )
    snapshot.holds.update(decision.touched_holds)
    for wallet_id in WALLETS:
        expiring = sorted(
            (hold for hold in snapshot.holds.values() if hold.wallet_id == wallet_id and hold.status == "open"),
            key=lambda hold: hold.expires_at,
        )
        snapshot.due_holds[wallet_id] = [hold for hold in expiring if hold.expires_at <= format_instant(now)]
        later = [hold.expires_at for hold in expiring if hold.expires_at > format_instant(now)]
        if later:
            snapshot.next_hold_expiry[wallet_id] = later[0]


wallet_ids = st.sampled_from((1, 1, 1, 1, 2, 404))
idempotency_keys = st.sampled_from("abcdefghijklmnop")
yen = st.one_of(st.integers(1, 50), st.integers(1, 400))
agent_keys = st.sampled_from([None, None, 11, 11, 12])
hold_ids = st.integers(1, 3)
txn_ids = st.integers(1, 8)
notes = st.sampled_from([None, "note"])
commands = st.one_of(
    st.builds(Topup, wallet_ids, idempotency_keys, yen, st.booleans(), st.sampled_from([None, None, SOON]), notes),
    st.builds(Topup, wallet_ids, idempotency_keys, yen),
    st.builds(Charge, wallet_ids, idempotency_keys, yen, notes, agent_keys),
    st.builds(Hold, wallet_ids, idempotency_keys, yen, st.integers(1, 120), notes, agent_keys),
    st.builds(Capture, wallet_ids, idempotency_keys, hold_ids, st.integers(1, 50)),
    st.builds(Release, wallet_ids, idempotency_keys, hold_ids),
    st.builds(Refund, wallet_ids, idempotency_keys, txn_ids, st.one_of(st.none(), yen), notes),
    st.builds(Reverse, wallet_ids, idempotency_keys, txn_ids, yen, notes),
    st.builds(Expire, wallet_ids),
    st.builds(
        Configure,
        wallet_ids,
        enabled=st.sampled_from([UNSET, True, False]),
        monthly_budget_yen=st.sampled_from([UNSET, 0, 100, 1_000]),
    ),
)
batches = st.lists(commands, min_size=1, max_size=15)
first_batches = batches.map(lambda batch: [Topup(1, "first", 300), Hold(1, "hold", 40, key_id=11), *batch])


def plain(value: object) -> object:
    """Something that is equal when the decisions are: refusals by their content, ids to come by their next."""
    if isinstance(value, count):
        return repr(value)
    if isinstance(value, WalletError):
        return type(value), str(value), value.details
    if isinstance(value, Decision | Snapshot):
        return {name: plain(each) for name, each in structs.asdict(value).items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


@given(first=first_batches, second=batches, seconds=st.integers(0, 90), mode=st.sampled_from(["alert", "cap"]))
def test_the_same_snapshot_and_commands_come_to_the_same_decision(
    first: list[Command], second: list[Command], seconds: int, mode: str
) -> None:
    snapshot = new_snapshot(500, mode)
    later = NOON + timedelta(seconds=seconds)
    load_again(snapshot, decide(snapshot, first, NOON), later)
    twin, asked = deepcopy(snapshot), deepcopy(second)
    decision, again = decide(snapshot, second, later), decide(twin, asked, later)
    assert plain(decision) == plain(again)
    assert plain(snapshot) == plain(twin)
    assert second == asked


@given(first=first_batches, second=batches, seconds=st.integers(0, 90), mode=st.sampled_from(["alert", "cap"]))
def test_every_decision_keeps_the_laws_of_the_ledger(
    first: list[Command], second: list[Command], seconds: int, mode: str
) -> None:
    snapshot = new_snapshot(500, mode)
    sums = dict.fromkeys(WALLETS, 0)
    for batch, now in ((first, NOON), (second, NOON + timedelta(seconds=seconds))):
        decision = decide(snapshot, batch, now)
        assert len(decision.outcomes) == len(batch)
        for entry in decision.entries:
            sums[entry.wallet_id] += entry.amount_yen
            assert entry.ledger_balance_yen == sums[entry.wallet_id]
            assert lots.total_yen(lots.parse_allocation(entry.lots)) == abs(entry.amount_yen)
        load_again(snapshot, decision, NOON + timedelta(seconds=seconds))
        open_holds = [hold for hold in snapshot.holds.values() if hold.status == "open"]
        assert snapshot.keys[11].held_yen == sum(hold.amount_yen for hold in open_holds if hold.key_id == 11)
        for wallet in snapshot.wallets.values():
            held_yen = sum(hold.amount_yen for hold in open_holds if hold.wallet_id == wallet.wallet_id)
            assert sums[wallet.wallet_id] == wallet.balance_yen + wallet.held_yen
            assert sum(lot.remaining_yen for lot in wallet.lots) == wallet.balance_yen >= 0
            assert wallet.held_yen == held_yen
            assert not wallet.debt_yen or not wallet.balance_yen
            assert wallet.lots == sorted(wallet.lots, key=lots.spending_order)
            assert all(lot.remaining_yen > 0 for lot in wallet.lots)


@given(first=first_batches, refused=commands)
def test_a_refusal_writes_no_entry_and_moves_nothing(first: list[Command], refused: Command) -> None:
    snapshot = new_snapshot(500, "cap")
    load_again(snapshot, decide(snapshot, first, NOON), NOON)
    before = deepcopy(snapshot)
    decision = decide(snapshot, [refused], NOON)
    if isinstance(decision.outcomes[0], WalletError):
        for wallet in before.wallets.values():
            wallet.exhausted = snapshot.wallets[wallet.wallet_id].exhausted
        assert plain(snapshot) == plain(before)
        assert (decision.entries, decision.remembered, decision.opened_lots, decision.returned) == ([], [], [], {})


@given(batches)
def test_what_was_carried_out_is_answered_again_and_done_once(batch: list[Command]) -> None:
    movements = [command for command in batch if isinstance(command, Movement)]
    snapshot = new_snapshot()
    first = decide(snapshot, movements, NOON)
    again = decide(snapshot, [structs.replace(command) for command in movements], NOON)
    for outcome, answer in zip(first.outcomes, again.outcomes, strict=True):
        if isinstance(outcome, Outcome):
            assert answer == structs.replace(outcome, replayed=True)
    names = [name[:2] for name in first.remembered + again.remembered]
    assert len(names) == len(set(names))


def test_commands_of_a_batch_see_what_the_ones_before_did() -> None:
    decision = decide(
        new_snapshot(), [Topup(1, "a", 10), Charge(1, "b", 6), Charge(1, "c", 6), Charge(1, "d", 4)], NOON
    )
    assert [getattr(outcome, "code", None) for outcome in decision.outcomes] == [None, None, "insufficient_funds", None]
    assert [(entry.txn_id, entry.amount_yen, entry.prev_txn_id) for entry in decision.entries] == [
        (1, 10, 0),
        (2, -6, 1),
        (3, -4, 2),
    ]


# Lots

allocations = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 1_000)), max_size=8, unique_by=lambda part: part[0])
open_lots = st.lists(
    st.builds(
        Lot,
        st.integers(1, 50),
        st.sampled_from(["paid", "promo"]),
        st.integers(1, 1_000),
        st.sampled_from([None, SOON]),
    ),
    max_size=8,
    unique_by=lambda lot: lot.lot_id,
).map(lambda each: sorted(each, key=lots.spending_order))


def remaining(each: Sequence[Lot]) -> dict[int, int]:
    return {lot.lot_id: lot.remaining_yen for lot in each}


@given(open_lots, st.integers(1, 5_000))
def test_spending_takes_the_amount_from_the_front(before: list[Lot], amount_yen: int) -> None:
    after = deepcopy(before)
    taken = lots.take(after, amount_yen)
    total_yen = sum(lot.remaining_yen for lot in before)
    assert lots.total_yen(taken) == min(amount_yen, total_yen)
    assert lots.total_yen(taken) + sum(lot.remaining_yen for lot in after) == total_yen
    assert [lot_id for lot_id, _ in taken] == [lot.lot_id for lot in before][: len(taken)]
    for lot_id, part_yen in taken[:-1]:
        assert part_yen == remaining(before)[lot_id]
    assert all(part_yen > 0 for _, part_yen in taken)
    assert all(lot.remaining_yen > 0 for lot in after)


@given(open_lots, st.integers(1, 50), st.integers(1, 5_000))
def test_taking_from_one_lot_takes_the_rest_in_order(before: list[Lot], lot_id: int, amount_yen: int) -> None:
    after = deepcopy(before)
    taken = lots.take_from(after, lot_id, amount_yen)
    named_yen = min(remaining(before).get(lot_id, 0), amount_yen)
    others = [lot for lot in deepcopy(before) if lot.lot_id != lot_id]
    rest = lots.take(others, amount_yen - named_yen) if amount_yen > named_yen else []
    assert taken == ([(lot_id, named_yen)] if named_yen else []) + rest


@given(open_lots, st.data())
def test_what_was_spent_goes_back_where_it_was(before: list[Lot], data: st.DataObject) -> None:
    after = deepcopy(before)
    taken = lots.take(after, data.draw(st.integers(1, 5_000)))
    openings = {lot.lot_id: LotOpening(1, lot.lot_id, lot.kind, lot.remaining_yen, lot.expires_at) for lot in before}
    for lot_id, part_yen in data.draw(st.permutations(taken)):
        lots.put(after, openings[lot_id], part_yen)
    assert after == before


@given(allocations, st.integers(0, 9_000))
def test_a_split_loses_nothing_and_keeps_the_order(allocation: Allocation, amount_yen: int) -> None:
    first, rest = lots.split(allocation, amount_yen)
    assert lots.total_yen(first) == min(amount_yen, lots.total_yen(allocation))
    assert joined(first, rest) == allocation
    assert all(part_yen > 0 for _, part_yen in first + rest)


def joined(first: Allocation, rest: Allocation) -> Allocation:
    """``first`` and ``rest`` one after the other, a lot that is in both as one part."""
    if first and rest and first[-1][0] == rest[0][0]:
        return [*first[:-1], (first[-1][0], first[-1][1] + rest[0][1]), *rest[1:]]
    return first + rest


@given(allocations, st.lists(st.integers(1, 400), max_size=10))
def test_partial_refunds_give_back_each_yen_once_and_what_was_spent_last_first(
    allocation: Allocation, refunds_yen: list[int]
) -> None:
    returned_yen = 0
    order: list[int] = []
    back: dict[int, int] = {}
    for amount_yen in refunds_yen:
        part = lots.returned_part(allocation, returned_yen, amount_yen)
        left_yen = lots.total_yen(allocation) - returned_yen
        assert lots.total_yen(part) == min(amount_yen, left_yen)
        returned_yen += lots.total_yen(part)
        for lot_id, part_yen in part:
            order.append(lot_id)
            back[lot_id] = back.get(lot_id, 0) + part_yen
    spent = dict(allocation)
    assert all(back[lot_id] <= spent[lot_id] for lot_id in back)
    assert list(dict.fromkeys(order)) == [lot_id for lot_id, _ in allocation[::-1]][: len(back)]
    for lot_id in list(back)[:-1]:
        assert back[lot_id] == spent[lot_id]


@given(allocations)
def test_an_allocation_is_written_as_it_is_read(allocation: Allocation) -> None:
    assert lots.parse_allocation(lots.format_allocation(allocation)) == allocation
    assert " " not in lots.format_allocation(allocation)


def test_an_entry_adopted_without_lots_has_none() -> None:
    assert lots.parse_allocation(None) == []


# What a request is

REQUESTS = [
    (Charge(1, "key", 3), {"amount_yen": 4, "note": "note", "key_id": 11}),
    (Hold(1, "key", 3), {"amount_yen": 4, "ttl_seconds": 901, "note": "note", "key_id": 11}),
    (
        Capture(1, "key", 3, 4),
        {"hold_id": 4, "amount_yen": 5, "final": False, "above": "up_to_balance", "key_id": 11},
    ),
    (Release(1, "key", 3), {"hold_id": 4, "key_id": 11}),
    (Refund(1, "key", 3), {"txn_id": 4, "amount_yen": 1, "note": "note"}),
    (Topup(1, "key", 3), {"amount_yen": 4, "promo": True, "expires_at": SOON, "note": "note"}),
    (Reverse(1, "key", 3, 4), {"txn_id": 4, "amount_yen": 5, "note": "note"}),
]


@pytest.mark.parametrize(("request_", "changes"), REQUESTS, ids=[type(each[0]).__name__ for each in REQUESTS])
@pytest.mark.parametrize("note", [None, "n" * 200], ids=["short", "hashed"])
def test_a_request_is_another_when_any_field_is(request_: Movement, changes: dict[str, Any], note: str | None) -> None:
    fields = request_.__struct_fields__
    assert set(fields[2:]) == {*changes, "actor"}
    base = structs.replace(request_, note=note) if note and "note" in fields else request_
    fingerprints = [fingerprint(base), *(fingerprint(structs.replace(base, **{n: v})) for n, v in changes.items())]
    assert len(set(fingerprints)) == 1 + len(changes)
    assert fingerprint(structs.replace(base)) == fingerprint(base)
    other = structs.replace(base, wallet_id=2, idempotency_key="other", actor="payer")
    assert fingerprint(other) == fingerprint(base)
    assert max(map(len, fingerprints)) <= FINGERPRINT_BYTES


def test_requests_of_different_kinds_with_the_same_fields_differ() -> None:
    alike = [
        Capture(1, "key", 3, 4),
        Refund(1, "key", 3, 4),
        Reverse(1, "key", 3, 4),
        Charge(1, "key", 3),
        Hold(1, "key", 3),
    ]
    assert len({fingerprint(each) for each in alike}) == len(alike)


texts = st.one_of(st.none(), st.text(max_size=40))
movements = st.one_of(
    st.builds(Charge, st.just(1), st.just("key"), st.integers(1, 3), texts, st.one_of(st.none(), st.integers(1, 3))),
    st.builds(Refund, st.just(1), st.just("key"), st.integers(1, 3), st.one_of(st.none(), st.integers(1, 3)), texts),
    st.builds(Topup, st.just(1), st.just("key"), st.integers(1, 3), st.booleans(), st.none(), texts),
    st.builds(Capture, st.just(1), st.just("key"), st.integers(1, 3), st.integers(1, 3)),
)


@given(movements, movements)
def test_fingerprints_are_equal_exactly_when_requests_are(one: Movement, other: Movement) -> None:
    same = type(one) is type(other) and one == other
    assert (fingerprint(one) == fingerprint(other)) == same


# What is malformed

CHARGE = Charge(1, "key", 3)
HOLD = Hold(1, "key", 3)
CAPTURE = Capture(1, "key", 3, 4)
RELEASE = Release(1, "key", 3)
REFUND = Refund(1, "key", 3)
TOPUP = Topup(1, "key", 3)
REVERSE = Reverse(1, "key", 3, 4)
EXTEND = Extend(1, 3, 60)
BUY = Buy(1, "request", "attempt", 3)
SERVE = Serve(1, "request", "attempt")
RENEW = Renew(1, "request", "attempt")
UNDO = Undo(1, "request", "attempt")
PURCHASES: list[Command] = [BUY, SERVE, RENEW, UNDO]
EXPIRE = Expire(1)
CONFIGURE = Configure(1)
MOVEMENTS: list[Command] = [CHARGE, HOLD, CAPTURE, RELEASE, REFUND, TOPUP, REVERSE]
NOTED: list[Command] = [CHARGE, HOLD, REFUND, TOPUP, REVERSE, BUY]
SIZED: list[Command] = [CHARGE, HOLD, CAPTURE, REFUND, TOPUP, REVERSE, BUY]
NO_KEYS = ["", "a" * 256, "a\n", "\0", "\x01key", "\ud800", 1, None, b"key"]
NO_ACTORS = ["", "owner", "seller", "seller:0", "seller:x", "seller:1\x1f", "PAYER", None, 1]
NO_SECONDS = [0, -1, True, 1.0, "1", None]
NO_IDS = [0, -1, 2**63, True, 1.0, "1", b"1"]
NO_TEXTS = ["a" * 501, "nul\0", "lone \ud800", 1, b"bytes"]
NO_BUDGETS = [-1, 10**12 + 1, True, 1.0, "1", None]

FIELDS: list[tuple[list[Command], str, list[Any], list[Any]]] = [
    ([*MOVEMENTS, *PURCHASES, EXTEND, EXPIRE, CONFIGURE], "wallet_id", [1, 2**63 - 1], [*NO_IDS, None]),
    (MOVEMENTS, "idempotency_key", ["a", "a" * 255, "鍵 1"], NO_KEYS),
    (PURCHASES, "purchase_key", ["a", "a" * 255, "鍵 1"], NO_KEYS),
    (PURCHASES, "attempt", ["a", "a" * 64], [*NO_KEYS, "a" * 65]),
    ([*MOVEMENTS, *PURCHASES, EXTEND], "actor", ["payer", "operator", "product", "seller:7"], NO_ACTORS),
    ([BUY], "hold_seconds", [None, 1, 2_678_400], [0, -1, 2_678_401, True, 1.0, "1"]),
    ([BUY, RENEW], "lease_seconds", [1, 86_400], [*NO_SECONDS, 86_401]),
    ([BUY], "free_retries", [0, 1, 10**12], [-1, True, 1.0, "1", None]),
    ([UNDO], "reason", ["", "a" * 500], NO_TEXTS),
    ([CAPTURE], "final", [True, False], [0, 1, "true", None]),
    ([CAPTURE], "above", ["reject", "up_to_balance"], ["", "owe", None, 1]),
    (SIZED, "amount_yen", [1, 10**12], [0, -1, 10**12 + 1, True, 1.0, "1"]),
    ([each for each in SIZED if each is not REFUND], "amount_yen", [], [None]),
    ([REFUND], "amount_yen", [None], []),
    (NOTED, "note", [None, "", "a" * 500, "財布\nline"], NO_TEXTS),
    ([CHARGE, HOLD, CAPTURE, RELEASE, EXTEND, BUY], "key_id", [None, 1, 2**63 - 1], NO_IDS),
    ([HOLD, EXTEND], "ttl_seconds", [1, 2_678_400], [0, -1, 2_678_401, True, 1.0, "1", None]),
    ([CAPTURE, RELEASE, EXTEND], "hold_id", [1, 2**63 - 1], [*NO_IDS, None]),
    ([REFUND, REVERSE], "txn_id", [1, 2**63 - 1], [*NO_IDS, None]),
    ([CONFIGURE], "label", [UNSET, "", "a" * 500], NO_TEXTS),
    ([CONFIGURE], "enabled", [UNSET, True, False], [0, 1, "true", None]),
    ([CONFIGURE], "monthly_budget_yen", [UNSET, 0, 10**12], NO_BUDGETS),
    ([CONFIGURE], "budget_mode", [UNSET, "alert", "cap"], ["", "Alert", "stop", None, 1]),
    ([CONFIGURE], "auto_topup_threshold", [UNSET, 0, 10**12], NO_BUDGETS),
    ([CONFIGURE], "auto_topup_amount", [UNSET, 0, 10**12], NO_BUDGETS),
    ([CONFIGURE], "low_balance_yen", [UNSET, 0, 10**12], NO_BUDGETS),
    (
        [CONFIGURE],
        "alert_thresholds_pct",
        [UNSET, (), (1, 1_000), tuple(range(1, 11))],
        [(0,), (1_001,), (True,), (1.0,), ("1",), (5, 5), tuple(range(1, 12)), [60], 60, None],
    ),
]


def cases(position: int) -> list[Any]:
    return [
        pytest.param(command, row[1], value, id=f"{type(command).__name__}-{row[1]}-{str(value)[:12]!a}")
        for row in FIELDS
        for command in row[0]
        for value in row[position]
    ]


def test_the_table_has_every_field_of_every_command() -> None:
    covered = {(type(command), name) for commands_, name, *_ in FIELDS for command in commands_}
    every = {
        (type(each), name)
        for each in [*MOVEMENTS, *PURCHASES, EXTEND, EXPIRE, CONFIGURE]
        for name in each.__struct_fields__
    }
    checked_where_they_are_read = {(Topup, "promo"), (Topup, "expires_at"), (Serve, "forget"), (Undo, "abandoned")}
    assert every - covered == checked_where_they_are_read


@pytest.mark.parametrize(("command", "name", "value"), cases(2))
def test_what_a_field_may_be(command: Command, name: str, value: object) -> None:
    assert malformed(structs.replace(command, **{name: value})) is None


@pytest.mark.parametrize(("command", "name", "value"), cases(3))
def test_what_a_field_may_not_be_is_named(command: Command, name: str, value: object) -> None:
    problem = malformed(structs.replace(command, **{name: value}))
    assert type(problem) is (InvalidAmount if name == "amount_yen" else InvalidRequest)
    assert problem.details["field"] == name
    assert str(problem).startswith(f"{name} must be ")
