"""A wallet, or its server, that is killed under load."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from crash import Figures, kill_repeatedly
from postgres import Server, new_database

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("CREDIT_WALLET_TEST_KILLS", "10"))


def test_nothing_acknowledged_is_lost_or_done_twice_when_the_process_is_killed(tmp_path: Path) -> None:
    assert_all_is_well(kill_repeatedly(f"sqlite:///{tmp_path / 'wallet.db'}", KILLS), KILLS)


def test_nothing_acknowledged_is_lost_or_done_twice_when_a_node_or_postgresql_is_killed() -> None:
    kills = KILLS * 6 // 10
    with Server() as server:
        figures = kill_repeatedly(new_database(server.url()), kills, seed=5, server=server)
    assert_all_is_well(figures, kills)
    assert 0 < figures.server_kills < kills


def assert_all_is_well(figures: Figures, kills: int) -> None:
    assert not figures.wrong(), figures
    assert figures.kills == kills
    assert figures.acknowledged > 0
    assert figures.in_flight > 0
