"""What the service counts of its requests, and what its log says about them: bounded, and without secrets."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from service import OPERATOR_KEY, TOPUP_URL, Api

from credit_wallet import CreditWallet, telemetry
from credit_wallet.http import traffic
from credit_wallet.http.app import create_app
from credit_wallet.http.app_settings import ServiceSettings
from credit_wallet.http.metrics import Metrics
from credit_wallet.http.traffic import Answered, Traffic
from credit_wallet.wire.operator_keys import operator_key


class Observed:
    """An application whose figures and lines are looked at."""

    def __init__(self, wallets: CreditWallet, share: float, *, fast_lane: bool = True) -> None:
        self.traffic = Traffic(share, writes=True)
        self._metrics = Metrics(self.traffic)
        settings = ServiceSettings((operator_key("root", OPERATOR_KEY),), TOPUP_URL)
        self.api = Api(create_app(wallets, settings, self._metrics, fast_lane=fast_lane))

    def requests(self) -> dict[tuple[str, str, str], float]:
        """How many by route, method and status."""
        return {
            (sample.labels["route"], sample.labels["method"], sample.labels["status"]): sample.value
            for family in text_string_to_metric_families(generate_latest(self._metrics.registry).decode())
            for sample in family.samples
            if sample.name == "credit_wallet_http_requests_total"
        }


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of the log, in JSON."""
    lines: list[str] = []
    monkeypatch.setattr(telemetry._Form, "is_json", True)
    monkeypatch.setattr(traffic, "write_entries", lambda entries: lines.extend(map(telemetry.line_of, entries)))
    return lines


def parsed(lines: list[str]) -> list[dict[str, Any]]:
    assert all(line.endswith("\n") and len(line.splitlines()) == 1 for line in lines)
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("fast_lane", [True, False])
def test_requests_are_counted_by_documented_address_whoever_answers(
    wallets: CreditWallet, written: list[str], fast_lane: bool
) -> None:
    seen = Observed(wallets, 0, fast_lane=fast_lane)
    wallet = wallets.create(label="Mrs. Private")
    wallets.topup(wallet.wallet_id, 10, idempotency_key="t")
    with seen.api as api:
        assert api.post("/credit/charge", wallet.owner_token, key="a", amount_yen=3).status_code == 200
        refused = api.call(
            "POST",
            "/credit/charge",
            wallet.owner_token,
            key="b",
            json={"amount_yen": 30, "note": "secret note"},
            headers={"X-Request-Id": 'mine"} {"level": "x'},
        )
        assert refused.status_code == 402
        for number in range(20):  # a stranger makes no series and no route of their own
            api.get(f"/{number}/%0a{{}}")
            api.call("PROPFIND" if number % 2 else "BREW", "/credit/wallet")
            api.get(f"/credit/budgets/{number}", "cw_live_guessed")
        assert api.call("HEAD", "/healthz").status_code == 200
        assert api.get(f"/operator/wallets/{wallet.wallet_id}/nothing", OPERATOR_KEY).status_code == 404
    seen.traffic.close()
    counted = seen.requests()
    assert counted["/credit/charge", "POST", "200"] == counted["/credit/charge", "POST", "402"] == 1
    assert counted["/healthz", "HEAD", "200"] == 1
    assert sum(number for (route, _, _), number in counted.items() if route == "unmatched") >= 21
    assert {method for _, method, _ in counted} <= {"GET", "HEAD", "POST", "other"}
    assert len(counted) <= 10

    lines = parsed(written)
    [charge] = [line for line in lines if line["route"] == "/credit/charge"]
    assert list(charge)[:3] == ["timestamp", "level", "event"]
    assert charge | {"ms": 0, "timestamp": "", "bytes": 0} == {
        "timestamp": "",
        "level": "info",
        "event": "refused",
        "method": "POST",
        "route": "/credit/charge",
        "status": 402,
        "code": "insufficient_funds",
        "ms": 0,
        "bytes": 0,
        "request_id": 'mine"} {"level": "x',
        "by": "owner",
        "wallet_id": wallet.wallet_id,
    }
    assert charge["bytes"] == len(refused.content)
    assert all(line["event"] == "refused" and line["code"] for line in lines)
    said = "".join(written)
    for secret in (wallet.owner_token, OPERATOR_KEY, "cw_live", "secret note", "Private", "%0a", "PROPFIND"):
        assert secret not in said


def answer(status: int, code: str | None = None) -> Answered:
    return Answered("/credit/charge", "POST", status, 0.0, 5, [(b"x-request-id", b"r")], None, code)


def test_a_share_of_the_requests_has_lines_and_refusals_cannot_flood_the_log(
    written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "WRITE_SECONDS", 60.0)
    monkeypatch.setattr(traffic, "MAX_REFUSALS", 7)
    watching = Traffic(0.25, writes=True)
    for _ in range(40):
        watching.answered(answer(200))
    for _ in range(50):
        watching.answered(answer(401, "unauthorized"))
    watching.answered(answer(500, "internal_error"))
    watching.close()
    lines = parsed(written)
    assert sum(line["event"] == "request" for line in lines) == 10
    assert sum(line["event"] == "refused" for line in lines) == 7
    assert [line["lines"] for line in lines if line["event"] == "request_lines_left_out"] == [44]


def test_a_reader_of_the_log_who_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(traffic, "write_entries", lambda _: let_go.wait(30))
    monkeypatch.setattr(traffic, "WRITE_SECONDS", 0.001)
    monkeypatch.setattr(traffic, "CLOSE_SECONDS", 0.01)
    watching = Traffic(1, writes=True)
    for _ in range(traffic.MAX_LINES * 3):
        watching.answered(answer(200))
    watching.close()
    assert watching._lines is not None
    assert len(watching._lines._waiting) <= traffic.MAX_LINES
    let_go.set()
    watching._lines._thread.join()


def test_times_are_cumulative_and_add_up() -> None:
    watching = Traffic()
    for _ in range(3):
        watching.answered(answer(200)._replace(began=time.perf_counter()))
    _, times = watching.families()
    samples = {(sample.name, sample.labels.get("le")): sample.value for sample in times.samples}
    assert samples["credit_wallet_http_request_seconds_count", None] == 3
    assert samples["credit_wallet_http_request_seconds_bucket", "+Inf"] == 3
    assert samples["credit_wallet_http_request_seconds_bucket", "5.0"] == 3
