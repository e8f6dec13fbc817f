"""When PostgreSQL stalls, stays away or takes no writes: reported clearly, and the same key is carried out once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from urllib.parse import quote

import psycopg
import pytest
from faulty_proxy import Moment
from msgspec import structs
from postgres_ledger import COMMITTED, Ledger, on_one_lane, stalled_charge, until
from service import Api, new_app

from credit_wallet.errors import (
    DatabaseError,
    DatabaseLocked,
    DatabaseReadOnly,
    DatabaseUnavailable,
)
from credit_wallet.stores.postgres import connection

pytestmark = pytest.mark.slow


# A connection stalls


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
    monkeypatch.setattr(connection, "LOCK_SECONDS", 0.1)
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
