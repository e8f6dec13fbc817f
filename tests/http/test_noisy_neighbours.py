"""One tenant at its worst, in each way, and what another tenant notices of it. ``make drill`` does it for longer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from neighbours import Quiet, Tenants, Turn, going_on, memory_mb, nuisances, populate
from service import Service
from width import WIDE

pytestmark = pytest.mark.slow

ENTRIES = 100_000 if WIDE else 30_000
KEYS = 200
THREADS = 4

MAX_MS = 50.0
"""What nearly all charges of the quiet tenant may take …"""

TIMES_IDLE = 4.0
"""… unless the machine is so busy with something else that an idle service takes more than a quarter of that."""

MAX_MB = 200.0

WINDOW_SECONDS = 0.8 if WIDE else 0.5
WINDOWS = 5
"""The best of so many counts: a machine that does something else in one of them does not in all."""


class Street(NamedTuple):
    """A service with its two tenants."""

    service: Service
    tenants: Tenants
    quiet: Quiet


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    url = f"sqlite:///{tmp_path_factory.mktemp('street') / 'wallet.db'}"
    tenants = populate(url, ENTRIES, KEYS)
    with Service(url) as service:
        quiet = Quiet(service, tenants.quiet)
        quiet.charges(WINDOW_SECONDS)
        yield Street(service, tenants, quiet)


def assert_not_noticed(quiet: Quiet, turn: Turn, threads: int) -> None:
    """While ``threads`` take turns, nearly all charges of the quiet tenant are quick."""
    for _ in range(WINDOWS):
        with going_on(turn, threads):
            beside_ms = quiet.charges(WINDOW_SECONDS).p99_ms
        if beside_ms < MAX_MS:
            return
        idle_ms = quiet.charges(WINDOW_SECONDS).p99_ms
        if beside_ms < TIMES_IDLE * idle_ms:
            return
    pytest.fail(f"p99 {beside_ms:.0f} ms beside, {idle_ms:.0f} ms on an idle service")


NAMES = (
    "statements",
    "statements as csv",
    "searches for what is not there",
    "lists of keys",
    "refused captures",
    "guesses of tokens",
    "connections that say nothing",
    "clients that do not read",
    "charges that are refused",
    "figures",
)


@pytest.mark.parametrize("name", NAMES)
def test_another_tenants_charges_go_on(street: Street, name: str) -> None:
    assert_not_noticed(street.quiet, nuisances(street.service, street.tenants)[name], THREADS)
    assert memory_mb(street.service) < MAX_MB


def test_no_way_is_left_out(street: Street) -> None:
    assert tuple(nuisances(street.service, street.tenants)) == NAMES


@pytest.mark.databases("postgres")
def test_on_postgresql_twelve_statements_at_once_keep_no_reader_from_others(db_url: str) -> None:
    tenants = populate(db_url, 10_000, 1)
    with Service(db_url) as service:
        quiet = Quiet(service, tenants.quiet)
        quiet.charges(WINDOW_SECONDS)
        assert_not_noticed(quiet, nuisances(service, tenants)["statements"], 12)
