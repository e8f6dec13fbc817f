"""What the state machine of budgets draws, and what it remembers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from budget_model import YEN, Labels, ModelBudget, ModelReserve
from hypothesis import strategies as st

from credit_wallet.domain.commands import Command
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import RailBusy, WalletError

positions = st.integers(0, 10**6)
amounts = st.one_of(st.sampled_from([1, YEN, 5 * YEN // 2, 3_333_333, 10 * YEN, 250 * YEN]), st.integers(1, 12 * YEN))
groups = st.sampled_from([None, "acme", "acme/a", "acme/ab", "other"])
scopes = st.sampled_from(
    [
        {},
        {},
        {"run": "*"},
        {"run": "r1"},
        {"tool": "web"},
        {".item": "search"},
        {".item": "*"},
        {".key_id": "*"},
        {".group": "acme"},
        {".group": "acme/a"},
        {".group": "acme", "run": "*"},
        {"run": "*", "tool": "*"},
    ]
)
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"]
)
windows = st.sampled_from(
    ["minute", "hour", "day", "week", "month", "total", "rolling:1m", "rolling:24h", "rolling:90m", "rolling:7d"]
)
modes = st.sampled_from(["cap", "cap", "cap", "alert", "shadow"])
limits = st.sampled_from([0, YEN, 3 * YEN, 5 * YEN, 25 * YEN // 2, 30 * YEN])


def _whole_calls(settings: dict[str, Any]) -> dict[str, Any]:
    """Limits on calls are of whole ones."""
    return {**settings, "limit": settings["limit"] // YEN * YEN} if settings["unit"] == "calls" else settings


budget_settings: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "unit": st.sampled_from(["yen", "yen", "calls"]),
        "limit": limits,
        "window": windows,
        "scope": scopes,
        "mode": modes,
        "zone": zones,
        "week_start": st.sampled_from(["monday", "sunday", "saturday"]),
    }
).map(_whole_calls)
changes = st.fixed_dictionaries({"limit": limits.map(lambda each: each // YEN * YEN)}, optional={"mode": modes})
usages = st.builds(
    lambda item, run, tool, by_agent: Usage(
        item,
        10**6 if item else 0,
        tuple(sorted(({"run": run} if run else {}).items())),
        tuple(sorted({**({"tool": tool} if tool else {}), **({"run": by_agent} if by_agent else {})}.items())),
    ),
    st.sampled_from([None, None, "search"]),
    st.sampled_from([None, "r1", "r2"]),
    st.sampled_from([None, "web"]),
    st.sampled_from([None, None, "r1", "r3"]),
)


def said(usage: Usage) -> Usage | None:
    """A command that says nothing has no usage."""
    return None if usage == Usage() else usage


jumps = st.one_of(
    st.sampled_from([1, 999, 1_000, 59_000, 61_000, 3_600_000, 86_400_000, 7 * 86_400_000]),
    st.integers(1, 40 * 86_400_000),
).map(lambda milliseconds: timedelta(milliseconds=milliseconds))


class Side(Protocol):
    """What is compared with the model: a wallet, its budgets and keys."""

    wallet_id: int

    def run(self, commands: Sequence[Command], *, elsewhere: bool = False) -> list[Outcome | WalletError]: ...
    def open_key(self, cap_yen: int) -> int: ...
    def set_group(self, key_id: int, group: str | None) -> None: ...
    def make(self, model: ModelBudget) -> str: ...
    def change(self, model: ModelBudget) -> None: ...
    def delete(self, model: ModelBudget) -> None: ...
    def reopen(self) -> None: ...
    def close(self) -> None: ...
    def used(self) -> dict[tuple[str, str], tuple[int, int]]: ...
    def refused(self, name: str, value: str) -> tuple[int, int]: ...


def assert_busy(outcome: object, refusing: list[str]) -> None:
    """That a limit which a later clock has used is what says no."""
    assert isinstance(outcome, RailBusy), f"{refusing} would have refused {outcome!r}"
    assert outcome.details["budget_id"] in refusing


@dataclass
class Paid:
    """A charge, by its entry."""

    txn_id: int
    micros: int
    refunded: int = 0


@dataclass
class PurchaseModel:
    """What a request has bought, with a charge or a hold."""

    name: str
    micros: int
    labels: Labels
    key_id: int | None
    hold: ModelReserve | None
    paid: Paid | None
    lease: datetime
    status: str = "running"
