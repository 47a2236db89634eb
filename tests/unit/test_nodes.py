"""The two streamz nodes of our own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from streamz import Stream

from workbench.flow.nodes import conflate, guard


def test_an_error_stays_in_its_branch(caplog: pytest.LogCaptureFixture) -> None:
    source = Stream()
    good: list[int] = []
    errors: list[tuple[str, str]] = []

    def bad(x: int) -> None:
        raise ZeroDivisionError(x)

    first = guard(source, "first", lambda branch, error: errors.append((branch, str(error))))
    second = guard(source, "second")
    sinks = [first.sink(bad), second.sink(good.append)]
    with caplog.at_level(logging.WARNING):
        for n in range(3):
            source.emit(n)
    assert good == [0, 1, 2]
    assert errors == [("first", "0"), ("first", "1"), ("first", "2")]
    assert (first.errors, second.errors) == (3, 0)
    assert len(caplog.records) == 1, "logged once"
    for sink in sinks:
        sink.destroy()


def test_without_a_guard_the_error_would_reach_the_source() -> None:
    source = Stream()
    sink = source.sink(lambda x: 1 / x)
    with pytest.raises(ZeroDivisionError):
        source.emit(0)
    sink.destroy()


def run(play: Callable[[Stream, list[Any]], Any]) -> list[Any]:
    """Let a coroutine play on a conflated stream in a loop."""
    seen: list[Any] = []

    async def main() -> None:
        source = Stream(asynchronous=True)
        node = source.conflate(0.02)
        sink = node.sink(seen.append)
        await play(source, seen)
        sink.destroy()
        node.destroy()

    asyncio.run(main())
    return seen


async def until(predicate: Callable[[], bool], tries: int = 200) -> None:
    for _ in range(tries):
        if predicate():
            return
        await asyncio.sleep(0.01)
    pytest.fail("waited in vain")


def test_the_first_value_passes_and_the_newest_always_arrives() -> None:
    async def play(source: Stream, seen: list[Any]) -> None:
        for n in range(100):
            source.emit(n)
        assert seen == [0]
        await until(lambda: len(seen) == 2)
        for n in range(100, 150):
            source.emit(n)
        await until(lambda: seen[-1] == 149)

    assert run(play) in ([0, 99, 149], [0, 99, 100, 149])


def test_what_was_passed_over_is_counted() -> None:
    async def play(source: Stream, seen: list[Any]) -> None:
        (node,) = source.downstreams
        for n in range(10):
            source.emit(n)
        await until(lambda: len(seen) == 2)
        assert node.dropped == 8

    assert run(play) == [0, 9]


def test_nothing_rings_after_the_node_is_gone() -> None:
    async def play(source: Stream, seen: list[Any]) -> None:
        (node,) = source.downstreams
        source.emit(1)
        source.emit(2)
        node.destroy()
        await asyncio.sleep(0.04)

    assert run(play) == [1]


def test_errors_behind_conflate_are_counted_by_the_guard_in_front() -> None:
    errors: list[str] = []

    async def main() -> None:
        source = Stream(asynchronous=True)
        front = guard(source, "user", lambda branch, error: errors.append(f"{branch} {error}"))
        node = front.map(lambda x: x).conflate(0.01)
        sink = node.sink(_fail)
        source.emit("a")
        source.emit("b")
        await until(lambda: len(errors) == 2)
        source.emit("c")
        await until(lambda: len(errors) == 3)
        assert front.errors == 3
        sink.destroy()
        node.destroy()

    asyncio.run(main())
    assert errors == ["user a", "user b", "user c"]


def _fail(x: str) -> None:
    raise ValueError(x)


def test_conflate_is_of_streamz() -> None:
    assert Stream.conflate is not None
    assert issubclass(conflate, Stream)
