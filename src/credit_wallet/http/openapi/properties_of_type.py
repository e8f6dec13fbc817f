"""What a property means in one type, where it is not what ``properties`` says of its name."""

from __future__ import annotations

from credit_wallet.domain.corrections import CORRECTION_REASONS
from credit_wallet.http.openapi.about import SHA256_EXAMPLE as _SHA256
from credit_wallet.http.openapi.about import About
from credit_wallet.http.openapi.about import instant as _time
from credit_wallet.http.openapi.properties_of_identities import PROPERTIES_OF_IDENTITIES
from credit_wallet.http.openapi.properties_of_payments import PROPERTIES_OF_PAYMENTS
from credit_wallet.http.openapi.properties_of_prices import PROPERTIES_OF_PRICES

_A = About

_REFUSALS = (
    "InsufficientFundsProblem",
    "BudgetExhaustedProblem",
    "KeyCapExhaustedProblem",
    "CallLimitReachedProblem",
)
_PASSES_AT = _time("When the same request would pass if nothing else is spent; null when waiting does not help.")

_ITEM_SOLD = About("Item of the price book, instead of `amount_yen`.", ("search",))
_QUANTITY_SOLD = About(
    "How much of `item`, by default 1: a number, or a decimal with up to six places in quotes.", (2, "0.5")
)

_KEPT_KEY = About(
    "The idempotency key of the request, when it had a request id, a reference or metadata; else null.", ("req-1",)
)


def _amount(what: str, example: int, *, or_item: bool = False) -> About:
    instead = " Or send `item` instead." if or_item else ""
    return About(
        f"{what}: whole yen as a number, or a decimal with up to six places in quotes, up to 10¹².{instead}",
        (example, "3.30"),
    )


_CODES = ", ".join(f"`{reason}`" for reason in CORRECTION_REASONS)
_WHY = _A(f"Why, as a code: {_CODES}.", ("goodwill",))
_HAPPENED = _A("What happened, up to 500 characters.", ("search was down for an hour, ticket 4712",))

_OF_CORRECTIONS: dict[str, About] = {
    "AdjustBody.amount_yen": _A(
        "What to add, below zero to take: whole yen as a number, or a decimal with up to six places in quotes, up to "
        "10¹² either way, not 0.",
        (-10, "-3.30"),
    ),
    "AdjustBody.reason": _WHY,
    "AdjustBody.note": _HAPPENED,
    "AdjustBody.kind": _A(
        "Kind of the credit that is added, by default `promo`; or the only kind to take from.", ("promo",)
    ),
    "AdjustBody.expires_at": _A("When credit that is added expires; null for never.", ("2027-03-31",)),
    "TakeBackBody.txn_id": _A("The entry of the manual top-up.", (12,)),
    "TakeBackBody.amount_yen": _amount("What to take back, by default all that is left of it", 90_000),
    "TakeBackBody.reason": _WHY,
    "TakeBackBody.note": _HAPPENED,
    **{f"{body}.reason": _WHY for body in ("FreezeBody", "CloseBody", "EraseBody", "HandOverBody", "MergeBody")},
    **{f"{body}.note": _HAPPENED for body in ("FreezeBody", "CloseBody", "EraseBody", "HandOverBody", "MergeBody")},
    "ErasureBlockedProblem.blocked_by": _A(
        "`open`: the wallet is not closed; `changed`: seal `seal_id` does not match.", ("open",)
    ),
    "Erasure.begun_at": _time("When it began."),
    "Erasure.erased_at": _time("When nothing was left to erase."),
    "HandOverBody.reference": _A("The customer's id; null attaches the wallet to none.", ("cust_2",)),
    "HandedOverWallet.owner_token": _A("The new owner token, shown this once; null when tokens stay.", ("cw_live_…",)),
    "Transaction.reason": _A(f"Why an adjustment was made: {_CODES}; null of other entries.", ("goodwill",)),
}

PROPERTIES_OF_TYPE: dict[str, About] = (
    {
        "ReferencedWallet.owner_token": _A(
            "The owner token, shown this once; null for a wallet that had the reference already.", ("cw_live_…",)
        ),
        "WalletView.reference": _A("The host's id of the customer; null for none, and for agents.", ("cust_1",)),
        "WalletReply.reference": _A("The host's id of the customer; null for none, and for agents.", ("cust_1",)),
        "CreateWalletBody.reference": _A(
            "Your id of the customer, unique among wallets: the same one returns the same wallet.", ("cust_1",)
        ),
        "PersonalPage.items": _A("What there is of people, in the order of kinds."),
        "PersonalPage.next_cursor": _A("Send it as `cursor` for the next page; null on the last one.", ("entry:4711",)),
        "PersonalItem.kind": _A(
            "`wallet`, `key`, `target`, `consent`, `budget`, `grant`, `hold`, `payer`, `act` or `entry`.", ("entry",)
        ),
        "PersonalItem.id": _A("Its id, or its number among those of the wallet.", (4_711,)),
        "PersonalItem.at": _time("When it was made; null where nothing says so."),
        "PersonalItem.data": _A("What it says, by the names of its fields.", ({"note": "research for Ms Sato"},)),
        "ActPage.acts": _A("The acts, newest first."),
        "ActPage.next_cursor": _A("Send it as `cursor` for the next page; null on the last one.", (120,)),
        "ActView.act_id": _A("Id of the act.", (121,)),
        "ActView.occurred_at": _time("When it was done."),
        "ActView.kind": _A("What was done, as `noun.verb`.", ("budget.configured",)),
        "ActView.subject": _A("To which thing.", ("budget:budget-7",)),
        "ActView.wallet_id": _A("Whose wallet it was done to; null for what belongs to none.", (1,)),
        "ActView.by": _A(
            "Who did it: `owner`, `agent:7`, `operator:3`, `link:operator:3`, `command line: alice`, `worker` …",
            ("owner",),
        ),
        "ActView.actor": _A("In which capacity: `payer`, `operator`, `product`, or `seller:` and its id.", ("payer",)),
        "ActView.address": _A("From which address, over HTTP; else null.", ("203.0.113.7",)),
        "ActView.request_id": _A("`X-Request-Id` of the request; null without one.", ("req-1",)),
        "ActView.before": _A("What changed, as it was; null for what was made.", ({"limit": "100"},)),
        "ActView.after": _A("What changed, as it is now; null for what was deleted.", ({"limit": "120"},)),
        "ActView.reason": _A("Why, as a code, for acts that ask for one; else null.", ("mistyped_topup",)),
        "ActView.note": _A("Why, in words; null when nothing was said.", ("asked for by phone",)),
        **dict.fromkeys((f"{problem}.retry_at" for problem in _REFUSALS), _PASSES_AT),
        "BudgetView.value": _A(
            "Of `values`, the one with the least left, which the figures are of; else null.", ("r1",)
        ),
        "BudgetValueView.value": _A("The value; of a scope with several `*`, all of them.", ("r1",)),
        "BudgetView.created_at": _time("When it was made and began to count; null for a monthly budget and a cap."),
        "BudgetView.time_zone": _A("IANA name of the time zone whose clocks its windows follow.", ("Asia/Tokyo",)),
        "CreateBudgetBody.time_zone": _A(
            "IANA name of the time zone whose clocks its windows follow; by default the wallet's.", ("Asia/Tokyo",)
        ),
        "RefusingBudget.label": _A("Its name for people; null for none.", ("searches",)),
        "RefusingBudget.value": _A("Which of its values has run out, for a budget of each value; else null.", ("r1",)),
        "RefusingBudget.limit": _A("Its limit now.", ("100",)),
        "BatchItem.item": _ITEM_SOLD,
        "BatchItem.quantity": _QUANTITY_SOLD,
        "BuyBody.item": _ITEM_SOLD,
        "BuyBody.quantity": _QUANTITY_SOLD,
        "CaptureBody.item": _ITEM_SOLD,
        "CaptureBody.quantity": _QUANTITY_SOLD,
        "HoldBody.item": _ITEM_SOLD,
        "HoldBody.quantity": _QUANTITY_SOLD,
        "ChargeBody.item": _ITEM_SOLD,
        "ChargeBody.quantity": _QUANTITY_SOLD,
        "ChargeBody.wallet_id": _A("The wallet to charge, for sellers and operators; others leave it out.", (1,)),
        "HoldBody.wallet_id": _A("The wallet to hold in, for sellers and operators; others leave it out.", (1,)),
        "PaymentProviderErrorProblem.request_id": _A("Stripe's id of the failed call.", ("req_Xa1",)),
        "BatchItem.request_id": _A("Instead of the whole request's `X-Request-Id`, for this charge.", ("req-7f3a",)),
        "Transaction.idempotency_key": _KEPT_KEY,
        "TransactionView.idempotency_key": _KEPT_KEY,
        "BuyBody.wallet_id": _A("The wallet that pays, unless `X-Payer-Token` says who pays.", (1,)),
        "BuyBody.amount_yen": _amount("Price of the request", 3, or_item=True),
        "ChargeBody.amount_yen": _amount("What to charge", 3, or_item=True),
        "HoldBody.amount_yen": _amount("What to set aside", 300, or_item=True),
        "CaptureBody.amount_yen": _amount("What to spend of the hold", 120, or_item=True),
        "RefundBody.amount_yen": _amount("What to return, by default all that is left of the charge", 3),
        "RefundBody.txn_id": _A("The charge to return.", (2,)),
        "OperatorTopupBody.amount_yen": _amount("What to credit", 10_000),
        "BatchItem.amount_yen": _amount("What to charge", 3, or_item=True),
        **_OF_CORRECTIONS,
        "OperatorTopupBody.expires_at": _A(
            "When the credit expires: an ISO 8601 time, or a date for the end of that day in the wallet's time zone.",
            ("2027-03-31",),
        ),
        "CreateGrantBody.amount_yen": _amount("What to credit each time", 500),
        "CreateGrantBody.promo": _A("Whether the credit is promotional rather than paid for.", (True,)),
        "CreateGrantBody.starts_at": _A(
            "When it is first due, by default now: an ISO 8601 time, or a date for the start of that day in the "
            "wallet's time zone; at most 366 days ago.",
            ("2026-12-01",),
        ),
        "CreateGrantBody.until": _A(
            "Nothing comes then or later: an ISO 8601 time, or a date for the end of that day in the wallet's time "
            "zone.",
            ("2027-03-31",),
        ),
        "GrantView.until": _time("Nothing is due then or later; null for without end."),
        "GrantView.retry_at": _time("When it is tried again, after the wallet could not take it; null otherwise."),
        "GrantOccurrence.status": _A("`credited`, or `lapsed` before it could be credited.", ("credited",)),
        "GrantOccurrence.txn_id": _A("The ledger entry that credited it; null when it had lapsed.", (12,)),
        "Consent.language": _A("Language of the text.", ("en",)),
        "Consent.version": _A("Version of the standard text; null for a text of the caller's own.", (1,)),
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
        "TransferBody.amount_yen": _amount("What to move", 5_000),
        "TransferBody.to_owner_token": _A(
            "The owner token of the wallet to move it to: it proves that both wallets have one owner.",
            ("cw_live_0000",),
        ),
        "OperatorTransferBody.amount_yen": _amount("What to move", 5_000),
        "OperatorTransferBody.from_wallet_id": _A("The wallet that the credit leaves.", (1,)),
        "OperatorTransferBody.to_wallet_id": _A("The wallet that it goes to, of the same owner.", (2,)),
        "Transferred.wallet_id": _A("The wallet that the credit left.", (1,)),
        "Transferred.txn_id": _A("The ledger entry that took it out.", (12,)),
        "Transferred.balance_yen": _A("What that wallet can spend right afterwards, in whole yen.", (5_000,)),
        "Transferred.to_balance_yen": _A("What the other one can spend right afterwards, in whole yen.", (5_000,)),
        "TransferView.wallet_id": _A("The wallet that was asked about.", (1,)),
        "TransferView.txn_id": _A(
            "The ledger entry that took the credit out, or the last of those that brought it in.", (12,)
        ),
        "TransferView.balance_yen": _A("What the wallet could spend right afterwards, in whole yen.", (5_000,)),
        "TransferView.status": _A(
            "`out`: on its way, a background job finishes it. `done`: it has come in. `returned`: the other wallet "
            "could not take it, and it is back.",
            ("done",),
        ),
        "TransferView.reason": _A("Why it was returned, for people; else null.", ("there is no such wallet",)),
        "TransferView.note": _A("The note that it was asked with, else null.", ("for the search team",)),
        "TransferView.lots": _A("What kinds of credit it has moved, with their expiries, in the order of spending."),
        "TransferView.created_at": _time("When it left the wallet, or came in."),
        "TransferPart.lot_id": _A("The lot that it was taken from, or the entry that brought it in.", (1,)),
        "TransferPart.amount_yen": _A("How much of it was moved, in whole yen.", (5_000,)),
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
        "ExpiredLotView.expired_yen": _A("What was left of the lot when it expired, in whole yen.", (500,)),
        "ExpiredLotView.expires_at": _time("When the lot expired."),
        "Forecast.spent_yen": _A("Spent in the cycle so far, in whole yen.", (1_203,)),
        "Alert.spent_yen": _A("Spent in the cycle when the threshold was crossed, in whole yen.", (8_000,)),
        "Statement.reversed_yen": _A("Sum of the cycle's clawbacks, in whole yen; negative.", (0,)),
        "NoteSpend.note": _A("The note; null for charges without one.", ("GET /search",)),
        "TopupReply.amount_yen": _A("What is to be paid, in whole yen.", (1_000,)),
        "TopupReply.status": _A(
            "`requested`: not confirmed by Stripe yet. `pending`: it can be paid, or was and is not settled. "
            "`requires_action`: a person must continue at `action_url`. `succeeded`: paid but not credited, see "
            "`reason`. `credited`. `failed`: declined; another card may pay it. `canceled`.",
            ("pending",),
        ),
        "TopupReply.reason": _A(
            "Why it failed, waits or was canceled, in Stripe's word; else null.", ("card_declined",)
        ),
        "TopupView.amount_yen": _A("What is to be paid, in whole yen.", (1_000,)),
        "TopupView.status": _A(
            "`requested`, `pending`, `requires_action`, `succeeded`, `credited`, `failed` or `canceled`.", ("credited",)
        ),
        "TopupView.reason": _A(
            "Why it failed, waits or was canceled, in Stripe's word; else null.", ("card_declined",)
        ),
        "AutoTopupState.reason": _A(
            "Why it waits or stopped: `no_payment_method`, `payment_method_gone`, `limit_reached` and a date, or "
            "Stripe's code of the decline; else null.",
            ("no_payment_method",),
        ),
        "UndoBody.reason": _A("Why, for the refund's note.", ("not served",)),
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
        "UsageReport.rows": _A(
            "Usage of periods, and in each of what does not have the dimension, then of each value."
        ),
        "UsageReport.by": _A("What each period is divided by; null when it is not.", ("tool",)),
        "UsageReport.every": _A("Length of the periods.", ("day",)),
        "UsageReport.since": _time("When the first period that was asked for begins."),
        "UsageReport.until": _time("The end of what was asked for."),
        "UsageRow.period": _A(
            "The period by the wallet's clocks: `YYYY-MM`, `YYYY-MM-DD`, or the hour's beginning with its offset.",
            ("2026-11-28",),
        ),
        "UsageRow.starts_at": _time("When the period begins."),
        "UsageRow.value": _A("The agent key, item or fact; null for charges without one.", ("search",)),
        "UsageRow.charges": _A("How many charges.", (12,)),
        "UsageReport.counted_from": _time(
            "When counting begins: with the first charge by an agent key, for an item or with facts; null without one."
        ),
        "UsageReport.counted_to_txn_id": _A("The ledger entry up to which everything is counted.", (48_210,)),
        "UsageReport.counted_to": _time("When that entry was made; null when nothing is counted yet."),
        "UsageReport.is_current": _A("Whether the wallet has no entry that is not counted yet.", (True,)),
        "UsageReport.wallet_id": _A("Id of the wallet.", (1,)),
        "UsageReport.next_cursor": _A(
            "Send as `cursor` for the next page; null on the last one.", ("2026-11-28~search",)
        ),
        "UsageRow.amount_yen": _A("Sum of the charges, in whole yen.", (39,)),
        "UsageRow.refunded_yen": _A("What was refunded in the period, of charges of any, in whole yen.", (3,)),
        "UsageRow.item": _A(
            "The item that all the charges are for; null when they are for several, or for none.", ("search",)
        ),
        "UsageRow.quantity": _A("How much of that item; null without one.", ("12",)),
        "DeliveryView.event_id": _A("Id of the event that it tells of.", (31,)),
        "DeliveryView.wallet_id": _A(
            "Id of the wallet; 0 for a notice of the operator's that is about all wallets.", (1,)
        ),
        "DeliveryView.kind": _A("What kind of event it is.", ("budget.threshold_reached",)),
        "DeliveryView.status": _A(
            "`pending`: on its way. `delivered`: the target accepted it. `dead`: given up after three days of "
            "attempts, or because the target was removed.",
            ("dead",),
        ),
        "DeliveryView.attempts": _A("How often it was sent.", (9,)),
        "DeliveryView.next_attempt_at": _time("When it is sent next, while it is pending."),
        "DeliveryView.last_error": _A(
            "Why the last attempt failed; null when none has.", ("500 Internal Server Error",)
        ),
        "DeliveryView.created_at": _time("When it was made."),
        "DeliveryView.delivered_at": _time("When the target accepted it; null before that."),
        "LedgerTotals.counted_at": _time("When all wallets had been counted."),
        "LedgerTotals.wallets": _A("How many wallets there are.", (1_200,)),
        "LedgerTotals.frozen": _A("How many of them are frozen.", (3,)),
        "LedgerTotals.closed": _A("How many of them are closed.", (12,)),
        "LedgerTotals.in_debt": _A("How many owe something.", (1,)),
        "LedgerTotals.exhausted": _A("How many that are not closed have nothing that they could spend.", (40,)),
        "LedgerTotals.balance_yen": _A("What all wallets can spend, in whole yen.", (9_000_000,)),
        "LedgerTotals.paid_yen": _A("What of it was paid for, in whole yen.", (8_500_000,)),
        "LedgerTotals.promo_yen": _A("What of it is promotional, in whole yen.", (500_000,)),
        "LedgerTotals.held_yen": _A("What open holds set aside, in whole yen.", (12_000,)),
        "LedgerTotals.debt_yen": _A("What wallets owe, in whole yen (rounded up).", (0,)),
        "LedgerTotals.month": _A("The month in UTC.", ("2026-11",)),
        "LedgerTotals.month_counted_to": _time("When the last entry that is counted was made; null before the first."),
        "LedgerTotals.credited_yen": _A("What came in this month: top-ups and grants, in whole yen.", (2_000_000,)),
        "LedgerTotals.charged_yen": _A("What was charged this month, in whole yen.", (1_900_000,)),
        "LedgerTotals.refunded_yen": _A("What was refunded this month, in whole yen.", (1_200,)),
        "LedgerTotals.expired_yen": _A("What expired this month, in whole yen.", (800,)),
        "LedgerTotals.taken_back_yen": _A("What was taken back or paid back this month, in whole yen.", (0,)),
        "TopupCase.next_step": _A(
            "What to do next; null when there is nothing to do.",
            ("ask the owner to save a card: there is none that could be charged",),
        ),
        "TopupCasePage.topups": _A("Top-ups of all wallets, newest first."),
        "TopupCasePage.next_cursor": _A(
            "Send as `cursor` for the next page; null on the last one.",
            ("2026-11-28T12:00:00.000Z~tu_20bca0ada1f6dda73b61b97a92eb5d",),
        ),
        "Resent.resent": _A("How many deliveries are sent again.", (1,)),
    }
    | PROPERTIES_OF_IDENTITIES
    | PROPERTIES_OF_PAYMENTS
    | PROPERTIES_OF_PRICES
)
