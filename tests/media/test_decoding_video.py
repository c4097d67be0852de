"""Uploaded video: kept without loss in a clean container, or refused with its reason."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from backend.errors import AssetRejected, AssetTooLarge, InvalidParameters, StorageFull
from backend.media.audio import Audio
from backend.media.codecs import StoredFile
from backend.media.decoding import Limits, decode_upload
from backend.media.video import Video

Film = Callable[..., Path]
KINDS = [
    ("x.mp4", "libx264", "yuv420p", "aac", ".mp4"),
    ("x.mkv", "libx264", "yuv420p", "aac", ".mp4"),
    ("x.mkv", "libx264", "yuv420p", "pcm_s16le", ".mkv"),
    ("x.mp4", "libx265", "yuv420p", "libmp3lame", ".mp4"),
    ("x.webm", "libvpx-vp9", "yuv420p", "libopus", ".mp4"),
    ("x.webm", "libvpx", "yuv420p", "libvorbis", ".mkv"),
    ("x.mov", "prores_ks", "yuv422p10le", "pcm_s24le", ".mkv"),
    ("x.mkv", "ffv1", "bgr0", "flac", ".mkv"),
    ("x.mp4", "mpeg4", "yuv420p", "ac3", ".mp4"),
]


def kept(path: Path, **limits: float) -> StoredFile:
    """What an upload of *path* becomes."""
    folder = path.parent / "canonical"
    folder.mkdir(exist_ok=True)
    return decode_upload(path, folder, Limits(**limits))  # type: ignore[arg-type]


def opened(stored: StoredFile) -> Video:
    assert (stored.kind, stored.media_type.partition("/")[0]) == ("video", "video")
    return Video.open(stored.path)


@pytest.mark.parametrize(("name", "codec", "pixels", "sound", "suffix"), KINDS)
def test_nothing_is_lost(
    make_film: Film, tmp_path: Path, name: str, codec: str, pixels: str, sound: str, suffix: str
):
    """Every frame is the same to the bit, the rate is exact, and the sound is in its place."""
    if sound == "libvorbis" and sound not in av.codec.codecs_available:
        sound = "libopus"
    rate = Fraction(30000, 1001)
    path = make_film(tmp_path / name, codec=codec, pixels=pixels, rate=rate, sound=sound)
    before, stored = Video.open(path), kept(path)
    after = opened(stored)
    assert stored.path.suffix == after.suffix == suffix
    assert (after.frame_rate, after.frame_count) == (rate, 20)
    for one, other in zip(before.frames(), after.frames(), strict=True):
        assert np.array_equal(one, other)
    old, new = before.audio, after.audio
    assert old is not None and new is not None
    assert abs(int(np.abs(new.samples[0]).argmax()) - 10 / rate * 48_000) < 48
    assert min(old.frames, new.frames) == pytest.approx(20 / rate * 48_000, rel=0.05)
    # Matroska knows milliseconds, so the samples may lie less than one beside their place
    places = [int(np.abs(sound.samples[0]).argmax()) for sound in (old, new)]
    one, other = (
        sound.samples[0, place - 9000 : place + 9000]
        for sound, place in zip((old, new), places, strict=True)
    )
    assert np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(60), Fraction(1, 2)], ids=str)
@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.mov"])
def test_the_rate_becomes_exact(make_film: Film, tmp_path: Path, name: str, rate: Fraction):
    """Also where the upload knows only milliseconds; equal uploads become equal bytes, and so does
    an upload of what was kept."""
    path = make_film(tmp_path / name, rate=rate, frames=10)
    stored = kept(path)
    assert opened(stored).frame_rate == rate
    assert kept(path).blake3 == stored.blake3
    again = tmp_path / f"again{stored.path.suffix}"
    again.write_bytes(stored.path.read_bytes())
    assert kept(again).blake3 == stored.blake3


def test_metadata_stays_behind(make_film: Film, tmp_path: Path):
    """Titles, places and dates of the upload, and a subtitle track, are not in what is kept."""
    plain = make_film(tmp_path / "plain.mp4")
    tagged = tmp_path / "tagged.mp4"
    with av.open(str(plain)) as source, av.open(str(tagged), "w") as target:
        target.metadata["title"] = "a secret title"
        target.metadata["location"] = "+52.5200+013.4050/"
        target.metadata["creation_time"] = "2024-01-01T00:00:00Z"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert b"secret title" in tagged.read_bytes()
    stored = kept(tagged)
    raw = stored.path.read_bytes()
    assert b"secret title" not in raw
    assert b"+52.52" not in raw
    assert stored.blake3 == kept(plain).blake3


def test_a_turned_video_stays_turned(make_film: Film, tmp_path: Path):
    """The rotation goes with the pictures: what is kept is upright as well."""
    path = make_film(tmp_path / "x.mp4", turned=90)
    video = opened(kept(path))
    assert (video.width, video.height) == (48, 64)


def test_a_variable_rate_is_kept(make_film: Film, tmp_path: Path):
    """Pictures at uneven times are kept at these times."""
    times = [0, 40, 80, 120, 320, 360, 400]
    video = opened(kept(make_film(tmp_path / "x.mkv", frames=7, times=times)))
    assert video.timeline.constant is False
    assert [round(float(f[-4:, -4:].mean()) * 255 / 8) for f in video.frames()] == [
        *(0, 1, 2, 3, 3, 3, 3, 3, 4, 5, 6)
    ]


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.mov", "x.webm"])
@pytest.mark.parametrize("left", [0.1, 0.4, 0.7, 0.95, 0.999])
def test_a_cut_file_is_refused(make_film: Film, tmp_path: Path, name: str, left: float):
    """However much is missing: never half a video, never anything but a refusal."""
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    sound = "libopus" if name.endswith("webm") else "aac"
    path = make_film(tmp_path / name, codec=codec, sound=sound)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * left)])
    with pytest.raises(AssetRejected, match=r"cut|damaged"):
        kept(path)


def test_a_header_that_declares_more_is_refused(make_film: Film, tmp_path: Path):
    """A Matroska file that says it lasts an hour, and holds less than a second."""
    path = make_film(tmp_path / "x.mkv")
    raw = bytearray(path.read_bytes())
    at = raw.index(b"\x44\x89\x88") + 3  # Duration, eight bytes long, in milliseconds
    raw[at : at + 8] = struct.pack(">d", 3_600_000.0)
    path.write_bytes(raw)
    with pytest.raises(AssetRejected, match="declares 3600 s"):
        kept(path)
    raw[at : at + 8] = struct.pack(">d", 36_000_000.0)
    path.write_bytes(raw)
    with pytest.raises(AssetTooLarge, match="video_seconds"):
        kept(path)


def test_ten_hours_are_too_long(make_film: Film, tmp_path: Path):
    """A film of ten hours, a picture every ten seconds, is refused by its limit at once."""
    path = make_film(
        tmp_path / "x.mkv", codec="ffv1", pixels="bgr0", rate=Fraction(1, 10), frames=3600,
        size=(16, 16),
    )  # fmt: skip
    with pytest.raises(AssetTooLarge, match="video_seconds"):
        kept(path)


@pytest.mark.parametrize(("name", "rate"), [("x.mp4", 10_000), ("x.mp4", Fraction(1, 20))])
def test_rates_out_of_reach_are_refused(make_film: Film, tmp_path: Path, name: str, rate: Fraction):
    """10 000 frames a second, and one in twenty seconds, break the rule ``frame_rate``."""
    with pytest.raises(InvalidParameters) as caught:
        kept(make_film(tmp_path / name, rate=rate, frames=8))
    (error,) = caught.value.errors
    assert (error.pointer, error.rule) == ("/file", "frame_rate")


def test_too_many_pixels_are_refused(make_film: Film, tmp_path: Path):
    """By the header, before anything is decoded."""
    path = make_film(tmp_path / "x.mp4")
    with pytest.raises(AssetTooLarge, match="video_pixels"):
        kept(path, video_pixels=3000)
    with pytest.raises(AssetTooLarge, match="video_seconds"):
        kept(path, video_seconds=0.5)


def test_sound_out_of_reach_is_refused(make_film: Film, tmp_path: Path):
    """A sample rate below 8 kHz breaks its rule; NaN in a float track is refused."""
    path = make_film(tmp_path / "x.mkv", sound="pcm_s16le", sample_rate=4000)
    with pytest.raises(InvalidParameters, match="4000 Hz"):
        kept(path)
    path = make_film(tmp_path / "y.mkv", sound="pcm_f32le")
    raw = path.read_bytes()
    sample = struct.pack("<f", 0.9)
    path.write_bytes(raw.replace(sample, struct.pack("<f", float("nan"))))
    with pytest.raises(AssetRejected, match="NaN"):
        kept(path)


def test_damaged_pictures_are_refused(make_film: Film, tmp_path: Path):
    """Compressed pictures that were overwritten do not decode, and are not passed on as grey.

    H.264 has no checksum: a few wrong bits can be other valid ones, a third of the file cannot.
    """
    for codec, pixels in (("libx264", "yuv420p"), ("mjpeg", "yuvj420p"), ("ffv1", "bgr0")):
        path = make_film(tmp_path / f"{codec}.mkv", codec=codec, pixels=pixels, size=(128, 96))
        raw = bytearray(path.read_bytes())
        count = len(raw) // 3
        raw[count : 2 * count] = np.random.default_rng(3).bytes(count)
        path.write_bytes(raw)
        with pytest.raises(AssetRejected):
            kept(path)


def test_pictures_and_archives_in_such_containers_are_refused(make_film: Film, tmp_path: Path):
    """A HEIF image, an AVI film and text behind a video's first bytes each get a sentence."""
    heic = tmp_path / "x.heic"
    heic.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(AssetRejected, match="HEIF"):
        kept(heic)
    with pytest.raises(AssetRejected, match="not accepted") as caught:
        kept(make_film(tmp_path / "x.avi", codec="mpeg4"))
    assert "MP4, MOV, Matroska and WebM" in str(caught.value.remedy)
    for head in (b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftypisom", b"\0\0\0\x08moov"):
        path = tmp_path / "text"
        path.write_bytes(head + b"#EXTM3U\n/etc/passwd\n" * 20)
        with pytest.raises(AssetRejected):
            kept(path)


def test_a_codec_that_is_not_read_is_named(make_film: Film, tmp_path: Path):
    """Pictures, and sound, in a codec beside the list."""
    with pytest.raises(AssetRejected, match="codec mpeg1video"):
        kept(make_film(tmp_path / "x.mkv", codec="mpeg1video"))
    with pytest.raises(AssetRejected, match="codec mp2"):
        kept(make_film(tmp_path / "y.mkv", sound="mp2"))


def test_containers_without_pictures_are_sounds(make_film: Film, tmp_path: Path):
    """What a browser records as WebM, and an MP4 of sound alone, become audio."""
    for name, codec in (("x.webm", "libopus"), ("x.mp4", "aac")):
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream(codec, rate=48_000, layout="mono")
            part = av.AudioFrame.from_ndarray(np.full((1, 24_000), 0.2, np.float32), "fltp", "mono")
            part.sample_rate = 48_000
            container.mux(stream.encode(part))
            container.mux(stream.encode(None))
        stored = kept(path)
        assert stored.kind == "audio"
        assert Audio.open(stored.path).duration_s == pytest.approx(0.5, abs=0.03)


def test_a_full_disk_is_told(make_film: Film, tmp_path: Path):
    """Below the floor nothing is written."""
    with pytest.raises(StorageFull):
        kept(make_film(tmp_path / "x.mp4"), disk_floor_bytes=2**60)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_few_pictures_keep_their_rate(make_film: Film, tmp_path: Path, frames: int):
    """In Matroska, whose time stamps alone could not tell it."""
    path = make_film(
        tmp_path / "x.mkv", codec="ffv1", pixels="bgr0", frames=frames, rate=Fraction(24000, 1001)
    )
    video = opened(kept(path))
    assert (video.frame_rate, video.frame_count) == (Fraction(24000, 1001), frames)


def test_pictures_that_an_edit_list_hides_stay_hidden(make_film: Film, tmp_path: Path):
    """A film that was trimmed without compressing it again begins where it was trimmed."""
    whole, trimmed = make_film(tmp_path / "x.mp4", sound="aac"), tmp_path / "trimmed.mp4"
    with av.open(str(whole)) as source, av.open(str(trimmed), "w") as target:
        pictures = source.streams.video[0]
        stream = target.add_stream_from_template(pictures)
        for packet in source.demux(pictures):
            if packet.size:
                back = round(Fraction(5, 25) / packet.time_base)
                packet.pts, packet.dts = (packet.pts or 0) - back, (packet.dts or 0) - back
                packet.stream = stream
                target.mux(packet)
    for video in (Video.open(trimmed), opened(kept(trimmed))):
        assert video.frame_count == 15
        grey = [round(float(frame[-4:, -4:].mean()) * 255 / 8) for frame in video.frames()]
        assert grey == list(range(5, 20))
