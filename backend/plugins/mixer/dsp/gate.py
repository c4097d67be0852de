"""Gate: what is quieter than the threshold is taken away.

Knows: hysteresis, hold, and gain that slews in dB.
Does not know: levels and ramps (``riding``).

docs/dsp.md, section 2.3.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from .parameters import (
    Curve,
    GateSettings,
    Parameter,
    Values,
    first_value,
    value_at,
    values_at,
    whole,
)
from .riding import CONTROL, DB, Rider, control_samples, control_steps
from .sections import Meter

_LONG_AGO: Final = -(1 << 60)


class Gate(Rider):
    """Opens for what is loud enough."""

    def __init__(self, settings: GateSettings, rate: int, channels: int) -> None:
        super().__init__(GateLaw(settings, rate), settings.lookahead_ms, rate, channels)


class GateLaw:
    """From levels to gains: open or closed, and on the way between."""

    def __init__(self, settings: GateSettings, rate: int) -> None:
        self._settings = settings
        self._rate = rate
        self._open = False
        self._last_open = _LONG_AGO
        self._let_go = _LONG_AGO + 1
        self._steady_hold = whole(first_value(settings.hold_ms) * rate / (1000 * CONTROL))
        self._slew: _SteadySlew | _MovingSlew = (
            _MovingSlew(settings.attack_ms, settings.release_ms, rate)
            if isinstance(settings.attack_ms, Curve) or isinstance(settings.release_ms, Curve)
            else _SteadySlew(settings.attack_ms, settings.release_ms, rate)
        )
        self.rest_gain = 10.0 ** (-first_value(settings.range_db) / 20.0)

    def gains(self, levels_db: Values, first: int, meter: Meter) -> Values:
        """Linear gains [k] for levels [k]."""
        at = control_samples(first, levels_db.size)
        way = self._slew.process(self._held(levels_db, at, first), at)
        reduction = value_at(self._settings.range_db, at) * (1.0 - way)
        meter.add(reduction)
        gains: Values = np.exp(-DB * reduction)
        return gains

    def _held(self, levels_db: Values, at: Values, first: int) -> npt.NDArray[np.bool_]:
        """Whether the gate is to be open, by hysteresis and hold, at each control value."""
        if not levels_db.size:
            return np.zeros(0, np.bool_)
        k = np.arange(first, first + levels_db.size)
        last = np.where(self._opened(levels_db, at), k, self._last_open)
        np.maximum.accumulate(last, out=last)
        self._last_open = int(last[-1])
        held: npt.NDArray[np.bool_]
        if not isinstance(self._settings.hold_ms, Curve):
            held = k - last <= self._steady_hold
            return held
        over = k - last > control_steps(self._settings.hold_ms, at, self._rate)
        let_go = np.where(over, k, self._let_go)
        np.maximum.accumulate(let_go, out=let_go)
        self._let_go = int(let_go[-1])
        held = last > let_go
        return held

    def _opened(self, levels_db: Values, at: Values) -> npt.NDArray[np.bool_]:
        """Whether the gate is open by hysteresis alone."""
        threshold = value_at(self._settings.threshold_db, at)
        opened: npt.NDArray[np.bool_] = levels_db >= threshold
        closed = levels_db < threshold - value_at(self._settings.hysteresis_db, at)
        between = ~(opened | closed)
        if between.any():
            decided = np.where(between, -1, np.arange(between.size))
            np.maximum.accumulate(decided, out=decided)
            opened = np.where(decided >= 0, opened[decided], self._open)
        self._open = bool(opened[-1])
        return opened


def _step(time_ms: Values, rate: int) -> Values:
    """Part of the whole way that is gone in one control step."""
    return CONTROL / np.maximum(time_ms * 1e-3 * rate, CONTROL)


class _SteadySlew:
    """u [k] with constant times: straight lines between the moments of opening and closing."""

    def __init__(self, attack_ms: float, release_ms: float, rate: int) -> None:
        self._up = float(_step(np.array(attack_ms), rate))
        self._down = float(_step(np.array(release_ms), rate))
        self._held = False
        self._from = 0.0  # u before the present line
        self._gone = 0  # steps on it

    def process(self, held: npt.NDArray[np.bool_], at: Values) -> Values:
        """u [k], 0 (closed) to 1 (open)."""
        way = np.empty(held.size)
        turns = np.flatnonzero(held != np.concatenate(([self._held], held[:-1])))
        edges = [0, *turns.tolist(), held.size]
        for begin, end in pairwise(edges):
            if begin == end:
                continue
            if bool(held[begin]) != self._held:
                self._from = self._value(self._gone)
                self._held, self._gone = bool(held[begin]), 0
            way[begin:end] = self._line(end - begin)
            self._gone += end - begin
        return way

    def _value(self, gone: int) -> float:
        step = self._up if self._held else -self._down
        return min(1.0, max(0.0, self._from + step * gone))

    def _line(self, count: int) -> Values:
        step = self._up if self._held else -self._down
        steps = np.arange(self._gone + 1, self._gone + count + 1)
        return np.clip(self._from + step * steps, 0.0, 1.0)


class _MovingSlew:
    """u [k] with automated times: step by step."""

    def __init__(self, attack_ms: Parameter, release_ms: Parameter, rate: int) -> None:
        self._attack_ms = attack_ms
        self._release_ms = release_ms
        self._rate = rate
        self._way = 0.0

    def process(self, held: npt.NDArray[np.bool_], at: Values) -> Values:
        """u [k], 0 (closed) to 1 (open), with the times read at the samples *at* [k]."""
        up = _step(values_at(self._attack_ms, at), self._rate)
        down = _step(values_at(self._release_ms, at), self._rate)
        steps = np.where(held, up, -down)
        way = np.empty(steps.size)
        for k, step in enumerate(steps.tolist()):
            self._way = min(1.0, max(0.0, self._way + step))
            way[k] = self._way
        return way
