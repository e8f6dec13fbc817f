"""The settings of a wallet: the name, allowed values, default and column of each.

Validation and the stores derive from this one list. The command, views, bodies and options spell the names out, for
readers and type checkers; a test fails when one of them lacks a setting.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from credit_wallet.domain.metadata import Metadata

Kind: TypeAlias = Literal["yen", "choice", "text", "name", "percents"]


class Setting(Struct, frozen=True):
    """``column`` is that of ``am_credit_wallet``. A ``choice`` is one of ``choices``; yen are 0, for none, or more."""

    name: str
    kind: Kind
    default: object
    column: str
    choices: tuple[str, ...] = ()


SETTINGS = (
    Setting("label", "text", None, "label"),
    Setting("monthly_budget_yen", "yen", 0, "monthly_budget_yen"),
    Setting("budget_mode", "choice", "alert", "budget_mode", ("alert", "cap")),
    Setting("auto_topup_threshold", "yen", 0, "auto_topup_threshold"),
    Setting("auto_topup_amount", "yen", 0, "auto_topup_amount"),
    Setting("low_balance_yen", "yen", 0, "low_balance_yen"),
    Setting("alert_thresholds_pct", "percents", (), "alert_thresholds"),
    Setting("price_group", "name", None, "price_group"),
    Setting("auto_topup_daily_yen", "yen", 0, "auto_topup_daily_yen"),
    Setting("auto_topup_monthly_yen", "yen", 0, "auto_topup_monthly_yen"),
)
"""Everything that ``configure`` can change. The time zone is not a setting: a wallet keeps the one it was made with."""

AUTO_TOPUP = ("auto_topup_threshold", "auto_topup_amount", "auto_topup_daily_yen", "auto_topup_monthly_yen")
"""Those of automatic top-ups: whoever changes them while they are on agrees to something (``domain.consents``)."""


class NewWallet(Struct, frozen=True):
    """What is chosen when a wallet is made. The same ``reference`` means the same wallet."""

    label: str | None
    auto_topup_threshold: int
    auto_topup_amount: int
    monthly_budget_yen: int
    budget_mode: str
    time_zone: str
    reference: str | None = None
    metadata: Metadata = ()
