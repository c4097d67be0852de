"""The canonical WAV file: exact, deterministic, and past 4 GiB."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backend.errors import OperationFailed
from backend.media import wav


def write(path: Path, samples: np.ndarray, rate: int = 48_000, **options) -> Path:
    with wav.WavWriter(path, rate, samples.shape[0], **options) as writer:
        writer.write(samples)
    return path


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    samples=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 8), st.integers(0, 50)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    rate=st.sampled_from([8_000, 44_100, 384_000]),
)
def test_every_finite_float_survives(tmp_path: Path, samples: np.ndarray, rate: int):
    """Any float32 samples, over full scale and denormal ones too, come back to the bit."""
    path = tmp_path / "x.wav"
    path.unlink(missing_ok=True)
    info = wav.read_info(write(path, samples, rate))
    assert (info.channels, info.sample_rate, info.frames) == (
        *samples.shape[:1],
        rate,
        samples.shape[1],
    )
    assert wav.read_samples(path).tobytes() == samples.tobytes()


def test_equal_samples_give_equal_bytes_however_they_are_cut(tmp_path: Path):
    """The file depends on nothing but the samples and the rate: no date, no block size."""
    samples = np.random.default_rng(1).normal(size=(2, 1000)).astype(np.float32)
    whole = write(tmp_path / "a.wav", samples)
    with wav.WavWriter(tmp_path / "b.wav", 48_000, 2) as writer:
        for start in range(0, 1000, 7):
            writer.write(samples[:, start : start + 7])
    assert whole.read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert wav.read_info(whole).is_canonical


def test_a_file_past_the_limit_is_rf64(tmp_path: Path):
    """Over the RIFF limit the header is RF64 with the true sizes in ds64, and reads the same."""
    samples = np.arange(20, dtype=np.float32).reshape(2, 10)
    path = write(tmp_path / "x.wav", samples, riff_limit=100)
    head = path.read_bytes()[: wav.DATA_OFFSET]
    assert head[:8] == b"RF64\xff\xff\xff\xff"
    assert head[12:16] == b"ds64"
    assert struct.unpack("<QQQ", head[20:44]) == (path.stat().st_size - 8, 80, 10)
    assert head[-4:] == b"\xff\xff\xff\xff"
    assert np.array_equal(wav.read_samples(path), samples)
    assert wav.read_info(path).is_canonical


def test_five_gibibytes_are_addressed(tmp_path: Path):
    """The last frames of a (sparse) 5 GiB file are found, which no 32-bit size could name."""
    path = tmp_path / "x.wav"
    write(path, np.zeros((1, 1), np.float32), riff_limit=1)
    frames = 5 * 2**28
    data = frames * 4
    with path.open("r+b") as file:
        file.seek(20)
        file.write(struct.pack("<QQQ", wav.DATA_OFFSET - 8 + data, data, frames))
        file.truncate(wav.DATA_OFFSET + data)
        file.seek(-8, 2)
        file.write(struct.pack("<2f", 0.25, -0.5))
    assert wav.read_info(path).frames == frames
    (last,) = wav.read_blocks(path, 4, start=frames - 4)
    assert last.tolist() == [[0.0, 0.0, 0.25, -0.5]]


@pytest.mark.parametrize(("form", "top"), [("int16", 2**15), ("int24", 2**23)])
def test_integer_samples_are_written_as_they_are(tmp_path: Path, form: wav.SampleFormat, top: int):
    """16 and 24-bit files hold the given integers, little-endian, and pad odd data."""
    samples = np.array([[-top, -1, 0, 1, top - 1]], np.int32)
    path = write(tmp_path / "x.wav", samples, sample_format=form)
    raw, width = path.read_bytes(), 2 if form == "int16" else 3
    data = raw[wav.DATA_OFFSET :]
    found = [
        int.from_bytes(data[i : i + width], "little", signed=True)
        for i in range(0, 5 * width, width)
    ]
    assert found == samples[0].tolist()
    assert len(raw) % 2 == 0
    assert struct.unpack("<I", raw[4:8])[0] == len(raw) - 8


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_never_written(tmp_path: Path, value: float):
    """NaN and infinity end the write with an error that says so."""
    with pytest.raises(OperationFailed, match="NaN or infinite"):
        write(tmp_path / "x.wav", np.array([[0.0, value]], np.float32))


def test_chunks_around_the_samples_are_passed_over(tmp_path: Path):
    """A foreign float file with odd-sized chunks before and after its samples is read exactly."""
    data = struct.pack("<4f", 0.5, -1.5, 0.25, 1.0)
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 2, 44_100, 352_800, 8, 32)
    body = fmt + b"LIST\x03\0\0\0abc\0" + struct.pack("<4sI", b"data", 16) + data + b"id3 \0\0\0\0"
    path = tmp_path / "x.wav"
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WAVE") + body)
    assert wav.read_samples(path).tolist() == [[0.5, 0.25], [-1.5, 1.0]]
    assert not wav.read_info(path).is_canonical


@pytest.mark.parametrize("keep", [0, 5, 12, 40, 91])
def test_half_a_header_is_no_wav(tmp_path: Path, keep: int):
    """A file that ends within its header is refused, wherever it ends."""
    path = write(tmp_path / "x.wav", np.zeros((1, 4), np.float32))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(wav.NotWav):
        wav.read_info(path)


def test_fewer_samples_than_declared_are_refused(tmp_path: Path):
    """A cut file does not come back as a shorter sound."""
    path = write(tmp_path / "x.wav", np.zeros((1, 100), np.float32))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(wav.NotWav, match="fewer samples"):
        wav.read_samples(path)
