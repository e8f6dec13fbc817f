"""``credit-wallet budgets replay``: the ledger's past under other limits or prices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from credit_wallet.cli.context import INTEGER, Exact, Pair, limit, open_wallets, options, show

if TYPE_CHECKING:
    from credit_wallet.domain.replay_views import RefusingBudget, Replayed, ReplayedRefusal

_BUDGET = ("limit_yen", "limit_calls", "window", "scope", "mode", "label", "time_zone", "week_start")


class _KeyCap(Pair):
    """``KEY_ID=YEN``."""

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Key and cap; wrong usage when one is not a whole number."""
        key_id, cap = super().convert(value, param, ctx)
        return str(INTEGER.convert(key_id, param, ctx)), str(INTEGER.convert(cap, param, ctx))


@click.command("replay")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--wallet", "wallet_id", type=INTEGER, metavar="ID", help="Only this wallet; by default all.")
@click.option("--since", metavar="WHEN", help="From a month, a day or an ISO 8601 time on.")
@click.option("--until", metavar="WHEN", help="Up to a month, a day or an ISO 8601 time, days and months included.")
@click.option("--keep", is_flag=True, help="Try it beside the budgets and caps that count now.")
@click.option("--limit-yen", type=Exact("decimal"), metavar="YEN", help="Without FILE: a budget of this many yen.")
@click.option("--limit-calls", type=INTEGER, metavar="N", help="Without FILE: a budget of this many calls.")
@click.option(
    "--window", metavar="W", help="Of that budget: minute, hour, day, week, month (default), total, or rolling:24h."
)
@click.option(
    "--scope",
    type=Pair(),
    multiple=True,
    metavar="NAME=VALUE",
    help="Only charges with it; * is each value.",
)
@click.option(
    "--mode", type=click.Choice(["cap", "shadow"]), default="cap", show_default=True, help="Refuse, or let through."
)
@click.option("--label", metavar="TEXT", help="A name for people.")
@click.option("--time-zone", metavar="NAME", help="Whose clocks its window follows; by default each wallet's.")
@click.option("--week-start", metavar="DAY", help="First day of its weeks; by default monday.")
@click.option("--monthly-budget-yen", type=INTEGER, metavar="YEN", help="A monthly budget that stops spending.")
@click.option(
    "--key-cap",
    type=_KeyCap("cap", "7=3000"),
    multiple=True,
    metavar="KEY_ID=YEN",
    help="A monthly cap of an agent key.",
)
@limit(20)
def replay(
    file: Path | None,
    wallet_id: int | None,
    since: str | None,
    until: str | None,
    keep: bool,
    monthly_budget_yen: int | None,
    key_cap: tuple[tuple[str, str], ...],
    limit: int,
    **budget: Any,
) -> None:
    """Replay the past under other budgets or prices. Changes nothing.

    FILE is a plan: tables [[budget]] with the fields of a budget, and [[price]] as in a price file. Each charge is
    decided anew at its own time; one that would have been refused spends nothing.
    """
    with open_wallets() as wallets:
        replayed = wallets.budgets.replay(
            file,
            wallet_id=wallet_id,
            budgets=_budgets(budget),
            monthly_budget_yen=monthly_budget_yen,
            key_caps_yen={int(key_id): int(cap) for key_id, cap in key_cap},
            keep=keep,
            since=since,
            until=until,
            limit=limit,
        )
    if options.json:
        show(replayed)
    else:
        _print(replayed)


def _budgets(given: dict[str, Any]) -> list[dict[str, Any]]:
    """The budget of the options, if they name one."""
    budget = {name: given[name] for name in _BUDGET if given[name] not in (None, ())}
    if budget.keys() <= {"mode"}:
        return []
    budget.setdefault("window", "month")
    if "scope" in budget:
        budget["scope"] = dict(budget["scope"])
    return [budget]


def _print(replayed: Replayed) -> None:
    show(_summary(replayed))
    for heading, rows in (
        ("Refused by", [_budget(each) for each in replayed.budgets]),
        ("Of each value", [_budget(each) | {"value": each.value} for each in replayed.values]),
        ("Agent keys", replayed.keys),
        ("Wallets", replayed.wallets if replayed.wallet_id is None else []),
        ("First refusals", [_refusal(each) for each in replayed.first_refusals]),
        ("Last refusal", [] if replayed.last_refusal is None else [_refusal(replayed.last_refusal)]),
    ):
        if rows:
            click.echo(f"\n{heading}")
            show(rows)
    if replayed.more:
        click.echo("\nThere is more: --limit N shows longer lists, up to 1,000 rows, and --json all of their fields.")


def _summary(replayed: Replayed) -> dict[str, object]:
    entries = f"{replayed.entries:,}"
    if replayed.entries:
        entries += f", {replayed.first_txn_id} to {replayed.last_txn_id}"
    shown: dict[str, object] = {"entries": entries, "charges": f"{replayed.charges:,}"}
    if replayed.repriced:
        shown["repriced"] = f"{replayed.repriced:,}"
    shown["would be refused"] = f"{replayed.refusals:,} ({_yen(replayed.refused_micros)})"
    if replayed.shadow_refusals:
        shown["by shadows"] = f"{replayed.shadow_refusals:,}"
    return shown | {
        "earned": _yen(replayed.earned_micros),
        "under the plan": _yen(replayed.earned_planned_micros),
        "difference": _yen(replayed.difference_micros),
    }


def _budget(row: RefusingBudget) -> dict[str, object]:
    return {
        "budget": f"{row.budget_id} (shadow)" if row.shadow else row.budget_id,
        "label": row.label,
        "refusals": row.refusals,
        "refused_micros": row.refused_micros,
    }


def _refusal(row: ReplayedRefusal) -> dict[str, object]:
    left = f"¥{row.left:,f}" if row.unit == "yen" else f"{row.left:,f} calls"
    return {
        "at": row.occurred_at,
        "txn_id": row.txn_id,
        "wallet_id": row.wallet_id,
        "key_id": row.key_id,
        "amount_micros": row.amount_micros,
        "by": " ".join(filter(None, (row.budget_id, row.label, row.value))),
        "left": left,
    }


def _yen(micros: int) -> str:
    from credit_wallet.domain.money import format_micros

    return format_micros(micros)
