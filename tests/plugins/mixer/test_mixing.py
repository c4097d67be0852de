"""The stereo bus, by ear and by the bit."""

from __future__ import annotations

import dataclasses
import math
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.context import LOCAL, Cancelled, scratch_in
from backend.errors import InvalidParameters, OperationFailed
from backend.media.audio import Audio
from backend.media.levels import SILENCE_DB
from backend.plugins.mixer.feeds import FRAMES, Block
from backend.plugins.mixer.operations import mix
from backend.plugins.mixer.tracks import Track

RATE = 48000


def noise(channels: int, frames: int, seed: int, level: float = 0.1) -> Block:
    samples = np.random.default_rng(seed).standard_normal((channels, frames))
    return (level * samples).astype(np.float32)


def audio(samples: Block, rate: int = RATE) -> Audio:
    return Audio.from_samples(samples, rate)


def master(*tracks: Track, sample_rate: int | None = None) -> Block:
    return mix(list(tracks), sample_rate).master.samples


def sine(hertz: float, seconds: float, rate: int, level: float = 0.25) -> Block:
    time = np.arange(round(seconds * rate)) / rate
    return np.tile(level * np.sin(2 * np.pi * hertz * time), (2, 1)).astype(np.float32)


def level_db(samples: npt.NDArray[np.float64], hertz: float, rate: int) -> float:
    """Amplitude of a sine of *hertz* in *samples* [frames], in dBFS."""
    turn = np.exp(-2j * np.pi * hertz * np.arange(samples.size) / rate)
    return 20 * math.log10(2 * abs(np.mean(samples * turn)))


@pytest.mark.parametrize("frames", [1, FRAMES - 1, FRAMES, 3 * FRAMES + 5])
def test_a_stereo_source_at_unity_passes_to_the_bit(frames: int) -> None:
    """One stereo track at 0 dB and centre leaves the bus as it came."""
    samples = noise(2, frames, seed=1)
    result = mix([Track(source=audio(samples))])
    np.testing.assert_array_equal(result.master.samples, samples)
    assert result.master.sample_rate == RATE


def test_pre_master_is_the_same_sum_while_there_is_no_master_bus() -> None:
    """Both outputs hold equal samples."""
    result = mix([Track(source=audio(noise(1, 1000, seed=1)), pan=0.3)])
    np.testing.assert_array_equal(result.pre_master.samples, result.master.samples)


def test_gain_is_in_decibels() -> None:
    """-6.02 dB halves, +6.02 dB doubles, -120 dB is a millionth."""
    samples = noise(2, 500, seed=2)
    for gain_db, factor in ((-6.020599913279624, 0.5), (6.020599913279624, 2.0), (-120.0, 1e-6)):
        out = master(Track(source=audio(samples), gain_db=gain_db))
        np.testing.assert_allclose(out, factor * samples.astype(np.float64), rtol=1e-6)


def test_a_mono_source_is_panned_at_constant_power() -> None:
    """Mono at the centre is -3.01 dB on both sides; hard right it is only there, unchanged."""
    samples = noise(1, 500, seed=3)
    centre = master(Track(source=audio(samples)))
    np.testing.assert_allclose(centre, np.tile(samples * math.sqrt(0.5), (2, 1)), rtol=1e-6)
    right = master(Track(source=audio(samples), pan=1.0))
    np.testing.assert_array_equal(right, np.concatenate([np.zeros_like(samples), samples]))


def test_five_point_one_is_heard_in_stereo_without_its_low_frequency_channel() -> None:
    """Six channels fold to two; what is only in the low-frequency channel is left out."""
    samples = np.zeros((6, 100), np.float32)
    samples[3] = 1.0
    assert not master(Track(source=audio(samples))).any()
    samples[2] = 0.5
    np.testing.assert_allclose(master(Track(source=audio(samples))), 0.5 * math.sqrt(0.5))


def test_nine_channels_are_refused_by_name() -> None:
    """More than eight channels have no known places: the track is named."""
    tracks = [
        Track(source=audio(noise(2, 10, seed=1))),
        Track(source=audio(noise(9, 10, seed=1))),
    ]
    with pytest.raises(InvalidParameters) as caught:
        mix(tracks)
    assert [error.pointer for error in caught.value.errors] == ["/tracks/1/source"]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 400), st.sampled_from([1, 2]), st.floats(-60, 12), st.floats(-1, 1)
        ),
        min_size=1,
        max_size=5,
    )
)
def test_the_mix_is_the_sum_of_its_tracks(parts: list[tuple[int, int, float, float]]) -> None:
    """Tracks mixed together are the tracks mixed alone, added; the longest gives the length."""
    tracks = [
        Track(source=audio(noise(channels, frames, seed)), gain_db=gain_db, pan=pan)
        for seed, (frames, channels, gain_db, pan) in enumerate(parts)
    ]
    longest = max(frames for frames, *_ in parts)
    expected = np.zeros((2, longest))
    for track in tracks:
        alone = master(track)
        expected[:, : alone.shape[1]] += alone
    together = master(*tracks)
    assert together.shape == (2, longest)
    np.testing.assert_allclose(together, expected, rtol=0, atol=1e-6)


def test_solo_silences_the_others_and_mute_wins() -> None:
    """With one track soloed only it is heard; a muted track is never heard, soloed or not."""
    one, two = noise(2, 300, seed=1), noise(2, 300, seed=2)
    solo = master(Track(source=audio(one), solo=True), Track(source=audio(two)))
    np.testing.assert_array_equal(solo, one)
    mute = master(Track(source=audio(one)), Track(source=audio(two), mute=True))
    np.testing.assert_array_equal(mute, one)
    both = master(Track(source=audio(one), solo=True, mute=True), Track(source=audio(two)))
    assert not both.any()


def test_mute_changes_neither_length_nor_rate() -> None:
    """A muted track still counts for the length and for the rate of the bus."""
    result = mix(
        [
            Track(source=audio(noise(2, 100, seed=1), 44100)),
            Track(source=audio(noise(2, 4800, seed=2), 48000), mute=True),
        ]
    )
    assert (result.master.sample_rate, result.master.frames) == (48000, 4800)


def test_tracks_of_three_rates_keep_their_pitch_level_and_length() -> None:
    """Tones from 22.05, 44.1 and 48 kHz files sound at their own pitch and level on one bus."""
    tones = {440.0: 22050, 1000.0: 44100, 3000.0: 48000}
    tracks = [Track(source=audio(sine(hz, 1.0, rate), rate)) for hz, rate in tones.items()]
    result = mix(tracks)
    assert result.master.sample_rate == 48000
    assert result.master.frames == 48000
    steady = result.master.samples[0, 4800:-4800].astype(np.float64)
    steady = steady[: 38400 // 48 * 48]
    for hertz in tones:
        assert level_db(steady, hertz, 48000) == pytest.approx(20 * math.log10(0.25), abs=0.01)


def test_the_bus_rate_can_be_asked_for() -> None:
    """With a rate given, the mix has it, and lasts as long."""
    result = mix([Track(source=audio(sine(1000.0, 0.5, 48000)))], 44100)
    assert (result.master.sample_rate, result.master.frames) == (44100, 22050)


def test_above_full_scale_nothing_is_clipped_or_scaled() -> None:
    """Four full-scale sources add up to +12 dBFS, and the peak says so."""
    samples = np.array([[1.0, -1.0, 0.5], [1.0, -1.0, 0.5]], np.float32)
    result = mix([Track(source=audio(samples)) for _ in range(4)])
    np.testing.assert_array_equal(result.master.samples, 4 * samples)
    assert result.peak_db == pytest.approx(20 * math.log10(4), abs=1e-9)


@pytest.mark.parametrize("frames", [0, 1, 1000])
def test_silence_has_a_peak_that_json_can_hold(frames: int) -> None:
    """No sound, or no frames at all, is a peak of -240 dB and not of minus infinity."""
    result = mix([Track(source=audio(np.zeros((2, frames), np.float32)))])
    assert result.master.frames == frames
    assert result.peak_db == SILENCE_DB == -240.0


def test_a_sum_that_is_no_number_fails_in_words() -> None:
    """What float32 cannot hold is an error that says where, not a file with infinity in it."""
    huge = np.full((2, 10), 3e38, np.float32)
    with pytest.raises(OperationFailed, match="is not a number"):
        mix([Track(source=audio(huge)), Track(source=audio(huge))])


def test_progress_grows_to_the_end_and_cancel_stops_the_mix() -> None:
    """Each block reports, the last report is the whole, and a cancelled mix ends at once."""
    seen: list[tuple[float, float]] = []
    track = Track(source=audio(noise(2, 3 * FRAMES, seed=1)))
    watching = dataclasses.replace(LOCAL, on_progress=lambda done, of, _: seen.append((done, of)))
    mix([track], ctx=watching)
    assert seen == [(n * FRAMES, 3 * FRAMES) for n in (1, 2, 3)]
    stopped = dataclasses.replace(watching, is_cancelled=lambda: len(seen) > 3)
    with pytest.raises(Cancelled):
        mix([track], ctx=stopped)
    assert len(seen) == 4


def test_a_long_mix_needs_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    """Three six-minute programmes, 415 MB as arrays, are mixed in under 80 MiB."""
    block = noise(2, FRAMES, seed=1)

    def programme() -> Iterator[Block]:
        for _ in range(360 * RATE // FRAMES):
            yield block

    with scratch_in(tmp_path):
        one = Audio.from_blocks(programme(), RATE, channels=2)
        two = Audio.from_blocks(programme(), 44100, channels=2)
        tracemalloc.start()
        try:
            result = mix([Track(source=one), Track(source=two, gain_db=-3.0)])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert result.master.frames > 360 * RATE
        assert peak < 80 * 2**20
