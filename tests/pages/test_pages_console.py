"""The operator's console without a browser: what each role is offered, that money moves once, and what is not shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from service import OPERATOR_KEY, Api, new_app
from visiting import Visitor

from credit_wallet import CreditWallet
from credit_wallet.domain.permissions import Role

PAGES = (
    "/console",
    "/console/wallets",
    "/console/wallets?status=in_debt&sort=-balance",
    "/console/wallets?sort=label&cursor=none",
    "/console/find",
    "/console/find?q=order-1",
    "/console/payments",
    "/console/payments?status=all",
    "/console/deliveries",
    "/console/prices",
    "/console/prices/history",
    "/console/health",
    "/console/wallets/1/corrections",
)
FOR_ADMINISTRATORS = (
    "/console/operators",
    "/console/operators/1",
    "/console/log",
    "/console/log?kind=wallet&since=2026-01-01",
    "/console/prices/change",
)
STRANGE = "<script>alert(1)</script>'\"&"


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets, public_url="http://wallet.test")) as opened:
        yield opened


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    made = wallets.create(label=STRANGE, reference="cust_1", metadata={"plan": STRANGE})
    wallets.topup(made.wallet_id, 1_000, idempotency_key="first", note=STRANGE)
    wallets.charge(made.wallet_id, 10, idempotency_key="charge", reference="order-1", note=STRANGE)
    return made.wallet_id


def operator(api: Api, wallets: CreditWallet, role: Role = "admin") -> Visitor:
    return Visitor(api).sign_in(wallets.operators.create(f"the-{role}", role).token)


@pytest.mark.usefixtures("wallet_id")
@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_page_is_shown_and_what_strangers_write_stays_text(
    api: Api, wallets: CreditWallet, language: str
) -> None:
    ann = Visitor(api, language).sign_in(wallets.operators.create("ann", "admin").token)
    for path in (*PAGES, *FOR_ADMINISTRATORS):
        answer = ann.get(path)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text, path


@pytest.mark.usefixtures("wallet_id")
def test_who_may_only_look_sees_the_same_without_forms(api: Api, wallets: CreditWallet) -> None:
    vic = operator(api, wallets, "viewer")
    for path in PAGES:
        answer = vic.get(path)
        assert answer.status_code == 200, path
        forms = set(re.findall(r'<form method="post" action="([^"?]+)', answer.text))
        assert forms <= {"/sign-out", "/console/wallets", "/console/find"}, path
    for path in FOR_ADMINISTRATORS:
        if "prices" not in path:
            assert vic.get(path).status_code == 403, path


OFFERED: dict[Role, set[str]] = {
    "viewer": set(),
    "support": {"link", "token", "secrets", "freeze", "hand-over", "metadata"},
    "finance": {"topup", "grants", "adjust", "take-back", "merge", "close"},
    "admin": {
        *("link", "token", "secrets", "freeze", "hand-over", "metadata"),
        *("topup", "grants", "adjust", "take-back", "merge", "close", "price-group"),
    },
}


@pytest.mark.parametrize("role", OFFERED)
def test_corrections_offer_what_the_role_may(api: Api, wallets: CreditWallet, wallet_id: int, role: Role) -> None:
    html = operator(api, wallets, role).get(f"/console/wallets/{wallet_id}/corrections").text
    assert set(re.findall(r'action="/console/wallets/\d+/corrections/([a-z-]+)"', html)) == OFFERED[role]


def test_a_form_that_is_sent_twice_moves_money_once(api: Api, wallets: CreditWallet, wallet_id: int) -> None:
    here = f"/console/wallets/{wallet_id}/corrections"
    visitor = operator(api, wallets, "finance")
    fields = {**visitor.form(visitor.get(here).text, f"{here}/topup"), "amount_yen": "1,500", "confirmed": "1"}
    for _ in range(2):
        answer = visitor.send(f"{here}/topup", {**fields, "kind": "paid"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{here}?done=topped-up")
    assert wallets.show(wallet_id).balance == 2_490


def test_nothing_moves_that_was_not_confirmed(api: Api, wallets: CreditWallet, wallet_id: int) -> None:
    visitor = operator(api, wallets)
    here = f"/console/wallets/{wallet_id}/corrections"
    sent = {"amount_yen": "5", "reason": "other", "note": "n", "direction": "add", "txn_id": "1", "into_wallet_id": "9"}
    for form in ("topup", "grants", "adjust", "take-back", "close", "merge", "hand-over", "token"):
        answer = visitor.send(f"{here}/{form}", {**visitor.form(visitor.get(here).text, f"{here}/{form}"), **sent})
        assert answer.status_code == 422, form
        assert "tick the box" in answer.text, form
    frozen = {**visitor.form(visitor.get(here).text, f"{here}/freeze"), "reason": "other"}
    answer = visitor.send(f"{here}/freeze", frozen)
    assert answer.status_code == 422
    shown = wallets.show(wallet_id)
    assert (int(shown.balance), shown.frozen, shown.closed_at, shown.reference) == (990, False, None, "cust_1")


def test_a_refused_form_stands_open_with_what_was_sent(api: Api, wallets: CreditWallet, wallet_id: int) -> None:
    visitor = operator(api, wallets)
    here = f"/console/wallets/{wallet_id}/corrections"
    answer = visitor.fill(
        here, f"{here}/adjust", amount_yen="5000", direction="take", reason="fraud", note="too much", confirmed="1"
    )
    assert answer.status_code == 402
    task = re.search(r'<details class="task[^"]*" open>(.*?)</details>', answer.text, re.DOTALL)
    assert task is not None
    assert 'value="5000"' in task[1]
    assert 'value="too much"' in task[1]
    assert re.search(r'<option value="fraud" selected', task[1])


def test_a_token_that_is_looked_for_is_in_no_address(api: Api, wallets: CreditWallet, wallet_id: int) -> None:
    token = wallets.rotate_owner_token(wallet_id, overlap_seconds=0).owner_token
    visitor = operator(api, wallets, "viewer")
    for path, name in (("/console/wallets", "query"), ("/console/find", "q")):
        answer = visitor.fill(path, path, **{name: token})
        assert answer.status_code == 200, path
        assert f"/console/wallets/{wallet_id}" in answer.text
        assert token not in answer.text
        for copied in (f'"{token}"', f"Authorization: Bearer {token}", f"token={token}"):
            answer = visitor.fill(path, path, **{name: copied})
            assert answer.status_code == 200, copied
            assert f"/console/wallets/{wallet_id}" in answer.text, copied
            assert token not in answer.text
        for kept in ("sk-a-key-of-the-hosts", "bearer hunter2", OPERATOR_KEY, f"{uuid4()}"):
            assert visitor.fill(path, path, **{name: kept}).status_code == 200, kept
        named = visitor.fill(path, path, **{name: "cust_1"})
        assert (named.status_code, named.headers["location"]) == (303, f"{path}?{name}=cust_1")


def test_a_token_that_is_revoked_is_not_shown_again(api: Api, wallets: CreditWallet, wallet_id: int) -> None:
    key = wallets.keys.create(wallet_id, label="bot")
    visitor = operator(api, wallets, "support")
    nonsense = f"{key.token[:-1]}!"
    refused = visitor.fill("/console/revoke-token", "/console/revoke-token", token=nonsense)
    assert refused.status_code in (404, 422)
    assert nonsense not in refused.text
    done = visitor.fill("/console/revoke-token", "/console/revoke-token", token=key.token)
    assert "It was an agent key." in done.text
    assert key.token not in done.text
    assert wallets.keys.show(key.key_id).revoked_at is not None


def test_personal_data_is_a_file_of_lines(api: Api, wallets: CreditWallet, wallet_id: int) -> None:
    for number in range(600):
        wallets.charge(wallet_id, "0.001", idempotency_key=f"{number}", note="a note")
    answer = operator(api, wallets).get(f"/console/wallets/{wallet_id}/corrections/personal-data")
    assert answer.headers["content-disposition"] == f'attachment; filename="wallet-{wallet_id}-personal-data.jsonl"'
    assert len(answer.text.strip().split("\n")) > 600


def test_a_list_that_cannot_be_sorted_says_so(api: Api, wallets: CreditWallet, wallet_id: int) -> None:
    answer = operator(api, wallets, "viewer").get("/console/wallets?sort=nonsense")
    assert answer.status_code == 200
    assert "All wallets are shown, as they were made" in answer.text
    assert f"/console/wallets/{wallet_id}" in answer.text
