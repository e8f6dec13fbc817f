"""A log has one line for each thing that happened: nothing that a request says can begin another one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from service import OPERATOR_KEY, Service, credentials

from credit_wallet import telemetry

FORGED = "timestamp=2026-01-01T00:00:00Z level=info event=operation operator=alice"
ENDS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x1b[2K\x1b[1G", "\x00", "\u202e"]


@pytest.fixture
def to_stderr() -> Iterator[None]:
    handlers, level = [*logging.getLogger().handlers], logging.getLogger().level
    telemetry.log_to_stderr()
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers = handlers
    logging.getLogger().setLevel(level)


@pytest.mark.usefixtures("to_stderr")
@pytest.mark.parametrize("end", ENDS)
def test_no_value_begins_a_line_of_its_own_in_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(telemetry._Form, "is_json", True)
    said = f'x{end}{{"level":"info"}}"'
    structlog.get_logger("credit_wallet.http").warning("bad", path=said, number=3, half="\ud800")
    structlog.get_logger("credit_wallet.http").info(said)
    structlog.get_logger("credit_wallet.http").debug("below the level that is set")
    logging.getLogger("mcp.server").warning("Invalid Host header: %s", said)
    lines = capsys.readouterr().err.split("\n")
    assert lines.pop() == ""
    entries = [json.loads(line) for line in lines]
    assert all(line.isprintable() and line.splitlines() == [line] for line in lines)
    assert [list(entry)[:3] for entry in entries] == [["timestamp", "level", "event"]] * 3
    assert (entries[0]["path"], entries[0]["number"], entries[1]["event"]) == (said, 3, said)
    assert entries[2]["event"] == f"Invalid Host header: {said}"


@pytest.mark.usefixtures("to_stderr")
@pytest.mark.parametrize("end", ENDS)
def test_no_value_begins_a_line_of_its_own(capsys: pytest.CaptureFixture[str], end: str) -> None:
    said = f"x{end}{FORGED}"
    structlog.get_logger("credit_wallet.http").warning("bad", path=said, number=3)
    structlog.get_logger("credit_wallet.http").warning(said)
    logging.getLogger("mcp.server").warning("Invalid Host header: %s", said)
    logging.getLogger("asyncio").error(said)
    lines = capsys.readouterr().err.split("\n")
    assert lines.pop() == ""
    assert len(lines) == 4
    for line in lines:
        assert line.isprintable(), line
        assert line.startswith("timestamp=20")
        assert line.splitlines() == [line]


@pytest.mark.usefixtures("to_stderr")
def test_what_libraries_log_has_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("somebody").warning("two words")
    logging.getLogger("somebody").info("not told")
    logging.getLogger("apprise").warning("cannot send to owner@example.com, nor to /services/T0/B0/secret")
    try:
        int(f"x\n{FORGED}")
    except ValueError:
        logging.getLogger("somebody").exception("failed")
    first, second = capsys.readouterr().err.splitlines()
    assert ' level=warning event="two words" logger=somebody' in first
    assert "level=error event=failed" in second
    assert "ValueError" in second


@pytest.mark.usefixtures("to_stderr")
def test_setting_it_up_again_says_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.log_to_stderr()
    logging.getLogger("somebody").warning("once")
    assert capsys.readouterr().err.count("event=once") == 1


def test_no_request_forges_a_line_of_the_services_log(tmp_path: Path) -> None:
    with Service(f"sqlite:///{tmp_path}/w.db") as service:
        created = httpx.post(f"{service.url}/operator/wallets", headers=credentials(OPERATOR_KEY), json={}).json()
        bearer = credentials(created["owner_token"])
        for host in ("evil.example", "event=operation", 'x"y'):
            httpx.post(f"{service.url}/mcp", headers=bearer | {"Host": host}, json={})
        for origin in (f"http://x {FORGED}", "null"):
            httpx.post(f"{service.url}/mcp", headers=bearer | {"Origin": origin}, json={})
        httpx.get(f"{service.url}/x%0a{FORGED.replace(' ', '%20')}")
        assert service.stop() == 0
        told = service.output().decode().splitlines()
    log = [line for line in told if "Host header" in line or "Origin" in line]
    assert log
    assert all({"timestamp", "level", "event"} <= json.loads(line).keys() for line in log)
    assert not any(line.startswith(FORGED[:30]) for line in told)
    refused = [entry for entry in map(json.loads, filter(lambda line: line.startswith("{"), told)) if "code" in entry]
    assert {entry["code"] for entry in refused} >= {"host_not_allowed", "origin_not_allowed", "not_found"}
