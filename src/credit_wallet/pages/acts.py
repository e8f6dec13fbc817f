"""Acts in words: what was done, who did it, and what changed. The owner's log and the operator's say it alike."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.pages.formats import Formats
from credit_wallet.pages.words import Words, text

TITLES: Final = {
    "auto_topup.consented": text("Automatic top-up agreed to"),
    "auto_topup.resumed": text("Automatic top-up goes on"),
    "auto_topup.stopped": text("Automatic top-up stopped"),
    "budget.configured": text("Budget changed"),
    "budget.created": text("Budget made"),
    "budget.deleted": text("Budget removed"),
    "charge.refunded": text("Charge given back"),
    "delivery.resent": text("Notice sent again"),
    "erasure.begun": text("Erasure of personal data begun"),
    "erasure.ended": text("Personal data erased"),
    "erasure.sealed": text("Erased range sealed again"),
    "grant.canceled": text("Grant ended"),
    "grant.created": text("Grant made"),
    "key.configured": text("Key changed"),
    "key.created": text("Key made"),
    "key.revoked": text("Key revoked"),
    "key.token_rotated": text("Key given another token"),
    "link.created": text("Sign-in link made"),
    "operator.configured": text("Operator's role changed"),
    "operator.created": text("Operator added"),
    "operator.key_revoked": text("Operator's key revoked"),
    "operator.key_rotated": text("Operator given another key"),
    "operator.revoked": text("Operator removed"),
    "prices.applied": text("Prices applied"),
    "secret.registered": text("Key of the host's own let in"),
    "secret.removed": text("Key of the host's own removed"),
    "seller.created": text("Seller added"),
    "seller.revoked": text("Seller removed"),
    "seller.token_rotated": text("Seller given another token"),
    "target.added": text("Notification target added"),
    "target.asked_again": text("Confirmation code sent again"),
    "target.configured": text("Notification target changed"),
    "target.confirmed": text("Notification target confirmed"),
    "target.removed": text("Notification target removed"),
    "target.restarted": text("Notification target in use again"),
    "target.secret_rotated": text("Notification target given another secret"),
    "token.revoked": text("Token revoked"),
    "topup.canceled": text("Payment given up"),
    "topup.paid_back": text("Payment paid back"),
    "topup.requested": text("Payment begun"),
    "topup.reversed": text("Payment taken back"),
    "transfer.created": text("Credit moved to another wallet"),
    "wallet.access_ended": text("Tokens and keys ended"),
    "wallet.adjusted": text("Balance corrected"),
    "wallet.closed": text("Wallet closed"),
    "wallet.closing_begun": text("Closing begun"),
    "wallet.configured": text("Settings changed"),
    "wallet.created": text("Wallet made"),
    "wallet.frozen": text("Wallet frozen"),
    "wallet.handed_over": text("Wallet handed over"),
    "wallet.token_rotated": text("Owner given another token"),
    "wallet.topped_up": text("Topped up by hand"),
    "wallet.unfrozen": text("Wallet unfrozen"),
}
"""What was done, by the kind of the act."""

REASONS: Final[dict[CorrectionReason, str]] = {
    "mistyped_topup": text("Mistyped top-up"),
    "goodwill": text("Goodwill"),
    "service_failure": text("The service failed"),
    "duplicate_charge": text("Charged twice"),
    "fraud": text("Fraud"),
    "leaked_token": text("Leaked token"),
    "customer_request": text("The customer asked"),
    "write_off": text("Written off"),
    "merge": text("Two wallets of one customer"),
    "closing": text("Closing"),
    "other": text("Other"),
}
"""Why something was corrected, by its code."""

_FIELDS: Final = {
    "address": text("Address"),
    "alert_thresholds_pct": text("Notices at shares of the budget"),
    "amount": text("Amount"),
    "auto_topup_amount": text("Automatic top-up of"),
    "auto_topup_daily_yen": text("Automatic top-ups, most a day"),
    "auto_topup_monthly_yen": text("Automatic top-ups, most a month"),
    "auto_topup_threshold": text("Automatic top-up below"),
    "budget_mode": text("At the budget"),
    "changes": text("Prices changed"),
    "digest": text("Collected"),
    "expires_at": text("Ends"),
    "frozen": text("Frozen"),
    "group": text("Group"),
    "keys_revoked": text("Keys revoked"),
    "kind": text("Kind"),
    "kinds": text("Notices"),
    "label": text("Name"),
    "language": text("Language"),
    "limit": text("Limit"),
    "low_balance_yen": text("Low balance below"),
    "metadata": text("Metadata"),
    "mode": text("At the limit"),
    "monthly_budget_yen": text("Budget a month"),
    "monthly_cap_yen": text("Cap a month"),
    "name": text("Name"),
    "overlap_seconds": text("The earlier one works for"),
    "price_group": text("Price group"),
    "promo": text("Promotional"),
    "quiet_hours": text("Quiet hours"),
    "raised_limit": text("Raised to"),
    "raised_until": text("Raised until"),
    "reason": text("Reason"),
    "reference": text("Reference"),
    "role": text("Role"),
    "scope": text("For"),
    "scopes": text("May"),
    "secrets_removed": text("Keys of the host's own removed"),
    "shares_pct": text("Notices at shares of the limit"),
    "thresholds_pct": text("Notices at shares of the budget"),
    "time_zone": text("Time zone"),
    "to_wallet_id": text("To wallet"),
    "unit": text("Counted in"),
    "version": text("Version"),
    "week_start": text("Week begins on"),
    "window": text("Every"),
}
"""What changed, by its name in the act."""

_UNSAID: Final = frozenset(
    ("amount", "txn_id", "sha256", "frozen_reason", "closing_at", "closed_at", "wallet_id", "key_id", "actor")
)
"""What tells a person nothing beside the rest, and the amount, which stands beside the title."""

_SAID: Final = {
    "budget_mode": {"alert": text("alerts only"), "cap": text("charges are refused")},
    "mode": {"alert": text("alerts only"), "cap": text("charges are refused")},
    "unit": {"yen": text("yen"), "calls": text("calls")},
    "window": {"hour": text("hour"), "day": text("day"), "week": text("week"), "month": text("month")},
    "week_start": {"monday": text("Monday"), "sunday": text("Sunday")},
    "language": {"en": "English", "ja": "日本語"},
}
"""Values that are words of a fixed set."""

_AMOUNTS: Final = ("amount", "limit", "raised_limit")
_BY: Final = {
    "owner": text("the owner"),
    "link": text("somebody with a sign-in link"),
    "worker": text("the service"),
    "product": text("the service"),
    "library": text("the host's program"),
    "operator": text("your provider"),
    "operator:root": text("the operator's root key"),
}
_NUMBERED: Final = {
    "agent": text("agent key {id}"),
    "operator": text("operator {id}"),
    "seller": text("seller {id}"),
    "link": text("a sign-in link of operator {id}"),
}
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Change(NamedTuple):
    """What of a thing is no longer so, and how it is now; None where there was or is nothing."""

    name: Markup
    before: Markup | None
    after: Markup | None


@pass_context
def act_title(context: Context, act: dict[str, Any]) -> Markup:
    """What was done."""
    return _words(context).say(TITLES.get(act["kind"], act["kind"]))


@pass_context
def act_reason(context: Context, code: str) -> Markup:
    """The reason that a correction was given."""
    return _words(context).say({str(known): said for known, said in REASONS.items()}.get(code, code))


@pass_context
def act_by(context: Context, by: str, names: dict[str, str] | None = None) -> Markup:
    """Who did it; ``names`` are those of operators by id, for whoever may know them."""
    words = _words(context)
    if by in _BY:
        return words.say(_BY[by])
    noun, _, rest = by.partition(":")
    if noun in _NUMBERED:
        who = rest.rpartition(":")[2]
        return words.say(_NUMBERED[noun], id=(names or {}).get(who, who) if noun in ("operator", "link") else who)
    return Markup("{}").format(by)


@pass_context
def act_changes(context: Context, act: dict[str, Any]) -> list[Change]:
    """What changed; of what is new or gone, what there is to say of it."""
    before, after = act["before"] or {}, act["after"] or {}
    words, formats = _words(context), context["formats"]
    found, calls = [], "calls" in (before.get("unit"), after.get("unit"))
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name), after.get(name)
        if name in _UNSAID or was == now or (not was and not now):
            continue
        said = [
            None if value in _EMPTY else _value(words, formats, f"{name} calls" if calls else name, value)
            for value in (was, now)
        ]
        found.append(Change(_name(words, name), *said))
    return found


_YES, _NO = text("yes"), text("no")
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


def _name(words: Words, name: str) -> Markup:
    return words.say(_FIELDS.get(name, name.replace("_", " ")))


def _value(words: Words, formats: Formats, name: str, value: Any) -> Markup:
    if isinstance(value, bool):
        return words.say(_YES if value else _NO)
    if name.endswith("_yen") or name in _AMOUNTS or name in ("auto_topup_threshold", "auto_topup_amount"):
        return formats.money(value) if _is_amount(value) else Markup("{}").format(value)
    if isinstance(value, str) and value in _SAID.get(name, {}):
        return words.say(_SAID[name][value])
    if name == "overlap_seconds":
        return Markup("{}").format(formats.duration(value))
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return formats.time(value)
    if isinstance(value, dict):
        return Markup("{}").format(", ".join(f"{key} = {each}" for key, each in value.items()))
    if isinstance(value, list):
        return Markup("{}").format(", ".join(str(each) for each in value))
    return Markup("{}").format(value)


def _is_amount(value: Any) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", str(value)) is not None


def _words(context: Context) -> Words:
    words: Words = context["words"]
    return words


ACTS = {"act_title": act_title, "act_by": act_by, "act_changes": act_changes, "act_reason": act_reason}
"""What templates call."""
