"""What each property means, in the words of the documentation: units, ranges, examples.

A property means the same wherever its name occurs; where it does not, ``PROPERTIES_OF_TYPE`` says so for one type.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class About(Struct, frozen=True):
    """A description for people, examples, and whether a text is an instant."""

    description: str
    examples: tuple[Any, ...] = ()
    is_instant: bool = False

    def describe(self, given: dict[str, Any]) -> dict[str, Any]:
        """The schema ``given`` with all of it."""
        described = {**_formatted(given, self.is_instant), "description": self.description}
        return {**described, "examples": [*self.examples]} if self.examples else described


def _formatted(given: dict[str, Any], is_instant: bool) -> dict[str, Any]:
    if not is_instant:
        return given
    if "anyOf" in given:
        return {**given, "anyOf": [_formatted(each, is_instant) for each in given["anyOf"]]}
    return {**given, "format": "date-time"} if given.get("type") == "string" else given


_A = About
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _time(description: str) -> About:
    return About(description, ("2026-11-23T08:26:55.373Z",), is_instant=True)


def about(field: str, type_name: str = "") -> About:
    """What is said of ``field``, in a type or wherever it occurs. An exact amount is the same as the whole yen beside
    it, so that this is said once.
    """
    said = PROPERTIES_OF_TYPE.get(f"{type_name}.{field}") or PROPERTIES.get(field)
    if said is not None:
        return said
    whole = about(f"{field}_yen", type_name)
    return About(
        f"The exact `{field}_yen`: a decimal without trailing zeros.", tuple(f"{each}" for each in whole.examples)
    )


PROPERTIES: dict[str, About] = {
    # Ids
    "wallet_id": _A("Id of the wallet.", (1,)),
    "txn_id": _A("Id of the ledger entry.", (2,)),
    "hold_id": _A("Id of the hold.", (1,)),
    "key_id": _A("Id of the agent key; null for the owner.", (7,)),
    "seller_id": _A("Id of the seller.", (3,)),
    "topup_id": _A(
        "Id of the top-up, derived from wallet and idempotency key.", ("tu_20bca0ada1f6dda73b61b97a92eb5d",)
    ),
    "lot_id": _A("Id of the lot: the ledger entry that brought the credit.", (1,)),
    "target_id": _A("Id of the notification target.", (4,)),
    "delivery_id": _A("Id of the delivery.", (12,)),
    "seal_id": _A("Number of the seal.", (42,)),
    "related_txn_id": _A("The charge that a refund returns, or the top-up that is reversed; else null.", (2,)),
    "credit_txn_id": _A("The ledger entry that credited the top-up; null before that.", (5,)),
    "last_txn_id": _A("The last ledger entry that the seal covers.", (48_210,)),
    # Amounts
    "amount_yen": _A("Amount in whole yen.", (3,)),
    "balance_yen": _A("What the wallet can spend, in whole yen.", (9_997,)),
    "held_yen": _A("Set aside by open holds, in whole yen.", (300,)),
    "debt_yen": _A("Owed after a payment was clawed back, in whole yen; the next credit pays it first.", (0,)),
    "missing_yen": _A("How much is missing for this movement, in whole yen.", (10_003,)),
    "spendable_yen": _A(
        "The largest charge that balance, budget and the caller's cap would allow now, in whole yen.", (9_997,)
    ),
    "budget_yen": _A("The monthly budget at that moment, in whole yen.", (10_000,)),
    "spent_yen": _A("Charged less refunded, in whole yen.", (8_000,)),
    "charged_yen": _A("Sum of the charges, in whole yen.", (8_100,)),
    "refunded_yen": _A("How much was refunded, in whole yen.", (100,)),
    "captured_yen": _A("Captured so far, in whole yen.", (120,)),
    "remaining_yen": _A("What is left of the lot, in whole yen.", (5_000,)),
    "received_yen": _A("What Stripe received, in whole yen.", (1_000,)),
    "credited_yen": _A("What the wallet was credited, in whole yen.", (1_000,)),
    "reversed_yen": _A("What was taken back after a clawback, in whole yen.", (0,)),
    "refundable_yen": _A("What can still be returned, in whole yen.", (2_000,)),
    "left_yen": _A("How much of the limit is left, in whole yen.", (20_000,)),
    "ledger_balance_yen": _A("Balance and open holds together right after the entry, in whole yen.", (9_997,)),
    "current_cycle_spent_yen": _A("Spent in the current billing cycle, in whole yen.", (1_203,)),
    "monthly_budget_yen": _A("Budget of each billing cycle in whole yen; 0 for none.", (10_000,)),
    "monthly_cap_yen": _A("The most that the key may spend in a billing cycle, in whole yen; 0 for no cap.", (3_000,)),
    "low_balance_yen": _A("A notice is sent when the balance falls below this, in whole yen; 0 for never.", (1_000,)),
    "auto_topup_threshold": _A(
        "The wallet tops itself up when the balance falls below this, in whole yen; 0 switches it off.", (1_000,)
    ),
    "auto_topup_amount": _A("How much an automatic top-up brings, in whole yen.", (5_000,)),
    "daily_pace_yen": _A("Spending per day at the pace of this cycle, in whole yen.", (310,)),
    "projected_cycle_spend_yen": _A("Projected spending of the whole cycle, in whole yen.", (9_300,)),
    "opening_yen": _A("Balance and open holds when the cycle began, in whole yen.", (10_000,)),
    "closing_yen": _A("Balance and open holds at the end of the cycle, or now, in whole yen.", (8_797,)),
    "topups_yen": _A("Sum of the cycle's top-ups, in whole yen.", (5_000,)),
    "charges_yen": _A("Sum of the cycle's charges, in whole yen; negative.", (-6_303,)),
    "refunds_yen": _A("Sum of the cycle's refunds, in whole yen.", (100,)),
    "expired_yen": _A("Sum of credit that expired in the cycle, in whole yen; negative.", (0,)),
    # Times
    "created_at": _time("When it was created."),
    "updated_at": _time("When it last changed."),
    "occurred_at": _time("When the entry was made."),
    "expires_at": _time("When it expires; null for never."),
    "ends_at": _time("When the token ends; null when it has no end."),
    "revoked_at": _time("When it was revoked; null when it was not."),
    "retry_at": _time("When the next attempt is made; null when none is planned."),
    "sealed_at": _time("When the seal was made."),
    "confirm_by": _time("Until when the mailbox can be confirmed; null when it is confirmed or needs no confirmation."),
    "balance_runs_out_at": _time("When the balance runs out at this pace; null when not within a year."),
    "budget_runs_out_at": _time("When the budget runs out at this pace; null when not within the cycle."),
    "ttl_seconds": _A("How long the hold lasts, in seconds: 1 to 2,678,400 (31 days).", (900,)),
    "hold_seconds": _A("Hold the price for this many seconds instead of charging it: 1 to 2,678,400 (31 days).", (60,)),
    "lease_seconds": _A("How long the attempt has to serve, undo or renew, in seconds.", (30,)),
    "overlap_seconds": _A(
        "How long earlier tokens keep working, in seconds: 0 to 2,678,400. 0 ends them at once, for one that has "
        "leaked.",
        (3_600,),
    ),
    "retry_after_seconds": _A("Seconds to wait before the next attempt.", (1,)),
    # Spending limits
    "billing_cycle": _A("Billing cycle, `YYYY-MM`: a month in the wallet's time zone.", ("2026-11",)),
    "current_cycle": _A("Current billing cycle, `YYYY-MM`: a month in the wallet's time zone.", ("2026-11",)),
    "budget_mode": _A("`alert` only notifies when the budget is spent; `cap` refuses what would exceed it.", ("cap",)),
    "threshold_pct": _A("The percentage of the budget that was crossed.", (80,)),
    "warn_pct": _A("80 or 100 when that percentage of the monthly budget is spent, else 0.", (0,)),
    "alert_thresholds_pct": _A(
        "Percentages of the budget that also alert, beside 50, 80 and 100: up to ten, 1 to 1,000.", ([120],)
    ),
    "alerts": _A("Budget thresholds that were crossed, by this movement or in this cycle."),
    "enabled": _A("Whether the wallet may spend.", (True,)),
    # Movements
    "note": _A("What the movement was for, up to 500 characters.", ("GET /search",)),
    "replayed": _A("Whether the idempotency key was used before, so that nothing moved now.", (False,)),
    "final": _A("Whether this is the last capture, so that the rest of the hold is released.", (True,)),
    "above": _A(
        "What happens to yen that the hold does not cover: `reject` refuses the capture, `up_to_balance` takes what "
        "the balance allows (for sellers and operators).",
        ("reject",),
    ),
    "charges": _A("How many charges.", (41,)),
    "promo": _A("Whether the credit is promotional rather than paid for.", (False,)),
    "outcomes": _A("One for each charge, in the order of the request: a movement or a problem."),
    "idempotency_key": _A(
        "Names the request: new for every request, the same for every retry. 1 to 255 printable ASCII characters.",
        ("req-1",),
    ),
    "txn_type": _A("What kind of entry it is.", ("charge",)),
    "kind": _A("Whether the credit was paid for or is promotional.", ("paid",)),
    "attempt": _A("Names this attempt to serve the request, 1 to 64 printable ASCII characters.", ("worker-1:17",)),
    "free": _A("Whether the request was served before, so that this attempt costs nothing.", (False,)),
    "free_retries": _A("How many retries of a served request are free.", (0,)),
    "purchase_key": _A("Names the purchase in later calls.", ("req-1:7",)),
    "forget": _A("Whether to forget the purchase, which then has no free retries.", (False,)),
    # The wallet
    "label": _A("A name for people, up to 500 characters.", ("research agent",)),
    "time_zone": _A("IANA name of a time zone.", ("Asia/Tokyo",)),
    "key": _A("The agent key that asks; null for the owner."),
    "lots": _A("The open lots in the order in which they are spent; their sum is the balance."),
    "recent_transactions": _A("The latest ten ledger entries; for an agent those that its key paid."),
    "transactions": _A("Ledger entries, newest first."),
    "next_cursor": _A("Send as `cursor` for the next page; null on the last page.", ("120",)),
    "auto_topup": _A("Whether the wallet can top itself up."),
    "topup_url": _A("Where people top the wallet up.", ("https://example.com/topup",)),
    "entries": _A("The cycle's ledger entries, oldest first."),
    "spend_by_key": _A("Spending by agent key, the most expensive first."),
    "spend_by_note": _A("Spending by note: the 20 most expensive."),
    "other_notes": _A("All further notes together; null when there are none."),
    "notes": _A("How many notes these are.", (7,)),
    "seal": _A(
        "Number and hash of the ledger's latest seal, which proves the entries later; null before the first.",
        (f"42 {_SHA256}",),
    ),
    # Top-ups
    "topups": _A("Top-ups, newest first."),
    "checkout": _A(
        "Whether to pay at `checkout_url`, a page of Stripe's, instead of in a card form of your own.", (True,)
    ),
    "payment_intent": _A("Stripe's id of the payment; null before Stripe has answered.", ("pi_3Q2",)),
    "client_secret": _A("What Stripe.js confirms in a card form of your own. It is not stored.", ("pi_3Q2_secret_x",)),
    "checkout_session": _A("Stripe's id of the checkout page; null for a card form of your own.", ("cs_test_a1",)),
    "checkout_url": _A(
        "The page of Stripe's to send people to; null without `checkout`.",
        ("https://checkout.stripe.com/c/pay/cs_test_a1",),
    ),
    "action_url": _A(
        "Where a person continues: the checkout page, a bank's question, a slip to pay; else null.",
        ("https://checkout.stripe.com/c/pay/cs_test_a1",),
    ),
    "origin": _A("Who asked: `owner`, `auto`, or `found` for a payment that had lost its row.", ("owner",)),
    "flow": _A("How it is paid: `intent` in a card form of your own, `checkout` at a page of Stripe's.", ("checkout",)),
    "clawbacks": _A("Refunds and disputes of the payment."),
    "payment_method": _A("Stripe's id of the saved card; null when none is saved.", ("pm_1Q2",)),
    "reason": _A("Why, as a stable word; null when there is no reason to give.", ("card_declined",)),
    "state": _A(
        "`off`: no threshold is set. `ready`. `waiting`: a declined card is tried again at `retry_at`. `stopped`: a "
        "person must act.",
        ("ready",),
    ),
    "topup_status": _A("Status of the top-up in progress.", ("pending",)),
    "request_id": _A("Stripe's id of the failed call.", ("req_Xa1",)),
    "result": _A(
        "`settled`; `reported` when an amount is not in yen, which moves nothing and notifies operators; `ignored` "
        "when the event is about nothing in this ledger.",
        ("settled",),
    ),
    # Tokens
    "owner_token": _A("The owner token. It is shown this once; only its hash is stored.", ("cw_live_…",)),
    "token": _A("The token. It is shown this once; only its hash is stored.", ("cw_live_…",)),
    "role": _A("What kind of token it is.", ("owner",)),
    "sha256": _A("SHA-256 in hexadecimal, 64 digits.", (_SHA256,)),
    "registered": _A("Whether it is a key of the host's own; otherwise an earlier token that still works.", (True,)),
    "max": _A("How many are allowed.", (10,)),
    # Notices
    "notification_targets": _A("Where notices go, at most ten targets. The list is replaced as a whole."),
    "url": _A(
        "Address of a new target: `https://…` for a signed webhook, `mailto:person@example.com`, or a service such as "
        "`slack://…`.",
        ("https://example.com/hook",),
    ),
    "address": _A("The target's address without its secret parts.", ("https://example.com/…",)),
    "kinds": _A("The kinds of events it gets; empty for everything meant for people.", ([],)),
    "language": _A("Language of the notices.", ("en",)),
    "quiet_hours": _A("Notices wait until these hours are over, `HH:MM-HH:MM`; null for none.", ("22:00-07:00",)),
    "digest": _A(
        "Notices are gathered into one message, `hourly` or daily at `HH:MM`; null sends each at once. Not for "
        "webhooks.",
        ("09:00",),
    ),
    "rotate_secret": _A("Whether to make a new secret for a webhook; the earlier one signs for a day more.", (False,)),
    "secret": _A("What signs the webhook: shown when it is made and never again, else null.", ("whsec_…",)),
    "stopped": _A("Why nothing is sent there any more; null while it works.", ("410 Gone",)),
    # Problems
    "type": _A("A URI that names the kind of problem."),
    "title": _A("A short summary of the kind of problem."),
    "status": _A("The HTTP status."),
    "detail": _A("What happened and what to do next, for people.", ("no such hold",)),
    "code": _A("What happened, as a stable word for programs."),
    "field": _A("The field, parameter or header that is wrong.", ("amount_yen",)),
    "hold_status": _A("Status of the hold.", ("captured",)),
    "waiting": _A("How many movements are waiting.", (65_536,)),
    "setting": _A("The database setting that is wrong.", ("server_encoding",)),
    "value": _A("What it is set to.", ("LATIN1",)),
}

PROPERTIES_OF_TYPE: dict[str, About] = {
    "ChargeBody.wallet_id": _A("The wallet to charge, for sellers and operators; others leave it out.", (1,)),
    "HoldBody.wallet_id": _A("The wallet to hold in, for sellers and operators; others leave it out.", (1,)),
    "BuyBody.wallet_id": _A("The wallet that pays, unless `X-Payer-Token` says who pays.", (1,)),
    "BuyBody.amount_yen": _A("Price of the request, 1 to 10¹² whole yen.", (3,)),
    "ChargeBody.amount_yen": _A("What to charge, 1 to 10¹² whole yen.", (3,)),
    "HoldBody.amount_yen": _A("What to set aside, 1 to 10¹² whole yen.", (300,)),
    "CaptureBody.amount_yen": _A("What to spend of the hold, 1 to 10¹² whole yen.", (120,)),
    "RefundBody.amount_yen": _A("What to return, in whole yen; by default all that is left of the charge.", (3,)),
    "RefundBody.txn_id": _A("The charge to return.", (2,)),
    "OperatorTopupBody.amount_yen": _A("What to credit, 1 to 10¹² whole yen.", (10_000,)),
    "OperatorTopupBody.expires_at": _A(
        "When the credit expires: an ISO 8601 time, or a date for the end of that day in the wallet's time zone.",
        ("2027-03-31",),
    ),
    "CreateKeyBody.expires_at": _A(
        "When the key expires: an ISO 8601 time, or a date for the end of that day in the wallet's time zone.",
        ("2027-03-31",),
    ),
    "RegisterSecretBody.ends_at": _A(
        "When the key ends: an ISO 8601 time, or a date for the end of that day in the wallet's time zone.",
        ("2027-03-31",),
    ),
    "RegisterSecretBody.key_id": _A("The agent key that it opens; null opens the wallet as its owner.", (7,)),
    "TopupBody.amount_yen": _A("What to pay, in whole yen; by default ¥50 to ¥500,000 are allowed.", (1_000,)),
    "PayBackBody.amount_yen": _A("What to pay back, in whole yen.", (1_000,)),
    "BatchBody.charges": _A("1 to 1,000 charges."),
    "MovementReply.txn_id": _A("The ledger entry that it made; null for a hold and a release.", (2,)),
    "MovementReply.hold_id": _A("The hold that it is about, else null.", (1,)),
    "MovementReply.balance_yen": _A("What the wallet can spend right afterwards, in whole yen.", (9_997,)),
    "MovementReply.expires_at": _time("When a new or extended hold expires, else null."),
    "PurchaseReply.txn_id": _A("The ledger entry that it made; null for a hold.", (2,)),
    "PurchaseReply.hold_id": _A("The hold that pays for it, else null.", (1,)),
    "PurchaseReply.expires_at": _time("When its hold expires, else null."),
    "Transaction.amount_yen": _A("Whole yen; negative when it left the wallet.", (-3,)),
    "TransactionView.amount_yen": _A("Whole yen; negative when it left the wallet.", (-3,)),
    "TransactionView.refunded_yen": _A("Refunded of a charge, or reversed of a top-up, in whole yen.", (0,)),
    "Transaction.hold_id": _A("The hold that was captured, else null.", (1,)),
    "TransactionView.hold_id": _A("The hold that was captured, else null.", (1,)),
    "Clawback.id": _A("Stripe's id of the refund or dispute.", ("re_3Q2",)),
    "Clawback.kind": _A("Whether it is a refund or a dispute.", ("refund",)),
    "Clawback.amount_yen": _A("How much it takes back, in whole yen.", (1_000,)),
    "Clawback.status": _A(
        "`announced`: no money has moved. `withdrawn`: Stripe took the money back. `reinstated`: it was returned.",
        ("withdrawn",),
    ),
    "HoldView.amount_yen": _A("What was set aside, in whole yen.", (300,)),
    "HoldView.key_id": _A("The agent key that made the hold; null when it was not an agent.", (7,)),
    "HoldView.status": _A("`open`, `captured`, `released` or `expired`.", ("open",)),
    "LotView.expires_at": _time("When the rest of the lot expires; null for never."),
    "Forecast.spent_yen": _A("Spent in the cycle so far, in whole yen.", (1_203,)),
    "Alert.spent_yen": _A("Spent in the cycle when the threshold was crossed, in whole yen.", (8_000,)),
    "Statement.reversed_yen": _A("Sum of the cycle's clawbacks, in whole yen; negative.", (0,)),
    "NoteSpend.note": _A("The note; null for charges without one.", ("GET /search",)),
    "TopupReply.amount_yen": _A("What is to be paid, in whole yen.", (1_000,)),
    "TopupReply.status": _A(
        "`requested`: not confirmed by Stripe yet. `pending`: it can be paid, or was and is not settled. "
        "`requires_action`: a person must continue at `action_url`. `succeeded`: paid but not credited, see `reason`. "
        "`credited`. `failed`: declined; another card may pay it. `canceled`.",
        ("pending",),
    ),
    "TopupReply.reason": _A("Why it failed, waits or was canceled, in Stripe's word; else null.", ("card_declined",)),
    "TopupView.amount_yen": _A("What is to be paid, in whole yen.", (1_000,)),
    "TopupView.status": _A(
        "`requested`, `pending`, `requires_action`, `succeeded`, `credited`, `failed` or `canceled`.", ("credited",)
    ),
    "TopupView.reason": _A("Why it failed, waits or was canceled, in Stripe's word; else null.", ("card_declined",)),
    "AutoTopupState.reason": _A(
        "Why it waits or stopped: `no_payment_method`, `payment_method_gone`, `limit_reached` and a date, or Stripe's "
        "code of the decline; else null.",
        ("no_payment_method",),
    ),
    "UndoBody.reason": _A("Why, for the refund's note.", ("not served",)),
    "Identity.wallet_id": _A("The wallet that the token opens; null for sellers and operators.", (1,)),
    "Identity.key_id": _A("The agent key; null for everybody else.", (7,)),
    "Identity.seller_id": _A("The seller; null for everybody else.", (3,)),
    "CreatedKey.key_id": _A("Id of the agent key.", (7,)),
    "KeyView.key_id": _A("Id of the agent key.", (7,)),
    "CreatedSeller.token": _A("The token. It is shown this once; only its hash is stored.", ("cw_seller_…",)),
    "TargetBody.target_id": _A("A target that exists, instead of `url`: its address stays.", (4,)),
    "TargetView.wallet_id": _A("Id of the wallet; 0 for the operators' targets.", (1,)),
    "TargetBody.time_zone": _A("IANA name of the time zone of `quiet_hours` and `digest`.", ("Asia/Tokyo",)),
    "TargetView.time_zone": _A("IANA name of the time zone of `quiet_hours` and `digest`.", ("Asia/Tokyo",)),
    "CreateWalletBody.time_zone": _A(
        "IANA name of a time zone; a billing cycle is a calendar month there.", ("Asia/Tokyo",)
    ),
    "ConfirmBody.code": _A("The code as it was sent.", ("K7QM-3XRA",)),
    "RegisterSecretBody.sha256": _A(
        "SHA-256 of the key in UTF-8, 64 hexadecimal digits.",
        (_SHA256,),
    ),
    "SecretView.key_id": _A("The agent key that it opens; null opens the wallet as its owner.", (7,)),
    "Anchor.sha256": _A("Hash of the seal in hexadecimal, 64 digits.", (_SHA256,)),
    "Health.status": _A("`ok` or `ready`.", ("ok",)),
}
