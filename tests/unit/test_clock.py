"""Clocks: the machine's and the one that moves when told."""

from __future__ import annotations

import asyncio

from workbench.clock import Clock, ManualClock, SystemClock


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(5)
    assert (clock.now(), clock.monotonic()) == (5, 0.0)
    clock.advance(-3)
    assert clock.now() == 5
    clock.advance(0.25)
    assert (clock.now(), clock.monotonic()) == (250_000_005, 0.25)


def test_sleeping_on_a_manual_clock_moves_it_and_lets_others_run() -> None:
    clock, seen = ManualClock(), []

    async def other() -> None:
        seen.append(clock.now())

    async def main() -> None:
        task = asyncio.ensure_future(other())
        await clock.sleep(2)
        await task

    asyncio.run(main())
    assert seen == [2 * 10**9]


def test_the_machines_clock() -> None:
    clock: Clock = SystemClock()
    assert clock.now() > 1_700_000_000 * 10**9
    before = clock.monotonic()
    asyncio.run(clock.sleep(0.0))
    assert clock.monotonic() >= before
