"""Every address of the service."""

from __future__ import annotations

from functools import cache

from credit_wallet.http.app import documented

NUMBER_IDS = (
    *("key_id", "wallet_id", "txn_id", "hold_id", "seller_id", "target_id", "grant_id"),
    *("operator_id", "operator_key_id", "delivery_id"),
)
TEXT_IDS = {"{topup_id}": "tu_x", "{budget_id}": "budget-1", "{transfer_id}": "tr_1_" + "a" * 24, "{sha256}": "a" * 64}


@cache
def addresses() -> dict[str, set[str]]:
    """Every address, ids filled in, with the methods it takes."""
    found: dict[str, set[str]] = {}
    for route in documented().routes:
        path = route.path_format
        if path == "/docs/{name}":  # names have a hash in them
            continue
        for name in NUMBER_IDS:
            path = path.replace(f"{{{name}}}", "1")
        for name, value in TEXT_IDS.items():
            path = path.replace(name, value)
        found[path] = {str(each) for each in getattr(route, "methods", ())} - {"OPTIONS"}
    assert "{" not in "".join(found)
    return found
