"""The rules by themselves: the same in, the same out, and the laws of the ledger after every decision."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from operator import attrgetter, neg

from amounts import amounts, yen
from decisions import comparable
from hypothesis import given
from hypothesis import strategies as st
from laws import Books
from msgspec import UNSET, structs
from snapshots import new_snapshot

from credit_wallet.domain.commands import (
    Adjust,
    BeginClosing,
    Capture,
    Charge,
    Command,
    Configure,
    EndClosing,
    Expire,
    Freeze,
    Hold,
    Movement,
    Refund,
    Release,
    Reverse,
    Topup,
)
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import WalletError
from credit_wallet.rules.decide import decide
from credit_wallet.rules.validation import malformed

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)
SOON = "2026-05-15T12:00:30.000Z"


wallet_ids = st.sampled_from((1, 1, 1, 1, 2, 404))
idempotency_keys = st.sampled_from("abcdefghijklmnop")
some_amounts = st.one_of(amounts(50), amounts(400))
agent_keys = st.sampled_from([None, None, 11, 11, 12])
hold_ids = st.integers(1, 3)
txn_ids = st.integers(1, 8)
notes = st.sampled_from([None, "note"])
ends = st.sampled_from([None, None, SOON])
kinds = st.sampled_from([None, "paid", "promo"])
taken_back = st.one_of(st.none(), some_amounts.map(neg))
commands = st.one_of(
    st.builds(
        Topup, wallet_ids, idempotency_keys, some_amounts, st.booleans(), st.sampled_from([None, None, SOON]), notes
    ),
    st.builds(Topup, wallet_ids, idempotency_keys, some_amounts),
    st.builds(Charge, wallet_ids, idempotency_keys, some_amounts, notes, agent_keys),
    st.builds(Hold, wallet_ids, idempotency_keys, some_amounts, st.integers(1, 120), notes, agent_keys),
    st.builds(Capture, wallet_ids, idempotency_keys, hold_ids, amounts(50)),
    st.builds(Release, wallet_ids, idempotency_keys, hold_ids),
    st.builds(Refund, wallet_ids, idempotency_keys, txn_ids, st.one_of(st.none(), some_amounts), notes),
    st.builds(Reverse, wallet_ids, idempotency_keys, txn_ids, some_amounts, notes),
    st.builds(
        Adjust,
        wallet_ids,
        idempotency_keys,
        st.one_of(some_amounts, some_amounts.map(neg)),
        st.just("other"),
        st.just("note"),
        kinds,
        allow_debt=st.booleans(),
    ).filter(lambda command: malformed(command) is None),
    st.builds(Adjust, wallet_ids, idempotency_keys, taken_back, st.just("other"), st.just("note"), txn_id=txn_ids),
    st.builds(Freeze, wallet_ids, st.booleans()),
    st.builds(BeginClosing, wallet_ids, st.just("closing"), st.just("note"), write_off_debt=st.booleans()),
    st.builds(EndClosing, wallet_ids, st.just("closing"), st.just("note"), st.sampled_from([None, 0, yen(100)])),
    st.builds(Expire, wallet_ids),
    st.builds(
        Configure,
        wallet_ids,
        label=st.sampled_from([UNSET, "label"]),
        monthly_budget_yen=st.sampled_from([UNSET, 0, 100, 1_000]),
    ),
)
batches = st.lists(commands, min_size=1, max_size=15)
first_batches = batches.map(
    lambda batch: [Topup(1, "first", yen(300)), Hold(1, "hold", yen("39.9"), key_id=11), *batch]
)


@given(first=first_batches, second=batches, seconds=st.integers(0, 90), mode=st.sampled_from(["alert", "cap"]))
def test_the_same_snapshot_and_commands_come_to_the_same_decision(
    first: list[Command], second: list[Command], seconds: int, mode: str
) -> None:
    snapshot = new_snapshot(500, mode)
    later = NOON + timedelta(seconds=seconds)
    books = Books(snapshot)
    books.carry_out(first, NOON)
    books.load(later)
    twin, asked = deepcopy(snapshot), deepcopy(second)
    decision, again = decide(snapshot, second, later), decide(twin, asked, later)
    assert comparable(decision) == comparable(again)
    assert comparable(snapshot) == comparable(twin)
    assert second == asked


@given(first=first_batches, second=batches, seconds=st.integers(0, 90), mode=st.sampled_from(["alert", "cap"]))
def test_every_decision_keeps_the_laws_of_the_ledger(
    first: list[Command], second: list[Command], seconds: int, mode: str
) -> None:
    books = Books(new_snapshot(500, mode))
    books.carry_out(first, NOON)
    books.carry_out(second, NOON + timedelta(seconds=seconds))


@given(first=first_batches, refused=commands)
def test_a_refusal_writes_no_entry_and_moves_nothing(first: list[Command], refused: Command) -> None:
    snapshot = new_snapshot(500, "cap")
    books = Books(snapshot)
    books.carry_out(first, NOON)
    books.load(NOON)
    before = deepcopy(snapshot)
    decision = decide(snapshot, [refused], NOON)
    if isinstance(decision.outcomes[0], WalletError):
        for wallet in before.wallets.values():
            wallet.exhausted = snapshot.wallets[wallet.wallet_id].exhausted
            wallet.recovery_due = snapshot.wallets[wallet.wallet_id].recovery_due
        assert comparable(snapshot) == comparable(before)
        assert (decision.entries, decision.remembered, decision.opened_lots, decision.returned) == ({}, {}, [], {})


@given(batches)
def test_what_was_carried_out_is_answered_again_and_done_once(batch: list[Command]) -> None:
    movements = [command for command in batch if isinstance(command, Movement)]
    snapshot = new_snapshot()
    first = decide(snapshot, movements, NOON)
    snapshot.remembered = first.remembered
    again = decide(snapshot, [structs.replace(command) for command in movements], NOON)
    for outcome, answer in zip(first.outcomes, again.outcomes, strict=True):
        if isinstance(outcome, Outcome):
            assert answer == structs.replace(outcome, replayed=True)
    names = [*first.remembered, *again.remembered]
    assert len(names) == len(set(names))


def test_commands_of_a_batch_see_what_the_ones_before_did() -> None:
    sixes = [Charge(1, key, yen(6)) for key in "bc"]
    decision = decide(new_snapshot(), [Topup(1, "a", yen(10)), *sixes, Charge(1, "d", yen(4))], NOON)
    assert [getattr(outcome, "code", None) for outcome in decision.outcomes] == [None, None, "insufficient_funds", None]
    entries = sorted(decision.appended(), key=attrgetter("txn_id"))
    assert [(entry.txn_id, entry.amount_yen, entry.prev_txn_id) for entry in entries] == [
        (1, 10, 0),
        (2, -6, 1),
        (3, -4, 2),
    ]
