"""What a page says after something was done: by the mark in its address, so that nobody can put words in our mouth."""

from __future__ import annotations

from typing import Final

from credit_wallet.pages.words import text

DONE: Final = {
    "saved": text("Saved."),
    "key-revoked": text("The key is revoked. It opens nothing any more."),
    "wallet-there": text("A wallet has this reference already: this one. Nothing was made."),
}
