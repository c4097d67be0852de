"""What is no number is noticed where it is read, and told at the parameter that brought it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from backend.errors import InvalidParameters, OperationFailed
from backend.media.audio import Audio, AudioWriter
from backend.media.automation import Automation
from backend.media.finite import Unfit, find
from backend.media.image import Image, Mask
from backend.operations import Model, operation

BAD = [np.nan, np.inf, -np.inf]


class Layer(Model):
    """A parameter with media inside."""

    picture: Image


class Two(NamedTuple):
    """Two outputs of one kind."""

    first: Audio
    second: Audio


@operation("test.sum")
def total(layers: list[Layer], mask: Mask | None = None, audio: Audio | None = None) -> float:
    """Read everything."""
    added = sum(float(layer.picture.pixels.sum()) for layer in layers)
    added += float(mask.values.sum()) if mask is not None else 0.0
    return added + (float(audio.samples.sum()) if audio is not None else 0.0)


@operation("test.louder")
def louder(audio: Audio) -> Audio:
    """Make a sound a thousand times louder."""
    with np.errstate(over="ignore"):
        blocks = (block * np.float32(1000) for block in audio.blocks())
        return Audio.from_blocks(blocks, audio.sample_rate, audio.channels)


def rules(error: InvalidParameters | OperationFailed) -> list[tuple[str, str]]:
    return [(each.pointer, each.rule) for each in error.errors]


@pytest.mark.parametrize("bad", BAD)
def test_a_python_call_points_at_the_parameter(bad: float) -> None:
    """However deep the value lies in the arguments; a mask and a sound like a picture."""
    good, wrong = (Image.from_array(np.full((2, 2), value)) for value in (0.5, bad))
    with pytest.raises(InvalidParameters) as caught:
        total([Layer(picture=good), Layer(picture=wrong)])
    assert rules(caught.value) == [("/layers/1/picture", "finite")]
    with pytest.raises(InvalidParameters) as caught:
        total([], mask=Mask.from_array([[0.0, bad]]))
    assert rules(caught.value) == [("/mask", "finite")]
    with pytest.raises(InvalidParameters) as caught:
        total([], None, Audio.from_samples([0.0, bad], 8000))
    assert rules(caught.value) == [("/audio", "finite")]


def test_what_is_made_points_at_the_output() -> None:
    """The one output of its kind is named, also by the operation that was called last."""
    huge = Audio.from_samples([3e38], 8000)
    with pytest.raises(OperationFailed) as caught:
        louder(huge)
    assert rules(caught.value) == [("/audio", "finite")]
    assert caught.value.as_problem()["errors"][0]["rule"] == "finite"


@pytest.mark.parametrize("bad", BAD)
def test_a_file_is_tested_as_it_is_read(tmp_path: Path, bad: float) -> None:
    """A float WAV file of somebody else may hold NaN; only the block that does is refused."""
    path = tmp_path / "made.wav"
    Audio.from_samples(np.zeros(1000), 8000).save(path)
    path.write_bytes(path.read_bytes()[:-4] + np.float32(bad).tobytes())
    blocks = Audio.open(path).blocks(500)
    assert next(blocks).shape == (1, 500)
    with pytest.raises(Unfit, match=r"between 0\.1 s and 0\.1 s"):
        next(blocks)


def test_nothing_that_is_no_number_is_kept() -> None:
    """Neither a writer's blocks in memory nor a curve."""
    with AudioWriter(8000, 1) as writer, pytest.raises(Unfit):
        writer.write(np.full((1, 4), np.nan, np.float32))
    with pytest.raises(Unfit):
        Automation.from_values([0.0, 1e300], 24)


def test_a_value_is_found_by_itself_and_not_by_what_it_equals() -> None:
    """Two equal sounds are two; a key with a slash is escaped (RFC 6901)."""
    one, other = (Audio.from_samples([0.0], 8000) for _ in range(2))
    assert find(other, {"a/b": [one, other]}) == "/a~1b/1"
    assert find(one, Two(other, one)) == "/second"
    assert find(one, {"sounds": [other]}) is None
    assert find(None, {"sound": None}) is None
