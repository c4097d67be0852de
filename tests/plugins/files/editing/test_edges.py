"""Every edit at its edges: the shortest, the widest, the slowest and the fastest sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.plugins.files.editing import operations as editing

CLICK = Audio.from_samples(np.linspace(1.0, 0.0, 100), 48_000)
EDITS: dict[str, Callable[[Audio], Audio]] = {
    "trim": editing.trim,
    "pad": lambda sound: editing.pad(sound, 0.001, 0.001),
    "reverse": editing.reverse,
    "concat": lambda sound: editing.concat([sound, sound]),
    "fade": editing.fade,
    "gain": lambda sound: editing.gain(sound, -3.0),
    "time_stretch": lambda sound: editing.time_stretch(sound, 0.5),
    "pitch_shift": lambda sound: editing.pitch_shift(sound, 5.0),
    "reverb": lambda sound: editing.reverb(sound, room_size=0.0),
    "convolve": lambda sound: editing.convolve(sound, CLICK),
}


def test_no_edit_is_left_out() -> None:
    """What is declared is tried here."""
    assert set(EDITS) == {op.name.removeprefix("audio.") for op in editing.OPERATIONS}


@pytest.mark.parametrize("rate", [8_000, 384_000])
@pytest.mark.parametrize("name", EDITS)
def test_one_sample_at_any_rate_is_edited(name: str, rate: int) -> None:
    """One sample gives a finite sound of the same rate and channels, never silence of no length."""
    made = EDITS[name](Audio.from_samples([[0.5], [-0.25]], rate))
    assert (made.sample_rate, made.channels) == (rate, 2)
    assert made.frames >= 1
    assert np.isfinite(made.samples).all()


@pytest.mark.parametrize("name", EDITS)
def test_64_channels_are_edited(name: str) -> None:
    """Each channel comes back in its place: the only one that sounds is the only one that does."""
    samples = np.zeros((64, 300))
    samples[41, 100:200] = 0.5
    made = EDITS[name](Audio.from_samples(samples, 8_000)).samples
    energy = (made.astype(float) ** 2).sum(axis=1)
    assert energy[41] > 0
    assert np.delete(energy, 41).max() < 1e-9 * energy[41]


@pytest.mark.parametrize("name", EDITS)
def test_nothing_and_what_is_no_number_are_refused(name: str) -> None:
    """Without samples: the rule `empty`; NaN or infinite: the run ends with a sentence."""
    with pytest.raises(InvalidParameters, match="no samples") as caught:
        EDITS[name](Audio.from_samples(np.zeros((2, 0)), 48_000))
    assert caught.value.errors[0].rule == "empty"
    bad: Any = [0.1, np.nan, np.inf]
    with pytest.raises(InvalidParameters, match="NaN or infinite"):
        EDITS[name](Audio.from_samples(bad, 48_000))
