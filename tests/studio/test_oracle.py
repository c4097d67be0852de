"""The equalizer against a third, foreign implementation: torchaudio's filter in float64."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pytest

from backend.plugins.mixer.dsp.equalizer import Equalizer
from backend.plugins.mixer.dsp.parameters import BandSettings, EqualizerSettings

BUTTERWORTH: Final = math.sqrt(0.5)


@pytest.mark.parametrize("rate", [8000, 48000, 192000])
def test_the_equalizer_is_what_torchaudio_filters(engine: Any, rate: int) -> None:
    """Python's equalizer equals torchaudio.functional.lfilter, fed with the coefficients that the
    twin computes, to -200 dBFS: formulas, order and filter agree three times over."""
    import torch
    from torchaudio.functional import lfilter

    filters = [
        ("high_pass", 20.0, BUTTERWORTH, 0.0),
        ("low_shelf", 120.0, 0.9, 7.5),
        ("peak", 1234.5, 3.0, -11.0),
        ("high_shelf", 3500.0, 0.6, 5.0),
        ("low_pass", 90000.0, BUTTERWORTH, 0.0),
    ]
    low, mid, high = (BandSettings(gain, hertz, q) for _, hertz, q, gain in filters[1:4])
    settings = EqualizerSettings(20.0, low, mid, high, 90000.0)
    noise = 0.25 * np.random.default_rng(1).standard_normal((2, 20000))
    ours = Equalizer(settings, rate, 2).process(noise.copy(), 0)

    theirs = torch.from_numpy(noise)
    for shape, hertz, q, gain in filters:
        told = {"shape": shape, "hertz": hertz, "q": q, "gain_db": gain}
        row = {"a0": 1.0, **engine.ask("coefficients", rate=rate, **told)}
        names = [["a0", "a1", "a2"], ["b0", "b1", "b2"]]
        rows = torch.tensor([[row[name] for name in each] for each in names], dtype=torch.float64)
        theirs = lfilter(theirs, rows[0], rows[1], clamp=False)
    difference = np.abs(ours - theirs.numpy()).max()
    assert 20 * math.log10(difference + 1e-30) < -200
