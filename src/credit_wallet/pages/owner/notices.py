"""Notices: where they go, what each recipient gets, and which have arrived.

The API takes the targets of a wallet as one list. So each form reads the list, changes one target and sends the rest as
it is now; a target that somebody else has changed since the form was shown is shown again instead.
"""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final, TypeAlias
from weakref import WeakValueDictionary

from msgspec import json

from credit_wallet.notices.targets import is_webhook
from credit_wallet.notices.texts import FOR_PEOPLE
from credit_wallet.pages.answers import Reply
from credit_wallet.pages.api import Refused
from credit_wallet.pages.formats import zones
from credit_wallet.pages.forms import Form
from credit_wallet.pages.routes import wallet_action, wallet_page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

LATEST = 5
PAGE = 50

KINDS: Final = {
    text("Budgets"): {
        "budget.threshold_reached": text("A share of a budget is spent"),
        "budget.exhausted": text("A budget is used up"),
        "budget.raised": text("A budget is raised"),
        "budget.renewed": text("A budget that was used up starts anew"),
        "key_cap.threshold_reached": text("A share of a key's cap is spent"),
        "key_cap.exhausted": text("A key's cap is used up"),
        "spending.anomaly_detected": text("Spending is unusually high"),
    },
    text("Balance"): {
        "balance.low": text("The balance is low"),
        "balance.recovered": text("The balance has recovered"),
        "wallet.exhausted": text("A call was refused for lack of credit"),
        "credit.expiring": text("Credit is about to expire"),
        "credit.expired": text("Credit has expired"),
    },
    text("Payments"): {
        "topup.credited": text("A payment was credited"),
        "topup.requires_action": text("A payment needs your attention"),
        "topup.failed": text("A payment has failed"),
        "topup.canceled": text("A payment was given up"),
        "topup.clawed_back": text("A payment was refunded or disputed"),
        "topup.reinstated": text("Refunded credit is back"),
        "topup.uncredited": text("A payment could not be credited"),
        "topup.currency_mismatch": text("A payment is not in yen"),
        "grant.delayed": text("Promised credit is delayed"),
    },
    text("Automatic top-up"): {
        "auto_topup.stopped": text("Automatic top-up has stopped"),
        "auto_topup.limit_reached": text("Automatic top-up has reached its limit"),
        "auto_topup.runaway_detected": text("Automatic top-ups follow each other quickly"),
        "topup.due": text("An automatic top-up is due"),
    },
}
"""What owners may hear of, in groups. Where nobody has chosen, all that a person should know is sent."""

OTHER_KINDS: Final = {"ledger.sealed": text("A seal"), "notice.test": text("A test")}

KIND_NAMES: Final = {kind: name for group in KINDS.values() for kind, name in group.items()} | OTHER_KINDS

STATUSES: Final = {
    "pending": text("To be sent"),
    "delivered": text("Delivered"),
    "dead": text("Given up"),
}

_CHANGED = {
    "code": "changed_meanwhile",
    "detail": "somebody else has changed it since you opened the form; look at what it is now, and send it again",
}
_SETTINGS = ("kinds", "language", "quiet_hours", "digest", "time_zone")

Body: TypeAlias = dict[str, Any]
Targets: TypeAlias = list[dict[str, Any]]

_TURNS: WeakValueDictionary[int, Lock] = WeakValueDictionary()
"""By wallet: whose turn it is to change the list of targets."""


@wallet_page("/notices")
async def list_targets(visit: Visit) -> Reply:
    """Where notices go, which marks of the budget were reached, and the latest deliveries."""
    wallet = await visit.wallet()
    return await visit.show(
        "wallet/notices.html",
        targets=wallet["notification_targets"],
        alerts=await visit.get("/credit/alerts", cycle=wallet["current_cycle"]),
        deliveries=await visit.get("/credit/deliveries", limit=LATEST),
        **_terms(),
    )


@wallet_page("/notices/new")
async def show_new_target(visit: Visit) -> Reply:
    """The form for another target."""
    return await visit.show("wallet/target-new.html", zone_options=_zones(), **_terms())


@wallet_action("/notices", show_new_target)
async def add_target(visit: Visit) -> Reply:
    """Add a target. The secret of a webhook is shown, once; a mailbox is asked first."""
    form = visit.form
    added = {"url": _address(form), **_settings(form)}
    before, after = await _change(visit, lambda targets: [*map(_body, targets), added])
    known = {target["target_id"] for target in before}
    new = next((target for target in after if target["target_id"] not in known), after[-1])
    return await _made(visit, new, "target-added")


@wallet_page("/notices/deliveries")
async def list_deliveries(visit: Visit) -> Reply:
    """Notices on their way and those that have arrived, newest first."""
    status = visit.query.get("status") or None
    deliveries = await visit.get("/credit/deliveries", status=status, before=visit.query.get("before"), limit=PAGE + 1)
    return await visit.show(
        "wallet/deliveries.html",
        deliveries=deliveries[:PAGE],
        next_before=deliveries[PAGE - 1]["delivery_id"] if len(deliveries) > PAGE else None,
        asked_status=status or "",
        **_terms(),
    )


@wallet_page("/notices/{target_id}")
async def show_target(visit: Visit) -> Reply:
    """One target."""
    target = _one(await _targets(visit), visit.id("target_id"))
    return await visit.show(
        "wallet/target.html",
        target=target,
        seen=_fingerprint(target),
        is_webhook=is_webhook(target["address"]),
        zone_options=_zones(target["time_zone"]),
        **_terms(),
    )


@wallet_action("/notices/{target_id}", show_target)
async def configure_target(visit: Visit) -> Reply:
    """Change what a target gets, and when."""
    await _change_one(visit, lambda body: {**body, **_settings(visit.form)})
    return visit.go(f"/notices/{visit.id('target_id')}", done="saved")


@wallet_action("/notices/{target_id}/secret", show_target)
async def rotate_secret(visit: Visit) -> Reply:
    """Give a webhook another secret, and show it once."""
    target = await _change_one(visit, lambda body: {**body, "rotate_secret": True})
    return await _made(visit, target, "saved")


@wallet_action("/notices/{target_id}/remove", show_target)
async def remove_target(visit: Visit) -> Reply:
    """Remove a target; nothing is sent there any more."""
    target_id = visit.id("target_id")

    def without(targets: Targets) -> list[Body]:
        _one(targets, target_id)
        return [_body(target) for target in targets if target["target_id"] != target_id]

    await _change(visit, without)
    return visit.go("/notices", done="target-removed")


@wallet_action("/notices/{target_id}/confirm", show_target)
async def confirm_target(visit: Visit) -> Reply:
    """Take the code that a mailbox has got."""
    target_id = visit.id("target_id")
    await visit.send("POST", f"/credit/notification-targets/{target_id}/confirm", {"code": visit.form.text("code")})
    return visit.go(f"/notices/{target_id}", done="target-confirmed")


@wallet_action("/notices/{target_id}/ask-again", show_target)
async def ask_again(visit: Visit) -> Reply:
    """Send another code to a mailbox."""
    target_id = visit.id("target_id")
    await visit.send("POST", f"/credit/notification-targets/{target_id}/ask-again")
    return visit.go(f"/notices/{target_id}", done="code-sent")


@wallet_action("/notices/deliveries/{delivery_id}/resend", list_deliveries)
async def resend(visit: Visit) -> Reply:
    """Send a notice again, which operators may."""
    await visit.send("POST", f"/operator/deliveries/{visit.id('delivery_id')}/resend")
    return visit.go("/notices/deliveries", done="delivery-resent")


async def _made(visit: Visit, target: Mapping[str, Any], done: str) -> Reply:
    """Show a secret that was just made, or go on."""
    if target["secret"] is None:
        return visit.go(f"/notices/{target['target_id']}", done=done)
    return await visit.show("wallet/target-made.html", target=target)


async def _targets(visit: Visit) -> Targets:
    targets: Targets = (await visit.wallet())["notification_targets"]
    return targets


async def _change(visit: Visit, change: Callable[[Targets], list[Body]]) -> tuple[Targets, Targets]:
    """Send the whole list as ``change`` makes it of what there is; returns what there was, and what there is then.

    Forms that are sent to this process at the same moment take turns, so that none sends a list that has changed.
    """
    turn = _TURNS.setdefault((await visit.wallet())["wallet_id"], Lock())
    async with turn:
        before: Targets = (await visit.get("/credit/wallet"))["notification_targets"]
        with _blaming_the_form():
            wallet = await visit.send("PATCH", "/credit/wallet", {"notification_targets": change(before)})
    after: Targets = wallet["notification_targets"]
    return before, after


async def _change_one(visit: Visit, change: Callable[[Body], Body]) -> dict[str, Any]:
    """Change the target of the page, unless somebody else has changed it since the page was made."""
    target_id, seen = visit.id("target_id"), visit.form.text("seen")

    def changed(targets: Targets) -> list[Body]:
        if _fingerprint(_one(targets, target_id)) != seen:
            raise Refused(409, _CHANGED)
        return [change(_body(target)) if target["target_id"] == target_id else _body(target) for target in targets]

    _, targets = await _change(visit, changed)
    return _one(targets, target_id)


def _one(targets: Targets, target_id: int) -> dict[str, Any]:
    for target in targets:
        if target["target_id"] == target_id:
            return target
    raise Refused(404, {"code": "target_not_found", "detail": f"there is no notification target {target_id}"})


def _body(target: Mapping[str, Any]) -> Body:
    """A target as the API takes it when it stays as it is."""
    kinds = [] if set(target["kinds"]) == set(FOR_PEOPLE) else target["kinds"]
    return {"target_id": target["target_id"], **{name: target[name] for name in _SETTINGS}, "kinds": kinds}


def _fingerprint(target: Mapping[str, Any]) -> str:
    """What tells one state of a target's settings from another."""
    return sha256(json.encode([target[name] for name in _SETTINGS])).hexdigest()[:16]


def _settings(form: Form) -> Body:
    """What a form says that a target gets, and when."""
    since, until = form.text("quiet_from"), form.text("quiet_until")
    digest = form.text("digest")
    return {
        "kinds": form.many("kinds") if form.text("gets") == "chosen" else [],
        "language": form.text("language"),
        "quiet_hours": f"{since}-{until}" if since or until else None,
        "digest": form.text("digest_at") if digest == "daily" else digest or None,
        "time_zone": form.text("time_zone"),
    }


def _address(form: Form) -> str:
    """An address as the API takes it: a mail address needs no ``mailto:`` here."""
    given = form.text("url")
    return f"mailto:{given}" if "@" in given and ":" not in given else given


@contextmanager
def _blaming_the_form() -> Iterator[None]:
    """Name the field of the form where the API names that of an item of its list."""
    try:
        yield
    except Refused as refused:
        field = (refused.field or "").rpartition(".")[2] or None
        field = "quiet_from" if field == "quiet_hours" else field
        raise Refused(refused.status, {**refused.problem, "field": field}) from refused


def _terms() -> dict[str, Any]:
    return {"KINDS": KINDS, "KIND_NAMES": KIND_NAMES, "STATUSES": STATUSES, "FOR_PEOPLE": FOR_PEOPLE}


def _zones(known: str = "UTC") -> list[tuple[str, str]]:
    return [(zone, zone) for zone in sorted({*zones(), known})]
