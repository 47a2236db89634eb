"""The feed's thread."""

from __future__ import annotations

import asyncio
import threading

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
