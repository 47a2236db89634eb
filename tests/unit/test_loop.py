"""The feed's thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from workbench.errors import FeedClosedError
from workbench.flow.loop import LoopThread


def test_calls_run_in_the_thread_and_bring_back_what_they_raise() -> None:
    loop = LoopThread("a-name")
    try:
        assert loop.call(lambda: threading.current_thread().name) == "a-name"
        assert loop.call(lambda: loop.call(lambda: loop.inside())), "a call within a call"
        assert not loop.inside()
        with pytest.raises(ZeroDivisionError):
            loop.call(lambda: 1 / 0)
        assert loop.call(lambda: 5) == 5
    finally:
        loop.close()


def test_it_works_inside_a_running_loop() -> None:
    async def cell() -> int:
        loop = LoopThread("cell")
        try:
            return loop.call(lambda: 42)
        finally:
            loop.close()

    assert asyncio.run(cell()) == 42


def test_closing_ends_what_is_running() -> None:
    loop = LoopThread("closing")
    ended = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.set()

    future = loop.submit(forever())
    loop.call(lambda: None)
    loop.close()
    loop.close()
    assert ended.is_set()
    assert future.cancelled()
    assert not loop.running
    with pytest.raises(FeedClosedError):
        loop.call(lambda: None)
    assert not any(thread.name == "closing" for thread in threading.enumerate())


def test_who_comes_while_it_closes_is_told_so_at_once(poll_for: Callable[..., None]) -> None:
    loop = LoopThread("closing")
    busy, go = threading.Event(), threading.Event()
    told: list[str] = []

    def work() -> None:
        busy.set()
        go.wait(60)

    def wait_in_line() -> None:
        try:
            loop.call(lambda: told.append("ran"))
        except FeedClosedError:
            told.append("closed")

    threads = [threading.Thread(target=loop.call, args=(work, 60))]
    threads[0].start()
    assert busy.wait(60)
    threads += [threading.Thread(target=target) for target in (wait_in_line, loop.close)]
    for thread in threads[1:]:
        thread.start()
    poll_for(lambda: not loop.running, 60)
    try:
        with pytest.raises(FeedClosedError):
            loop.call(lambda: told.append("too late"))
    finally:
        go.set()
    for thread in threads:
        thread.join(60)
    assert told in (["ran"], ["closed"])
