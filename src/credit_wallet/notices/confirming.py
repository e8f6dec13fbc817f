"""How a mailbox says that it wants to be written to: with a code that it is sent, and that its owner gives back.

An owner can name any mailbox, and the operator's mail server would write to whomever they like. So a mailbox is sent
one message, which says the same to everybody and has nothing in it that the owner wrote, and nothing more until the
code in it came back. The code is made when that message is sent; only its SHA-256 is kept.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256

from credit_wallet.notices.targets import Language
from credit_wallet.notices.texts import Message

CONFIRM_WITHIN = timedelta(days=3)
"""Then the mailbox is removed."""

MAX_GUESSES = 10
"""Wrong codes after which another one must be asked for."""

CODE_DIGITS = 8
_DIGITS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without those that look like others: 31 to the power of 8, about 40 bits."""

_TEXTS = {
    "en": Message(
        "Confirm this address for notices",
        "Somebody asked for notices about their API wallet to be sent to this address. To receive them, give this "
        "code to whoever asked, or enter it yourself:\n\n{code}\n\nThe code is valid for {days} days. If you do not "
        "want them, do nothing: without the code, nothing more is sent.",
    ),
    "ja": Message(
        "通知先アドレスの確認",
        "APIウォレットの通知をこのアドレスに送るよう依頼がありました。通知を希望される場合は、次のコードを依頼者に伝えるか、"
        "ご自身で入力してください。\n\n{code}\n\nコードの有効期間は{days}日間です。希望されない場合は何もする必要はありません。"
        "コードが入力されない限り、以後のメールは送信されません。",
    ),
}


def new_code() -> str:
    """A code as people read it: ``K7QM-3XRA``."""
    code = "".join(secrets.choice(_DIGITS) for _ in range(CODE_DIGITS))
    return f"{code[:4]}-{code[4:]}"


def code_sha256(code: str) -> str:
    """The hash of a code as it was sent, or as somebody typed it: small letters, spaces and dashes do not count."""
    return sha256("".join(code.upper().replace("-", "").split()).encode()).hexdigest()


def question(code: str, language: Language) -> Message:
    """What a mailbox is asked."""
    text = _TEXTS[language]
    return Message(text.title, text.body.format(code=code, days=CONFIRM_WITHIN.days))
