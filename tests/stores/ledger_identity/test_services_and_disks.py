"""A service whose files are taken away, or whose disk is full, answers 503 until that is over."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import apsw
import httpx
import pytest
from service import OPERATOR_KEY, Service, credentials
from taken_files import FOUR, START_YEN, Ledger, Place, funded, restore_while_it_runs

from credit_wallet import CreditWallet
from credit_wallet.stores.sqlite import store as sqlite
from credit_wallet.stores.sqlite.ledger import LedgerConnection

# The service


class Session:
    """A service on a ledger, with an owner's token."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.acknowledged = 0
        created = httpx.post(f"{service.url}/operator/wallets", headers=self.operator("wallet"), json={}).json()
        self.wallet_id, self.token = created["wallet_id"], created["owner_token"]
        topup = {"wallet_id": self.wallet_id, "amount_yen": START_YEN}
        httpx.post(f"{service.url}/operator/topup", headers=self.operator("topup"), json=topup).raise_for_status()

    @staticmethod
    def operator(key: str) -> dict[str, str]:
        return credentials(OPERATOR_KEY, key)

    def charge(self, key: str) -> httpx.Response:
        answer = httpx.post(
            f"{self.service.url}/credit/charge", headers=credentials(self.token, key), json={"amount_yen": 1}
        )
        self.acknowledged += answer.status_code == 200
        return answer

    def get(self, path: str, token: str | None = None) -> httpx.Response:
        return httpx.get(f"{self.service.url}{path}", headers=credentials(token))

    def refusals(self) -> Iterator[httpx.Response]:
        """What every client gets."""
        yield self.charge("refused")
        yield self.get("/readyz")
        yield self.get("/credit/wallet", self.token)
        yield self.get("/credit/transactions", self.token)
        yield self.get(f"/operator/wallets/{self.wallet_id}", OPERATOR_KEY)
        yield httpx.post(f"{self.service.url}/operator/wallets", headers=self.operator("another"), json={})

    def assert_refuses(self, *codes: str) -> None:
        for answer in self.refusals():
            assert (answer.status_code, answer.json()["code"] in codes) == (503, True), answer.text
            assert int(answer.headers["retry-after"]) >= 1


@contextmanager
def session(url: str, adjust: str = "") -> Iterator[Session]:
    with Service(url, adjust=adjust) as service:
        opened = Session(service)
        for number in range(20):
            opened.charge(f"charge-{number}").raise_for_status()
        yield opened


@pytest.mark.parametrize("take", FOUR.values(), ids=FOUR)
def test_the_service_answers_503_until_the_same_files_are_back(
    place: Place, take: Callable[[Place], Callable[[], None]]
) -> None:
    with session(place.url) as served:
        put_back = take(place)
        served.assert_refuses("database_moved")
        assert served.get("/healthz").status_code == 200
        assert served.acknowledged == 20
        put_back()
        assert served.get("/readyz").status_code == 200
        assert served.charge("again").json()["balance_yen"] == START_YEN - 21
        assert served.service.stop() == 0
    with CreditWallet.open(place.url) as wallets:
        assert wallets.balance(served.wallet_id) == START_YEN - served.acknowledged
        assert wallets.verify() == []


def test_what_was_acknowledged_before_the_log_was_removed_survives_a_kill(place: Place) -> None:
    """The first who notices has what the log holds written into the database, which is still there."""
    with session(place.url) as served:
        place.file("-wal").unlink()
        served.assert_refuses("database_moved")
        served.service.kill()
    with CreditWallet.open(place.url) as wallets:
        assert wallets.balance(served.wallet_id) == START_YEN - 20
        assert wallets.verify() == []


def test_a_service_stopped_after_a_restore_leaves_the_restored_ledger_alone(place: Place) -> None:
    with session(place.url) as served:
        restore_while_it_runs(place)
        restored = place.path.read_bytes()
        served.assert_refuses("database_moved")
        assert served.service.stop() == 0
    assert place.path.read_bytes() == restored
    assert [file.name for file in place.folder.iterdir()] == ["w.db"]
    with CreditWallet.open(place.url) as wallets:
        assert wallets.balance(served.wallet_id) == START_YEN - 20
        assert wallets.verify() == []


# A full disk


def test_a_service_on_a_full_disk_is_not_ready_until_there_is_room(place: Place) -> None:
    """RLIMIT_FSIZE is the disk here: no file of the process may grow beyond it."""
    with session(place.url) as served:
        process = served.service._process.pid
        hard = resource.prlimit(process, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process, resource.RLIMIT_FSIZE, (place.file("-wal").stat().st_size + 50_000, hard))
        number = 0
        while (refused := served.charge(f"until-full-{number}")).status_code == 200:
            number += 1
        assert (refused.status_code, refused.json()["code"]) == (503, "database_error")
        assert "nothing is acknowledged" in refused.json()["detail"]
        for _ in range(3):
            assert served.get("/readyz").status_code == 503
        assert served.get("/credit/wallet", served.token).json()["balance_yen"] == START_YEN - served.acknowledged
        resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))
        assert served.get("/readyz").status_code == 200
        assert not served.charge(f"until-full-{number}").json()["replayed"]
    with CreditWallet.open(place.url) as wallets:
        assert wallets.balance(served.wallet_id) == START_YEN - served.acknowledged
        assert wallets.verify() == []


def test_a_disk_that_fills_up_is_noticed_before_a_charge_is_refused(place: Place) -> None:
    with session(place.url, "from credit_wallet.stores.sqlite import store; store.PROVEN_SECONDS = 0.0") as served:
        process = served.service._process.pid
        hard = resource.prlimit(process, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process, resource.RLIMIT_FSIZE, (4_096, hard))
        answer = served.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_error")
        resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))
        assert served.get("/readyz").status_code == 200


def test_readiness_writes_once_in_a_while_and_leaves_nothing(
    place: Place, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallets, wallet_id = ledger
    times = iter((0.0, 0.0, 1.0, 5.1, 5.1))
    monkeypatch.setattr(sqlite, "monotonic", lambda: 100.0 + next(times))
    proofs: list[object] = []
    prove_room = LedgerConnection.prove_room

    def prove(connection: LedgerConnection) -> None:
        proofs.append(connection)
        prove_room(connection)

    monkeypatch.setattr(LedgerConnection, "prove_room", prove)
    with closing(apsw.Connection(str(place.path))) as other:
        state = other.pragma("data_version"), other.execute("SELECT * FROM am_credit_counted").fetchall()
        for written in (1, 1, 2):
            wallets.maintenance.check_ready()
            assert len(proofs) == written
        assert state == (other.pragma("data_version"), other.execute("SELECT * FROM am_credit_counted").fetchall())
    assert wallets.balance(wallet_id) == START_YEN - 1
    assert wallets.verify() == []


def test_a_new_file_is_not_taken_for_an_earlier_one_with_its_inode(place: Place) -> None:
    """A file system gives the inode of a removed file to the next one."""
    inodes = []
    for _ in range(5):
        with CreditWallet.open(place.url) as wallets:
            wallet_id = funded(wallets)
            wallets.charge_many((wallet_id, 1, f"charge-{number}") for number in range(200))
            place.written_back()
            wallets.maintenance.check_ready()
        inodes.append(place.path.stat().st_ino)
        place.path.unlink()
    assert len(inodes) == 5
