"""What a field of a form wants, for people: what the API says of it names members of bodies."""

from __future__ import annotations

from typing import Final

from credit_wallet.pages.words import text

MALFORMED: Final = ("invalid_request", "invalid_amount")
"""Codes of refusals that blame a field for how it is written."""

_LIMIT = text("Enter a number, such as 1,000. Yen may have up to six decimal places, calls none.")
_WHOLE_YEN = text("Enter whole yen, such as 5,000.")

FIELD_TEXTS: Final = {
    "act_note": text("Enter a reason of up to 500 characters."),
    "amount_yen": text("Enter whole yen, such as 5,000, within the limits."),
    "alert_thresholds_pct": text("Enter up to ten different percentages from 1 to 1,000, such as 25, 120."),
    "auto_topup_amount": text("Enter whole yen above 0, such as 5,000."),
    "auto_topup_daily_yen": _WHOLE_YEN,
    "auto_topup_monthly_yen": _WHOLE_YEN,
    "auto_topup_threshold": text("Enter whole yen above 0, such as 5,000."),
    "code": text("Enter the code as it stands in the message, such as K7QM-3XRA."),
    "digest": text("Choose hourly, or enter a time of day, such as 09:00."),
    "expires_at": text("Choose a day that is still to come."),
    "fact_name": text("The name of a fact has small letters, digits and _, and begins with a letter, such as run."),
    "fact_value": text("Enter the value of the fact, up to 64 characters, or choose a limit for each value."),
    "label": text("A name has up to 500 characters."),
    "limit_calls": _LIMIT,
    "limit_yen": _LIMIT,
    "low_balance_yen": _WHOLE_YEN,
    "metadata": text("Give each pair a name of up to 40 characters, once, and a value of up to 500; up to 20 pairs."),
    "monthly_budget_yen": _WHOLE_YEN,
    "monthly_cap_yen": _WHOLE_YEN,
    "quiet_from": text("Enter both times, such as 22:00 and 07:00."),
    "raised_limit_calls": _LIMIT,
    "raised_limit_yen": _LIMIT,
    "raised_until": text("Choose a time that is still to come."),
    "scope.group": text(
        "A group has up to four names of small letters, digits, _ and - with / between them, such as acme/research."
    ),
    "scope.item": text("An item has a name of the price list, such as search or tokens.input."),
    "shares_pct": text("Enter up to ten different percentages from 1 to 1,000, such as 80, 100."),
    "time_zone": text("Choose a time zone of the list."),
    "url": text(
        "Enter one email address, an address that begins with https://, or the address of a channel. Mail is sent only "
        "where the operator has set up a mail server."
    ),
}
"""By the name of the field, which is that of the API's member."""

CODE_TEXTS: Final = {
    "changed_meanwhile": text(
        "Somebody else has changed the same since you opened this page, so nothing was saved. Look at what it is now; "
        "to have yours in its place, send the form again."
    ),
    "idempotency_conflict": text(
        "This form was sent before with other contents, and that counts. Look whether it is what you wanted; to do "
        "this as well, send the form again."
    ),
}
"""By the code of a refusal, where the API speaks of keys that people do not know of."""
