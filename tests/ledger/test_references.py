"""References and metadata: a host's own names of its customers and their agents, on which it can rely."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import LIBRARY
from credit_wallet.domain.settings import NewWallet
from credit_wallet.domain.tokens import NewToken
from credit_wallet.domain.views import CreatedWallet, ReferencedWallet
from credit_wallet.errors import InvalidRequest, ReferenceInUse, WalletNotFound
from credit_wallet.stores.new_wallets import create_wallet
from credit_wallet.stores.profile_rows import set_reference

pytestmark = on_every_database


def test_the_same_reference_is_the_same_wallet_and_its_token_is_shown_once(wallets: CreditWallet) -> None:
    first = wallets.create(reference="cust_1", label="acme", metadata={"plan": "pro"})
    again = wallets.create(reference="cust_1", label="another", monthly_budget_yen=5)
    assert again == ReferencedWallet(first.wallet_id, None, created=False)
    assert (first.created, wallets.tokens.authenticate(str(first.owner_token)).wallet_id) == (True, first.wallet_id)
    found = wallets.find(reference="cust_1")
    assert (found.wallet_id, found.label, found.metadata, found.monthly_budget_yen) == (1, "acme", {"plan": "pro"}, 0)
    assert found.token_prefix == str(first.owner_token)[:12]
    assert isinstance(wallets.create(), CreatedWallet)
    assert [view.reference for view in wallets.list()] == ["cust_1", None]
    assert wallets.verify() == []


def test_of_many_that_create_one_customer_at_once_all_get_one_wallet(wallets: CreditWallet, db_url: str) -> None:
    """Two nodes, four threads each: the wallets that lost the race are gone, and nobody has two tokens."""
    start = Barrier(8)

    def register(node: CreditWallet, number: int) -> list[ReferencedWallet]:
        start.wait()
        return [node.create(reference=f"cust_{each}", label=f"by {number}") for each in range(5)]

    with CreditWallet.open(db_url) as other, ThreadPoolExecutor(8) as threads:
        made = list(threads.map(register, [wallets, other] * 4, range(8)))
    for of_one in zip(*made, strict=True):
        assert len({each.wallet_id for each in of_one}) == 1
        [owner_token] = [each.owner_token for each in of_one if each.owner_token is not None]
        assert wallets.tokens.authenticate(owner_token).wallet_id == of_one[0].wallet_id
    assert len(wallets.list()) == 5
    assert wallets.verify() == []


def test_a_wallet_whose_commit_was_in_doubt_is_found_by_its_token(wallets: CreditWallet) -> None:
    """The store sends a job again when it does not know whether it was committed."""
    new, token = NewWallet(None, 0, 0, 0, "alert", "UTC", "cust_1"), NewToken("a" * 64, "cw_live_abcd")
    now = wallets._ledger.clock()
    made = [wallets._ledger.maintain(create_wallet, new, token, LIBRARY, now) for _ in range(2)]
    assert made == [(1, True), (1, True)]
    assert len(wallets.list()) == 1


@pytest.mark.parametrize("reference", ["", "a" * 256, "line\nbreak", "\x00", "\ud800", 7, b"x"])
def test_a_reference_is_printable_text(wallets: CreditWallet, reference: str) -> None:
    for ask in (wallets.create, wallets.find):
        with pytest.raises(InvalidRequest) as refusal:
            ask(reference=reference)
        assert refusal.value.details["field"] == "reference"
    assert wallets.list() == []


def test_nothing_is_found_by_what_is_no_reference_of_a_wallet(wallets: CreditWallet) -> None:
    wallet_id = wallets.create(reference="cust_1").wallet_id
    wallets.keys.create(wallet_id, reference="agent_1")
    for reference in ("cust_2", "CUST_1", "cust_", "agent_1", " cust_1"):
        with pytest.raises(WalletNotFound):
            wallets.find(reference=reference)


def test_a_reference_moves_and_is_never_that_of_two_wallets(wallets: CreditWallet) -> None:
    first, second = (wallets.create(reference=each).wallet_id for each in ("cust_1", "cust_2"))
    move = wallets._ledger.maintain
    with pytest.raises(ReferenceInUse) as refusal:
        move(set_reference, first, "cust_2")
    assert refusal.value.details["wallet_id"] == second
    assert wallets.find(reference="cust_1").wallet_id == first
    assert move(set_reference, second, None) == "cust_2"
    assert move(set_reference, first, "cust_2") == "cust_1"
    assert wallets.find(reference="cust_2").wallet_id == first
    assert wallets.create(reference="cust_1").created
    assert wallets.verify() == []


def test_metadata_are_replaced_as_a_whole_with_the_settings(wallets: CreditWallet) -> None:
    wallet_id = wallets.create(metadata={"plan": "pro", "region": "東京"}).wallet_id
    wallets.configure(wallet_id, label="acme", metadata={"plan": "free", "note": ""})
    assert wallets.show(wallet_id).metadata == {"plan": "free", "note": ""}
    wallets.configure(wallet_id, label="acme")
    assert wallets.show(wallet_id).metadata == {"plan": "free", "note": ""}
    wallets.configure(wallet_id, metadata={})
    assert wallets.show(wallet_id).metadata == {}
    for wrong in ({"": "x"}, {"a" * 41: "x"}, {"a": "x" * 501}, {"a": "\0"}, {"a": 1}, "plan"):
        with pytest.raises(InvalidRequest):
            wallets.configure(wallet_id, metadata=wrong)  # type: ignore[arg-type]


def test_references_of_keys_are_unique_in_their_wallet(wallets: CreditWallet) -> None:
    first, second = wallets.create().wallet_id, wallets.create().wallet_id
    key = wallets.keys.create(first, reference="bot", metadata={"team": "search"})
    with pytest.raises(ReferenceInUse) as refusal:
        wallets.keys.create(first, reference="bot")
    assert refusal.value.details["key_id"] == key.key_id
    other = wallets.keys.create(second, reference="bot")
    third = wallets.keys.create(first)
    with pytest.raises(ReferenceInUse):
        wallets.keys.configure(third.key_id, reference="bot")
    renamed = wallets.keys.configure(key.key_id, reference=None, metadata={})
    assert (renamed.reference, renamed.metadata, renamed.token_prefix) == (None, {}, key.token[:12])
    assert wallets.keys.configure(third.key_id, reference="bot").reference == "bot"
    assert wallets.keys.show(other.key_id).reference == "bot"
    assert len(wallets.keys.list(first)) == 2


def test_what_a_host_keeps_is_shown_to_owners_and_not_to_agents(wallets: CreditWallet) -> None:
    wallet_id = wallets.create(reference="cust_1", metadata={"risk": "high"}).wallet_id
    key_id = wallets.keys.create(wallet_id, reference="bot", metadata={"team": "search"}).key_id
    assert wallets.overview(wallet_id).wallet.metadata == {"risk": "high"}
    shown = wallets.overview(wallet_id, key_id=key_id)
    for each in (shown.wallet, shown.key):
        assert each is not None
        assert (each.reference, each.metadata, each.token_prefix) == (None, {}, None)


def test_verify_finds_a_reference_that_leads_elsewhere(wallets: CreditWallet, db_url: str) -> None:
    first = wallets.create(reference="cust_1").wallet_id
    second = wallets.create(reference="cust_2").wallet_id
    with PlainSql(db_url) as host:
        host.run("DELETE FROM am_credit_reference WHERE wallet_id = ?", second)
        host.run("UPDATE am_credit_reference SET wallet_id = ?", second)
    found = {(each.check, each.wallet_id) for each in wallets.verify()}
    assert found == {("references", first), ("references", second)}
