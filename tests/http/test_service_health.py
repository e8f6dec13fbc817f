"""What operators see of how the service is: the figures of the process, of the database, and no secret."""

from __future__ import annotations

import pytest
from clock import Clock
from databases import on_both_databases
from http_answers import assert_problem
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.http.lately import Lately, percentile
from credit_wallet.http.metrics import Metrics
from credit_wallet.worker import Worker


class Ticking:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_what_happened_lately_is_what_happened_within_a_minute() -> None:
    clock, total = Ticking(), [0.0]
    lately = Lately(lambda: list(total), clock)

    def happens(times: int) -> None:
        for _ in range(times):
            lately.tick()
            total[0] += 1

    assert lately.change() == (1.0, [0.0])
    happens(10)
    clock.now += 10
    assert lately.change() == (10.0, [10.0])
    clock.now += 40
    happens(6)
    clock.now += 20  # 70 seconds after the first ten
    assert lately.change() == (60.0, [6.0])
    clock.now += 3_600
    assert lately.change() == (60.0, [0.0])
    happens(3)
    assert lately.change() == (60.0, [3.0])


def test_what_is_kept_is_bounded_however_much_happens() -> None:
    clock, total = Ticking(), [0.0]
    lately = Lately(lambda: list(total), clock)
    for _ in range(5_000):
        clock.now += 0.25
        lately.tick()
        total[0] += 1
    assert len(lately._kept) <= 120
    seconds, [grown] = lately.change()
    assert seconds == 60.0
    assert grown == pytest.approx(240, abs=5)


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 0, 0], 0.5, 0.5),
        ([0, 10, 0], 0.5, 1.5),
        ([50, 49, 1], 0.99, 2.0),
        ([0, 0, 5], 0.5, 2.0),
    ],
)
def test_a_percentile_is_estimated_within_its_bucket(counts: list[float], share: float, expected: float | None) -> None:
    assert percentile((1.0, 2.0), counts, share) == expected


@on_both_databases
def test_the_service_says_how_it_is(wallets: CreditWallet, db_url: str) -> None:
    wallet = wallets.create()
    wallets.topup(wallet.wallet_id, 5, idempotency_key="t")
    metrics = Metrics()
    worker = Worker(wallets)
    metrics.watch("sqlite", lambda: worker.runs)
    with CreditWallet.open(db_url, observe=metrics.batch) as watched, Api(new_app(watched, metrics=metrics)) as api:
        for number in range(8):
            api.post("/credit/charge", wallet.owner_token, key=f"k{number}", amount_yen=1)
        worker.run_due(0.0)
        health = api.get("/operator/health", OPERATOR_KEY).json()
        assert health["database"]["kind"] == ("sqlite" if db_url.startswith("sqlite") else "postgresql")
        assert health["database"]["bytes"] > 100_000
        assert health["database"]["migration"] >= "317_credit_overview.sql"
        assert health["requests"]["by_status"] == {"200": 5, "402": 3}
        assert (health["rail"]["waiting"], health["rail"]["batches_per_second"] > 0) == (0, True)
        assert 0 < health["rail"]["commit_p50_ms"] <= health["rail"]["commit_p99_ms"]
        assert 0 < health["requests"]["p50_ms"] <= health["requests"]["p99_ms"]
        assert {each["job"]: each["failed"] for each in health["jobs"]} == {each.job: 0 for each in worker.runs}
        assert {each["check"] for each in health["findings"]} == {"clock", "seals", "jobs", "deliveries", "commits"}
        assert health["ok"] is True
        text = api.get("/operator/health", OPERATOR_KEY).text
        for secret in (OPERATOR_KEY, wallet.owner_token, "postgres@", "127.0.0.1", "://"):
            assert secret not in text


def test_what_needs_a_look_is_said(wallets: CreditWallet, clock: Clock) -> None:
    wallets.topup(wallets.create().wallet_id, 5, idempotency_key="t")
    clock.advance(hours=1)
    with Api(new_app(wallets)) as api:
        health = api.get("/operator/health", OPERATOR_KEY).json()
    assert health["ok"] is False
    assert [each["check"] for each in health["findings"] if not each["ok"]] == ["seals"]
    assert health["seal"] == {"seal_id": None, "sealed_at": None, "unsealed_seconds": 3600.0}


def test_it_is_for_operators(wallets: CreditWallet) -> None:
    with Api(new_app(wallets)) as api:
        assert_problem(api.get("/operator/health", wallets.create().owner_token), 403, "forbidden")
        assert api.get("/operator/health").status_code == 401
