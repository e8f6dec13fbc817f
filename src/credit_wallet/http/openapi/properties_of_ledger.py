"""What the properties of the operators' figures of the whole ledger mean."""

from __future__ import annotations

from credit_wallet.http.openapi.about import About

_A = About

PROPERTIES_OF_LEDGER: dict[str, About] = {
    "LedgerOverview.counted_at": _A("When all wallets had been counted.", ("2026-11-28T12:00:00.000Z",)),
    "LedgerOverview.counted_to": _A(
        "When the last entry was made that the days include; null when there are no entries.",
        ("2026-11-28T12:00:00.000Z",),
    ),
    "LedgerOverview.time_zone": _A("IANA time zone whose days are shown.", ("Asia/Tokyo",)),
    "LedgerOverview.wallets": _A("How many wallets there are.", (1_200,)),
    "LedgerOverview.frozen": _A("How many of them are frozen.", (3,)),
    "LedgerOverview.closed": _A("How many of them are closed.", (14,)),
    "LedgerOverview.balance_yen": _A("What all wallets can spend, in whole yen.", (4_100_000,)),
    "LedgerOverview.paid_yen": _A("What of it was paid for, in whole yen.", (3_900_000,)),
    "LedgerOverview.promo_yen": _A("What of it is promotional credit, in whole yen.", (200_000,)),
    "LedgerOverview.held_yen": _A("What open holds have set aside, in whole yen.", (12_000,)),
    "LedgerOverview.debt_yen": _A("What wallets owe, in whole yen.", (500,)),
    "LedgerOverview.days": _A("The last 15 days, the oldest first; the last is today up to now."),
    "LedgerOverview.last_week": _A(
        "The part of the same day of last week that had passed at this time of day, to a quarter of an hour."
    ),
    "LedgerOverview.cases": _A("What needs a person, by kind."),
    "DayFigures.day": _A("The day.", ("2026-11-28",)),
    "DayFigures.starts_at": _A("When it begins.", ("2026-11-27T15:00:00.000Z",)),
    "DayFigures.ends_at": _A("When it, or the part of it, ends.", ("2026-11-28T15:00:00.000Z",)),
    "DayFigures.charges": _A("How many charges were made.", (4_200,)),
    "DayFigures.paid_in_yen": _A("Credit that came in and was paid for, in whole yen.", (120_000,)),
    "DayFigures.given_yen": _A("Promotional credit that came in, in whole yen.", (5_000,)),
    "DayFigures.spent_yen": _A("What was charged, in whole yen.", (98_000,)),
    "DayFigures.refunded_yen": _A("What was refunded of charges of any day, in whole yen.", (1_200,)),
    "DayFigures.lapsed_yen": _A("Credit that expired, in whole yen.", (800,)),
    "DayFigures.taken_back_yen": _A(
        "What was clawed back, paid back or corrected, less what was returned of such, in whole yen.", (0,)
    ),
    "Cases.kind": _A("What they are.", ("wallets_in_debt",)),
    "Cases.count": _A("How many there are, up to 1,000.", (2,)),
    "Cases.more": _A("Whether there are more than were counted.", (False,)),
    "Cases.first": _A("The first of them, up to five."),
    "CaseView.id": _A("The id of the wallet, top-up, delivery or notification target.", ("7",)),
    "CaseView.wallet_id": _A("Whose it is; 0 for a notification target of the operators.", (7,)),
    "CaseView.label": _A("The wallet's name for people.", ("Acme",)),
    "CaseView.amount_yen": _A("What the wallet owes, or the top-up was for, in whole yen; else null.", (500,)),
    "CaseView.at": _A("When it changed last; until when a mailbox can be confirmed.", ("2026-11-28T12:00:00.000Z",)),
    "CaseView.reason": _A("Why, where that is known.", ("card_declined",)),
}
