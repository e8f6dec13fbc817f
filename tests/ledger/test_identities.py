"""An identity is apart from its secrets: agent keys and owners rotate, hosts register keys of their own, sellers.

The faults behind these tests, and where else they were. B1: rotating an agent key made another key, with a fresh cap
and no end, and brought a dead one back to life; the same at HTTP, client and command line, and in all that counts by
key (holds, statements, history, idempotency). B2: an owner token could not be rotated at all, nor could the operator do
it for one that has leaked. B3: the form of a token was asked for before its hash; in the library, behind HTTP and MCP,
and at the gate's remote wallets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from threading import Barrier

import pytest
from clock import Clock
from databases import on_every_database
from msgspec import structs
from plain_sql import PlainSql

from credit_wallet import CreditWallet, WalletError
from credit_wallet.domain.tokens import is_token, new_token, token_hash
from credit_wallet.domain.views import Access, CreatedWallet, SellerAccess
from credit_wallet.errors import (
    HoldClosed,
    InvalidRequest,
    KeyCapExhausted,
    KeyEnded,
    KeyNotFound,
    SecretInUse,
    SecretNotFound,
    SellerNotFound,
    TooManyTokens,
    Unauthorized,
    WalletNotFound,
)
from credit_wallet.stores.identity_rows import MAX_OLDER_TOKENS, MAX_REGISTERED

pytestmark = on_every_database


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def opens(wallets: CreditWallet, token: str) -> tuple[int, int | None] | None:
    """Wallet and key that a token opens; None when it opens none."""
    try:
        access = wallets.tokens.authenticate(token)
    except Unauthorized:
        return None
    return access.wallet_id, access.key_id


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    """A wallet with ¥10,000."""
    created = wallets.create()
    wallets.topup(created.wallet_id, 10_000, idempotency_key="start")
    return created


@pytest.fixture
def plain_sql(wallets: CreditWallet, db_url: str) -> Iterator[Callable[[str], None]]:
    """A host that runs a statement of its own on the ledger."""
    del wallets  # opened first
    with PlainSql(db_url) as host:

        def run(statement: str) -> None:
            host.run(statement)

        yield run


# Agent keys


def test_a_rotated_key_is_the_same_key_with_its_cap_its_spending_its_end_and_its_label(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    key = wallets.keys.create(wallet.wallet_id, label="crawler", monthly_cap_yen=500, expires_at="2026-12-20")
    wallets.charge(wallet.wallet_id, 400, idempotency_key="1", key_id=key.key_id)
    before = wallets.keys.show(key.key_id)
    rotated = wallets.keys.rotate(key.key_id)
    assert (rotated.key_id, rotated.wallet_id) == (key.key_id, wallet.wallet_id)
    assert is_token(rotated.token)
    assert rotated.token != key.token
    after = structs.replace(before, token_prefix=rotated.token[:12])
    assert wallets.keys.show(key.key_id) == after
    assert wallets.keys.list(wallet.wallet_id) == [after]
    with pytest.raises(KeyCapExhausted):
        wallets.charge(wallet.wallet_id, 101, idempotency_key="2", key_id=rotated.key_id)
    wallets.charge(wallet.wallet_id, 100, idempotency_key="2", key_id=rotated.key_id)


def test_the_old_token_works_for_the_overlap_and_the_new_one_from_the_start(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock
) -> None:
    key = wallets.keys.create(wallet.wallet_id)
    rotated = wallets.keys.rotate(key.key_id, overlap_seconds=60)
    both = (wallet.wallet_id, key.key_id)
    assert (opens(wallets, key.token), opens(wallets, rotated.token)) == (both, both)
    clock.advance(seconds=59)
    assert opens(wallets, key.token) == both
    clock.advance(seconds=1)
    assert (opens(wallets, key.token), opens(wallets, rotated.token)) == (None, both)


def test_without_an_overlap_the_old_tokens_end_at_once_all_of_them(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    tokens = [wallets.keys.create(wallet.wallet_id).token]
    tokens += [wallets.keys.rotate(1).token for _ in range(3)]
    tokens.append(wallets.keys.rotate(1, overlap_seconds=0).token)
    assert [opens(wallets, token) is not None for token in tokens] == [False, False, False, False, True]
    assert wallets.secrets.list(wallet.wallet_id) == []


def test_several_rotations_in_a_row_leave_each_token_its_overlap_and_a_later_one_only_shortens_it(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock
) -> None:
    first = wallets.keys.create(wallet.wallet_id).token
    second = wallets.keys.rotate(1, overlap_seconds=100).token
    third = wallets.keys.rotate(1, overlap_seconds=3_600).token
    clock.advance(seconds=100)
    assert [opens(wallets, token) is not None for token in (first, second, third)] == [False, True, True]
    fourth = wallets.keys.rotate(1, overlap_seconds=10).token
    clock.advance(seconds=10)
    assert [opens(wallets, token) is not None for token in (second, third, fourth)] == [False, False, True]


def test_so_many_earlier_tokens_may_work_and_no_more_until_they_are_ended(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock
) -> None:
    wallets.keys.create(wallet.wallet_id)
    for _ in range(MAX_OLDER_TOKENS):
        newest = wallets.keys.rotate(1).token
    with pytest.raises(TooManyTokens, match="earlier tokens"):
        wallets.keys.rotate(1)
    assert opens(wallets, newest) is not None
    assert len(wallets.secrets.list(wallet.wallet_id)) == MAX_OLDER_TOKENS
    clock.advance(seconds=3_600)
    wallets.keys.rotate(1)
    assert len(wallets.secrets.list(wallet.wallet_id)) == 1
    wallets.keys.rotate(1, overlap_seconds=0)
    assert wallets.secrets.list(wallet.wallet_id) == []


def test_a_revoked_key_is_not_rotated_and_no_token_of_it_works(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    key = wallets.keys.create(wallet.wallet_id)
    rotated = wallets.keys.rotate(key.key_id)
    wallets.secrets.register(wallet.wallet_id, digest("host's"), key.key_id)
    wallets.keys.revoke(key.key_id)
    with pytest.raises(KeyEnded, match="revoked at"):
        wallets.keys.rotate(key.key_id)
    assert [opens(wallets, token) for token in (key.token, rotated.token, "host's")] == [None, None, None]


def test_an_ended_key_is_not_rotated_and_its_end_bounds_every_secret_of_it(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock
) -> None:
    key = wallets.keys.create(wallet.wallet_id, expires_at="2026-05-15T12:01:00Z")
    rotated = wallets.keys.rotate(key.key_id, overlap_seconds=3_600)
    wallets.secrets.register(wallet.wallet_id, digest("host's"), key.key_id, ends_at="2026-05-16T00:00:00Z")
    tokens = (key.token, rotated.token, "host's")
    assert {opens(wallets, token) for token in tokens} == {(wallet.wallet_id, key.key_id)}
    clock.advance(seconds=60)
    assert {opens(wallets, token) for token in tokens} == {None}
    with pytest.raises(KeyEnded, match="ended at 2026-05-15T12:01:00"):
        wallets.keys.rotate(key.key_id)
    assert wallets.keys.show(key.key_id).expires_at == "2026-05-15T12:01:00.000Z"


def test_holds_statement_history_and_idempotency_stay_with_the_key(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    key = wallets.keys.create(wallet.wallet_id, label="crawler", monthly_cap_yen=500)
    held = wallets.hold(wallet.wallet_id, 200, idempotency_key="held", key_id=key.key_id)
    charged = wallets.charge(wallet.wallet_id, 100, idempotency_key="charged", key_id=key.key_id)
    access = wallets.tokens.authenticate(wallets.keys.rotate(key.key_id, overlap_seconds=0).token)
    again = wallets.charge(access.wallet_id, 100, idempotency_key="charged", key_id=access.key_id)
    assert (again.txn_id, again.replayed) == (charged.txn_id, True)
    assert wallets.keys.show(key.key_id).held_yen == 200
    assert held.hold_id is not None
    wallets.capture(held.hold_id, 200)
    with pytest.raises(HoldClosed):
        wallets.release(held.hold_id)
    [line] = wallets.statement(wallet.wallet_id, "2026-05").spend_by_key
    assert (line.key_id, line.charges, line.spent_yen) == (key.key_id, 2, 300)
    assert len(wallets.history(wallet.wallet_id, key_id=key.key_id)) == 2
    assert wallets.verify() == []


@pytest.mark.parametrize("overlap", [-1, 31 * 24 * 3600 + 1, True, 1.0, "60", None])
def test_an_overlap_is_a_whole_number_of_seconds_up_to_31_days(
    wallets: CreditWallet, wallet: CreatedWallet, overlap: object
) -> None:
    wallets.keys.create(wallet.wallet_id)
    seller = wallets.sellers.create()
    rotations: list[Callable[..., object]] = [wallets.keys.rotate, wallets.rotate_owner_token, wallets.sellers.rotate]
    for rotate in rotations:
        with pytest.raises(InvalidRequest) as refusal:
            rotate(1, overlap_seconds=overlap)
        assert refusal.value.details["field"] == "overlap_seconds"
    assert wallets.tokens.identify(seller.token) == SellerAccess(1)


@pytest.mark.partitions
def test_what_is_not_there_is_not_rotated(wallets: CreditWallet) -> None:
    with pytest.raises(KeyNotFound):
        wallets.keys.rotate(9)
    with pytest.raises(WalletNotFound):
        wallets.rotate_owner_token(9)
    with pytest.raises(SellerNotFound):
        wallets.sellers.rotate(9)
    with pytest.raises(SellerNotFound):
        wallets.sellers.revoke(9)


# Owners


def test_an_owner_token_rotates_like_a_key_and_the_wallet_stays_what_it_is(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock
) -> None:
    before = wallets.show(wallet.wallet_id)
    rotated = wallets.rotate_owner_token(wallet.wallet_id, overlap_seconds=60)
    assert rotated.wallet_id == wallet.wallet_id
    assert is_token(rotated.owner_token)
    owner = (wallet.wallet_id, None)
    assert (opens(wallets, wallet.owner_token), opens(wallets, rotated.owner_token)) == (owner, owner)
    assert wallets.show(wallet.wallet_id) == structs.replace(before, token_prefix=rotated.owner_token[:12])
    clock.advance(seconds=60)
    assert (opens(wallets, wallet.owner_token), opens(wallets, rotated.owner_token)) == (None, owner)
    charged = wallets.charge(wallet.wallet_id, 1, idempotency_key="after")
    assert charged.balance_yen == 9_999
    assert wallets.verify() == []


def test_a_leaked_owner_token_ends_at_once_and_agent_keys_go_on(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    key = wallets.keys.create(wallet.wallet_id)
    earlier = wallets.rotate_owner_token(wallet.wallet_id).owner_token
    newest = wallets.rotate_owner_token(wallet.wallet_id, overlap_seconds=0).owner_token
    assert [opens(wallets, token) for token in (wallet.owner_token, earlier)] == [None, None]
    assert opens(wallets, newest) == (wallet.wallet_id, None)
    assert opens(wallets, key.token) == (wallet.wallet_id, key.key_id)


# Tokens of hosts


@pytest.mark.parametrize("token", ["t1", "sk_test_4eC39HqLyjWDarjtT1zdp7dc", "tökén", " ", "x" * 512])
def test_the_owner_of_a_wallet_of_the_seeds_schema_logs_in_whatever_the_tokens_form(
    wallets: CreditWallet, plain_sql: Callable[[str], None], token: str
) -> None:
    plain_sql(f"INSERT INTO am_credit_wallet (owner_token_hash) VALUES ('{digest(token)}')")
    assert wallets.tokens.authenticate(token) == Access(1, None)
    rotated = wallets.rotate_owner_token(1, overlap_seconds=0)
    assert (opens(wallets, token), opens(wallets, rotated.owner_token)) == (None, (1, None))


@pytest.mark.parametrize("token", ["", "x" * 513, "t2", "\udcff"])
def test_no_other_text_opens_anything(wallets: CreditWallet, plain_sql: Callable[[str], None], token: str) -> None:
    for text in ("", "x" * 513, "t1"):
        plain_sql(f"INSERT INTO am_credit_wallet (owner_token_hash) VALUES ('{digest(text)}')")
    with pytest.raises(Unauthorized):
        wallets.tokens.authenticate(token)


def test_a_mistyped_token_is_told_so(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    mistyped = wallet.owner_token[:-1] + ("x" if wallet.owner_token[-1] != "x" else "y")
    with pytest.raises(Unauthorized, match="mistyped"):
        wallets.tokens.authenticate(mistyped)
    with pytest.raises(Unauthorized, match="unknown, revoked or expired"):
        wallets.tokens.authenticate(new_token())


def test_a_host_registers_the_hash_of_its_own_key_for_the_owner_or_an_agent_key(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    key = wallets.keys.create(wallet.wallet_id, monthly_cap_yen=500)
    for_owner = wallets.secrets.register(wallet.wallet_id, digest("host-owner"))
    for_agent = wallets.secrets.register(wallet.wallet_id, digest("host-agent").upper(), key_id=key.key_id)
    assert opens(wallets, "host-owner") == (wallet.wallet_id, None)
    assert opens(wallets, "host-agent") == (wallet.wallet_id, key.key_id)
    assert wallets.secrets.list(wallet.wallet_id) == sorted((for_owner, for_agent), key=lambda each: each.sha256)
    assert (for_agent.sha256, for_agent.registered, for_agent.ends_at) == (digest("host-agent"), True, None)
    assert wallets.secrets.remove(digest("host-agent")) == for_agent
    assert opens(wallets, "host-agent") is None
    with pytest.raises(SecretNotFound):
        wallets.secrets.remove(digest("host-agent"))
    assert opens(wallets, "host-owner") == (wallet.wallet_id, None)


def test_a_registered_key_ends_when_it_was_to_end_and_can_be_registered_again_then(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock
) -> None:
    wallets.secrets.register(wallet.wallet_id, digest("host's"), ends_at="2026-05-15T12:01:00Z")
    assert wallets.tokens.authenticate("host's").ends_at == "2026-05-15T12:01:00.000Z"
    clock.advance(seconds=60)
    assert opens(wallets, "host's") is None
    assert wallets.secrets.list(wallet.wallet_id) == []
    wallets.secrets.register(wallet.wallet_id, digest("host's"), ends_at="2026-05-15T12:02:00Z")
    assert opens(wallets, "host's") is not None


def test_rotations_leave_what_a_host_registered_alone(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    key = wallets.keys.create(wallet.wallet_id)
    wallets.secrets.register(wallet.wallet_id, digest("owner's"))
    wallets.secrets.register(wallet.wallet_id, digest("agent's"), key.key_id)
    wallets.keys.rotate(key.key_id, overlap_seconds=0)
    wallets.rotate_owner_token(wallet.wallet_id, overlap_seconds=0)
    assert opens(wallets, "owner's") == (wallet.wallet_id, None)
    assert opens(wallets, "agent's") == (wallet.wallet_id, key.key_id)


def test_the_same_registration_again_changes_nothing_and_another_of_the_same_hash_is_refused(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    other, key = wallets.create(), wallets.keys.create(wallet.wallet_id)
    first = wallets.secrets.register(wallet.wallet_id, digest("host's"))
    assert wallets.secrets.register(wallet.wallet_id, digest("host's")) == first
    for attempt in (
        (other.wallet_id, digest("host's"), None, None),
        (wallet.wallet_id, digest("host's"), key.key_id, None),
        (wallet.wallet_id, digest("host's"), None, "2026-06-01T00:00:00Z"),
    ):
        with pytest.raises(SecretInUse):
            wallets.secrets.register(*attempt)
    assert wallets.secrets.list(wallet.wallet_id) == [first]
    assert wallets.secrets.list(other.wallet_id) == []


def test_a_hash_that_names_anything_already_cannot_be_registered(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    other, key = wallets.create(), wallets.keys.create(wallet.wallet_id)
    revoked = wallets.keys.create(wallet.wallet_id)
    wallets.keys.revoke(revoked.key_id)
    earlier = wallets.keys.rotate(key.key_id)
    seller = wallets.sellers.create()
    for token in (wallet.owner_token, other.owner_token, key.token, earlier.token, revoked.token, seller.token):
        with pytest.raises(SecretInUse):
            wallets.secrets.register(other.wallet_id, token_hash(token))


@pytest.mark.partitions
def test_an_earlier_token_can_be_ended_before_its_overlap_is_over(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    rotated = wallets.rotate_owner_token(wallet.wallet_id)
    removed = wallets.secrets.remove(token_hash(wallet.owner_token))
    assert (removed.wallet_id, removed.key_id, removed.registered) == (wallet.wallet_id, None, False)
    assert opens(wallets, wallet.owner_token) is None
    for current in (rotated.owner_token, wallets.sellers.create().token):
        with pytest.raises(SecretNotFound, match="rotate it"):
            wallets.secrets.remove(token_hash(current))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((1, "t1"), "sha256"),
        ((1, "g" * 64), "sha256"),
        ((1, "a" * 63), "sha256"),
        ((1, "a" * 64 + "\n"), "sha256"),
        ((1, b"a" * 64), "sha256"),
        ((1, "a" * 64, None, "2026-05-15T12:00:00Z"), "ends_at"),
        ((1, "a" * 64, None, "soon"), "ends_at"),
        ((1, "a" * 64, 0), "key_id"),
        ((0, "a" * 64), "wallet_id"),
    ],
)
def test_what_is_malformed_is_not_registered(
    wallets: CreditWallet, wallet: CreatedWallet, arguments: tuple[object, ...], field: str
) -> None:
    register: Callable[..., object] = wallets.secrets.register
    with pytest.raises(InvalidRequest) as refusal:
        register(*arguments)
    assert refusal.value.details["field"] == field
    assert wallets.secrets.list(wallet.wallet_id) == []


def test_only_what_there_is_and_works_gets_secrets(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    other = wallets.keys.create(wallets.create().wallet_id)
    revoked = wallets.keys.create(wallet.wallet_id)
    wallets.keys.revoke(revoked.key_id)
    with pytest.raises(WalletNotFound):
        wallets.secrets.register(9, "a" * 64)
    for key_id, kind in ((9, KeyNotFound), (other.key_id, KeyNotFound), (revoked.key_id, KeyEnded)):
        with pytest.raises(kind):
            wallets.secrets.register(wallet.wallet_id, "a" * 64, key_id)


def test_a_wallet_has_so_many_registered_keys_at_most(
    wallets: CreditWallet, wallet: CreatedWallet, plain_sql: Callable[[str], None]
) -> None:
    rows = ", ".join(
        f"('{number:064x}', {wallet.wallet_id}, 0, 0, 1, '2026-05-15T12:00:00.000Z')"
        for number in range(MAX_REGISTERED)
    )
    columns = "token_hash, wallet_id, key_id, seller_id, registered, created_at"
    plain_sql(f"INSERT INTO am_credit_secret ({columns}) VALUES {rows}")
    with pytest.raises(TooManyTokens, match="remove one first"):
        wallets.secrets.register(wallet.wallet_id, digest("one more"))
    wallets.secrets.remove(f"{0:064x}")
    wallets.secrets.register(wallet.wallet_id, digest("one more"))


def test_a_hash_that_plain_sql_has_made_name_two_wallets_opens_neither(
    wallets: CreditWallet, wallet: CreatedWallet, plain_sql: Callable[[str], None]
) -> None:
    wallets.secrets.register(wallet.wallet_id, digest("t1"))
    assert opens(wallets, "t1") == (wallet.wallet_id, None)
    plain_sql(f"INSERT INTO am_credit_wallet (owner_token_hash) VALUES ('{digest('t1')}')")
    assert opens(wallets, "t1") is None


def test_a_host_may_put_an_earlier_token_back_by_plain_sql(
    wallets: CreditWallet, wallet: CreatedWallet, plain_sql: Callable[[str], None]
) -> None:
    wallets.rotate_owner_token(wallet.wallet_id)
    plain_sql(f"UPDATE am_credit_wallet SET owner_token_hash = '{token_hash(wallet.owner_token)}'")
    assert wallets.tokens.authenticate(wallet.owner_token) == Access(wallet.wallet_id, None)
    rotated = wallets.rotate_owner_token(wallet.wallet_id)
    assert opens(wallets, wallet.owner_token) == opens(wallets, rotated.owner_token) == (wallet.wallet_id, None)


# Sellers


def test_a_seller_has_a_token_of_its_own_that_opens_no_wallet(wallets: CreditWallet, clock: Clock) -> None:
    seller = wallets.sellers.create(label="search")
    assert is_token(seller.token, "cw_seller_")
    assert wallets.tokens.identify(seller.token) == SellerAccess(seller.seller_id)
    with pytest.raises(Unauthorized, match="seller"):
        wallets.tokens.authenticate(seller.token)
    rotated = wallets.sellers.rotate(seller.seller_id, overlap_seconds=60)
    assert rotated.seller_id == seller.seller_id
    assert wallets.tokens.identify(seller.token) == SellerAccess(seller.seller_id, "2026-05-15T12:01:00.000Z")
    clock.advance(seconds=60)
    with pytest.raises(Unauthorized):
        wallets.tokens.identify(seller.token)
    assert wallets.tokens.identify(rotated.token) == SellerAccess(seller.seller_id)
    newest = wallets.sellers.rotate(seller.seller_id, overlap_seconds=0)
    with pytest.raises(Unauthorized):
        wallets.tokens.identify(rotated.token)
    assert wallets.tokens.identify(newest.token) == SellerAccess(seller.seller_id)


def test_a_revoked_seller_is_nobody_and_is_not_rotated(wallets: CreditWallet, clock: Clock) -> None:
    kept, seller = wallets.sellers.create(label="kept"), wallets.sellers.create()
    revoked = wallets.sellers.revoke(seller.seller_id)
    assert revoked.revoked_at == "2026-05-15T12:00:00.000Z"
    clock.advance(seconds=1)
    assert wallets.sellers.revoke(seller.seller_id) == revoked
    with pytest.raises(Unauthorized):
        wallets.tokens.identify(seller.token)
    with pytest.raises(KeyEnded):
        wallets.sellers.rotate(seller.seller_id)
    assert wallets.tokens.identify(kept.token) == SellerAccess(kept.seller_id)
    assert wallets.sellers.list() == [wallets.sellers.show(kept.seller_id), revoked]
    assert wallets.sellers.list(after=kept.seller_id, limit=1) == [revoked]
    for limit in (0, 1_001):
        with pytest.raises(InvalidRequest):
            wallets.sellers.list(limit=limit)


# Races


@pytest.fixture
def nodes(db_url: str, clock: Clock) -> Iterator[list[CreditWallet]]:
    """Two that have the same ledger open."""
    with ExitStack() as stack:
        yield [stack.enter_context(CreditWallet.open(db_url, clock=clock)) for _ in range(2)]


def test_a_key_is_charged_exactly_up_to_its_cap_while_it_rotates_at_two_nodes(nodes: list[CreditWallet]) -> None:
    wallet = nodes[0].create()
    nodes[0].topup(wallet.wallet_id, 10_000, idempotency_key="start")
    key = nodes[0].keys.create(wallet.wallet_id, monthly_cap_yen=60)
    start = Barrier(4)

    def charge(node: CreditWallet, name: str) -> int:
        start.wait()
        charged = 0
        for number in range(40):
            try:
                node.charge(wallet.wallet_id, 1, idempotency_key=f"{name}-{number}", key_id=key.key_id)
            except KeyCapExhausted:
                continue
            charged += 1
        return charged

    def rotate(node: CreditWallet) -> list[str]:
        start.wait()
        return [node.keys.rotate(key.key_id, overlap_seconds=5 * (number % 2)).token for number in range(10)]

    with ThreadPoolExecutor(4) as threads:
        charges = [threads.submit(charge, node, str(position)) for position, node in enumerate(nodes)]
        rotations = [threads.submit(rotate, node) for node in nodes]
        assert sum(each.result() for each in charges) == 60
        tokens = [token for each in rotations for token in each.result()]
    assert nodes[0].keys.show(key.key_id).current_cycle_spent_yen == 60
    last = nodes[1].keys.rotate(key.key_id, overlap_seconds=0).token
    assert [opens(nodes[0], token) for token in tokens] == [None] * len(tokens)
    assert opens(nodes[0], last) == (wallet.wallet_id, key.key_id)
    assert nodes[0].verify() == []


def test_two_rotations_at_once_give_two_tokens_of_which_both_work(nodes: list[CreditWallet]) -> None:
    wallet = nodes[0].create()
    key = nodes[0].keys.create(wallet.wallet_id)
    seller = nodes[0].sellers.create()
    for rotate in (
        lambda node: node.keys.rotate(key.key_id).token,
        lambda node: node.rotate_owner_token(wallet.wallet_id).owner_token,
        lambda node: node.sellers.rotate(seller.seller_id).token,
    ):
        start = Barrier(2)

        def at_once(node: CreditWallet, rotate: Callable[[CreditWallet], str] = rotate) -> str:
            start.wait()  # noqa: B023 - both are done before the next one is made
            return rotate(node)

        with ThreadPoolExecutor(2) as threads:
            tokens = list(threads.map(at_once, nodes))
        assert len(set(tokens)) == 2
        assert len({type(nodes[0].tokens.identify(token)) for token in tokens}) == 1


def test_of_two_registrations_of_one_hash_at_once_one_is_refused(nodes: list[CreditWallet]) -> None:
    wallet_ids = [nodes[0].create().wallet_id for _ in range(2)]
    for number in range(10):
        start = Barrier(2)

        def register(node: CreditWallet, wallet_id: int, number: int = number) -> str:
            start.wait()  # noqa: B023 - both are done before the next one is made
            try:
                node.secrets.register(wallet_id, digest(str(number)))
            except WalletError as refusal:
                return refusal.code
            return "registered"

        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(register, nodes, wallet_ids)) == ["registered", "secret_in_use"]
        assert opens(nodes[0], str(number)) is not None
