"""Operators: names and roles, keys that rotate and end, and nobody who raises himself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from clock import Clock
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import Author
from credit_wallet.domain.operators import ROOT as ROOT_ID
from credit_wallet.domain.operators import OperatorAccess
from credit_wallet.errors import (
    Forbidden,
    InvalidRequest,
    KeyEnded,
    OperatorNameInUse,
    OperatorNotFound,
    TooManyTokens,
    Unauthorized,
)
from credit_wallet.http.key_routes import identity_of
from credit_wallet.wire.auth import Caller

pytestmark = on_every_database

ROOT = Author("operator", "operator:operator")


def acts(wallets: CreditWallet) -> list[tuple[str, str, str]]:
    return [(act.kind, act.subject, act.by) for act in wallets.log(limit=100)[::-1]]


def opens(wallets: CreditWallet, token: str) -> bool:
    try:
        wallets.tokens.identify(token)
    except Unauthorized:
        return False
    return True


def test_an_operators_life_is_in_the_log_under_the_name_of_whoever_did_it(wallets: CreditWallet) -> None:
    root = wallets.acting(ROOT)
    alice = root.operators.create("alice", "admin")
    by_alice = wallets.acting(Author("operator", f"operator:{alice.operator_id}"))
    bob = by_alice.operators.create("bob", "viewer")
    assert wallets.tokens.identify(bob.token) == OperatorAccess(bob.operator_id, "bob", "viewer")
    assert by_alice.operators.configure(bob.operator_id, role="finance").role == "finance"
    by_alice.operators.configure(bob.operator_id, role="finance")  # changes nothing
    rotated = by_alice.operators.rotate(bob.operator_id, overlap_seconds=0)
    by_alice.operators.revoke_key(bob.operator_id, rotated.operator_key_id)
    by_alice.operators.revoke_key(bob.operator_id, rotated.operator_key_id)
    revoked = [root.operators.revoke(bob.operator_id) for _ in range(2)]
    assert revoked[0] == revoked[1]
    assert acts(wallets) == [
        ("operator.created", "operator:1", "operator:operator"),
        ("operator.created", "operator:2", "operator:1"),
        ("operator.configured", "operator:2", "operator:1"),
        ("operator.key_rotated", "operator:2", "operator:1"),
        ("operator.key_revoked", "operator:2", "operator:1"),
        ("operator.revoked", "operator:2", "operator:operator"),
    ]
    assert [each.name for each in wallets.operators.list()] == ["alice", "bob"]
    assert wallets.operators.list(after=1) == [revoked[0]]


def test_of_operators_that_are_made_at_once_with_one_name_one_is_made(
    wallets: CreditWallet, db_url: str, clock: Clock
) -> None:
    """Also on two nodes, each of which finds the name free."""
    made: list[object] = []
    refused: list[object] = []

    def create(each: CreditWallet) -> None:
        try:
            made.append(each.operators.create("carol", "viewer"))
        except OperatorNameInUse as error:
            refused.append(error)

    with CreditWallet.open(db_url, clock=clock) as other, ThreadPoolExecutor(8) as threads:
        list(threads.map(create, [wallets, other] * 4))
    assert (len(made), len(refused)) == (1, 7)


def test_nobody_changes_their_own_role_and_a_name_stays_whoever_had_it(wallets: CreditWallet) -> None:
    alice = wallets.operators.create("alice", "support")
    herself = wallets.acting(Author("operator", f"operator:{alice.operator_id}"))
    for role in ("admin", "viewer", "support"):
        with pytest.raises(Forbidden, match="their own role"):
            herself.operators.configure(alice.operator_id, role=role)
    wallets.operators.revoke(alice.operator_id)
    with pytest.raises(OperatorNameInUse, match="operator 1"):
        wallets.operators.create("alice", "viewer")
    for refused in (
        lambda: wallets.operators.configure(alice.operator_id, role="admin"),
        lambda: wallets.operators.rotate(alice.operator_id),
    ):
        with pytest.raises(KeyEnded):
            refused()
    for name in ("", "Alice", "a b", "ä", "a\n", "x" * 65):
        with pytest.raises(InvalidRequest) as wrong:
            wallets.operators.create(name, "viewer")
        assert wrong.value.details["field"] == "name"
    with pytest.raises(InvalidRequest):
        wallets.operators.create("carol", "root")  # type: ignore[arg-type]
    with pytest.raises(OperatorNotFound):
        wallets.operators.keys(2)
    with pytest.raises(OperatorNotFound):
        wallets.operators.revoke_key(alice.operator_id, 99)


def test_keys_rotate_with_an_overlap_and_only_their_beginnings_are_shown(wallets: CreditWallet, clock: Clock) -> None:
    made = wallets.operators.create("alice", "viewer")
    second = wallets.operators.rotate(made.operator_id, overlap_seconds=60)
    ended, latest = [wallets.operators.rotate(made.operator_id, overlap_seconds=60) for _ in range(2)]
    assert all(opens(wallets, each.token) for each in (made, second, ended, latest))
    with pytest.raises(Unauthorized, match="operator's key, which opens no wallet"):
        wallets.tokens.authenticate(latest.token)
    clock.advance(seconds=60)
    assert [opens(wallets, each.token) for each in (made, second, ended, latest)] == [False, False, False, True]
    keys = wallets.operators.keys(made.operator_id)
    assert [latest.token.startswith(key.prefix) for key in keys] == [True, False, False, False]
    assert {len(key.prefix) for key in keys} == {len("cw_operator_0000")}
    for _ in range(10):
        wallets.operators.rotate(made.operator_id, overlap_seconds=60)
    with pytest.raises(TooManyTokens):
        wallets.operators.rotate(made.operator_id, overlap_seconds=60)
    wallets.operators.rotate(made.operator_id, overlap_seconds=0)
    assert not opens(wallets, latest.token)


def test_an_operator_learns_who_it_is_and_the_root_has_no_number() -> None:
    alice = identity_of(Caller.of(OperatorAccess(3, "alice", "support", "2026-06-01T00:00:00.000Z")))
    assert (alice.role, alice.operator_id, alice.operator_name, alice.operator_role) == (
        *("operator", 3, "alice", "support"),
    )
    root = identity_of(Caller.of(OperatorAccess(ROOT_ID, "operator", "admin")))
    assert (root.operator_id, root.operator_name, root.operator_role) == (None, "operator", "admin")
