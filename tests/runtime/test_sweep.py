"""One timer for very many waits that all have the same limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from credit_wallet.runtime import sweep
from credit_wallet.runtime.sweep import Sweep, Within

SOON = 0.02
LONG = 60.0


def test_what_is_waited_for_too_long_is_told_in_its_order_and_the_rest_is_not() -> None:
    async def run() -> list[int]:
        told: list[int] = []
        waits = Sweep(asyncio.get_running_loop(), SOON, told.append)
        for number in range(6):
            waits.add(number)
        assert [waits.discard(number) for number in (1, 4, 4)] == [True, True, False]
        await until(lambda: len(told) == 4)
        assert not waits.discard(0)
        waits.add(6)  # the timer had ended with the last one
        await until(lambda: len(told) == 5)
        return told

    assert asyncio.run(run()) == [0, 2, 3, 5, 6]


def test_any_thread_may_add() -> None:
    async def run() -> set[int]:
        told: set[int] = set()
        waits = Sweep(asyncio.get_running_loop(), SOON, told.add)

        def add(first: int) -> None:
            for each in range(1_000):
                waits.add(first + each)

        threads = [threading.Thread(target=add, args=(first,)) for first in range(0, 4_000, 1_000)]
        for thread in threads:
            thread.start()
        for number in range(4_000, 5_000):
            waits.add(number)
        await until(lambda: len(told) == 5_000)
        for thread in threads:
            thread.join()
        return told

    assert asyncio.run(run()) == set(range(5_000))


def test_a_thousand_waits_have_one_timer() -> None:
    async def run() -> int:
        loop = asyncio.get_running_loop()
        timers = 0

        def call_later(*arguments: object) -> asyncio.TimerHandle:
            nonlocal timers
            timers += 1
            return original(*arguments)  # type: ignore[arg-type]

        original, loop.call_later = loop.call_later, call_later  # type: ignore[method-assign,assignment]
        for _ in range(1_000):
            with Within(LONG):
                pass
        await asyncio.gather(*(_rest(LONG) for _ in range(1_000)))
        return timers

    assert asyncio.run(run()) <= 1


async def _rest(seconds: float) -> None:
    with Within(seconds):
        await asyncio.sleep(0)


def test_a_block_that_takes_too_long_raises_and_the_task_goes_on() -> None:
    async def run() -> str:
        with pytest.raises(TimeoutError), Within(SOON):
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        return f"{task.cancelling()}"

    assert asyncio.run(run()) == "0"


def test_a_task_that_somebody_else_cancels_is_cancelled() -> None:
    async def run() -> None:
        task = asyncio.create_task(_wait(LONG))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_who_is_cancelled_and_late_at_once_is_cancelled() -> None:
    async def run() -> None:
        task = asyncio.create_task(_wait(SOON))
        task.add_done_callback(lambda _: None)
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(SOON, task.cancel)
        with pytest.raises((asyncio.CancelledError, TimeoutError)):
            await task
        assert task.cancelled() or isinstance(task.exception(), TimeoutError)

    asyncio.run(run())


async def _wait(seconds: float) -> None:
    with Within(seconds):
        await asyncio.Event().wait()


def test_what_the_block_raises_goes_through() -> None:
    async def run() -> None:
        with pytest.raises(ValueError, match="mine"), Within(LONG):
            raise ValueError("mine")

    asyncio.run(run())


def test_each_event_loop_has_its_own_timer() -> None:
    for _ in range(2):
        asyncio.run(_late())
    thread = threading.Thread(target=lambda: asyncio.run(_late()))
    thread.start()
    thread.join(LONG)
    assert not thread.is_alive()


async def _late() -> None:
    with pytest.raises(TimeoutError), Within(SOON):
        await asyncio.Event().wait()
    assert sweep._here.sweep is not None
    assert sweep._here.sweep.loop is asyncio.get_running_loop()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG):
        while not is_so():
            await asyncio.sleep(SOON / 4)
