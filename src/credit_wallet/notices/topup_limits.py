"""What limits on automatic top-ups are called, by who has set them and what they are for."""

from __future__ import annotations

_NAMES = {
    "en": {
        "operator payment": "the operator's limit on one payment",
        "operator day": "the operator's daily limit",
        "operator month": "the operator's monthly limit",
        "owner day": "the owner's daily limit",
        "owner month": "the owner's monthly limit",
    },
    "ja": {
        "operator payment": "運営者が設定した1回の上限",
        "operator day": "運営者が設定した1日の上限",
        "operator month": "運営者が設定した1か月の上限",
        "owner day": "所有者が設定した1日の上限",
        "owner month": "所有者が設定した1か月の上限",
    },
}
_ANY = {"en": "its limit", "ja": "上限"}
"""Events of earlier releases do not say which."""


def topup_limit(language: str, set_by: str = "", limit_per: str = "") -> str:
    """The name of the limit on a payment, a day or a month that the operator or the owner has set."""
    return _NAMES[language].get(f"{set_by} {limit_per}", _ANY[language])
