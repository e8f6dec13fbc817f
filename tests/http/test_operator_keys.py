"""The keys that open everything: which are taken, how several are named, and how one takes the place of another."""

from __future__ import annotations

import re
import secrets
import sys

import httpx
import pytest
from service import OPERATOR_KEY, Api, Service, credentials
from structlog.testing import capture_logs

from credit_wallet import CreditWallet, config
from credit_wallet.cli import app as cli
from credit_wallet.domain.tokens import new_operator_key
from credit_wallet.errors import InvalidRequest
from credit_wallet.http.app import create_app
from credit_wallet.http.app_settings import ServiceSettings
from credit_wallet.http.metrics import Metrics
from credit_wallet.wire.operator_keys import LONGEST_KEY, MAX_KEYS, metrics_key, operator_key, operator_keys

ONE, TWO = "3f7a9c1e5b2d8046af13c7e95d028b64", "kT9vQ2xL8mZ4wR7cY1bN6hJ3fD5gS0aP"

WEAK = {
    "empty": "",
    "blank": " ",
    "blanks": " " * 40,
    "newline": "\n",
    "a word": "admin",
    "a letter": "a",
    "31 characters": ONE[:-1],
    "the same letter": "a" * 64,
    "two letters": "ab" * 32,
    "a word again and again": "password" * 4,
    "a word again and cut off": "changemenow" * 3 + "cha",
    "few letters": "abcabbacacbbacbacbcaacbbcacbabcacb",
    "the alphabet": "abcdefghijklmnopqrstuvwxyz0123456789",
    "digits in order": "0123456789" * 4,
    "a space": f"{ONE[:16]} {TWO[:16]}",
    "a space at the end": f"{ONE} ",
    "a newline at the end": f"{ONE}\n",
    "a tab": f"{ONE}\t{TWO}",
    "other letters": "ключ" * 4 + ONE,
    "full width": "３f7a9c1e5b2d8046af13c7e95d028b64",
    "NUL": f"{ONE}\0",
    "too long": secrets.token_hex(LONGEST_KEY),
}


@pytest.mark.parametrize("name", WEAK)
def test_a_key_that_could_be_guessed_is_refused_and_not_repeated(name: str) -> None:
    for setting, read in ((config.OPERATOR_KEY.name, operator_keys), (config.METRICS_TOKEN.name, metrics_key)):
        with pytest.raises(InvalidRequest) as refused:
            read({setting: WEAK[name]})
        assert refused.value.details["field"] == setting
        assert setting in str(refused.value)
        assert "openssl rand -hex 32" in str(refused.value)
        assert len(WEAK[name]) < 5 or WEAK[name] not in str(refused.value)


@pytest.mark.parametrize("make", [new_operator_key, lambda: secrets.token_hex(16), lambda: secrets.token_urlsafe(24)])
def test_random_keys_are_taken(make: object) -> None:
    for _ in range(2_000):
        operator_key("x", make())  # type: ignore[operator]


def test_several_keys_have_names() -> None:
    keys = operator_keys({config.OPERATOR_KEYS.name: f"alice:{ONE}, ci-2:{TWO}"})
    assert [key.name for key in keys] == ["alice", "ci-2"]
    assert [key.name for key in operator_keys({config.OPERATOR_KEY.name: ONE})] == ["operator"]
    both = {config.OPERATOR_KEY.name: ONE, config.OPERATOR_KEYS.name: f"next:{TWO}"}
    assert [key.name for key in operator_keys(both)] == ["operator", "next"]
    assert operator_keys({}) == ()
    assert metrics_key({}) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "name:key"),
        (ONE, "name:key"),
        (f":{ONE}", "name:key"),
        (f"Alice:{ONE}", "name:key"),
        (f"operator:{ONE}", "name:key"),
        (f"a:{ONE},", "name:key"),
        (f"a:{ONE},a:{TWO}", "name twice"),
        (f"a:{ONE},b:{ONE}", "key twice"),
        ("a:short", r"\(a\) must have 32"),
        (f"a:{ONE},b:", r"\(b\) is empty"),
        (",".join(f"n{number}:{secrets.token_hex(16)}" for number in range(MAX_KEYS + 1)), "more than 10"),
    ],
)
def test_several_keys_that_make_no_sense_are_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as refused:
        operator_keys({config.OPERATOR_KEYS.name: text})
    assert ONE not in str(refused.value)


def test_the_key_of_the_one_variable_is_not_one_of_the_others() -> None:
    with pytest.raises(InvalidRequest, match="key twice"):
        operator_keys({config.OPERATOR_KEY.name: ONE, config.OPERATOR_KEYS.name: f"a:{ONE}"})


def test_a_token_for_metrics_opens_nothing_else() -> None:
    for setting, text in ((config.OPERATOR_KEY.name, ONE), (config.OPERATOR_KEYS.name, f"a:{ONE}")):
        with pytest.raises(InvalidRequest, match=f"{config.METRICS_TOKEN.name} is an operator key"):
            metrics_key({setting: text, config.METRICS_TOKEN.name: ONE})
        assert metrics_key({setting: text, config.METRICS_TOKEN.name: TWO}) is not None


def test_each_key_opens_everything_and_the_log_says_which_one_did(wallets: CreditWallet) -> None:
    keys = operator_keys({config.OPERATOR_KEYS.name: f"alice:{ONE},bob:{TWO}"})
    with Api(create_app(wallets, ServiceSettings(keys, "https://pay.example"), Metrics())) as api:
        with capture_logs() as logs:
            for key, status in ((ONE, 201), (TWO, 201), (ONE[:-1] + "5", 401)):
                assert api.post("/operator/wallets", key).status_code == status
            api.get("/operator/wallets", ONE)
        told = [line for line in logs if line["event"] == "operation"]
        assert [(line["operator"], line["method"], line["path"]) for line in told] == [
            ("alice", "POST", "/operator/wallets"),
            ("bob", "POST", "/operator/wallets"),
        ]
        assert not any(key in str(logs) for key in (ONE, TWO))


@pytest.mark.parametrize("key", ["", " ", "admin"])
def test_the_service_does_not_start_with_a_key_that_could_be_guessed(
    key: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(config.OPERATOR_KEY.name, key)
    monkeypatch.setattr(sys, "argv", ["credit-wallet", "--db", f"sqlite:///{tmp_path}/w.db", "serve"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert "invalid_request" in said
    assert config.OPERATOR_KEY.name in said


def test_a_service_takes_several_keys_and_makes_none_of_its_own(tmp_path: object) -> None:
    environment = {config.OPERATOR_KEYS.name: f"next:{ONE}"}
    with Service(f"sqlite:///{tmp_path}/w.db", environment=environment) as service:
        for key in (OPERATOR_KEY, ONE):
            assert httpx.get(f"{service.url}/operator/wallets", headers=credentials(key)).status_code == 200
        assert service.stop() == 0
        said = service.output().decode()
    assert "Operator key" not in said
    assert not re.search("|".join((OPERATOR_KEY, ONE)), said)
