"""The log of acts: what is done besides moving money leaves a row, in the same transaction, under its author's name."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases
from msgspec import json
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.actors import PAYER
from credit_wallet.domain.acts import OWNER, ActView, Author, as_owner_sees
from credit_wallet.errors import InvalidRequest, TooManyChanges, TooManyTokens, WalletNotFound
from credit_wallet.ledger.log import act_filter
from credit_wallet.notices.targets import TargetSettings
from credit_wallet.reports.audit import audit_file

ALICE = Author("operator", "operator:3", "203.0.113.7", "req-1", "asked for by phone")


def log(wallets: CreditWallet, wallet_id: int | None = None) -> list[tuple[str, str, Any, Any]]:
    return [(act.kind, act.subject, act.before, act.after) for act in wallets.log(wallet_id)[::-1]]


def test_settings_leave_what_changed_and_who_did_it(wallets: CreditWallet) -> None:
    wallet_id = wallets.create(label="a").wallet_id
    by_alice = wallets.acting(ALICE)
    by_alice.configure(wallet_id, monthly_budget_yen=500, label="a")
    by_alice.configure(wallet_id, monthly_budget_yen=500)
    [act, _] = wallets.log(wallet_id)
    assert (act.kind, act.before, act.after) == (
        "wallet.configured",
        {"monthly_budget_yen": 0},
        {"monthly_budget_yen": 500},
    )
    assert (act.by, act.actor, act.address, act.request_id, act.note) == (
        "operator:3",
        "operator",
        "203.0.113.7",
        "req-1",
        "asked for by phone",
    )


def test_keys_and_budgets_leave_acts(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    key_id = wallets.keys.create(wallet_id, label="one").key_id
    wallets.keys.configure(key_id, label="two")
    wallets.keys.rotate(key_id, overlap_seconds=0)
    wallets.keys.revoke(key_id)
    wallets.keys.revoke(key_id)
    budget_id = wallets.budgets.create(wallet_id, limit_yen=5, window="day").budget_id
    wallets.budgets.configure(budget_id, limit_yen=6)
    wallets.budgets.delete(budget_id)
    kinds = [kind for kind, *_ in log(wallets, wallet_id)]
    assert kinds == [
        "wallet.created",
        "key.created",
        "key.configured",
        "key.token_rotated",
        "key.revoked",
        "budget.created",
        "budget.configured",
        "budget.deleted",
    ]
    assert (f"key:{key_id}", {"label": "one"}, {"label": "two"}) in [each[1:] for each in log(wallets)]


def test_what_is_refused_leaves_nothing(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    for _ in range(10):
        wallets.rotate_owner_token(wallet_id)
    before = log(wallets)
    with pytest.raises(TooManyTokens):
        wallets.rotate_owner_token(wallet_id)
    with pytest.raises(InvalidRequest):
        wallets.configure(wallet_id, monthly_budget_yen=-1)
    assert log(wallets) == before


@on_both_databases
def test_the_log_is_asked_for_by_wallet_author_kind_thing_and_time(wallets: CreditWallet, clock: Clock) -> None:
    one, two = wallets.create().wallet_id, wallets.create().wallet_id
    clock.advance(days=1)
    wallets.acting(ALICE).configure(one, monthly_budget_yen=5)
    budget_id = wallets.budgets.create(two, limit_yen=5, window="day").budget_id
    wallets.acting(ALICE).budgets.configure(budget_id, limit_yen=6)
    wallets.prices.apply('[[price]]\nitem = "search"\nunit_price_yen = "3"\n')

    def kinds(*args: Any, **asked: Any) -> str:
        return " ".join(act.kind for act in wallets.log(*args, **asked))

    everything = "prices.applied budget.configured budget.created wallet.configured wallet.created wallet.created"
    assert kinds() == everything
    assert kinds(one) == "wallet.configured wallet.created"
    assert kinds(by="operator:3") == "budget.configured wallet.configured"
    assert kinds(one, by="operator:3") == "wallet.configured"
    assert kinds(kind="budget") == "budget.configured budget.created"
    assert kinds(kind="budget.created") == "budget.created"
    assert kinds(kind="b%") == ""
    assert kinds(subject=f"budget:{budget_id}") == "budget.configured budget.created"
    assert kinds(one, subject=f"budget:{budget_id}") == ""
    assert kinds(until="2026-05-15") == "wallet.created wallet.created"
    assert kinds(since="2026-05-16T00:00:00Z", limit=1) == "prices.applied"
    assert kinds(before=wallets.log()[3].act_id) == "wallet.created wallet.created"
    pages = wallets.log_pages(act_filter(kind="wallet"))
    assert [act.kind for page in pages for act in page] == ["wallet.configured", "wallet.created", "wallet.created"]
    wrongs: tuple[dict[str, Any], ...] = (
        {"since": "2026-W01"},
        {"until": "now"},
        {"kind": ""},
        {"by": "x" * 101},
        {"limit": 0},
        {"before": -1},
    )
    for wrong in wrongs:
        with pytest.raises(InvalidRequest) as refused:
            wallets.log(**wrong)
        assert refused.value.details["field"] == next(iter(wrong)).replace("before", "after")
    with pytest.raises(WalletNotFound):
        wallets.log(9)


def test_an_owner_sees_what_operators_did_and_not_which_of_them_or_why(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.acting(ALICE).configure(wallet_id, label="a")
    wallets.acting(Author(PAYER, "owner", "198.51.100.7", "req-2", "mine")).configure(wallet_id, label="b")
    own, operators, _ = [as_owner_sees(act) for act in wallets.log(wallet_id)]
    assert (own.by, own.address, own.request_id, own.note) == ("owner", "198.51.100.7", "req-2", "mine")
    assert (operators.by, operators.address, operators.request_id, operators.note) == ("operator", None, None, None)
    assert operators.after == {"label": "a"}


@on_both_databases
@pytest.mark.parametrize("limit", [1, 3, 1_000])
def test_what_is_kept_about_people_comes_page_by_page_and_whole(wallets: CreditWallet, limit: int) -> None:
    wallet_id = wallets.create(label="Ms Sato", reference="sato@example.com", metadata={"tel": "03"}).wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="start", note="cash")
    wallets.keys.create(wallet_id, label="her agent", metadata={"desk": "sato"})
    wallets.keys.create(wallet_id, reference="sato-2")
    wallets.keys.create(wallet_id)
    wallets.targets.add(wallet_id, TargetSettings(url="mailto:sato@example.com"), mail=True, confirmed=True)
    wallets.budgets.create(wallet_id, limit_yen=5, window="day", label="home")
    wallets.grants.create(wallet_id, 5, note="thanks")
    wallets.hold(wallet_id, 1, idempotency_key="h", note="a question")
    wallets.configure(wallet_id, auto_topup_threshold=10, auto_topup_amount=20, auto_topup_consent="yes, Sato")
    wallets.charge(wallet_id, 1, idempotency_key="c", facts={"run": "sato-1"})
    wallets.charge(wallet_id, 1, idempotency_key="d", reference="sato-order", metadata={"for": "sato"})
    wallets.freeze(wallet_id, reason="other", note="she asked")
    wallets.create(label="somebody else")
    items, cursor = [], None
    while True:
        page = wallets.personal_data(wallet_id, cursor=cursor, limit=limit)
        assert len(page.items) <= limit
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    said = [(item.kind, item.data) for item in items if item.kind != "act"]
    assert said == [
        (
            "wallet",
            {
                "label": "Ms Sato",
                "time_zone": "UTC",
                "reference": "sato@example.com",
                "metadata": {"tel": "03"},
                "frozen_note": "she asked",
            },
        ),
        ("key", {"label": "her agent", "metadata": {"desk": "sato"}}),
        ("key", {"reference": "sato-2"}),
        ("target", {"address": "mailto:sato@example.com"}),
        ("consent", {"consented_by": "operator", "text": "yes, Sato"}),
        ("budget", {"label": "home", "scope": "[]"}),
        ("grant", {"note": "thanks"}),
        ("hold", {"note": "a question"}),
        ("entry", {"reference": "sato-order", "metadata": {"for": "sato"}, "idempotency_key": "d"}),
        ("entry", {"facts": {"run": "sato-1"}}),
        ("entry", {"note": "cash"}),
    ]
    assert [item.id for item in items if item.kind == "act"] == [act.act_id for act in wallets.log(wallet_id)]
    for wrong in ("", "entry", "nothing:1", "entry:-1", f"entry:{10**30}"):
        with pytest.raises(InvalidRequest):
            wallets.personal_data(wallet_id, cursor=wrong)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_log_as_a_file_has_every_act_and_no_formula(wallets: CreditWallet, form: Any) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.acting(Author("operator", "alice", note="=1+1")).configure(wallet_id, label='a "b", c')
    text = "".join(audit_file(wallets.log_pages(act_filter(wallet_id)), form))
    acts = wallets.log(wallet_id)
    if form == "jsonl":
        assert [json.decode(line, type=ActView) for line in text.splitlines()] == acts
        return
    head, *rows = csv.reader(text.splitlines())
    assert head == [*ActView.__struct_fields__]
    assert [row[0] for row in rows] == [str(act.act_id) for act in acts]
    assert (rows[0][10], rows[0][-1]) == ('{"label":"a \\"b\\", c"}', "'=1+1")


@on_both_databases
def test_the_log_is_append_only(wallets: CreditWallet, db_url: str) -> None:
    wallets.create()
    with PlainSql(db_url) as host:
        for statement in ("DELETE FROM am_credit_act", "UPDATE am_credit_act SET author = 'nobody'"):
            with pytest.raises(Exception, match="append-only"):
                host.run(statement)


@pytest.mark.parametrize(
    "author", [Author("nobody", "a"), Author(PAYER, ""), Author(PAYER, "a\nb"), Author(PAYER, "a", note="x" * 501)]
)
def test_an_author_has_a_printable_name_and_a_known_capacity(wallets: CreditWallet, author: Author) -> None:
    with pytest.raises(InvalidRequest):
        wallets.acting(author)


def test_an_owner_fills_no_log_without_end(
    wallets: CreditWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("credit_wallet.stores.acts.MAX_PAYERS_ACTS", 5)
    wallet_id = wallets.create().wallet_id
    by_owner = wallets.acting(OWNER)
    for number in range(5):
        by_owner.configure(wallet_id, label=f"label {number}")
    for change in (
        lambda: by_owner.configure(wallet_id, label="one more"),
        lambda: by_owner.keys.create(wallet_id),
        lambda: by_owner.budgets.create(wallet_id, limit_yen=5, window="day"),
        lambda: by_owner.targets.set(wallet_id, []),
    ):
        with pytest.raises(TooManyChanges) as refused:
            change()
        assert refused.value.details["retry_after_seconds"] in range(86_300, 86_401)
    wallets.configure(wallet_id, label="an operator may")
    wallets.acting(Author(PAYER, "agent:7")).configure(wallet_id, label="and another agent")
    clock.advance(days=1, seconds=1)
    by_owner.configure(wallet_id, label="and so may the owner, a day later")
