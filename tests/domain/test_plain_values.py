"""Numbers and time zones that mean one thing: nothing that a lenient parser makes of a typing error is taken.

Numbers: every whole number of the command line (each option and argument of each command), of the environment's
settings, of queries and addresses (``test_http_methods.py``); those in JSON bodies are strict by their type.
Time zones: of wallets and of notification targets, from the library, HTTP and the command line.
"""

from __future__ import annotations

import sys
from typing import Any

import click
import pytest
from click.types import FloatParamType, IntParamType
from command_values import commands
from http_answers import assert_problem
from service import OPERATOR_KEY, Api, new_app
from shell import (
    Shell,
    shell,  # noqa: F401
)

from credit_wallet import CreditWallet
from credit_wallet.cli.context import Seconds, WholeNumber
from credit_wallet.config import STRIPE_KEY, TOPUP_MAX_YEN
from credit_wallet.domain.cycle import is_time_zone
from credit_wallet.domain.whole_numbers import whole_number
from credit_wallet.errors import InvalidRequest
from credit_wallet.notices.targets import TargetSettings
from credit_wallet.payments.settings import payment_settings

ODD = ["1_0", "3.0", "+3", " 3", "3 ", "3\n", "\uff13", "\u0663", "1e1", "0x10", "03", "1,000", "¥3", "--3", ""]


NUMBERS = [
    (words, parameter.human_readable_name, parameter.type)
    for words, command in commands()
    for parameter in command.params
    if isinstance(parameter.type, WholeNumber | Seconds | IntParamType | FloatParamType)
]


def test_there_are_numbers_to_look_at() -> None:
    assert len(NUMBERS) > 30


@pytest.mark.parametrize(("words", "name", "kind"), NUMBERS, ids=[f"{words} {name}" for words, name, _ in NUMBERS])
def test_a_number_of_the_command_line_is_read_strictly(words: str, name: str, kind: Any) -> None:
    assert isinstance(kind, WholeNumber | Seconds), f"{words}: {name} needs a strict type of cli.context"
    for odd in ODD:
        if odd == "3.0" and isinstance(kind, Seconds):
            continue
        with pytest.raises(click.BadParameter, match="number"):
            kind.convert(odd, None, None)
    assert kind.convert("10", None, None) == 10


COMMANDS = [("charge", "{}", 3, "--key", "k"), ("charge", 1, "{}", "--key", "k"), ("history", 1, "--limit", "{}")]
MISUSED = [
    (words, odd)
    for words in COMMANDS
    for odd in ODD
    if odd not in ("3 ", "3\n", "--3") and not (odd == "3.0" and words[2] == "{}")  # an amount may have places
]


@pytest.mark.parametrize(("words", "odd"), MISUSED)
def test_wrong_usage_moves_nothing(funded: Shell, words: tuple[object, ...], odd: str) -> None:
    told = funded.misused(*(str(word).format(odd) for word in words))
    assert "plain digits" in " ".join(told.split())
    assert funded.json("wallet", "show", 1)["balance_yen"] == 1_000


@pytest.mark.parametrize("odd", [each for each in ODD if each])
def test_a_setting_of_the_environment_is_a_number_in_plain_digits(odd: str) -> None:
    with pytest.raises(InvalidRequest, match=TOPUP_MAX_YEN.name):
        payment_settings({STRIPE_KEY.name: "sk_test_1", TOPUP_MAX_YEN.name: odd})


def test_plain_digits_are_read() -> None:
    assert [whole_number(text) for text in ("0", "7", "10", "-3", "9223372036854775807")] == [0, 7, 10, -3, 2**63 - 1]
    for text in ("1" * 40, "9" * 5_000):
        with pytest.raises(ValueError, match="not a whole number"):
            whole_number(text)


# Time zones

ZONES = ["UTC", "Asia/Tokyo", "America/Argentina/Buenos_Aires", "Etc/GMT+9", "Japan", "EST5EDT"]
NO_ZONES = [
    "localtime",
    "Factory",
    "posixrules",
    "right/UTC",
    "right/Asia/Tokyo",
    "posix/UTC",
    "posix/Asia/Tokyo",
    "asia/tokyo",
    "ASIA/TOKYO",
    "utc",
    "Asia/Tokyo ",
    "Asia//Tokyo",
    "./UTC",
    "Asia/../UTC",
    "Asia",
    "tzdata.zi",
    "zone.tab",
    "/usr/share/zoneinfo/UTC",
    "UTC\0",
    "",
    "+09:00",
    "JST",
]


@pytest.mark.parametrize("name", ZONES)
def test_names_of_ianas_are_time_zones(wallets: CreditWallet, name: str) -> None:
    assert wallets.show(wallets.create(time_zone=name).wallet_id).time_zone == name


@pytest.mark.parametrize("name", NO_ZONES)
def test_other_names_are_refused_by_every_client(wallets: CreditWallet, name: str) -> None:
    wallet_id = wallets.create().wallet_id
    with pytest.raises(InvalidRequest, match="time_zone"):
        wallets.create(time_zone=name)
    with pytest.raises(InvalidRequest, match="time_zone"):
        wallets.targets.add(wallet_id, TargetSettings(url="https://example.com/hook", time_zone=name))
    with Api(new_app(wallets)) as api:
        made = api.post("/operator/wallets", OPERATOR_KEY, time_zone=name)
        assert_problem(made, 422, "invalid_request", field="time_zone")
        target = {"url": "https://example.com/hook", "time_zone": name}
        put = api.call("PUT", "/operator/notification-targets", OPERATOR_KEY, json={"notification_targets": [target]})
        assert_problem(put, 422, "invalid_request", field="time_zone")
    assert [wallet.time_zone for wallet in wallets.list()] == ["UTC"]


@pytest.mark.parametrize("name", ["localtime", "right/UTC", "asia/tokyo"])
def test_other_names_are_refused_on_the_command_line(funded: Shell, name: str) -> None:
    assert funded.refused("wallet", "create", "--time-zone", name)[0] == "invalid_request"
    assert funded.refused("alerts", "targets", "add", "https://a.example", "--time-zone", name)[0] == "invalid_request"


@pytest.mark.parametrize("name", [None, 9, b"UTC", ["UTC"]])
def test_what_is_no_text_is_no_time_zone(wallets: CreditWallet, name: Any) -> None:
    with pytest.raises(InvalidRequest, match="time_zone"):
        wallets.create(time_zone=name)


def test_utc_needs_no_database_of_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["credit_wallet.domain.cycle"], "_time_zones", lambda: frozenset())
    assert is_time_zone("UTC")
    assert not is_time_zone("Asia/Tokyo")


@pytest.mark.parametrize("odd", [2**63, -(2**70), 10**30])
def test_a_number_that_no_row_can_have_is_refused_by_name(wallets: CreditWallet, odd: int) -> None:
    """Not an error of the database's driver, and on the command line not a traceback."""
    wallet_id = wallets.create().wallet_id
    for field, ask in (
        ("after", lambda: wallets.list(after=odd)),
        ("after", lambda: wallets.sellers.list(after=odd)),
        ("after", lambda: wallets.topups.due(after=odd)),
        ("before_txn_id", lambda: wallets.history(wallet_id, before_txn_id=odd)),
        ("older_than_days", lambda: wallets.maintenance.prune_idempotency_keys(odd)),
    ):
        with pytest.raises(InvalidRequest) as refusal:
            ask()
        assert refusal.value.details["field"] == field


@pytest.mark.parametrize("words", ["operator list --after", "seller list --after"])
def test_a_page_after_no_row_is_refused_on_the_command_line(funded: Shell, words: str) -> None:
    code, message = funded.refused(*words.split(), 10**23)
    assert (code, "after" in message) == ("invalid_request", True)
