"""Gain and fades: exact decibels, moving ones, and curves that add up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints
from backend.plugins.files.editing.operations import fade, gain

Make = Callable[..., Audio]
CURVES = ("linear", "constant_power", "smooth", "exponential")


def ones(frames: int) -> Audio:
    return Audio.from_samples(np.ones((1, frames)), 48_000)


def test_decibels_are_a_factor_and_nothing_is_clipped(noise: Make):
    """+20 dB is ten times, 0 dB changes no bit, -120 dB is silence."""
    sound = noise(70_000)
    assert gain(sound, 20.0).samples == pytest.approx(sound.samples * 10, rel=1e-6)
    assert np.array_equal(gain(sound, 0.0).samples, sound.samples)
    assert not gain(sound, -120.0).samples.any()


def test_a_moving_gain_is_straight_in_decibels():
    """From 0 to -40 dB in a second: -20 dB at its middle, held before and after."""
    curve = Breakpoints(points=[(0.5, 0.0), (1.5, -40.0)])
    level = 20 * np.log10(gain(ones(96_000), curve).samples[0])
    assert level[[0, 23_999]] == pytest.approx(0.0, abs=1e-4)
    assert level[48_000] == pytest.approx(-20.0, abs=1e-4)
    assert level[[72_000, 95_999]] == pytest.approx(-40.0, abs=1e-4)


def test_an_automation_moves_a_gain_in_time():
    """The value of a frame is met in its middle, over blocks and without a step."""
    curve = Automation.from_values([0.0, -12.0, 0.0, -12.0], 2)
    level = 20 * np.log10(gain(ones(96_000), curve).samples[0])
    assert level[[12_000, 36_000, 60_000, 84_000]] == pytest.approx([0, -12, 0, -12], abs=1e-3)
    assert np.abs(np.diff(level)).max() < 0.001


@pytest.mark.parametrize("curve", CURVES)
def test_a_fade_rises_from_nothing_to_everything(curve: str):
    """It begins near zero, never falls, ends near one, and leaves the middle untouched."""
    made = fade(ones(200_000), 1.0, 1.0, curve).samples[0]  # type: ignore[arg-type]
    assert made[0] < 0.001
    assert made[47_999] == pytest.approx(1.0, abs=1e-3)
    assert (np.diff(made[:48_000]) >= 0).all()
    assert (made[48_000:152_000] == 1).all()
    assert made[152_000:] == pytest.approx(made[47_999::-1], abs=1e-6)


def test_curves_are_what_their_names_say():
    """At half of the fade: 0.5, sin(45°), 0.5, and about -30 dB."""
    half = {
        curve: fade(ones(48_000), 1.0, 0.0, curve).samples[0, 24_000]  # type: ignore[arg-type]
        for curve in CURVES
    }
    assert half == pytest.approx(
        {
            "linear": 0.5,
            "constant_power": np.sqrt(0.5),
            "smooth": 0.5,
            "exponential": (10**-1.5 - 10**-3) / (1 - 10**-3),
        },
        abs=1e-4,
    )


def test_a_fade_may_be_as_long_as_the_sound_and_no_longer(noise: Make):
    """Both ends may meet; what is longer breaks a rule of its field."""
    assert fade(noise(48_000), 1.0, 1.0).frames == 48_000
    with pytest.raises(InvalidParameters, match="longer than the sound") as caught:
        fade(noise(48_000), 0.0, 1.1)
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [
        ("/fade_out_s", "longer_than_sound")
    ]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_a_number_is_said(bad: float):
    """NaN and infinity end the run with a sentence."""
    with pytest.raises(InvalidParameters, match="NaN or infinite"):
        gain(Audio.from_samples([0.5, bad], 48_000), 1.0)
