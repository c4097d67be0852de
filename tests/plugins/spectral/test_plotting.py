"""Pictures for people: what is drawn lies where the axes say."""

from __future__ import annotations

import numpy as np
import pytest

from backend.media.audio import Audio
from backend.plugins import LOCAL
from backend.plugins.spectral import plotting
from backend.plugins.spectral.grid import Grid
from backend.plugins.spectral.operations import brush, plot
from backend.plugins.spectral.strokes import Rectangle


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_tone_lies_at_its_frequency(monkeypatch: pytest.MonkeyPatch, scale: str) -> None:
    """A tone that sounds in the second half is loudest in its row, and only there."""
    drawn: dict[str, np.ndarray] = {}
    whole = plotting._drawn

    def watched(levels, marked, times, edges, *more):
        drawn.update(levels=levels, times=times, edges=edges)
        return whole(levels, marked, times, edges, *more)

    monkeypatch.setattr(plotting, "_drawn", watched)
    n = np.arange(3 * 8000)
    tone = np.where(n > 12_000, 0.5 * np.sin(2 * np.pi * 1000 * n / 8000), 0.0)
    audio = Audio.from_samples(tone, 8000)
    grid = Grid(512, 64, audio.frames)
    made = plotting.plot(audio, grid, (0, grid.columns), scale, 80.0, "", LOCAL)  # type: ignore[arg-type]
    assert (made.width, made.height, made.channels) == (1000, 420, 3)
    row, column = np.unravel_index(drawn["levels"][0].argmax(), drawn["levels"][0].shape)
    assert drawn["edges"][row] - 16 <= 1000 <= drawn["edges"][row + 1] + 16
    assert 1.5 < drawn["times"][column] < 3.0
    assert drawn["levels"][0].max() == pytest.approx(-6.0, abs=0.1)
    before = drawn["times"][1:] < 1.4
    assert drawn["levels"][0][:, before].max() < -80


def test_short_clicks_are_seen_in_long_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where 30 columns share a pixel, the loudest of them is drawn."""
    drawn: list[np.ndarray] = []
    monkeypatch.setattr(plotting, "_drawn", lambda levels, *more: drawn.append(levels))
    samples = np.zeros(860 * 30 * 64)
    samples[800_000] = 1.0
    audio = Audio.from_samples(samples, 8000)
    grid = Grid(128, 64, audio.frames)
    plotting.plot(audio, grid, (0, grid.columns), "linear", 80.0, "", LOCAL)
    heard = np.flatnonzero(drawn[0][0].max(axis=0) > -60)
    # one click lies under two windows, which may lie on either side of a border
    assert 1 <= heard.size <= 2
    assert abs(heard[0] * 30 * 64 - 800_000) < 2 * 30 * 64


def test_many_channels_and_strokes(music: Audio) -> None:
    """At most eight channels are drawn; strokes leave an outline."""
    many = Audio.from_samples(np.repeat(music.samples[:1], 12, axis=0), 44100)
    assert plot(many, 512, 256).height == 120 + 8 * 180
    stroke = Rectangle(shape="rectangle", start_s=0.3, end_s=0.5, low_hz=1000, high_hz=3000)
    shown = brush(music, [stroke], 1024, 256).picture
    assert shown is not None
    green = np.array([0x5F, 0xD0, 0xA5]) / 255
    assert (np.abs(shown.pixels - green).max(axis=2) < 0.15).sum() > 50
