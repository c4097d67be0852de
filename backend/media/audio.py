"""Audio: samples with their rate, in memory or in a file.

Knows: float32 samples ``[channels, frames]``, and the canonical WAV file behind them.
Does not know: other formats (``media.decoding``), levels, and mixing.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend import context
from backend.errors import AssetTooLarge, FieldError
from backend.media import wav
from backend.media.finite import check_finite
from backend.media.reference import MediaValue

IN_MEMORY: Final = 32 * 2**20
"""Audio of more bytes than this is kept in a file when it is made from blocks."""

DEFAULT_BLOCK: Final = 65536

LONGEST_S: Final = 4 * 3600.0
"""Whatever is made may last so long, as what is uploaded may by default."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Audio(MediaValue):
    """Sound of any length. Values are float; 1.0 is full scale, and beyond it is allowed.

    ``path`` is the canonical WAV file, or None while the samples are in memory.
    """

    kind: ClassVar[str] = "audio"
    sample_rate: int
    channels: int
    frames: int
    path: Path | None = None
    held: NDArray[np.float32] | None = field(default=None, repr=False)

    @classmethod
    def from_samples(cls, samples: ArrayLike, sample_rate: int) -> Self:
        """Audio in memory from ``[channels, frames]`` or, for mono, ``[frames]``.

        Raises ``ValueError`` for other shapes and for a rate below 1 Hz.
        """
        array = np.ascontiguousarray(samples, dtype=np.float32)
        if array.ndim == 1:
            array = array[np.newaxis, :]
        if array.ndim != 2 or array.shape[0] < 1:
            raise ValueError(f"samples are [channels, frames], not {array.shape}")
        return cls(_rate(sample_rate), array.shape[0], array.shape[1], None, array)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Audio of a canonical (32-bit float) WAV or RF64 file. Raises `wav.NotWav`."""
        info = wav.read_info(path)
        if not info.is_float32 or info.present < info.data_size:
            raise wav.NotWav("this is not a whole 32-bit float WAV file")
        return cls(info.sample_rate, info.channels, info.frames, path)

    @classmethod
    def from_blocks(
        cls, blocks: Iterable[NDArray[np.float32]], sample_rate: int, channels: int
    ) -> Self:
        """Audio from a stream of ``[channels, n]`` blocks, read once, in constant memory.

        Up to 32 MiB stay in memory; more goes to a canonical file in the run's scratch folder.
        Raises `Unfit` for samples that are not finite.
        """
        with AudioWriter(sample_rate, channels) as writer:
            for block in blocks:
                writer.write(block)
        return cls._of(writer)

    @classmethod
    def _of(cls, writer: AudioWriter) -> Self:
        if writer.path is None:
            samples = np.concatenate(writer.kept or [_nothing(writer.channels)], axis=1)
            return cls.from_samples(samples, writer.sample_rate)
        audio = cls(writer.sample_rate, writer.channels, writer.frames, writer.path)
        if not context.in_run():
            # nobody else clears the system's temporary folder
            weakref.finalize(audio, writer.path.unlink, missing_ok=True)
        return audio

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    @property
    def samples(self) -> NDArray[np.float32]:
        """All samples, float32 ``[channels, frames]``, C-contiguous. Not to be written to.

        Raises `Unfit` for samples that are not finite.
        """
        samples = wav.read_samples(self._file()) if self.held is None else self.held
        check_finite(samples, "audio", self)
        return samples

    def blocks(
        self, frames: int = DEFAULT_BLOCK, start: int = 0, end: int | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """The samples from *start* to *end*, counted in frames, as ``[channels, n]`` blocks of at
        most *frames*, in constant memory. Raises `Unfit` for samples that are not finite."""
        last = self.frames if end is None else min(end, self.frames)
        for block in self._read(frames, start, last):
            end = start + block.shape[1]
            check_finite(block, "audio", self, (start / self.sample_rate, end / self.sample_rate))
            yield block
            start = end

    def _read(self, frames: int, start: int, last: int) -> Iterator[NDArray[np.float32]]:
        if self.held is None:
            yield from wav.read_blocks(self._file(), frames, start, last)
            return
        for place in range(start, last, frames):
            yield self.held[:, place : min(place + frames, last)]

    def save(self, path: Path) -> None:
        """Write the canonical WAV file; equal audio gives equal bytes."""
        with wav.WavWriter(path, self.sample_rate, self.channels) as writer:
            for block in self.blocks():
                writer.write(block)

    def _file(self) -> Path:
        if self.path is None:
            raise ValueError("audio needs samples or a file")
        return self.path


def check_length(frames: float, sample_rate: int) -> None:
    """Refuse a sound of so many frames: raises `AssetTooLarge` if it would be over `LONGEST_S`.

    Whoever knows beforehand how long a result will be asks before working for hours.
    """
    if frames > LONGEST_S * sample_rate:
        told = (
            f"the sound would last {frames / sample_rate:.0f} s; "
            f"the longest is {LONGEST_S:g} s (limit audio_seconds)"
        )
        raise AssetTooLarge(told, errors=[FieldError("", "audio_seconds", told)])


def _rate(sample_rate: int) -> int:
    if sample_rate != int(sample_rate) or sample_rate < 1:
        raise ValueError(f"a sample rate is a whole number of Hz, not {sample_rate}")
    return int(sample_rate)


def _nothing(channels: int) -> NDArray[np.float32]:
    return np.empty((channels, 0), np.float32)


class AudioWriter:
    """Audio made block by block, for a run that makes several at once.

    Up to *in_memory* bytes stay in memory; more goes to a canonical file in the run's scratch
    folder, which is taken away if the ``with`` block raises. Afterwards `audio` gives the value.
    """

    def __init__(self, sample_rate: int, channels: int, in_memory: int | None = None) -> None:
        self.sample_rate = _rate(sample_rate)
        self.channels = channels
        self.frames = 0
        self.path: Path | None = None
        self.kept: list[NDArray[np.float32]] = []
        self._most = IN_MEMORY if in_memory is None else in_memory
        self._file: wav.WavWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._file is None or self.path is None:
            return
        try:
            self._file.__exit__(kind, error, tb)
        finally:
            if error is not None:
                self.path.unlink(missing_ok=True)

    def write(self, block: NDArray[np.float32]) -> None:
        """Add samples ``[channels, n]``; raises as `Audio.from_blocks` does, and `AssetTooLarge`
        for more than `LONGEST_S`."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"a block [{self.channels}, n] is needed, not {block.shape}")
        self.frames += block.shape[1]
        check_length(self.frames, self.sample_rate)
        if self._file is not None:
            self._file.write(block)
            return
        check_finite(block, "audio")
        # a copy: whoever makes the blocks may use one buffer again and again
        self.kept.append(np.array(block, dtype=np.float32))
        if self.frames * self.channels * 4 > self._most:
            self._spill()

    def _spill(self) -> None:
        self.path = context.scratch_folder() / f"audio-{uuid.uuid4().hex}.wav"
        self._file = wav.WavWriter(self.path, self.sample_rate, self.channels)
        self.kept.reverse()
        while self.kept:  # each let go once written
            self._file.write(self.kept.pop())

    def audio(self) -> Audio:
        """What was written, once the ``with`` block has ended."""
        return Audio._of(self)
