"""Search: operators find a wallet by whatever they know of it, in order, page by page."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from databases import on_both_databases
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.cli.wallets import SORTS as SORTS_OF_THE_COMMAND
from credit_wallet.cli.wallets import STATUSES
from credit_wallet.domain.search_terms import MAX_TERMS, sorted_form, terms_of
from credit_wallet.domain.wallet_search import WalletSort, WalletStatus
from credit_wallet.errors import InsufficientFunds, InvalidRequest
from credit_wallet.stores import wallet_search

pytestmark = on_both_databases


def ids(wallets: CreditWallet, query: str | None = None, **given: Any) -> list[int]:
    """All pages, one wallet each."""
    found, cursor = [], None
    for _ in range(200):
        page = wallets.search(query, cursor=cursor, limit=1, **given)
        found += [view.wallet_id for view in page.wallets]
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")


def test_a_wallet_is_found_by_whatever_is_known_of_it(wallets: CreditWallet) -> None:
    acme = wallets.create(label="ＡＣＭＥ Research-Labs", reference="cust_1", metadata={"mail": "Ann@Example.com"})
    tokyo = wallets.create(label="株式会社東京研究所", reference="cust_10")
    kana = wallets.create(label="ｱｸﾒ商事", metadata={"担当": "山田 太郎"})
    key = wallets.keys.create(acme.wallet_id, label="Night crawler", reference="bot-7", metadata={"team": "growth"})
    (a, b, c), token = (each.wallet_id for each in (acme, tokyo, kana)), str(acme.owner_token)
    found: dict[str, list[int]] = {
        "acme": [a],
        "Acme res": [a],
        "labs ACME": [a],
        "cust_1": [a, b],
        "cust_10": [b],
        "研究": [b],
        "東京研究所": [b],
        "会社": [b],
        "アクメ": [c],
        "ｱｸ": [c],
        "太郎": [c],
        "ann@example.com": [a],
        "example": [a],
        "crawler": [a],
        "acme crawler": [],  # of the wallet and of its key: no one text need have both
        "bot-7": [a],
        "growth": [a],
        token: [a],
        f" {token} ": [a],
        token[:12]: [a],
        token[:30]: [a],
        key.token: [a],
        key.token[:12]: [a],
        str(b): [b],
        "99": [],
        "cme": [],
        "acme tokyo": [],
        "": [1, 2, 3],
        "   ": [1, 2, 3],
        "%": [],
        "_": [],
        "\U0010ffff": [],
    }
    found["acme crawler"] = [a]
    assert {query: ids(wallets, query) for query in found} == found
    assert ids(wallets, reference="cust_1") == [a]
    assert ids(wallets, "acme", reference="cust_10") == []
    assert ids(wallets) == [a, b, c]


def test_what_changes_is_found_by_what_it_is_now(wallets: CreditWallet) -> None:
    first = wallets.create(label="old name", metadata={"plan": "pro"})
    key = wallets.keys.create(first.wallet_id, label="crawler")
    wallets.configure(first.wallet_id, label="new name", metadata={"plan": "free"})
    wallets.keys.configure(key.key_id, label="walker", metadata={"team": "growth"})
    rotated = wallets.rotate_owner_token(first.wallet_id, overlap_seconds=0)
    assert [ids(wallets, query) for query in ("old", "pro", "crawler", first.owner_token[:12])] == [[], [], [], []]
    for query in ("new", "free", "walker", "growth", "name", rotated.owner_token[:12], rotated.owner_token):
        assert ids(wallets, query) == [first.wallet_id], query


@pytest.mark.usefixtures("wallets")
def test_wallets_of_plain_sql_are_found_too(db_url: str) -> None:
    with PlainSql(db_url) as host:
        host.run(
            "INSERT INTO am_credit_wallet (owner_token_hash, label, balance_yen) VALUES (?, 'by hand', 5)", "b" * 64
        )
    with CreditWallet.open(db_url) as opened:
        assert ids(opened, "hand") == ids(opened, sort="label") == [1]
        opened.configure(1, label="by machine")
        assert [ids(opened, query) for query in ("hand", "machine")] == [[], [1]]


def test_a_status_finds_those_that_need_somebody(wallets: CreditWallet, db_url: str) -> None:
    made = [wallets.create(label=f"w{number}").wallet_id for number in range(1, 7)]
    low, broke, off, indebted, failed, fine = made
    for wallet_id in (low, broke, indebted, failed, fine):
        wallets.topup(wallet_id, 100, idempotency_key=f"t{wallet_id}")
    wallets.configure(low, low_balance_yen=50)
    wallets.charge(low, 60, idempotency_key="c")
    wallets.charge(broke, 100, idempotency_key="b")
    with pytest.raises(InsufficientFunds):
        wallets.charge(broke, 1, idempotency_key="b2")
    wallets.freeze(off, reason="fraud")
    closed = wallets.create().wallet_id
    wallets.close_wallet(closed, note="left")
    with PlainSql(db_url) as host:
        host.run("UPDATE am_credit_wallet SET debt_yen = 3 WHERE wallet_id = ?", indebted)
        for wallet_id, statuses in ((failed, ("credited", "failed")), (fine, ("failed", "credited"))):
            for minute, status in enumerate(statuses):
                host.run(
                    "INSERT INTO am_credit_topup (topup_id, wallet_id, amount_yen, origin, way, status, created_at, "
                    f"updated_at) VALUES (?, ?, 1, 'owner', 'intent', '{status}', ?, ?)",
                    *(f"tu_{wallet_id}_{minute}", wallet_id, f"2026-05-15T12:0{minute}:00.000Z", "2026-05-15"),
                )
    expected = {
        "low": [low, broke],
        "in_debt": [indebted],
        "exhausted": [broke],
        "disabled": [off, closed],
        "closed": [closed],
        "failed_topup": [failed],
    }
    assert {status: ids(wallets, status=status) for status in expected} == expected
    assert ids(wallets, f"w{low}", status="low") == [low]
    assert ids(wallets, "w", status="low", sort="-balance") == [low, broke]
    assert ids(wallets, "w", status="low", sort="-spent") == [broke, low]


SORTS: dict[WalletSort, str] = {
    "wallet_id": "wallet_id",
    "label": "label",
    "reference": "reference",
    "created_at": "created_at",
    "balance": "balance_yen",
    "spent": "current_cycle_spent_yen",
}


@pytest.mark.parametrize("gathered", [2_000, 2], ids=["gathered", "walked"])
def test_every_sort_shows_each_wallet_once_in_order_both_ways(
    wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch, gathered: int
) -> None:
    """However the search goes about it: what fits into memory is sorted there, the rest is walked through."""
    for number, label in enumerate(("beta", "Alpha", "beta", "", "alpha", "Émile", "東京")):
        reference = None if number % 3 else f"r{9 - number}"
        made: Any = {} if reference is None else {"reference": reference}
        wallets.create(label=f"{label} x", **made)
        wallets.topup(number + 1, 10 + number % 3, idempotency_key=str(number))
    monkeypatch.setattr(wallet_search, "GATHERED", gathered)
    monkeypatch.setattr(wallet_search, "STEP", 2)
    for sort, field in SORTS.items():
        if gathered == 2 and sort in ("balance", "spent"):
            with pytest.raises(InvalidRequest):
                wallets.search("x", sort=sort)
            continue
        rising = ids(wallets, "x", sort=sort)
        assert sorted(rising) == list(range(1, 8)), sort
        assert ids(wallets, "x", sort=f"-{sort}") == rising[::-1]
        values = [getattr(wallets.show(wallet_id), field) or "" for wallet_id in rising]
        if field != "label":
            assert values == sorted(values)
        else:
            assert [sorted_form(value) for value in values] == sorted(map(sorted_form, values))


def test_a_page_ends_after_a_bounded_look_and_the_next_goes_on(
    wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        wallets.create(label=f"common {'rare' if number == 19 else 'x'} common{number}")
    monkeypatch.setattr(wallet_search, "GATHERED", 0)
    monkeypatch.setattr(wallet_search, "STEP", 5)
    monkeypatch.setattr(wallet_search, "LOOKED_AT", 5)
    page = wallets.search("rare")
    assert (page.wallets, page.next_cursor is None) == ([], False)
    assert ids(wallets, "rare") == [20]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"query": "x" * 301}, "query"),
        ({"query": "a b c d e f g h i"}, "query"),
        ({"sort": "token"}, "sort"),
        ({"status": "rich"}, "status"),
        ({"cursor": "no such"}, "cursor"),
        ({"cursor": "bm8"}, "cursor"),
        ({"limit": 0}, "limit"),
        ({"reference": ""}, "reference"),
        ({"sort": "balance"}, "sort"),
    ],
)
def test_what_cannot_be_asked_is_refused(wallets: CreditWallet, given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        wallets.search(**given)
    assert refusal.value.details["field"] == field


def test_the_command_line_takes_the_same_words() -> None:
    assert (set(STATUSES), set(SORTS_OF_THE_COMMAND)) == (set(get_args(WalletStatus)), set(get_args(WalletSort)))


def test_a_long_text_has_a_bounded_number_of_terms() -> None:
    assert len(terms_of(["研" * 40 + chr(0x4E00 + number) * 60 for number in range(500)])) <= MAX_TERMS
