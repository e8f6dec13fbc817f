"""``credit-wallet budgets``: what limits spending, at every level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from credit_wallet.cli.context import (
    INTEGER,
    Decorator,
    Exact,
    Pair,
    label,
    limit,
    open_wallets,
    options,
    show,
    wallet_id,
)
from credit_wallet.cli.replay import replay

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from credit_wallet.domain.budget_views import BudgetChangeView, BudgetValueView, BudgetView

commands = click.Group(
    "budgets",
    help="Limit what a wallet, a group of agents, an agent, an item or a run may spend, or how often it may call.",
    short_help="Limits on spending and on calls.",
)

commands.add_command(replay)

budget_id = click.argument("budget_id", metavar="BUDGET_ID")

_SPANS = {"total": "in all"}
_LEFT_OUT = ("shares_pct", "time_zone", "week_start")


def _settings(*, of_new_budget: bool) -> Decorator:
    """The options that ``create`` and ``configure`` share."""

    def decorated(function: Any) -> Any:
        for decorate in (
            click.option(
                "--raised-until", "raised_until", metavar="T", help="End of the raise: date or ISO 8601 time."
            ),
            click.option(
                "--raised-limit-calls",
                "raised_limit_calls",
                type=INTEGER,
                metavar="N",
                help="The limit until then.",
            ),
            click.option(
                "--raised-limit-yen",
                "raised_limit_yen",
                type=Exact("decimal"),
                metavar="YEN",
                help="The limit until then.",
            ),
            click.option(
                "--share",
                "shares_pct",
                type=INTEGER,
                metavar="PCT",
                multiple=True,
                help="Notify at this percentage of the limit; may be repeated"
                + " (default: 80, 100)" * of_new_budget
                + ".",
            ),
            click.option(
                "--mode",
                type=click.Choice(["cap", "alert", "shadow"]),
                default="cap" if of_new_budget else None,
                show_default=of_new_budget,
                help="Refuse what exceeds the limit (cap), only notify (alert), or record what a cap would refuse "
                "(shadow).",
            ),
            label,
            click.option("--limit-calls", type=INTEGER, metavar="N", help="The limit in calls."),
            click.option("--limit-yen", type=Exact("decimal"), metavar="YEN", help="The limit in yen."),
        ):
            function = decorate(function)
        return function

    return decorated


@commands.command("create")
@wallet_id
@_settings(of_new_budget=True)
@click.option(
    "--window",
    metavar="WINDOW",
    default="month",
    show_default=True,
    help="minute, hour, day, week, month or total, or rolling:24h (m, h or d).",
)
@click.option(
    "--scope",
    type=Pair(),
    multiple=True,
    metavar="NAME=VALUE",
    help="Only charges with this group, key_id, item or fact; VALUE * is each value. May be repeated: all must match.",
)
@click.option("--time-zone", metavar="NAME", help="Time zone of the windows; by default the wallet's.")
@click.option("--week-start", metavar="DAY", default="monday", show_default=True, help="First day of a week.")
def budgets_create(wallet_id: int, scope: tuple[tuple[str, str], ...], **settings: Any) -> None:
    """Create a budget of yen or of calls.

    It counts from now on; open holds reserve what they have left.
    """
    if len(dict(scope)) < len(scope):
        raise click.UsageError("--scope names the same condition twice.")
    given = {name: value for name, value in settings.items() if value is not None and value != ()}
    with open_wallets() as wallets:
        _show(wallets.budgets.create(wallet_id, scope=dict(scope), **given))


@commands.command("list")
@wallet_id
@click.option("--agent-key", "key_id", type=INTEGER, metavar="KEY_ID", help="Only budgets that can bound this key.")
@click.option("--after", metavar="BUDGET_ID", help="Only budgets after this one, for the next page.")
@limit(1_000)
def budgets_list(wallet_id: int, key_id: int | None, after: str | None, limit: int) -> None:
    """List what limits a wallet, and how much of it is used now.

    The monthly budget and caps of agent keys are listed too.
    """
    with open_wallets() as wallets:
        budgets = wallets.budgets.list(wallet_id, key_id=key_id, after=after, limit=limit)
    show(budgets if options.json else [_row(budget) for budget in budgets])


@commands.command("show")
@budget_id
def budgets_show(budget_id: str) -> None:
    """Show a budget and how much of it is used now."""
    with open_wallets() as wallets:
        _show(wallets.budgets.show(budget_id))


@commands.command("values")
@budget_id
@click.option("--after", metavar="VALUE", default="", help="Only values after this one, for the next page.")
@limit(1_000)
def budgets_values(budget_id: str, after: str, limit: int) -> None:
    """List what each value has used of a budget for each value."""
    with open_wallets() as wallets:
        budget = wallets.budgets.show(budget_id)
        values = wallets.budgets.values(budget_id, after=after, limit=limit)
    show(values if options.json else [_value_row(value, budget) for value in values])


@commands.command("configure")
@budget_id
@_settings(of_new_budget=False)
@click.option("--no-raise", is_flag=True, help="End the raise.")
def budgets_configure(budget_id: str, no_raise: bool, **settings: Any) -> None:
    """Change a budget; what is not given stays.

    Of monthly-ID the limit and the mode can be changed, of key-ID the limit; 0 is none.
    """
    given = {name: value for name, value in settings.items() if value is not None and value != ()}
    if no_raise:
        if any(name.startswith("raised") for name in given):
            raise click.UsageError("--no-raise goes without --raised-limit-… and --raised-until.")
        given["raised_until"] = None
    if not given:
        raise click.UsageError("Nothing to change: give at least one option.")
    with open_wallets() as wallets:
        _show(wallets.budgets.configure(budget_id, **given))


@commands.command("delete")
@budget_id
def budgets_delete(budget_id: str) -> None:
    """Delete a budget for good; the log of changes keeps it."""
    with open_wallets() as wallets:
        _show(wallets.budgets.delete(budget_id))


@commands.command("changes")
@wallet_id
@click.option("--budget", "budget_id", metavar="BUDGET_ID", help="Only changes to this budget, which may be deleted.")
@click.option("--before", type=INTEGER, metavar="CHANGE_ID", help="Only changes before this one, for the next page.")
@limit(100)
def budgets_changes(wallet_id: int, budget_id: str | None, before: int | None, limit: int) -> None:
    """List who changed which limit, from what to what; newest first."""
    with open_wallets() as wallets:
        changes = wallets.budgets.changes(wallet_id, budget_id=budget_id, before=before, limit=limit)
    show(changes if options.json else [_change_row(change) for change in changes])


def _show(budget: BudgetView) -> None:
    show(budget if options.json else _details(budget))


def _row(budget: BudgetView) -> dict[str, object]:
    return {
        "budget_id": budget.budget_id,
        "label": budget.label,
        "scope": _scope(budget),
        "limit": _limit(budget),
        "used": _share(budget),
        "left": _amount(budget.left, budget.unit),
        "resets_at": budget.resets_at,
        "mode": budget.mode,
    }


def _details(budget: BudgetView) -> dict[str, object]:
    unit = budget.unit
    fields: dict[str, object] = {
        "budget_id": budget.budget_id,
        "wallet_id": budget.wallet_id,
        "label": budget.label,
        "scope": _scope(budget),
        "limit": _limit(budget),
        "mode": budget.mode,
        "spent": _amount(budget.spent, unit),
        "held": _amount(budget.held, unit),
        "left": _amount(budget.left, unit),
        "used": _share(budget),
        "resets_at": budget.resets_at,
        "notifies_at": ", ".join(f"{share} %" for share in budget.shares_pct) or None,
        "time_zone": budget.time_zone,
    }
    if budget.window == "week":
        fields["week_start"] = budget.week_start
    if budget.each_value:
        fields |= {"values": budget.values, "fullest_value": budget.value}
    if budget.mode == "shadow":
        fields |= {"refusals": budget.refusals, "refused": _amount(budget.refused, unit)}
    return {**fields, "created_at": budget.created_at}


def _value_row(value: BudgetValueView, budget: BudgetView) -> dict[str, object]:
    row: dict[str, object] = {
        "value": value.value,
        "spent": _amount(value.spent, budget.unit),
        "held": _amount(value.held, budget.unit),
        "left": _amount(value.left, budget.unit),
        "resets_at": value.resets_at,
    }
    if budget.mode == "shadow":
        row |= {"refusals": value.refusals, "refused": _amount(value.refused, budget.unit)}
    return row


def _change_row(change: BudgetChangeView) -> dict[str, object]:
    return {
        "change_id": change.change_id,
        "changed_at": change.changed_at,
        "budget_id": change.budget_id,
        "changed_by": change.changed_by,
        "before": _described(change.before),
        "after": _described(change.after),
    }


def _described(settings: dict[str, Any] | None) -> str | None:
    """What a change is about; of a new budget not what was left as it is by default."""
    if settings is None:
        return None
    shown = {**settings, "scope": f"({_conditions(settings['scope'])})"} if settings.get("scope") else settings
    is_whole = "unit" in settings
    said = {name: value for name, value in shown.items() if not (is_whole and (not value or name in _LEFT_OUT))}
    return ", ".join(f"{name}={_text(value)}" for name, value in said.items())


def _text(value: object) -> str:
    if isinstance(value, list):
        return "/".join(map(str, value))
    return "–" if value is None else str(value)


def _scope(budget: BudgetView) -> str:
    return _conditions(budget.scope) or "everything"


def _conditions(scope: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in scope.items())


def _limit(budget: BudgetView) -> str:
    """``¥100 a day``, or while it is raised ``¥200 a day until …``."""
    span = _SPANS.get(budget.window, f"a {budget.window}")
    if budget.window.startswith("rolling:"):
        span = f"in {budget.window.removeprefix('rolling:')}"
    if budget.raised_limit is not None:
        return f"{_amount(budget.raised_limit, budget.unit)} {span} until {budget.raised_until}"
    return f"{_amount(budget.limit, budget.unit)} {span}"


def _share(budget: BudgetView) -> str:
    """How much is spent or held, rounded down."""
    limit = budget.limit if budget.raised_limit is None else budget.raised_limit
    return f"{(budget.spent + budget.held) * 100 // limit} %" if limit else "–"


def _amount(amount: Decimal, unit: str) -> str:
    if unit == "yen":
        from credit_wallet.domain.money import format_micros, micros_of

        return format_micros(micros_of(amount))
    return f"{amount:,f} call{'' if amount == 1 else 's'}"
