"""Reading in lanes: what one kind of question, one wallet or one client does keeps no other waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from clock import Clock
from databases import on_every_database, on_sqlite
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.errors import RailBusy, ServiceBusy, ShareExceeded, TooManyKeys, WalletError
from credit_wallet.http.metrics import Metrics
from credit_wallet.ledger import reading_lanes
from credit_wallet.ledger.reading_lanes import (
    AUTHENTICATION,
    FIGURES,
    LANES,
    MONEY,
    OWNERS,
    PROBES,
    REPORTS,
    Lane,
    ReadingLanes,
    on,
)
from credit_wallet.runtime import deadlines
from credit_wallet.runtime.deadlines import Crew
from credit_wallet.stores import entry_search, identity_rows, reads
from credit_wallet.stores.postgres import database
from credit_wallet.wire import presenters

SOON = 10.0


@pytest.fixture
def lanes() -> Iterator[ReadingLanes]:
    opened = ReadingLanes()
    yield opened
    opened.close()


@contextmanager
def stuck(lanes: ReadingLanes, *names: Lane) -> Iterator[None]:
    """While the block runs, every thread of these lanes is stuck in a question."""
    go, begun = threading.Event(), threading.Semaphore(0)

    def hang() -> None:
        begun.release()
        go.wait(SOON)

    for lane in names:
        for _ in range(lane.threads):
            lanes._submit(lane, 0, hang)
            assert begun.acquire(timeout=SOON)
    try:
        yield
    finally:
        go.set()


def refusal(asked: Awaitable[object]) -> type[WalletError] | None:
    """What a question is refused with."""

    async def ask() -> type[WalletError] | None:
        try:
            await asked
        except WalletError as error:
            return type(error)
        return None

    return asyncio.run(ask())


# Bounds


def test_a_lane_that_is_full_refuses_at_once_and_the_others_answer(lanes: ReadingLanes) -> None:
    small = Lane("small", 1, 1, 9, SOON)
    lanes._crews[small] = Crew("small", small.threads, small.waiting)
    with stuck(lanes, small):
        lanes._submit(small, 0, int)
        assert refusal(lanes.ask_for(0, small, int)) is ServiceBusy
        for lane in LANES:
            assert refusal(lanes.ask_for(0, lane, int)) is None


def test_a_wallet_that_uses_its_share_up_is_refused_and_others_are_not(lanes: ReadingLanes) -> None:
    with stuck(lanes, OWNERS):
        waiting = [lanes._submit(OWNERS, 1, int) for _ in range(OWNERS.share)]
        assert refusal(lanes.ask_for(1, OWNERS, int)) is ShareExceeded
        other = lanes._submit(OWNERS, 2, int)
    assert [future.result(SOON) for future in (*waiting, other)] == [0] * (OWNERS.share + 1)
    assert refusal(lanes.ask_for(1, OWNERS, int)) is None
    assert not lanes._used


def test_what_is_given_up_waiting_gives_its_share_back(lanes: ReadingLanes) -> None:
    hasty = Lane("hasty", 1, 9, 1, 0.01)
    lanes._crews[hasty] = Crew("hasty", hasty.threads, hasty.waiting)
    with stuck(lanes, hasty):
        assert refusal(lanes.ask_for(1, hasty, int)) is ServiceBusy
        assert not lanes._used


def test_reports_are_bounded_for_a_wallet_and_for_all(lanes: ReadingLanes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_lanes, "MAX_REPORTS", REPORTS.share + 1)
    with lanes.report(1), lanes.report(1):
        with pytest.raises(ShareExceeded), lanes.report(1):
            pass
        with lanes.report(2), pytest.raises(ServiceBusy), lanes.report(3):
            pass
    with lanes.report(1):
        pass
    assert not lanes._used


def test_what_is_closed_says_so(lanes: ReadingLanes) -> None:
    lanes.close()
    assert refusal(lanes.ask_for(0, OWNERS, int)) is RailBusy


@on_sqlite
def test_on_a_file_each_lane_has_a_connection_of_its_own(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    source = wallets._ledger.reader.source
    own = {lane.name: source._of[lane.name] for lane in LANES if lane is not PROBES}  # type: ignore[attr-defined]
    for held, connection in own.items():
        with connection._lock, ThreadPoolExecutor(1) as pool:  # somebody's statement is under way on it
            for lane in LANES:
                if lane.name != held:

                    def ask(lane: Lane = lane) -> int:
                        with on(lane):
                            return wallets.show(wallet_id).wallet_id

                    assert pool.submit(ask).result(SOON) == wallet_id
            assert wallets.show(wallet_id).wallet_id == wallet_id


def test_on_postgresql_there_is_a_connection_for_each_thread_and_for_jobs() -> None:
    assert sum(lane.threads for lane in LANES if lane is not PROBES) + 3 <= database.READERS


# Through the service


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    created = wallets.create()
    wallets.topup(created.wallet_id, 10_000, idempotency_key="start")
    return created


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets)) as opened:
        yield opened


@on_every_database
def test_a_charge_and_who_asks_wait_for_no_other_lane(
    wallets: CreditWallet, api: Api, wallet: CreatedWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "BALANCE_SECONDS", 0.01)
    hold_id = wallets.hold(wallet.wallet_id, 5, idempotency_key="hold", actor="payer").hold_id
    others = [lane for lane in LANES if lane not in (AUTHENTICATION, MONEY)]
    with stuck(wallets.reading_lanes, *others):
        assert api.post("/credit/charge", wallet.owner_token, key="a", amount_yen=1).status_code == 200
        captured = api.post("/credit/capture", wallet.owner_token, key="b", hold_id=hold_id, amount_yen=1)
        assert captured.status_code == 200
        answer = api.get("/credit/whoami", wallets.create().owner_token)
        assert (answer.status_code, "x-wallet-balance" in answer.headers) == (200, False)


@on_sqlite
def test_each_route_rides_a_lane_of_its_kind(wallets: CreditWallet, api: Api, wallet: CreatedWallet) -> None:
    answered = {
        OWNERS: ("/credit/statement", "/operator/wallets", "/metrics", "/readyz"),
        REPORTS: ("/credit/transactions", "/operator/wallets", "/metrics", "/readyz"),
        FIGURES: ("/credit/lots", "/credit/statement", "/operator/wallets", "/readyz"),
    }
    for lane, paths in answered.items():
        with stuck(wallets.reading_lanes, lane):
            for path in paths:
                token = OPERATOR_KEY if path.startswith("/operator") else wallet.owner_token
                if lane is OWNERS and path == "/credit/statement":
                    continue  # its balance header rides there
                assert api.get(path, token).status_code == 200, (lane.name, path)


@on_sqlite
def test_who_asks_for_figures_while_they_are_read_gets_those_of_before(wallets: CreditWallet) -> None:
    metrics = Metrics()

    async def ask() -> tuple[bytes, bytes]:
        await metrics.read(wallets)
        wallets.create()
        metrics._totals_until = -1.0
        with stuck(wallets.reading_lanes, FIGURES):
            first = asyncio.create_task(metrics.read(wallets))
            await asyncio.sleep(0)
            meanwhile = await asyncio.wait_for(metrics.read(wallets), SOON)
        return meanwhile, await first

    meanwhile, afterwards = asyncio.run(ask())
    assert b"credit_wallet_wallets 0.0" in meanwhile
    assert b"credit_wallet_wallets 1.0" in afterwards


@on_sqlite
def test_a_third_statement_of_a_wallet_has_to_wait(wallets: CreditWallet, api: Api, wallet: CreatedWallet) -> None:
    other = wallets.create()
    with wallets.reading_lanes.report(wallet.wallet_id), wallets.reading_lanes.report(wallet.wallet_id):
        answer = api.get("/credit/statement", wallet.owner_token)
        assert (answer.status_code, answer.json()["code"]) == (429, "share_exceeded")
        assert answer.headers["retry-after"] == "1"
        assert api.get("/credit/statement", other.owner_token).status_code == 200
    for _ in range(3):
        assert api.get("/credit/statement", wallet.owner_token).status_code == 200
    assert api.get("/credit/statement", wallet.owner_token, cycle="2026-05", format="csv").status_code == 200


@on_every_database
def test_a_page_of_what_is_rare_ends_early_and_the_next_goes_on(
    wallets: CreditWallet, api: Api, wallet: CreatedWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_search, "STEPS", 4)
    monkeypatch.setattr(presenters, "MAX_STEPS", 2)
    wanted = []
    for number in range(50):
        note = "rare" if number in (1, 2, 30) else None
        txn_id = wallets.charge(wallet.wallet_id, 1, idempotency_key=f"c{number}", note=note).txn_id
        wanted += [txn_id] if note else []
    found: list[int] = []
    pages, cursor = 0, None
    while pages == 0 or cursor is not None:
        params = {"note": "rare", "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = api.get("/credit/transactions", wallet.owner_token, **params).json()
        found += [entry["txn_id"] for entry in page["transactions"]]
        pages, cursor = pages + 1, page["next_cursor"]
    assert found == wanted[::-1]
    assert pages == 7  # 51 entries, 8 a page
    assert [entry.txn_id for entry in wallets.history(wallet.wallet_id, note="rare")] == found


@on_every_database
def test_sums_over_the_whole_ledger_are_the_same_whatever_the_steps(
    wallets: CreditWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.set(datetime(2025, 11, 1, tzinfo=UTC))
    wallet_id = wallets.create().wallet_id
    for number in range(7):
        wallets.topup(wallet_id, 1_000 + number, idempotency_key=f"t{number}", promo=number == 3)
        wallets.charge(wallet_id, 10, idempotency_key=f"c{number}")
    clock.set(datetime(2026, 5, 15, tzinfo=UTC))
    room = wallets.topups.pay_back_room()
    assert (room.issued_yen, room.unused_yen) == (6_018, 6_951)
    for entries in (1, 2, 5, 13):
        monkeypatch.setattr(reads, "ENTRIES_A_SUM", entries)
        assert wallets.topups.pay_back_room() == room


# Agent keys


@on_every_database
def test_a_wallet_has_so_many_keys_that_work_and_no_more(
    wallets: CreditWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_rows, "MAX_KEYS", 3)
    wallet_id = wallets.create().wallet_id

    def make(_: int) -> int | str:
        try:
            return wallets.keys.create(wallet_id).key_id
        except TooManyKeys as refused:
            assert refused.details == {"max": 3}
            return refused.code

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(8)))
    assert made.count("too_many_keys") == 5
    wallets.keys.revoke(next(key for key in made if isinstance(key, int)))
    ending = wallets.keys.create(wallet_id, expires_at="2026-05-15T13:00:00Z").key_id
    assert make(0) == "too_many_keys"
    clock.advance(hours=1)
    assert wallets.keys.show(ending).key_id == ending
    assert isinstance(make(0), int)
    assert isinstance(wallets.keys.create(wallets.create().wallet_id).key_id, int)


@on_every_database
def test_keys_are_listed_in_pages(wallets: CreditWallet, api: Api, wallet: CreatedWallet) -> None:
    made = [wallets.keys.create(wallet.wallet_id, label=f"{number}").key_id for number in range(5)]
    wallets.charge(wallet.wallet_id, 7, idempotency_key="a", key_id=made[3])
    assert [key.key_id for key in wallets.keys.list(wallet.wallet_id)] == made
    page = api.get("/credit/keys", wallet.owner_token, after=made[1], limit=2).json()
    assert [(key["key_id"], key["current_cycle_spent_yen"]) for key in page] == [(made[2], 0), (made[3], 7)]
    assert wallets.keys.show(made[3]) == wallets.keys.list(wallet.wallet_id, after=made[2], limit=1)[0]
    assert api.get("/credit/keys", wallet.owner_token, limit=0).status_code == 422
