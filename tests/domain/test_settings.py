"""A wallet's settings are defined once: every place that names them names all of them."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest
from databases import on_both_databases

from credit_wallet import CreditWallet
from credit_wallet.cli.wallets import wallet_configure
from credit_wallet.client import AsyncWalletClient, WalletClient
from credit_wallet.domain.commands import Configure
from credit_wallet.domain.settings import SETTINGS, Setting
from credit_wallet.domain.views import WalletView
from credit_wallet.errors import InvalidRequest
from credit_wallet.rules.state import WalletState
from credit_wallet.rules.validation import malformed
from credit_wallet.stores.reads import WalletRow
from credit_wallet.stores.rows import SETTINGS_COLUMNS, WALLET_COLUMNS
from credit_wallet.wire.bodies import PriceGroupBody, SettingsBody

NAMES = {setting.name for setting in SETTINGS}
OF_THE_OPERATOR = {"price_group"}
"""Changed by routes of their own, and not by owners: an owner does not choose what prices it pays."""

HOSTS = {"metadata", "no_metadata"}
"""The host's own, which operators replace as a whole: no column of the wallet, and no setting of the owner's."""

CONSENT = {"auto_topup_consent", "auto_topup_consent_language"}
"""Go with a change of settings, and are recorded beside them."""


def test_the_command_the_view_and_the_state_have_every_setting() -> None:
    assert {*Configure.__struct_fields__} - {"wallet_id", "author"} - HOSTS == NAMES | CONSENT
    assert {*WalletView.__struct_fields__} >= NAMES
    in_state = {"thresholds_pct" if name == "alert_thresholds_pct" else name for name in NAMES}
    assert {*WalletState.__struct_fields__} >= in_state


def test_the_columns_that_are_loaded_written_and_shown_are_those_of_the_settings() -> None:
    assert {*SETTINGS_COLUMNS} <= {name.strip() for name in WALLET_COLUMNS.split(",")}
    assert {*SETTINGS_COLUMNS} <= {*WalletRow._fields}


@pytest.mark.parametrize("method", [CreditWallet.configure, CreditWallet.aconfigure])
def test_the_library_takes_every_setting(method: Callable[..., Any]) -> None:
    assert {*signature(method).parameters} - {"self", "wallet_id"} - HOSTS == NAMES | CONSENT


@pytest.mark.parametrize("method", [WalletClient.configure, AsyncWalletClient.configure])
def test_the_clients_take_what_an_owner_may_change(method: Callable[..., Any]) -> None:
    assert {*signature(method).parameters} - {"self", "notification_targets"} == (NAMES | CONSENT) - OF_THE_OPERATOR


def test_the_body_takes_what_an_owner_may_change_and_the_operators_the_rest() -> None:
    assert {*SettingsBody.__struct_fields__} - {"notification_targets"} == (NAMES | CONSENT) - OF_THE_OPERATOR
    assert {*PriceGroupBody.__struct_fields__} == OF_THE_OPERATOR


def test_the_command_line_has_an_option_for_every_setting() -> None:
    options = {option.name for option in wallet_configure.params}
    in_options = {"alert_at" if name == "alert_thresholds_pct" else name for name in NAMES}
    assert options - {"wallet_id", "db", "json", "act_note"} - HOSTS == in_options | CONSENT


@on_both_databases
def test_a_new_wallet_has_every_default_and_shows_what_it_is_given(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    view = wallets.show(wallet_id)
    assert {setting.name: getattr(view, setting.name) for setting in SETTINGS} == {
        setting.name: setting.default for setting in SETTINGS
    }
    given: dict[str, Any] = {setting.name: another(setting) for setting in SETTINGS}
    wallets.configure(wallet_id, **given)
    view = wallets.show(wallet_id)
    assert {setting.name: getattr(view, setting.name) for setting in SETTINGS} == given


def another(setting: Setting) -> object:
    """A value other than the default."""
    values = {"yen": 7, "flag": False, "text": "tea", "name": "tea", "percents": (25,)}
    return values[setting.kind] if setting.kind in values else setting.choices[-1]


WRONG: dict[str, tuple[object, ...]] = {
    "yen": (-1, 10**12 + 1, 1.5, True, "1"),
    "flag": (1, "yes", None),
    "choice": ("none", None, 1),
    "text": ("x" * 501, "\0", 1),
    "name": ("x" * 33, "Tea", "", "a b", "a\n", 1),
    "percents": ((0,), (1_001,), (5, 5), tuple(range(1, 12)), (1.5,), [5], 5),
}


@pytest.mark.parametrize(("setting", "value"), [(each, value) for each in SETTINGS for value in WRONG[each.kind]])
def test_a_value_that_a_setting_cannot_have_is_refused_by_name(setting: Setting, value: object) -> None:
    given: dict[str, Any] = {setting.name: value}
    problem = malformed(Configure(1, **given))
    assert isinstance(problem, InvalidRequest)
    assert problem.details["field"] == setting.name
    assert setting.name in str(problem)
