"""When PostgreSQL, or the way to it, fails: carried out once and answered as if nothing had been, or told clearly."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from clock import Clock
from databases import PostgresDatabases
from faulty_proxy import FaultyProxy, Moment
from msgspec import structs
from plain_sql import PlainSql
from postgres import Server
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.cli import app as cli
from credit_wallet.domain.backoff import Backoff
from credit_wallet.domain.outcomes import Charged, Outcome
from credit_wallet.domain.tokens import new_token, token_hash
from credit_wallet.errors import (
    DatabaseError,
    DatabaseLocked,
    DatabaseReadOnly,
    DatabaseRefused,
    DatabaseUnavailable,
    Unauthorized,
    WalletError,
)
from credit_wallet.runtime import deadlines
from credit_wallet.stores import Store
from credit_wallet.stores.postgres import connection as postgres_connection
from credit_wallet.stores.postgres import database as postgres_database
from credit_wallet.stores.postgres import horizon as postgres_horizon
from credit_wallet.stores.postgres import link as postgres_link

pytestmark = pytest.mark.slow

COMMITTED = (Moment.AFTER_COMMIT, Moment.DURING_ANSWER)
SURE = (Moment.BEFORE_BEGIN, Moment.AFTER_BEGIN, Moment.BEFORE_WRITES)
"""A connection that is cut then has not been sent COMMIT."""

PATIENCE_SECONDS = 30
"""How long a test waits for what must happen."""

Host: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"
Answer: TypeAlias = Outcome | str
Story: TypeAlias = list[list[tuple[Any, ...]]]

STORY = (
    "SELECT txn_type, amount_yen, ledger_balance_yen, note FROM am_credit_transaction_log "
    "WHERE wallet_id = %s ORDER BY txn_id",
    "SELECT balance_yen, held_yen, debt_yen, cycle_spent_yen, alerted_pct, label, enabled, exhausted "
    "FROM am_credit_wallet WHERE wallet_id = %s",
    "SELECT cycle_spent_yen, held_yen FROM am_credit_key WHERE wallet_id = %s ORDER BY key_id",
    "SELECT amount_yen, captured_yen, status FROM am_credit_hold WHERE wallet_id = %s ORDER BY hold_id",
    "SELECT kind, granted_yen FROM am_credit_lot WHERE wallet_id = %s ORDER BY lot_id",
    "SELECT returned_yen FROM am_credit_returned WHERE wallet_id = %s ORDER BY txn_id",
    "SELECT threshold_pct, spent_yen FROM am_credit_spending_alert WHERE wallet_id = %s ORDER BY alert_id",
    "SELECT kind FROM am_credit_outbox WHERE wallet_id = %s ORDER BY event_id",
    "SELECT amount_yen, balance_yen FROM am_credit_idempotency WHERE wallet_id = %s ORDER BY txn_id, hold_id",
)
"""All that is known of a wallet, but for ids and times."""


class Account(NamedTuple):
    """A wallet with something of everything, and a plain one beside it."""

    wallet_id: int
    other_id: int
    key_id: int
    topup_id: int
    charge_id: int
    hold_id: int


class Ledger:
    """A ledger that is opened through a proxy, and a host that looks at it past the proxy."""

    def __init__(self, url: str, lanes: int) -> None:
        self.url = url
        self.lanes = lanes
        self.clock = Clock(datetime(2026, 5, 15, 12, tzinfo=UTC))
        self.proxy = FaultyProxy(urlsplit(url).port or 5432)
        self.wallets = self.node(self.proxy.url(url))
        self.host: Host = psycopg.connect(url, autocommit=True)
        self.undisturbed = cache(self._undisturbed)

    def close(self) -> None:
        self.wallets.close()
        self.host.close()
        self.proxy.close()

    def node(self, url: str, **options: str) -> CreditWallet:
        """Another node, whose sessions have the settings ``options``."""
        settings = quote(" ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in options.items()))
        return CreditWallet.open(f"{url}?options={settings}" if settings else url, lanes=self.lanes, clock=self.clock)

    @contextmanager
    def away(self) -> Iterator[None]:
        """The server cannot be reached."""
        self.proxy.refuse(True)
        self.proxy.cut_all()
        try:
            yield
        finally:
            self.proxy.refuse(False)

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.host.execute(statement, parameters or None).fetchall()

    def count(self, statement: str, *parameters: object) -> int:
        return int(self.rows(statement, *parameters)[0][0])

    def entries(self, wallet_id: int) -> int:
        return self.count("SELECT count(*) FROM am_credit_transaction_log WHERE wallet_id = %s", wallet_id)

    def funded(self, amount_yen: int = 1_000) -> int:
        wallet_id = self.wallets.create().wallet_id
        self.wallets.topup(wallet_id, amount_yen, idempotency_key="start")
        return wallet_id

    def on_every_lane(self) -> list[int]:
        """A funded wallet for each lane."""
        return [self.funded() for _ in range(self.lanes)]

    def on_one_lane(self, wallets: int) -> list[int]:
        """Funded wallets that ride the same lane."""
        return [self.on_every_lane()[0] for _ in range(wallets)]

    def account(self) -> Account:
        wallets = self.wallets
        wallet_id = wallets.create(monthly_budget_yen=1_000).wallet_id
        topup_id = wallets.topup(wallet_id, 1_000, idempotency_key="topup").txn_id
        key_id = wallets.keys.create(wallet_id, monthly_cap_yen=900).key_id
        charge_id = wallets.charge(wallet_id, 100, idempotency_key="charge", key_id=key_id).txn_id
        hold_id = wallets.hold(wallet_id, 50, idempotency_key="hold", ttl_seconds=60, key_id=key_id).hold_id
        assert topup_id is not None
        assert charge_id is not None
        assert hold_id is not None
        return Account(wallet_id, self.funded(), key_id, topup_id, charge_id, hold_id)

    def stories(self, account: Account) -> list[Story]:
        return [[self.rows(each, wallet_id) for each in STORY] for wallet_id in (account.wallet_id, account.other_id)]

    def _undisturbed(self, act: Act) -> tuple[list[Answer], list[Story]]:
        """What ``act`` answers, but for ids and times, and leaves behind when nothing fails."""
        account = self.account()
        answers = act(self, account)
        return anonymous(answers), self.stories(account)


Act: TypeAlias = Callable[[Ledger, Account], list[Answer]]


def answer(act: Callable[[], Outcome]) -> list[Answer]:
    """The outcome or the refusal's code. A failure of the database is no answer."""
    try:
        return [act()]
    except DatabaseError:
        raise
    except WalletError as refusal:
        return [refusal.code]


def anonymous(answers: Sequence[Answer]) -> list[Answer]:
    return [
        each
        if isinstance(each, str)
        else structs.replace(each, wallet_id=0, txn_id=each.txn_id and 1, hold_id=each.hold_id and 1, expires_at=None)
        for each in answers
    ]


@pytest.fixture(scope="module")
def own_databases() -> Iterator[PostgresDatabases]:
    """On a server of their own: what is set on it, and transactions that are left open, concern no other test."""
    with Server() as server, closing(PostgresDatabases(server.url())) as opened:
        yield opened


@pytest.fixture(scope="module", params=[1, 4], ids=["one-lane", "four-lanes"])
def ledger(own_databases: PostgresDatabases, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """Its readers try more often to connect than usual, for tests that are impatient."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_database, "RECONNECT_SECONDS", 0.1)
        with own_databases.ledger() as url, closing(Ledger(url, request.param)) as opened:
            yield opened


on_one_lane = pytest.mark.parametrize("ledger", [1], indirect=True, ids=["one-lane"])
"""For what is the same on each lane."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers are told soon that the database is away."""
    monkeypatch.setattr(deadlines, "POSTGRES_PATIENCE_SECONDS", 0.3)


def until(happens: Callable[[], object]) -> None:
    """Return when something has happened that another thread or the server does."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


# A connection is cut within a transaction


def charge(ledger: Ledger, account: Account) -> list[Answer]:
    """Fires the 50 % alert."""
    wallet_id, key_id = account.wallet_id, account.key_id
    return answer(lambda: ledger.wallets.charge(wallet_id, 450, idempotency_key="new", note="tea", key_id=key_id))


def charge_after_what_is_due(ledger: Ledger, account: Account) -> list[Answer]:
    """The hold has expired."""
    ledger.clock.advance(seconds=61)
    return answer(lambda: ledger.wallets.charge(account.wallet_id, 1, idempotency_key="new"))


def charge_many(ledger: Ledger, account: Account) -> list[Answer]:
    """New charges of two wallets, replays, a key twice, a conflict, and more than there is."""
    wallet_id, other_id, *_ = account
    outcomes = ledger.wallets.charge_many(
        [
            (other_id, 5, "many-1"),
            (wallet_id, 600, "many-2"),
            (wallet_id, 10_000, "many-3"),
            (wallet_id, 600, "many-2"),
            (wallet_id, 1, "charge"),
            (wallet_id, 7, "many-4"),
        ]
    )
    return [each.code if isinstance(each, WalletError) else each for each in outcomes]


def hold(ledger: Ledger, account: Account) -> list[Answer]:
    wallet_id, key_id = account.wallet_id, account.key_id
    return answer(lambda: ledger.wallets.hold(wallet_id, 70, idempotency_key="new", key_id=key_id))


def capture(ledger: Ledger, account: Account) -> list[Answer]:
    return answer(lambda: ledger.wallets.capture(account.hold_id, 30))


def release(ledger: Ledger, account: Account) -> list[Answer]:
    return answer(lambda: ledger.wallets.release(account.hold_id))


def refund(ledger: Ledger, account: Account) -> list[Answer]:
    return answer(lambda: ledger.wallets.refund(account.charge_id, 40, idempotency_key="new"))


def topup(ledger: Ledger, account: Account) -> list[Answer]:
    wallet_id, next_year = account.wallet_id, "2027-01-01T00:00:00Z"
    return answer(lambda: ledger.wallets.topup(wallet_id, 77, idempotency_key="new", promo=True, expires_at=next_year))


def reverse(ledger: Ledger, account: Account) -> list[Answer]:
    """Leaves a debt."""
    return answer(lambda: ledger.wallets.reverse(account.topup_id, 990, idempotency_key="new"))


def configure(ledger: Ledger, account: Account) -> list[Answer]:
    return answer(lambda: ledger.wallets.configure(account.wallet_id, label="Büro 🫖", enabled=False))


ACTS = (charge, charge_after_what_is_due, charge_many, hold, capture, release, refund, topup, reverse, configure)


def act_and_cut(ledger: Ledger, act: Act, moment: Moment, times: int) -> None:
    """What comes of ``act`` must be what comes of it undisturbed, and again when it is sent again."""
    expected, stories = ledger.undisturbed(act)
    account = ledger.account()
    ledger.proxy.arm(moment, times=times)
    answers = act(ledger, account)
    assert ledger.proxy.fired == times
    assert anonymous(answers) == expected
    assert ledger.stories(account) == stories
    replays = act(ledger, account)
    assert replays == [
        structs.replace(each, replayed=act is not configure) if isinstance(each, Outcome) else each for each in answers
    ]
    assert ledger.stories(account) == stories
    assert ledger.wallets.verify() == []


@on_one_lane
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("moment", Moment)
def test_what_is_cut_is_carried_out_once_and_answered_as_if_nothing_had_been(
    ledger: Ledger, act: Act, moment: Moment
) -> None:
    act_and_cut(ledger, act, moment, times=1)


@pytest.mark.parametrize("moment", Moment)
def test_what_is_cut_again_and_again_is_carried_out_once(ledger: Ledger, moment: Moment) -> None:
    act_and_cut(ledger, charge_many, moment, times=3)


WALLETS = "SELECT count(*) FROM am_credit_wallet"


@on_one_lane
@pytest.mark.parametrize("moment", Moment)
def test_what_has_no_idempotency_key_is_done_once_or_said_to_be_unknown(ledger: Ledger, moment: Moment) -> None:
    before = ledger.count(WALLETS)
    ledger.proxy.arm(moment)
    if moment in SURE:
        assert ledger.wallets.create(label="new").wallet_id
    else:
        with pytest.raises(DatabaseUnavailable, match="whether this was carried out is not known"):
            ledger.wallets.create(label="new")
    done = moment in SURE or moment in COMMITTED
    assert ledger.proxy.fired == 1
    assert ledger.count(WALLETS) == before + done
    ledger.wallets.create(label="new")
    assert ledger.count(WALLETS) == before + done + 1
    assert ledger.wallets.verify() == []


SELLERS = "SELECT count(*) FROM am_credit_seller"
SECRETS = "SELECT count(*) FROM am_credit_secret"


@on_one_lane
@pytest.mark.parametrize("moment", Moment)
def test_what_makes_a_token_or_registers_one_is_done_once_and_found_out(ledger: Ledger, moment: Moment) -> None:
    account = ledger.account()
    seller, own = ledger.wallets.sellers.create(), token_hash(new_token())
    sellers = ledger.count(SELLERS)
    asked: list[tuple[Callable[[], object], int]] = [
        (lambda: ledger.wallets.keys.rotate(account.key_id).token, 1),
        (lambda: ledger.wallets.rotate_owner_token(account.wallet_id).owner_token, 1),
        (lambda: ledger.wallets.sellers.rotate(seller.seller_id).token, 1),
        (lambda: ledger.wallets.sellers.create().token, 1),
        (lambda: ledger.wallets.keys.create(account.wallet_id).token, 0),
        (lambda: ledger.wallets.secrets.register(account.wallet_id, own), 1),
    ]
    for ask, secrets in asked:
        before = ledger.count(SECRETS)
        ledger.proxy.arm(moment)
        answer = ask()
        assert ledger.proxy.fired == 1
        assert ledger.count(SECRETS) == before + secrets
        assert not isinstance(answer, str) or ledger.wallets.tokens.identify(answer)
    assert ledger.count(SELLERS) == sellers + 1
    assert ledger.wallets.verify() == []


@on_one_lane
@pytest.mark.parametrize("moment", Moment)
def test_alerts_fire_once_however_the_job_ends(ledger: Ledger, moment: Moment) -> None:
    account = ledger.account()
    ledger.wallets.charge(account.wallet_id, 320, idempotency_key="320")
    ledger.wallets.configure(account.wallet_id, monthly_budget_yen=500)
    ledger.proxy.arm(moment)
    if moment in SURE:
        ledger.wallets.alerts.run()
    else:
        with pytest.raises(DatabaseUnavailable):
            ledger.wallets.alerts.run()
        ledger.wallets.alerts.run()
    assert ledger.proxy.fired == 1
    assert [alert.threshold_pct for alert in ledger.wallets.alerts.list(account.wallet_id)] == [80, 50]
    told = "SELECT count(*) FROM am_credit_outbox WHERE wallet_id = %s AND kind = 'budget.threshold_reached'"
    assert ledger.count(told, account.wallet_id) == 2


@on_one_lane
@pytest.mark.parametrize("moment", Moment)
def test_a_key_that_is_revoked_while_the_connection_is_cut_is_revoked(ledger: Ledger, moment: Moment) -> None:
    account = ledger.account()
    ledger.proxy.arm(moment)
    revoked_at = ledger.wallets.keys.revoke(account.key_id)
    assert ledger.proxy.fired == 1
    assert ledger.rows("SELECT revoked_at FROM am_credit_key WHERE key_id = %s", account.key_id) == [(revoked_at,)]
    with pytest.raises(Unauthorized):
        ledger.wallets.charge(account.wallet_id, 1, idempotency_key="late", key_id=account.key_id)


@on_one_lane
@pytest.mark.parametrize("moment", Moment)
def test_a_check_that_is_cut_is_made_again(ledger: Ledger, moment: Moment) -> None:
    ledger.proxy.arm(moment)
    ledger.wallets.maintenance.check_ready()
    assert ledger.proxy.fired == 1


@on_one_lane
def test_a_command_answers_in_json_alone_when_its_connection_is_cut(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet_id = ledger.funded()
    words = ["--json", "--db", ledger.proxy.url(ledger.url), "charge", f"{wallet_id}", "3", "--key", "cut"]
    monkeypatch.setattr(sys, "argv", ["credit-wallet", *words])
    ledger.proxy.arm(Moment.AFTER_COMMIT)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    answer, log = capsys.readouterr()
    assert ended.value.code == 0
    assert json.loads(answer)["balance_yen"] == 997
    assert "database_connection_lost" in log


# Connections end between batches, or all at once


def cut_all(ledger: Ledger) -> None:
    ledger.proxy.cut_all()


def end_sessions(ledger: Ledger) -> None:
    """As an administrator does."""
    sessions = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'credit-wallet'"
    ended = {backend for (backend, _) in ledger.rows(f"SELECT pid, pg_terminate_backend(pid) {sessions}")}
    until(lambda: ended.isdisjoint(backend for (backend,) in ledger.rows(f"SELECT pid {sessions}")))


@pytest.mark.parametrize("end", [cut_all, end_sessions])
def test_connections_that_end_between_batches_are_made_anew(ledger: Ledger, end: Callable[[Ledger], None]) -> None:
    wallets, wallet_ids = ledger.wallets, ledger.on_every_lane()
    with ThreadPoolExecutor(postgres_database.READERS) as threads:
        for number in range(3):
            assert set(threads.map(wallets.balance, wallet_ids * 40)) == {1_000 - number}
            end(ledger)
            assert set(threads.map(wallets.balance, wallet_ids * 40)) == {1_000 - number}
            for wallet_id in wallet_ids:
                assert not wallets.charge(wallet_id, 1, idempotency_key=f"charge-{number}").replayed
            end(ledger)
            wallets.maintenance.check_ready()
    assert wallets.verify() == []


def test_nothing_is_lost_or_done_twice_while_all_connections_are_cut_again_and_again(ledger: Ledger) -> None:
    wallet_ids = ledger.on_every_lane()
    charged = threading.Semaphore(0)
    threads, charges, cuts = 8, 30, 7

    def charge_and_read(thread: int) -> list[Charged]:
        outcomes = []
        for number in range(charges):
            wallet_id = wallet_ids[number % len(wallet_ids)]
            outcomes.append(ledger.wallets.charge(wallet_id, 1, idempotency_key=f"{thread}-{number}"))
            assert ledger.wallets.balance(wallet_id) <= outcomes[-1].balance_yen
            charged.release()
        return outcomes

    with ThreadPoolExecutor(threads) as pool:
        charging = [pool.submit(charge_and_read, thread) for thread in range(threads)]
        for _ in range(cuts):
            for _ in range(threads * charges // (cuts + 1)):
                assert charged.acquire(timeout=PATIENCE_SECONDS)
            ledger.proxy.cut_all()
        outcomes = [outcome for each in charging for outcome in each.result()]
    assert not any(outcome.replayed for outcome in outcomes)
    assert len({outcome.txn_id for outcome in outcomes}) == threads * charges
    assert sum(map(ledger.wallets.balance, wallet_ids)) == 1_000 * len(wallet_ids) - threads * charges
    assert ledger.wallets.verify() == []


# A connection stalls


@contextmanager
def stalled_charge(ledger: Ledger, wallet_id: int, moment: Moment) -> Iterator[Future[Charged]]:
    """A charge of 3 yen that has stalled at ``moment``; at the end of the block its connection is cut."""
    ledger.proxy.arm(moment, stall=True)
    with ThreadPoolExecutor(1) as threads:
        charging = threads.submit(ledger.wallets.charge, wallet_id, 3, idempotency_key="stalled")
        try:
            ledger.proxy.wait_until_fired()
            yield charging
            assert not charging.done()
        finally:
            ledger.proxy.cut_all()


@pytest.mark.parametrize("moment", Moment)
def test_a_connection_that_stalls_keeps_up_nobody_but_its_lane(ledger: Ledger, moment: Moment) -> None:
    stalled_id, *other_ids = ledger.on_every_lane()
    with stalled_charge(ledger, stalled_id, moment) as charging:
        for wallet_id in other_ids:
            assert ledger.wallets.charge(wallet_id, 5, idempotency_key="meanwhile").balance_yen == 995
        assert ledger.wallets.balance(stalled_id) == (997 if moment in COMMITTED else 1_000)
    outcome = charging.result()
    assert (outcome.balance_yen, outcome.replayed) == (997, False)
    assert ledger.wallets.charge(stalled_id, 3, idempotency_key="stalled") == structs.replace(outcome, replayed=True)
    assert ledger.entries(stalled_id) == 2


@pytest.mark.parametrize("moment", [Moment.BEFORE_WRITES, Moment.AFTER_WRITES, Moment.HALF_COMMIT])
def test_other_nodes_are_told_of_a_wallet_that_a_stalled_one_has_locked(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, moment: Moment
) -> None:
    stalled_id, other_id = ledger.funded(), ledger.funded()
    key_id = ledger.wallets.keys.create(stalled_id).key_id
    monkeypatch.setattr(postgres_connection, "LOCK_SECONDS", 0.1)
    with closing(ledger.node(ledger.url)) as node:
        with stalled_charge(ledger, stalled_id, moment) as charging:
            asked: list[Callable[[], object]] = [
                lambda: node.charge(stalled_id, 4, idempotency_key="other-node"),
                lambda: node.keys.revoke(key_id),  # the charge may be one with that key
            ]
            for ask in asked:
                with pytest.raises(DatabaseLocked, match="nothing moved, try again with the same idempotency key"):
                    ask()
            node.charge(other_id, 4, idempotency_key="other-node")
            assert node.keys.rotate(key_id).key_id == key_id  # a charge with that key is one with it all the same
        assert charging.result().balance_yen == 997
        assert node.charge(stalled_id, 4, idempotency_key="other-node").balance_yen == 993
        assert node.charge(stalled_id, 3, idempotency_key="stalled") == structs.replace(
            charging.result(), replayed=True
        )


# The server is away for long

PASSWORD = "s3cret:wörd/@?"  # noqa: S105


@pytest.mark.usefixtures("impatient")
def test_a_server_that_stays_away_is_told_of_and_the_same_key_is_carried_out_once(
    ledger: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    url = ledger.proxy.url(ledger.url).replace("postgres@", f"postgres:{quote(PASSWORD, safe='')}@")
    with closing(ledger.node(url)) as wallets:
        wallet_id = wallets.create().wallet_id
        charge_id = wallets.topup(wallet_id, 10, idempotency_key="start").txn_id
        hold_id = wallets.hold(wallet_id, 1, idempotency_key="hold").hold_id
        assert charge_id is not None
        assert hold_id is not None
        with ledger.away():
            asked: list[Callable[[], object]] = [
                lambda: wallets.charge(wallet_id, 3, idempotency_key="away"),
                lambda: wallets.charge_many([(wallet_id, 3, "away")]),
                lambda: wallets.create(),
                lambda: wallets.capture(hold_id, 1),
                lambda: wallets.balance(wallet_id),
                lambda: wallets.verify(),
                lambda: wallets.maintenance.check_ready(),
                lambda: wallets.maintenance.seal(),
            ]
            for ask in asked * 2:
                with pytest.raises(DatabaseUnavailable, match=r"nothing moved.* try again") as away:
                    ask()
                assert quote(PASSWORD, safe="") not in repr((away.value, away.value.details, away.value.__cause__))
        assert wallets.balance(wallet_id) == 9
        outcome = wallets.charge(wallet_id, 3, idempotency_key="away")
        assert (outcome.balance_yen, outcome.replayed) == (6, False)
        assert wallets.charge(wallet_id, 3, idempotency_key="away").replayed
        assert wallets.capture(hold_id, 1).balance_yen == 6
    assert quote(PASSWORD, safe="") not in "".join(capfd.readouterr())
    assert ledger.wallets.verify() == []


@on_one_lane
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("moment", [Moment.BEFORE_COMMIT, Moment.HALF_COMMIT, Moment.AFTER_COMMIT])
def test_a_server_that_goes_away_at_the_commit_leaves_it_to_the_same_key(ledger: Ledger, moment: Moment) -> None:
    wallet_id = ledger.funded()
    ledger.proxy.arm(moment)
    ledger.proxy.refuse(True)
    try:
        with pytest.raises(DatabaseUnavailable, match="not known, try again with the same idempotency key"):
            ledger.wallets.charge(wallet_id, 3, idempotency_key="away")
    finally:
        ledger.proxy.refuse(False)
    outcome = ledger.wallets.charge(wallet_id, 3, idempotency_key="away")
    assert (outcome.balance_yen, outcome.replayed) == (997, moment is Moment.AFTER_COMMIT)
    assert ledger.entries(wallet_id) == 2


@on_one_lane
@pytest.mark.usefixtures("impatient")
def test_reading_goes_on_at_once_however_long_the_server_was_away(ledger: Ledger) -> None:
    wallet_id = ledger.funded()
    with ledger.away():
        back_at = time.monotonic() + 1.5
        while time.monotonic() < back_at:
            with pytest.raises(DatabaseUnavailable):
                ledger.wallets.balance(wallet_id)
    assert ledger.wallets.balance(wallet_id) == 1_000


@on_one_lane
@pytest.mark.usefixtures("impatient")
def test_http_answers_503_while_the_server_is_away(ledger: Ledger) -> None:
    created = ledger.wallets.create()
    ledger.wallets.topup(created.wallet_id, 10, idempotency_key="start")
    with Api(new_app(ledger.wallets)) as api:
        with ledger.away():
            for response in (
                api.post("/credit/charge", created.owner_token, key="away", amount_yen=3),
                api.get("/credit/wallet", created.owner_token),
                api.get("/readyz"),
            ):
                assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
                assert int(response.headers["Retry-After"]) >= 1
        first = api.post("/credit/charge", created.owner_token, key="away", amount_yen=3)
        again = api.post("/credit/charge", created.owner_token, key="away", amount_yen=3)
    assert [response.status_code for response in (first, again)] == [200, 200]
    assert [response.json()["replayed"] for response in (first, again)] == [False, True]
    assert ledger.wallets.balance(created.wallet_id) == 7


# Others have locked what is needed


@contextmanager
def other_transaction(ledger: Ledger) -> Iterator[Host]:
    """A transaction of somebody else's, committed at the end of the block."""
    with psycopg.connect(ledger.url) as other:
        yield other


def lock(other: Host, wallet_id: int) -> None:
    other.execute("SELECT 1 FROM am_credit_wallet WHERE wallet_id = %s FOR UPDATE", [wallet_id])


def test_charges_that_are_caught_in_a_deadlock_succeed(ledger: Ledger) -> None:
    first, second = ledger.funded(), ledger.funded()
    with other_transaction(ledger) as other, ThreadPoolExecutor(1) as threads:
        other.execute("SET deadlock_timeout = '60s'")  # so that the wallet's transaction is the one to be ended
        lock(other, second)
        charging = threads.submit(ledger.wallets.charge_many, [(first, 1, "deadlock"), (second, 1, "deadlock")])
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
        until(lambda: ledger.count(blocked, other.info.backend_pid))
        lock(other, first)
        other.commit()
        assert [each.balance_yen for each in charging.result() if isinstance(each, Outcome)] == [999, 999]
    assert ledger.wallets.verify() == []


def test_a_wallet_that_stays_locked_is_told_of_and_works_afterwards(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked_id, other_id = ledger.account().wallet_id, ledger.funded()
    key_id = ledger.rows("SELECT key_id FROM am_credit_key WHERE wallet_id = %s", locked_id)[0][0]
    monkeypatch.setattr(postgres_connection, "LOCK_SECONDS", 0.05)
    with closing(ledger.node(ledger.url)) as wallets:
        with other_transaction(ledger) as other:
            lock(other, locked_id)
            asked: list[Callable[[], object]] = [
                lambda: wallets.charge(locked_id, 3, idempotency_key="locked"),
                lambda: wallets.charge_many([(other_id, 3, "locked"), (locked_id, 3, "locked")]),
                lambda: wallets.configure(locked_id, label="locked"),
                lambda: wallets.keys.revoke(key_id),
            ]
            for ask in asked:
                with pytest.raises(DatabaseLocked, match="nothing moved, try again with the same idempotency key"):
                    ask()
            assert wallets.charge(other_id, 5, idempotency_key="free").balance_yen == 995
            assert wallets.balance(locked_id) == 850
        for ask in asked:
            ask()
        assert wallets.balance(locked_id) == 847
        assert wallets.balance(other_id) == 992
    assert ledger.wallets.verify() == []


@contextmanager
def rule(ledger: Ledger, body: str) -> Iterator[None]:
    """A trigger of the host's on new ledger entries."""
    ledger.host.execute(
        f"""
        CREATE SEQUENCE host_counter;
        CREATE FUNCTION host_rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
        CREATE TRIGGER host_rule BEFORE INSERT ON am_credit_transaction_log
        FOR EACH ROW EXECUTE FUNCTION host_rule()
        """
    )
    try:
        yield
    finally:
        ledger.host.execute(
            "DROP TRIGGER host_rule ON am_credit_transaction_log; DROP FUNCTION host_rule; DROP SEQUENCE host_counter"
        )


@on_one_lane
@pytest.mark.parametrize("state", ["serialization_failure", "deadlock_detected"])
def test_a_transaction_that_postgresql_wants_tried_again_is_tried_again(ledger: Ledger, state: str) -> None:
    wallet_id = ledger.funded()
    with rule(
        ledger, f"IF nextval('host_counter') <= 3 THEN RAISE EXCEPTION 'busy' USING ERRCODE = '{state}'; END IF;"
    ):
        outcome = ledger.wallets.charge(wallet_id, 3, idempotency_key="new")
        assert (outcome.balance_yen, outcome.replayed) == (997, False)
        assert ledger.count("SELECT last_value FROM host_counter") == 4


@on_one_lane
def test_a_transaction_that_is_never_let_through_is_told_of(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet_id = ledger.funded()
    monkeypatch.setattr(postgres_link, "BACKOFF", Backoff(0.02, 0.05))
    with (
        rule(ledger, "RAISE EXCEPTION 'busy' USING ERRCODE = 'serialization_failure';"),
        pytest.raises(DatabaseLocked, match="nothing moved"),
    ):
        ledger.wallets.charge(wallet_id, 3, idempotency_key="new")
    assert not ledger.wallets.charge(wallet_id, 3, idempotency_key="new").replayed


@on_one_lane
@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_the_last_yen_is_safe_whatever_isolation_the_host_has_chosen(ledger: Ledger, isolation: str) -> None:
    wallet_id = ledger.funded(20)
    with (
        closing(ledger.node(ledger.url, default_transaction_isolation=isolation)) as one,
        closing(ledger.node(ledger.url, default_transaction_isolation=isolation)) as two,
        ThreadPoolExecutor(8) as threads,
    ):
        nodes = (one, two)

        def charge_once(number: int) -> Answer:
            return answer(lambda: nodes[number % 2].charge(wallet_id, 1, idempotency_key=f"{number}"))[0]

        answers = list(threads.map(charge_once, range(40)))
    assert answers.count("insufficient_funds") == 20
    assert ledger.wallets.balance(wallet_id) == 0
    assert ledger.wallets.verify() == []


@contextmanager
def at_the_commit(ledger: Ledger, table: str, body: str) -> Iterator[None]:
    """Something that happens while a transaction with a new row of ``table`` commits."""
    ledger.host.execute(
        f"""
        CREATE SEQUENCE host_counter;
        CREATE FUNCTION host_rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER host_rule AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION host_rule()
        """
    )
    try:
        yield
    finally:
        ledger.host.execute(f"DROP TRIGGER host_rule ON {table}; DROP FUNCTION host_rule; DROP SEQUENCE host_counter")


CANCELLED_ONCE = (
    "IF nextval('host_counter') <= 1 THEN RAISE EXCEPTION 'timeout' USING ERRCODE = 'query_canceled'; END IF;"
)


@on_one_lane
def test_a_commit_that_is_cancelled_is_not_taken_for_refused(ledger: Ledger) -> None:
    wallet_id = ledger.funded()
    with at_the_commit(ledger, "am_credit_transaction_log", CANCELLED_ONCE):
        outcome = ledger.wallets.charge(wallet_id, 3, idempotency_key="new")
        assert (outcome.balance_yen, outcome.replayed) == (997, False)
    with (
        at_the_commit(ledger, "am_credit_wallet", CANCELLED_ONCE),
        pytest.raises(DatabaseUnavailable, match="whether this was carried out is not known"),
    ):
        ledger.wallets.create()
    assert ledger.entries(wallet_id) == 2


@on_one_lane
def test_a_host_that_warns_at_every_entry_keeps_nobody_up(ledger: Ledger) -> None:
    wallet_id = ledger.funded()
    with rule(ledger, "RAISE WARNING 'noted';"):
        assert ledger.wallets.charge(wallet_id, 3, idempotency_key="new").balance_yen == 997


# A rule of the host's


@pytest.mark.parametrize(
    "refusal",
    [
        "RAISE EXCEPTION 'closed by the host';",
        "RAISE EXCEPTION 'closed by the host' USING ERRCODE = '45000';",
        "RAISE EXCEPTION 'closed by the host' USING ERRCODE = 'check_violation';",
        "PERFORM 1 / 0;",
        "PERFORM 1 FROM table_that_the_host_has_dropped;",
        "NEW.amount_yen := 0;",
    ],
)
def test_what_a_hosts_trigger_refuses_fails_alone(ledger: Ledger, refusal: str) -> None:
    refused_id, *others = ledger.on_one_lane(4)
    rail = ledger.wallets._ledger.lanes.of(refused_id)
    over = threading.Event()

    def wait(_: Store) -> None:
        assert over.wait(PATIENCE_SECONDS)

    with (
        rule(ledger, f"IF NEW.wallet_id = {refused_id} THEN {refusal} END IF;"),
        ThreadPoolExecutor(len(others) + 2) as threads,
    ):
        try:
            threads.submit(rail.call, wait)
            refused = threads.submit(ledger.wallets.charge, refused_id, 1, idempotency_key="new")
            charging = [threads.submit(ledger.wallets.charge, each, 1, idempotency_key="new") for each in others]
            until(lambda: rail.waiting() == len(others) + 1)
        finally:
            over.set()
        assert [each.result().balance_yen for each in charging] == [999] * len(others)
        with pytest.raises(DatabaseRefused, match=r"a rule of .* did not let this in"):
            refused.result()
    assert ledger.wallets.charge(refused_id, 1, idempotency_key="new").balance_yen == 999
    assert ledger.wallets.verify() == []


# A server that takes no writes


@contextmanager
def read_only(ledger: Ledger) -> Iterator[None]:
    """All sessions of the server, open ones too, may only read."""
    with psycopg.connect(f"{ledger.url}?options=-cdefault_transaction_read_only%3Doff", autocommit=True) as admin:
        try:
            for statement in ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"):
                admin.execute(statement)
            yield
        finally:
            for statement in ("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"):
                admin.execute(statement)
            until(lambda: not is_read_only(ledger))


def is_read_only(ledger: Ledger) -> bool:
    with psycopg.connect(ledger.url, autocommit=True) as other:
        return other.execute("SHOW default_transaction_read_only").fetchall() == [("on",)]


@pytest.mark.usefixtures("impatient")
def test_a_server_that_takes_no_writes_is_told_of_until_it_does(ledger: Ledger) -> None:
    wallet_ids = ledger.on_every_lane()
    ledger.wallets.maintenance.check_ready()

    def is_refused(wallet_id: int) -> bool:
        """A session that has not heard of it yet may still write."""
        try:
            return not ledger.wallets.charge(wallet_id, 1, idempotency_key="early")
        except DatabaseError:
            return True

    with read_only(ledger):
        until(lambda: is_read_only(ledger))
        with pytest.raises(DatabaseReadOnly, match="takes no writes"):
            until(lambda: ledger.wallets.maintenance.check_ready())
        for wallet_id in wallet_ids:
            until(partial(is_refused, wallet_id))
            with pytest.raises(DatabaseUnavailable, match=r"read-only.*nothing moved"):
                ledger.wallets.charge(wallet_id, 3, idempotency_key="new")
        with pytest.raises(DatabaseError):
            ledger.wallets.maintenance.check_ready()
    for wallet_id in wallet_ids:
        assert not ledger.wallets.charge(wallet_id, 3, idempotency_key="new").replayed
    ledger.wallets.maintenance.check_ready()
    assert ledger.wallets.verify() == []


# What the host has set for its sessions


@on_one_lane
@pytest.mark.parametrize(
    ("place", "given", "used"),
    [
        ("url", "off", "on"),
        ("url", "local", "on"),
        ("url", "remote_write", "on"),
        ("url", "remote_apply", "remote_apply"),
        ("role", "off", "on"),
    ],
)
def test_commits_are_durable_whatever_the_host_has_set(ledger: Ledger, place: str, given: str, used: str) -> None:
    role = f"ALTER ROLE postgres IN DATABASE {urlsplit(ledger.url).path[1:]}"
    if place == "role":
        ledger.host.execute(f"{role} SET synchronous_commit = {given}")
    options = {"synchronous_commit": given} if place == "url" else {}
    try:
        with closing(ledger.node(ledger.url, **options)) as wallets:
            for _ in range(2):
                for rail in wallets._ledger.lanes._rails:
                    assert rail.call(lambda store: store.run(shown, "synchronous_commit")) == used
                    assert rail.call(lambda store: store.run(shown, "fsync")) == "on"
                end_sessions(ledger)
    finally:
        ledger.host.execute(f"{role} RESET synchronous_commit")


def shown(connection: Any, setting: str) -> str:
    return str(connection.execute(f"SHOW {setting}").fetchall()[0][0])


# Plain SQL, and the order in which transactions end


def seal_all(ledger: Ledger) -> None:
    while ledger.wallets.maintenance.seal():
        pass


def unsealed(ledger: Ledger) -> int:
    return ledger.count(
        "SELECT count(*) FROM am_credit_transaction_log "
        "WHERE txn_id > coalesce((SELECT max(last_txn_id) FROM am_credit_seal), 0)"
    )


@pytest.fixture
def unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealing does not wait long for transactions that are under way."""
    monkeypatch.setattr(postgres_horizon, "SETTLE_SECONDS", 0.05)


@pytest.mark.usefixtures("unsettled")
def test_seals_wait_for_an_entry_of_plain_sql_that_is_not_committed(ledger: Ledger) -> None:
    wallet_id, other_id = ledger.funded(), ledger.funded()
    seal_all(ledger)
    with other_transaction(ledger) as other:
        other.execute(
            "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type) VALUES (%s, 7, 'topup')",
            [wallet_id],
        )
        for number in range(3):
            ledger.wallets.charge(other_id, 1, idempotency_key=f"meanwhile-{number}")
        assert ledger.wallets.maintenance.seal() == 0
        other.execute("UPDATE am_credit_wallet SET balance_yen = balance_yen + 7 WHERE wallet_id = %s", [wallet_id])
    assert ledger.wallets.maintenance.seal() == 0  # the chain of an entry is not fixed before it is backfilled
    assert ledger.wallets.charge(wallet_id, 1, idempotency_key="backfills").balance_yen == 1_006
    assert ledger.wallets.maintenance.seal() == 5
    assert unsealed(ledger) == 0
    assert ledger.wallets.verify() == []


@pytest.mark.usefixtures("unsettled")
@pytest.mark.parametrize("moment", [Moment.BEFORE_WRITES, Moment.AFTER_WRITES, Moment.HALF_COMMIT])
def test_seals_wait_for_a_batch_of_another_node_that_is_not_committed(ledger: Ledger, moment: Moment) -> None:
    stalled_id, other_id = ledger.funded(), ledger.funded()
    seal_all(ledger)
    with closing(ledger.node(ledger.url)) as node:
        with stalled_charge(ledger, stalled_id, moment):
            node.charge(other_id, 1, idempotency_key="meanwhile")
            assert node.maintenance.seal() == 0
        until(lambda: node.maintenance.seal() == 2)
    assert unsealed(ledger) == 0
    assert ledger.wallets.verify() == []


def test_a_writer_of_plain_sql_between_the_lanes_loses_nothing(ledger: Ledger) -> None:
    wallet_ids = [ledger.funded() for _ in range(5)]
    rounds = 25

    def charge_in_turn(thread: int) -> None:
        for number in range(rounds):
            wallet_id = wallet_ids[(thread + number) % len(wallet_ids)]
            ledger.wallets.charge(wallet_id, 1, idempotency_key=f"{thread}-{number}")

    def write_plain_sql(thread: int) -> None:
        with PlainSql(ledger.url) as host:
            for number in range(rounds):
                wallet_id = wallet_ids[(thread + number) % len(wallet_ids)]
                host.move(wallet_id, *(("topup", 5), ("charge", -1))[number % 2])

    with ThreadPoolExecutor(8) as threads:
        working = [threads.submit(work, number) for number in range(4) for work in (charge_in_turn, write_plain_sql)]
        for each in working:
            each.result()
    assert ledger.wallets.verify() == []
    written = 4 * (5 * (rounds - rounds // 2) - rounds // 2)
    assert sum(map(ledger.wallets.balance, wallet_ids)) == 5_000 - 4 * rounds + written
    seal_all(ledger)
    assert unsealed(ledger) == 0
    assert ledger.wallets.verify() == []


# The same key at once


def test_a_key_that_several_lanes_and_nodes_send_at_once_is_carried_out_once(ledger: Ledger) -> None:
    with (
        closing(ledger.node(ledger.url)) as second,
        closing(ledger.node(ledger.url)) as third,
        ThreadPoolExecutor(6) as threads,
    ):
        nodes = (ledger.wallets, second, third)
        for _ in range(5):
            wallet_id, *lanes = [ledger.funded(), *ledger.on_every_lane()]
            start = threading.Barrier(2 * len(nodes))

            def charge_alone(node: CreditWallet, wallet_id: int, start: threading.Barrier) -> Outcome | WalletError:
                start.wait()
                return node.charge(wallet_id, 3, idempotency_key="same")

            def charge_with_others(
                node: CreditWallet, wallet_id: int, start: threading.Barrier, other_id: int
            ) -> Outcome | WalletError:
                """On the lane of the other wallet."""
                start.wait()
                return node.charge_many([(other_id, 1, f"{id(node)}"), (wallet_id, 3, "same")])[1]

            charging = [threads.submit(charge_alone, node, wallet_id, start) for node in nodes]
            charging += [threads.submit(charge_with_others, node, wallet_id, start, lanes[-1]) for node in nodes]
            outcomes = [each.result() for each in charging]
            assert [each.replayed for each in outcomes if isinstance(each, Outcome)].count(False) == 1
            assert len({each.txn_id for each in outcomes if isinstance(each, Outcome)}) == 1
            assert ledger.wallets.balance(wallet_id) == 997
            assert ledger.entries(wallet_id) == 2
    assert ledger.wallets.verify() == []
