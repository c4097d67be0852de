"""Video: exact rates, frames and sound as they are, whatever the file is made of."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from backend.media import pictures
from backend.media.containers import NotVideo
from backend.media.video import Video

Film = Callable[..., Path]
RATES = [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60), Fraction(25), Fraction(1, 2)]
CODECS = [
    ("x.mp4", "libx264", "yuv420p"),
    ("x.mkv", "libx264", "yuv420p"),
    ("x.mp4", "libx265", "yuv420p"),
    ("x.webm", "libvpx-vp9", "yuv420p"),
    ("x.webm", "libvpx", "yuv420p"),
    ("x.mov", "prores_ks", "yuv422p10le"),
    ("x.mkv", "ffv1", "bgr0"),
    ("x.mkv", "ffv1", "bgra"),
    ("x.mp4", "mpeg4", "yuv420p"),
    ("x.mp4", "libsvtav1", "yuv420p"),
]


def numbers(video: Video, start: int = 0, step: int = 1, count: int | None = None) -> list[int]:
    """Which frames came, by their grey."""
    return [round(float(f[-8:, -8:].mean()) * 255 / 8) for f in video.frames(start, step, count)]


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.mov"])
def test_the_rate_is_exact(make_film: Film, tmp_path: Path, name: str, rate: Fraction):
    """29.97 is 30000/1001 and not 29, in containers that know only milliseconds, too."""
    video = Video.open(make_film(tmp_path / name, rate=rate, frames=12))
    assert video.frame_rate == rate
    assert video.frame_count == 12
    assert video.duration_s == pytest.approx(float(12 / rate))


@pytest.mark.parametrize(("name", "codec", "pixels"), CODECS)
def test_every_codec_gives_every_frame(
    make_film: Film, tmp_path: Path, name: str, codec: str, pixels: str
):
    """All frames in the order in which they are shown, B-frames and alpha or not; red stays red."""
    size = (128, 96) if codec == "libsvtav1" else (64, 48)
    video = Video.open(make_film(tmp_path / name, codec=codec, pixels=pixels, size=size))
    assert numbers(video) == list(range(20))
    (frame,) = video.frames(3, 1, 1)
    assert frame.shape == (size[1], size[0], 3)
    assert frame.dtype == np.float32
    assert np.abs(frame[4, 4] - [1, 0, 0]).max() < 0.03
    assert video.has_audio is False
    assert video.audio is None


def test_frames_can_be_taken_from_anywhere(make_film: Film, tmp_path: Path):
    """Start, step and count, across places where decoding can begin, and past the end."""
    path = make_film(tmp_path / "x.mp4", frames=30)
    video = Video.open(path)
    assert numbers(video, 7) == list(range(7, 30))
    assert numbers(video, 2, 5) == [2, 7, 12, 17, 22, 27]
    assert numbers(video, 4, 3, 2) == [4, 7]
    assert numbers(video, 29) == [29]
    assert numbers(video, 30) == []
    assert numbers(video, 0, 1, 0) == []
    for wrong in ((-1, 1, None), (0, 0, None), (0, 1, -1)):
        with pytest.raises(ValueError, match="frames start"):
            video.frames(*wrong)


def test_a_jump_gives_the_same_frames_as_decoding_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """In a long file with few key frames, each frame is itself, whatever was skipped before it;
    what lies far from the last frame is jumped to."""
    jumps: list[int] = []
    seek = pictures._Reader._seek

    def jump(self, to):
        jumps.append(to)
        return seek(self, to)

    monkeypatch.setattr(pictures._Reader, "_seek", jump)
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "24", "bf": "3"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(120):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 2 * number, np.uint8))
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    video = Video.open(path)
    every = list(video.frames())
    assert jumps == []
    for start, step in ((0, 50), (23, 25), (95, 1), (1, 40), (118, 1)):
        some = list(video.frames(start, step))
        assert len(some) == len(range(start, 120, step))
        assert all(np.array_equal(a, b) for a, b in zip(some, every[start::step], strict=True))
    assert set(jumps) == {24, 48, 72, 96}


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_frames_stand_upright(make_film: Film, tmp_path: Path, degrees: int):
    """The rotation beside the pictures is applied, and the size is that of the result."""
    path = make_film(tmp_path / "x.mp4", frames=2, turned=degrees)
    video = Video.open(path)
    (plain,) = Video.open(make_film(tmp_path / "y.mp4", frames=2)).frames(1)
    (frame,) = video.frames(1)
    assert (video.height, video.width) == frame.shape[:2]
    assert np.abs(frame - np.rot90(plain, degrees // 90)).max() < 0.02


def test_odd_sizes_are_kept(make_film: Film, tmp_path: Path):
    """An odd width and height are given as they are, each time the same."""
    path = make_film(tmp_path / "x.mkv", frames=3, size=(65, 49), codec="ffv1", pixels="bgr0")
    video = Video.open(path)
    assert (video.width, video.height) == (65, 49)
    first, second = list(video.frames()), list(video.frames())
    assert [f.tobytes() for f in first] == [f.tobytes() for f in second]
    assert first[0].shape == (49, 65, 3)


def test_uneven_pictures_become_even_frames(make_film: Film, tmp_path: Path):
    """A variable rate: a picture that stays is repeated, so that every one is shown on its time."""
    times = [0, 40, 80, 120, 320, 360, 400]  # 200 ms of standstill after the fourth
    video = Video.open(make_film(tmp_path / "x.mkv", frames=7, times=times))
    assert video.timeline.constant is False
    assert video.frame_rate == 25
    assert numbers(video) == [0, 1, 2, 3, 3, 3, 3, 3, 4, 5, 6]
    assert numbers(video, 4, 3) == [3, 3, 6]


def test_trembling_time_stamps_change_nothing(make_film: Film, tmp_path: Path):
    """Time stamps a few milliseconds off the grid: each picture is one frame of a usual rate."""
    off = [0, 5, -4, 3, -6, 2, 6, -3, 1, 0]
    times = [round(1000 * n / 30) + off[n % 10] for n in range(30)]
    video = Video.open(make_film(tmp_path / "x.mkv", frames=30, times=times))
    assert video.timeline.constant
    assert video.frame_rate == 30
    assert numbers(video) == list(range(30))


def test_a_single_picture_is_a_video(make_film: Film, tmp_path: Path):
    """One frame has a rate, a length, and is given."""
    for name in ("x.mp4", "x.mkv"):
        video = Video.open(make_film(tmp_path / name, frames=1, rate=Fraction(30000, 1001)))
        assert (video.frame_count, video.frame_rate) == (1, Fraction(30000, 1001))
        assert numbers(video) == [0]


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [
        ("x.mp4", "libx264", "aac"),
        ("x.mkv", "libx264", "pcm_s16le"),
        ("x.mkv", "ffv1", "flac"),
        ("x.webm", "libvpx-vp9", "libopus"),
        ("x.mov", "prores_ks", "pcm_s24le"),
    ],
)
def test_sound_is_in_time(make_film: Film, tmp_path: Path, name: str, codec: str, sound: str):
    """A click at frame 10 is where frame 10 begins, within a millisecond, in all and in a span."""
    pixels = {"prores_ks": "yuv422p10le", "ffv1": "bgr0"}.get(codec, "yuv420p")
    rate = Fraction(30000, 1001)
    path = make_film(tmp_path / name, codec=codec, pixels=pixels, rate=rate, sound=sound)
    video = Video.open(path)
    audio = video.audio
    assert audio is not None
    assert audio.sample_rate == 48_000
    assert abs(int(np.abs(audio.samples[0]).argmax()) - 10 / rate * 48_000) < 48
    part = video.read_audio(8 / rate, 5 / rate)
    assert part is not None
    assert part.frames == round(5 / rate * 48_000)
    assert abs(int(np.abs(part.samples[0]).argmax()) - 2 / rate * 48_000) < 48


def test_sound_is_cut_and_filled_to_its_span(make_film: Film, tmp_path: Path):
    """A span past the end of the sound is silent there; without a span the length is the file's."""
    video = Video.open(make_film(tmp_path / "x.mp4", rate=25, sound="aac"))
    audio, longer = video.audio, video.read_audio(0, Fraction(2))
    assert audio is not None and longer is not None
    assert audio.frames == 20 * 48_000 // 25
    assert longer.frames == 96_000
    assert not longer.samples[:, 40_000:].any()


def test_sound_that_begins_late_is_preceded_by_silence(tmp_path: Path):
    """Sound whose first time stamp is half a second later than the picture's starts there."""
    with av.open(str(tmp_path / "x.mkv"), "w") as container:
        pictures = container.add_stream("ffv1", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "bgr0"
        heard = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number in range(10):
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
            picture.pts, picture.time_base = number, Fraction(1, 10)
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        part = av.AudioFrame.from_ndarray(np.full((1, 4000), 9000, np.int16), "s16", "mono")
        part.sample_rate, part.pts, part.time_base = 8000, 4000, Fraction(1, 8000)
        container.mux(heard.encode(part))
        container.mux(heard.encode(None))
    audio = Video.open(tmp_path / "x.mkv").audio
    assert audio is not None
    assert audio.frames == 8000
    assert np.flatnonzero(audio.samples[0])[0] == 4000


def test_only_few_frames_are_in_memory(make_film: Film, tmp_path: Path):
    """Frames come one at a time: the first is there although a later one cannot be decoded."""
    path = make_film(tmp_path / "x.mkv", codec="mjpeg", pixels="yuvj420p")
    raw = path.read_bytes()
    start, end = raw.rindex(b"\xff\xd8"), raw.rindex(b"\xff\xd9")
    path.write_bytes(raw[:start] + bytes(end - start) + raw[end:])
    frames = Video.open(path).frames()
    assert next(frames).shape == (48, 64, 3)
    with pytest.raises(NotVideo):
        list(frames)


def test_what_is_no_video_says_so(make_film: Film, make_wav, tmp_path: Path):
    """Sound, text, and a codec that is not read are each refused with a sentence."""
    (tmp_path / "x.wav").write_bytes(make_wav())
    (tmp_path / "x.txt").write_bytes(b"#EXTM3U\n/etc/passwd\n")
    for name, told in (("x.wav", "not accepted"), ("x.txt", "not accepted")):
        with pytest.raises(NotVideo, match=told):
            Video.open(tmp_path / name)
    path = make_film(tmp_path / "x.mkv", codec="mpeg1video")
    with pytest.raises(NotVideo, match="codec mpeg1video"):
        Video.open(path)
