"""Windows that slide along a row of values, in few passes over all of it.

Knows: the maximum and the sum of every window, the recursion of a peak that decays.
Does not know: what the values are.

A window of any width is put together from windows of widths 1, 2, 4, … so that log2(width) passes
are enough, and each result is made of the same operations however the row is cut.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

SPAN: Final = 4096
"""Values after which the log domain of `DecayingPeak` is given a new origin."""
FAINT: Final = 1e-30
"""Below this a decaying value is let go: it could not be told from 0, but it would cost time."""


def sliding_maximum(values: Values, width: int) -> Values:
    """The largest of each *width* neighbours: [n - width + 1]."""
    have = 1
    while have < width:
        step = min(have, width - have)
        values = np.maximum(values[step:], values[:-step])
        have += step
    return values


def maximum_between(values: Values, first: Places, last: Places) -> Values:
    """The largest of ``values[first[k]]`` to ``values[last[k]]``, both included: [k]."""
    widths = last - first + 1
    result = np.empty(widths.size)
    tops, width = values, 1  # tops[i]: the largest of *width* values from i on
    while True:
        # two windows of this width, which may overlap, cover each of these
        here = (widths >= width) & (widths < 2 * width)
        result[here] = np.maximum(tops[first[here]], tops[last[here] - width + 1])
        if 2 * width > widths.max(initial=0):
            return result
        tops = np.maximum(tops[width:], tops[:-width])
        width *= 2


def sliding_sum(values: Values, width: int) -> Values:
    """The sum of each *width* neighbours: [n - width + 1]."""
    count = values.size - width + 1
    total = np.zeros(count)
    size, at = 1, 0
    while True:
        if width & size:
            total += values[at : at + count]
            at += size
        if 2 * size > width:
            return total
        values = values[size:] + values[:-size]
        size *= 2


class DecayingPeak:
    """y[k] = max(x[k], e^-decay y[k-1]) for x of 0 or more, from y[-1] = 0.

    With f[k] the sum of all decays up to k and m[k] = log y[k] + f[k], the recursion is a running
    maximum: m[k] is the larger of log x[k] + f[k] and m[k-1]. f starts anew every `SPAN` values of
    the stream, whatever the pieces of the caller are, so that pieces cannot change the result.
    """

    def __init__(self, decay: float = 0.0) -> None:
        """*decay* holds where none comes with the values."""
        self._falls = decay * np.arange(SPAN + 1, dtype=np.float64)
        self._fallen = 0.0  # f of the value before, where decays come with the values
        self._at = 0
        self._top = -np.inf

    def process(self, values: Values, decays: Values | None = None) -> Values:
        """The next y [k] for the next x [k], and for their decays [k] if those move."""
        if self._top == -np.inf and not values.any():
            self._at = (self._at + values.size) % SPAN
            return np.zeros(values.size)
        result = np.empty(values.size)
        done = 0
        while done < values.size:
            end = min(values.size, done + SPAN - self._at)
            if decays is None:
                falls, origin = self._falls[self._at : self._at + end - done], self._falls[SPAN]
            else:
                falls = self._sums(decays[done:end])
                origin = falls[-1]
            result[done:end] = self._piece(values[done:end], falls, origin)
            done = end
        result[result < FAINT] = 0.0
        return result

    def _sums(self, decays: Values) -> Values:
        """f [k] of the next values, from their decays."""
        sums = decays.copy()
        sums[0] += self._fallen
        np.cumsum(sums, out=sums)
        self._fallen = float(sums[-1])
        return sums

    def _piece(self, values: Values, falls: Values, origin: np.float64) -> Values:
        """y [k] of one span, or of a part of it; *origin* is where f starts anew in the next."""
        with np.errstate(divide="ignore"):  # log 0 is the -inf that is wanted
            tops = np.log(values)
        tops += falls
        tops[0] = max(tops[0], self._top)
        np.maximum.accumulate(tops, out=tops)
        self._at += values.size
        self._top = float(tops[-1])
        if self._at == SPAN:
            self._at = 0
            self._fallen = 0.0
            self._top -= float(origin)
            if self._top < np.log(FAINT):
                self._top = -np.inf
        tops -= falls
        return np.exp(tops, out=tops)
