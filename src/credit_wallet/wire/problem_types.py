"""Every code of a refusal over HTTP: its status, its title, what happened and what to do, and the fields it comes with.

``errors`` has the classes. What stands here is what the problem document and its description in OpenAPI are made of.
"""

from __future__ import annotations

from msgspec import Struct


class ProblemType(Struct, frozen=True):
    """One code. ``fields`` are always in the document, ``optional`` ones when they are known."""

    status: int
    title: str
    description: str
    fields: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_P = ProblemType

_REQUEST = {
    "ambiguous_request": _P(
        400,
        "Ambiguous request",
        "A header, a query parameter or the token was sent twice, or the end of the body is not clear. Send it once.",
        optional=("field",),
    ),
    "invalid_json": _P(
        400,
        "Invalid JSON",
        "The body is not JSON, names a member twice, or did not arrive in time. Send well-formed JSON.",
        optional=("field",),
    ),
    "method_not_allowed": _P(
        405, "Method not allowed", "The endpoint does not support this method. The `Allow` header lists those it does."
    ),
    "not_found": _P(404, "No such endpoint", "No such endpoint. See the OpenAPI document for those that exist."),
    "body_too_large": _P(413, "Body too large", "The body is larger than this endpoint accepts. Send less at once."),
    "host_not_allowed": _P(
        421, "Host not allowed", "MCP is not served under this host name. Use a name that the operator configured."
    ),
    "invalid_amount": _P(
        422,
        "Invalid amount",
        "The amount is not a number of yen in the allowed range with up to six decimal places, or exceeds what is "
        "left. Correct the amount; put decimals in quotes.",
        fields=("field",),
        optional=("held_yen", "held", "item"),
    ),
    "invalid_request": _P(
        422, "Invalid request", "A field or parameter is invalid; `field` names it. Correct it.", optional=("field",)
    ),
    "item_not_priced": _P(
        422,
        "Item not priced",
        "The item has no price for this wallet now. `items` are some of those that have; `GET /credit/prices` has all.",
        fields=("item", "items"),
    ),
    "wrong_confirmation_code": _P(
        422,
        "Wrong confirmation code",
        "Not the code that was sent last, or too many wrong codes were tried. Read the latest message, or have another "
        "code sent.",
        fields=("target_id",),
    ),
    "idempotency_key_required": _P(
        428,
        "Idempotency key required",
        "The `Idempotency-Key` header is missing. Send a new one for every request and the same one for every retry.",
    ),
    "idempotency_conflict": _P(
        409,
        "Idempotency conflict",
        "The idempotency key was used for a different request. A retry must be identical; a new request needs a new "
        "key.",
        fields=("idempotency_key",),
    ),
}

_ACCESS = {
    "unauthorized": _P(
        401,
        "Unauthorized",
        "The token is missing, unknown, mistyped, revoked or expired. Send a valid token.",
        optional=("field", "key_id"),
    ),
    "forbidden": _P(
        403,
        "Forbidden",
        "The token is valid but not allowed to do this. Use the kind of token that the message names.",
        optional=("key_id", "field", "txn_id", "hold_id"),
    ),
    "origin_not_allowed": _P(
        403, "Origin not allowed", "A page of another site called MCP. Call it from the same origin, or without a page."
    ),
    "too_many_failures": _P(
        429,
        "Too many failures",
        "Too many invalid tokens came from this address. Wait `retry_after_seconds` and check the token.",
        fields=("retry_after_seconds",),
    ),
    "key_ended": _P(
        409,
        "Key ended",
        "The agent key, seller or operator is revoked or has expired, which is permanent. Create another one.",
        optional=("key_id", "seller_id", "operator_id"),
    ),
    "operator_name_in_use": _P(
        409,
        "Operator name in use",
        "An operator has this name, or had it before it was revoked. Choose another one.",
        fields=("operator_id",),
    ),
    "reference_in_use": _P(
        409,
        "Reference in use",
        "Another wallet, or another agent key of the wallet, has this reference. Find it by the reference, or use "
        "another one.",
        optional=("wallet_id", "key_id"),
    ),
    "secret_in_use": _P(
        409, "Secret in use", "The hash already belongs to a token or key. Generate another key and register its hash."
    ),
    "too_many_tokens": _P(
        409,
        "Too many tokens",
        "As many earlier tokens or registered keys work as are allowed. Rotate with an overlap of 0, wait until one "
        "has ended, or remove one.",
        fields=("max",),
    ),
    "too_many_budgets": _P(
        409,
        "Too many budgets",
        "The wallet has as many budgets as are allowed. Delete one that is not needed, or use one for each value.",
        fields=("max",),
    ),
    "too_many_grants": _P(
        409,
        "Too many grants",
        "The wallet has as many grants with credit still to come as are allowed. Cancel one that is not needed.",
        fields=("max",),
    ),
    "too_many_keys": _P(
        409,
        "Too many keys",
        "The wallet has as many working agent keys as are allowed. Revoke one that is not needed.",
        fields=("max",),
    ),
}

_WHAT_WOULD_PASS = ("max_amount_yen", "max_amount", "retry_at")
_EXHAUSTED = (
    "wallet_id",
    "balance_yen",
    "balance",
    "missing_yen",
    "missing",
    *_WHAT_WOULD_PASS,
    "reason",
    "topup_url",
)

_MONEY = {
    "insufficient_funds": _P(
        402,
        "Insufficient funds",
        "The balance is too low. Top up `missing_yen` or more at `topup_url`, then send the same request with the same "
        "idempotency key; or spend at most `max_amount`.",
        fields=(*_EXHAUSTED, "debt_yen", "debt"),
    ),
    "budget_exhausted": _P(
        402,
        "Budget exhausted",
        "A budget of the wallet is a cap and would be exceeded; `budget` says which. Spend at most `max_amount` now, "
        "send the same request at `retry_at`, or have the budget raised.",
        fields=(*_EXHAUSTED, "budget"),
        optional=("monthly_budget_yen",),
    ),
    "key_cap_exhausted": _P(
        402,
        "Key cap exhausted",
        "The agent key's monthly cap would be exceeded. Spend at most `max_amount` now, send the same request at "
        "`retry_at`, or pay with another key.",
        fields=(*_EXHAUSTED, "budget", "key_id", "monthly_cap_yen"),
    ),
    "call_limit_reached": _P(
        429,
        "Call limit reached",
        "A limit on calls allows no more of them now; `budget` says which. Retry after `retry_after_seconds`, which is "
        "missing when waiting does not help.",
        fields=("wallet_id", "balance_yen", "balance", "budget", *_WHAT_WOULD_PASS),
        optional=("retry_after_seconds",),
    ),
    "price_missing": _P(
        500,
        "Price missing",
        "The seller has no price for this call. Nothing was charged, and it did not run. Report it to the seller.",
        optional=("item", "items"),
    ),
    "payment_required": _P(402, "Payment required", "Send a wallet's token, or pay as `PAYMENT-REQUIRED` says."),
    "payment_invalid": _P(402, "Payment invalid", "The x402 payment was not accepted. Sign a new one."),
    "wallet_disabled": _P(
        403,
        "Wallet disabled",
        "The wallet is frozen: it takes credit but spends nothing. An operator can unfreeze it.",
        fields=("wallet_id",),
    ),
    "wallet_closed": _P(
        409,
        "Wallet closed",
        "The wallet is closed, or is being closed. `merged_into` is the wallet that has its credit, null for none.",
        fields=("wallet_id", "merged_into"),
    ),
    "closing_blocked": _P(
        409,
        "Closing blocked",
        "Something has to happen before the wallet can be closed, merged or handed over; `blocked_by` says what. Then "
        "send the same request again.",
        fields=("wallet_id", "blocked_by"),
        optional=("hold_ids", "purchases", "topup_ids", "held_yen", "held", "left_yen", "left", "debt_yen", "debt"),
    ),
    "erasure_blocked": _P(
        409,
        "Erasure blocked",
        "Personal data cannot be erased; `blocked_by` says why: `open` for a wallet that is not closed, `changed` for "
        "a sealed range that is not what was sealed (`seal_id`).",
        fields=("wallet_id", "blocked_by"),
        optional=("seal_id",),
    ),
    "refund_exceeds_charge": _P(
        409,
        "Refund exceeds charge",
        "More would be returned than is left of the charge or top-up. Ask for at most `refundable`.",
        fields=("refundable_yen", "refundable"),
        optional=("txn_id", "topup_id"),
    ),
    "hold_closed": _P(
        409,
        "Hold closed",
        "The hold was captured or released, or has expired. Make a new hold, or charge.",
        fields=("hold_id", "hold_status"),
    ),
    "retries_exhausted": _P(
        409,
        "Retries exhausted",
        "All free retries of this request were used. Send it with a new idempotency key, which is charged.",
        fields=("free_retries",),
    ),
    "purchase_running": _P(
        409,
        "Purchase running",
        "Another attempt is serving this request. Retry after `retry_after_seconds` with the same idempotency key.",
        fields=("retry_after_seconds",),
    ),
}

_NOT_FOUND = {
    "wallet_not_found": _P(
        404,
        "Wallet not found",
        "No such wallet. Check the id or the reference.",
        optional=("wallet_id", "reference"),
    ),
    "budget_not_found": _P(
        404, "Budget not found", "No such budget, or it was deleted. Check the id.", fields=("budget_id",)
    ),
    "grant_not_found": _P(404, "Grant not found", "No such grant. Check the id.", fields=("grant_id",)),
    "key_not_found": _P(404, "Key not found", "No such agent key. Check the id.", fields=("key_id",)),
    "entry_not_found": _P(
        404,
        "Entry not found",
        "No such ledger entry, or it is of another type. Refund a charge, reverse a top-up.",
        fields=("txn_id",),
    ),
    "hold_not_found": _P(404, "Hold not found", "No such hold. Check the id.", fields=("hold_id",)),
    "topup_not_found": _P(404, "Top-up not found", "No such top-up. Check the id.", fields=("topup_id",)),
    "purchase_not_found": _P(
        404,
        "Purchase not found",
        "The seller has no such purchase. Check `wallet_id` and `purchase_key`.",
        fields=("purchase_key",),
    ),
    "seller_not_found": _P(404, "Seller not found", "No such seller. Check the id.", fields=("seller_id",)),
    "operator_not_found": _P(
        404, "Operator not found", "No such operator, or it has no such key. Check the id.", fields=("operator_id",)
    ),
    "seal_not_found": _P(404, "Seal not found", "No ledger entry is sealed yet. Wait a minute for the worker."),
    "secret_not_found": _P(
        404, "Secret not found", "No registered key and no earlier token has this hash. Check the hash."
    ),
    "target_not_found": _P(
        404, "Notification target not found", "No such notification target. Check the id.", fields=("target_id",)
    ),
    "delivery_not_found": _P(
        404, "Delivery not found", "No such delivery, or its target was removed. Check the id.", fields=("delivery_id",)
    ),
}

_PAYMENTS = {
    "invalid_signature": _P(
        400,
        "Invalid signature",
        "Stripe did not sign this event with a known secret within the last five minutes. Compare the webhook secret "
        "and the clock.",
    ),
    "invalid_event": _P(
        400,
        "Invalid event",
        "The event is signed but belongs to another account or mode, or is malformed. Check the endpoint's settings.",
    ),
    "topup_in_flight": _P(
        409,
        "Top-up in progress",
        "Another payment of the wallet is in progress. Finish it at `action_url`, cancel it, or wait.",
        fields=("topup_id", "topup_status", "action_url"),
    ),
    "grant_not_due": _P(
        409,
        "Grant not due",
        "The occurrence of the grant has not come, has been credited, or the grant has ended. Nothing to do.",
        fields=("grant_id",),
    ),
    "topup_not_due": _P(
        409, "Top-up not due", "The wallet needs no automatic top-up. Nothing to do.", fields=("wallet_id",)
    ),
    "topup_limit_reached": _P(
        409,
        "Top-up limit reached",
        "Automatic top-ups have reached their limit. Raise the limit, or top up by hand.",
        fields=("wallet_id", "left_yen", "limit_per", "set_by"),
    ),
    "topup_stopped": _P(
        409,
        "Automatic top-up stopped",
        "Automatic top-ups are paused until `retry_at`, or until somebody pays once and so saves a card.",
        fields=("wallet_id", "reason"),
        optional=("retry_at",),
    ),
    "pay_back_not_allowed": _P(
        403,
        "Pay-back not allowed",
        "Paying credit back is off, the law leaves no room for it, or Stripe refused it. The message says which.",
        optional=("left_yen",),
    ),
    "transfer_not_found": _P(
        404, "Transfer not found", "The wallet has no such transfer. Check the id.", fields=("transfer_id",)
    ),
    "transfer_not_allowed": _P(
        409,
        "Transfer not allowed",
        "The transfer would carry the wallet below the threshold of its automatic top-ups, is of too many kinds and "
        "expiries of credit, or goes to the wallet that it leaves. Move `max_amount` or less, or turn automatic "
        "top-ups off.",
        fields=("wallet_id", "max_amount_yen", "max_amount"),
    ),
    "transfer_returned": _P(
        409,
        "Transfer returned",
        "The other wallet could not take the transfer, for the `reason` that is given. The credit is back in the lots "
        "that it came from. Send another transfer with a new idempotency key.",
        fields=("transfer_id", "reason"),
    ),
    "payments_not_configured": _P(
        501,
        "Payments not configured",
        "This installation takes no payments. Configure Stripe, or have an operator credit the wallet by hand.",
    ),
    "payment_provider_error": _P(
        502,
        "Payment provider error",
        "Stripe could not be reached, failed or refused the request. Retry with the same idempotency key.",
        optional=("request_id", "retry_after_seconds"),
    ),
    "too_many_changes": _P(
        429,
        "Too many changes",
        "The wallet's owner and agents changed it too often in 24 hours. Retry after `retry_after_seconds`.",
        fields=("retry_after_seconds",),
    ),
    "too_many_confirmations": _P(
        429,
        "Too many confirmations",
        "Today's confirmation messages are used up. Retry after `retry_after_seconds`.",
        fields=("retry_after_seconds",),
    ),
}

_AVAILABILITY = {
    "share_exceeded": _P(
        429,
        "Share exceeded",
        "The wallet has as many requests of this kind in progress as it may. Retry when one has finished.",
        fields=("retry_after_seconds",),
    ),
    "rail_busy": _P(
        503,
        "Rail busy",
        "Too many movements are waiting, the service is stopping, or its clock is behind another node's at the end of "
        "a limit's window. Retry with the same idempotency key.",
        optional=("waiting", "budget_id"),
    ),
    "service_busy": _P(
        503,
        "Service busy",
        "Too many requests of this kind are waiting, or this one took too long. Nothing moved; retry.",
        optional=("retry_after_seconds",),
    ),
    "service_unreachable": _P(503, "Service unreachable", "The wallet service did not respond. Retry."),
    "unexpected_response": _P(502, "Unexpected response", "The response is not from a wallet service of this release."),
    "mcp_not_installed": _P(501, "MCP not installed", "Install the extra `mcp` to serve MCP."),
}

PROBLEM_TYPES = _REQUEST | _ACCESS | _MONEY | _NOT_FOUND | _PAYMENTS | _AVAILABILITY
"""By code. A database error is 503; anything else is a defect and 500."""

DATABASE_ERROR = _P(
    503,
    "Database unavailable",
    "The database cannot do its part right now; `detail` says why. Nothing is done twice: retry with the same "
    "idempotency key.",
    optional=("setting", "value"),
)
"""What all codes of ``DatabaseError`` and its subclasses are described as."""

INTERNAL_ERROR = _P(
    500,
    "Internal error",
    "The service failed; nothing is known to have moved. Retry with the same idempotency key, and report the "
    "`X-Request-Id`.",
)

DEFECT = "internal_error"
