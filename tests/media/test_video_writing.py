"""Writing video: equal calls give equal bytes, rates are exact, and nothing is lost unasked."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest

from backend.errors import OperationFailed
from backend.media.audio import Audio
from backend.media.video_writing import VideoFormat, write

LOSSLESS = VideoFormat("mkv_ffv1")


def frames(count: int = 12, size: tuple[int, int] = (64, 48)) -> Iterator[np.ndarray]:
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3))
    for number in range(count):
        yield (np.roll(noise, 3 * number, axis=1) / 255.0).astype(np.float32)


def click(at: int, frames_: int = 48_000, rate: int = 48_000) -> Audio:
    samples = np.zeros((2, frames_), np.float32)
    samples[:, at] = 0.9
    return Audio.from_samples(samples, rate)


@pytest.mark.parametrize("how", [VideoFormat(), LOSSLESS], ids=["mp4", "mkv"])
def test_equal_calls_give_equal_bytes(how: VideoFormat):
    """Also after other work has left its traces in memory."""
    made = []
    for _ in range(4):
        video = write(frames(), Fraction(24000, 1001), click(9000), how)
        made.append(video.path.read_bytes())
        assert len(list(video.frames())) == 12
    assert len(set(made)) == 1


@pytest.mark.parametrize(
    "rate",
    [
        Fraction(24000, 1001),
        Fraction(30000, 1001),
        Fraction(1, 10),
        Fraction(60),
        Fraction(2997, 100),
        Fraction(1000),
    ],
    ids=str,
)
@pytest.mark.parametrize("how", [VideoFormat(), LOSSLESS], ids=["mp4", "mkv"])
def test_the_rate_that_was_asked_for_is_in_the_file(how: VideoFormat, rate: Fraction):
    """Exactly, from one frame in ten seconds to a thousand in one."""
    video = write(frames(5), rate, None, how)
    assert (video.frame_rate, video.frame_count) == (rate, 5)


def test_matroska_keeps_every_bit():
    """FFV1 and float PCM: pixels on the 8-bit grid, odd sizes, and samples over full scale."""
    samples = np.random.default_rng(2).normal(0, 2, (2, 12_000)).astype(np.float32)
    video = write(frames(12, (65, 49)), Fraction(48), Audio.from_samples(samples, 48_000), LOSSLESS)
    for came, given in zip(video.frames(), frames(12, (65, 49)), strict=True):
        assert np.array_equal(came, given)
    audio = video.audio
    assert audio is not None
    assert np.array_equal(audio.samples, samples)


def test_sixteen_bits_survive():
    """A deep picture in a lossless file comes back on the 16-bit grid."""
    ramp = (np.arange(64 * 48 * 3).reshape(48, 64, 3) * 7 % 65536 / 65535.0).astype(np.float32)
    video = write([ramp], Fraction(24), None, VideoFormat("mkv_ffv1", bit_depth=16))
    (came,) = video.frames()
    assert video.bit_depth == 16
    assert np.array_equal(np.rint(came * 65535), np.rint(ramp * 65535))


def test_colours_survive_h264():
    """Flat colours come back within one and a half steps of 255, at an even and at an odd size."""
    for size in ((64, 48), (65, 49)):
        for colour in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.25, 0.75), (1, 1, 1), (0, 0, 0)):
            flat = np.broadcast_to(np.array(colour, np.float32), (size[1], size[0], 3))
            (came,) = write([flat], Fraction(24), None, VideoFormat(crf=4.0)).frames()
            assert np.abs(came - flat).max() * 255 < 1.6, colour


def test_the_colour_matrix_is_named():
    """Players need not guess: the file says BT.709 and limited range."""
    video = write(frames(2), Fraction(24))
    with av.open(str(video.path)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.color_range, codec.colorspace) == (1, 1)
        assert (codec.color_primaries, codec.color_trc) == (1, 1)


@pytest.mark.parametrize("sample_rate", [48_000, 44_100, 50_000])
def test_sound_is_in_time_and_as_long_as_the_pictures(sample_rate: int):
    """AAC's own delay is taken out, a rate that AAC lacks is resampled, and the end is exact."""
    rate = Fraction(30000, 1001)
    at = round(5 / rate * sample_rate)
    video = write(frames(12), rate, click(at, 2 * sample_rate, sample_rate))
    audio = video.audio
    assert audio is not None
    assert audio.frames == pytest.approx(12 / rate * audio.sample_rate, abs=1)
    heard = int(np.abs(audio.samples[0]).argmax()) / audio.sample_rate
    assert heard == pytest.approx(float(5 / rate), abs=0.001)


def test_short_sound_is_left_short():
    """Sound that ends before the pictures does not keep them from being written."""
    video = write(frames(12), Fraction(12), click(100, 4800), LOSSLESS)
    audio = video.audio
    assert audio is not None
    assert (video.frame_count, audio.frames) == (12, 4800)


def test_grey_and_alpha_become_rgb():
    """Grey is three equal channels, and transparency is dropped."""
    grey = np.full((16, 16, 1), 0.4, np.float32)
    rgba = np.concatenate([np.full((16, 16, 3), 0.4), np.zeros((16, 16, 1))], axis=2)
    for given in (grey, rgba.astype(np.float32)):
        (came,) = write([given], Fraction(24), None, LOSSLESS).frames()
        assert np.allclose(came, 0.4)


def test_values_out_of_range_are_clipped_and_nan_is_refused():
    """1.5 is white; what is no number is no picture, and leaves no file behind."""
    (came,) = write([np.full((8, 8, 3), 1.5, np.float32)], Fraction(24), None, LOSSLESS).frames()
    assert (came == 1.0).all()
    with pytest.raises(OperationFailed, match="NaN"):
        write([np.full((8, 8, 3), np.nan, np.float32)], Fraction(24))


def test_no_frame_and_different_sizes_are_refused():
    """Each with a sentence that says what is wrong."""
    with pytest.raises(ValueError, match="at least one"):
        write([], Fraction(24))
    with pytest.raises(ValueError, match="frame 1 is 8 x 16"):
        write([np.zeros((8, 8, 3), np.float32), np.zeros((16, 8, 3), np.float32)], Fraction(24))


def test_four_channels_stand_where_a_sound_file_has_them():
    """Left, right and two behind (``quad``), as in an M4A file. Matroska keeps no places."""
    sound = Audio.from_samples(np.zeros((4, 4800)), 48_000)
    video = write([np.zeros((16, 16, 3), np.float32)], Fraction(10), sound)
    with av.open(str(video.path)) as container:
        assert container.streams.audio[0].layout.name == "quad"
