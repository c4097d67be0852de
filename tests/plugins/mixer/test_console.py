"""What the console does with a signal: order, sends, keys, tails, latency, meters, stems."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from backend.media.automation import Automation
from backend.media.image import Image
from backend.plugins.mixer.document import Bus, MixDoc, Send, Strip
from backend.plugins.mixer.operations import mix

RATE = 48000
ECHO = {"time_s": 0.01, "feedback": 0.5, "mix": 0.5, "echoes": 3}
"""Four times the sound: 480 samples apart, the dry one and three echoes, each half the last."""


def decibels(ratio: float) -> float:
    return 20 * math.log10(ratio)


def heard(samples: npt.NDArray[Any]) -> list[int]:
    """Where there is more than -100 dBFS."""
    return [int(place) for place in np.flatnonzero(np.abs(samples[0]) > 1e-5)]


def test_echoes_come_in_order_and_are_not_cut(sounds, mixed) -> None:
    """An impulse at the very end of a source is followed by its echoes, forwards, each half as
    loud as the last; the predecessor cut them off and played them backwards."""
    out = mixed({"source": sounds.impulse(100, at=99), "delay": ECHO}).master.samples
    assert out.shape == (2, 100 + 3 * 480)
    assert heard(out) == [99, 99 + 480, 99 + 960, 99 + 1440]
    levels = [out[0, place] for place in heard(out)]
    assert levels == pytest.approx([0.5, 0.5, 0.25, 0.125])


def test_an_endless_delay_is_rendered_down_to_60_db(sounds, mixed) -> None:
    """Without a number of echoes the mix lasts until they are 60 dB down."""
    delay = {"time_s": 0.01, "feedback": 0.5, "mix": 0.5}
    out = mixed({"source": sounds.impulse(10), "delay": delay}).master.samples
    echoes = heard(out)[1:]
    assert out.shape[1] == 10 + 480 * 11
    assert decibels(out[0, echoes[-1]] / out[0, echoes[0]]) < -54
    assert np.diff(echoes).tolist() == [480] * (len(echoes) - 1)


def test_a_delay_that_is_never_mixed_in_adds_no_tail(sounds, mixed) -> None:
    """With a mix of 0 the delay is left out, tail and all."""
    source = sounds.noise(100)
    out = mixed({"source": source, "delay": {"mix": 0.0, "echoes": 16}}).master.samples
    np.testing.assert_array_equal(out, source.samples)


def test_a_bus_hears_what_is_sent_to_it(sounds, mixed) -> None:
    """A send at -6.02 dB to a bus with an echo: the dry sound, and half of it delayed, whose tail
    lengthens the mix; a bus that nobody sends to lengthens nothing."""
    bus = {"id": "echo", "delay": {"time_s": 0.01, "mix": 1.0, "echoes": 1}}
    unheard = {"id": "other", "delay": {"time_s": 2.0, "mix": 1.0, "echoes": 16}}
    sends = [{"bus": "echo", "gain_db": -6.020599913279624}]
    out = mixed({"source": sounds.impulse(10), "sends": sends}, buses=[bus, unheard]).master
    assert out.frames == 10 + 480
    assert heard(out.samples) == [0, 480]
    assert out.samples[0, 480] == pytest.approx(0.5)


def test_sends_before_and_after_the_fader(sounds, mixed) -> None:
    """With the fader at its bottom, only the send before the fader is heard; muted, none is."""
    source, bus = sounds.flat(100), {"id": "b", "fader_db": 6.020599913279624}
    for pre_fader, level in ((True, 1.0), (False, 0.0)):
        send = {"bus": "b", "gain_db": -6.020599913279624, "pre_fader": pre_fader}
        strip = {"source": source, "fader_db": -120.0, "sends": [send]}
        out = mixed(strip, buses=[bus]).master.samples
        np.testing.assert_allclose(out, level, rtol=1e-6)
        assert not mixed({**strip, "mute": True}, buses=[bus]).master.samples.any()


def test_a_key_is_a_source_before_everything(sounds, mixed) -> None:
    """A strip keyed by another is lowered by that one's source even if it is muted, at its
    bottom, or longer; and the other way round at the same time: keys make no circle."""
    comp = {"threshold_db": -20.0, "knee_db": 0.0, "attack_ms": 0.0}
    loud = {"source": sounds.flat(RATE), "fader_db": -120.0}
    music = {"source": sounds.flat(RATE // 2, 0.05)}
    keyed = {**music, "compressor": {**comp, "key": "strip:voice"}}
    for voice in (loud, {**loud, "mute": True}):
        out = mixed(keyed, {"id": "voice", **voice}).master.samples
        assert decibels(out[0, RATE // 4] / 0.05) == pytest.approx(-15.0, abs=0.01)
    both = mixed(
        {"id": "a", **music, "compressor": {**comp, "key": "strip:b"}},
        {"id": "b", "source": sounds.flat(RATE), "compressor": {**comp, "key": "strip:a"}},
        run={"stems": True},
    )
    assert decibels(both.stems["a"].samples[0, 9000] / 0.05) == pytest.approx(-15.0, abs=0.01)
    assert both.stems["b"].samples[0, 9000] == 1.0  # 0.05 is -26 dB, under the threshold


def test_a_key_at_another_rate_acts_at_the_right_time(sounds, mixed) -> None:
    """A 22.05 kHz key that starts at .25 s lowers a 48 kHz strip from .25 s on, after a gate with
    look-ahead in front of the compressor too."""
    key = np.concatenate([np.zeros((1, 5512)), np.ones((1, 5513))], axis=1)
    comp = {"threshold_db": -20.0, "attack_ms": 0.0, "key": "strip:key"}
    out = mixed(
        {"source": sounds.flat(RATE // 2), "gate": {"lookahead_ms": 20.0}, "compressor": comp},
        {"id": "key", "source": sounds.audio(key, 22050), "mute": True},
    ).master.samples[0]
    settled = out[6000]
    assert settled == pytest.approx(1.0)
    assert int(np.argmax(out[6000:] < 0.9)) + 6000 == pytest.approx(RATE // 4, abs=64)


def test_pre_master_is_before_the_master_and_at_the_same_time(sounds, mixed) -> None:
    """pre_master is the sum, and master what the master bus made of it: not the same, as long,
    and aligned, through a drive and a limiter that look ahead."""
    source = sounds.impulse(20_000, at=7000, level=0.5)
    result = mixed(
        {"source": source},
        master={"drive": 0.2, "volume_db": -6.0, "limiter": {"lookahead_ms": 10.0}},
    )
    np.testing.assert_array_equal(result.pre_master.samples, source.samples)
    assert not np.array_equal(result.master.samples, result.pre_master.samples)
    assert result.master.frames == result.pre_master.frames == 20_000
    assert int(np.argmax(np.abs(result.master.samples[0]))) == 7000


def test_the_limiter_is_last(sounds, mixed) -> None:
    """Whatever compressor, EQ and volume of the master add, no sample passes the ceiling, and no
    true peak: the predecessor's was 5 dB over."""
    loud = sounds.noise(RATE // 2, level=0.5)
    result = mixed(
        {"source": loud, "fader_db": 12.0},
        master={
            "compressor": {"makeup_db": 12.0},
            "eq": {"high": {"gain_db": 12.0}},
            "volume_db": 12.0,
            "limiter": {"ceiling_db": -1.0},
        },
    )
    assert result.peak_db <= -1.0
    assert result.meters.master.loudness.true_peak_db <= -1.0
    assert result.peak_db > -3.0
    assert result.meters.master.reductions["limiter"].max_db > 12.0


def test_look_ahead_in_one_strip_does_not_shift_it_against_the_others(sounds, mixed) -> None:
    """Two equal impulses, one through gate and compressor with look-ahead, fall together."""
    source = sounds.impulse(5000, at=1000, level=0.5)
    late = {"source": source, "gate": {"lookahead_ms": 10.0, "threshold_db": -40.0},
            "compressor": {"lookahead_ms": 20.0, "threshold_db": 0.0}}  # fmt: skip
    out = mixed({"source": source}, late).master.samples
    assert heard(out) == [1000]
    assert out[0, 1000] == pytest.approx(1.0)


@pytest.mark.parametrize("form", ["breakpoints", "automation"])
def test_parameters_may_move(sounds, mixed, form: str) -> None:
    """Fader, pan, EQ gain, threshold and drive follow breakpoints, or an automation, in time."""

    def curve(start: float, end: float) -> Any:
        """From *start* to *end* over the first half of a second, then held."""
        if form == "breakpoints":
            return {"points": [(0.0, start), (0.5, end)]}
        times = (np.arange(100) + 0.5) / 100
        return Automation.from_values(np.interp(times, [0.0, 0.5], [start, end]), 100)

    flat = {"source": sounds.flat(RATE)}
    fader = mixed({**flat, "fader_db": curve(-20.0, 0.0)}).master.samples[0]
    assert decibels(fader[RATE // 4]) == pytest.approx(-10.0, abs=0.1)
    assert fader[-1] == pytest.approx(1.0)
    pan = mixed({**flat, "pan": curve(-1.0, 1.0)}).master.samples
    assert pan[:, RATE // 4] == pytest.approx([1.0, 1.0], abs=0.01)
    assert pan[:, RATE // 8] == pytest.approx([1.0, 0.5], abs=0.01)
    assert pan[:, -1] == pytest.approx([0.0, 1.0])
    threshold = {"threshold_db": curve(-30.0, 0.0), "knee_db": 0.0, "attack_ms": 0.0, "ratio": 100}
    threshold["release_ms"] = 1.0
    comp = mixed({**flat, "compressor": threshold}).master.samples[0]
    assert decibels(comp[RATE // 4]) == pytest.approx(-15.0 * 0.99, abs=0.3)
    assert comp[-1] == pytest.approx(1.0)
    tone = {"source": sounds.sine(100.0, 1.0)}
    low = mixed({**tone, "eq": {"low": {"gain_db": curve(-24.0, 0.0), "frequency_hz": 800.0}}})
    peaks = np.abs(low.master.samples[0]).reshape(-1, 4800).max(axis=1)
    assert decibels(peaks[0] / 0.25) < -18
    assert peaks[-1] == pytest.approx(0.25, rel=1e-3)
    assert (np.diff(peaks)[:5] > 0).all()
    drive = mixed({"source": sounds.flat(RATE, 0.5)}, master={"drive": curve(0.0, 1.0)})
    law = [math.tanh((1 + 3 * d) * 0.5) / (1 + 3 * d) * (1 + d / 2) for d in (0.5, 1.0)]
    assert drive.master.samples[0, [RATE // 4, 40_000]] == pytest.approx(law, abs=2e-3)


def test_stems_add_up_to_pre_master(sounds, mixed) -> None:
    """What strips and buses add, after their faders, is the sum; strips that are not heard are
    not there, and without being asked for there are none."""
    strips = [
        {"id": "a", "source": sounds.noise(9000, 1), "fader_db": -3.0, "pan": 0.5},
        {"id": "b", "source": sounds.noise(5000, seed=2), "sends": [{"bus": "echo"}]},
        {"id": "gone", "source": sounds.noise(5000, seed=3), "mute": True},
    ]
    document = {"buses": [{"id": "echo", "delay": ECHO}], "master": {"volume_db": -6.0}}
    result = mixed(*strips, run={"stems": True}, **document)
    assert list(result.stems) == ["a", "b", "echo"]
    total = sum(stem.samples.astype(np.float64) for stem in result.stems.values())
    np.testing.assert_allclose(total, result.pre_master.samples, rtol=0, atol=1e-6)
    assert mixed(*strips, **document).stems == {}


def test_meters_say_what_the_samples_say(sounds, mixed) -> None:
    """Peak, RMS, loudness and gain reduction of strips, bus, pre_master and master agree with a
    tone of known level."""
    tone = sounds.sine(997.0, 4.0, level=0.5)
    result = mixed(
        {"id": "plain", "source": tone, "fader_db": -14.0, "sends": [{"bus": "bus"}]},
        {"id": "pressed", "source": tone, "compressor": {"threshold_db": -26.0, "knee_db": 0.0}},
        buses=[{"id": "bus", "fader_db": -120.0}],
        master={"volume_db": -6.0},
        run={"loudness": "all"},
    )
    meters = result.meters
    plain = meters.strips["plain"]
    assert plain.peak_db == pytest.approx(-20.02, abs=0.01)
    assert plain.rms_db == pytest.approx(-23.03, abs=0.01)
    assert plain.loudness is not None
    # a stereo sine of 997 Hz at L dBFS peak measures L LUFS (ITU-R BS.1770-4)
    assert plain.loudness.integrated_lufs == pytest.approx(-20.02, abs=0.05)
    assert plain.loudness.momentary_max_lufs == pytest.approx(-20.02, abs=0.05)
    assert plain.loudness.short_term_max_lufs == pytest.approx(-20.02, abs=0.05)
    assert plain.loudness.range_lu == pytest.approx(0.0, abs=0.1)
    assert plain.loudness.true_peak_db == pytest.approx(-20.02, abs=0.05)
    pressed = meters.strips["pressed"].reductions["compressor"]
    assert pressed.max_db == pytest.approx(15.0, abs=0.1)
    assert 14.0 < pressed.mean_db < pressed.max_db
    assert meters.buses["bus"].peak_db == -240.0
    assert meters.pre_master.peak_db - meters.master.peak_db == pytest.approx(6.0, abs=1e-6)
    assert meters.master.peak_db == result.peak_db


def test_loudness_of_the_master_alone(sounds, mixed) -> None:
    """Unless it is asked for, strips have levels and no loudness; the master has both."""
    result = mixed({"source": sounds.noise(RATE)})
    assert result.meters.strips["s0"].loudness is None
    assert result.meters.strips["s0"].peak_db == pytest.approx(result.peak_db, abs=1e-6)
    assert result.meters.master.loudness is not None


def test_the_picture_of_the_meters(sounds, mixed) -> None:
    """Asked for, it is a picture, larger with more strips, the same for the same mix; names of
    any script and length fit."""
    strips = [
        {"source": sounds.noise(9600, seed=n), "name": ("声", "$x$", "Ünïté " * 9)[n % 3]}
        for n in range(32)
    ]
    asked = {"run": {"picture": True}}
    few, many = mixed(*strips[:2], **asked), mixed(*strips, **asked)
    assert isinstance(few.meters_picture, Image)
    assert isinstance(many.meters_picture, Image)
    assert many.meters_picture.pixels.size > few.meters_picture.pixels.size
    again = mixed(*strips[:2], **asked)
    np.testing.assert_array_equal(again.meters_picture.pixels, few.meters_picture.pixels)
    assert mixed(strips[0]).meters_picture is None


def test_thirty_two_strips_and_four_buses(sounds) -> None:
    """The largest console sums right: 32 equal strips, each sent to one of 4 buses at 0 dB, are
    64 times the source."""
    buses = [Bus(id=f"bus{n}") for n in range(4)]
    source = sounds.noise(1000, level=0.01)
    strips = [Strip(id=f"s{n}", source=source, sends=[Send(bus=f"bus{n % 4}")]) for n in range(32)]
    out = mix(MixDoc(strips=strips, buses=buses)).master.samples
    np.testing.assert_allclose(out, 64 * source.samples, rtol=1e-5, atol=1e-7)
