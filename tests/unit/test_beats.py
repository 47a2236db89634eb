"""Beats of the feed's clock, and those that are left out."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from workbench.clock import ManualClock
from workbench.flow.beats import beats


class Late(ManualClock):
    """A clock whose sleeps take longer than they should by so many seconds each."""

    def __init__(self, lates: list[float]) -> None:
        super().__init__()
        self.lates = lates
        self.sleeps = 0

    async def sleep(self, seconds: float) -> None:
        late = self.lates[self.sleeps]
        self.sleeps += 1
        await super().sleep(seconds + late)


@pytest.mark.parametrize(
    ("lates", "beaten"),
    [
        ([0.0, 0.0, 0.3, 0.0], [1, 2, 3, 4]),  # late is not yet still
        ([0.0, 3.0, 0.0, 0.0], [1, 3, 4]),
        ([3600.0, 1.0, 0.0], [3]),
        ([1.0, 1.0, 1.0, 1.0, 1.0], [3, 4, 5]),  # always late: it goes on all the same
        ([1.0, 0.0, 1.0, 0.0], [2, 4]),
    ],
)
def test_beats_after_standing_still_are_left_out(lates: list[float], beaten: list[int]) -> None:
    clock, seen = Late(lates), list[int]()

    async def run() -> None:
        async with aclosing(beats(clock, 0.05)) as all_beats:
            async for _ in all_beats:
                seen.append(clock.sleeps)
                if clock.sleeps == len(lates):
                    return

    asyncio.run(run())
    assert seen == beaten
