"""Sources at the bus rate, in pieces of exact length, and sections without their latency."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import OperationFailed
from backend.media.audio import Audio
from backend.media.resampling import length_at
from backend.plugins.mixer.dsp.sections import Block
from backend.plugins.mixer.signals import Source, Stream, Through

TONE_HZ = 997.0
Samples = npt.NDArray[np.float32]


def tone(rate: int, seconds: float, level: float = 0.5) -> Samples:
    time = np.arange(round(rate * seconds)) / rate
    return (level * np.sin(2 * np.pi * TONE_HZ * time)).astype(np.float32)[None, :]


def source(samples: Samples, rate: int, bus_rate: int) -> Source:
    return Source(Audio.from_samples(samples, rate), bus_rate)


@pytest.mark.parametrize("rate", [22050, 44100, 96000])
def test_a_tone_keeps_its_pitch_level_phase_and_length(rate: int) -> None:
    """At 48 kHz the tone is the one that was meant, 120 dB above everything else."""
    out = source(tone(rate, 1.0), rate, 48000).take(96000)[0]
    assert not out[48000:].any()
    error = (out[:48000] - tone(48000, 1.0)[0])[4800:-4800]
    assert 20 * math.log10(float(np.max(np.abs(error))) / 0.5) < -120


@pytest.mark.parametrize(("rate", "new_rate"), [(44100, 48000), (48000, 44100), (48000, 8000)])
@pytest.mark.parametrize("frames", [0, 1, 5, 6, 9001])
def test_the_length_at_another_rate_is_known_before(frames: int, rate: int, new_rate: int) -> None:
    """After as many frames as `length_at` says there are only zeros, so a mix can be measured
    before it is made."""
    wanted = length_at(frames, rate, new_rate)
    out = source(np.ones((2, frames), np.float32), rate, new_rate).take(wanted + 1000)
    assert out.shape == (2, wanted + 1000)
    assert not out[:, wanted:].any()
    assert wanted == 0 or out[:, :wanted].any()


@pytest.mark.parametrize("piece", [1000, 65536])
def test_the_samples_do_not_depend_on_the_pieces(piece: int) -> None:
    """Taken in pieces of any size, a converted source is the same to the bit."""
    samples = np.random.default_rng(1).standard_normal((2, 150001)).astype(np.float32)
    whole = source(samples, 44100, 48000).take(170000)
    cut = source(samples, 44100, 48000)
    parts = [cut.take(piece) for _ in range(170000 // piece)]
    joined = np.concatenate(parts, axis=1)
    np.testing.assert_array_equal(whole[:, : joined.shape[1]], joined)


@given(st.lists(st.integers(0, 40), max_size=8), st.lists(st.integers(1, 50), max_size=8))
def test_a_stream_gives_every_frame_once_in_order(blocks: list[int], takes: list[int]) -> None:
    """Whatever the sizes of blocks and of pieces, the pieces joined are the source, then zeros."""
    total = sum(blocks)
    frames = np.arange(1, total + 1, dtype=np.float32)[None, :]
    edges = itertools.accumulate([0, *blocks])
    stream = Stream([frames[:, a:b] for a, b in itertools.pairwise(edges)], channels=1)
    pieces = [stream.take(count) for count in takes]
    assert [piece.shape[1] for piece in pieces] == takes
    rest = stream.take(total + 1)
    joined = np.concatenate([*pieces, rest], axis=1)
    np.testing.assert_array_equal(joined[:, :total], frames)
    assert not joined[:, total:].any()


def test_a_source_at_the_wanted_rate_is_untouched() -> None:
    """Without a change of rate the samples pass to the bit, as a copy that may be written to."""
    samples = np.random.default_rng(2).standard_normal((2, 70000)).astype(np.float32)
    audio = Audio.from_samples(samples, 48000)
    out = Source(audio, 48000).take(70000)
    np.testing.assert_array_equal(out, samples)
    out[:] = 0.0
    np.testing.assert_array_equal(audio.samples, samples)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_named(bad: float) -> None:
    """NaN and infinity anywhere in a source end the run with a sentence that says where."""
    samples = np.zeros((2, 100000), np.float32)
    samples[1, 70000] = bad
    sound = source(samples, 48000, 48000)
    sound.take(65536)
    with pytest.raises(OperationFailed, match=r"NaN or infinite .* between 1\.4 s and 2\.1 s"):
        sound.take(65536)


def test_the_largest_samples_are_numbers() -> None:
    """Samples as large as 32-bit float can hold are not taken for infinity."""
    samples = np.full((2, 65536), np.finfo(np.float32).max, np.float32)
    assert np.isfinite(source(samples, 48000, 48000).take(65536)).all()


class Late:
    """A section that does nothing but come late."""

    latency, tail_frames = 128, 0

    def __init__(self) -> None:
        self.starts: list[int] = []
        self._rest = np.zeros((1, self.latency))

    def process(self, block: Block, start: int) -> Block:
        self.starts.append(start)
        joined = np.concatenate((self._rest, block), axis=1)
        self._rest = joined[:, -self.latency :]
        return joined[:, : block.shape[1]]


def test_latency_is_taken_out_and_nothing_is_lost() -> None:
    """Behind a late section every sample is where it was, the last ones too, and the section is
    told each block's place in the programme that it is fed."""
    samples = np.random.default_rng(3).standard_normal((1, 1000)).astype(np.float32)
    section = Late()
    signal = Through(Stream([samples], channels=1), section)
    out = np.concatenate([signal.take(400) for _ in range(3)], axis=1)
    np.testing.assert_array_equal(out[:, :1000], samples)
    assert section.starts == [0, 528, 928]
