"""What a page says after something was done: by the mark in its address, so that nobody can put words in our mouth."""

from __future__ import annotations

from typing import Final

from credit_wallet.pages.words import text

DONE: Final = {
    "saved": text("Saved."),
    "payment-canceled": text("The payment is given up. Nothing was taken."),
    "moved": text("The credit is in the other wallet."),
    "auto-topup-on": text("Automatic top-up is set. What you agreed to is listed below."),
    "auto-topup-off": text("Automatic top-up is switched off."),
    "budget-made": text("The budget is made. It counts from now on."),
    "budget-raised": text("The budget is raised."),
    "budget-raise-ended": text("The raise has ended: the usual limit counts again."),
    "budget-deleted": text("The budget is deleted. It limits nothing any more."),
    "signed-out-everywhere": text("You are signed out everywhere."),
    "target-added": text("Added. It gets what happens from now on."),
    "target-removed": text("Removed. Nothing is sent there any more."),
    "target-confirmed": text("The mailbox is confirmed, and gets notices from now on."),
    "code-sent": text("Another code is on its way; the earlier one works no more."),
    "delivery-resent": text("It is sent again."),
    "key-revoked": text("The key is revoked. It opens nothing any more."),
    "topped-up": text("The wallet is topped up."),
    "granted": text("The credit is promised; it comes on its day."),
    "grant-ended": text("Nothing more of it is credited."),
    "adjusted": text("The balance is corrected."),
    "taken-back": text("The top-up is taken back."),
    "frozen": text("The wallet is frozen. Nothing can be spent of it."),
    "unfrozen": text("The wallet can be used again."),
    "closed": text("The wallet is closed for good."),
    "closing": text("The wallet is being closed. Send the form again to go on."),
    "merged": text("All credit has moved here; the other wallet is closed."),
    "handed-over": text("The wallet belongs to the other customer now."),
    "secret-registered": text("Your key opens the wallet now."),
    "secret-removed": text("The key opens nothing any more."),
    "erased": text("What the wallet had of people is erased."),
    "paid-back": text("It is on its way back to the card."),
    "given-up": text("The payment is given up."),
    "resent": text("The notice is on its way again."),
    "key-ended": text("The key opens nothing any more."),
    "operator-revoked": text("The operator is removed; all keys and sessions have ended."),
    "seller-revoked": text("The seller is removed."),
    "prices-applied": text("The prices count now."),
    "prices-same": text("These are the prices that count already; nothing has changed."),
    "wallet-there": text("A wallet has this reference already: this one. Nothing was made."),
}
