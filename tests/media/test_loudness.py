"""Loudness, by the signals of EBU Tech 3341 and 3342, and at the edges of what sound can be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyloudnorm
import pytest

from backend.context import Cancelled, Context
from backend.errors import OperationFailed
from backend.media.audio import Audio
from backend.media.loudness import Loudness, LoudnessMeter, measure

RATE = 48_000
LU = 0.05
Part = tuple[float, float | None]
"""Seconds, and the level of a 1 kHz sine in dBFS; None is silence."""


def tones(parts: Sequence[Part], rate: int = RATE, channels: int = 2) -> np.ndarray:
    """Tones one after the other, of one phase, equal in all channels."""
    gains = [
        np.full(round(seconds * rate), 0.0 if level_db is None else 10 ** (level_db / 20))
        for seconds, level_db in parts
    ]
    gain = np.concatenate(gains)
    return np.tile(gain * np.sin(2 * np.pi * 1000 * np.arange(gain.size) / rate), (channels, 1))


def loudness(samples: np.ndarray, rate: int = RATE, block: int = 65_536) -> Loudness:
    """What the meter says of [channels, frames]."""
    meter = LoudnessMeter(rate, len(samples))
    for start in range(0, samples.shape[1], block):
        meter.add(samples[:, start : start + block])
    return meter.result()


@pytest.mark.parametrize("level_db", [pytest.param(-23.0, id="1"), pytest.param(-33.0, id="2")])
def test_ebu_steady_tones(level_db: float):
    """EBU Tech 3341, cases 1 and 2: momentary, short-term and integrated agree."""
    found = loudness(tones([(20, level_db)]))
    assert found.integrated_lufs == pytest.approx(level_db, abs=LU)
    assert found.momentary_max_lufs == pytest.approx(level_db, abs=LU)
    assert found.short_term_max_lufs == pytest.approx(level_db, abs=LU)
    assert found.momentary[4:] == pytest.approx(level_db, abs=LU)
    assert found.short_term[30:] == pytest.approx(level_db, abs=LU)
    assert found.rms_db == pytest.approx(level_db - 3.01, abs=0.01)
    assert found.peak_db == pytest.approx(level_db, abs=0.01)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([(10, -36), (60, -23), (10, -36)], id="3"),
        pytest.param([(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)], id="4"),
        pytest.param([(20, -26), (20.1, -20), (20, -26)], id="5"),
    ],
)
def test_ebu_gates(parts: list[Part]):
    """EBU Tech 3341, cases 3 to 5: what is quiet does not count, what is not so quiet does."""
    assert loudness(tones(parts)).integrated_lufs == pytest.approx(-23.0, abs=LU)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        pytest.param([-20, -31.5], -22.71, id="9.2 LU below both counts"),
        pytest.param([-20, -33.5], -20.0, id="10.7 LU below both does not"),
        pytest.param([-60, -69], -62.49, id="above -70 LUFS counts"),
        pytest.param([-60, -71], -60.0, id="below -70 LUFS does not"),
    ],
)
def test_the_gates_are_where_they_shall_be(levels: list[float], expected: float):
    """-10 LU relative to what passes the absolute gate of -70 LUFS: closer than EBU's cases."""
    found = loudness(tones([(10, level) for level in levels]))
    assert found.integrated_lufs == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("low_frequency", [None, 0.0], ids=["5.0", "5.1 with a loud LFE"])
def test_ebu_surround(low_frequency: float | None):
    """EBU Tech 3341, case 6: channels have their weights, and the LFE has none."""
    levels = [-28.0, -28.0, -24.0, -30.0, -30.0]
    if low_frequency is not None:
        levels.insert(3, low_frequency)
    samples = np.concatenate([tones([(20, level)], channels=1) for level in levels])
    assert loudness(samples).integrated_lufs == pytest.approx(-23.0, abs=LU)


def test_ebu_short_term_is_constant():
    """EBU Tech 3341, case 9: short-term loudness of a pattern of 3 s, from 3 s on."""
    found = loudness(tones([(1.34, -20), (1.66, -30)] * 5))
    assert found.short_term[29:] == pytest.approx(-23.0, abs=LU)


def test_ebu_short_term_of_a_file():
    """EBU Tech 3341, case 10: the maximum is found wherever 3 s of tone begin."""
    for i in range(20):
        found = loudness(tones([(0.15 * i, None), (3, -23), (1, None)]))
        assert found.short_term_max_lufs == pytest.approx(-23.0, abs=LU), i


def test_ebu_short_term_live():
    """EBU Tech 3341, case 11: the maximum of a running meter follows tones that get louder."""
    meter = LoudnessMeter(RATE, 2)
    for i in range(20):
        meter.add(tones([(0.15 * i, None), (3, -38 + i), (3 - 0.15 * i, None)]))
        assert meter.result().short_term_max_lufs == pytest.approx(-38 + i, abs=LU), i


def test_ebu_momentary_is_constant():
    """EBU Tech 3341, case 12: momentary loudness of a pattern of 0.4 s, from 1 s on."""
    found = loudness(tones([(0.18, -20), (0.22, -30)] * 25))
    assert found.momentary[9:] == pytest.approx(-23.0, abs=LU)


def test_ebu_momentary_of_a_file():
    """EBU Tech 3341, case 13: the maximum is found wherever 400 ms of tone begin."""
    for i in range(20):
        found = loudness(tones([(0.02 * i, None), (0.4, -23), (1, None)]))
        assert found.momentary_max_lufs == pytest.approx(-23.0, abs=LU), i


def test_ebu_momentary_live():
    """EBU Tech 3341, case 14: the maximum of a running meter follows bursts that get louder."""
    meter = LoudnessMeter(RATE, 2)
    for i in range(20):
        meter.add(tones([(0.02 * i, None), (0.4, -38 + i), (0.4 - 0.02 * i, None)]))
        assert meter.result().momentary_max_lufs == pytest.approx(-38 + i, abs=LU), i


@pytest.mark.parametrize(
    ("levels", "expected_lu"),
    [
        pytest.param([-20, -30], 10, id="1"),
        pytest.param([-20, -15], 5, id="2"),
        pytest.param([-40, -20], 20, id="3"),
        pytest.param([-50, -35, -20, -35, -50], 15, id="4"),
    ],
)
def test_ebu_loudness_range(levels: list[float], expected_lu: float):
    """EBU Tech 3342, cases 1 to 4: 20 s at each level."""
    found = loudness(tones([(20, level) for level in levels]))
    assert found.range_lu == pytest.approx(expected_lu, abs=0.1)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000, 384_000])
def test_the_rate_changes_nothing(rate: int):
    """EBU Tech 3341, case 1, in short: the same tone has the same loudness at any rate."""
    found = loudness(tones([(3.2, -23)], rate), rate)
    assert found.integrated_lufs == pytest.approx(-23.0, abs=LU)
    assert found.momentary_max_lufs == pytest.approx(-23.0, abs=LU)
    assert found.short_term_max_lufs == pytest.approx(-23.0, abs=LU)


def test_mono_is_3_lu_less_than_the_same_on_both_sides():
    """One channel counts once, as in BS.1770."""
    assert loudness(tones([(2, -20)], channels=1)).integrated_lufs == pytest.approx(-23.01, abs=LU)


def test_a_second_opinion_agrees():
    """pyloudnorm (own filter, own gates) says the same of gated noise within 0.1 LU."""
    noise = np.random.default_rng(5).normal(scale=0.05, size=(2, 12 * RATE))
    noise[:, 4 * RATE : 7 * RATE] *= 0.01
    other = pyloudnorm.Meter(RATE).integrated_loudness(noise.T)
    assert loudness(noise).integrated_lufs == pytest.approx(other, abs=0.1)


@pytest.mark.parametrize("rate", [44_100, 11_025])
@pytest.mark.parametrize("block", [1_000, 441, 7])
def test_the_cut_into_blocks_changes_nothing(rate: int, block: int):
    """Blocks of any size give the same numbers and the same series."""
    samples = np.random.default_rng(6).normal(scale=0.1, size=(2, rate // 2))
    whole, cut = loudness(samples, rate), loudness(samples, rate, block)
    assert np.array_equal(whole.momentary, cut.momentary)
    assert np.array_equal(whole.short_term, cut.short_term)
    for name in ("integrated_lufs", "momentary_max_lufs", "short_term_max_lufs", "range_lu"):
        assert getattr(whole, name) == getattr(cut, name)
    assert whole.true_peak_db == pytest.approx(cut.true_peak_db, abs=1e-9)
    assert whole.rms_db == pytest.approx(cut.rms_db, abs=1e-9)


@pytest.mark.parametrize("frames", [0, RATE])
def test_silence_is_defined(frames: int):
    """Silence, and nothing at all, is -240 everywhere, with a range of 0."""
    found = loudness(np.zeros((2, frames)))
    assert (found.integrated_lufs, found.momentary_max_lufs, found.short_term_max_lufs) == (
        -240,
    ) * 3
    assert (found.true_peak_db, found.peak_db, found.rms_db, found.range_lu) == (
        -240,
        -240,
        -240,
        0,
    )
    assert len(found.momentary) == len(found.short_term) == frames * 10 // RATE
    assert np.all(found.momentary == -240)


def test_one_sample_has_levels_but_no_integrated_loudness():
    """A click has a peak and a momentary loudness; gating needs 400 ms."""
    found = loudness(np.ones((1, 1)))
    assert found.peak_db == found.rms_db == 0.0
    assert found.integrated_lufs == -240.0
    assert -50 < found.momentary_max_lufs < -35
    assert found.momentary_max_lufs - found.short_term_max_lufs == pytest.approx(8.75, abs=0.01)
    assert found.momentary.size == 0


def test_quiet_after_loud_is_quiet():
    """Windows forget: a second after something loud, digital silence is below -200 LUFS."""
    found = loudness(tones([(3, 0.0), (6, None)]))
    assert found.momentary[-1] < -200
    assert found.short_term[-1] < -200


def test_levels_above_full_scale_count():
    """Float has headroom: 20 dB over full scale is measured as such."""
    found = loudness(tones([(2, 20.0)]))
    assert found.integrated_lufs == pytest.approx(20.0, abs=LU)
    assert found.true_peak_db == pytest.approx(20.0, abs=LU)


def test_a_file_is_read_in_blocks_with_progress():
    """`measure` gives what the meter gives, and tells how far it is."""
    samples = tones([(3, -23)]).astype(np.float32)
    said: list[tuple[float, float]] = []
    context = Context(on_progress=lambda done, total, _: said.append((done, total)))
    found = measure(Audio.from_samples(samples, RATE), context)
    assert found.integrated_lufs == loudness(samples).integrated_lufs
    assert said[-1] == (3 * RATE, 3 * RATE)
    assert len(said) == 3


def test_measuring_can_be_cancelled():
    """A run that shall end ends at the next block."""
    with pytest.raises(Cancelled):
        measure(Audio.from_samples(np.zeros(RATE), RATE), Context(is_cancelled=lambda: True))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(value: float):
    """NaN and infinity are said, not measured."""
    samples = np.zeros((2, 100))
    samples[1, 50] = value
    with pytest.raises(OperationFailed, match="NaN or infinite"):
        loudness(samples)


def test_more_channels_than_the_standard_knows_are_refused():
    """64 channels have no weights; the sentence says how many may be."""
    with pytest.raises(ValueError, match="1 to 8 channels, not 64"):
        LoudnessMeter(RATE, 64)


def test_a_rate_without_a_band_is_refused():
    """Below 1 kHz nothing can be weighted."""
    with pytest.raises(ValueError, match="from 1000 Hz on; this is at 100 Hz"):
        LoudnessMeter(100, 1)
