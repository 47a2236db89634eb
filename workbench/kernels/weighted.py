"""Means weighted by volume: kernels `fn(p, s, bars, out)` (see `averages` for the form)."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["VWAP", "vwap"]

VWAP = [("session", "i8"), ("notional", "f8"), ("volume", "f8")]


@nb.njit(cache=True, nogil=True)
def vwap(p, s, bars, out):
    """Volume-weighted mean price since the session began."""
    session = s[0]["session"]
    notional = s[0]["notional"]
    volume = s[0]["volume"]
    for i in range(len(bars.session)):
        # Session numbers start at 1: a fresh state belongs to none.
        if bars.session[i] != session:
            session = bars.session[i]
            notional = 0.0
            volume = 0.0
        notional += bars.notional[i]
        volume += bars.volume[i]
        out[i, 0] = notional / volume if volume > 0.0 else np.nan
    s[0]["session"] = session
    s[0]["notional"] = notional
    s[0]["volume"] = volume
