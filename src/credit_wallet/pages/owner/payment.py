"""One payment as pages read it."""

from __future__ import annotations

import re
from typing import Any

from credit_wallet.pages.api import Refused
from credit_wallet.pages.visit import Visit

_TOPUP_ID = re.compile("tu_[A-Za-z0-9_]{1,80}")
_NOT_ASKED = ("payment_provider_error", "payments_not_configured")
_SEARCHED = 200

OPEN = ("requested", "pending", "requires_action", "succeeded")


def is_open(payment: Any) -> bool:
    """Whether a payment is neither made nor given up."""
    return payment["status"] in OPEN


def checked_id(topup_id: str) -> str:
    """The id of a top-up, which may stand in an address of the API. Raises ``Refused``."""
    if _TOPUP_ID.fullmatch(topup_id) is None:
        raise Refused(404, {"code": "topup_not_found", "detail": ""})
    return topup_id


async def payment_of(visit: Visit, topup_id: str) -> Any:
    """A top-up of the wallet as Stripe has it now, or as it was last known where Stripe cannot be asked.

    ``is_current`` says which. Raises ``Refused``, for another wallet's as for one that there is not.
    """
    try:
        found = await visit.get(f"/credit/topups/{checked_id(topup_id)}")
    except Refused as refusal:
        may_not_ask = visit.place.of_operator and refusal.status == 403
        if refusal.code not in _NOT_ASKED and not may_not_ask:
            raise
        return await _last_known(visit, topup_id, refusal)
    return {**found, "is_current": True}


async def takes_test_money(visit: Visit) -> bool:
    """Whether what is paid is test money, as far as whoever looks may know how one pays."""
    if visit.settings.takes_test_money:
        return True
    if not visit.allows("view" if visit.place.of_operator else "manage"):
        return False
    options = await visit.get("/credit/topups/options")
    return bool(options["test_money"])


async def _last_known(visit: Visit, topup_id: str, refusal: Refused) -> Any:
    page = await visit.get("/credit/topups", limit=_SEARCHED)
    for each in page["topups"]:
        if each["topup_id"] == topup_id:
            method = None if each["offer"] is None else each["offer"]["method"]
            return {**each, "method": method, "next_action": None, "checkout_url": None, "is_current": False}
    raise refusal
