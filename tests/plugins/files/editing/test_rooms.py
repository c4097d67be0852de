"""Rooms: tails that are whole, dry sound that is exact, convolution without surprise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import fftconvolve

from backend.errors import AssetTooLarge, InvalidParameters
from backend.media.audio import Audio
from backend.plugins.files.editing import rooms
from backend.plugins.files.editing.operations import convolve, reverb

Make = Callable[..., Audio]
RNG = np.random.default_rng(31)


def knock(channels: int, rate: int = 44_100) -> Audio:
    samples = np.zeros((channels, rate // 10))
    samples[:, 0] = 1.0
    return Audio.from_samples(samples, rate)


@pytest.mark.parametrize("size", [0.0, 0.5, 1.0])
def test_a_tail_is_kept_until_it_is_gone(size: float):
    """A room without damping has died down by 80 dB at least where the sound ends."""
    made = reverb(knock(2), room_size=size, damping=0.0, mix=1.0).samples
    energy = (made**2).sum(axis=0)
    assert energy[-4410:].sum() < 1e-8 * energy.sum()
    # half a second after the knock, which is long over, the room still sounds
    assert energy[13_230:17_640].sum() > 1e-6 * energy.sum()


def test_a_larger_room_lasts_longer_and_damping_darkens_it():
    """The tail grows with the size; damping takes the highs."""
    lengths = [reverb(knock(1), room_size=size).frames for size in (0.2, 0.8)]
    assert lengths[1] > 2 * lengths[0]
    tails = [
        reverb(knock(1), damping=damping, mix=1.0).samples[0, 13_230:] for damping in (0.0, 1.0)
    ]
    highs = [(np.abs(np.fft.rfft(tail))[len(tail) // 4 :] ** 2).sum() for tail in tails]
    assert highs[1] < 0.05 * highs[0]


def test_without_room_the_dry_sound_is_exact(noise: Make):
    """mix 0 gives the sound itself and silence after it."""
    sound = noise(70_000)
    made = reverb(sound, mix=0.0).samples
    assert np.array_equal(made[:, :70_000], sound.samples)
    assert not made[:, 70_000:].any()


def test_the_room_waits_for_its_pre_delay():
    """With 100 ms more, everything comes 4410 samples later and is otherwise the same."""
    soon = reverb(knock(2), mix=1.0).samples
    late = reverb(knock(2), mix=1.0, pre_delay_ms=100.0).samples
    assert not late[:, :4410].any()
    assert np.abs(late[:, 4410 : 4410 + soon.shape[1]] - soon).max() < 1e-6


def test_blocks_are_not_heard(monkeypatch: pytest.MonkeyPatch, noise: Make):
    """A room goes on from block to block: one block or many, the result is the same."""
    sound = noise(150_000)
    whole = reverb(sound).samples
    monkeypatch.setattr(Audio.blocks, "__defaults__", (7001, 0, None))
    assert np.abs(reverb(sound).samples - whole).max() < 1e-6


def test_more_channels_have_a_room_each():
    """Of three channels, the one that is silent stays silent."""
    sound = knock(3)
    samples = sound.samples.copy()
    samples[1] = 0
    made = reverb(Audio.from_samples(samples, 44_100), mix=1.0).samples
    assert not made[1].any()
    assert np.array_equal(made[0], made[2])


@pytest.mark.parametrize("channels", [1, 2])
def test_a_response_of_one_sample_changes_no_bit(noise: Make, channels: int):
    """The unit impulse gives the sound back, and is not rescaled."""
    sound = noise(200_000, channels)
    assert np.array_equal(convolve(sound, Audio.from_samples([1.0], 48_000)).samples, sound.samples)
    half = convolve(sound, Audio.from_samples([0.0, 0.5], 48_000)).samples
    assert half[:, 1:] == pytest.approx(sound.samples * 0.5, abs=1e-7)


@pytest.mark.parametrize("taps", [100, 70_000, 150_000])
def test_blocks_and_tails_add_up(noise: Make, taps: int):
    """Streamed, with responses shorter and longer than a block: the convolution of the whole."""
    sound = noise(200_000)
    response = RNG.normal(0, 1, (2, taps)) * np.exp(-np.arange(taps) / (taps / 6))
    made = convolve(sound, Audio.from_samples(response, 48_000)).samples
    exact = response.astype(np.float32).astype(float)
    wanted = np.stack([fftconvolve(sound.samples[c].astype(float), exact[c]) for c in range(2)])
    assert made.shape == wanted.shape
    assert np.abs(made - wanted).max() < 1e-6 * np.abs(wanted).max()


def test_one_channel_goes_with_all():
    """Mono in a stereo room is stereo; stereo with a mono response has it on both sides."""
    response = Audio.from_samples([[1.0, 0.0], [0.0, 1.0]], 48_000)
    made = convolve(Audio.from_samples([0.5, 0.25], 48_000), response).samples
    assert made == pytest.approx(np.array([[0.5, 0.25, 0.0], [0.0, 0.5, 0.25]]), abs=1e-9)
    with pytest.raises(InvalidParameters, match="3 channels does not go with 2") as caught:
        convolve(knock(2), knock(3))
    assert caught.value.errors[0].pointer == "/impulse_response"


def test_a_response_takes_the_rate_of_the_sound():
    """An echo after half a second in a response at 8 kHz comes half a second later at 44.1 kHz."""
    echo = np.zeros(4001)
    echo[4000] = 1.0
    made = convolve(knock(1), Audio.from_samples(echo, 8000)).samples[0]
    assert np.abs(made).argmax() == pytest.approx(22_050, abs=1)


@pytest.mark.parametrize("rate", [16_000, 48_000, 96_000])
def test_a_filter_has_its_gain_at_any_rate(rate: int):
    """The same smooth response, kept at three rates, amplifies a 20 Hz tone alike."""
    time = np.arange(int(0.02 * rate)) / rate
    # what it adds up to is 2, whatever the number of its samples
    response = np.sin(np.pi * time / 0.02) ** 2
    response *= 2 / response.sum()
    tone = np.sin(2 * np.pi * 20 * np.arange(48_000) / 48_000)
    made = convolve(Audio.from_samples(tone, 48_000), Audio.from_samples(response, rate))
    wanted = 2 * np.sinc(0.4) / (1 - 0.4**2)  # the spectrum of a raised cosine
    assert np.abs(made.samples[0, 2000:46_000]).max() == pytest.approx(wanted, rel=0.01)


def test_a_response_shorter_than_a_sample_is_refused():
    """Two samples at 48 kHz are nothing at 8 kHz: a rule, not a traceback."""
    with pytest.raises(InvalidParameters, match="nothing is left") as caught:
        convolve(knock(1, 8000), Audio.from_samples([1.0, 0.5], 48_000))
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [
        ("/impulse_response", "too_short")
    ]


def test_energy_keeps_noise_as_loud_as_it_was(noise: Make):
    """A response fifty times too loud leaves noise within 1 dB when it is scaled to energy 1."""
    response = 50 * RNG.normal(0, 1, 5000) * np.exp(-np.arange(5000) / 800)
    sound = noise(100_000, 1)
    made = convolve(sound, Audio.from_samples(response, 48_000), level="energy").samples
    levels = [
        20 * np.log10(np.sqrt((s[:, 5000:95_000] ** 2).mean())) for s in (sound.samples, made)
    ]
    assert levels[0] == pytest.approx(levels[1], abs=1.0)


@pytest.mark.parametrize(
    ("response", "rule"),
    [
        (Audio.from_samples(np.zeros((1, 0)), 48_000), "empty"),
        (Audio.from_samples(np.zeros((1, 10)), 48_000), "silent"),
        (Audio.from_samples([1.0, np.nan], 48_000), "finite"),
    ],
)
def test_responses_that_mean_nothing_are_refused(noise: Make, response: Audio, rule: str):
    """Empty, silent, not a number: each has its rule, and none gives the dry sound."""
    with pytest.raises(InvalidParameters) as caught:
        convolve(noise(1000), response, level="energy")
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [("/impulse_response", rule)]


def test_limits_of_rooms(hours: Callable[[float], Audio], monkeypatch: pytest.MonkeyPatch):
    """A response beyond the limit is 422 and says how long one may last; a result is 413."""
    monkeypatch.setattr(rooms, "LONGEST_RESPONSE", 1000)
    with pytest.raises(InvalidParameters, match=r"0\.0227 s") as caught:
        convolve(knock(1), Audio.from_samples(np.ones(2000), 44_100))
    assert caught.value.errors[0].rule == "too_long"
    with pytest.raises(AssetTooLarge):
        reverb(hours(4.0))
