"""Sources at the bus rate, in pieces of exact length."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.media.audio import Audio
from backend.media.resampling import length_at
from backend.plugins.mixer.feeds import Block, Feed, feed_at

TONE_HZ = 997.0


def tone(rate: int, seconds: float, level: float = 0.5) -> Block:
    time = np.arange(round(rate * seconds)) / rate
    return (level * np.sin(2 * np.pi * TONE_HZ * time)).astype(np.float32)[None, :]


@pytest.mark.parametrize("rate", [22050, 44100, 96000])
def test_a_tone_keeps_its_pitch_level_phase_and_length(rate: int) -> None:
    """At 48 kHz the tone is the one that was meant, 120 dB above everything else."""
    out = feed_at(Audio.from_samples(tone(rate, 1.0), rate), 48000).take(96000)[0]
    assert out.size == 48000
    error = (out - tone(48000, 1.0)[0])[4800:-4800]
    assert 20 * math.log10(float(np.max(np.abs(error))) / 0.5) < -120


@pytest.mark.parametrize(("rate", "new_rate"), [(44100, 48000), (48000, 44100), (48000, 8000)])
@pytest.mark.parametrize("frames", [0, 1, 5, 6, 9001])
def test_the_length_at_another_rate_is_known_before(frames: int, rate: int, new_rate: int) -> None:
    """As many frames come out as `length_at` says, so a mix can be measured before it is made."""
    source = Audio.from_samples(np.ones((2, frames), np.float32), rate)
    wanted = length_at(frames, rate, new_rate)
    assert feed_at(source, new_rate).take(10**6).shape == (2, wanted)


@pytest.mark.parametrize("piece", [1000, 65536])
def test_the_samples_do_not_depend_on_the_pieces(piece: int) -> None:
    """Taken in pieces of any size, a converted source is the same to the bit."""
    samples = np.random.default_rng(1).standard_normal((2, 150001)).astype(np.float32)
    source = Audio.from_samples(samples, 44100)
    whole = feed_at(source, 48000).take(10**6)
    feed, parts = feed_at(source, 48000), []
    while (part := feed.take(piece)).shape[1]:
        parts.append(part)
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))


@given(st.lists(st.integers(0, 40), max_size=8), st.lists(st.integers(1, 50), max_size=8))
def test_a_feed_gives_every_frame_once_in_order(blocks: list[int], takes: list[int]) -> None:
    """Whatever the sizes of blocks and of pieces, the pieces joined are the source."""
    total = sum(blocks)
    source = np.arange(total, dtype=np.float32)[None, :]
    edges = itertools.accumulate([0, *blocks])
    feed = Feed([source[:, a:b] for a, b in itertools.pairwise(edges)], channels=1)
    pieces = [feed.take(frames) for frames in takes]
    rest = feed.take(total + 1)
    assert feed.take(1).shape == (1, 0)
    np.testing.assert_array_equal(np.concatenate([*pieces, rest], axis=1), source)
    given_out = 0
    for frames, piece in zip(takes, pieces, strict=True):
        assert piece.shape[1] == min(frames, total - given_out)
        given_out += piece.shape[1]


def test_a_source_at_the_wanted_rate_is_untouched() -> None:
    """Without a change of rate the samples pass to the bit."""
    samples = np.random.default_rng(2).standard_normal((2, 70000)).astype(np.float32)
    feed = feed_at(Audio.from_samples(samples, 48000), 48000)
    np.testing.assert_array_equal(feed.take(70000), samples)
