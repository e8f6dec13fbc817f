"""The log of acts in words: what was done, to what, by whom, and what changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from credit_wallet.pages.formats import Formats
from credit_wallet.pages.words import Words, text

DONE: Final[dict[str, str]] = {
    "wallet.created": text("The wallet was made"),
    "wallet.configured": text("Settings of the wallet were changed"),
    "wallet.topped_up": text("Credit was added by hand"),
    "wallet.adjusted": text("The balance was corrected"),
    "wallet.frozen": text("The wallet was frozen"),
    "wallet.unfrozen": text("The wallet was opened again"),
    "wallet.closing_begun": text("The wallet is being closed"),
    "wallet.closed": text("The wallet was closed"),
    "wallet.handed_over": text("The wallet was handed over to another customer"),
    "wallet.access_ended": text("Everything that opened the wallet was ended"),
    "wallet.token_rotated": text("The owner token was replaced"),
    "key.created": text("A key was made"),
    "key.configured": text("A key was changed"),
    "key.revoked": text("A key was revoked"),
    "key.token_rotated": text("A key got another token"),
    "secret.registered": text("A key of the host's own was registered"),
    "secret.removed": text("A key of the host's own was removed"),
    "token.revoked": text("A token was revoked"),
    "link.created": text("A link to these pages was made"),
    "budget.created": text("A budget was made"),
    "budget.configured": text("A budget was changed"),
    "budget.deleted": text("A budget was deleted"),
    "topup.requested": text("A payment was begun"),
    "topup.canceled": text("A payment was given up"),
    "topup.paid_back": text("Unused credit was paid back"),
    "topup.reversed": text("Credit was taken back"),
    "charge.refunded": text("A charge was refunded"),
    "transfer.created": text("Credit was moved to another wallet"),
    "auto_topup.consented": text("Automatic top-ups were agreed to"),
    "auto_topup.stopped": text("Automatic top-ups have stopped"),
    "auto_topup.resumed": text("Automatic top-ups go on"),
    "target.added": text("A receiver of notices was added"),
    "target.configured": text("A receiver of notices was changed"),
    "target.removed": text("A receiver of notices was removed"),
    "target.confirmed": text("A mailbox was confirmed"),
    "target.asked_again": text("Another confirmation code was sent"),
    "target.secret_rotated": text("A receiver of notices got another secret"),
    "target.restarted": text("A receiver of notices was switched on again"),
    "delivery.resent": text("Notices were sent again"),
    "grant.created": text("Credit was promised"),
    "grant.canceled": text("A promise of credit was ended"),
    "prices.applied": text("Prices were changed"),
    "seller.created": text("A seller was made"),
    "seller.revoked": text("A seller was revoked"),
    "seller.token_rotated": text("A seller got another token"),
    "operator.created": text("An operator was made"),
    "operator.configured": text("An operator's role was changed"),
    "operator.key_rotated": text("An operator got another key"),
    "operator.key_revoked": text("A key of an operator was revoked"),
    "operator.revoked": text("An operator was revoked"),
    "erasure.begun": text("Erasing personal data began"),
    "erasure.sealed": text("Erased entries were sealed again"),
    "erasure.ended": text("Personal data was erased"),
}

NOUNS: Final[dict[str, str]] = {
    "wallet": text("the wallet"),
    "key": text("keys"),
    "budget": text("budgets"),
    "topup": text("payments"),
    "auto_topup": text("automatic top-ups"),
    "charge": text("refunds"),
    "transfer": text("transfers"),
    "target": text("receivers of notices"),
    "grant": text("promises of credit"),
    "link": text("links"),
}
"""What the log can be filtered by."""

FIELDS: Final[dict[str, str]] = {
    "label": text("Name"),
    "reference": text("Reference"),
    "metadata": text("Metadata"),
    "amount": text("Amount"),
    "txn_id": text("Entry"),
    "promo": text("Given, not paid"),
    "expires_at": text("Ends"),
    "monthly_budget_yen": text("Monthly budget"),
    "budget_mode": text("At the end of the budget"),
    "time_zone": text("Time zone"),
    "low_balance_yen": text("Low from"),
    "alert_thresholds_pct": text("Alerts at percent"),
    "price_group": text("Price group"),
    "auto_topup_threshold": text("Topped up below"),
    "auto_topup_amount": text("Topped up by"),
    "auto_topup_daily_yen": text("Topped up at most a day"),
    "auto_topup_monthly_yen": text("Topped up at most a month"),
    "monthly_cap_yen": text("Most it may spend a month"),
    "group": text("Group"),
    "scopes": text("May"),
    "limit": text("Limit"),
    "unit": text("Of"),
    "window": text("Every"),
    "scope": text("For"),
    "mode": text("At the limit"),
    "shares_pct": text("Alerts at percent"),
    "week_start": text("Week begins"),
    "raised_limit": text("Raised to"),
    "raised_until": text("Raised until"),
    "address": text("Address"),
    "kinds": text("Kinds"),
    "language": text("Language"),
    "quiet_hours": text("Quiet hours"),
    "digest": text("Once a day at"),
    "stopped": text("Stopped because"),
    "frozen": text("Frozen"),
    "frozen_reason": text("Frozen because"),
    "closing_at": text("Closing since"),
    "closed_at": text("Closed"),
    "merged_into": text("Merged into wallet"),
    "to_wallet_id": text("To wallet"),
    "transfer_id": text("Transfer"),
    "overlap_seconds": text("The earlier one works for"),
    "consent_no": text("Consent number"),
    "reason": text("Because"),
    "role": text("Role"),
    "name": text("Name"),
    "version": text("Version"),
    "changes": text("Prices changed"),
    "deliveries": text("Notices"),
    "in_frame": text("For a frame"),
    "embedded": text("For a frame"),
    "path": text("Page"),
}
"""Members of what changed; one that is not here is shown by its own name."""

VALUES: Final[dict[str, str]] = {
    "alert": text("alert only"),
    "cap": text("refuse charges"),
    "block": text("refuse charges"),
    "yen": text("yen"),
    "charges": text("charges"),
    "hour": text("hour"),
    "day": text("day"),
    "week": text("week"),
    "month": text("month"),
    "monday": text("Monday"),
    "sunday": text("Sunday"),
    "spend": text("pay"),
    "read": text("see its spending"),
    "manage": text("manage the wallet"),
    "en": "English",
    "ja": "日本語",
}
"""Values that are words of a fixed set, where a member has such."""

REASONS: Final[dict[str, str]] = {
    "goodwill": text("goodwill"),
    "fraud": text("suspicion of fraud"),
    "mistyped_topup": text("mistyped"),
    "duplicate": text("done twice"),
    "correction": text("correction"),
    "other": text("another reason"),
}

_WORDED = frozenset(("budget_mode", "unit", "window", "mode", "week_start", "scopes", "language"))
_YEN = frozenset(("amount", "auto_topup_threshold", "auto_topup_amount"))
_UNLIMITED_AT_0 = frozenset(("monthly_budget_yen", "monthly_cap_yen", "auto_topup_daily_yen", "auto_topup_monthly_yen"))
_UNTOLD = frozenset(("sha256", "consents", "txn_id", "amount", "frozen_reason"))
"""Not among the changes: what says nothing to people, and what is said before them."""


class Change(NamedTuple):
    """A member that changed; None is nothing, on whichever side."""

    name: str
    before: str | Markup | None
    after: str | Markup | None


class Told(NamedTuple):
    """An act in words. ``path`` is the page of what it was done to, below the wallet's pages; "" without one."""

    what: Markup | str
    amount: str
    who: Markup
    subject: Markup | str
    path: str
    changes: list[Change]
    reason: Markup | str


def told(act: Mapping[str, Any], words: Words, formats: Formats) -> Told:
    """An act in words."""
    before, after = act["before"] or {}, act["after"] or {}
    names = [*after, *(name for name in before if name not in after)]
    value = _Values(words, formats, {**before, **after}.get("unit"), is_new=not before)
    changes = [
        Change(name, value.of(name, before.get(name)), value.of(name, after.get(name)))
        for name in names
        if name not in _UNTOLD
    ]
    subject, path = _subject(str(act["subject"]), words)
    what = words.say(DONE[act["kind"]]) if act["kind"] in DONE else str(act["kind"])
    reason = act["reason"] or ""
    return Told(
        what,
        formats.yen(after["amount"]) if "amount" in after else "",
        who(str(act["by"]), words),
        subject,
        path,
        [change._replace(name=_field(change.name, words)) for change in changes if change.before != change.after],
        words.say(REASONS[reason]) if reason in REASONS else reason.replace("_", " "),
    )


def who(by: str, words: Words) -> Markup:
    """Who did it."""
    kind, _, name = by.partition(":")
    match kind:
        case "owner" | "payer":
            return words.say("the owner")
        case "agent":
            return words.say("agent key {id}", id=name)
        case "link":
            return words.say("the customer, by a link")
        case "operator" if name:
            return words.say("operator {name}", name=name)
        case "operator":
            return words.say("whoever runs the service")
        case "seller":
            return words.say("seller {id}", id=name)
        case "worker" | "product":
            return words.say("the service itself")
        case "library":
            return words.say("a program of the host's")
        case "command line":
            return words.say("the command line, {name}", name=name.strip() or "–")
    return words.say("{name}", name=by)


def _field(name: str, words: Words) -> str:
    return words.say(FIELDS[name]) if name in FIELDS else name.replace("_", " ")


def _subject(subject: str, words: Words) -> tuple[Markup | str, str]:
    """What it was done to, and its page."""
    noun, _, name = subject.partition(":")
    match noun:
        case "key":
            return words.say("key {id}", id=name), f"/keys/{name}"
        case "budget":
            return words.say("budget {id}", id=name.removeprefix("budget-")), f"/budgets/{name}"
        case "topup":
            return words.say("payment {id}", id=name), f"/topups/{name}"
        case "entry" | "charge":
            return words.say("entry {id}", id=name), f"/activity/{name}"
        case "target":
            return words.say("receiver {id}", id=name), "/notices"
        case "transfer":
            return words.say("transfer {id}", id=name), "/transfers"
        case "grant":
            return words.say("promise {id}", id=name), ""
        case "operator":
            return words.say("operator {name}", name=name), ""
        case "seller":
            return words.say("seller {id}", id=name), ""
    return "", ""


class _Values:
    """Says values of members that changed."""

    def __init__(self, words: Words, formats: Formats, unit: str | None, *, is_new: bool) -> None:
        self._words = words
        self._formats = formats
        self._unit = unit
        self._is_new = is_new

    def of(self, name: str, value: Any) -> str | Markup | None:
        """A value in words; None when it says that there is nothing."""
        match value:
            case None | "" | [] | {}:
                return None
            case False | 0 if self._is_new:
                return None
            case bool():
                return self._words.say("yes" if value else "no")
            case dict():
                return ", ".join(f"{key}: {_plain(each)}" for key, each in value.items())
            case list():
                return ", ".join(str(self._one(name, each)) for each in value)
        return self._one(name, value)

    def _one(self, name: str, value: Any) -> str | Markup | None:
        if name in _UNLIMITED_AT_0 and value == 0:
            return None
        if name in _YEN or name.endswith("_yen") or (name in ("limit", "raised_limit") and self._unit == "yen"):
            return self._formats.yen(value)
        if name in ("limit", "raised_limit"):
            return self._formats.number(value)
        if name.endswith(("_at", "_until")):
            return self._formats.time(value)
        if name == "overlap_seconds":
            return self._formats.duration(value)
        return self._words.say(VALUES[value]) if name in _WORDED and value in VALUES else str(value)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
