"""``credit-wallet key`` and ``seller``: tokens that may do less than the owner."""

from __future__ import annotations

from clock import Clock
from shell import Shell

from credit_wallet.domain.tokens import is_token, token_hash

NOON = "2026-05-15T12:00:00.000Z"


def test_an_agent_key_pays_up_to_its_cap_until_it_is_revoked(funded: Shell, clock: Clock) -> None:
    created = funded.json(
        "key", "create", 1, "--label", "crawler", "--monthly-cap-yen", 5, "--expires-at", "2026-06-01"
    )
    assert set(created) == {"key_id", "wallet_id", "token"}
    assert is_token(created["token"])
    funded("charge", 1, 3, "--key", "first", "--agent-key", created["key_id"])
    assert funded.refused("charge", 1, 3, "--key", "second", "--agent-key", created["key_id"])[0] == "key_cap_exhausted"
    clock.advance(minutes=1)
    revoked = funded.json("key", "revoke", created["key_id"])
    assert revoked == {"key_id": 1, "revoked_at": "2026-05-15T12:01:00.000Z"}
    clock.advance(minutes=1)
    assert funded.json("key", "revoke", created["key_id"]) == revoked
    assert funded.refused("charge", 1, 1, "--key", "third", "--agent-key", created["key_id"])[0] == "unauthorized"
    assert funded.json("key", "list", 1) == [
        {
            "key_id": 1,
            "wallet_id": 1,
            "label": "crawler",
            "monthly_cap_yen": 5,
            "current_cycle_spent_yen": 3,
            "current_cycle_spent": "3",
            "held_yen": 0,
            "held": "0",
            "created_at": NOON,
            "expires_at": "2026-06-02T00:00:00.000Z",
            "revoked_at": "2026-05-15T12:01:00.000Z",
            "group": None,
            "scopes": ["spend", "read"],
            "reference": None,
            "metadata": {},
            "token_prefix": created["token"][:12],
        }
    ]
    assert "crawler" in funded("key", "list", 1)
    assert created["token"] not in funded("key", "list", 1)


def test_a_rotated_agent_key_keeps_its_id_and_its_cap(funded: Shell) -> None:
    created = funded.json("key", "create", 1, "--monthly-cap-yen", 5)
    funded("charge", 1, 3, "--key", "first", "--agent-key", 1)
    rotated = funded.json("key", "rotate", 1, "--overlap-seconds", 60)
    assert (rotated["key_id"], rotated["wallet_id"], is_token(rotated["token"])) == (1, 1, True)
    [earlier] = funded.json("wallet", "secrets", 1)
    assert (earlier["sha256"], earlier["registered"]) == (token_hash(created["token"]), False)
    assert earlier["ends_at"] == "2026-05-15T12:01:00.000Z"
    assert funded.refused("charge", 1, 3, "--key", "second", "--agent-key", 1)[0] == "key_cap_exhausted"
    funded("key", "revoke", 1)
    assert funded.refused("key", "rotate", 1)[0] == "key_ended"
    assert funded.refused("key", "rotate", 9)[0] == "key_not_found"


def test_a_seller_is_created_listed_rotated_and_revoked(funded: Shell) -> None:
    created = funded.json("seller", "create", "--label", "search")
    assert (created["seller_id"], is_token(created["token"], "cw_seller_")) == (1, True)
    assert funded.fields("seller", "rotate", 1)["token"] != created["token"]
    [listed] = funded.json("seller", "list")
    assert (listed["label"], listed["revoked_at"]) == ("search", None)
    assert funded.json("seller", "revoke", 1) == {**listed, "revoked_at": NOON}
    assert funded.refused("seller", "rotate", 1)[0] == "key_ended"
    assert funded.refused("seller", "revoke", 2)[0] == "seller_not_found"


def test_a_wallet_without_agent_keys_lists_none(funded: Shell) -> None:
    assert funded("key", "list", 1) == "none\n"
    assert funded.json("key", "list", 1) == []
