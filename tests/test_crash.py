"""A wallet that is killed under load."""

from __future__ import annotations

import os
from pathlib import Path

from crash import kill_repeatedly

KILLS = int(os.environ.get("CREDIT_WALLET_TEST_KILLS", "10"))


def test_nothing_acknowledged_is_lost_or_done_twice_when_the_process_is_killed(tmp_path: Path) -> None:
    figures = kill_repeatedly(tmp_path / "wallet.db", KILLS)
    assert not figures.wrong(), figures
    assert figures.kills == KILLS
    assert figures.acknowledged > 0
    assert figures.in_flight > 0
