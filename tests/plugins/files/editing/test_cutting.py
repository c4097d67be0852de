"""Trim, pad, reverse: the same samples elsewhere, and rules for what cannot be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from backend.context import Context
from backend.errors import AssetTooLarge, InvalidParameters
from backend.media.audio import Audio
from backend.plugins.files.editing.operations import pad, reverse, trim

Make = Callable[..., Audio]


@pytest.mark.parametrize(
    ("start_s", "end_s", "first", "last"),
    [(0.0, None, 0, 200_000), (1.0, 2.0, 48_000, 96_000), (0.5, None, 24_000, 200_000),
     (1.00001, 1.00003, 48_000, 48_001)],
)  # fmt: skip
def test_a_part_is_cut_out_to_the_sample(
    noise: Make, start_s: float, end_s: float | None, first: int, last: int
):
    """Times are taken to the nearest sample, and the samples stay what they are."""
    sound = noise(200_000)
    assert np.array_equal(trim(sound, start_s, end_s).samples, sound.samples[:, first:last])


def test_parts_of_files_are_read_as_those_in_memory(noise: Make, in_files: None):
    """A sound in a file gives the same part, the same reverse and the same whole."""
    sound = noise(200_000)
    filed = trim(sound)
    assert filed.path is not None
    assert np.array_equal(trim(filed, 1.0, 3.0).samples, sound.samples[:, 48_000:144_000])
    assert np.array_equal(reverse(filed).samples, sound.samples[:, ::-1])


@pytest.mark.parametrize(
    ("start_s", "end_s", "pointer", "rule"),
    [
        (2.1, None, "/start_s", "beyond_end"),
        (0.0, 2.1, "/end_s", "beyond_end"),
        (1.0, 1.0, "/end_s", "empty_part"),
        (1.5, 0.5, "/end_s", "empty_part"),
        (2.0, None, "/start_s", "empty_part"),
    ],
)
def test_a_part_that_is_not_there_is_refused(
    noise: Make, start_s: float, end_s: float | None, pointer: str, rule: str
):
    """Beyond the end, empty, backwards: field and rule are named."""
    with pytest.raises(InvalidParameters) as caught:
        trim(noise(96_000), start_s, end_s)
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [(pointer, rule)]


def test_silence_around_a_sound_is_exact(noise: Make):
    """So many zeros before and after, and the sound between them untouched."""
    sound = noise(70_000)
    padded = pad(sound, 1.5, 0.25).samples
    assert padded.shape == (2, 72_000 + 70_000 + 12_000)
    assert not padded[:, :72_000].any()
    assert not padded[:, 142_000:].any()
    assert np.array_equal(padded[:, 72_000:142_000], sound.samples)


def test_backwards_twice_is_forwards(noise: Make):
    """The last sample comes first, over any number of blocks, and back again."""
    sound = noise(200_001, 3)
    backwards = reverse(sound)
    assert np.array_equal(backwards.samples, sound.samples[:, ::-1])
    assert np.array_equal(reverse(backwards).samples, sound.samples)


def test_no_sound_becomes_longer_than_four_hours(hours: Callable[[float], Audio]):
    """Padding beyond the limit is 413 and names it, before anything is written."""
    done: list[float] = []
    ctx = Context(on_progress=lambda frames, total, node: done.append(frames))
    with pytest.raises(AssetTooLarge, match="audio_seconds") as caught:
        pad(hours(3.5), 1800.0, 0.5, ctx=ctx)
    assert caught.value.http_status == 413
    assert done == []


@pytest.mark.parametrize("edit", [trim, pad, reverse])
def test_nothing_cannot_be_cut(edit: Callable[[Audio], Audio]):
    """A sound without samples breaks a rule."""
    with pytest.raises(InvalidParameters, match="no samples") as caught:
        edit(Audio.from_samples(np.zeros((2, 0)), 48_000))
    assert caught.value.errors[0].rule == "empty"


def test_one_sample_and_64_channels_are_sounds():
    """The shortest and the widest sound are cut like others."""
    one = Audio.from_samples([[0.5]] * 64, 384_000)
    assert reverse(trim(one)).samples.tolist() == [[0.5]] * 64
    assert pad(one, 0.0, 1 / 384_000).frames == 2
