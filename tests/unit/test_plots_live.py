"""The flusher brings charts up to date at a rate, and one broken chart disturbs no other."""

from __future__ import annotations

import asyncio
import logging

import pytest

from workbench.plots.live import Flusher, flusher


class Screen:
    """A chart that counts its flushes."""

    def __init__(self, broken: bool = False) -> None:
        self.alive = True
        self.behind = True
        self.broken = broken
        self.flushed = 0

    def flush(self) -> None:
        self.flushed += 1
        if self.broken:
            raise ValueError("no page")


class Watch:
    """A clock that runs as far as it is told, in steps of the flusher's looks."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> int:
        return int(self.time * 1e9)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


async def until(watch: Watch, end: float) -> None:
    while watch.time < end:
        await asyncio.sleep(0)


def test_a_chart_gets_at_most_its_rate() -> None:
    async def go() -> int:
        watch, screen = Watch(), Screen()
        one = Flusher(rate=10, clock=watch)
        one.add(screen)
        await until(watch, 5.0)
        one.stop()
        return screen.flushed

    assert 45 <= asyncio.run(go()) <= 52


def test_a_chart_that_is_up_to_date_is_left_alone() -> None:
    async def go() -> tuple[int, int]:
        watch, screen = Watch(), Screen()
        screen.behind = False
        one = Flusher(clock=watch)
        one.add(screen)
        await until(watch, 1.0)
        quiet = screen.flushed
        screen.behind = True
        await until(watch, watch.time + 0.06)
        one.stop()
        return quiet, screen.flushed

    assert asyncio.run(go()) == (0, 1)


def test_a_broken_chart_is_told_of_once_and_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> tuple[Flusher, Screen, Screen]:
        watch, good, bad = Watch(), Screen(), Screen(broken=True)
        one = Flusher(clock=watch)
        one.add(bad)
        one.add(good)
        await until(watch, 5.0)
        left = len(one)
        one.stop()
        assert left == 1
        return one, good, bad

    with caplog.at_level(logging.WARNING, logger="workbench.plots"):
        one, good, bad = asyncio.run(go())
    assert bad.flushed == one.errors == 20
    assert good.flushed >= 45
    # Other loggers may tell at any moment of what tests before have left behind.
    told = [r.message for r in caplog.records if r.name.startswith("workbench.plots")]
    assert [message.split(":")[0] for message in told] == [
        "a chart could not be brought up to date",
        "a chart failed 20 times in a row and is given up",
    ]


def test_a_chart_that_is_gone_is_let_go_and_the_task_ends() -> None:
    async def go() -> tuple[int, int]:
        watch, screen = Watch(), Screen()
        one = Flusher(clock=watch)
        one.add(screen)
        await until(watch, 0.2)
        screen.alive = False
        flushed = screen.flushed

        for _ in range(20):
            await asyncio.sleep(0)
            if one._task is not None and one._task.done():
                break
        assert one._task is not None
        assert one._task.done()
        one.remove(screen)  # no error
        other = Screen()
        one.add(other)  # and it begins again
        await until(watch, watch.time + 0.1)
        one.stop()
        return screen.flushed - flushed, min(other.flushed, 1)

    assert asyncio.run(asyncio.wait_for(go(), 400)) == (0, 1)


def test_each_loop_has_one_flusher() -> None:
    async def go() -> Flusher:
        assert flusher() is flusher()
        return flusher()

    assert asyncio.run(go()) is not asyncio.run(go())
    with pytest.raises(RuntimeError):
        flusher()
