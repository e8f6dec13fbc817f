"""Agents make up values (``run=*``): however many cross a budget at once, people hear of a few, and of all the rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from clock import Clock
from databases import on_every_database
from msgspec import json
from notified import add
from plain_sql import PlainSql
from receivers import Receiver

from credit_wallet import CreditWallet
from credit_wallet.delivery.notifier import Notifier
from credit_wallet.domain.cycle import format_instant
from credit_wallet.notices.recipients import (
    NOTICES_AN_HOUR,
    TOO_MANY_VALUES,
    VALUES_OF_A_BUDGET_AN_HOUR,
    VALUES_OF_A_WALLET_AN_HOUR,
)
from credit_wallet.notices.targets import OPERATOR, TargetSettings
from credit_wallet.rules.events import budget_exhausted, budget_threshold_reached
from credit_wallet.stores.outbox import put_event

FLOOD = 1_000
PERIOD = "2026-05-15T00:00:00.000Z"
LAST = "The list of budgets has every value."


@pytest.fixture
def host(db_url: str, wallets: CreditWallet) -> Iterator[PlainSql]:
    assert not wallets.maintenance.waiting()
    with PlainSql(db_url) as opened:
        yield opened


def crossed(budget: int, value: str | None) -> dict[str, Any]:
    return {
        "budget_id": f"budget-{budget}",
        "label": "runs",
        "unit": "yen",
        "window": "day",
        "mode": "cap",
        "scope": {"run": "*"} if value else {},
        "values": {"run": value} if value else {},
        "value": value,
        "limit": "10",
        "spent": "9.5",
        "held": "0",
        "left": "0.5",
        "refused": "1",
        "resets_at": "2026-05-16T00:00:00.000Z",
    }


def emit(wallets: CreditWallet, wallet_id: int, budget: int, *values: str | None, pct: int = 80) -> None:
    """A crossing for each value; None for a budget without ``*``."""
    at = format_instant(wallets.notices.now())

    def put(connection: Any) -> None:
        for value in values:
            put_event(connection, budget_threshold_reached(wallet_id, crossed(budget, value), pct, PERIOD), at)

    wallets._ledger.maintain(put)


def fan_out(wallets: CreditWallet) -> None:
    while wallets.notices.lease([]).more:
        pass


def statuses(host: PlainSql, wallet_id: int) -> list[tuple[str, str | None]]:
    """Status and reason of the wallet's deliveries, by event."""
    return [
        (status, error)
        for status, error in host.run(
            f"SELECT status, last_error FROM am_credit_delivery WHERE wallet_id = {wallet_id} ORDER BY event_id"
        )
    ]


@on_every_database
def test_a_thousand_values_at_once_are_a_few_notices_and_others_are_told_all_the_same(
    wallets: CreditWallet, wallet_id: int, host: PlainSql
) -> None:
    wallets.targets.add(wallet_id, TargetSettings(url="https://one.example/"))
    emit(wallets, wallet_id, 1, *(f"r{number}" for number in range(FLOOD)))
    wallets.charge(wallet_id, 700, idempotency_key="half of the monthly budget, and low")
    fan_out(wallets)
    told = statuses(host, wallet_id)
    assert told[:VALUES_OF_A_BUDGET_AN_HOUR] == [("pending", None)] * VALUES_OF_A_BUDGET_AN_HOUR
    assert told[VALUES_OF_A_BUDGET_AN_HOUR:FLOOD] == [("dead", TOO_MANY_VALUES)] * (FLOOD - VALUES_OF_A_BUDGET_AN_HOUR)
    assert told[FLOOD:] == [("pending", None)] * 2
    due = [each.next_attempt_at for each in wallets.deliveries.list(wallet_id, limit=2)]
    assert due == [format_instant(wallets.notices.now())] * 2


def test_people_read_that_others_follow_in_the_last_one(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver, clock: Clock
) -> None:
    add(wallets, wallet_id, endpoint.url)
    for hour in range(2):
        emit(wallets, wallet_id, 1, *(f"{hour} r{number}" for number in range(VALUES_OF_A_BUDGET_AN_HOUR + 5)))
        while notifier.deliver():
            pass
        said = [each.json["data"].get("held_back", False) for each in endpoint.received]
        assert sorted(said) == [False] * (VALUES_OF_A_BUDGET_AN_HOUR - 1) * (hour + 1) + [True] * (hour + 1)
        clock.advance(hours=1)


def test_a_flood_in_small_steps_is_held_back_as_well(wallets: CreditWallet, wallet_id: int, host: PlainSql) -> None:
    wallets.targets.add(wallet_id, TargetSettings(url="https://one.example/"))
    for number in range(VALUES_OF_A_BUDGET_AN_HOUR + 3):
        emit(wallets, wallet_id, 1, f"r{number}")
        fan_out(wallets)
    told = [status for status, _ in statuses(host, wallet_id)]
    assert told == ["pending"] * VALUES_OF_A_BUDGET_AN_HOUR + ["dead"] * 3
    marked = host.run("SELECT count(*) FROM am_credit_outbox WHERE payload LIKE '%held_back%'")
    assert marked == [(1,)]


def test_many_budgets_do_not_make_many_notices(wallets: CreditWallet, wallet_id: int, host: PlainSql) -> None:
    wallets.targets.add(wallet_id, TargetSettings(url="https://one.example/"))
    for budget in range(10):
        emit(wallets, wallet_id, budget, *(f"r{number}" for number in range(VALUES_OF_A_BUDGET_AN_HOUR)))
    fan_out(wallets)
    told = [status for status, _ in statuses(host, wallet_id)]
    assert told.count("pending") == VALUES_OF_A_WALLET_AN_HOUR < NOTICES_AN_HOUR
    assert told[:VALUES_OF_A_WALLET_AN_HOUR] == ["pending"] * VALUES_OF_A_WALLET_AN_HOUR


def test_a_loud_budget_does_not_silence_those_of_other_budgets_and_wallets(
    wallets: CreditWallet, wallet_id: int, host: PlainSql
) -> None:
    other = wallets.create().wallet_id
    for each in (wallet_id, other):
        wallets.targets.add(each, TargetSettings(url="https://one.example/"))
    emit(wallets, wallet_id, 1, *(f"r{number}" for number in range(FLOOD)))
    emit(wallets, wallet_id, 2, "r1", None)
    emit(wallets, other, 1, "r1")
    fan_out(wallets)
    assert [status for status, _ in statuses(host, wallet_id)][FLOOD:] == ["pending"] * 2
    assert statuses(host, other) == [("pending", None)]


def test_budgets_without_values_are_never_held_back(wallets: CreditWallet, wallet_id: int, host: PlainSql) -> None:
    wallets.targets.add(wallet_id, TargetSettings(url="https://one.example/"))
    for budget in range(VALUES_OF_A_WALLET_AN_HOUR + 5):
        emit(wallets, wallet_id, budget, None)
    fan_out(wallets)
    assert {status for status, _ in statuses(host, wallet_id)} == {"pending"}


def test_the_operator_is_spared_too_and_its_share_of_the_wallet_is_not_used_up(
    wallets: CreditWallet, wallet_id: int, host: PlainSql
) -> None:
    wallets.targets.add(OPERATOR, TargetSettings(url="https://one.example/"))
    emit(wallets, wallet_id, 1, *(f"r{number}" for number in range(FLOOD + 500)))
    emit(wallets, wallet_id, 1, None)
    fan_out(wallets)
    told = [status for status, _ in statuses(host, wallet_id)]
    assert told.count("pending") == VALUES_OF_A_BUDGET_AN_HOUR + 1
    assert told[-1] == "pending"


@pytest.mark.parametrize("payload", ["", "no json", "[1]", "3", '{"budget_id": 3, "values": 4}'])
def test_an_event_that_is_damaged_keeps_no_other_waiting(
    wallets: CreditWallet, wallet_id: int, host: PlainSql, payload: str
) -> None:
    wallets.targets.add(wallet_id, TargetSettings(url="https://one.example/"))
    host.run(
        "INSERT INTO am_credit_outbox (wallet_id, kind, payload, occurred_at, handed_out) VALUES (?, ?, ?, ?, 0)",
        *(wallet_id, "budget.exhausted", payload, format_instant(wallets.notices.now() + timedelta(seconds=1))),
    )
    emit(wallets, wallet_id, 1, "r1")
    fan_out(wallets)
    assert len(statuses(host, wallet_id)) == 2


def test_used_up_is_told_beside_crossed_within_the_same_bounds(
    wallets: CreditWallet, wallet_id: int, host: PlainSql
) -> None:
    wallets.targets.add(wallet_id, TargetSettings(url="https://one.example/"))
    at = format_instant(wallets.notices.now())

    def put(connection: Any) -> None:
        for number in range(VALUES_OF_A_BUDGET_AN_HOUR):
            put_event(connection, budget_exhausted(wallet_id, crossed(1, f"r{number}"), PERIOD), at)

    wallets._ledger.maintain(put)
    emit(wallets, wallet_id, 1, "r1")
    fan_out(wallets)
    assert [status for status, _ in statuses(host, wallet_id)][-1] == "dead"
    [(payload,)] = host.run("SELECT payload FROM am_credit_outbox WHERE payload LIKE '%held_back%'")
    assert json.decode(payload)["values"] == {"run": f"r{VALUES_OF_A_BUDGET_AN_HOUR - 1}"}
