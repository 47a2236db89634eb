"""The market on one page; `panel serve apps/monitor.py` serves it by itself."""

from __future__ import annotations

import panel as pn

from workbench.api.shared import shared_feed
from workbench.plots.monitor import Monitor

pn.extension()

feed = shared_feed()
Monitor(feed, warmups=feed.warmups).servable()
