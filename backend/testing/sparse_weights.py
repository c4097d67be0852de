"""Weights in a sparse safetensors file: what carries the signal, and holes for all the rest.

Knows: the file format, names and shapes.
Does not know: any architecture (``testing.checkpoints`` does).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

SIZE_OF_HALF: Final = 2

_KNOWN_TOKENS: Final = (slice(0, 4096), slice(-256, None))
"""Rows of the token table that are filled: the common words, and the ends of a text."""


class Weights:
    """The tensors of one file: shapes by name, and which of them are random."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._random: dict[str, float] = {}
        self._even: dict[str, float] = {}
        self._units: set[str] = set()

    def add(self, name: str, *shape: int) -> None:
        """A tensor by its whole name; a hole, or ones if it is a normalisation's scale."""
        self.shapes[name] = shape

    def conv(self, name: str, outputs: int, inputs: int, size: int = 3) -> None:
        self.add(f"{name}.weight", outputs, inputs, size, size)
        self.add(f"{name}.bias", outputs)

    def linear(self, name: str, outputs: int, inputs: int, *, bias: bool = True) -> None:
        self.add(f"{name}.weight", outputs, inputs)
        if bias:
            self.add(f"{name}.bias", outputs)

    def norm(self, name: str, width: int) -> None:
        self.add(f"{name}.weight", width)
        self.add(f"{name}.bias", width)

    def randomise(self, prefix: str, parts: tuple[str, ...], gain: float) -> None:
        """Matrices below *prefix* whose name holds one of *parts* are N(0, gain / √fan-in)."""
        for name, shape in self.shapes.items():
            if name.startswith(prefix) and len(shape) > 1 and any(part in name for part in parts):
                self._random[name] = gain

    def even(self, name: str, value: float) -> None:
        """Every element of *name* is *value*."""
        self._even[name] = value

    def units(self, name: str) -> None:
        """Each row of *name* holds one 1 and else zeros: a large matrix that is not empty."""
        self._units.add(name)

    def write(self, path: Path, seed: int = 0, metadata: dict[str, str] | None = None) -> Path:
        """Write the safetensors file (half precision). Equal seeds, equal bytes."""
        header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
        offset = 0
        for name, shape in self.shapes.items():
            end = offset + math.prod(shape) * SIZE_OF_HALF
            header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, end]}
            offset = end
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(seed)
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            start = file.tell()
            for name in self.shapes:
                place = start + header[name]["data_offsets"][0]
                for offset_here, values in self._values(name, random):
                    file.seek(place + offset_here * SIZE_OF_HALF)
                    file.write(values.tobytes())
            file.truncate(start + offset)
        return path

    def _values(self, name: str, random: np.random.Generator) -> Iterator[tuple[int, Any]]:
        """The parts of a tensor that are no holes: ``(first element, values)``."""
        shape = self.shapes[name]
        if name in self._even:
            yield 0, np.full(shape, self._even[name], np.float16)
        elif name in self._units:
            width = math.prod(shape[1:])
            for row in range(shape[0]):
                yield row * width + row % width, np.ones(1, np.float16)
        elif len(shape) == 1 and not name.endswith("bias"):
            yield 0, np.ones(shape, np.float16)
        elif name in self._random:
            scale = self._random[name] / math.sqrt(math.prod(shape[1:]))
            whole = slice(0, shape[0])
            for rows in _KNOWN_TOKENS if "token_embedding" in name else (whole,):
                first, last, _ = rows.indices(shape[0])
                drawn = random.standard_normal((last - first, *shape[1:]), dtype=np.float32)
                yield first * math.prod(shape[1:]), (drawn * np.float32(scale)).astype(np.float16)
