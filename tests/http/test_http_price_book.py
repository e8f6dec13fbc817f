"""The price book over HTTP: what operators see, a file that is compared and applied, what versions changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clock import Clock
from databases import on_both_databases
from http_answers import assert_problem
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet

pytestmark = on_both_databases

FIRST = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "search"
unit_price_yen = "2.80"
group = "partners"

[[price]]
item = "tokens"
per = 1000
tiers = [{up_to = 1000000, unit_price_yen = "0.2"}, {unit_price_yen = "0.15"}]
"""
SECOND = FIRST.replace("3.30", "3.63").replace("tokens", "pages")


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets)) as opened:
        yield opened


def test_a_book_without_prices_is_version_0(api: Api) -> None:
    assert api.get("/operator/prices", OPERATOR_KEY).json() == {"version": 0, "prices": []}
    assert api.get("/operator/prices/revisions", OPERATOR_KEY).json() == {"revisions": [], "next_cursor": None}


def test_a_file_is_compared_and_nothing_changes(api: Api, wallets: CreditWallet) -> None:
    found = api.post("/operator/prices", OPERATOR_KEY, prices=FIRST, dry_run=True).json()
    assert (found["version"], found["dry_run"], len(found["changes"])) == (0, True, 3)
    assert {change["change"] for change in found["changes"]} == {"added"}
    assert wallets.prices.versions() == []


def test_a_file_is_applied_and_shown(api: Api) -> None:
    assert api.post("/operator/prices", OPERATOR_KEY, prices=FIRST).json()["version"] == 1
    again = api.post("/operator/prices", OPERATOR_KEY, prices=FIRST).json()
    assert (again["version"], again["changes"]) == (1, [])
    book = api.get("/operator/prices", OPERATOR_KEY).json()
    assert [(price["item"], price["group"], price["unit_price"], price["per"]) for price in book["prices"]] == [
        ("search", None, "3.3", 1),
        ("search", "partners", "2.8", 1),
        ("tokens", None, None, 1000),
    ]


def test_a_revision_says_who_applied_it_and_what_it_changed(api: Api, wallets: CreditWallet, clock: Clock) -> None:
    ann = wallets.operators.create("ann", "admin")
    api.post("/operator/prices", OPERATOR_KEY, prices=FIRST)
    clock.advance(days=1)
    api.post("/operator/prices", ann.token, prices=SECOND)
    page = api.get("/operator/prices/revisions", OPERATOR_KEY, limit=1).json()
    [second] = page["revisions"]
    assert (second["version"], second["applied_by"]) == (2, f"operator:{ann.operator_id}")
    assert [(change["item"], change["change"], change["before"], change["after"]) for change in second["changes"]] == [
        ("pages", "added", None, "¥0.2 per 1,000 up to 1,000,000, then ¥0.15 per 1,000"),
        ("search", "changed", "¥3.3", "¥3.63"),
        ("tokens", "removed", "¥0.2 per 1,000 up to 1,000,000, then ¥0.15 per 1,000", None),
    ]
    rest = api.get("/operator/prices/revisions", OPERATOR_KEY, cursor=page["next_cursor"]).json()
    assert ([each["version"] for each in rest["revisions"]], rest["next_cursor"]) == ([1], None)
    assert [change["change"] for change in rest["revisions"][0]["changes"]] == ["added"] * 3


def test_what_is_wrong_is_named_and_nothing_is_applied(api: Api, wallets: CreditWallet) -> None:
    api.post("/operator/prices", OPERATOR_KEY, prices=FIRST)
    for wrong in ("[[price]]", "x = ", '[[price]]\nitem = "A"\nunit_price_yen = "1"', ""):
        refused = api.post("/operator/prices", OPERATOR_KEY, prices=wrong)
        assert_problem(refused, 422, "invalid_request", field="prices")
    assert wallets.prices.versions()[0].version == 1
    assert api.post("/operator/prices", OPERATOR_KEY, prices="", allow_empty=True).json()["version"] == 2


def test_a_text_is_never_a_file_of_the_service(api: Api, wallets: CreditWallet, tmp_path: Path) -> None:
    """Whoever may change prices reads no file of the machine with it, not even whether it is there."""
    (tmp_path / "prices").write_text(FIRST, encoding="utf-8")
    for path in (str(tmp_path / "prices"), "/etc/hostname", "prices.toml"):
        refused = api.post("/operator/prices", OPERATOR_KEY, prices=path)
        assert_problem(refused, 422, "invalid_request", field="prices")
        assert "No such file" not in refused.json()["detail"]
    assert wallets.prices.versions() == []


def test_only_administrators_apply(api: Api, wallets: CreditWallet) -> None:
    for role in ("viewer", "support", "finance"):
        token = wallets.operators.create(f"the-{role}", role).token
        assert_problem(api.post("/operator/prices", token, prices=FIRST, dry_run=True), 403, "forbidden")
        assert api.get("/operator/prices", token).status_code == 200
    owner = wallets.create().owner_token
    assert_problem(api.get("/operator/prices", owner), 403, "forbidden")
    assert_problem(api.get("/operator/prices/revisions", owner), 403, "forbidden")
