"""What people read when something happens: a title and a sentence for every kind of event, in English and Japanese."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from credit_wallet.domain.money import format_micros, format_yen, micros_of
from credit_wallet.notices.budget_texts import TEXTS as BUDGET_TEXTS
from credit_wallet.notices.budget_texts import budget_words, is_of_a_budget
from credit_wallet.notices.inert import inert, link
from credit_wallet.notices.instants import shown_instant
from credit_wallet.notices.topup_limits import topup_limit

_TEXTS: dict[str, dict[str, tuple[str, str]]] = {
    "budget.threshold_reached": {
        "en": (
            "{threshold_pct}% of the budget spent",
            "{wallet} has spent {spent_yen} of its {budget_yen} budget for {billing_cycle}.",
        ),
        "ja": (
            "予算の{threshold_pct}%を使用しました",
            "{wallet}は{billing_cycle}の予算{budget_yen}のうち{spent_yen}を使用しました。",
        ),
    },
    "budget.exhausted": {
        "en": (
            "Monthly budget used up",
            "{wallet} is refusing calls: {left_yen} of its {monthly_budget_yen} budget for {billing_cycle} is "
            "left, less than a call costs. Raise the budget, or wait for next month.",
        ),
        "ja": (
            "月間予算の上限に達しました",
            "{wallet}の{billing_cycle}の予算{monthly_budget_yen}は残り{left_yen}となり、呼び出しを受け付けられま"
            "せん。予算を増やすか、翌月までお待ちください。",
        ),
    },
    "balance.low": {
        "en": (
            "Low balance",
            "{wallet} has {balance_yen} left, below the {low_balance_yen} that was set.",
        ),
        "ja": (
            "残高が少なくなりました",
            "{wallet}の残高は{balance_yen}で、設定額の{low_balance_yen}を下回りました。",
        ),
    },
    "balance.recovered": {
        "en": (
            "Balance recovered",
            "{wallet} has {balance_yen} again.",
        ),
        "ja": (
            "残高が回復しました",
            "{wallet}の残高は{balance_yen}に回復しました。",
        ),
    },
    "credit.expiring": {
        "en": (
            "Credit expires within {days} days",
            "{remaining_yen} of {lot_kind} credit (lot {lot_id}) in {wallet} expires at {expires_at} unless it is "
            "spent first.",
        ),
        "ja": (
            "{days}日以内に失効する残高があります",
            "{wallet}の{lot_kind}残高のうち{remaining_yen}(ロット{lot_id})は、{expires_at}に失効します。それまでにご利用ください。",
        ),
    },
    "credit.expired": {
        "en": (
            "Credit has expired",
            "{expired_yen} of {lot_kind} credit (lot {lot_id}) in {wallet} expired at {expires_at} and can no "
            "longer be spent.",
        ),
        "ja": (
            "残高が失効しました",
            "{wallet}の{lot_kind}残高のうち{expired_yen}(ロット{lot_id})は、{expires_at}に有効期限を迎え、失効しました。",
        ),
    },
    "wallet.exhausted": {
        "en": (
            "Not enough credit",
            "{wallet} has {balance_yen} left and refused a call that costs {refused_yen}. Top it up to continue.",
        ),
        "ja": (
            "残高が不足しています",
            "{wallet}の残高は{balance_yen}のため、{refused_yen}の呼び出しを拒否しました。チャージしてください。",
        ),
    },
    "key_cap.threshold_reached": {
        "en": (
            "An agent key has spent {threshold_pct}% of its cap",
            "Agent key {key_id} of {wallet} has spent {spent_yen} of its {monthly_cap_yen} cap for {billing_cycle}.",
        ),
        "ja": (
            "エージェントキーが上限の{threshold_pct}%を使用しました",
            "{wallet}のエージェントキー{key_id}は、{billing_cycle}の上限{monthly_cap_yen}のうち{spent_yen}を使用"
            "しました。",
        ),
    },
    "key_cap.exhausted": {
        "en": (
            "An agent key has used up its cap",
            "Calls with agent key {key_id} of {wallet} are refused: {left_yen} of its {monthly_cap_yen} cap for "
            "{billing_cycle} is left, less than a call costs.",
        ),
        "ja": (
            "エージェントキーが上限に達しました",
            "{wallet}のエージェントキー{key_id}の{billing_cycle}の上限{monthly_cap_yen}は残り{left_yen}となり、呼"
            "び出しを受け付けられません。",
        ),
    },
    "spending.anomaly_detected": {
        "en": (
            "Spending is unusually high",
            "{wallet} spent {spent_yen} in the hour from {hour} UTC. A usual hour costs {usual_yen}.",
        ),
        "ja": (
            "支出が通常を大きく上回っています",
            "{wallet}は{hour}(UTC)からの1時間に{spent_yen}を使用しました。通常は1時間あたり{usual_yen}です。",
        ),
    },
    "topup.due": {
        "en": (
            "An automatic top-up is due",
            "{wallet} has {balance_yen} left, below its threshold of {auto_topup_threshold}.",
        ),
        "ja": (
            "自動チャージの対象になりました",
            "{wallet}の残高は{balance_yen}で、自動チャージの基準額{auto_topup_threshold}を下回りました。",
        ),
    },
    "topup.credited": {
        "en": (
            "Top-up received",
            "{credited_yen} was added to {wallet} (top-up {topup_id}).",
        ),
        "ja": (
            "チャージが完了しました",
            "{wallet}に{credited_yen}をチャージしました(チャージID: {topup_id})。",
        ),
    },
    "topup.clawed_back": {
        "en": (
            "A payment was refunded or disputed",
            "So far, {clawed_back_yen} of top-up {topup_id} of {wallet} has been refunded or disputed.",
        ),
        "ja": (
            "返金またはチャージバックがありました",
            "{wallet}のチャージ{topup_id}について、これまでに合計{clawed_back_yen}が返金またはチャージバックされ"
            "ました。",
        ),
    },
    "topup.reinstated": {
        "en": (
            "Credit was restored",
            "A refund failed or a dispute was won, and {wallet} has its credit again. {clawed_back_yen} of "
            "top-up {topup_id} is still refunded or disputed.",
        ),
        "ja": (
            "残高が戻りました",
            "返金が完了しなかったか、チャージバックが取り消されたため、{wallet}に残高が戻りました。チャージ"
            "{topup_id}の返金またはチャージバックの合計は、現在{clawed_back_yen}です。",
        ),
    },
    "topup.requires_action": {
        "en": (
            "A top-up needs your attention",
            "To complete the payment of {amount_yen} for {wallet}, go to {action_url}",
        ),
        "ja": (
            "チャージの手続きが必要です",
            "{wallet}への{amount_yen}の支払いを完了するには、次のページで手続きをしてください: {action_url}",
        ),
    },
    "topup.uncredited": {
        "en": (
            "A paid top-up could not be credited",
            "{amount_yen} was paid for {wallet} but could not be credited ({reason}). The operator needs to look "
            "into it.",
        ),
        "ja": (
            "支払い済みのチャージを反映できません",
            "{wallet}への{amount_yen}の支払いは完了しましたが、残高に反映できません({reason})。運営者による確認が"
            "必要です。",
        ),
    },
    "topup.failed": {
        "en": (
            "A top-up failed",
            "The payment of {amount_yen} for {wallet} failed ({reason}).",
        ),
        "ja": (
            "チャージに失敗しました",
            "{wallet}への{amount_yen}の支払いに失敗しました({reason})。",
        ),
    },
    "topup.canceled": {
        "en": (
            "A top-up was canceled",
            "The payment of {amount_yen} for {wallet} was canceled or has expired ({reason}).",
        ),
        "ja": (
            "チャージが取り消されました",
            "{wallet}への{amount_yen}の支払いは、取り消されたか期限切れになりました({reason})。",
        ),
    },
    "topup.currency_mismatch": {
        "en": (
            "A payment is not in yen",
            "Stripe reported {reason} (top-up {topup_id} of {wallet}). Nothing was credited or taken back for "
            "it. The operator needs to look into it.",
        ),
        "ja": (
            "円以外の金額が通知されました",
            "{wallet}のチャージ{topup_id}について、Stripeから円の整数ではない金額が通知されました({reason})。この"
            "金額は残高に反映されていません。運営者による確認が必要です。",
        ),
    },
    "auto_topup.stopped": {
        "en": (
            "Automatic top-ups have stopped",
            "{wallet} is no longer topped up automatically ({reason}). To start again, make a payment or save "
            "another payment method.",
        ),
        "ja": (
            "自動チャージが停止しました",
            "{wallet}の自動チャージは停止しています({reason})。一度お支払いいただくか、別の支払い方法を登録すると"
            "再開します。",
        ),
    },
    "auto_topup.limit_reached": {
        "en": (
            "Automatic top-ups have reached their limit",
            "{wallet} is not topped up automatically for now: {left_yen} is left of {set_by}, less than one top-up.",
        ),
        "ja": (
            "自動チャージの上限に達しました",
            "{wallet}の自動チャージは、{set_by}までの残りが{left_yen}で1回分に満たないため、行われません。",
        ),
    },
    "auto_topup.runaway_detected": {
        "en": (
            "Unusually frequent automatic top-ups",
            "{wallet} was topped up automatically {topups} times within an hour, most recently with {amount_yen}"
            ". Check what it is spent on.",
        ),
        "ja": (
            "自動チャージが短時間に続いています",
            "{wallet}は1時間以内に{topups}回自動チャージされました(直近は{amount_yen})。ご利用の内容をご確認ください。",
        ),
    },
    "grant.delayed": {
        "en": (
            "Credit could not be added",
            "{granted_yen} of grant {grant_id} was due at {came_at}, but {wallet} cannot take it ({reason}). It is "
            "tried again every hour.",
        ),
        "ja": (
            "クレジットを付与できません",
            "{wallet}に{came_at}付与予定のクレジット{granted_yen}(付与ID: {grant_id})を反映できません({reason})。1時間"
            "ごとに再試行します。",
        ),
    },
    "ledger.sealed": {
        "en": (
            "The ledger was sealed",
            "Keep this seal where nobody who can write to the database can change it: {anchor}. With it, "
            "credit-wallet verify --anchor proves that nothing up to that entry was changed.",
        ),
        "ja": (
            "台帳のシールを作成しました",
            "このシールを、データベースに書き込める人が変更できない場所に保管してください: {anchor}。"
            "credit-wallet verify --anchor で、この記帳までに変更がないことを確認できます。",
        ),
    },
    "notice.test": {
        "en": (
            "Test notice",
            "This is a test. Notices of {wallet} arrive here.",
        ),
        "ja": (
            "テスト通知",
            "これはテストです。{wallet}の通知はここに届きます。",
        ),
    },
}
_LOT_KINDS = {"en": {"paid": "paid", "promo": "promotional"}, "ja": {"paid": "有償", "promo": "無償"}}
_MANY = {"en": "{count} notices", "ja": "{count}件の通知"}
_WALLETS = {
    "en": ("Wallet {wallet_id}", "Wallet {wallet_id} ({label})"),
    "ja": ("ウォレット{wallet_id}", "ウォレット{wallet_id}({label})"),
}

_ANCHOR = re.compile(r"seal \d+ entry \d+ [0-9TZ:.-]+ sha256 [0-9a-f]{64}")

KINDS = (*_TEXTS, "budget.raised", "budget.renewed")
"""Every kind of event."""

FOR_OPERATORS = ("ledger.sealed",)
"""Kinds about the whole ledger: they do not go to owners' targets."""

FOR_PEOPLE = tuple(kind for kind in KINDS if kind not in ("topup.due", "topup.canceled"))
"""What a target gets that names no kinds: all but what only machines act on."""

MONEY_KINDS = tuple(
    kind
    for kind in KINDS
    if kind.startswith(("topup.", "auto_topup.", "credit.", "grant.")) and kind != "topup.canceled"
)
"""Kinds about payments and credit that expires: never dropped, however many there are."""


class Message(Struct, frozen=True):
    """What a person reads."""

    title: str
    body: str


class Notice(Struct, frozen=True):
    """An event of the outbox, with the label and the time zone that its wallet has now. ``event_id`` 0 is a test."""

    event_id: int
    wallet_id: int
    label: str | None
    kind: str
    payload: dict[str, Any]
    occurred_at: str
    time_zone: str = "UTC"


def message_of(notices: Sequence[Notice], language: str) -> Message:
    """One message for one notice or several."""
    texts = [_text(notice, language) for notice in notices]
    if len(texts) == 1:
        return Message(*texts[0])
    return Message(_MANY[language].format(count=len(texts)), "\n\n".join(f"{title}\n{body}" for title, body in texts))


def _text(notice: Notice, language: str) -> tuple[str, str]:
    of_a_budget = is_of_a_budget(notice.payload) or notice.kind not in _TEXTS
    title, body = (BUDGET_TEXTS if of_a_budget else _TEXTS)[notice.kind][language]
    plain, labelled = _WALLETS[language]
    label = inert(notice.label or "")
    wallet = (labelled if label else plain).format(wallet_id=notice.wallet_id, label=label)
    if of_a_budget:
        words = _Words(budget_words(notice.payload, notice.time_zone, language))
    else:
        words = _Words({name: _word(name, value, notice, language) for name, value in notice.payload.items()})
    words["wallet"] = wallet
    words.setdefault("set_by", topup_limit(language))
    return title.format_map(words), body.format_map(words)


class _Words(dict[str, str]):
    """What an older event does not say is left out."""

    def __missing__(self, name: str) -> str:
        return "…"


def _word(name: str, value: object, notice: Notice, language: str) -> str:
    if isinstance(value, int) and (name.endswith("_yen") or name in ("auto_topup_threshold",)):
        return _amount(name, value, notice.payload)
    if value is None:
        return "–"
    text = str(value)
    match name:
        case "action_url":
            return link(text)
        case "anchor" if _ANCHOR.fullmatch(text):
            return text
        case "expires_at" | "came_at":
            return shown_instant(text, notice.time_zone)
        case "hour":
            return inert(f"{text[:10]} {text[11:]}:00")
        case "set_by":
            return topup_limit(language, text, str(notice.payload.get("limit_per")))
        case "lot_kind":
            return _LOT_KINDS[language].get(text, inert(text))
    return inert(text)


def _amount(name: str, whole_yen: int, payload: dict[str, Any]) -> str:
    """The exact amount beside ``whole_yen``, which older events and those about payments have alone.

    The usual hour is a mean: its whole yen say enough, if there are any.
    """
    exact = payload.get(name.removesuffix("_yen"))
    if not isinstance(exact, str) or (name == "usual_yen" and whole_yen):
        return format_yen(whole_yen)
    return format_micros(micros_of(exact))
