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
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend import context
from backend.media import wav
from backend.media.reference import MediaValue

IN_MEMORY: Final = 32 * 2**20
"""Audio of more bytes than this is kept in a file when it is made from blocks."""

DEFAULT_BLOCK: Final = 65536


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
        Raises ``OperationFailed`` for samples that are not finite, as far as a file is written.
        """
        rate, kept, size = _rate(sample_rate), list[NDArray[np.float32]](), 0
        stream = iter(blocks)
        for block in stream:
            if block.ndim != 2 or block.shape[0] != channels:
                raise ValueError(f"a block [{channels}, n] is needed, not {block.shape}")
            # a copy: whoever makes the blocks may use one buffer again and again
            kept.append(np.array(block, dtype=np.float32))
            size += kept[-1].nbytes
            if size > IN_MEMORY:
                return cls._in_file(_chain(kept, stream), rate, channels)
        empty = np.empty((channels, 0), np.float32)
        return cls.from_samples(np.concatenate([*kept, empty], axis=1), rate)

    @classmethod
    def _in_file(cls, blocks: Iterable[NDArray[np.float32]], rate: int, channels: int) -> Self:
        folder = context.scratch_folder()
        path = folder / f"audio-{uuid.uuid4().hex}.wav"
        try:
            with wav.WavWriter(path, rate, channels) as writer:
                for block in blocks:
                    writer.write(block)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        audio = cls(rate, channels, writer.frames, path)
        if not context.in_run():
            # nobody else clears the system's temporary folder
            weakref.finalize(audio, path.unlink, missing_ok=True)
        return audio

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    @property
    def samples(self) -> NDArray[np.float32]:
        """All samples, float32 ``[channels, frames]``, C-contiguous. Not to be written to."""
        if self.held is not None:
            return self.held
        return wav.read_samples(self._file())

    def blocks(self, frames: int = DEFAULT_BLOCK) -> Iterator[NDArray[np.float32]]:
        """The samples as ``[channels, n]`` blocks of at most *frames*, in constant memory."""
        if self.held is None:
            yield from wav.read_blocks(self._file(), frames)
            return
        for start in range(0, self.frames, frames):
            yield self.held[:, start : start + frames]

    def save(self, path: Path) -> None:
        """Write the canonical WAV file; equal audio gives equal bytes."""
        with wav.WavWriter(path, self.sample_rate, self.channels) as writer:
            for block in self.blocks():
                writer.write(block)

    def _file(self) -> Path:
        if self.path is None:
            raise ValueError("audio needs samples or a file")
        return self.path


def _rate(sample_rate: int) -> int:
    if sample_rate != int(sample_rate) or sample_rate < 1:
        raise ValueError(f"a sample rate is a whole number of Hz, not {sample_rate}")
    return int(sample_rate)


def _chain(
    kept: list[NDArray[np.float32]], rest: Iterator[NDArray[np.float32]]
) -> Iterator[NDArray[np.float32]]:
    """The kept blocks, each let go once given, then the rest."""
    kept.reverse()
    while kept:
        yield kept.pop()
    yield from rest
