"""Two servers: what is acknowledged is on both, and one that hangs or takes over hangs nobody and loses nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest
from postgres import Server
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.cli.doctor import examine
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import DatabaseMoved, DatabaseUnavailable
from credit_wallet.runtime import deadlines
from credit_wallet.stores.databases import postgres_database_at

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 20

AWAITS_STANDBY = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
ENTRIES = "SELECT count(*) FROM am_credit_transaction_log WHERE wallet_id = %s"


def until(happens: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


class Pair(NamedTuple):
    """A primary, its standby, and how a wallet finds whichever of them takes writes."""

    primary: Server
    standby: Server

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self.standby, self.primary))
        return f"postgresql://postgres@{hosts}/postgres?connect_timeout=2"

    def rows(self, statement: str, *parameters: object, server: Server | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect((server or self.primary).url(), autocommit=True) as client:
            cursor = client.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def synchronous(self, names: str, server: Server | None = None) -> None:
        """Whose word a commit waits for from now on."""
        self.rows(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", server=server)
        self.rows("SELECT pg_reload_conf()", server=server)
        until(lambda: self.rows("SHOW synchronous_standby_names", server=server) == [(names,)])

    def waits_for_standby(self) -> bool:
        return bool(self.rows(AWAITS_STANDBY))

    def promote(self) -> None:
        """As an engine for high availability does when the primary is gone."""
        assert self.rows("SELECT pg_promote()", server=self.standby) == [(True,)]
        self.synchronous("", server=self.standby)


@pytest.fixture(scope="module")
def running() -> Iterator[Pair]:
    """The last test of this file takes it apart."""
    with Server() as primary, Server(standby_of=primary) as standby:
        yield Pair(primary, standby)


@pytest.fixture
def pair(running: Pair) -> Pair:
    """Both are running, and the standby is synchronous."""
    running.synchronous("standby")
    until(lambda: running.rows("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))
    return running


@pytest.fixture
def wallets(pair: Pair) -> Iterator[CreditWallet]:
    with CreditWallet.open(pair.url, lanes=2) as opened:
        yield opened


@contextmanager
def without_standby(pair: Pair) -> Iterator[None]:
    pair.standby.stop()
    try:
        yield
    finally:
        pair.standby.start()


# A wait for the standby that somebody cancels

CANCEL = f"SELECT pg_cancel_backend(pid) FROM ({AWAITS_STANDBY}) AS waiting"
END = f"SELECT pg_terminate_backend(pid, 10000) FROM ({AWAITS_STANDBY}) AS waiting"


def charge(wallets: CreditWallet, wallet_id: int) -> object:
    outcome = wallets.charge(wallet_id, 3, idempotency_key="unsure")
    assert (outcome.balance_yen, outcome.replayed) == (97, False)
    return outcome


def rotate(wallets: CreditWallet, wallet_id: int) -> object:
    return wallets.rotate_owner_token(wallet_id)


def create(wallets: CreditWallet, _: int) -> object:
    return wallets.create()


def seal(wallets: CreditWallet, _: int) -> object:
    return wallets.maintenance.seal() == 1


def prepared(wallets: CreditWallet) -> int:
    wallet_id = wallets.create().wallet_id
    while wallets.maintenance.seal():
        pass
    wallets.topup(wallet_id, 100, idempotency_key="start")
    return wallet_id


@pytest.mark.parametrize("act", [charge, rotate, create, seal])
@pytest.mark.parametrize("interrupt", [CANCEL, END], ids=["cancelled", "ended"])
def test_nothing_is_acknowledged_before_the_standby_has_it(
    pair: Pair, wallets: CreditWallet, act: Callable[[CreditWallet, int], object], interrupt: str
) -> None:
    wallet_id = prepared(wallets)
    with ThreadPoolExecutor(1) as threads:
        with without_standby(pair):
            acting = threads.submit(act, wallets, wallet_id)
            for _ in range(2):
                until(lambda: pair.waits_for_standby() or acting.done())
                if acting.done():
                    break
                pair.rows(interrupt)
            if interrupt == END and act is seal:  # nobody can know, and nobody finds out
                with pytest.raises(DatabaseUnavailable, match="not known"):
                    acting.result(PATIENCE_SECONDS)
            else:
                until(pair.waits_for_standby)
                assert not acting.done()
        if acting.exception() is None:
            assert acting.result(PATIENCE_SECONDS)
    if act is charge:
        assert pair.rows(ENTRIES, wallet_id) == pair.rows(ENTRIES, wallet_id, server=pair.standby) == [(2,)]
    assert wallets.verify() == []


def test_whoever_sends_the_same_key_elsewhere_waits_for_the_standby_too(pair: Pair, wallets: CreditWallet) -> None:
    """The first one is committed on the primary alone, and its answer was never given."""
    wallet_id = prepared(wallets)
    with ThreadPoolExecutor(2) as threads, CreditWallet.open(pair.url, lanes=2) as node:
        with without_standby(pair):
            first = threads.submit(charge, wallets, wallet_id)
            until(pair.waits_for_standby)
            second = threads.submit(node.charge, wallet_id, 3, idempotency_key="unsure")
            until(lambda: pair.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
            pair.rows(CANCEL)
            until(lambda: len(pair.rows(AWAITS_STANDBY)) == 2)
            assert not first.done()
            assert not second.done()
        assert first.result(PATIENCE_SECONDS)
        assert second.result(PATIENCE_SECONDS).replayed
    assert pair.rows(ENTRIES, wallet_id) == [(2,)]


def test_a_standby_that_stays_away_is_told_of_and_keeps_no_session(
    pair: Pair, wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet_id = prepared(wallets)
    monkeypatch.setattr(deadlines, "POSTGRES_ATTEMPT_SECONDS", 0.3)
    monkeypatch.setattr(deadlines, "POSTGRES_READY_SECONDS", 0.3)
    monkeypatch.setattr(deadlines, "POSTGRES_PATIENCE_SECONDS", 0.0)
    with without_standby(pair):
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable, match=r"standbys.* not known, try again with the same"):
                wallets.charge(wallet_id, 3, idempotency_key="away")
            with pytest.raises(DatabaseUnavailable, match="standbys included"):
                wallets.maintenance.check_ready()
        assert wallets.balance(wallet_id) == 97
        until(lambda: len(pair.rows(AWAITS_STANDBY)) <= 2)  # the last ones of the lane and of readiness
    monkeypatch.undo()
    assert wallets.charge(wallet_id, 3, idempotency_key="away").replayed
    wallets.maintenance.check_ready()
    assert pair.rows(ENTRIES, wallet_id, server=pair.standby) == [(2,)]


# A server that hangs


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "POSTGRES_ATTEMPT_SECONDS", 1.0)
    monkeypatch.setattr(deadlines, "POSTGRES_READY_SECONDS", 0.5)
    monkeypatch.setattr(deadlines, "POSTGRES_LOOK_SECONDS", 0.5)
    monkeypatch.setattr(deadlines, "WATCH_SECONDS", 0.05)


@pytest.mark.usefixtures("hurried")
def test_a_server_that_hangs_alone_is_told_of_soon(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "POSTGRES_PATIENCE_SECONDS", 0.0)
    with CreditWallet.open(f"{pair.primary.url()}?connect_timeout=2", lanes=2) as wallets:
        wallet_id = prepared(wallets)
        wallets.maintenance.check_ready()
        pair.primary.hang()
        try:
            began = time.monotonic()
            asked: list[Callable[[], object]] = [
                lambda: wallets.charge(wallet_id, 3, idempotency_key="hung"),
                lambda: wallets.balance(wallet_id),
                lambda: wallets.create(),
                lambda: wallets.alerts.run(),
                lambda: wallets.maintenance.check_ready(),
            ]
            with ThreadPoolExecutor(len(asked)) as threads:
                asking = [threads.submit(ask) for ask in asked]
                for each in asking:
                    with pytest.raises(DatabaseUnavailable):
                        each.result(PATIENCE_SECONDS)
            assert time.monotonic() - began < 10
        finally:
            pair.primary.wake()
        until(lambda: not pair.waits_for_standby())
        assert wallets.charge(wallet_id, 3, idempotency_key="hung").balance_yen == 97
        wallets.maintenance.check_ready()


def test_a_statement_that_takes_long_is_waited_for_while_its_server_answers(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "POSTGRES_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(deadlines, "POSTGRES_ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(deadlines, "WATCH_SECONDS", 0.02)
    with CreditWallet.open(pair.url, lanes=2) as wallets:
        assert wallets._ledger.reader.source.rows("SELECT 1 FROM pg_sleep(1)", {}) == [(1,)]
        monkeypatch.setattr(deadlines, "POSTGRES_LONGEST_SECONDS", 0.3)
        monkeypatch.setattr(deadlines, "POSTGRES_PATIENCE_SECONDS", 0.0)
        with pytest.raises(DatabaseUnavailable):
            wallets._ledger.reader.source.rows("SELECT 1 FROM pg_sleep(30)", {})


# What a check-up says


def found(url: str, check: str) -> tuple[bool, str]:
    [finding] = [finding for finding in postgres_database_at(url).findings() if finding.check == check]
    return finding.ok, finding.detail


def test_a_check_up_knows_whether_commits_are_replicated(pair: Pair, wallets: CreditWallet) -> None:
    prepared(wallets)
    url = pair.primary.url()
    assert found(url, "replication") == (
        True,
        "synchronous_standby_names=standby: 1 of 1 synchronous standbys are attached",
    )
    pair.synchronous("ANY 2 (standby, other)")
    assert found(url, "replication")[0] is False
    assert "1 of 2 synchronous standbys are attached; commits wait" in found(url, "replication")[1]
    pair.synchronous("")
    ok, detail = found(url, "replication")
    assert not ok
    assert "1 standbys are attached and none is synchronous" in detail
    with without_standby(pair):
        until(lambda: not pair.rows("SELECT 1 FROM pg_stat_replication"))
        assert found(url, "replication") == (True, "no standby is attached")


def test_a_check_up_knows_a_standby(pair: Pair, wallets: CreditWallet) -> None:
    prepared(wallets)
    standby = f"{pair.standby.url()}?target_session_attrs=any"
    assert found(standby, "writable") == (
        False,
        "the server takes no writes: it is a standby; give the address of the primary",
    )
    assert not any(finding.ok for finding in examine(standby) if finding.check == "database")


# A standby that is promoted, and a primary that comes back without what was acknowledged since


@pytest.mark.usefixtures("hurried")
def test_a_server_that_hangs_hangs_nobody_and_a_promoted_one_goes_on(pair: Pair) -> None:
    with ExitStack() as ends:
        wallets = ends.enter_context(CreditWallet.open(pair.url, lanes=2))
        threads = ends.enter_context(ThreadPoolExecutor(8))
        api = ends.enter_context(Api(new_app(wallets)))
        wallet_ids = [wallets.create().wallet_id for _ in range(2)]
        for wallet_id in wallet_ids:
            wallets.topup(wallet_id, 1_000, idempotency_key="start")
        wallets.maintenance.check_ready()
        pair.primary.hang()
        waking = ends.enter_context(ExitStack())
        waking.callback(pair.primary.wake)
        began = time.monotonic()
        charging: list[Future[Outcome]] = [
            threads.submit(wallets.charge, wallet_id, 1, idempotency_key=f"{number}")
            for number in range(2)
            for wallet_id in wallet_ids
        ]
        reading = [threads.submit(wallets.balance, wallet_id) for wallet_id in wallet_ids]
        readiness = api.get("/readyz")
        assert (readiness.status_code, readiness.json()["code"]) == (503, "database_unavailable")
        assert time.monotonic() - began < 2
        pair.promote()
        assert {each.result(PATIENCE_SECONDS) for each in reading} <= {1_000, 999, 998}
        assert sorted(each.result(PATIENCE_SECONDS).balance_yen for each in charging) == [998] * 2 + [999] * 2
        assert not any(each.result().replayed for each in charging)
        until(lambda: api.get("/readyz").status_code == 200)
        assert [wallets.balance(wallet_id) for wallet_id in wallet_ids] == [998] * 2
        for wallet_id in wallet_ids:
            assert pair.rows(ENTRIES, wallet_id, server=pair.standby) == [(3,)]
        assert wallets.verify() == []

        waking.close()
        pair.synchronous("")
        pair.standby.kill()
        for _ in range(2):
            for ask in (
                lambda: wallets.charge(wallet_ids[0], 3, idempotency_key="lost"),
                lambda: wallets.balance(wallet_ids[0]),
                wallets.maintenance.check_ready,
                wallets.create,
            ):
                with pytest.raises(DatabaseMoved, match=r"lacks entry \d+, which was acknowledged"):
                    ask()
        with CreditWallet.open(pair.primary.url()) as restarted:
            assert restarted.balance(wallet_ids[0]) == 1_000
