"""Applying a separation model to a sound of any length.

Knows: rate, channels and level in front of a model and behind it, pieces, progress, what is left.
Does not know: where a model comes from (``loading``).

Demucs works on overlapping segments. A long sound is cut into pieces, with so much of the
neighbours around each that every network of a bag can begin on the grid of its own segments: the
part which is kept is equal to that of the whole, memory stays constant and no seam is heard.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import DEFAULT_BLOCK, Audio, AudioWriter
from backend.media.resampling import resample_blocks, resampled
from backend.plugins import Context, refused

from .results import Residual, Separated

if TYPE_CHECKING:
    import torch
    from demucs.apply import BagOfModels

Block = NDArray[np.float32]
PIECE_S: Final = 60.0
"""About so many seconds are in memory at a time, once for each source."""
_SHIFT_S: Final = 0.5
"""Demucs shifts by at most this."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `stems.separate` was asked for."""

    two_stems: str | None = None
    residual: Residual = "leave"
    shifts: int = 0
    overlap: float = 0.25
    seed: int = 0
    device: str = "auto"


def separated(audio: Audio, model: BagOfModels, settings: Settings, ctx: Context) -> Separated:
    """*audio* taken apart by *model*. Raises `InvalidParameters` for more than two channels, an
    empty sound and a source that the model does not have; `Unfit` for NaN."""
    sources = list(model.sources)
    _check(audio, sources, settings)
    rate = int(model.samplerate)
    mix = _stereo(audio, rate)
    with ExitStack() as stack:
        writers = [stack.enter_context(AudioWriter(rate, 2)) for _ in sources]
        for piece in _Separation(mix, model, settings, ctx).pieces():
            for writer, source in zip(writers, piece, strict=True):
                writer.write(source)
    stems = {
        name: _as_before(writer.audio(), audio)
        for name, writer in zip(sources, writers, strict=True)
    }
    return _given(audio, stems, settings)


def _check(audio: Audio, sources: list[str], settings: Settings) -> None:
    if audio.channels > 2:
        raise refused("/audio", "channels", f"{audio.channels} channels; a mix has one or two")
    if audio.frames == 0:
        raise refused("/audio", "frames", "the sound is empty")
    if settings.two_stems is not None and settings.two_stems not in sources:
        known = ", ".join(sources)
        raise refused(
            "/two_stems", "source", f"{settings.two_stems!r} is none of the model's: {known}"
        )


def _stereo(audio: Audio, rate: int) -> Audio:
    """The mix as the model wants it: two channels at its rate."""
    two = (np.repeat(block, 3 - audio.channels, axis=0) for block in audio.blocks())
    return Audio.from_blocks(resample_blocks(two, 2, audio.sample_rate, rate), rate, 2)


def _as_before(stem: Audio, mix: Audio) -> Audio:
    """A stem with the rate, the channels and the length of the mix."""
    stem = resampled(stem, mix.sample_rate)

    def blocks() -> Iterator[Block]:
        left = mix.frames
        for block in stem.blocks():
            block = block[:, :left]
            left -= block.shape[1]
            yield block if mix.channels == 2 else block.mean(axis=0, keepdims=True)
        if left:  # a frame may be lost on the way to the model's rate and back
            yield np.zeros((mix.channels, left), np.float32)

    return Audio.from_blocks(blocks(), mix.sample_rate, mix.channels)


class _Separation:
    """One run of a model over one mix at its own rate."""

    def __init__(self, mix: Audio, model: BagOfModels, settings: Settings, ctx: Context) -> None:
        self._mix, self._model, self._settings, self._ctx = mix, model, settings, ctx
        self._mean, self._deviation = _level(mix)
        lengths = [int(mix.sample_rate * network.segment) for network in model.models]
        strides = [int((1 - settings.overlap) * length) for length in lengths]
        # as far as a segment and a shift reach, and on to the next border of any network's grid
        self._around = max(lengths) + 2 * int(_SHIFT_S * mix.sample_rate) + max(strides)
        self._core = max(int(PIECE_S * mix.sample_rate), self._around)
        self._networks = [
            (network, np.array(weights).reshape(-1, 1, 1), stride)
            for network, weights, stride in zip(model.models, model.weights, strides, strict=True)
        ]
        self._rounds = max(1, settings.shifts)
        self._done = 0

    def pieces(self) -> Iterator[Block]:
        """The sources [sources, 2, n], piece by piece."""
        device = _device(self._settings.device)
        for before, samples in _windows(self._mix.blocks(), self._core, self._around):
            made = self._apply(samples, self._done - before, device)
            sources = made[..., before : before + self._core]
            self._done += sources.shape[-1]
            yield sources

    def _apply(self, samples: Block, start: int, device: torch.device) -> Block:
        """The sources of one window [2, n] at the mix's level, float32 [sources, 2, n]; the window
        begins with frame *start* of the mix, and each network with the first border of its own
        grid in it.

        The networks of a bag, and the shifts of each, are averaged here and not by Demucs: it
        draws the shifts from numbers that its networks consume too, so they would depend on the
        length of the piece.
        """
        import torch
        from demucs.apply import apply_model

        level = max(self._deviation, 1e-8)
        even = torch.from_numpy((samples.astype(np.float64) - self._mean) / level).float()[None]
        shape = (len(self._model.sources), *samples.shape)
        total, weight = np.zeros(shape), np.zeros((shape[0], 1, 1))
        with torch.inference_mode():
            for number, (network, weights, stride) in enumerate(self._networks):
                skipped = -start % stride
                for shift in range(self._rounds):
                    with _drawn_from(f"{self._settings.seed} {number} {shift}"):
                        sources = apply_model(
                            network,
                            even[..., skipped:],
                            shifts=min(1, self._settings.shifts),
                            overlap=self._settings.overlap,
                            device=device,
                            callback=self._teller(number * self._rounds + shift, samples.shape[1]),
                        )
                    total[..., skipped:] += sources[0].cpu().numpy() * weights
                    weight += weights
        return (total / weight * level + self._mean).astype(np.float32)

    def _teller(self, part: int, frames: int) -> Callable[[dict[str, Any]], None]:
        """What Demucs calls at each segment of one part of a window: it tells the progress, and
        what it raises ends the separation."""
        parts = len(self._networks) * self._rounds
        here = min(self._core, self._mix.frames - self._done)

        def tell(told: dict[str, Any]) -> None:
            within = (part + min(1.0, told["segment_offset"] / frames)) / parts
            self._ctx.progress(self._done + within * here, self._mix.frames)

        return tell


def _level(mix: Audio) -> tuple[float, float]:
    """Mean and standard deviation of the mix's mono sum, by which Demucs levels its input."""
    total = squares = 0.0
    for block in mix.blocks():
        mono = block.mean(axis=0, dtype=np.float64)
        total += float(mono.sum())
        squares += float(np.square(mono).sum())
    mean = total / mix.frames
    return mean, math.sqrt(max(0.0, squares / mix.frames - mean * mean))


def _windows(blocks: Iterable[Block], core: int, around: int) -> Iterator[tuple[int, Block]]:
    """The stream in windows [2, n] of *core* frames with up to *around* on each side; with each
    goes how many lie in front of its core."""
    stream, before = iter(blocks), 0
    held = np.zeros((2, 0), np.float32)
    while True:
        parts, have = [held], held.shape[1]
        while have < before + core + around and (block := next(stream, None)) is not None:
            parts.append(block)
            have += block.shape[1]
        held = np.concatenate(parts, axis=1)
        if have <= before:
            return
        yield before, held[:, : before + core + around]
        held = held[:, before + core - around :] if have > before + core else held[:, :0]
        before = around if held.shape[1] else 0


@contextmanager
def _drawn_from(seed: str) -> Iterator[None]:
    """Within this block Python's own random numbers, from which Demucs draws, come from *seed*."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def _device(asked: str) -> torch.device:
    import torch

    gpu = asked == "auto" and torch.cuda.is_available()
    return torch.device("cuda" if gpu else "cpu")


def _given(mix: Audio, stems: dict[str, Audio], settings: Settings) -> Separated:
    """The stems as asked for: all or two, with or without what is left."""
    if settings.two_stems is not None:
        wanted = {settings.two_stems: stems[settings.two_stems]}
        rest = _without(mix, wanted)
        return Separated({**wanted, f"no_{settings.two_stems}": rest}, None)
    if settings.residual == "leave":
        return Separated(stems, None)
    left = _without(mix, stems)
    if settings.residual == "return":
        return Separated(stems, left)
    share = 1.0 / len(stems)
    shared = {name: _sum(mix, ((stem, 1.0), (left, share))) for name, stem in stems.items()}
    return Separated(shared, None)


def _without(mix: Audio, stems: dict[str, Audio]) -> Audio:
    """The mix minus the stems."""
    return _sum(mix, ((mix, 1.0), *((stem, -1.0) for stem in stems.values())))


def _sum(like: Audio, parts: tuple[tuple[Audio, float], ...]) -> Audio:
    """Weighted sum of sounds of one form, in double precision, rounded once."""
    streams = zip(*(part.blocks(DEFAULT_BLOCK) for part, _ in parts), strict=True)
    weights = [weight for _, weight in parts]

    def blocks() -> Iterator[Block]:
        for each in streams:
            total = sum(
                block.astype(np.float64) * w for block, w in zip(each, weights, strict=True)
            )
            yield np.asarray(total, np.float32)

    return Audio.from_blocks(blocks(), like.sample_rate, like.channels)
