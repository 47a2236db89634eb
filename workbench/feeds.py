"""The ways to get a feed: from a provider, from the simulator, from a tape."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tqdm.auto import tqdm

from workbench.config import Settings, settings
from workbench.errors import ConfigError
from workbench.flow.feed import Feed
from workbench.flow.mending import MakeArchive
from workbench.history.archive import Archive, open_archive
from workbench.net.replay import Replayed
from workbench.net.rest import Rest
from workbench.sources.massive import MassiveSource
from workbench.sources.massive_rest import MassiveRest
from workbench.sources.source import Source
from workbench.store.store import Store, open_store
from workbench.symbols import SymbolTable
from workbench.tape import TapeWriter
from workbench.timeframes import Timeframe
from workbench.warmup import is_warm, warm

if TYPE_CHECKING:
    from workbench.sim.run import RunningSimulator

__all__ = ["connect", "replay"]

PROVIDERS = ("sim", "massive")
#: What makes the source of a market, and what opens the history.
Provider: TypeAlias = tuple[Callable[[str, SymbolTable], Source], MakeArchive]


def connect(
    provider: str = "sim",
    *,
    store: Store | str | Path | None = None,
    tape: str | Path | None = None,
    config: Settings | None = None,
    simulator: dict[str, Any] | RunningSimulator | None = None,
    history: int = 0,
    **given: Any,
) -> Feed:
    """Return a feed of a provider.

    Parameters
    ----------
    provider : str
        "sim" starts a simulator in this process and needs no key; "massive" is the real one.
    store : Store, str, Path or None
        Receives trades and bars; a path is opened for writing and closed with the feed.
    tape : str, Path or None
        New file that receives every frame.
    config : Settings or None
        None reads them from the environment.
    simulator : dict, RunningSimulator or None
        One that runs already and is not stopped with the feed, or options of a new one:
        `seed`, `rate`, `trades`, `head_start` ... (see
        :class:`~workbench.sim.run.SimulatorOptions`).
    history : int
        Closed bars to have in every series that is watched: where ours do not reach, the
        provider's are put in front. 0 begins with ours; see :attr:`Feed.history
        <workbench.flow.feed.Feed.history>`.
    **given
        Settings that win over the environment, such as `api_key` or `window_bars`.

    Returns
    -------
    Feed

    Raises
    ------
    ConfigError
        If there is no such provider, or no key for one that needs it.

    Examples
    --------
    >>> with connect("sim") as feed:
    ...     feed.subscribe("BTC-USD", ["1s", "1m"])
    ...     feed.wait("BTC-USD")
    ...     len(feed.bars("BTC-USD", "1m")) > 0
    True
    """
    config = config or settings(**given)
    opened = ExitStack()  # closed with the feed, or at once if a later step fails
    try:
        if provider == "sim":
            make_source, make_archive = _simulated(simulator or {}, opened)
        elif provider == "massive":
            make_source, make_archive = _massive(config)
        else:
            raise ConfigError(f"no provider {provider!r}; there is {' and '.join(PROVIDERS)}")
        if isinstance(store, str | Path):
            store = opened.enter_context(open_store(store, durability=config.durability))
        writer = None if tape is None else opened.enter_context(TapeWriter(tape))
        _warmed()
        feed = Feed(
            make_source,
            config=config,
            store=store,
            tape=writer,
            make_archive=make_archive,
            on_close=opened.close,
        )
        opened.callback(feed.close)
        feed.history.always(history)
        return feed
    except BaseException:
        opened.close()
        raise


def _warmed() -> None:
    """Have all kernels at hand before data comes; show progress where they must be compiled."""
    if is_warm():
        warm(everything=False)
        return
    with tqdm(desc="compiling kernels, once", total=1, unit="kernel", leave=False) as bar:

        def step(done: int, total: int, name: str) -> None:
            bar.total = total
            bar.set_postfix_str(name, refresh=False)
            bar.update(done - bar.n)

        warm(step, everything=False)


def _massive(config: Settings) -> Provider:
    if not config.api_key.get_secret_value():
        raise ConfigError(
            "Massive needs a key: set MASSIVE_API_KEY (or POLYGON_API_KEY, WORKBENCH_API_KEY), "
            'write it into .env, or begin with connect("sim"), which needs none',
            source="massive",
        )

    def make_source(market: str, table: SymbolTable) -> Source:
        return MassiveSource(market, base=config.ws_url, key=config.api_key, table=table)

    def make_archive(table: SymbolTable) -> Archive:
        return open_archive("massive", config=config, table=table)

    return make_source, make_archive


def _simulated(simulator: dict[str, Any] | RunningSimulator, opened: ExitStack) -> Provider:
    if isinstance(simulator, dict):
        # Loaded here rather than at import: notebooks with a real provider never need it.
        from workbench.sim.run import start_simulator

        # A new chart should not begin empty: the last quarter of an hour is sent first, quickly.
        past = {} if simulator.get("trades") else {"head_start": 900.0}
        running = opened.enter_context(start_simulator(**{"port": 0, **past, **simulator}))
    else:
        running = simulator

    def make_source(market: str, table: SymbolTable) -> Source:
        return MassiveSource(market, base=running.url, key="simulator", table=table, name="sim")

    def make_archive(table: SymbolTable) -> Archive:
        rest = Rest(running.rest_url, key="simulator")
        return Archive("sim", rest, MassiveRest(table))

    return make_source, make_archive


def replay(
    tape: str | Path,
    *,
    speed: float = math.inf,
    timeframes: str | Timeframe | Iterable[str | Timeframe] = ("1m",),
    store: Store | str | Path | None = None,
    wait: bool | None = None,
    on_progress: Callable[[Replayed], None] | None = None,
    config: Settings | None = None,
    **given: Any,
) -> Feed:
    """Run a tape through the pipeline and return the feed it drives.

    Parameters
    ----------
    tape : str or Path
        As written by ``connect(..., tape=...)`` or `workbench record`.
    speed : float
        Seconds of tape a second; ``math.inf`` does not wait.
    timeframes : str, Timeframe or iterable of them
        Bars to build for every symbol on the tape.
    store : Store, str, Path or None
        Receives trades and bars.
    wait : bool or None
        Whether to return only at the end; None waits if the speed is infinite.
    on_progress : callable or None
        Called in the feed's thread now and then.
    config : Settings or None
        None reads them from the environment.
    **given
        Settings, as for :func:`connect`.

    Raises
    ------
    TapeError
        If the tape cannot be read.
    """
    config = config or settings(**given)
    opened = open_store(store) if isinstance(store, str | Path) else store

    _warmed()

    def make_source(market: str, table: SymbolTable) -> Source:
        return MassiveSource(market, base=config.ws_url, table=table)

    def close() -> None:
        if opened is not None and opened is not store:
            opened.close()

    feed = Feed(make_source, config=config, store=opened, on_close=close)
    try:
        future = feed.play(tape, speed=speed, timeframes=timeframes, on_progress=on_progress)
        if wait or (wait is None and math.isinf(speed)):
            future.result()
    except BaseException:
        feed.close()
        raise
    return feed
