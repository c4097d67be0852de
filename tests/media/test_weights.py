"""Headers of safetensors files: read, bounded, and not believed when they lie."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.media import weights
from backend.testing import checkpoints


def raw(path: Path, header: Any, behind: bytes = b"") -> Path:
    """A file with this header, as JSON unless it is bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + behind)
    return path


def entry(begin: int, end: int, shape: list[int], dtype: str = "F16") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_a_real_file_is_read(tmp_path: Path) -> None:
    """Names, shapes, types and the number of parameters, of 226,099 numbers in 42 tensors."""
    header = weights.read_header(checkpoints.write_upscaler(tmp_path / "up.safetensors"))
    assert header.tensors["conv_first.weight"].shape == (8, 3, 3, 3)
    assert (len(header.tensors), header.parameters, header.dtype) == (42, 226_099, "F16")


def test_metadata_come_along(tmp_path: Path) -> None:
    """Free texts beside the tensors; scalars and packed types have their sizes."""
    said = {"__metadata__": {"a": "b"}, "x": entry(0, 2, []), "y": entry(2, 5, [6], "F4")}
    header = weights.read_header(raw(tmp_path / "a", said, b"12345"))
    assert (header.metadata, header.parameters) == ({"a": "b"}, 7)


@pytest.mark.parametrize(
    ("header", "behind", "told"),
    [
        ({"x": entry(0, 4, [2])}, b"12", "cut off: its header tells of 4 bytes of weights, 2 are"),
        ({"x": entry(0, 4, [2])}, b"123456", "2 bytes stand behind the last tensor"),
        ({"x": entry(0, 4, [9])}, b"1234", "shape needs 18 bytes"),
        ({"x": entry(0, 4, [2]), "y": entry(2, 6, [2])}, b"123456", "overlap"),
        ({"x": entry(2, 6, [2])}, b"123456", "leave a gap"),
        ({"x": entry(4, 0, [2])}, b"1234", "'x' is broken"),
        ({"x": entry(0, 4, [-2])}, b"1234", "'x' is broken"),
        ({"x": entry(0, 4, [True])}, b"1234", "'x' is broken"),
        ({"x": entry(0, 0, [10**4000], "NEW")}, b"", "'x' is broken"),
        ({"x": entry(0, 0, [10**4000] * 1500)}, b"", "'x' is broken"),  # its product takes minutes
        ({"x": entry(0, 0, [2] * 65)}, b"", "'x' is broken"),
        ({"x": 3}, b"", "'x' is broken"),
        ({"x": {"dtype": "F16"}}, b"", "'x' is broken"),
        ({"__metadata__": {"a": 1}}, b"", "no texts"),
        (b'{"x": 1, "x": 2}', b"", "twice"),
        (b"[]", b"", "no JSON object"),
        (b"<html>", b"", "no JSON"),
        (b"[" * 100_000, b"", "no JSON"),
        (b"", b"", "header has 0 bytes"),
    ],
)
def test_a_lie_is_named(tmp_path: Path, header: Any, behind: bytes, told: str) -> None:
    """Every claim of the header is held against the file, and what is wrong is said."""
    with pytest.raises(weights.BadHeader, match=told):
        weights.read_header(raw(tmp_path / "a", header, behind))


def test_no_more_is_read_than_the_limit(tmp_path: Path) -> None:
    """A header of 8 MiB and a byte, and one of 2^63 bytes in a small file, are refused unread."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write((weights.HEADER_BYTES + 1).to_bytes(8, "little"))
        file.truncate(1 << 34)
    with pytest.raises(weights.BadHeader, match="up to 8388608 are read"):
        weights.read_header(path)
    path.write_bytes((1 << 63).to_bytes(8, "little") + b"{}")
    with pytest.raises(weights.BadHeader, match="the file has 10"):
        weights.read_header(path)
    path.write_bytes(b"1234")
    with pytest.raises(weights.BadHeader, match="4 bytes"):
        weights.read_header(path)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 220))
def test_any_bytes_are_an_answer(
    tmp_path_factory: pytest.TempPathFactory, text: bytes, length: int
) -> None:
    """Whatever stands in a file, it is a header or a `BadHeader`."""
    path = tmp_path_factory.mktemp("any") / "a"
    path.write_bytes(length.to_bytes(8, "little") + text)
    with contextlib.suppress(weights.BadHeader):
        weights.read_header(path)


def test_a_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    """A copy has the same one, another seed another, and a change is seen after it was asked."""
    one = checkpoints.write_lora(tmp_path / "a.safetensors")
    copy = tmp_path / "b.safetensors"
    copy.write_bytes(one.read_bytes())
    other = checkpoints.write_lora(tmp_path / "c.safetensors", seed=1)
    first = weights.fingerprint(one)
    assert first == weights.fingerprint(copy) != weights.fingerprint(other)
    one.write_bytes(other.read_bytes())
    assert weights.fingerprint(one) == weights.fingerprint(other)


def test_the_header_counts_where_no_piece_is_looked_at(tmp_path: Path) -> None:
    """Two files that differ only in the middle of a long header have different fingerprints."""
    made = []
    for mark in "ab":
        said = {"__metadata__": {"x": " " * 2_000_000 + mark + " " * 2_000_000}}
        path = raw(tmp_path / f"{mark}.safetensors", said)
        with path.open("ab") as file:
            file.truncate(64 << 20)
        made.append(weights.fingerprint(path))
    assert made[0] != made[1]


def test_an_edition_sees_what_a_fingerprint_misses(tmp_path: Path) -> None:
    """A byte between the pieces leaves the fingerprint and changes the edition."""
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    before, marked = weights.edition(path), weights.fingerprint(path)
    with path.open("r+b") as file:
        file.seek(600_000)  # pieces lie about a MiB apart
        file.write(b"x")
    facts = path.stat()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1_000_000))
    assert weights.fingerprint(path) == marked
    assert weights.edition(path) != before
