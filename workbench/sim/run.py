"""The simulator in a thread of its own, or in the foreground."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from workbench.clock import Clock, SystemClock
from workbench.errors import ConfigError
from workbench.records import Rows
from workbench.sim.faultplan import FaultPlan
from workbench.sim.faults import Faults
from workbench.sim.hours import Hours
from workbench.sim.limits import Limits
from workbench.sim.market import Market
from workbench.sim.protocol import Entitlement
from workbench.sim.recording import RecordedMarket
from workbench.sim.server import Simulator
from workbench.sim.synthetic import SyntheticMarket
from workbench.symbols import CRYPTO, STOCKS

__all__ = [
    "RunningSimulator",
    "SimulatorOptions",
    "make_market",
    "run_simulator",
    "simulator",
    "start_simulator",
]

#: Seconds to begin, which a long recording takes a while to be read in, and to end.
_PATIENCE = 180.0


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """All that can be chosen about a simulator; each is a flag of `workbench sim`.

    Attributes
    ----------
    host : str
    port : int
        0 takes a free one.
    trades : tuple of Path
        Recordings to play; empty invents a market.
    speed : float or "max"
        Recorded seconds per second.
    rebase, loop, reveal : bool
        Shift recorded times to now; start again after the end; show the whole recording as
        history from the start.
    wait_for : int or None
        Subscribers to wait for before the clock starts; None is 1 for a recording, else 0.
    symbols : tuple of str
        Of the invented market.
    seed : int
    rate : float
        Mean trades per second and symbol of the invented market.
    session : "always" or "calendar"
        Whether invented stocks trade round the clock or in New York's hours.
    late : float
        Share of invented trades that are told late.
    head_start : float
        Seconds of the invented past that the first readers are sent first, at full speed.
    limits : Limits
        Timeouts, buffers and pace.
    """

    host: str = "127.0.0.1"
    port: int = 8200
    trades: tuple[Path, ...] = ()
    speed: float | Literal["max"] = 1.0
    rebase: bool = False
    loop: bool = False
    reveal: bool = False
    wait_for: int | None = None
    symbols: tuple[str, ...] = (*CRYPTO, *STOCKS)
    seed: int = 7
    rate: float = 3.0
    session: Literal["always", "calendar"] = "always"
    late: float = 0.001
    head_start: float = 0.0
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> SimulatorOptions:
        """Return options from keyword arguments; those of Limits are understood too.

        Raises
        ------
        ConfigError
            If there is no option of that name.

        Examples
        --------
        >>> SimulatorOptions.of({"seed": 3, "auth_timeout": 1.0}).limits.auth_timeout
        1.0
        """
        own = {item.name for item in fields(cls)}
        inner = {item.name for item in fields(Limits)} - own
        unknown = sorted(set(given) - own - inner)
        if unknown:
            raise ConfigError(
                f"the simulator has no option {unknown[0]!r}; "
                f"it has {', '.join(sorted(own | inner))}"
            )
        values = {name: value for name, value in given.items() if name in own}
        tuned = {name: value for name, value in given.items() if name in inner}
        if tuned:
            values["limits"] = Limits(**tuned)
        for name in ("trades", "symbols"):
            if isinstance(values.get(name), str | Path):
                values[name] = (values[name],)
        return cls(**values)


def make_market(options: SimulatorOptions, now: int) -> Market:
    """Return the market that options ask for.

    Parameters
    ----------
    options : SimulatorOptions
    now : int
        Wall time, ns.

    Raises
    ------
    TapeError
        If a recording cannot be read.
    ConfigError
        If a number is out of range.
    """
    if options.trades:
        return RecordedMarket(
            options.trades,
            speed=options.speed,
            rebase=options.rebase,
            loop=options.loop,
            reveal=options.reveal,
        )
    return SyntheticMarket(
        options.symbols,
        now=now,
        seed=options.seed,
        rate=options.rate,
        hours=Hours(options.session),
        late=options.late,
        head_start=options.head_start,
    )


def _make(
    options: SimulatorOptions,
    market: Market | None,
    keys: Mapping[str, Entitlement] | None,
    clock: Clock | None,
    faults: Faults | Iterable[str] | None,
) -> Simulator:
    clock = clock or SystemClock()
    if isinstance(faults, Iterable):
        faults = FaultPlan(faults, clock=clock)
    made = market or make_market(options, clock.now())
    waits = options.wait_for
    if waits is None:
        begins = isinstance(made, RecordedMarket) or made.hurried
        waits = max(options.limits.wait_for, 1 if begins else 0)
    return Simulator(
        made,
        host=options.host,
        port=options.port,
        keys=keys,
        limits=replace(options.limits, wait_for=waits),
        hours=Hours(options.session),
        clock=clock,
        faults=faults,
    )


class RunningSimulator:
    """A simulator that runs in a thread of its own until it is closed.

    Attributes
    ----------
    url, rest_url : str
        Websocket address without the cluster, and REST address.

    Examples
    --------
    >>> with start_simulator(port=0) as running:
    ...     running.url.startswith("ws://127.0.0.1:"), running.connections()
    (True, 0)
    """

    def __init__(self, make: Callable[[], Simulator]) -> None:
        self._make = make
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: Future[Simulator] = Future()
        self._thread = threading.Thread(target=self._run, name="workbench-simulator", daemon=True)
        self._thread.start()
        self._simulator = self._ready.result(_PATIENCE)
        self.url = self._simulator.url
        self.rest_url = self._simulator.rest_url

    def __repr__(self) -> str:
        return f"RunningSimulator({self.url})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        made = self._make()
        await made.start()
        self._ready.set_result(made)
        await self._stop.wait()
        await made.close()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of its market, in our spelling."""
        return self._simulator.market.symbols

    def sent(self) -> dict[str, int]:
        """Return how many events went out on each topic."""
        return self._simulator.sent()

    def trades(
        self,
        symbol: str,
        start: int | None = None,
        end: int | None = None,
        *,
        known: int | None = None,
    ) -> Rows:
        """Return a symbol's trades as known at a time, None for now, by event time."""
        return self._simulator.trades(symbol, start, end, known=known)

    def connections(self) -> int:
        """Return how many websocket connections are open."""
        return self._simulator.connections()

    @property
    def position(self) -> int:
        """How far the market was sent, ns on its clock."""
        return self._simulator.position

    @property
    def finished(self) -> bool:
        """Whether a recording was handed out to its end."""
        return self._simulator.finished

    @property
    def faults(self) -> FaultPlan:
        """What can be switched on to go wrong, from any thread."""
        return self._simulator.faults

    def drop(self) -> None:
        """Cut all websocket connections without a word, as a failing network does."""
        self._call(self._simulator.drop)

    def close(self) -> None:
        """Stop, and wait until everything is closed; may be called again."""
        assert self._stop is not None
        if self._thread.is_alive():
            self._call(self._stop.set)
            self._thread.join(_PATIENCE)

    def _call(self, function: Callable[[], None]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop has just ended
            return


def start_simulator(
    market: Market | None = None,
    *,
    keys: Mapping[str, Entitlement] | None = None,
    clock: Clock | None = None,
    faults: Faults | Iterable[str] | None = None,
    **options: Any,
) -> RunningSimulator:
    """Start a simulator in a thread of its own and return when it listens.

    Parameters
    ----------
    market : Market or None
        None makes one from the options.
    keys : mapping of str to Entitlement, or None
        What each key may use; None accepts any key and none.
    clock : Clock or None
        None is the machine's.
    faults : Faults, iterable of str or None
        Faults that are on from the start, such as ``["drop:code=1006,every=30"]``; None lets
        everything pass until some are switched on.
    **options
        Fields of :class:`SimulatorOptions` and :class:`~workbench.sim.limits.Limits`.

    Raises
    ------
    PortTakenError
        If another program listens on the port.
    ConfigError, TapeError
        If the options are wrong, or a recording cannot be read.
    """
    chosen = SimulatorOptions.of(options)
    return RunningSimulator(lambda: _make(chosen, market, keys, clock, faults))


@contextmanager
def simulator(market: Market | None = None, **options: Any) -> Iterator[RunningSimulator]:
    """Run a simulator on a free port for the length of a `with` block.

    Parameters
    ----------
    market : Market or None
        None makes one from the options.
    **options
        As for :func:`start_simulator`; the port is a free one unless it is given.
    """
    running = start_simulator(market, **{"port": 0, **options})
    try:
        yield running
    finally:
        running.close()


def run_simulator(
    options: SimulatorOptions | None = None,
    *,
    keys: Mapping[str, Entitlement] | None = None,
    faults: Faults | Iterable[str] | None = None,
    on_ready: Callable[[Simulator], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run a simulator in the foreground until interrupted.

    Parameters
    ----------
    options : SimulatorOptions or None
    keys : mapping of str to Entitlement, or None
    faults : Faults, iterable of str or None
        As for :func:`start_simulator`.
    on_ready : callable or None
        Called with the simulator once it listens.
    stop : threading.Event or None
        Ends the run when set; None waits for Ctrl+C.

    Raises
    ------
    PortTakenError, ConfigError, TapeError
        As :func:`start_simulator`.
    """

    async def main() -> None:
        made = _make(options or SimulatorOptions(), None, keys, None, faults)
        await made.start()
        try:
            if on_ready is not None:
                on_ready(made)
            while stop is None or not stop.is_set():
                await asyncio.sleep(0.05)
        finally:
            await made.close()

    asyncio.run(main())
