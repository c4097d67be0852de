"""Files of weights: what the header of a safetensors file says, and a file's fingerprint.

Knows: the format (8 bytes of length, that much JSON, then the numbers) and what a lie in it is.
Does not know: which model the weights make up (``services.model_architecture``), or how to load it.

The format is https://github.com/huggingface/safetensors#format. Nothing but the header is read, so
a file of 20 GB costs what one of 20 kB does.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeGuard

HEADER_BYTES: Final = 8 << 20
"""Largest header that is read; real ones have up to about 3 MiB."""

SUFFIXES: Final = (".safetensors", ".sft")
WITHOUT_CODE: Final = (*SUFFIXES, ".gguf")
"""Suffixes of files that hold numbers and nothing else. All the others may be pickles."""

PICKLES: Final = (".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl")
"""Suffixes of those that ComfyUI lists as models."""

UPSCALERS: Final = (".pth", ".pt")
"""Suffixes that an upscaler may have besides: ComfyUI's loader reads such a file with torch's
``weights_only``, which takes tensors and plain containers, and nothing that is code."""

SAMPLES: Final = 64
"""How many pieces of a file its fingerprint looks at."""
PIECE: Final = 65536

_BITS: Final = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}
_LENGTH: Final = 8
MOST_DIMENSIONS: Final = 64


class BadHeader(ValueError):
    """The file is no whole safetensors file; the text says why in one sentence, without paths."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """What the header says of one tensor."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """The tensors of a file by name, and the free texts beside them."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]

    @property
    def parameters(self) -> int:
        """How many numbers the file holds."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    @property
    def dtype(self) -> str | None:
        """The type that most of the numbers have."""
        counts: dict[str, int] = {}
        for tensor in self.tensors.values():
            counts[tensor.dtype] = counts.get(tensor.dtype, 0) + math.prod(tensor.shape)
        return max(counts, key=lambda name: counts[name]) if counts else None


def read_header(path: Path) -> Header:
    """The header of a safetensors file. Raises `BadHeader`, and ``OSError`` if it cannot be read.

    Every claim is held against the file: lengths, offsets without holes and overlaps, and sizes
    that fit the shapes.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        text = file.read(_header_length(file.read(_LENGTH), size))
    try:
        said = json.loads(text, object_pairs_hook=_without_twins)
    except BadHeader:
        raise
    except (ValueError, RecursionError) as error:
        raise BadHeader("the header is no JSON") from error
    if not isinstance(said, dict):
        raise BadHeader("the header is no JSON object")
    metadata = said.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise BadHeader("the metadata of the header are no texts")
    spans: list[tuple[int, int]] = []
    tensors = {name: _tensor(name, entry, spans) for name, entry in said.items()}
    _refuse_gaps(spans, size - _LENGTH - len(text))
    return Header(tensors, metadata)


def _header_length(first: bytes, size: int) -> int:
    if len(first) < _LENGTH:
        raise BadHeader(f"the file has {len(first)} bytes; it is no safetensors file")
    length = int.from_bytes(first, "little")
    if length > size - _LENGTH:
        raise BadHeader(
            f"the header says that it has {length} bytes, but the file has {size}: it is cut off,"
            " or no safetensors file"
        )
    if not 2 <= length <= HEADER_BYTES:
        raise BadHeader(f"the header has {length} bytes; up to {HEADER_BYTES} are read")
    return length


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise BadHeader("the header names something twice")
    return made


def _tensor(name: str, entry: Any, spans: list[tuple[int, int]]) -> Tensor:
    told = f"the header's entry for {name[:80]!r} is broken"
    if not isinstance(entry, dict):
        raise BadHeader(told)
    dtype, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or not _are_counts(shape) or not _are_counts(offsets):
        raise BadHeader(told)
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise BadHeader(told)
    bits = _BITS.get(dtype)
    wanted = None if bits is None else -(-math.prod(shape) * bits // 8)
    if wanted is not None and wanted != offsets[1] - offsets[0]:
        raise BadHeader(f"{told}: its shape needs {wanted} bytes, its place has another size")
    spans.append((offsets[0], offsets[1]))
    return Tensor(dtype, tuple(shape))


def _are_counts(value: Any) -> TypeGuard[list[int]]:
    """Whether this is a list of whole numbers of 63 bits that are not negative; a bool is none. As
    many as there are dimensions in torch: the product of ever more is never done."""
    return (
        isinstance(value, list)
        and len(value) <= MOST_DIMENSIONS
        and all(type(each) is int and 0 <= each < 2**63 for each in value)
    )


def _refuse_gaps(spans: list[tuple[int, int]], there: int) -> None:
    """The tensors lie one behind the other and fill the rest of the file."""
    end = 0
    for begin, stop in sorted(spans):
        if begin != end:
            raise BadHeader("the tensors overlap, or leave a gap between them")
        end = stop
    if end > there:
        raise BadHeader(
            f"the file is cut off: its header tells of {end} bytes of weights, {there} are there"
        )
    if end < there:
        raise BadHeader(f"{there - end} bytes stand behind the last tensor")


# --- which file it is -----------------------------------------------------------------------------


def fingerprint(path: Path) -> str:
    """16 hex digits that differ for different files, without reading all of a large one.

    SHA-256 over the length, the whole header of a safetensors file, and 64 evenly spaced pieces of
    64 KiB, the first and the last included. Remembered in this process until the file's size, time
    or inode change. Raises ``OSError``.
    """
    facts = path.stat()
    return _fingerprint(str(path), facts.st_size, facts.st_mtime_ns, facts.st_ino)


def edition(path: Path) -> str:
    """What a cache of results holds against a file: its fingerprint, and when it was last written.

    A file that was written to between the pieces that `fingerprint` looks at has another edition.
    Raises ``OSError``.
    """
    return f"{fingerprint(path)}-{path.stat().st_mtime_ns:x}"


@lru_cache(maxsize=1024)
def _fingerprint(path: str, size: int, changed: int, inode: int) -> str:
    del changed, inode  # parts of the key only
    digest = hashlib.sha256(str(size).encode())
    with Path(path).open("rb") as file:
        if path.lower().endswith(SUFFIXES):
            length = int.from_bytes(file.read(_LENGTH), "little")
            digest.update(file.read(min(length, HEADER_BYTES)))
        for number in range(SAMPLES):
            file.seek(max(0, size - PIECE) * number // (SAMPLES - 1))
            digest.update(file.read(PIECE))
    return digest.hexdigest()[:16]
