"""Decoding sound: exact where the format is, whole or refused, within limits."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
from av.audio.resampler import AudioResampler

from backend.errors import AssetRejected, AssetTooLarge, InvalidParameters, StorageFull
from backend.media import wav
from backend.media.decoding import Limits, decode_upload
from backend.media.decoding_audio import decode

LOSSY = [("x.mp3", "libmp3lame"), ("x.m4a", "aac"), ("x.opus", "libopus"), ("x.aac", "aac")]
LOSSLESS = [("x.flac", "flac"), ("x.aiff", "pcm_s16be"), ("x.wav", "pcm_s24le")]


def riff(
    samples: bytes, *, tag: int = 1, bits: int = 16, channels: int = 1, rate: int = 48_000
) -> bytes:
    width = channels * bits // 8
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * width, width, bits)
    data = struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI4s", b"RIFF", len(fmt + data) + 4, b"WAVE") + fmt + data


def decoded(tmp_path: Path, raw: bytes) -> np.ndarray:
    (tmp_path / "upload").write_bytes(raw)
    return decode(tmp_path / "upload", tmp_path, 60.0, 0).samples


def test_16_bits_are_divided_by_32768(tmp_path: Path):
    """Every 16-bit value v becomes exactly v / 32768."""
    values = np.arange(-(2**15), 2**15).astype("<i2")
    samples = decoded(tmp_path, riff(values.tobytes()))
    assert np.array_equal(samples[0].astype(np.float64), values / 2.0**15)


def test_24_bits_are_divided_by_2_to_the_23(tmp_path: Path):
    """24-bit values, the extremes among them, become exactly v / 2^23."""
    some = np.random.default_rng(1).integers(-(2**23), 2**23, 1000)
    values = np.array([-(2**23), -1, 0, 1, 2**23 - 1, *some])
    raw = b"".join(int(v).to_bytes(3, "little", signed=True) for v in values)
    samples = decoded(tmp_path, riff(raw, bits=24))
    assert np.array_equal(samples[0].astype(np.float64), values / 2.0**23)


def test_floats_are_kept_over_full_scale_too(tmp_path: Path):
    """A float file comes through to the bit: nothing is clipped or scaled."""
    values = np.array([[0.1, -7.5, 3e38, 1e-45], [1, 2, 3, 4]], np.float32)
    samples = decoded(tmp_path, riff(values.T.tobytes(), tag=3, bits=32, channels=2))
    assert samples.tobytes() == values.tobytes()


def test_our_own_file_comes_back_as_itself(tmp_path: Path):
    """Uploading a canonical file gives the same bytes, hence the same reference."""
    with wav.WavWriter(tmp_path / "own.wav", 44_100, 2) as writer:
        writer.write(np.random.default_rng(4).normal(size=(2, 70_000)).astype(np.float32))
    stored = decode_upload(tmp_path / "own.wav", tmp_path, Limits())
    assert stored.path.read_bytes() == (tmp_path / "own.wav").read_bytes()


@pytest.mark.parametrize(("name", "codec"), LOSSY + LOSSLESS)
def test_every_accepted_format_is_decoded(tmp_path: Path, encode, name: str, codec: str):
    """A second of sine comes back at its rate, length and level from every format."""
    stored = decode_upload(encode(name, codec), tmp_path, Limits())
    assert (stored.kind, stored.media_type) == ("audio", "audio/wav")
    assert stored.details["sample_rate"] == 48_000
    assert stored.details["channels"] == 2
    assert stored.details["frames"] == pytest.approx(48_000, abs=0 if "aac" not in codec else 2048)
    middle = wav.read_samples(stored.path)[:, 5000:40_000]
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.03)


def test_mp3_has_no_gap(tmp_path: Path, encode):
    """The encoder's delay and padding are taken off: the sine starts where it started."""
    sound = decode(encode("x.mp3", "libmp3lame"), tmp_path, 60.0, 0)
    ideal = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)[2000:-2000]
    assert sound.frames == 48_000
    found = sound.samples[0, 2000:-2000]
    # the encoder lowers the level by 5 %, which is no matter here
    assert np.abs(found / np.abs(found).max() - ideal).max() < 0.01


@pytest.mark.parametrize(("name", "codec"), LOSSY + LOSSLESS)
@pytest.mark.parametrize("cut", [1, 20, "tenth", "half"])
def test_a_cut_file_is_refused(tmp_path: Path, encode, name: str, codec: str, cut: int | str):
    """Whether one byte is missing or half of all: no format passes as a shorter sound."""
    path = encode(name, codec)
    raw = path.read_bytes()
    missing = {"tenth": len(raw) // 10, "half": len(raw) // 2}.get(str(cut)) or int(cut)
    path.write_bytes(raw[:-missing])
    with pytest.raises(AssetRejected, match="cut"):
        decode_upload(path, tmp_path, Limits())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path: Path, value: float):
    """NaN and infinity in a float file are named."""
    raw = riff(np.array([0, value], "<f4").tobytes(), tag=3, bits=32)
    with pytest.raises(AssetRejected, match="NaN or infinite"):
        decoded(tmp_path, raw)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"channels": 9}, "channels"),
        ({"rate": 7_999}, "sample_rate"),
        ({"rate": 400_000}, "sample_rate"),
    ],
)
def test_channels_and_rates_have_limits(tmp_path: Path, options: dict, rule: str):
    """Nine channels, and rates under 8 or over 384 kHz, break a named rule."""
    with pytest.raises(InvalidParameters) as caught:
        decoded(tmp_path, riff(bytes(2 * 9 * 100), **options))
    assert caught.value.errors[0].rule == rule


def test_a_long_sound_is_too_large(tmp_path: Path):
    """Longer than the limit is refused while decoding, and the limit is named."""
    (tmp_path / "upload").write_bytes(riff(bytes(2 * 8_000 * 3), rate=8_000))
    with pytest.raises(AssetTooLarge, match=r"2 s \(limit audio_seconds\)"):
        decode_upload(tmp_path / "upload", tmp_path, Limits(audio_seconds=2.0))


def test_a_full_disk_ends_the_decoding(tmp_path: Path):
    """Below the disk's floor decoding stops instead of filling the disk."""
    frames = 20 * 2**20
    (tmp_path / "upload").write_bytes(riff(b"", rate=384_000))
    with (tmp_path / "upload").open("r+b") as file:
        file.seek(40)
        file.write(struct.pack("<I", frames * 2))
        file.truncate(44 + frames * 2)
    with pytest.raises(StorageFull):
        decode_upload(tmp_path / "upload", tmp_path, Limits(disk_floor_bytes=2**62))


def test_a_file_without_samples_is_refused(tmp_path: Path):
    """A correct header in front of nothing is no sound."""
    with pytest.raises(AssetRejected):
        decoded(tmp_path, riff(b""))


def test_a_playlist_in_disguise_opens_nothing(tmp_path: Path):
    """A playlist behind an MP3's first bytes cannot make the decoder read another file."""
    (tmp_path / "secret.wav").write_bytes(riff(bytes(20_000)))
    lines = f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'secret.wav'}\n"
    for disguise in (
        lines,
        "ID3" + lines,
        f"ffconcat version 1.0\nfile {tmp_path / 'secret.wav'}\n",
    ):
        (tmp_path / "upload").write_text(disguise)
        with pytest.raises(AssetRejected):
            decode_upload(tmp_path / "upload", tmp_path, Limits())


@contextmanager
def most_memory() -> Iterator[list[int]]:
    """The most private memory over what was there before, in bytes, sampled by a thread."""
    process, most, end = psutil.Process(), [0], threading.Event()
    before = process.memory_full_info().uss

    def sample() -> None:
        while not end.wait(0.02):
            most[0] = max(most[0], process.memory_full_info().uss - before)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield most
    finally:
        end.set()
        thread.join()


def test_two_hours_are_decoded_in_constant_memory(tmp_path: Path):
    """Two hours of 16-bit sound (115 MB, sparse) add under 60 MiB of private memory."""
    frames = 7200 * 8_000
    head = riff(b"", rate=8_000)
    with (tmp_path / "upload").open("wb") as file:
        file.write(head[:40] + struct.pack("<I", frames * 2))
        file.truncate(44 + frames * 2)
    with most_memory() as most:
        stored = decode_upload(tmp_path / "upload", tmp_path, Limits())
    assert stored.details["duration_s"] == 7200.0
    assert most[0] < 60 * 2**20


@pytest.mark.parametrize(("name", "codec"), [("x.m4a", "aac"), ("x.opus", "libopus")])
@pytest.mark.parametrize("seconds", [1.0, 1.0123])
def test_lossy_files_end_where_they_say(
    tmp_path: Path, encode, name: str, codec: str, seconds: float
):
    """What fills the last packet is left out; an MP4 that counts in milliseconds keeps the one
    that it cannot name, so that nothing is lost."""
    path = encode(name, codec, seconds=seconds)
    frames = decode(path, tmp_path, 60.0, 0).frames
    wanted = int(48_000 * seconds)
    assert wanted <= frames <= wanted + (96 if codec == "aac" else 0)


def test_an_mp4_that_declares_too_little_is_not_believed(tmp_path: Path, encode):
    """Where there is much more sound than a header says, all of it is decoded."""
    path = encode("x.m4a", "aac", seconds=2.0)
    raw = bytearray(path.read_bytes())
    place = raw.index(b"edts")
    raw[place : place + 4] = b"free"  # an edit list would be obeyed
    place = raw.index(b"mdhd") + 20
    assert int.from_bytes(raw[place : place + 4], "big") == pytest.approx(96_000, abs=3000)
    raw[place : place + 4] = (24_000).to_bytes(4, "big")
    path.write_bytes(raw)
    assert decode(path, tmp_path, 60.0, 0).frames > 1.9 * 48_000


@pytest.mark.parametrize("codec", ["aac", "libopus"])
def test_eight_planes_are_decoded(tmp_path: Path, codec: str):
    """Eight channels, whose planes PyAV would look for behind its array, come back."""
    path = tmp_path / ("x.m4a" if codec == "aac" else "x.opus")
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=48_000, layout="7.1")
        silence = np.zeros((1, 8 * 48_000), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="flt", layout="7.1")
        frame.sample_rate, frame.pts = 48_000, 0
        context = stream.codec_context
        cut = AudioResampler(context.format, "7.1", 48_000, context.frame_size or 960)
        for part in (*cut.resample(frame), *cut.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    found = decode(path, tmp_path, 60.0, 0)
    assert found.channels == 8
    assert np.abs(found.samples).max() < 1e-3


@pytest.mark.parametrize("declared", [2**31, 2**40, 2**63])
def test_an_rf64_header_that_lies_is_refused(tmp_path: Path, declared: int):
    """A file of a few bytes that declares gibibytes is cut, whatever the number."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 48_000, 96_000, 2, 16)
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, declared + 60, declared, declared // 2, 0)
    data = struct.pack("<4sI", b"data", 0xFFFFFFFF) + bytes(100)
    raw = struct.pack("<4sI4s", b"RF64", 0xFFFFFFFF, b"WAVE") + sizes + fmt + data
    with pytest.raises(AssetRejected, match="declares"):
        decoded(tmp_path, raw)


def test_a_wav_header_that_contradicts_itself_is_refused(tmp_path: Path):
    """No channels, no rate, no bits: a sentence each, and no division by them."""
    for lie in ({"channels": 0}, {"rate": 0}, {"bits": 0}):
        with pytest.raises(AssetRejected, match="no channels, no rate or no bits"):
            decoded(tmp_path, riff(bytes(100), **lie))
