"""Audio values: in memory or in a file, the samples are the same."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from backend import context
from backend.media import audio as audio_module
from backend.media import wav
from backend.media.audio import Audio, AudioWriter

RNG = np.random.default_rng(7)


def test_one_dimension_is_mono():
    """A list of samples becomes float32 [1, frames], C-contiguous."""
    sound = Audio.from_samples([0.0, 0.5, -0.5], 8_000)
    assert sound.samples.dtype == np.float32
    assert sound.samples.shape == (1, 3)
    assert sound.samples.flags.c_contiguous
    assert (sound.channels, sound.frames, sound.duration_s) == (1, 3, 3 / 8_000)


@pytest.mark.parametrize("shape", [(2, 3, 4), (0, 5)])
def test_other_shapes_are_refused(shape: tuple[int, ...]):
    """Samples without channels, or with batches, are an error that names the shape."""
    with pytest.raises(ValueError, match="samples are"):
        Audio.from_samples(np.zeros(shape), 48_000)


@pytest.mark.parametrize("rate", [0, -1, 44_100.5])
def test_a_rate_is_a_whole_positive_number(rate: float):
    """A rate of zero or with a fraction is refused."""
    with pytest.raises(ValueError, match="sample rate"):
        Audio.from_samples([0.0], rate)  # type: ignore[arg-type]


def test_blocks_join_to_the_samples(tmp_path: Path):
    """However large the blocks, in memory and from a file, they join to the same samples."""
    samples = RNG.normal(size=(3, 1001)).astype(np.float32)
    held = Audio.from_samples(samples, 48_000)
    held.save(tmp_path / "x.wav")
    for sound in (held, Audio.open(tmp_path / "x.wav")):
        for size in (1, 100, 5000):
            assert np.array_equal(np.concatenate(list(sound.blocks(size)), axis=1), samples)


def test_short_blocks_stay_in_memory_and_are_copied():
    """A maker of blocks may use its buffer again: what was given before does not change."""
    buffer = np.zeros((1, 2), np.float32)

    def blocks():
        for value in (1.0, 2.0):
            buffer[:] = value
            yield buffer

    sound = Audio.from_blocks(blocks(), 8_000, 1)
    assert sound.path is None
    assert sound.samples.tolist() == [[1.0, 1.0, 2.0, 2.0]]


def test_long_blocks_go_to_a_canonical_file_in_the_scratch_folder(tmp_path: Path, monkeypatch):
    """Beyond the memory limit the run's scratch folder holds the file, and it stays."""
    monkeypatch.setattr(audio_module, "IN_MEMORY", 1000)
    samples = RNG.normal(size=(2, 999)).astype(np.float32)
    with context.scratch_in(tmp_path):
        sound = Audio.from_blocks((samples[:, i : i + 100] for i in range(0, 999, 100)), 48_000, 2)
    assert sound.path is not None
    path = sound.path
    assert path.parent == tmp_path
    assert wav.read_info(path).is_canonical
    assert np.array_equal(sound.samples, samples)
    del sound
    gc.collect()
    assert path.exists()


def test_without_a_run_the_file_goes_with_the_value(monkeypatch):
    """Outside a run nobody clears the temporary folder, so the file ends with the value."""
    monkeypatch.setattr(audio_module, "IN_MEMORY", 1000)
    sound = Audio.from_blocks([np.zeros((1, 5000), np.float32)], 48_000, 1)
    assert sound.path is not None
    path = sound.path
    assert path.exists()
    del sound
    gc.collect()
    assert not path.exists()


def test_a_failing_maker_leaves_no_file(tmp_path: Path, monkeypatch):
    """If the blocks end in an error, half a file is not left behind."""
    monkeypatch.setattr(audio_module, "IN_MEMORY", 10)

    def blocks():
        yield np.zeros((1, 100), np.float32)
        raise RuntimeError("no more")

    with context.scratch_in(tmp_path), pytest.raises(RuntimeError, match="no more"):
        Audio.from_blocks(blocks(), 48_000, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_integers_is_no_canonical_audio(tmp_path: Path):
    """Only 32-bit float files are opened; others must be decoded first."""
    with wav.WavWriter(tmp_path / "x.wav", 48_000, 1, "int16") as writer:
        writer.write(np.zeros((1, 4), np.int32))
    with pytest.raises(wav.NotWav):
        Audio.open(tmp_path / "x.wav")


def test_two_hours_stream_in_constant_memory(tmp_path: Path):
    """Copying two hours (230 MB, sparse) block by block adds under 60 MiB of private memory."""
    path, frames = tmp_path / "long.wav", 7200 * 8000
    with wav.WavWriter(path, 8_000, 1) as writer:
        writer.write(np.zeros((1, 1), np.float32))
        writer.frames = frames
    with path.open("r+b") as file:
        file.truncate(wav.DATA_OFFSET + frames * 4)
    process, most = psutil.Process(), 0
    before = process.memory_full_info().uss

    def watched():
        nonlocal most
        for number, block in enumerate(Audio.open(path).blocks()):
            if number % 50 == 0:
                most = max(most, process.memory_full_info().uss - before)
            yield block

    with context.scratch_in(tmp_path):
        copy = Audio.from_blocks(watched(), 8_000, 1)
    assert copy.frames == frames
    assert most < 60 * 2**20


def test_several_sounds_are_written_at_once(tmp_path: Path) -> None:
    """Writers take blocks in turns; what is over their memory goes to a file, and what raises in
    between leaves no file."""
    rng = np.random.default_rng(4)
    small, large = (rng.standard_normal((2, 500)).astype(np.float32) for _ in range(2))
    with context.scratch_in(tmp_path):
        with AudioWriter(48_000, 2) as one, AudioWriter(48_000, 2, in_memory=1000) as two:
            for start in range(0, 500, 100):
                one.write(small[:, start : start + 100])
                two.write(large[:, start : start + 100])
        assert one.audio().path is None
        assert two.audio().path is not None
        np.testing.assert_array_equal(one.audio().samples, small)
        np.testing.assert_array_equal(two.audio().samples, large)
        assert len(list(tmp_path.iterdir())) == 1
        with pytest.raises(ValueError, match=r"a block \[2, n\] is needed"):
            _write(AudioWriter(48_000, 2, in_memory=10), small, small[:1])
        assert len(list(tmp_path.iterdir())) == 1


def _write(writer: AudioWriter, *blocks: NDArray[np.float32]) -> None:
    with writer:
        for block in blocks:
            writer.write(block)
