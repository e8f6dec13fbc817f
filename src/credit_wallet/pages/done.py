"""What a page says after something was done: by the mark in its address, so that nobody can put words in our mouth."""

from __future__ import annotations

from typing import Final

from credit_wallet.pages.words import text

DONE: Final = {
    "saved": text("Saved."),
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
}
