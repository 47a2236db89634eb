"""When the feed does what the clock makes due."""

from __future__ import annotations

from collections.abc import AsyncIterator

from workbench.clock import Clock

__all__ = ["beats"]

#: A beat that comes so many seconds late tells that we stood still, as a machine does that was
#: suspended or starved.
STOOD_STILL = 0.5
#: As many late beats in a row are left out; a machine that is always late must go on too.
LEFT_OUT = 2


async def beats(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """Yield every so many seconds, but not right after we stood still.

    Messages that came meanwhile wait in the socket. They are to be read first: a clock that
    closes bars before would close them without their last trades, to revise them at once.

    Parameters
    ----------
    clock : Clock
    seconds : float
    """
    late = 0
    before = clock.monotonic()
    while True:
        await clock.sleep(seconds)
        now = clock.monotonic()
        late = late + 1 if now - before - seconds >= STOOD_STILL else 0
        before = now
        if not 0 < late <= LEFT_OUT:
            yield
