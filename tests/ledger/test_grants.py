"""Grants: each occurrence is credited once and for its amount, whoever credits it, and whatever goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases, on_every_database

from credit_wallet import CreditWallet
from credit_wallet.domain.actors import PRODUCT
from credit_wallet.domain.commands import CreditGrant
from credit_wallet.domain.grants import MAX_GRANTS, GrantView
from credit_wallet.domain.outcomes import Granted
from credit_wallet.errors import (
    GrantNotDue,
    GrantNotFound,
    IdempotencyConflict,
    InvalidAmount,
    InvalidRequest,
    MigrationError,
    TooManyGrants,
    WalletError,
    WalletNotFound,
)
from credit_wallet.rules.lots import MAX_OPEN_LOTS
from credit_wallet.stores.databases import database_at

pytestmark = on_both_databases


def work(wallets: CreditWallet) -> int:
    """What the worker does: until nothing is left."""
    done = step = wallets.maintenance.credit_grants()
    while step:
        step = wallets.maintenance.credit_grants()
        done += step
    return done


def occurrence(grant: GrantView, number: int = 0) -> CreditGrant:
    key = f"grant:{grant.grant_id}:{number}"
    return CreditGrant(grant.wallet_id, key, grant.grant_id, number, actor=PRODUCT)


def credited(wallets: CreditWallet, wallet_id: int) -> list[tuple[str, int]]:
    """When credit came in and how much, oldest first."""
    return [(each.occurred_at[:10], each.amount_yen) for each in reversed(wallets.history(wallet_id, txn_type="topup"))]


def came(wallets: CreditWallet, grant: GrantView) -> list[tuple[int, str, str]]:
    """Number, day and what became of each occurrence, oldest first."""
    found = wallets.grants.occurrences(grant.grant_id)
    return [(each.occurrence, each.came_at[:10], each.status) for each in reversed(found)]


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    return wallets.create(time_zone="Asia/Tokyo").wallet_id


@on_every_database
def test_credit_comes_every_month_once_and_says_what_it_is(wallets: CreditWallet, clock: Clock, wallet_id: int) -> None:
    grant = wallets.grants.create(wallet_id, "500.5", every="month", lapses="next", note="free plan")
    assert (grant.next_at, grant.occurrences, grant.promo) == ("2026-05-15T12:00:00.000Z", 0, True)
    assert [work(wallets) for _ in range(3)] == [1, 0, 0]
    [lot] = wallets.lots.list(wallet_id)
    assert (lot.kind, str(lot.remaining), lot.expires_at) == ("promo", "500.5", "2026-06-15T12:00:00.000Z")
    [entry] = wallets.history(wallet_id)
    assert (entry.txn_type, entry.note, str(entry.amount)) == ("topup", "free plan", "500.5")
    clock.advance(days=31)
    assert work(wallets) == 1
    assert [lot.expires_at for lot in wallets.lots.list(wallet_id)] == ["2026-07-15T12:00:00.000Z"]
    assert str(wallets.balance(wallet_id).balance) == "500.5"
    statement = wallets.statement(wallet_id, "2026-06")
    assert str(statement.topups) == "500.5"
    assert [(each.occurrence, each.status) for each in wallets.grants.occurrences(grant.grant_id)] == [
        (1, "credited"),
        (0, "credited"),
    ]
    assert wallets.verify() == []


def test_a_grant_comes_once_when_it_is_to_come(wallets: CreditWallet, clock: Clock, wallet_id: int) -> None:
    grant = wallets.grants.create(wallet_id, 300, promo=False, starts_at="2026-06-01T00:00:00+09:00", lapses=10)
    assert work(wallets) == 0
    clock.set(datetime(2026, 5, 31, 14, 59, 59, 999_000, tzinfo=UTC))
    assert work(wallets) == 0
    clock.advance(milliseconds=1)
    assert work(wallets) == 1
    [lot] = wallets.lots.list(wallet_id)
    assert (lot.kind, lot.expires_at) == ("paid", "2026-06-10T15:00:00.000Z")
    over = wallets.grants.show(grant.grant_id)
    assert (over.next_at, over.occurrences, over.canceled_at) == (None, 1, None)
    clock.advance(days=400)
    assert work(wallets) == 0


# Adversaries


def test_two_workers_credit_an_occurrence_once(db_url: str, wallets: CreditWallet, clock: Clock) -> None:
    ids = [wallets.create().wallet_id for _ in range(12)]
    for wallet_id in ids:
        wallets.grants.create(wallet_id, 100, every="month")
    clock.advance(days=70)
    errors: list[BaseException] = []

    def worker(url: str) -> None:
        try:
            with CreditWallet.open(url, clock=clock) as other:
                work(other)
        except BaseException as error:
            errors.append(error)

    count = 1 if db_url.startswith("sqlite") else 3
    threads = [threading.Thread(target=worker, args=(db_url,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    work(wallets)
    for thread in threads:
        thread.join()
    work(wallets)
    assert errors == []
    assert {wallets.balance(wallet_id) for wallet_id in ids} == {300}
    assert wallets.verify() == []


@on_every_database
def test_the_same_occurrence_again_moves_nothing_even_when_its_key_is_forgotten(
    wallets: CreditWallet, clock: Clock, wallet_id: int
) -> None:
    grant = wallets.grants.create(wallet_id, 100, every="month")
    first = wallets._ledger.run(Granted, occurrence(grant))
    again = wallets._ledger.run(Granted, occurrence(grant))
    assert (again.txn_id, again.replayed) == (first.txn_id, True)
    clock.advance(days=10)
    wallets.maintenance.prune_idempotency_keys(1)
    with pytest.raises(GrantNotDue):
        wallets._ledger.run(Granted, occurrence(grant))
    assert wallets.balance(wallet_id) == 100


def test_a_clock_that_steps_back_over_a_months_end_credits_nothing_twice(
    db_url: str, wallets: CreditWallet, clock: Clock, wallet_id: int
) -> None:
    clock.set(datetime(2026, 5, 31, 14, 59, tzinfo=UTC))
    wallets.grants.create(wallet_id, 100, every="month", starts_at="2026-06-01T00:00:00+09:00")
    behind = Clock(clock())
    with CreditWallet.open(db_url, clock=behind) if not db_url.startswith("sqlite") else wallets as other:
        for minutes, balance_yen in ((2, 100), (-2, 100), (1, 100), (-60, 100), (61, 100)):
            clock.advance(minutes=minutes)
            work(wallets)
            work(other)
            assert wallets.balance(wallet_id) == balance_yen
    assert len(credited_by_grants(db_url, clock, wallet_id)) == 1


def credited_by_grants(db_url: str, clock: Clock, wallet_id: int) -> list[Any]:
    with CreditWallet.open(db_url, clock=clock) as opened:
        assert opened.verify() == []
        return opened.history(wallet_id, txn_type="topup")


def test_an_occurrence_is_not_credited_before_its_time_whoever_asks(
    wallets: CreditWallet, clock: Clock, wallet_id: int
) -> None:
    grant = wallets.grants.create(wallet_id, 100, every="month")
    for command in (occurrence(grant, 1), occurrence(grant, 7)):
        with pytest.raises(GrantNotDue):
            wallets._ledger.run(Granted, command)
    work(wallets)
    clock.advance(days=30)
    with pytest.raises(GrantNotDue):
        wallets._ledger.run(Granted, occurrence(grant, 1))
    stranger = wallets.create().wallet_id
    with pytest.raises(GrantNotFound):
        wallets._ledger.run(Granted, CreditGrant(stranger, "k", grant.grant_id, 0, actor=PRODUCT))
    assert (wallets.balance(wallet_id), wallets.balance(stranger)) == (100, 0)


@on_every_database
def test_what_is_canceled_before_the_worker_comes_is_not_credited(
    wallets: CreditWallet, clock: Clock, wallet_id: int
) -> None:
    grant = wallets.grants.create(wallet_id, 100, every="month")
    work(wallets)
    clock.advance(days=40)
    due = occurrence(grant, 1)  # as a worker has just read it
    canceled = wallets.grants.cancel(grant.grant_id)
    assert canceled.canceled_at == "2026-06-24T12:00:00.000Z"
    with pytest.raises(GrantNotDue):
        wallets._ledger.run(Granted, due)
    clock.advance(days=1)
    assert wallets.grants.cancel(grant.grant_id) == canceled
    assert (work(wallets), wallets.balance(wallet_id)) == (0, 100)
    assert wallets.verify() == []


def test_canceling_beside_the_worker_leaves_what_was_recorded(wallets: CreditWallet, clock: Clock) -> None:
    ids = [wallets.create().wallet_id for _ in range(20)]
    grants = [wallets.grants.create(wallet_id, 100, every="month") for wallet_id in ids]
    clock.advance(days=70)
    canceling = threading.Thread(target=lambda: [wallets.grants.cancel(grant.grant_id) for grant in grants])
    canceling.start()
    work(wallets)
    canceling.join()
    work(wallets)
    for grant in grants:
        recorded = came(wallets, grant)
        assert wallets.balance(grant.wallet_id) == 100 * len(recorded)
        assert [number for number, _, _ in recorded] == [*range(len(recorded))]
        assert wallets.grants.show(grant.grant_id).next_at is None
    assert wallets.verify() == []


MISSED: list[tuple[str, dict[str, Any], list[tuple[int, str, str]], int]] = [
    (
        "credit that never lapses is all credited",
        {},
        [(0, "2026-02-28", "credited"), (1, "2026-03-30", "credited"), (2, "2026-04-30", "credited")],
        300,
    ),
    (
        "of credit that lapses when the next comes, the last alone",
        {"lapses": "next"},
        [(0, "2026-02-28", "lapsed"), (1, "2026-03-30", "lapsed"), (2, "2026-04-30", "credited")],
        100,
    ),
    (
        "of credit that lapses after 50 days, what has not lapsed",
        {"lapses": 50},
        [(0, "2026-02-28", "lapsed"), (1, "2026-03-30", "credited"), (2, "2026-04-30", "credited")],
        200,
    ),
    (
        "what has ended meanwhile is credited up to its end",
        {"until": "2026-03-31"},
        [(0, "2026-02-28", "credited"), (1, "2026-03-30", "credited")],
        200,
    ),
]


@pytest.mark.parametrize(("name", "given", "wanted", "balance_yen"), MISSED, ids=[each[0] for each in MISSED])
def test_a_worker_that_was_away_for_months_catches_up_each_occurrence(
    wallets: CreditWallet,
    clock: Clock,
    wallet_id: int,
    name: str,
    given: dict[str, Any],
    wanted: list[tuple[int, str, str]],
    balance_yen: int,
) -> None:
    clock.set(datetime(2026, 1, 31, tzinfo=UTC))
    started = "2026-02-28T12:00:00+09:00"
    grant = wallets.grants.create(wallet_id, 100, every="month", starts_at=started, **given)
    clock.set(datetime(2026, 5, 15, tzinfo=UTC))
    assert work(wallets) == len(wanted)
    wanted = [(number, day.replace("30", "28"), status) for number, day, status in wanted]
    assert came(wallets, grant) == wanted, name
    assert wallets.balance(wallet_id) == balance_yen
    assert credited(wallets, wallet_id) == [("2026-05-15", 100)] * (balance_yen // 100)
    assert wallets.verify() == []


def test_a_grant_may_begin_in_the_past_up_to_a_year(wallets: CreditWallet, wallet_id: int) -> None:
    grant = wallets.grants.create(wallet_id, 100, every="month", starts_at="2026-02-15T21:00:00+09:00")
    assert work(wallets) == 4
    assert [day for _, day, _ in came(wallets, grant)] == ["2026-02-15", "2026-03-15", "2026-04-15", "2026-05-15"]
    with pytest.raises(InvalidRequest, match="366 days ago"):
        wallets.grants.create(wallet_id, 100, every="month", starts_at="2025-05-14T11:59:59Z")


def test_a_leap_day_comes_again_on_the_last_of_february(wallets: CreditWallet, clock: Clock, wallet_id: int) -> None:
    clock.set(datetime(2028, 2, 28, tzinfo=UTC))
    grant = wallets.grants.create(wallet_id, 1, every="month", starts_at="2028-02-29T00:00:00+09:00")
    clock.set(datetime(2029, 3, 1, tzinfo=UTC))
    work(wallets)
    days = [each.came_at for each in wallets.grants.occurrences(grant.grant_id)]
    assert (days[0], days[-1]) == ("2029-02-27T15:00:00.000Z", "2028-02-28T15:00:00.000Z")
    assert len(days) == 13


# What a wallet cannot take


@on_every_database
def test_a_wallet_at_its_limit_is_told_once_and_tried_again(
    wallets: CreditWallet, clock: Clock, wallet_id: int
) -> None:
    for number in range(9):
        wallets.topup(wallet_id, 10**12, idempotency_key=f"{number}")
    grant = wallets.grants.create(wallet_id, 100, every="month")
    for _ in range(3):
        assert work(wallets) == 0
        clock.advance(hours=1)
    waiting = wallets.grants.show(grant.grant_id)
    assert (waiting.occurrences, waiting.retry_at) == (0, "2026-05-15T15:00:00.000Z")
    events = wallets._ledger.ask("SELECT kind, payload FROM am_credit_outbox WHERE kind = 'grant.delayed'")
    assert len(events) == 1
    assert '"granted_yen":100' in events[0][1]
    wallets.charge(wallet_id, 100, idempotency_key="spent")
    assert work(wallets) == 1
    assert wallets.balance(wallet_id) == 9 * 10**12
    assert wallets.grants.show(grant.grant_id).retry_at is None
    assert wallets.verify() == []


def test_a_disabled_wallet_gets_its_credit_as_a_top_up_does(wallets: CreditWallet, wallet_id: int) -> None:
    wallets.freeze(wallet_id)
    wallets.grants.create(wallet_id, 100)
    assert (work(wallets), wallets.balance(wallet_id)) == (1, 100)


def test_debt_is_repaid_first(wallets: CreditWallet, wallet_id: int) -> None:
    paid = wallets.topup(wallet_id, 50, idempotency_key="paid").txn_id
    wallets.charge(wallet_id, 50, idempotency_key="spent")
    wallets.reverse(paid, 50, idempotency_key="clawed back")
    wallets.grants.create(wallet_id, 80)
    work(wallets)
    balance = wallets.balance(wallet_id)
    assert (balance, balance.debt_yen) == (30, 0)


# Making grants


REFUSED: list[tuple[dict[str, Any], type[WalletError], str]] = [
    ({"amount_yen": 0}, InvalidAmount, "amount_yen"),
    ({"amount_yen": 1.5}, InvalidAmount, "amount_yen"),
    ({"amount_yen": 10**12 + 1}, InvalidAmount, "amount_yen"),
    ({"promo": 1}, InvalidRequest, "promo"),
    ({"every": "week"}, InvalidRequest, "every"),
    ({"lapses": "next"}, InvalidRequest, "lapses"),
    ({"lapses": 0}, InvalidRequest, "lapses"),
    ({"lapses": True}, InvalidRequest, "lapses"),
    ({"lapses": 3_661}, InvalidRequest, "lapses"),
    ({"starts_at": "soon"}, InvalidRequest, "starts_at"),
    ({"starts_at": datetime(2026, 6, 1)}, InvalidRequest, "starts_at"),  # noqa: DTZ001  - without a zone
    ({"until": "2026-12-31"}, InvalidRequest, "until"),
    ({"until": "2026-05-01", "every": "month"}, InvalidRequest, "until"),
    ({"until": "whenever", "every": "month"}, InvalidRequest, "until"),
    ({"note": "\0"}, InvalidRequest, "note"),
    ({"idempotency_key": ""}, InvalidRequest, "idempotency_key"),
    ({"wallet_id": 0}, InvalidRequest, "wallet_id"),
]


@pytest.mark.parametrize(("given", "kind", "field"), REFUSED)
def test_what_makes_no_sense_is_refused_by_name(
    wallets: CreditWallet, wallet_id: int, given: dict[str, Any], kind: type[WalletError], field: str
) -> None:
    with pytest.raises(kind) as refused:
        wallets.grants.create(**{"wallet_id": wallet_id, "amount_yen": 100, **given})
    assert refused.value.details["field"] == field
    assert wallets.grants.list() == []


def test_grants_of_wallets_that_do_not_exist_are_refused(wallets: CreditWallet) -> None:
    calls: list[Callable[[], object]] = [
        lambda: wallets.grants.create(99, 100),
        lambda: wallets.grants.list(99),
    ]
    for call in calls:
        with pytest.raises(WalletNotFound):
            call()
    for missing in (wallets.grants.show, wallets.grants.cancel, wallets.grants.occurrences):
        with pytest.raises(GrantNotFound):
            missing(99)


@on_every_database
@pytest.mark.partitions
def test_the_same_key_makes_no_second_grant(wallets: CreditWallet, clock: Clock, wallet_id: int) -> None:
    given: dict[str, Any] = {
        "every": "month",
        "lapses": 30,
        "until": "2026-12-31",
        "note": "plan",
        "idempotency_key": "k",
    }
    first = wallets.grants.create(wallet_id, "1.5", **given)
    clock.advance(hours=1)
    work(wallets)
    assert wallets.grants.create(wallet_id, "1.50", **given).grant_id == first.grant_id
    for other in ({**given, "lapses": 31}, {**given, "note": None}, {**given, "promo": False}):
        with pytest.raises(IdempotencyConflict):
            wallets.grants.create(wallet_id, "1.5", **other)
    another = wallets.create().wallet_id
    assert wallets.grants.create(another, "1.5", **given).grant_id != first.grant_id
    assert [each.wallet_id for each in wallets.grants.list()] == [wallet_id, another]
    assert [each.grant_id for each in wallets.grants.list(wallet_id)] == [first.grant_id]


def test_a_wallet_has_a_bounded_number_of_running_grants(
    wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_GRANTS == 100
    monkeypatch.setattr("credit_wallet.stores.grant_rows.MAX_GRANTS", 2)
    first, _ = [wallets.grants.create(wallet_id, 1, starts_at="2027-01-01T00:00:00Z") for _ in range(2)]
    with pytest.raises(TooManyGrants) as refused:
        wallets.grants.create(wallet_id, 1)
    assert refused.value.details["max"] == 2
    wallets.grants.cancel(first.grant_id)
    wallets.grants.create(wallet_id, 1)


def test_a_grant_that_never_credited_anything_is_forgotten_months_after_it_was_canceled(
    wallets: CreditWallet, clock: Clock, wallet_id: int
) -> None:
    later = clock() + timedelta(days=200)
    unused = wallets.grants.create(wallet_id, 1, starts_at=later)
    used = wallets.grants.create(wallet_id, 1, every="month")
    work(wallets)
    for grant in (unused, used):
        wallets.grants.cancel(grant.grant_id)
    clock.advance(days=91)
    wallets.maintenance.prune_closed()
    assert [each.grant_id for each in wallets.grants.list()] == [used.grant_id]
    assert wallets.verify() == []


def test_what_cannot_be_written_whole_credits_nothing(
    db_url: str, wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = "sqlite.store" if db_url.startswith("sqlite") else "postgres.write"
    wallets.grants.create(wallet_id, 100)
    with monkeypatch.context() as broken:
        broken.setattr(f"credit_wallet.stores.{store}.write_grants", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            wallets.maintenance.credit_grants()
    assert (wallets.balance(wallet_id), wallets.history(wallet_id)) == (0, [])
    assert (work(wallets), wallets.balance(wallet_id)) == (1, 100)
    assert wallets.verify() == []


def test_a_wallet_with_too_many_ends_of_lots_waits_for_one_to_lapse(
    wallets: CreditWallet, clock: Clock, wallet_id: int
) -> None:
    for minutes in range(MAX_OPEN_LOTS):
        ends = (clock() + timedelta(days=1, minutes=minutes)).isoformat()
        wallets.topup(wallet_id, 1, idempotency_key=f"{minutes}", promo=True, expires_at=ends)
    wallets.grants.create(wallet_id, 100, lapses=30)
    assert work(wallets) == 0
    clock.advance(days=1, seconds=1)
    assert work(wallets) == 1
    assert wallets.verify() == []


@on_every_database
def test_the_migration_is_not_undone_while_credit_is_still_to_come(
    db_url: str, wallets: CreditWallet, clock: Clock, wallet_id: int
) -> None:
    grant = wallets.grants.create(wallet_id, 100, every="month")
    work(wallets)
    wallets.close()
    database = database_at(db_url)
    with pytest.raises(MigrationError, match="cancel them, or keep 301"):
        database.rollback(301)
    with CreditWallet.open(db_url, clock=clock) as again:
        again.grants.cancel(grant.grant_id)
    assert "301_credit_grants.sql" in " ".join(database.rollback(301))
    with CreditWallet.open(db_url, clock=clock) as upgraded:
        assert upgraded.grants.list() == []
        assert upgraded.balance(wallet_id) == 100
        assert upgraded.verify() == []


def test_a_date_is_its_start_or_its_end_by_the_wallets_clocks(wallets: CreditWallet, wallet_id: int) -> None:
    grant = wallets.grants.create(wallet_id, 1, every="month", starts_at="2026-06-01", until="2026-07-31")
    assert (grant.starts_at, grant.until) == ("2026-05-31T15:00:00.000Z", "2026-07-31T15:00:00.000Z")
