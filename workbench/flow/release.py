"""Running what a feed refused again under other rules, and taking what passes."""

from __future__ import annotations

from workbench.flow.feed import Feed
from workbench.quality.rerun import Rerun, rerun
from workbench.quality.rules import Rules

__all__ = ["release"]


def release(feed: Feed, rules: Rules, *, dry: bool = False) -> Rerun:
    """Judge the quarantine of a feed by other rules, and let the feed take what passes.

    Rows go on as if they had just been accepted: bars of their time are revised, and they are
    stored. Each is released once.

    Parameters
    ----------
    feed : Feed
    rules : Rules
        Such as ``Rules.everywhere(max_price_deviation=0.2)``.
    dry : bool
        Only tell what would pass.

    Returns
    -------
    Rerun
        Its ``table()`` tells of each row whether it passes, and why not.

    Examples
    --------
    >>> from workbench.sources.massive import MassiveSource
    >>> with Feed(lambda market, table: MassiveSource(market, table=table)) as feed:
    ...     print(len(release(feed, Rules()).table()))
    0
    """

    def take() -> Rerun:
        pipeline = feed._core.pipeline
        again = rerun(feed.quarantine, rules)
        if not dry:
            for batch in pipeline.gate.release(again):
                pipeline.pass_on(batch)
        return again

    return feed._call(take)  # type: ignore[no-any-return]
