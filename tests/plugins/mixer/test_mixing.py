"""The sum of the console, by ear and by the bit: rates, lengths, gains, mute and solo."""

from __future__ import annotations

import dataclasses
import math
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.context import LOCAL, Cancelled, scratch_in
from backend.errors import AssetTooLarge, InvalidParameters, OperationFailed
from backend.media.audio import Audio
from backend.media.levels import SILENCE_DB
from backend.plugins.mixer.document import Master, MixDoc, Strip
from backend.plugins.mixer.operations import mix
from backend.plugins.mixer.signals import FRAMES

RATE = 48000


def level_db(samples: npt.NDArray[np.float64], hertz: float, rate: int) -> float:
    """Amplitude of a sine of *hertz* in *samples* [frames], in dBFS."""
    turn = np.exp(-2j * np.pi * hertz * np.arange(samples.size) / rate)
    return 20 * math.log10(2 * abs(np.mean(samples * turn)))


@pytest.mark.parametrize("frames", [1, FRAMES - 1, FRAMES, 2 * FRAMES + 5])
def test_an_untouched_document_passes_a_stereo_source_to_the_bit(sounds, mixed, frames) -> None:
    """One stereo strip and nothing else: master and pre_master are the source."""
    source = sounds.noise(frames)
    result = mixed({"source": source})
    np.testing.assert_array_equal(result.master.samples, source.samples)
    np.testing.assert_array_equal(result.pre_master.samples, source.samples)
    assert result.master.sample_rate == RATE


def test_the_fader_is_in_decibels(sounds, mixed) -> None:
    """-6.02 dB halves, +6.02 dB doubles, and at the bottom there is nothing at all."""
    source = sounds.noise(500)
    for fader_db, factor in ((-6.020599913279624, 0.5), (6.020599913279624, 2.0), (-120.0, 0.0)):
        out = mixed({"source": source, "fader_db": fader_db}).master.samples
        np.testing.assert_allclose(out, factor * source.samples.astype(np.float64), rtol=1e-6)


def test_a_mono_source_is_panned_at_constant_power(sounds, mixed) -> None:
    """Mono at the centre is -3.01 dB on both sides; hard right it is only there, unchanged."""
    source = sounds.noise(500, channels=1)
    centre = mixed({"source": source}).master.samples
    np.testing.assert_allclose(centre, np.tile(source.samples * math.sqrt(0.5), (2, 1)), rtol=1e-6)
    right = mixed({"source": source, "pan": 1.0}).master.samples
    np.testing.assert_array_equal(right, np.concatenate([0 * source.samples, source.samples]))


def test_five_point_one_is_heard_without_its_low_frequency_channel(sounds, mixed) -> None:
    """Six channels fold to two; what is only in the low-frequency channel is left out."""
    samples = np.zeros((6, 100), np.float32)
    samples[3] = 1.0
    assert not mixed({"source": sounds.audio(samples)}).master.samples.any()
    samples[2] = 0.5
    out = mixed({"source": sounds.audio(samples)}).master.samples
    np.testing.assert_allclose(out, 0.5 * math.sqrt(0.5))


@pytest.mark.parametrize("channels", [9, 64])
def test_too_many_channels_are_refused_by_name(sounds, mixed, channels) -> None:
    """More than eight channels have no known places: the strip is named."""
    with pytest.raises(InvalidParameters, match="too many channels") as caught:
        mixed({"source": sounds.noise(10)}, {"source": sounds.noise(10, channels)})
    assert [error.pointer for error in caught.value.errors] == ["/mix/strips/1/source"]
    assert f"{channels} channels" in caught.value.errors[0].message


def test_a_rate_that_no_meter_knows_is_refused(sounds, mixed) -> None:
    """Below 1 kHz there is no loudness; with a rate of its own the mix is made."""
    slow = {"source": Audio.from_samples(np.ones(10), 999)}
    with pytest.raises(InvalidParameters) as caught:
        mixed(slow)
    assert [error.pointer for error in caught.value.errors] == ["/mix/sample_rate"]
    assert mixed(slow, sample_rate=8000).master.sample_rate == 8000


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 400), st.sampled_from([1, 2]), st.floats(-60, 12), st.floats(-1, 1)
        ),
        min_size=1,
        max_size=5,
    )
)
def test_the_mix_is_the_sum_of_its_strips(parts: list[tuple[int, int, float, float]]) -> None:
    """Strips mixed together are the strips mixed alone, added; the longest gives the length."""
    strips = []
    for seed, (frames, channels, fader_db, pan) in enumerate(parts):
        samples = np.random.default_rng(seed).standard_normal((channels, frames)) * 0.1
        source = Audio.from_samples(samples.astype(np.float32), RATE)
        strips.append(Strip(id=f"s{seed}", source=source, fader_db=fader_db, pan=pan))
    longest = max(frames for frames, *_ in parts)
    expected = np.zeros((2, longest))
    for strip in strips:
        alone = mix(MixDoc(strips=[strip])).master.samples
        expected[:, : alone.shape[1]] += alone
    together = mix(MixDoc(strips=strips)).master.samples
    assert together.shape == (2, longest)
    np.testing.assert_allclose(together, expected, rtol=0, atol=1e-6)


def test_solo_silences_the_others_and_mute_wins(sounds, mixed) -> None:
    """With one strip soloed only it is heard; a muted one is never heard, soloed or not."""
    one, two = sounds.noise(300, seed=1), sounds.noise(300, seed=2)
    solo = mixed({"source": one, "solo": True}, {"source": two}).master.samples
    np.testing.assert_array_equal(solo, one.samples)
    mute = mixed({"source": one}, {"source": two, "mute": True}).master.samples
    np.testing.assert_array_equal(mute, one.samples)
    both = mixed({"source": one, "solo": True, "mute": True}, {"source": two}).master.samples
    assert both.shape == (2, 300)
    assert not both.any()


def test_mute_and_solo_change_neither_length_nor_rate(sounds, mixed) -> None:
    """A strip that is not heard still counts for the length, its echoes too, and for the rate."""
    low = Audio.from_samples(np.zeros((2, 100), np.float32), 44100)
    echo = {"time_s": 0.1, "echoes": 2, "mix": 0.5}
    silent = {"source": sounds.noise(4800), "mute": True, "delay": echo}
    result = mixed({"source": low}, silent)
    assert (result.master.sample_rate, result.master.frames) == (48000, 4800 + 9600)


def test_strips_of_three_rates_keep_their_pitch_level_and_length(sounds, mixed) -> None:
    """Tones from 22.05, 44.1 and 48 kHz files sound at their own pitch and level on one bus; the
    predecessor played the first two 8.8 and 118 % too fast."""
    tones = {440.0: 22050, 1000.0: 44100, 3000.0: 48000}
    strips = [{"source": sounds.sine(hz, 1.0, rate=rate)} for hz, rate in tones.items()]
    result = mixed(*strips)
    assert (result.master.sample_rate, result.master.frames) == (48000, 48000)
    steady = result.master.samples[0, 4800 : 4800 + 38400].astype(np.float64)
    for hertz in tones:
        assert level_db(steady, hertz, 48000) == pytest.approx(20 * math.log10(0.25), abs=0.01)


@pytest.mark.parametrize("rate", [8000, 44100, 384000])
def test_the_bus_rate_can_be_asked_for(sounds, mixed, rate) -> None:
    """With a rate given, the mix has it, and lasts as long."""
    result = mixed({"source": sounds.sine(1000.0, 0.2)}, sample_rate=rate)
    assert (result.master.sample_rate, result.master.frames) == (rate, rate // 5)


def test_above_full_scale_nothing_is_clipped_or_scaled(sounds, mixed) -> None:
    """Four full-scale sources add up to +12 dBFS, inside and outside, and the peak says so."""
    source = sounds.audio([[1.0, -1.0, 0.5], [1.0, -1.0, 0.5]])
    result = mixed(*[{"source": source}] * 4)
    np.testing.assert_array_equal(result.master.samples, 4 * source.samples)
    assert result.peak_db == pytest.approx(20 * math.log10(4), abs=1e-9)
    # +24 dB on the strip and -24 dB on the master: nothing was lost between
    there = mixed({"source": source, "fader_db": 24.0}, master={"volume_db": -24.0})
    np.testing.assert_allclose(there.master.samples, source.samples, rtol=1e-6)


def test_the_eq_does_not_clip(sounds, mixed) -> None:
    """A tone at -1 dBFS raised by 12 dB in the middle band is a tone 12 dB higher; the predecessor
    clipped it at full scale."""
    tone = sounds.sine(1000.0, 0.5, level=0.9)
    eq = {"mid": {"gain_db": 12.0, "frequency_hz": 1000.0}}
    out = mixed({"source": tone, "eq": eq}).master.samples[0, 4800:]
    raised = 0.9 * 10 ** (12 / 20)
    assert np.abs(out).max() == pytest.approx(raised, rel=1e-3)
    tone_db = level_db(out[:19200].astype(np.float64), 1000.0, RATE)
    assert tone_db == pytest.approx(20 * math.log10(raised), abs=0.01)
    third = level_db(out[:19200].astype(np.float64), 3000.0, RATE)
    assert third < -100


@pytest.mark.parametrize("frames", [0, 1, 1000])
def test_silence_has_levels_that_json_can_hold(sounds, mixed, frames) -> None:
    """Silence, or no frames at all, is silence with all sections on; levels are -240."""
    result = mixed(
        {"source": sounds.flat(frames, 0.0), "gate": {}, "compressor": {}},
        master={"drive": 0.5, "compressor": {}, "limiter": {}, "high_pass_hz": 30.0},
    )
    assert result.master.frames == result.pre_master.frames == frames
    assert not result.master.samples.any()
    assert result.peak_db == SILENCE_DB == -240.0
    assert result.meters.strips["s0"].rms_db == SILENCE_DB


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_source_that_is_no_number_is_named(sounds, mixed, bad) -> None:
    """NaN or infinity in a source is a refusal that points at the strip, and says the place."""
    samples = np.zeros((2, 100), np.float32)
    samples[0, 50] = bad
    with pytest.raises(InvalidParameters, match=r"NaN or infinite .* between 0\.0 s") as caught:
        mixed({"source": sounds.noise(100)}, {"source": sounds.audio(samples)})
    where = [(each.pointer, each.rule) for each in caught.value.errors]
    assert where == [("/mix/strips/1/source", "finite")]


def test_a_sum_too_large_for_float_fails_in_words(sounds, mixed) -> None:
    """What float32 cannot hold is an error that says where, not a file with infinity in it."""
    huge = sounds.flat(10, 3e38)
    with pytest.raises(OperationFailed, match="larger than 32-bit float can hold") as caught:
        mixed({"source": huge}, {"source": huge})
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [("/master", "finite")]


def test_delays_that_memory_cannot_hold_are_refused(sounds, mixed) -> None:
    """32 strips of 16 echoes 2 s apart at 192 kHz would hold 2.9 GiB: a sentence, no kill."""
    delay = {"time_s": 2.0, "echoes": 16, "mix": 0.5}
    strips = [{"source": sounds.noise(10), "delay": delay}] * 32
    with pytest.raises(InvalidParameters, match=r"would hold 2\.9 GiB of sound") as caught:
        mixed(*strips, sample_rate=192_000)
    assert [error.rule for error in caught.value.errors] == ["memory"]
    assert mixed(strips[0]).master.frames == 10 + 32 * RATE


def test_a_mix_beyond_four_hours_is_refused_before_it_is_made(sounds, mixed) -> None:
    """A length that no asset may have is told at once, and not after hours of work."""
    long = dataclasses.replace(sounds.noise(10), frames=5 * 3600 * RATE)
    with pytest.raises(AssetTooLarge):
        mixed({"source": long})


def test_progress_grows_to_the_end(sounds) -> None:
    """Each block reports, and the last report is the whole."""
    seen: list[tuple[float, float]] = []
    document = MixDoc(strips=[Strip(id="a", source=sounds.noise(3 * FRAMES))])
    mix(document, ctx=dataclasses.replace(LOCAL, on_progress=lambda d, of, _: seen.append((d, of))))
    assert seen == [(n * FRAMES, 3 * FRAMES) for n in (1, 2, 3)]


def test_cancel_ends_a_mix_with_its_threads_and_files(
    sounds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled mix ends within a block; no thread works on, and no file is left behind."""
    monkeypatch.setattr("backend.plugins.mixer.mixing.IN_MEMORY", 1000)
    seen: list[float] = []
    context = dataclasses.replace(
        LOCAL, on_progress=lambda d, *_: seen.append(d), is_cancelled=lambda: len(seen) > 1
    )
    strips = [Strip(id=f"s{n}", source=sounds.noise(8 * FRAMES, seed=n)) for n in range(4)]
    document = MixDoc(strips=strips, master=Master(volume_db=-1.0))
    with scratch_in(tmp_path), pytest.raises(Cancelled):
        mix(document, stems=True, ctx=context)
    assert len(seen) == 2
    assert not [each for each in threading.enumerate() if each.name.startswith("strip")]
    assert list(tmp_path.iterdir()) == []


def everything(sounds: Any) -> MixDoc:
    """A document with every section on, at two rates, with keys, sends and moving parameters."""
    sweep = {"points": [(0.0, -12.0), (2.0, 3.0)]}
    strip = {
        "gate": {"threshold_db": -40.0, "lookahead_ms": 2.0},
        "compressor": {"lookahead_ms": 5.0, "attack_ms": 3.0},
        "eq": {"high_pass_hz": 60.0, "mid": {"gain_db": sweep}, "high": {"gain_db": 3.0}},
        "delay": {"time_s": 0.11, "echoes": 3},
        "sends": [
            {"bus": "echo", "gain_db": -6.0},
            {"bus": "wide", "gain_db": -9.0, "pre_fader": True},
        ],
        "fader_db": sweep,
    }
    sources = [sounds.noise(100_000, channels, seed=channels) for channels in (1, 2, 6)]
    sources.append(sounds.sine(300.0, 2.0, rate=44100))
    strips = [{"id": f"s{n}", "source": each, **strip} for n, each in enumerate(sources)]
    strips[1]["compressor"] = {"key": "strip:s3", "lookahead_ms": 5.0}
    master = {
        "high_pass_hz": 30.0, "drive": 0.3, "low_pass_hz": 16000.0, "gate": {}, "compressor": {},
        "eq": {"low": {"gain_db": 2.0}}, "width": 1.2, "balance": 0.1, "volume_db": -2.0,
        "limiter": {"ceiling_db": -3.0},
    }  # fmt: skip
    buses = [{"id": "echo", "delay": {"time_s": 0.2, "feedback": 0.5}}, {"id": "wide"}]
    return MixDoc.model_validate({"strips": strips, "buses": buses, "master": master}, strict=False)


def test_a_mix_is_the_same_however_the_threads_run(sounds, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread or eight: the same samples to the bit, in the master and in every stem."""
    results = []
    for threads in (1, 8):
        monkeypatch.setattr("os.cpu_count", lambda threads=threads: threads)
        results.append(mix(everything(sounds), stems=True))
    one, eight = results
    np.testing.assert_array_equal(one.master.samples, eight.master.samples)
    assert one.stems.keys() == eight.stems.keys()
    for name, stem in one.stems.items():
        np.testing.assert_array_equal(stem.samples, eight.stems[name].samples)


def test_a_mix_does_not_depend_on_the_size_of_blocks(
    sounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worked on in blocks of 65536 and of 10000 frames, a mix with everything is the same within
    the rounding of its samples."""
    whole = mix(everything(sounds)).master.samples
    for module in ("signals", "console", "mixing"):
        monkeypatch.setattr(f"backend.plugins.mixer.{module}.FRAMES", 10_000)
    cut = mix(everything(sounds)).master.samples
    assert whole.shape == cut.shape
    np.testing.assert_allclose(whole, cut, rtol=0, atol=2e-7)


def test_a_long_mix_needs_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    """Three minutes of four strips with stems, 760 MB as arrays, are mixed in under 120 MiB."""
    block = (np.random.default_rng(1).standard_normal((2, FRAMES)) * 0.1).astype(np.float32)

    def programme() -> Iterator[npt.NDArray[np.float32]]:
        for _ in range(180 * RATE // FRAMES):
            yield block

    with scratch_in(tmp_path):
        one = Audio.from_blocks(programme(), RATE, channels=2)
        two = Audio.from_blocks(programme(), 44100, channels=2)
        strips = [Strip(id=f"s{n}", source=one if n else two) for n in range(4)]
        document = MixDoc(strips=strips, master=Master(volume_db=-6.0))
        tracemalloc.start()
        try:
            result = mix(document, stems=True)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert result.master.frames > 180 * RATE
        assert peak < 120 * 2**20
