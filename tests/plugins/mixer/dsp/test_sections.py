"""What holds for every section: cuts do not matter, silence stays, latency is on the grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.plugins.mixer.dsp.compressor import Compressor
from backend.plugins.mixer.dsp.delay import Delay
from backend.plugins.mixer.dsp.drive import Drive
from backend.plugins.mixer.dsp.equalizer import Equalizer
from backend.plugins.mixer.dsp.gate import Gate
from backend.plugins.mixer.dsp.limiter import Limiter
from backend.plugins.mixer.dsp.parameters import (
    GRID,
    BandSettings,
    CompressorSettings,
    Curve,
    DelaySettings,
    EqualizerSettings,
    GateSettings,
    LimiterSettings,
)
from backend.plugins.mixer.dsp.sections import Meter, Section
from backend.plugins.mixer.dsp.stereo import Balance, Gain, Placement, Width

RATE = 48000
FRAMES = 9000


def curve(first: float, second: float) -> Curve:
    """Up and down again, with points between samples."""
    return Curve(np.array([700.0, 4000.25, 7000.5]), np.array([first, second, first]))


SECTIONS: dict[str, Callable[[], Section]] = {
    "gate": lambda: Gate(GateSettings(-20.0, hold_ms=3.0, release_ms=10.0), RATE, 2),
    "gate, moving": lambda: Gate(
        GateSettings(
            curve(-20, -9), 3.0, curve(20, 60), curve(0, 9), curve(2, 30), 9.0, curve(6, 0)
        ),
        RATE,
        2,
    ),
    "compressor": lambda: Compressor(
        CompressorSettings(-20.0, hold_ms=4.0, lookahead_ms=2.0, range_db=9.0), RATE, 2
    ),
    "compressor, moving": lambda: Compressor(
        CompressorSettings(
            curve(-30, -9),
            curve(1, 9),
            curve(0, 9),
            curve(0, 20),
            curve(5, 90),
            curve(0, 9),
            hold_ms=curve(0, 40),
            lookahead_ms=curve(0, 9),
        ),
        RATE,
        2,
    ),
    "equalizer": lambda: Equalizer(
        EqualizerSettings(
            30.0, BandSettings(6, 250), BandSettings(-6, 1000), BandSettings(3, 4000), 9e3
        ),
        RATE,
        2,
    ),
    "equalizer, moving": lambda: Equalizer(
        EqualizerSettings(curve(20, 400), mid=BandSettings(curve(-12, 12), curve(300, 900))),
        RATE,
        2,
    ),
    "delay": lambda: Delay(DelaySettings(0.01, None, 0.6, 0.3), RATE, 2),
    "delay, counted": lambda: Delay(DelaySettings(0.011, 3, 0.6, 0.3), RATE, 2),
    "delay, moving": lambda: Delay(DelaySettings(0.01, 5, curve(0, 0.9), curve(0, 1)), RATE, 2),
    "delay, moving time": lambda: Delay(DelaySettings(curve(0.002, 0.03), None, 0.6, 0.3), RATE, 2),
    "delay, counted, moving time": lambda: Delay(
        DelaySettings(curve(0.03, 0.001), 3, curve(0, 0.9), 0.3), RATE, 2
    ),
    "gain": lambda: Gain(3.0),
    "gain, moving": lambda: Gain(curve(-125, 6)),
    "placement": lambda: Placement(2, -0.4, 2.0),
    "placement, moving": lambda: Placement(2, curve(-1, 1), curve(-9, 9)),
    "width": lambda: Width(1.7),
    "width, moving": lambda: Width(curve(0, 2)),
    "balance": lambda: Balance(-0.3),
    "balance, moving": lambda: Balance(curve(-1, 1)),
    "drive": lambda: Drive(0.7, 2),
    "drive, moving": lambda: Drive(curve(0, 1), 2),
    "limiter": lambda: Limiter(LimiterSettings(-9.0, release_ms=20.0), RATE, 2),
    "limiter, moving": lambda: Limiter(
        LimiterSettings(curve(-3, -12), curve(3, 9), curve(1, 90)), RATE, 2
    ),
}
every_section = pytest.mark.parametrize("make", SECTIONS.values(), ids=SECTIONS.keys())


def _programme() -> np.ndarray:
    swell = np.abs(np.sin(np.arange(FRAMES) / 700)) ** 3
    programme: np.ndarray = np.random.default_rng(5).standard_normal((2, FRAMES)) * swell
    return programme


@pytest.mark.parametrize("name", SECTIONS)
@settings(deadline=None, max_examples=5)
@given(cuts=st.lists(st.integers(0, FRAMES), max_size=30))
def test_cuts_do_not_change_the_result(name: str, cuts: list[int], render) -> None:
    """Cut anywhere, even into nothing, a stream comes out the same but for the last bits of
    float64 (-220 dBFS, which 32-bit float does not hold)."""
    make = SECTIONS[name]
    whole, pieces = render(make(), _programme()), render(make(), _programme(), cuts)
    np.testing.assert_allclose(pieces, whole, rtol=0, atol=1e-11)


@every_section
def test_silence_stays_silence(make, render) -> None:
    """Zeros in, zeros out, exactly."""
    assert not render(make(), np.zeros((2, FRAMES)), [100, 5000]).any()


@pytest.mark.parametrize("name", [name for name in SECTIONS if "moving" not in name])
def test_zeros_in_front_change_nothing(name: str, render) -> None:
    """A section behind a latency of one grid step gives the same, one grid step later."""
    late = np.concatenate((np.zeros((2, GRID)), _programme()), axis=1)
    make = SECTIONS[name]
    np.testing.assert_allclose(
        render(make(), late)[:, GRID:], render(make(), _programme()), rtol=0, atol=1e-12
    )


@every_section
def test_latency_is_on_the_grid_and_tails_are_not_negative(make) -> None:
    """Every latency is a whole number of grid steps, so that grids agree behind it."""
    section = make()
    assert section.latency % GRID == 0
    assert section.tail_frames >= 0


@every_section
def test_levels_above_full_scale_stay_inside(make, render) -> None:
    """20 dB over full scale comes out as numbers, and nothing but drive and limiter bounds it."""
    out = render(make(), 10 * _programme())
    assert np.isfinite(out).all()


def test_a_meter_knows_maximum_and_mean() -> None:
    """Values come in pieces; an untouched meter reads 0."""
    meter = Meter()
    assert (meter.max_db, meter.mean_db) == (0.0, 0.0)
    meter.add(np.array([1.0, 5.0]))
    meter.add(np.array([]))
    meter.add(np.array([0.0]))
    assert (meter.max_db, meter.mean_db) == (5.0, 2.0)
