"""What each property means, in the words of the documentation: units, ranges, examples.

A property means the same wherever its name occurs; where it does not, ``properties_of_type`` says so for one type.
"""

from __future__ import annotations

from collections.abc import Container

from credit_wallet.http.openapi.about import SHA256_EXAMPLE as _SHA256
from credit_wallet.http.openapi.about import About, exactly
from credit_wallet.http.openapi.about import instant as _time
from credit_wallet.http.openapi.properties_of_ids import PROPERTIES_OF_IDS
from credit_wallet.http.openapi.properties_of_ledger import PROPERTIES_OF_LEDGER
from credit_wallet.http.openapi.properties_of_type import PROPERTIES_OF_TYPE

_A = About


def about(field: str, beside: Container[str], type_name: str = "") -> About:
    """What is said of ``field`` in a type, or wherever it occurs. Of an exact amount nothing is said by hand: it
    follows from the whole yen ``beside`` it.
    """
    if f"{field}_yen" in beside:
        return exactly(field, about(f"{field}_yen", (), type_name))
    name = f"{type_name}.{field}"
    return PROPERTIES_OF_TYPE.get(name) or PROPERTIES_OF_LEDGER.get(name) or PROPERTIES[field]


PROPERTIES: dict[str, About] = PROPERTIES_OF_IDS | {
    # Amounts
    "left_out": _A(
        "What a summary of very many entries does not say: `spend_by_note`, `prices` of items, and of what `kinds` "
        "`other` is. Empty when the statement says everything.",
        ([],),
    ),
    "other_yen": _A("What came and went besides, where `left_out` names `kinds`, in whole yen.", (0,)),
    "transferred_in_yen": _A("What came from other wallets of the owner in the cycle, in whole yen.", (5_000,)),
    "transferred_out_yen": _A(
        "What went to other wallets of the owner in the cycle, less what was returned, in whole yen; negative.", (0,)
    ),
    "adjusted_yen": _A(
        "What the operator corrected in the cycle, in whole yen; negative when it took more than it added.", (0,)
    ),
    "amount_yen": _A("Amount in whole yen.", (3,)),
    "balance_yen": _A("What the wallet can spend, in whole yen (rounded down).", (9_997,)),
    "held_yen": _A("Set aside by open holds, in whole yen.", (300,)),
    "debt_yen": _A(
        "Owed after a payment was clawed back, in whole yen (rounded up); the next credit pays it first.", (0,)
    ),
    "missing_yen": _A("How much is missing for this movement, in whole yen (rounded up: enough to top up).", (10_003,)),
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
    "max_amount_yen": _A("The largest amount that would pass now, in whole yen (rounded down); 0 for none.", (120,)),
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
    "auto_topup_daily_yen": _A(
        "The owner's own limit on what automatic top-ups bring in a day of the wallet's time zone, in whole yen; 0 for "
        "none.",
        (10_000,),
    ),
    "auto_topup_monthly_yen": _A(
        "The same in a month, in whole yen; 0 for none. The operator's limits count besides.", (50_000,)
    ),
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
    "came_at": _time("When the occurrence was to come."),
    "lapses_at": _time("When its credit lapses, or would have; null for never."),
    "next_at": _time("When the next occurrence comes; null when there is none."),
    "canceled_at": _time("When it was canceled; null when it was not."),
    "consented_at": _time("When it was agreed to."),
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
    "budget": _A("The budget that refused."),
    "unit": _A("What it counts: yen or calls. Its amounts are of this unit.", ("yen",)),
    "window": _A(
        "`minute`, `hour`, `day`, `week`, `month`, `total`, or `rolling:` and a length from `1m` to `31d`, such as "
        "`rolling:24h`.",
        ("day",),
    ),
    "scope": _A(
        "Which charges it counts: up to four conditions, all of which must be met. Names are `group`, `key_id`, `item` "
        "and keys of facts (`fact.item` for a fact of such a name); `*` gives each value a limit of its own. Empty for "
        "all charges.",
        ({"tool": "search"},),
    ),
    "mode": _A(
        "`cap` refuses what would exceed the limit, `alert` only notifies, `shadow` lets everything through and "
        "records what a cap would have refused.",
        ("cap",),
    ),
    "shares_pct": _A("Percentages of the limit at which it notifies, ascending: up to ten, 1 to 1,000.", ([80, 100],)),
    "week_start": _A("The first day of its weeks.", ("monday",)),
    "limit": _A("The limit as it was set, in its unit: an exact decimal.", ("100",)),
    "spent": _A("Spent in the current window, in its unit: an exact decimal.", ("96.7",)),
    "held": _A("Reserved by open holds, in its unit: an exact decimal.", ("0",)),
    "left": _A("What is left for other charges, in its unit: an exact decimal, 0 or more.", ("3.3",)),
    "resets_at": _time("When the next window begins, or when all has left a rolling one; null when neither happens."),
    "limit_yen": _A(
        "The limit in yen: a whole number, or a decimal with up to six places in quotes, 0 to 10¹².", (100, "3.30")
    ),
    "limit_calls": _A("The limit in calls, instead of yen: 0 to 10¹².", (60,)),
    "raised_limit_yen": _A("The limit until `raised_until`, in yen: as `limit_yen`.", (300, "300.5")),
    "raised_limit_calls": _A("The limit until `raised_until`, in calls.", (120,)),
    "raised_limit": _A("The limit until `raised_until`, in its unit; null when it is not raised.", ("200",)),
    "raised_until": _time("Until when the raised limit counts; null when it is not raised."),
    "refused": _A("What a shadow would have refused in this window, in its unit: an exact decimal.", ("0",)),
    "refusals": _A("How many charges and holds a shadow would have refused in this window.", (0,)),
    "each_value": _A("Whether each value has a limit of its own.", (False,)),
    "values": _A("How many values were counted in this window.", (0,)),
    "change_id": _A("Id of the change.", (120,)),
    "changed_by": _A("Who changed it: `payer` (the owner), `operator`, `product`, or `seller:` and an id.", ("payer",)),
    "changed_at": _time("When it was changed."),
    "before": _A("What was changed, as it was before; null for a new budget.", ({"limit": "100"},)),
    "after": _A("The same as it is since; null when it was deleted.", ({"limit": "200"},)),
    "after_txn_id": _A("The wallet's last ledger entry before the change; 0 for none.", (48_210,)),
    "group": _A(
        "The agent key's group, for budgets: up to four names with `/` between them; null for none.", ("acme/research",)
    ),
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
    # Grants and consents
    "grant_id": _A("Id of the grant.", (3,)),
    "starts_at": _time("When it comes for the first time; the next ones follow by the wallet's clocks."),
    "every": _A("`month` for every month; null for once.", ("month",)),
    "lapses": _A(
        "When the credit lapses: `never`, when the `next` occurrence comes, or that many days after it was to come.",
        ("next", 30),
    ),
    "occurrences": _A("How many have come so far, credited or lapsed.", (2,)),
    "occurrence": _A("Its number, from 0.", (1,)),
    "consent_no": _A("Number of the consent, from 1 in each wallet.", (2,)),
    "consented_by": _A("Who agreed: the wallet's `owner` or an `operator`.", ("owner",)),
    "text": _A("The exact words that were agreed to."),
    "auto_topup_consent": _A(
        "The text that was shown to whoever agrees, up to 4,000 characters; by default the standard text."
    ),
    "auto_topup_consent_language": _A("Language of the text that is agreed to.", ("en",)),
    "limit_per": _A("What the limit is for: one `payment`, a `day` or a `month`.", ("day",)),
    "set_by": _A("Who has set the limit: the `operator` or the `owner`.", ("owner",)),
    # Movements
    "note": _A("What the movement was for, up to 500 characters.", ("GET /search",)),
    "item": _A(
        "Item of the price book that was sold, instead of an amount; null or left out when an amount was named.",
        ("search",),
    ),
    "quantity": _A("How much of the item, with up to six places; 1 when left out, 0 without an item.", ("2",)),
    "price_version": _A("Version of the price book that an item was priced by; null without an item.", (1,)),
    "items": _A("Items that have a price for the wallet now, up to 20.", (["fetch", "search"],)),
    "prices": _A("The prices that count for the wallet now, by item."),
    "announced": _A("The prices that will count for it later, by item and instant."),
    "unit_price": _A(
        "What `per` units cost, in yen: an exact decimal. Of a price, null when it has `tiers`.", ("3.3",)
    ),
    "per": _A("How many units the unit price is for.", (1,)),
    "price": _A("The price in words, tiers included; null when the charges named their amount.", ("¥0.2 per 1,000",)),
    "tiers": _A("Unit prices by how much of the item is used in a billing cycle; empty when there is one unit price."),
    "up_to": _A("The last unit of the cycle that the tier is for; null for all further ones.", ("1000",)),
    "valid_from": _time("Since when the price is valid; null for always."),
    "version": _A("Version of the price book.", (2,)),
    "price_group": _A("Group of the price book whose prices count for the wallet; null for none.", ("partners",)),
    "facts": _A(
        "What it was for: up to eight keys of a-z, 0-9 and _ with texts of up to 64 characters. Those that an owner "
        "or agent sends are in `agent_facts` of the ledger entry.",
        ({"tool": "search"},),
    ),
    "agent_facts": _A("The same, as the buyer told its seller.", ({"run": "r1"},)),
    "request_id": _A(
        "The id that the caller gave the request with `X-Request-Id`: up to 128 printable ASCII characters; null "
        "without one.",
        ("req-7f3a",),
    ),
    "reference": _A(
        "The host's own id of what this is about, 1 to 255 printable characters; null or left out without one.",
        ("order-1042",),
    ),
    "metadata": _A(
        "The host's own notes: up to 20 pairs, keys of up to 40 characters and texts of up to 500, and 2,000 "
        "characters in all.",
        ({"customer": "cust_81"},),
    ),
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
    "frozen": _A("Whether nothing may be spent of the wallet; only an operator can change it.", (False,)),
    "frozen_at": _time("Since when it is frozen; null when it is not, or when the host has switched it off."),
    "frozen_reason": _A("Why it is frozen, as a code; for operators, else null.", ("fraud",)),
    "frozen_note": _A("What happened, in words; for operators, else null.", ("ticket 4715",)),
    "closing_at": _time("When closing it began; null when it has not."),
    "closed_at": _time("When it was closed, for good; null when it is not."),
    "merged_into": _A("The wallet that its credit goes to, or went to; null for none.", (2,)),
    "into_wallet_id": _A("The wallet of the same customer that all credit goes to.", (2,)),
    "unused": _A(
        "What happens to unused credit that was paid for: `pay_back` to where it came from, or `write_off`.",
        ("pay_back",),
    ),
    "release_holds": _A("Whether open holds are released; otherwise they are waited for.", (False,)),
    "write_off_debt": _A("Whether what the wallet owes is written off; otherwise debt blocks it.", (False,)),
    "blocked_by": _A(
        "What has to happen first: `debt`, `holds` and `purchases` to end, `credit` to leave, `paid_by_hand` to be "
        "paid back outside; `unfrozen` when somebody took it back.",
        ("holds",),
    ),
    "hold_ids": _A("The open holds, up to 100.", ([17, 18],)),
    "topup_ids": _A("The top-ups that may still be paid, or cannot be paid back, up to 100.", (["tu_1a2b"],)),
    "purchases": _A("How many purchases are being served.", (0,)),
    "rotate_token": _A(
        "Whether there is a new owner token, and every other token, agent key and registered key ends.", (True,)
    ),
    "allow_debt": _A("Whether what is missing becomes debt; otherwise it is refused.", (False,)),
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
    "next_expiring": _A("The open lot that expires soonest; null when no credit expires."),
    "days_left": _A("Whole days until the rest of the lot expires; null for never.", (29,)),
    "budgets": _A(
        "What can bound the caller, up to 20: monthly limits, then budgets of all its charges, then budgets of some."
    ),
    "recent_transactions": _A("The latest ten ledger entries; for an agent those that its key paid."),
    "transactions": _A("Ledger entries, newest first."),
    "searched_to": _A(
        "When the last entry was made that was looked at, if more follow; null for agents, and when entries were found "
        "by what they were called.",
        ("2026-11-03T08:15:00.000Z",),
    ),
    "next_cursor": _A("Send as `cursor` for the next page; null on the last page.", ("120",)),
    "auto_topup": _A("Whether the wallet can top itself up."),
    "topup_url": _A("Where people top the wallet up.", ("https://example.com/topup",)),
    "entries": _A("The cycle's ledger entries, oldest first."),
    "spend_by_key": _A("Spending by agent key, the most expensive first."),
    "spend_by_item": _A("Spending by item of the price book, the most expensive first; null for other charges."),
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
        "The page of Stripe's to send people to; null without `checkout`, and once nothing can be paid there.",
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
    "result": _A(
        "`settled`; `reported` when an amount is not in yen, which moves nothing and notifies operators; `ignored` "
        "when the event is about nothing in this ledger.",
        ("settled",),
    ),
    # Tokens
    "wallets": _A("The wallets that were found."),
    "token_prefix": _A(
        "The first characters of the current token, to recognise it by; null for a token from before they were kept.",
        ("cw_live_FuPQ",),
    ),
    "created": _A("Whether it is new; false for the one that had the reference already.", (True,)),
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
