"""Consents to automatic top-ups: who agreed to what, when, and in which words. Pure.

The standard text is the product's, in two languages. A change of its words is a new ``STANDARD_VERSION``: a consent
keeps the words that were agreed to, and the version that they are of.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from credit_wallet.domain.money import format_yen

ConsentLanguage: TypeAlias = Literal["en", "ja"]
ConsentedBy: TypeAlias = Literal["owner", "operator"]

LANGUAGES: tuple[ConsentLanguage, ...] = ("en", "ja")

STANDARD_VERSION = 1

MAX_CONSENT_LENGTH = 4_000
"""Characters that the text of a consent can have."""


ConsentText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_CONSENT_LENGTH,
        pattern=r"^[^\x00]*[^\s\x00][^\x00]*$",
        description="Text without NUL that says something.",
    ),
]


def is_consent_text(text: object) -> bool:
    """Whether ``text`` says something, is not too long, and a database can store it."""
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_CONSENT_LENGTH or "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class ConsentFigures(Struct, frozen=True):
    """What is agreed to, in whole yen: when it tops up and by what, and the owner's limits (0 for none)."""

    auto_topup_threshold: int
    auto_topup_amount: int
    auto_topup_daily_yen: int
    auto_topup_monthly_yen: int


class Consent(ConsentFigures, frozen=True, kw_only=True):
    """What somebody agreed to when automatic top-ups were switched on or changed; 0 and 0 switched them off.

    ``version`` is that of the standard text; without one the caller had a text of its own.
    """

    wallet_id: int
    consent_no: int
    consented_at: str
    consented_by: ConsentedBy
    language: ConsentLanguage
    text: str
    version: int | None


_OFF = {
    "en": "Automatic top-ups of this wallet are switched off.",
    "ja": "このウォレットの自動チャージを停止します。",
}
_ON = {
    "en": (
        "I agree that this wallet is topped up automatically: whenever its balance falls below {threshold}, my saved "
        "payment method is charged in steps of {amount} until the balance is {threshold} or more again. {limits} I can "
        "change this or switch it off at any time."
    ),
    "ja": (
        "このウォレットの残高が{threshold}を下回ったときに、登録済みの支払い方法で{amount}単位の自動チャージを行い、"
        "残高を{threshold}以上に戻すことに同意します。{limits}この設定は、いつでも変更または停止できます。"
    ),
}
_LIMITS = {
    "en": {
        (True, True): "No more than {daily} a day and {monthly} a month is charged this way.",
        (True, False): "No more than {daily} a day is charged this way.",
        (False, True): "No more than {monthly} a month is charged this way.",
        (False, False): "I set no limit of my own on what is charged this way in a day or a month.",
    },
    "ja": {
        (True, True): "自動チャージの上限は、1日あたり{daily}、1か月あたり{monthly}とします。",
        (True, False): "自動チャージの上限は、1日あたり{daily}とします。",
        (False, True): "自動チャージの上限は、1か月あたり{monthly}とします。",
        (False, False): "1日または1か月あたりの上限は設定しません。",
    },
}


def standard_text(figures: ConsentFigures, language: ConsentLanguage) -> str:
    """The words of ``STANDARD_VERSION`` for these figures."""
    if not figures.auto_topup_threshold:
        return _OFF[language]
    daily_yen, monthly_yen = figures.auto_topup_daily_yen, figures.auto_topup_monthly_yen
    limits = _LIMITS[language][bool(daily_yen), bool(monthly_yen)]
    return _ON[language].format(
        threshold=format_yen(figures.auto_topup_threshold),
        amount=format_yen(figures.auto_topup_amount),
        limits=limits.format(daily=format_yen(daily_yen), monthly=format_yen(monthly_yen)),
    )
