"""A ledger on PostgreSQL behind a proxy that cuts and stalls, and what came of what was asked of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from clock import Clock
from faulty_proxy import FaultyProxy, Moment
from msgspec import structs

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Charged, Outcome
from credit_wallet.errors import (
    DatabaseError,
    WalletError,
)

COMMITTED = (Moment.AFTER_COMMIT, Moment.DURING_ANSWER)

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


on_one_lane = pytest.mark.parametrize("ledger", [1], indirect=True, ids=["one-lane"])
"""For what is the same on each lane."""


def until(happens: Callable[[], object]) -> None:
    """Return when something has happened that another thread or the server does."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def charge(ledger: Ledger, account: Account) -> list[Answer]:
    """Fires the 50 % alert."""
    wallet_id, key_id = account.wallet_id, account.key_id
    return answer(lambda: ledger.wallets.charge(wallet_id, 450, idempotency_key="new", note="tea", key_id=key_id))


def hold(ledger: Ledger, account: Account) -> list[Answer]:
    wallet_id, key_id = account.wallet_id, account.key_id
    return answer(lambda: ledger.wallets.hold(wallet_id, 70, idempotency_key="new", key_id=key_id))


def topup(ledger: Ledger, account: Account) -> list[Answer]:
    wallet_id, next_year = account.wallet_id, "2027-01-01T00:00:00Z"
    return answer(lambda: ledger.wallets.topup(wallet_id, 77, idempotency_key="new", promo=True, expires_at=next_year))


def end_sessions(ledger: Ledger) -> None:
    """As an administrator does."""
    sessions = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'credit-wallet'"
    ended = {backend for (backend, _) in ledger.rows(f"SELECT pid, pg_terminate_backend(pid) {sessions}")}
    until(lambda: ended.isdisjoint(backend for (backend,) in ledger.rows(f"SELECT pid {sessions}")))


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


@contextmanager
def other_transaction(ledger: Ledger) -> Iterator[Host]:
    """A transaction of somebody else's, committed at the end of the block."""
    with psycopg.connect(ledger.url) as other:
        yield other


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
