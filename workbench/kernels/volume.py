"""Volume on the side of rises or falls: kernels `fn(p, s, bars, out)` (see `averages`)."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.blocks import sum_tails

__all__ = [
    "AD", "ADOSC", "CMF", "EOM", "FORCE", "OBV", "ad", "adosc", "cmf", "eom", "force", "obv",
]  # fmt: skip

#: Means that fade toward zero become zero below this, before arithmetic on them gets slow.
FADED = 1e-200

#: Rows between two looks for that in a kernel that does not look at each row.
STEP = 1024

_ONE = np.uint64(1)

OBV = [("count", "i8"), ("last", "f8"), ("total", "f8"), ("lost", "f8")]
AD = [("total", "f8")]
#: `fast` and `slow` are how far means are behind the sum after an even number of rows, `last` the
#: flow of an odd one after that.
ADOSC = [("count", "i8"), ("last", "f8"), ("fast", "f8"), ("slow", "f8")]
CMF = [("count", "i8"), ("at", "i8"), ("flow_head", "f8"), ("volume_head", "f8"),
       ("flow", "f8"), ("volume", "f8")]  # fmt: skip
FORCE = [("count", "i8"), ("last", "f8"), ("mean", "f8")]
EOM = [("count", "i8"), ("at", "i8"), ("last", "f8"), ("head", "f8"), ("ring", "f8")]


@nb.njit(cache=True, nogil=True)
def _flow(high, low, close, volume):
    """Return volume times the place of the close in the bar, -1 at the low to 1 at the high."""
    span = high - low
    if span > 0.0:
        return ((close - low) - (high - close)) / span * volume
    return 0.0


@nb.njit(cache=True, nogil=True)
def obv(p, s, bars, out):
    """Sum of volumes, added if the close rose and taken away if it fell.

    What the sum loses by rounding is kept beside it (Knuth 1969).
    """
    count = s[0]["count"]
    last = s[0]["last"]
    total = s[0]["total"]
    lost = s[0]["lost"]
    close = bars.close
    volume = bars.volume
    n = len(close)
    i = 0
    if n > 0 and count == 0:
        total = volume[0] if p["start"] == 0 else 0.0
        last = close[0]
        out[0, 0] = total
        i = 1
    while i < n:
        x = close[i]
        # Numbers rather than branches: whether a price rises can not be predicted.
        step = (np.float64(x > last) - np.float64(x < last)) * volume[i]
        last = x
        now = total + step
        taken = now - total
        lost += (total - (now - taken)) + (step - taken)
        total = now
        out[i, 0] = total + lost
        i += 1
    s[0]["count"] = count + n
    s[0]["last"] = last
    s[0]["total"] = total
    s[0]["lost"] = lost


@nb.njit(cache=True, nogil=True)
def ad(p, s, bars, out):
    """Sum of volumes times the place of the close in the bar; a bar without a range adds 0."""
    total = s[0]["total"]
    high = bars.high
    low = bars.low
    close = bars.close
    volume = bars.volume
    for i in range(len(close)):
        span = high[i] - low[i]
        if span > 0.0:
            total += ((close[i] - low[i]) - (high[i] - close[i])) / span * volume[i]
        out[i, 0] = total
    s[0]["total"] = total


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _flow_in(high, low, close, volume, k):
    """Return `_flow` of a row, whose close and volume are read only if it has a range."""
    span = high[k] - low[k]
    if span > 0.0:
        return ((close[k] - low[k]) - (high[k] - close[k])) / span * volume[k]
    return 0.0


@nb.njit(cache=True, nogil=True, inline="always")
def _awake(x):
    return 0.0 if abs(x) < FADED else x


@nb.njit(cache=True, nogil=True)
def _gap(s, flow, row, fast_rest, slow_rest):
    """Take the flow of a row, counted from the first of all; return its value."""
    fast, slow, last = s[0]["fast"], s[0]["slow"], s[0]["last"]
    if row % 2 == 0:
        s[0]["last"] = flow
        return (slow_rest * slow + slow_rest * flow) - (fast_rest * fast + fast_rest * flow)
    fast = fast_rest * fast_rest * fast + fast_rest * (fast_rest * last + flow)
    slow = slow_rest * slow_rest * slow + slow_rest * (slow_rest * last + flow)
    whole = (row + 1) % STEP == 0
    s[0]["fast"] = _awake(fast) if whole else fast
    s[0]["slow"] = _awake(slow) if whole else slow
    return slow - fast


@nb.njit(cache=True, nogil=True)
def _gaps(s, bars, line, i, stop, row, fast_rest, slow_rest):
    """Take rows from `i` to `stop` two by two, the first of which is `row` of all, an even one."""
    high, low, close, volume = bars.high, bars.low, bars.close, bars.volume
    fast, slow = s[0]["fast"], s[0]["slow"]
    fast_two = fast_rest * fast_rest
    slow_two = slow_rest * slow_rest
    while i < stop:
        rows = min(stop - i, STEP - row % STEP)
        for j in range(i, i + rows, 2):
            k = np.uint64(j)
            first = _flow_in(high, low, close, volume, k)
            fast_one = fast_rest * first
            slow_one = slow_rest * first
            line[k] = (slow_rest * slow + slow_one) - (fast_rest * fast + fast_one)
            k += _ONE
            second = _flow_in(high, low, close, volume, k)
            # From two rows ago: the products do not have to wait for the row before.
            fast = fast_two * fast + fast_rest * (fast_one + second)
            slow = slow_two * slow + slow_rest * (slow_one + second)
            line[k] = slow - fast
        i += rows
        row += rows
        if row % STEP == 0:
            fast, slow = _awake(fast), _awake(slow)
    s[0]["fast"], s[0]["slow"] = fast, slow


@nb.njit(cache=True, nogil=True)
def adosc(p, s, bars, out):
    """Fast less slow exponential mean of accumulation and distribution, both from its first.

    What is kept is how far each mean is behind the sum, which needs no sum: a flow adds to it,
    then it shrinks. So nothing is lost to the size of a sum that grows for ever.
    """
    count = s[0]["count"]
    fast_rest = 1.0 - 2.0 / (p["fast"] + 1.0)
    slow_rest = 1.0 - 2.0 / (p["slow"] + 1.0)
    line = out.reshape(len(out))
    n = len(line)
    i = 0
    while i < n:
        row = count + i
        if row == 0 or row % 2 == 1 or i + 1 == n:
            flow = 0.0  # means begin at the first sum, and so are not behind it
            if row > 0:
                flow = _flow(bars.high[i], bars.low[i], bars.close[i], bars.volume[i])
            line[i] = _gap(s, flow, row, fast_rest, slow_rest)
            i += 1
        else:
            stop = n - (n - i) % 2
            _gaps(s, bars, line, i, stop, row, fast_rest, slow_rest)
            i = stop
    line[: min(n, max(0, p["slow"] - 1 - count))] = np.nan
    s[0]["count"] = count + n


@nb.njit(cache=True, nogil=True)
def cmf(p, s, bars, out):
    """Sum of flows against the sum of volumes of the last `length` bars; 0 without volume."""
    length = p["length"]
    count = s[0]["count"]
    at = s[0]["at"]
    flow_head = s[0]["flow_head"]
    volume_head = s[0]["volume_head"]
    for i in range(len(bars.close)):
        volume = bars.volume[i]
        flow = _flow(bars.high[i], bars.low[i], bars.close[i], volume)
        flow_head += flow
        volume_head += volume
        flows = flow_head + s[at + 1]["flow"]
        volumes = volume_head + s[at + 1]["volume"]
        s[at]["flow"] = flow
        s[at]["volume"] = volume
        count += 1
        if count < length:
            out[i, 0] = np.nan
        else:
            out[i, 0] = flows / volumes if volumes > 0.0 else 0.0
        at += 1
        if at == length:
            sum_tails(s["flow"], length)
            sum_tails(s["volume"], length)
            at = 0
            flow_head = 0.0
            volume_head = 0.0
    s[0]["count"] = count
    s[0]["at"] = at
    s[0]["flow_head"] = flow_head
    s[0]["volume_head"] = volume_head


@nb.njit(cache=True, nogil=True)
def force(p, s, bars, out):
    """Exponential mean of changes times volumes, seeded by the mean of the first `length`."""
    length = p["length"]
    count = s[0]["count"]
    last = s[0]["last"]
    mean = s[0]["mean"]
    weight = 2.0 / (length + 1.0)
    rest = 1.0 - weight
    close = bars.close
    volume = bars.volume
    n = len(close)
    i = 0
    while i < n and count <= length:
        if count > 0:
            mean += (close[i] - last) * volume[i]
        last = close[i]
        if count == length:
            mean /= length
            out[i, 0] = mean
        else:
            out[i, 0] = np.nan
        count += 1
        i += 1
    while i < n:
        x = close[i]
        mean = mean * rest + (x - last) * volume[i] * weight
        if abs(mean) < FADED:
            mean = 0.0
        last = x
        out[i, 0] = mean
        count += 1
        i += 1
    s[0]["count"] = count
    s[0]["last"] = last
    s[0]["mean"] = mean


@nb.njit(cache=True, nogil=True)
def eom(p, s, bars, out):
    """Mean move of the middle of a bar times its range over its volume; 0 without volume."""
    length = p["length"]
    divisor = p["divisor"]
    count = s[0]["count"]
    at = s[0]["at"]
    last = s[0]["last"]
    head = s[0]["head"]
    for i in range(len(bars.high)):
        high = bars.high[i]
        low = bars.low[i]
        volume = bars.volume[i]
        middle = (high + low) * 0.5
        value = np.nan
        if count > 0:
            x = (middle - last) * (high - low) * divisor / volume if volume > 0.0 else 0.0
            head += x
            if count >= length:
                value = (head + s[at + 1]["ring"]) / length
            s[at]["ring"] = x
            at += 1
            if at == length:
                sum_tails(s["ring"], length)
                at = 0
                head = 0.0
        out[i, 0] = value
        last = middle
        count += 1
    s[0]["count"] = count
    s[0]["at"] = at
    s[0]["last"] = last
    s[0]["head"] = head
