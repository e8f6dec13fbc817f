"""An end that is a day is the end of that day where the wallet lives.

Ends are taken by top-ups (library, asyncio, HTTP, command line, client), agent keys (library, HTTP, command line,
client) and registered keys of hosts (library, HTTP, command line). Days are written ``2027-03-31``, ``20270331`` and
``2027-W13-3``. Instants keep their meaning: UTC where there is no offset.
"""

# ruff: noqa: F811 - fixtures are imported, and parameters have their names

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import pytest
from clock import Clock
from http_answers import assert_problem
from service import OPERATOR_KEY, Api, new_app
from shell import (
    Shell,
    shell,  # noqa: F401
)

from credit_wallet import CreditWallet
from credit_wallet.domain.cycle import cycle_bounds, end_of_day, format_instant
from credit_wallet.errors import InvalidRequest

END = "2027-03-31T15:00:00.000Z"
"""Of 31 March 2027 in Tokyo."""

DAYS = ["2027-03-31", "20270331", "2027-W13-3"]
INSTANTS = {
    "2027-03-31T15:00:00Z": END,
    "2027-04-01T00:00:00+09:00": END,
    "2027-03-31T15:00": END,
    "2027-03-31T00:00": "2027-03-31T00:00:00.000Z",
    "9998-12-31T23:59:59.999Z": "9998-12-31T23:59:59.999Z",
}
NO_ENDS = [
    "0999-01-01T00:00:00Z",
    "0999-12-31",
    "0001-01-01",
    "9999-01-01",
    "9999-12-31",
    "9999-01-01T00:00:00Z",
    "1000-01-01T00:00:00+09:00",
    "2027-02-29",
    "2027-3-31",
    "2027-03",
    "2027-W13",  # whose end is on Sunday, not that of its Monday
    "2027W13",
    "2027-W13T12:00",
    "tomorrow",
    "",
    "31.03.2027",
]

Take = Callable[[str], str | None]
CLIENTS = (
    "topup",
    "atopup",
    "key",
    "secret",
    "http topup",
    "http key",
    "http secret",
    "cli topup",
    "cli key",
    "cli secret",
)


@pytest.fixture(params=CLIENTS)
def take(request: pytest.FixtureRequest, wallets: CreditWallet, shell: Shell) -> Iterator[Take]:
    """Sends an expiry through one client, for wallet 1 in Tokyo, and returns what the ledger stores."""
    owner = wallets.create(time_zone="Asia/Tokyo")
    api = Api(new_app(wallets))

    def http(path: str, token: str, end: str, **body: object) -> None:
        name = "ends_at" if path.endswith("secrets") else "expires_at"
        answer = api.call("POST", path, token, key=f"k {end}", json={**body, name: end})
        if not answer.is_success:
            assert_problem(answer, 422, "invalid_request", field=name)
            raise InvalidRequest(answer.text)

    async def top_up(end: str) -> None:
        await wallets.atopup(1, 10, idempotency_key="k", expires_at=end)

    def cli(*words: object) -> None:
        told = shell.run("--db", shell.url, *words)
        if told.code:
            assert told.err.startswith("invalid_request: ")
            raise InvalidRequest(told.err)

    act: dict[str, Callable[[str], object]] = {
        "topup": lambda end: wallets.topup(1, 10, idempotency_key="k", expires_at=end),
        "atopup": lambda end: asyncio.run(top_up(end)),
        "key": lambda end: wallets.keys.create(1, expires_at=end),
        "secret": lambda end: wallets.secrets.register(1, "0" * 64, None, end),
        "http topup": lambda end: http("/operator/topup", OPERATOR_KEY, end, wallet_id=1, amount_yen=10),
        "http key": lambda end: http("/credit/keys", owner.owner_token, end),
        "http secret": lambda end: http("/operator/wallets/1/secrets", OPERATOR_KEY, end, sha256="0" * 64),
        "cli topup": lambda end: cli("topup", 1, 10, "--key", "k", "--expires-at", end),
        "cli key": lambda end: cli("key", "create", 1, "--expires-at", end),
        "cli secret": lambda end: cli("wallet", "register-secret", 1, "0" * 64, "--ends-at", end),
    }
    what = request.param

    def taken(end: str) -> str | None:
        act[what](end)
        if what.endswith("topup"):
            return wallets.lots.list(1)[0].expires_at
        if what.endswith("key"):
            return wallets.keys.list(1)[0].expires_at
        return wallets.secrets.list(1)[0].ends_at

    with api:
        yield taken
    assert wallets.verify() == []


@pytest.mark.parametrize("day", DAYS)
def test_a_day_ends_at_midnight_where_the_wallet_lives(take: Take, day: str) -> None:
    assert take(day) == END


@pytest.mark.parametrize(("instant", "written"), INSTANTS.items())
def test_an_instant_is_taken_as_it_is(take: Take, instant: str, written: str) -> None:
    assert take(instant) == written


@pytest.mark.parametrize("end", NO_ENDS)
def test_what_is_no_end_is_refused(take: Take, end: str) -> None:
    with pytest.raises(InvalidRequest):
        take(end)


@pytest.mark.parametrize("end", ["2026-05-14", "2026-05-15T12:00:00Z", "2026-05-15T20:59:59+09:00", "1000-06-01"])
def test_an_end_in_the_past_is_refused(take: Take, end: str) -> None:
    """It is noon of 15 May 2026, which is 21:00 in Tokyo."""
    with pytest.raises(InvalidRequest):
        take(end)


def test_today_is_not_over(take: Take) -> None:
    assert take("2026-05-15") == "2026-05-15T15:00:00.000Z"


def test_credit_that_ends_on_a_day_can_be_spent_on_that_day(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create(time_zone="Asia/Tokyo").wallet_id
    wallets.topup(wallet_id, 10, idempotency_key="t", expires_at="2027-03-31")
    clock.set(datetime(2027, 3, 31, 14, 59, 59, tzinfo=UTC))
    assert wallets.charge(wallet_id, 4, idempotency_key="c").balance_yen == 6
    clock.set(datetime(2027, 3, 31, 15, tzinfo=UTC))
    assert wallets.balance(wallet_id) == 0


def test_the_same_day_again_is_the_same_request(wallets: CreditWallet) -> None:
    wallet_id = wallets.create(time_zone="America/New_York").wallet_id
    first, again = (
        wallets.topup(wallet_id, 10, idempotency_key="t", expires_at=end)
        for end in ("2027-03-31", "2027-04-01T00:00:00-04:00")
    )
    assert (again.replayed, again.txn_id) == (True, first.txn_id)


@pytest.mark.parametrize(
    ("zone", "day", "end"),
    [
        ("UTC", "2026-12-31", "2027-01-01T00:00:00.000Z"),
        ("America/New_York", "2026-03-08", "2026-03-09T04:00:00.000Z"),
        ("America/Santiago", "2026-09-05", "2026-09-06T04:00:00.000Z"),  # clocks go from midnight to one
        ("Africa/Cairo", "2026-10-29", "2026-10-29T22:00:00.000Z"),  # midnight goes back to eleven
        ("Pacific/Apia", "2011-12-29", "2011-12-30T10:00:00.000Z"),  # there was no 30th
        ("UTC", "9998-12-31", "9999-01-01T00:00:00.000Z"),
    ],
)
def test_days_end_where_clocks_change(zone: str, day: str, end: str) -> None:
    assert format_instant(end_of_day(date.fromisoformat(day), zone)) == end


def test_instants_and_bounds_have_four_digits_of_a_year() -> None:
    assert format_instant(datetime(999, 1, 2, 3, 4, 5, 6_999, tzinfo=UTC)) == "0999-01-02T03:04:05.006Z"
    assert cycle_bounds("1000-01", "Asia/Tokyo")[0].startswith("0999-12-31T")


@pytest.mark.parametrize("path", ["/credit/statement", "/credit/alerts"])
def test_the_first_cycle_there_is_can_be_asked_for(wallets: CreditWallet, path: str) -> None:
    owner = wallets.create(time_zone="Asia/Tokyo")
    with Api(new_app(wallets)) as api:
        assert api.get(path, owner.owner_token, cycle="1000-01").status_code == 200
        assert api.get(path, owner.owner_token, cycle="9998-12").status_code == 200
