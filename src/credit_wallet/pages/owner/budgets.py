"""Budgets: how much of each is used, and making, changing, raising and deleting one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from markupsafe import Markup

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.api import Refused
from credit_wallet.pages.formats import Formats, number, zones
from credit_wallet.pages.forms import Form
from credit_wallet.pages.owner.budget_words import (
    EACH,
    MODES,
    MODES_AT_LENGTH,
    WEEK_STARTS,
    WINDOWS,
    BudgetWords,
)
from credit_wallet.pages.routes import wallet_action, wallet_page
from credit_wallet.pages.visit import Visit
from credit_wallet.rules.validation import MAX_ID

PAGE = 50
CAPS = 10
"""Caps of agent keys that the list begins with; the page of keys has them all."""

VALUES = 50
LAST_CHANGES = 5
KEYS = 300
"""Agent keys that are known by name."""

NAMED = 200
"""Budgets that the list of changes knows by name; others are there under their ids."""

_BEFORE_BUDGETS = f"key-{2**63 - 1}"
_TERMS: dict[str, Any] = {
    "MODES": MODES,
    "MODES_AT_LENGTH": MODES_AT_LENGTH,
    "WINDOWS": WINDOWS,
    "WEEK_STARTS": WEEK_STARTS,
}


@wallet_page("/budgets")
async def list_budgets(visit: Visit) -> Reply:
    """Every budget with what is left of it."""
    if not sees_all(visit):
        return await _list_bounds(visit)
    wallet = await visit.wallet()
    after = visit.query.get("after")
    budgets = await visit.get("/credit/budgets", after=after or _BEFORE_BUDGETS, limit=PAGE + 1)
    monthly, caps = None, []
    if after is None:
        name = f"monthly-{wallet['wallet_id']}"
        monthly = await visit.get(f"/credit/budgets/{name}") if wallet["monthly_budget_yen"] else None
        caps = await visit.get("/credit/budgets", after=name, limit=CAPS + 1)
        caps = [each for each in caps if each["budget_id"].startswith("key-")]
    return await visit.show(
        "wallet/budgets.html",
        monthly=monthly,
        caps=caps[:CAPS],
        more_caps=len(caps) > CAPS,
        budgets=budgets[:PAGE],
        next_after=budgets[PAGE - 1]["budget_id"] if len(budgets) > PAGE else None,
        say=await words_of(visit, budgets),
        linked=True,
        **_TERMS,
    )


async def _list_bounds(visit: Visit) -> Reply:
    """What bounds an agent key that sees no more."""
    wallet = await visit.wallet()
    key = wallet["key"]
    return await visit.show(
        "wallet/budgets.html",
        monthly=None,
        caps=[],
        more_caps=False,
        budgets=wallet["budgets"],
        next_after=None,
        say=BudgetWords(visit, {} if key is None else {str(key["key_id"]): key["label"]}),
        linked=False,
        **_TERMS,
    )


@wallet_page("/budgets/new")
async def show_new_budget(visit: Visit) -> Reply:
    """The form for another budget."""
    keys = [key for key in await visit.get("/credit/keys", limit=KEYS, before=MAX_ID) if key["revoked_at"] is None]
    say = BudgetWords(visit, {str(key["key_id"]): key["label"] for key in keys})
    return await visit.show(
        "wallet/budget-new.html",
        key_options=[("", visit.words.say("any key")), *((key["key_id"], say.key(str(key["key_id"]))) for key in keys)],
        windows=_options(visit, WINDOWS),
        week_starts=_options(visit, WEEK_STARTS),
        zone_options=[(zone, zone) for zone in sorted(zones())],
    )


def _options(visit: Visit, texts: Mapping[str, str]) -> list[tuple[str, Markup]]:
    return [(value, visit.words.say(english)) for value, english in texts.items()]


@wallet_action("/budgets", show_new_budget)
async def create_budget(visit: Visit) -> Reply:
    """Make a budget."""
    form = visit.form
    amount = form.amount("limit_yen")
    calls = form.text("unit") == "calls"
    body = form.given(
        limit_yen=None if calls else _number(amount),
        limit_calls=_number(amount) if calls else None,
        window=form.optional("window"),
        mode=form.optional("mode"),
        label=form.optional("label"),
        shares_pct=form.percentages("shares_pct") or None,
        time_zone=form.optional("time_zone"),
        week_start=form.optional("week_start"),
    )
    with _blaming({"limit_calls": "limit_yen", "scope": "fact_name"}, "scope.", "fact_value"):
        made = await visit.send("POST", "/credit/budgets", {**body, "scope": _scope(form)})
    return visit.go(f"/budgets/{made['budget_id']}", done="budget-made")


@wallet_page("/budgets/changes")
async def list_changes(visit: Visit) -> Reply:
    """Who changed which limit."""
    changes = await visit.get(
        "/credit/budgets/changes",
        budget_id=visit.query.get("budget_id") or None,
        before=visit.query.get("before"),
        limit=PAGE + 1,
    )
    ended = [
        {**whole, "budget_id": change["budget_id"]}
        for change in changes
        for whole in (change["before"], change["after"])
        if whole is not None and "unit" in whole
    ]
    known = [*ended, *await visit.get("/credit/budgets", after=_BEFORE_BUDGETS, limit=NAMED)]
    return await visit.show(
        "wallet/budget-changes.html",
        changes=changes[:PAGE],
        next_before=changes[PAGE - 1]["change_id"] if len(changes) > PAGE else None,
        of=visit.query.get("budget_id"),
        say=await words_of(visit, known, always=True),
        **_TERMS,
    )


@wallet_page("/budgets/{budget_id}")
async def show_budget(visit: Visit) -> Reply:
    """One budget: what it is, what is left, what each value has used, and its last changes."""
    name = visit.params["budget_id"]
    budget = await visit.get(f"/credit/budgets/{name}")
    values = []
    if budget["each_value"]:
        after = visit.query.get("after", "")
        values = await visit.get(f"/credit/budgets/{name}/values", after=after, limit=VALUES + 1)
    changes = await visit.get("/credit/budgets/changes", budget_id=name, limit=LAST_CHANGES + 1)
    tomorrow = Formats("en", (await visit.wallet())["time_zone"]).local(visit.now + timedelta(days=1))
    return await visit.show(
        "wallet/budget.html",
        budget=budget,
        kind=name.partition("-")[0],
        values=values[:VALUES],
        next_value=values[VALUES - 1]["value"] if len(values) > VALUES else None,
        changes=changes[:LAST_CHANGES],
        more_changes=len(changes) > LAST_CHANGES,
        tomorrow=f"{tomorrow:%Y-%m-%dT%H:%M}",
        say=await words_of(visit, [budget]),
        **_TERMS,
    )


@wallet_action("/budgets/{budget_id}", show_budget)
async def configure_budget(visit: Visit) -> Reply:
    """Change what the form has of a budget: its limit, and unless it is a month's or a key's, the rest."""
    visit.require(visit.changing)
    budget = await visit.get(f"/credit/budgets/{visit.params['budget_id']}")
    limit = _number(number(budget["limit"]).replace(",", ""))
    changes = visit.form.changed(
        {**budget, "limit_yen": limit, "limit_calls": limit},
        limit_yen=_limit,
        limit_calls=_limit,
        mode=Form.text,
        shares_pct=Form.percentages,
        label=Form.optional,
    )
    if not changes:
        return visit.go(f"/budgets/{budget['budget_id']}", done="saved")
    return await _configure(visit, changes, "saved")


@wallet_action("/budgets/{budget_id}/raise", show_budget)
async def raise_budget(visit: Visit) -> Reply:
    """Let another limit count until an instant."""
    form = visit.form
    body = form.given(
        raised_limit_yen=_number(form.amount("raised_limit_yen")),
        raised_limit_calls=_number(form.amount("raised_limit_calls")),
        raised_until=_instant(form.text("raised_until"), (await visit.wallet())["time_zone"]),
    )
    return await _configure(visit, body, "budget-raised")


@wallet_action("/budgets/{budget_id}/end-raise", show_budget)
async def end_raise(visit: Visit) -> Reply:
    """Let the limit itself count again."""
    return await _configure(visit, {"raised_until": None}, "budget-raise-ended")


@wallet_action("/budgets/{budget_id}/delete", show_budget)
async def delete_budget(visit: Visit) -> Reply:
    """Delete a budget; it limits nothing any more."""
    await visit.send("DELETE", f"/credit/budgets/{visit.params['budget_id']}")
    return visit.go("/budgets", done="budget-deleted")


async def _configure(visit: Visit, body: Mapping[str, Any], done: str) -> Reply:
    name = visit.params["budget_id"]
    await visit.send("PATCH", f"/credit/budgets/{name}", body)
    return visit.go(f"/budgets/{name}", done=done)


def sees_all(visit: Visit) -> bool:
    """Whether the visitor sees every budget, not only those that bound an agent key."""
    return visit.place.of_operator or visit.allows("manage")


async def words_of(visit: Visit, budgets: Iterable[Mapping[str, Any]], *, always: bool = False) -> BudgetWords:
    """The words for ``budgets``, with the names of the agent keys that they are about."""
    known = {budget["budget_id"]: budget for budget in budgets}
    if not always and not any("key_id" in budget["scope"] for budget in known.values()):
        return BudgetWords(visit, {}, known)
    keys = await visit.get("/credit/keys", limit=KEYS, before=MAX_ID)
    return BudgetWords(visit, {str(key["key_id"]): key["label"] for key in keys}, known)


def _scope(form: Form) -> dict[str, str]:
    """The conditions that a form has; none of a budget of everything."""
    if form.text("of") == "everything":
        return {}
    scope = {
        name: EACH if form.checked(f"each_{name}") else form.text(f"scope.{name}")
        for name in ("key_id", "group", "item")
    }
    if fact := form.text("fact_name"):
        scope[fact] = EACH if form.checked("each_fact") else form.text("fact_value")
    return {name: value for name, value in scope.items() if value}


def _limit(form: Form, name: str) -> int | str:
    """A limit as the API takes it; an empty one is left for it to refuse."""
    given = _number(form.amount(name))
    return form.text(name) if given is None else given


def _number(amount: str | None) -> int | str | None:
    """An amount as the API takes it: a whole one as a number, others as text."""
    return int(amount) if amount is not None and amount.isascii() and amount.isdigit() and len(amount) < 19 else amount


def _instant(local: str, zone: str) -> str:
    """An instant by the wallet's clocks, as browsers send it; what is none is left for the API to refuse."""
    try:
        return Formats("en", zone).local(local).isoformat()
    except ValueError:
        return local


@contextmanager
def _blaming(fields: Mapping[str, str], prefix: str, other: str) -> Any:
    """Say of a refusal which field of the form is to blame, where the API's has another name."""
    try:
        yield
    except Refused as refused:
        field = refused.field or ""
        known = field in ("scope.key_id", "scope.group", "scope.item")
        blamed = fields.get(field, other if field.startswith(prefix) and not known else field)
        raise Refused(refused.status, {**refused.problem, "field": blamed or None}) from refused
