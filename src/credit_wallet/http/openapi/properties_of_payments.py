"""What a property means in the types about paying."""

from __future__ import annotations

from credit_wallet.http.openapi.about import About
from credit_wallet.http.openapi.about import instant as _time

_A = About

_METHOD = "A payment method, as Stripe calls it: `card`, `konbini`, `customer_balance` (bank transfer)"

PROPERTIES_OF_PAYMENTS: dict[str, About] = {
    "TopupBody.method": _A(
        "The payment method to pay by, one of those of `GET /credit/topups/options`; by default any of them.",
        ("konbini",),
    ),
    "TopupBody.save_card": _A("Whether a card that pays is saved, for automatic top-ups.", (False,)),
    "TopupBody.language": _A("Language of Stripe's page, by default the browser's.", ("ja",)),
    "TopupReply.method": _A(f"{_METHOD}; null for any that is offered.", ("konbini",)),
    "TopupReply.next_action": _A("What a person does next to pay; null when there is nothing to do."),
    "TopupView.offer": _A("How the payment was asked for; null for any method, saving a card."),
    "TopupCase.offer": _A("How the payment was asked for; null for any method, saving a card."),
    "Offer.method": _A(f"{_METHOD}; null for any that is offered.", ("konbini",)),
    "Offer.save_card": _A("Whether a card that pays is saved, for automatic top-ups.", (True,)),
    "Offer.language": _A("Language of Stripe's page; null for the browser's.", ("ja",)),
    "NextAction.type": _A(
        "`checkout`: pay at `url`, a page of Stripe's. `authenticate`: answer the bank (3-D Secure). `konbini`: pay "
        "the slip in a store. `bank_transfer`: transfer the money to `bank_account`.",
        ("konbini",),
    ),
    "NextAction.amount_yen": _A("What is still to be paid, in whole yen.", (1_000,)),
    "NextAction.url": _A(
        "Where Stripe explains it, for a browser; null when only Stripe.js can go on.",
        ("https://payments.stripe.com/konbini/voucher/test_a1",),
    ),
    "NextAction.expires_at": _time("Until when it can be paid; null for no end."),
    "NextAction.stores": _A("What to say at each chain of stores; empty unless it is a slip."),
    "NextAction.bank_account": _A("Where to transfer the money; null unless it is a bank transfer."),
    "KonbiniStore.store": _A("The chain: `familymart`, `lawson`, `ministop` or `seicomart`.", ("lawson",)),
    "KonbiniStore.payment_code": _A("The payment code.", ("123456",)),
    "KonbiniStore.confirmation_number": _A("The confirmation number; null when there is none.", ("09012345678",)),
    "BankAccount.bank_name": _A("Name of the bank.", ("みずほ銀行",)),
    "BankAccount.bank_code": _A("Code of the bank.", ("0001",)),
    "BankAccount.branch_name": _A("Name of the branch.", ("丸の内中央支店",)),
    "BankAccount.branch_code": _A("Code of the branch.", ("004",)),
    "BankAccount.account_type": _A("`futsu` or `toza`.", ("futsu",)),
    "BankAccount.account_number": _A("Number of the account.", ("1234567",)),
    "BankAccount.account_holder": _A("Whom the account belongs to.", ("ストライプジャパン",)),
    "TopupOptions.accepts_payments": _A("Whether the service takes payments.", (True,)),
    "TopupOptions.test_money": _A("Whether they are of test money.", (False,)),
    "TopupOptions.min_yen": _A("The smallest top-up, in whole yen; 0 when there are none.", (50,)),
    "TopupOptions.max_yen": _A("The largest top-up, in whole yen; 0 when there are none.", (500_000,)),
    "TopupOptions.methods": _A("The payment methods that are offered."),
    "MethodOption.method": _A(f"{_METHOD} and others.", ("konbini",)),
    "MethodOption.min_yen": _A("The smallest top-up that it can pay, in whole yen.", (120,)),
    "MethodOption.max_yen": _A("The largest top-up that it can pay, in whole yen.", (300_000,)),
}
