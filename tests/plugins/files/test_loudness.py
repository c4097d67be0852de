"""files.measure_loudness: its numbers, its picture, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.plugins.files import operations
from backend.plugins.files.loudness import MeasuredLoudness
from backend.testing import assert_every_door, running

RATE = 48_000


def tone(level_db: float = -20.0, seconds: float = 4.0, channels: int = 2) -> Audio:
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * 1000 * np.arange(seconds * RATE) / RATE)
    return Audio.from_samples(np.tile(wave, (channels, 1)), RATE)


def test_all_levels_are_told():
    """A stereo sine at -20 dBFS is -20 LUFS; its picture comes along."""
    found = operations.measure_loudness(tone())
    for value in found[:3]:
        assert value == pytest.approx(-20.0, abs=0.05)
    assert found.range_lu == pytest.approx(0.0, abs=0.01)
    assert found.true_peak_db == pytest.approx(-20.0, abs=0.01)
    assert found.peak_db == pytest.approx(-20.0, abs=0.01)
    assert found.rms_db == pytest.approx(-23.01, abs=0.01)
    assert found.loudness_picture is not None


def test_the_picture_can_be_left_out():
    """It takes longer to draw than a short sound to measure."""
    assert operations.measure_loudness(tone(seconds=0.5), picture=False).loudness_picture is None


def test_the_outputs_have_names_in_this_order():
    """The names are contract for every door; the picture is the only medium."""
    outputs = operations.measure_loudness.outputs
    assert [output.name for output in outputs] == list(MeasuredLoudness._fields)
    assert [output.kind for output in outputs] == [*["value"] * 7, "image"]


@pytest.mark.parametrize(
    ("audio", "rule", "sentence"),
    [
        (Audio.from_samples(np.zeros((64, 100)), RATE), "loudness", "1 to 8 channels, not 64"),
        (Audio.from_samples(np.zeros((1, 100)), 500), "loudness", "from 1000 Hz on"),
        (Audio.from_samples(np.zeros((2, 0)), RATE), "empty", "no samples"),
    ],
    ids=["64 channels", "500 Hz", "empty"],
)
def test_what_has_no_loudness_is_refused(audio: Audio, rule: str, sentence: str):
    """The problem points at the sound and says the rule."""
    with pytest.raises(InvalidParameters, match=sentence) as caught:
        operations.measure_loudness(audio)
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [("/audio", rule)]


def test_nan_is_refused():
    """What is no number has no level."""
    with pytest.raises(InvalidParameters, match="NaN or infinite"):
        operations.measure_loudness(Audio.from_samples([0.0, np.nan], RATE))


def test_every_door_gives_the_same(tmp_path: Path):
    """Python, HTTP, OpenAPI, the command line and MCP agree on numbers and pixels."""
    with running(tmp_path) as service:
        passed = assert_every_door(service, operations.measure_loudness, audio=tone(seconds=1.0))
    assert passed == ("python", "http", "openapi", "cli", "mcp")
