"""The clocks of waits: a hung call holds up neither its neighbours nor the end of the process."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from time import monotonic
from weakref import ref

import pytest

from credit_wallet.runtime.deadlines import Crew, CrewBusy, Deadline, Watch

SOON = 5.0


class TestDeadline:
    def test_what_is_left_falls_to_nothing(self) -> None:
        now = [100.0]
        deadline = Deadline(2.0, lambda: now[0])
        assert (deadline.remaining(), deadline.passed) == (2.0, False)
        now[0] = 101.5
        assert (deadline.remaining(), deadline.passed) == (0.5, False)
        now[0] = 103.0
        assert (deadline.remaining(), deadline.passed) == (0.0, True)


class TestCrew:
    def test_answers_and_errors_are_the_callers(self) -> None:
        crew = Crew("crew", 2, 2)
        assert crew.submit(divmod, 7, 2).result(SOON) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            crew.call(SOON, divmod, 7, 0)
        assert asyncio.run(crew.ask(divmod, 9, 4)) == (2, 1)
        crew.close()

    def test_it_takes_so_many_and_no_more(self) -> None:
        crew, go = Crew("crew", 1, 1), threading.Event()
        first, second = crew.submit(go.wait, SOON), crew.submit(go.wait, SOON)
        with pytest.raises(CrewBusy):
            crew.submit(go.wait, SOON)
        go.set()
        assert first.result(SOON)
        assert second.result(SOON)
        assert crew.call(SOON, int, "5") == 5
        crew.close()

    def test_a_hung_call_is_given_up_and_its_neighbour_answers(self) -> None:
        crew, go = Crew("crew", 2, 0), threading.Event()
        with pytest.raises(TimeoutError):
            crew.call(0.01, go.wait, SOON)
        assert crew.call(SOON, int, "5") == 5
        go.set()

    def test_a_call_given_up_before_its_turn_is_never_made(self) -> None:
        crew, go = Crew("crew", 1, 1), threading.Event()
        made: list[int] = []
        busy = crew.submit(go.wait, SOON)
        with pytest.raises(TimeoutError):
            crew.call(0.01, made.append, 1)
        go.set()
        assert busy.result(SOON)
        assert crew.call(SOON, int, "5") == 5
        assert made == []

    def test_a_closed_crew_takes_nothing(self) -> None:
        crew = Crew("crew", 1, 1)
        crew.close()
        with pytest.raises(CrewBusy):
            crew.submit(int)

    def test_the_process_ends_though_a_call_hangs(self) -> None:
        program = (
            "import threading; from credit_wallet.runtime.deadlines import Crew;"
            "crew = Crew('crew', 1, 1); began = threading.Event();"
            "crew.submit(lambda: (began.set(), threading.Event().wait())); began.wait()"
        )
        assert subprocess.run([sys.executable, "-c", program], timeout=20, check=False).returncode == 0


class TestWatch:
    def test_it_acts_when_the_wait_lasts_too_long_and_once(self) -> None:
        acted: list[float] = []
        told = threading.Event()

        def act() -> None:
            acted.append(monotonic())
            told.set()

        watch = Watch(act)
        began = monotonic()
        watch.start(0.05)
        assert told.wait(SOON)
        assert acted[0] - began >= 0.05
        watch.look(monotonic() + 60)
        assert len(acted) == 1

    def test_it_leaves_a_wait_that_has_ended_alone(self) -> None:
        acted: list[int] = []
        watch = Watch(lambda: acted.append(1))
        watch.start(0.0)
        watch.stop()
        watch.look(monotonic() + 60)
        assert acted == []

    def test_what_it_raises_keeps_no_other_watch_from_acting(self) -> None:
        told = threading.Event()
        bad, good = Watch(lambda: 1 // 0), Watch(told.set)
        bad.start(0.0)
        good.start(0.0)
        assert told.wait(SOON)

    def test_one_that_is_thrown_away_is_forgotten(self) -> None:
        watch = Watch(lambda: None)
        known = ref(watch)
        del watch
        gc.collect()
        assert known() is None
