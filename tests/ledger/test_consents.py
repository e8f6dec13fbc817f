"""Consents: whenever automatic top-ups are switched on or changed, what was agreed to is recorded with the settings."""

from __future__ import annotations

from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases, on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import OWNER
from credit_wallet.domain.consents import STANDARD_VERSION, ConsentFigures, ConsentLanguage, standard_text
from credit_wallet.errors import DatabaseError, InvalidRequest, WalletNotFound

ON: dict[str, Any] = {"auto_topup_threshold": 1_000, "auto_topup_amount": 5_000}
OFF: dict[str, Any] = {"auto_topup_threshold": 0, "auto_topup_amount": 0}
LIMITS: dict[str, Any] = {"auto_topup_daily_yen": 10_000, "auto_topup_monthly_yen": 50_000}

pytestmark = on_both_databases


def figures(wallets: CreditWallet, wallet_id: int) -> list[tuple[int, int, int, int]]:
    """What was agreed to, oldest first."""
    return [
        (
            each.auto_topup_threshold,
            each.auto_topup_amount,
            each.auto_topup_daily_yen,
            each.auto_topup_monthly_yen,
        )
        for each in reversed(wallets.topups.consents(wallet_id))
    ]


@on_every_database
def test_who_switches_automatic_top_ups_on_agrees_to_the_standard_text(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    assert wallets.topups.consents(wallet_id) == []
    wallets.acting(OWNER).configure(wallet_id, **ON, **LIMITS)
    [consent] = wallets.topups.consents(wallet_id)
    assert (consent.wallet_id, consent.consent_no, consent.consented_by) == (wallet_id, 1, "owner")
    assert (consent.consented_at, consent.language) == ("2026-05-15T12:00:00.000Z", "en")
    assert consent.text == (
        "I agree that this wallet is topped up automatically: whenever its balance falls below ¥1,000, my saved "
        "payment method is charged in steps of ¥5,000 until the balance is ¥1,000 or more again. "
        "No more than ¥10,000 a day and ¥50,000 a month is charged this way. "
        "I can change this or switch it off at any time."
    )
    assert consent.version == STANDARD_VERSION == 1
    clock.advance(hours=1)
    wallets.configure(wallet_id, auto_topup_amount=7_000)
    newest, oldest = wallets.topups.consents(wallet_id)
    assert oldest == consent
    assert (newest.consent_no, newest.consented_by, newest.consented_at[11:16]) == (2, "operator", "13:00")
    assert "steps of ¥7,000" in newest.text
    assert wallets.verify() == []


@on_every_database
def test_the_text_that_was_shown_is_recorded_word_for_word(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    shown = "残高が1,000円を下回ったら\n5,000円をチャージします ✓ " + "x" * 3_900
    wallets.acting(OWNER).configure(wallet_id, **ON, auto_topup_consent=shown, auto_topup_consent_language="ja")
    wallets.configure(wallet_id, auto_topup_consent="Still agreed.")
    newest, oldest = wallets.topups.consents(wallet_id)
    assert (oldest.text, oldest.language, oldest.version) == (shown, "ja", None)
    assert (newest.text, newest.language, newest.version) == ("Still agreed.", "en", None)
    assert figures(wallets, wallet_id) == [(1_000, 5_000, 0, 0)] * 2


CHANGES: list[tuple[str, list[dict[str, Any]], list[tuple[int, int, int, int]]]] = [
    ("nothing about them", [{"label": "tea"}, {"low_balance_yen": 5}], []),
    ("limits while they are off", [LIMITS], []),
    ("off again", [ON, OFF], [(1_000, 5_000, 0, 0), (0, 0, 0, 0)]),
    ("the same again", [ON, ON, {**ON, "label": "tea"}], [(1_000, 5_000, 0, 0)]),
    ("limits of before", [LIMITS, ON], [(1_000, 5_000, 10_000, 50_000)]),
    (
        "a limit, and none",
        [ON, {"auto_topup_daily_yen": 9}, {"auto_topup_daily_yen": 0}],
        [(1_000, 5_000, 0, 0), (1_000, 5_000, 9, 0), (1_000, 5_000, 0, 0)],
    ),
    ("off with limits, and limits while off", [{**ON, **LIMITS}, OFF, {"auto_topup_daily_yen": 1}],
     [(1_000, 5_000, 10_000, 50_000), (0, 0, 10_000, 50_000)]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "wanted"), CHANGES, ids=[each[0] for each in CHANGES])
def test_a_change_is_recorded_once(
    wallets: CreditWallet, name: str, changes: list[dict[str, Any]], wanted: list[tuple[int, int, int, int]]
) -> None:
    wallet_id = wallets.create().wallet_id
    for change in changes:
        wallets.configure(wallet_id, **change)
    assert figures(wallets, wallet_id) == wanted, name
    assert wallets.verify() == []


def test_a_wallet_that_is_made_with_them_has_a_consent(wallets: CreditWallet) -> None:
    wallet_id = wallets.create(**ON).wallet_id
    [consent] = wallets.topups.consents(wallet_id)
    assert (consent.consented_by, consent.version, consent.consent_no) == ("operator", 1, 1)
    assert "in steps of ¥5,000" in consent.text
    wallets.configure(wallet_id, **LIMITS)
    assert [each.consent_no for each in wallets.topups.consents(wallet_id)] == [2, 1]
    assert wallets.verify() == []


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({**ON, "auto_topup_consent": ""}, "auto_topup_consent"),
    ({**ON, "auto_topup_consent": "  \n"}, "auto_topup_consent"),
    ({**ON, "auto_topup_consent": "x" * 4_001}, "auto_topup_consent"),
    ({**ON, "auto_topup_consent": "a\0b"}, "auto_topup_consent"),
    ({**ON, "auto_topup_consent": "\ud800"}, "auto_topup_consent"),
    ({**ON, "auto_topup_consent": None}, "auto_topup_consent"),
    ({**ON, "auto_topup_consent_language": "fr"}, "auto_topup_consent_language"),
    ({"auto_topup_consent": "I agree"}, "auto_topup_consent"),
    ({**OFF, "auto_topup_consent": "I agree"}, "auto_topup_consent"),
    ({"auto_topup_threshold": 1_000}, "auto_topup_amount"),
]


@pytest.mark.parametrize(("given", "field"), REFUSED)
def test_a_refused_change_records_nothing(wallets: CreditWallet, given: dict[str, Any], field: str) -> None:
    wallet_id = wallets.create().wallet_id
    with pytest.raises(InvalidRequest) as refused:
        wallets.configure(wallet_id, **given)
    assert refused.value.details["field"] == field
    assert wallets.topups.consents(wallet_id) == []
    wallets.configure(wallet_id, **ON)
    assert [each.consent_no for each in wallets.topups.consents(wallet_id)] == [1]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_standard_text_says_every_figure(language: ConsentLanguage) -> None:
    texts = {
        (daily_yen, monthly_yen): standard_text(ConsentFigures(1_111, 2_222, daily_yen, monthly_yen), language)
        for daily_yen in (0, 3_333)
        for monthly_yen in (0, 44_444)
    }
    assert len({*texts.values()}) == 4
    for (daily_yen, monthly_yen), text in texts.items():
        assert "¥1,111" in text
        assert "¥2,222" in text
        assert ("¥3,333" in text) == bool(daily_yen)
        assert ("¥44,444" in text) == bool(monthly_yen)
        assert "{" not in text


def test_consents_are_read_in_pages_and_of_wallets_that_exist(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    for amount in range(1, 6):
        wallets.configure(wallet_id, auto_topup_threshold=1_000, auto_topup_amount=amount)
    page = wallets.topups.consents(wallet_id, limit=2)
    assert [each.consent_no for each in page] == [5, 4]
    assert [each.consent_no for each in wallets.topups.consents(wallet_id, before=4)] == [3, 2, 1]
    with pytest.raises(WalletNotFound):
        wallets.topups.consents(99)


def test_consents_are_append_only(db_url: str, wallets: CreditWallet) -> None:
    wallets.create(**ON)
    with PlainSql(db_url) as host:
        for statement in (
            "UPDATE am_credit_auto_topup_consent SET amount = 1",
            "DELETE FROM am_credit_auto_topup_consent",
        ):
            with pytest.raises(Exception, match="append-only"):
                host.run(statement)


def test_settings_of_plain_sql_need_no_consent_until_there_is_one(db_url: str, wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    change = "UPDATE am_credit_wallet SET auto_topup_threshold = 10, auto_topup_amount = 20 WHERE wallet_id = ?"
    with PlainSql(db_url) as host:
        host.run(change, wallet_id)
        assert wallets.verify() == []
        wallets.configure(wallet_id, auto_topup_daily_yen=30)
        assert figures(wallets, wallet_id) == [(10, 20, 30, 0)]
        host.run(change.replace("= 20", "= 21"), wallet_id)
        assert [each.check for each in wallets.verify()] == ["consented"]
    wallets.configure(wallet_id, auto_topup_consent="This is what I want.")
    assert wallets.verify() == []


def test_what_was_agreed_to_keeps_the_migration_from_being_undone(db_url: str, wallets: CreditWallet) -> None:
    from credit_wallet.errors import MigrationError
    from credit_wallet.stores.databases import database_at

    wallets.create(**ON)
    wallets.close()
    with pytest.raises((MigrationError, DatabaseError), match="keep 302"):
        database_at(db_url).rollback(302)
