"""What a request is: which fields make two movements the same, and the bytes that a key remembers of it."""

from __future__ import annotations

from typing import Any

import pytest
from amounts import yen
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from credit_wallet.domain.acts import OWNER
from credit_wallet.domain.commands import (
    Buy,
    ByHand,
    Capture,
    Charge,
    CreditGrant,
    Hold,
    Movement,
    PayBack,
    Refund,
    Release,
    RequestAutoTopup,
    RequestTopup,
    Reverse,
    Topup,
)
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.usage import QUANTITY_UNIT, Usage
from credit_wallet.errors import IdempotencyConflict
from credit_wallet.rules import idempotency
from credit_wallet.rules.idempotency import FINGERPRINT_BYTES, fingerprint, replay
from credit_wallet.rules.purchases import _fingerprint as purchase_fingerprint
from credit_wallet.rules.state import Remembered

SOON = "2026-05-15T12:00:30.000Z"

LARGER = {"amount_micros": yen("3.000001")}
SEARCH = Usage("search", QUANTITY_UNIT, (("tool", "web"),))

REQUESTS = [
    (Charge(1, "key", yen(3)), {**LARGER, "note": "note", "key_id": 11, "usage": SEARCH}),
    (Hold(1, "key", yen(3)), {**LARGER, "ttl_seconds": 901, "note": "note", "key_id": 11, "usage": SEARCH}),
    (
        Capture(1, "key", 3, yen(3)),
        {"hold_id": 4, **LARGER, "final": False, "above": "up_to_balance", "key_id": 11, "usage": SEARCH},
    ),
    (Release(1, "key", 3), {"hold_id": 4, "key_id": 11}),
    (Refund(1, "key", 3), {"txn_id": 4, **LARGER, "note": "note"}),
    (Topup(1, "key", yen(3)), {**LARGER, "promo": True, "expires_at": SOON, "note": "note"}),
    (CreditGrant(1, "key", 3, 0), {"grant_id": 4, "occurrence": 1}),
    (Reverse(1, "key", 3, yen(3)), {"txn_id": 4, **LARGER, "note": "note"}),
]


@pytest.mark.parametrize(("request_", "changes"), REQUESTS, ids=[type(each[0]).__name__ for each in REQUESTS])
@pytest.mark.parametrize("note", [None, "n" * 200], ids=["short", "hashed"])
def test_a_request_is_another_when_any_field_is(request_: Movement, changes: dict[str, Any], note: str | None) -> None:
    fields = request_.__struct_fields__
    authored = {"author": OWNER} if isinstance(request_, ByHand) else {}
    assert set(fields[2:]) == {*changes, "actor", "names", *authored}
    changes = {**changes, "names": Names(reference="order-1")}
    base = structs.replace(request_, note=note) if note and "note" in fields else request_
    fingerprints = [fingerprint(base), *(fingerprint(structs.replace(base, **{n: v})) for n, v in changes.items())]
    assert len(set(fingerprints)) == 1 + len(changes)
    assert fingerprint(structs.replace(base)) == fingerprint(base)
    other = structs.replace(base, wallet_id=2, idempotency_key="other", actor="payer", names=Names("req-1"), **authored)
    assert fingerprint(other) == fingerprint(base)
    assert max(map(len, fingerprints)) <= FINGERPRINT_BYTES


def test_reference_and_metadata_are_part_of_a_request_and_its_id_is_not() -> None:
    names = [
        None,
        Names(reference="a"),
        Names(reference="b"),
        Names(metadata=(("a", "b"),)),
        Names(metadata=(("a", "c"),)),
        Names(reference="a", metadata=(("a", "b"),)),
    ]
    for request in (Charge(1, "key", yen(3)), Charge(1, "key", yen(3), "note", usage=SEARCH), Topup(1, "key", yen(3))):
        fingerprints = [fingerprint(structs.replace(request, names=each)) for each in names]
        assert len(set(fingerprints)) == len(names)
        for each, first in zip(names, fingerprints, strict=True):
            retry = structs.replace(each or Names(), request_id="req-2", idempotency_key="k")
            assert fingerprint(structs.replace(request, names=retry)) == first


def test_requests_of_different_kinds_with_the_same_fields_differ() -> None:
    alike = [
        Capture(1, "key", 3, yen(4)),
        Refund(1, "key", 3, yen(4)),
        Reverse(1, "key", 3, yen(4)),
        Charge(1, "key", yen(3)),
        Hold(1, "key", yen(3)),
    ]
    assert len({fingerprint(each) for each in alike}) == len(alike)


few = st.sampled_from([1, yen(1), yen("1.5"), yen("1.500001"), yen(2)])
usages = st.sampled_from([None, SEARCH, Usage(facts=(("run", "7"),)), Usage(agent_facts=(("run", "7"),))])
texts = st.one_of(st.none(), st.text(max_size=40))
charges = st.builds(Charge, st.just(1), st.just("key"), few, texts, st.one_of(st.none(), st.integers(1, 3)), usages)
movements = st.one_of(
    charges,
    st.builds(Refund, st.just(1), st.just("key"), st.integers(1, 3), st.one_of(st.none(), few), texts),
    st.builds(Topup, st.just(1), st.just("key"), few, st.booleans(), st.none(), texts),
    st.builds(Capture, st.just(1), st.just("key"), st.integers(1, 3), few, usage=usages),
)


@given(movements, movements)
def test_fingerprints_are_equal_exactly_when_requests_are(one: Movement, other: Movement) -> None:
    same = type(one) is type(other) and one == other
    assert (fingerprint(one) == fingerprint(other)) == same


# As the version before micros remembered them

END = "2026-12-31T15:00:00.000Z"
NOTE = "note " * 20
RELEASED: list[tuple[Movement, str]] = [
    (Charge(1, "k", yen(3)), "94a643686172676503c0c0"),
    (Charge(1, "k", yen(1000000000000)), "94a6436861726765cf000000e8d4a51000c0c0"),
    (Charge(1, "k", yen(3), "GET /search", 7), "94a643686172676503ab474554202f73656172636807"),
    (Charge(1, "k", yen(3), NOTE, 7), "08f1fa0c125b826e72370ef573d9165a58184fd9c9a243b98abc4f166306827e"),
    (Hold(1, "k", yen(100)), "95a4486f6c6464cd0384c0c0"),
    (Hold(1, "k", yen(100), 60, "stream", 7), "95a4486f6c64643ca673747265616d07"),
    (Hold(1, "k", yen(100), 60, NOTE), "ba0a5f86b534ff33ea96d1732521a0c5ca53480257dd62e6af37bebb49b2e4a4"),
    (Capture(1, "k", 5, yen(50)), "93a7436170747572650532"),
    (Capture(1, "k", 5, yen(50), False, "up_to_balance", 7), "96a7436170747572650532c2ad75705f746f5f62616c616e636507"),
    (Capture(1, "k", 5, yen(50), final=False), "96a7436170747572650532c2a672656a656374c0"),
    (Capture(1, "k", 5, yen(50), key_id=7), "96a7436170747572650532c3a672656a65637407"),
    (Release(1, "k", 5), "92a752656c6561736505"),
    (Release(1, "k", 5, 7), "93a752656c656173650507"),
    (Refund(1, "k", 9), "94a6526566756e6409c0c0"),
    (Refund(1, "k", 9, yen(20), "sorry"), "94a6526566756e640914a5736f727279"),
    (Topup(1, "k", yen(500)), "95a5546f707570cd01f4c2c0c0"),
    (
        Topup(1, "k", yen(500), True, END, "welcome"),
        "01a217bfbb8d15563abc3a2d2836d4b4a21b776b6a8ed2c0343efb0ba808f28f",
    ),
    (Reverse(1, "k", 9, yen(20)), "94a7526576657273650914c0"),
    (Reverse(1, "k", 9, yen(20), "chargeback"), "94a7526576657273650914aa6368617267656261636b"),
    (RequestTopup(1, "k", 1000), "93ac52657175657374546f707570cd03e8a6696e74656e74"),
    (RequestTopup(1, "k", 1000, "checkout"), "93ac52657175657374546f707570cd03e8a8636865636b6f7574"),
    (RequestTopup(1, "k", 1000, "checkout", None), "93ac52657175657374546f707570cd03e8a8636865636b6f7574"),
    (RequestAutoTopup(1, "k", 50, 100000), "95b0526571756573744175746f546f70757032ce000186a00000"),
    (RequestAutoTopup(1, "k", 50, 100000, 5, 6), "95b0526571756573744175746f546f70757032ce000186a00506"),
    (PayBack(1, "k", "tu_1", 600), "93a75061794261636ba474755f31cd0258"),
]
"""Requests of whole yen, and their fingerprints in a ledger of whole yen. Charges have their names there."""

RELEASED_PURCHASES = [
    (Buy(1, "k", "attempt", yen(100)), "9364c3c0"),
    (Buy(1, "k", "attempt", yen(100), 900, key_id=7), "9364c207"),
]


def remembered(released: str) -> Remembered:
    return Remembered(bytes.fromhex(released), Outcome(1, yen(3), yen(4), 5))


@pytest.mark.parametrize(("request_", "released"), RELEASED, ids=[type(each[0]).__name__ for each in RELEASED])
def test_a_request_of_whole_yen_is_the_one_it_was_before_there_were_micros(request_: Movement, released: str) -> None:
    again = replay(request_, fingerprint(request_), remembered(released))
    assert isinstance(again, Outcome)
    assert (again.replayed, again.balance_micros, again.txn_id) == (True, yen(4), 5)


@pytest.mark.parametrize(("request_", "_"), RELEASED[:4])
def test_a_released_charge_is_no_retry_of_another_request(request_: Movement, _: str) -> None:
    for other, released in RELEASED:
        if other != request_:
            assert isinstance(replay(request_, fingerprint(request_), remembered(released)), IdempotencyConflict)


@given(charges, movements)
def test_a_charge_without_its_name_is_mistaken_for_nothing(charge: Charge, other: Movement) -> None:
    """A key remembers what either release wrote, which a request of either release is compared with."""
    named = structs.replace(charge, usage=None)
    same = named == other
    assert (fingerprint(named) in (fingerprint(other), idempotency._named(other))) == same
    assert (idempotency._named(named) == idempotency._named(other)) == same


@pytest.mark.parametrize(("request_", "released"), RELEASED_PURCHASES, ids=["charge", "hold"])
def test_a_purchase_of_whole_yen_is_the_one_it_was_before_there_were_micros(request_: Buy, released: str) -> None:
    assert purchase_fingerprint(request_).hex() == released


def test_a_purchase_is_another_with_another_amount_item_or_quantity_but_not_with_other_facts() -> None:
    item = Buy(1, "k", "attempt", 0, usage=Usage("search", QUANTITY_UNIT))
    others = [
        Buy(1, "k", "attempt", yen(3)),
        Buy(1, "k", "attempt", yen("3.3")),
        item,
        structs.replace(item, usage=Usage("tokens", QUANTITY_UNIT)),
        structs.replace(item, usage=Usage("search", 2 * QUANTITY_UNIT)),
    ]
    assert len({purchase_fingerprint(each) for each in others}) == len(others)
    told = structs.replace(item, usage=Usage("search", QUANTITY_UNIT, (("run", "7"),)))
    assert purchase_fingerprint(told) == purchase_fingerprint(item)
