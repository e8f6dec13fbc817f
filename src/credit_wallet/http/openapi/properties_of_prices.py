"""What a property of the price book means, as operators see and change it."""

from __future__ import annotations

from credit_wallet.http.openapi.about import About
from credit_wallet.http.openapi.about import instant as _time

_A = About
_VERSION = _A("The version that counts now; 0 when no prices have been applied.", (2,))

PROPERTIES_OF_PRICES: dict[str, About] = {
    "PriceBookReply.version": _VERSION,
    "PriceBookReply.prices": _A("Every price of that version, by item."),
    "PriceFileBody.prices": _A(
        "Text of a price file, in TOML: the whole book.", ('[[price]]\nitem = "search"\nunit_price_yen = "3.30"\n',)
    ),
    "PriceFileBody.dry_run": _A("Whether to change nothing, and only say what would be.", (True,)),
    "PriceFileBody.allow_empty": _A("Whether a file without any price may take all prices away.", (False,)),
    "PriceFileReply.version": _VERSION,
    "PriceFileReply.changes": _A("What the file changes of the version before; empty when it is the same."),
    "PriceFileReply.dry_run": _A("Whether nothing was changed.", (True,)),
    "PriceRevisionPage.revisions": _A("Versions, newest first."),
    "PriceRevisionPage.next_cursor": _A("Send as `cursor` for the next page; null on the last one.", (2,)),
    "PriceRevision.version": _A("The version.", (2,)),
    "PriceRevision.applied_at": _time("When it was applied."),
    "PriceRevision.applied_by": _A("Who applied it, as in the log of acts.", ("operator:3",)),
    "PriceRevision.sha256": _A("SHA-256 of the file's text, in hexadecimal."),
    "PriceRevision.changes": _A("What it changed of the version before."),
    "PriceChange.change": _A("What happened to the price.", ("changed",)),
    "PriceChange.item": _A("Item of the price book.", ("search",)),
    "PriceChange.wallet_id": _A("The wallet that the price is for; null for a price of others too.", (7,)),
    "PriceChange.group": _A("The group that it is for; null for none.", ("partners",)),
    "PriceChange.valid_from": _time("Since when it is valid; null for always."),
    "PriceChange.before": _A("What it was, in words; null for a new one.", ("¥3.3",)),
    "PriceChange.after": _A("What it is, in words; null for one that is gone.", ("¥3.63",)),
    "PriceView.wallet_id": _A("The wallet that the price is for; null for a price of others too.", (7,)),
    "PriceView.group": _A("The group that it is for; null for none.", ("partners",)),
}
