"""Blobs: immutable, durable, and never half there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import blake3
import pytest

from backend.errors import StorageFull
from backend.services import blobs as blobs_module
from backend.services.blobs import Blobs


def prepared(tmp_path: Path) -> Blobs:
    blobs = Blobs(tmp_path / "blobs")
    blobs.prepare()
    return blobs


def source(tmp_path: Path, content: bytes = b"content", name: str = "scratch") -> tuple[Path, str]:
    path = tmp_path / name
    path.write_bytes(content)
    return path, blake3.blake3(content).hexdigest()


def test_a_blob_lies_under_its_digest_and_is_read_only(tmp_path: Path):
    """The file moves to ab/<digest>, and nobody is meant to write to it again."""
    blobs = prepared(tmp_path)
    path, digest = source(tmp_path)
    blobs.place(path, digest)
    placed = tmp_path / "blobs" / digest[:2] / digest
    assert blobs.path(digest) == placed
    assert placed.read_bytes() == b"content"
    assert stat.S_IMODE(placed.stat().st_mode) == 0o444
    assert not path.exists()


def test_equal_content_is_kept_once_and_is_young_again(tmp_path: Path):
    """A second file of the same digest is dropped; the blob starts its grace anew."""
    blobs = prepared(tmp_path)
    path, digest = source(tmp_path)
    blobs.place(path, digest)
    os.utime(blobs.path(digest), (1, 1))
    assert list(blobs.older_than(60)) == [digest]
    again, _ = source(tmp_path)
    blobs.place(again, digest)
    assert not again.exists()
    assert list(blobs.older_than(60)) == []
    assert not blobs.remove(digest, older_than=60)
    assert blobs.path(digest).exists()


def test_a_linked_source_is_dropped_although_it_is_the_blob(tmp_path: Path):
    """An input that a job gives back is a link to the blob itself; renaming would keep both."""
    blobs = prepared(tmp_path)
    path, digest = source(tmp_path)
    blobs.place(path, digest)
    (tmp_path / "link").hardlink_to(blobs.path(digest))
    blobs.place(tmp_path / "link", digest)
    assert not (tmp_path / "link").exists()
    assert blobs.path(digest).stat().st_nlink == 1


def test_from_another_file_system_the_blob_is_copied_whole(tmp_path: Path, monkeypatch):
    """Where a rename is not possible, the copy appears only when it is complete."""
    blobs = prepared(tmp_path)
    path, digest = source(tmp_path)
    rename = Path.rename

    def across(self: Path, target: Path) -> Path:
        if self == path:
            raise OSError(18, "another device")
        assert self.read_bytes() == b"content"
        assert self.parent == target.parent
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", across)
    blobs.place(path, digest)
    assert blobs.path(digest).read_bytes() == b"content"
    assert not path.exists()


def test_what_a_crash_left_half_copied_is_cleared(tmp_path: Path):
    """A temporary file beside the blobs goes once it is old enough; a young one stays."""
    blobs = prepared(tmp_path)
    path, digest = source(tmp_path)
    blobs.place(path, digest)
    left = blobs.path(digest).with_name(blobs_module._TEMPORARY + "x")
    left.write_bytes(b"half")
    assert blobs.clear_temporary(60) == 0
    os.utime(left, (1, 1))
    assert blobs.clear_temporary(60) == 1
    assert not left.exists()
    assert blobs.path(digest).exists()


def test_a_full_disk_has_its_own_error(tmp_path: Path, monkeypatch):
    """No space left is `StorageFull`, which callers may try again after."""
    path, digest = source(tmp_path)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StorageFull):
        prepared(tmp_path).place(path, digest)
    assert path.exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "AB" * 32, "ab" * 31, ""])
def test_only_a_digest_names_a_blob(tmp_path: Path, name: str):
    """Nothing but 64 lower-case hex digits becomes a path."""
    with pytest.raises(ValueError, match="64 hex digits"):
        Blobs(tmp_path).path(name)
