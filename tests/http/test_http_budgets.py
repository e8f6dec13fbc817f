"""Budgets over HTTP: an owner's, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases
from http_answers import assert_problem
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedKey, CreatedWallet

SOON = "2027-01-01"

pytestmark = on_both_databases

SEARCHES: dict[str, Any] = {"limit_yen": "100.5", "window": "day", "scope": {"tool": "search"}, "label": "searches"}


@pytest.fixture
def agent(wallets: CreditWallet, wallet: CreatedWallet) -> CreatedKey:
    return wallets.keys.create(wallet.wallet_id, label="agent", group="acme/research", monthly_cap_yen=500)


def created(api: Api, token: str, **budget: Any) -> dict[str, Any]:
    answer = api.call("POST", "/credit/budgets", token, json=budget)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_a_budget_is_made_used_changed_and_deleted(api: Api, token: str, wallet: CreatedWallet, clock: Clock) -> None:
    made = created(api, token, **SEARCHES)
    assert made == {
        "budget_id": "budget-1",
        "wallet_id": wallet.wallet_id,
        "label": "searches",
        "unit": "yen",
        "window": "day",
        "scope": {"tool": "search"},
        "mode": "cap",
        "shares_pct": [80, 100],
        "time_zone": "UTC",
        "week_start": "monday",
        "limit": "100.5",
        "spent": "0",
        "held": "0",
        "left": "100.5",
        "resets_at": "2026-05-16T00:00:00.000Z",
        "raised_limit": None,
        "raised_until": None,
        "refused": "0",
        "refusals": 0,
        "each_value": False,
        "values": 0,
        "value": None,
        "created_at": "2026-05-15T12:00:00.000Z",
    }
    facts = {"tool": "search"}
    assert api.post("/credit/charge", token, key="a", amount_yen="90.3", facts=facts).status_code == 200
    assert api.post("/credit/hold", token, key="h", amount_yen=10, facts=facts).status_code == 200
    shown = api.get("/credit/budgets/budget-1", token).json()
    assert (shown["spent"], shown["held"], shown["left"]) == ("90.3", "10", "0.2")
    refused = api.post("/credit/charge", token, key="b", amount_yen=1, facts=facts)
    assert_problem(refused, 402, "budget_exhausted", max_amount="0.2", retry_at="2026-05-16T00:00:00.000Z")
    clock.advance(minutes=1)
    path = "/credit/budgets/budget-1"
    changed = api.call(
        "PATCH", path, token, json={"limit_yen": 120, "mode": "alert", "label": None, "shares_pct": [50]}
    )
    assert (changed.status_code, changed.json()["limit"], changed.json()["left"]) == (200, "120", "19.7")
    assert [each["budget_id"] for each in api.get("/credit/budgets", token).json()] == ["monthly-1", "budget-1"]
    assert api.call("DELETE", path, token).json() == changed.json()
    assert_problem(api.get(path, token), 404, "budget_not_found", budget_id="budget-1")
    assert_problem(api.call("DELETE", path, token), 404, "budget_not_found")
    log = api.get("/credit/budgets/changes", token).json()
    assert [(each["budget_id"], each["changed_by"]) for each in log] == [("budget-1", "payer")] * 3
    assert (log[0]["after"], log[1]["before"]["limit"], log[1]["after"]["limit"], log[2]["before"]) == (
        None,
        "100.5",
        "120",
        None,
    )
    assert (log[0]["after_txn_id"], log[2]["after_txn_id"]) == (2, 1)


def test_a_limit_on_calls_of_each_run(api: Api, token: str) -> None:
    made = created(api, token, limit_calls=2, window="rolling:24h", scope={"run": "*"})
    assert (made["unit"], made["limit"], made["each_value"], made["resets_at"]) == ("calls", "2", True, None)
    for number, run in enumerate(("r1", "r2", "r1")):
        answer = api.post("/credit/charge", token, key=f"{number}", amount_yen=1, facts={"run": run})
        assert answer.status_code == 200
    refused = api.post("/credit/charge", token, key="again", amount_yen=1, facts={"run": "r1"})
    assert_problem(refused, 429, "call_limit_reached", max_amount="0", retry_after_seconds=24 * 3600)
    assert (refused.json()["budget"]["value"], refused.headers["retry-after"]) == ("r1", "86400")
    values = api.get("/credit/budgets/budget-1/values", token).json()
    assert [(each["value"], each["spent"], each["left"]) for each in values] == [("r1", "2", "0"), ("r2", "1", "1")]
    after = api.get("/credit/budgets/budget-1/values", token, after="r1", limit=1).json()
    assert [each["value"] for each in after] == ["r2"]
    shown = api.get("/credit/budgets/budget-1", token).json()
    assert (shown["values"], shown["value"], shown["left"]) == (2, "r1", "0")


def test_a_raise_lasts_until_it_ends(api: Api, token: str, clock: Clock) -> None:
    created(api, token, limit_yen=10, window="total", raised_limit_yen=20, raised_until="2026-05-15")
    path = "/credit/budgets/budget-1"
    shown = api.get(path, token).json()
    assert (shown["limit"], shown["left"], shown["raised_limit"]) == ("10", "20", "20")
    assert shown["raised_until"] == "2026-05-16T00:00:00.000Z"
    ended = api.call("PATCH", path, token, json={"raised_until": None}).json()
    assert (ended["left"], ended["raised_limit"], ended["raised_until"]) == ("10", None, None)
    raised = api.call("PATCH", path, token, json={"raised_limit_yen": "12.5", "raised_until": "2026-05-15T13:00:00Z"})
    assert raised.json()["left"] == "12.5"
    clock.advance(hours=1)
    assert api.get(path, token).json()["left"] == "10"


def test_the_longest_value_is_a_place_in_a_page(api: Api, token: str) -> None:
    facts = dict.fromkeys("abcd", "," * 64)
    created(api, token, limit_calls=9, window="day", scope=dict.fromkeys(facts, "*"))
    assert api.post("/credit/charge", token, key="k", amount_yen=1, facts=facts).status_code == 200
    path = "/credit/budgets/budget-1/values"
    [longest] = api.get(path, token).json()
    assert api.get(path, token, after=longest["value"]).json() == []


def test_the_monthly_budget_and_caps_are_budgets_too(api: Api, token: str, agent: CreatedKey) -> None:
    listed = api.get("/credit/budgets", token).json()
    assert [(each["budget_id"], each["limit"], each["mode"]) for each in listed] == [
        ("monthly-1", "10000", "alert"),
        (f"key-{agent.key_id}", "500", "cap"),
    ]
    monthly = api.call("PATCH", "/credit/budgets/monthly-1", token, json={"limit_yen": 300, "mode": "cap"}).json()
    assert (monthly["limit"], monthly["mode"]) == ("300", "cap")
    assert api.get("/credit/wallet", token).json()["monthly_budget_yen"] == 300
    api.call("PATCH", f"/credit/budgets/key-{agent.key_id}", token, json={"limit_yen": 7})
    assert api.get(f"/credit/keys/{agent.key_id}", token).json()["monthly_cap_yen"] == 7
    for body, field in (
        ({"limit_calls": 3}, "limit_calls"),
        ({"label": "x"}, "label"),
        ({"limit_yen": "1.5"}, "limit_yen"),
    ):
        answer = api.call("PATCH", "/credit/budgets/monthly-1", token, json=body)
        assert_problem(answer, 422, "invalid_request", field=field)
    assert_problem(api.call("DELETE", "/credit/budgets/monthly-1", token), 422, "invalid_request", field="budget_id")
    refused = api.post("/credit/charge", agent.token, key="a", amount_yen=8)
    assert_problem(refused, 402, "key_cap_exhausted", max_amount="7", monthly_cap_yen=7)
    assert refused.json()["budget"]["budget_id"] == f"key-{agent.key_id}"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"window": "day"}, "limit_yen"),
        ({"limit_yen": 1, "limit_calls": 1, "window": "day"}, "limit_calls"),
        ({"limit_yen": 1}, "window"),
        ({"limit_yen": 1.5, "window": "day"}, "limit_yen"),
        ({"limit_yen": -1, "window": "day"}, "limit_yen"),
        ({"limit_yen": "1e3", "window": "day"}, "limit_yen"),
        ({"limit_yen": "0.0000001", "window": "day"}, "limit_yen"),
        ({"limit_yen": 1, "window": "fortnight"}, "window"),
        ({"limit_yen": 1, "window": "rolling:90s"}, "window"),
        ({"limit_yen": 1, "window": "rolling:32d"}, "window"),
        ({"limit_yen": 1, "window": "day", "scope": {"Tool": "x"}}, "scope"),
        ({"limit_yen": 1, "window": "day", "scope": {"group": "*"}}, "scope.group"),
        ({"limit_yen": 1, "window": "day", "scope": {"item": "*", "a": "*", "b": "*", "c": "*", "d": "*"}}, "scope"),
        ({"limit_yen": 1, "window": "day", "mode": "strict"}, "mode"),
        ({"limit_yen": 1, "window": "day", "shares_pct": []}, "shares_pct"),
        ({"limit_yen": 1, "window": "day", "shares_pct": [100, 80]}, "shares_pct"),
        ({"limit_yen": 1, "window": "week", "week_start": "noday"}, "week_start"),
        ({"limit_yen": 1, "window": "day", "time_zone": "Mars/Base"}, "time_zone"),
        ({"limit_yen": 1, "window": "day", "budget_id": "budget-1"}, "budget_id"),
        ({"limit_yen": 1, "window": "day", "raised_limit_yen": 2}, "raised_until"),
        (
            {"limit_yen": 1, "window": "day", "raised_limit_calls": 2, "raised_until": SOON},
            "raised_limit_calls",
        ),
        ({"limit_yen": 1, "window": "day", "raised_until": "2027-01-01"}, "raised_limit_yen"),
        ({"limit_yen": 1, "window": "day", "raised_limit_yen": 2, "raised_until": "2025-01-01"}, "raised_until"),
        ({"limit_yen": 1, "window": "day", "raised_limit_yen": 2, "raise": "2027-01-01"}, "raise"),
    ],
)
def test_a_malformed_budget_is_refused_by_its_field(api: Api, token: str, body: dict[str, Any], field: str) -> None:
    answer = api.call("POST", "/credit/budgets", token, json=body)
    assert_problem(answer, 422, "invalid_request", field=field)
    assert [each["budget_id"] for each in api.get("/credit/budgets", token).json()] == ["monthly-1"]


def test_somebody_elses_budget_does_not_exist(
    api: Api, token: str, stranger: CreatedWallet, wallets: CreditWallet
) -> None:
    theirs = wallets.budgets.create(stranger.wallet_id, limit_yen=100, window="day").budget_id
    key = wallets.keys.create(stranger.wallet_id, monthly_cap_yen=5)
    ids = (theirs, f"monthly-{stranger.wallet_id}", f"key-{key.key_id}", "budget-99", "monthly-99", "key-99")
    for budget_id in ids:
        path = f"/credit/budgets/{budget_id}"
        for answer in (
            api.get(path, token),
            api.get(f"{path}/values", token),
            api.call("PATCH", path, token, json={"limit_yen": 0}),
            api.call("DELETE", path, token),
        ):
            assert_problem(answer, 404, "budget_not_found", budget_id=budget_id)
    assert api.get("/credit/budgets/changes", token, budget_id=theirs).json() == []
    assert_problem(api.get("/credit/budgets", token, key_id=key.key_id), 404, "key_not_found", key_id=key.key_id)
    answer = api.call("POST", "/credit/budgets", token, json={**SEARCHES, "scope": {"key_id": key.key_id}})
    assert_problem(answer, 404, "key_not_found", key_id=key.key_id)
    assert [each.changed_by for each in wallets.budgets.changes(stranger.wallet_id)] == ["operator"] * 2


def test_only_an_owner_sees_and_changes_budgets(api: Api, token: str, agent: CreatedKey) -> None:
    created(api, token, **SEARCHES)
    for caller in (agent.token, OPERATOR_KEY):
        for method, path, body in (
            ("GET", "/credit/budgets", None),
            ("POST", "/credit/budgets", SEARCHES),
            ("GET", "/credit/budgets/changes", None),
            ("GET", "/credit/budgets/budget-1", None),
            ("GET", "/credit/budgets/budget-1/values", None),
            ("PATCH", "/credit/budgets/budget-1", {"limit_yen": 1}),
            ("DELETE", "/credit/budgets/budget-1", None),
            ("PATCH", f"/credit/keys/{agent.key_id}", {"monthly_cap_yen": 0}),
        ):
            assert_problem(api.call(method, path, caller, json=body), 403, "forbidden")
    assert_problem(api.get("/credit/budgets"), 401, "unauthorized")


def test_an_agent_sees_what_bounds_it(api: Api, token: str, wallets: CreditWallet, agent: CreatedKey) -> None:
    other = wallets.keys.create(1, label="other", group="acme/sales")
    created(api, token, limit_yen=50, window="day", scope={"run": "*"}, label="a run")
    created(api, token, limit_yen=40, window="day", scope={"group": "acme"}, label="acme")
    created(api, token, limit_yen=30, window="day", scope={"group": "acme/sales"}, label="sales")
    created(api, token, limit_yen=20, window="day", scope={"key_id": "*"}, label="each agent")
    created(api, token, limit_yen=10, window="day", scope={"key_id": other.key_id}, label="other")
    assert api.post("/credit/charge", other.token, key="a", amount_yen=8).status_code == 200
    assert api.post("/credit/charge", agent.token, key="b", amount_yen=5).status_code == 200
    seen = api.get("/credit/wallet", agent.token).json()
    assert [(each["label"], each["left"]) for each in seen["budgets"]] == [
        (None, "9987"),
        ("agent", "495"),
        ("acme", "27"),
        ("each agent", "15"),
        ("a run", "50"),
    ]
    assert seen["spendable"] == "15"
    assert api.get("/credit/wallet", other.token).json()["spendable"] == "2"
    assert [each["label"] for each in api.get("/credit/budgets", token, key_id=other.key_id).json()] == [
        None,
        "a run",
        "acme",
        "sales",
        "each agent",
        "other",
    ]


def test_pages_go_on_where_they_ended(api: Api, token: str, agent: CreatedKey) -> None:
    for label in ("a", "b", "c"):
        created(api, token, **SEARCHES | {"label": label})
    everything = [each["budget_id"] for each in api.get("/credit/budgets", token).json()]
    assert everything == ["monthly-1", f"key-{agent.key_id}", "budget-1", "budget-2", "budget-3"]
    found: list[str] = []
    while page := api.get("/credit/budgets", token, limit=2, **({"after": found[-1]} if found else {})).json():
        found += [each["budget_id"] for each in page]
    assert found == everything
    log = [each["change_id"] for each in api.get("/credit/budgets/changes", token).json()]
    rest = [each["change_id"] for each in api.get("/credit/budgets/changes", token, before=log[1], limit=2).json()]
    assert rest == log[2:4]
    for query in ({"after": "7"}, {"limit": 0}, {"key_id": 0}):
        assert_problem(api.get("/credit/budgets", token, **query), 422, "invalid_request", field=next(iter(query)))


def test_a_key_is_configured(api: Api, token: str, agent: CreatedKey) -> None:
    path = f"/credit/keys/{agent.key_id}"
    assert api.post("/credit/charge", agent.token, key="a", amount_yen=400).status_code == 200
    changed = api.call("PATCH", path, token, json={"monthly_cap_yen": 300, "label": "calmer"})
    assert (changed.status_code, changed.json()["monthly_cap_yen"], changed.json()["group"]) == (
        200,
        300,
        "acme/research",
    )
    refused = api.post("/credit/charge", agent.token, key="b", amount_yen=1)
    assert_problem(refused, 402, "key_cap_exhausted", max_amount="0")
    assert api.call("PATCH", path, token, json={"group": None, "monthly_cap_yen": 0}).json()["group"] is None
    assert api.post("/credit/charge", agent.token, key="b", amount_yen=1).status_code == 200
    for body, field in (({"group": "A"}, "group"), ({"group": "a/b/c/d/e"}, "group"), ({"cap": 1}, "cap")):
        assert_problem(api.call("PATCH", path, token, json=body), 422, "invalid_request", field=field)
    made = api.post("/credit/keys", token, label="new", group="acme").json()
    assert api.get(f"/credit/keys/{made['key_id']}", token).json()["group"] == "acme"
    log = api.get("/credit/budgets/changes", token, budget_id=f"key-{agent.key_id}").json()
    assert [each["changed_by"] for each in log] == ["payer", "payer", "operator"]


@pytest.mark.parametrize("fast_lane", [True, False])
def test_a_refusal_is_the_same_on_both_lanes(wallets: CreditWallet, wallet: CreatedWallet, *, fast_lane: bool) -> None:
    wallets.budgets.create(wallet.wallet_id, limit_calls=0, window="hour", label="none")
    with Api(new_app(wallets, fast_lane=fast_lane)) as api:
        refused = api.post("/credit/charge", wallet.owner_token, key="a", amount_yen=3)
    assert_problem(refused, 429, "call_limit_reached", max_amount_yen=0, max_amount="0", balance="10000", retry_at=None)
    assert "retry-after" not in refused.headers
    assert refused.headers["x-wallet-balance"] == "10000"
    assert refused.json()["budget"] == {
        "budget_id": "budget-1",
        "label": "none",
        "value": None,
        "unit": "calls",
        "window": "hour",
        "limit": "0",
        "spent": "0",
        "held": "0",
        "left": "0",
        "resets_at": "2026-05-15T13:00:00.000Z",
    }


def test_facts_do_not_evade_what_an_agent_cannot_choose(api: Api, token: str, agent: CreatedKey) -> None:
    """An agent invents facts that are called as conditions are, and a new run for every call."""
    for scope in ({"group": "acme"}, {"key_id": agent.key_id}, {"key_id": "*"}):
        created(api, token, limit_yen=5, window="day", scope=scope)
    created(api, token, limit_yen=1, window="day", scope={"run": "*"})
    invented = {"group": "free", "key_id": "99", "item": "gift", "key": "7"}
    for number in range(6):
        body = {"amount_yen": 1, "facts": {**invented, "run": f"r{number}"}}
        answer = api.call("POST", "/credit/charge", agent.token, key=f"{number}", json=body)
        assert answer.status_code == (200 if number < 5 else 402)
    left = {each["budget_id"]: each["left"] for each in api.get("/credit/budgets", token).json()}
    assert [left[f"budget-{number}"] for number in (1, 2, 3)] == ["0", "0", "0"]
