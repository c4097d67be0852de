"""Codecs: every kind is stored, described and opened again; files are linked where that is safe."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import blake3
import numpy as np
import pytest

from backend.media import codecs, png
from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.file import File, media_type_of
from backend.media.image import Image, Mask
from backend.media.midi import Midi
from backend.media.reference import MediaValue
from backend.media.video import Video

MIDI = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x0c\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0"
GRID = png.from_grid(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))


def values() -> list[tuple[MediaValue, str, dict]]:
    return [
        (
            Audio.from_samples(np.zeros((2, 24_000)), 48_000),
            "audio/wav",
            {"duration_s": 0.5, "sample_rate": 48_000, "channels": 2, "frames": 24_000},
        ),
        (
            Image.from_array(GRID),
            "image/png",
            {"width": 5, "height": 4, "channels": 3, "bit_depth": 8},
        ),
        (Mask.from_array(GRID[:, :, 0]), "image/png", {"width": 5, "height": 4}),
        (Midi.from_bytes(MIDI), "audio/midi", {"duration_s": 0.5, "notes": 1}),
        (
            Automation.from_values(np.zeros(3), "3/2"),
            "application/json",
            {"duration_s": 2.0, "frames": 3, "frame_rate": "3/2"},
        ),
    ]


@pytest.mark.parametrize(("value", "media_type", "details"), values(), ids=lambda v: str(v)[:12])
def test_every_kind_is_stored_described_and_opened(
    tmp_path: Path, value: MediaValue, media_type: str, details: dict
):
    """The stored file has the hash, size, type and facts it says, and opens as an equal value."""
    stored = codecs.store(value, tmp_path, "out")
    raw = stored.path.read_bytes()
    assert stored.blake3 == blake3.blake3(raw).hexdigest()
    assert (stored.size, stored.media_type, stored.details) == (len(raw), media_type, details)
    assert stored.file_name == stored.path.name
    assert stored.kind == value.kind
    opened = codecs.opener(value.kind, stored.path)
    again = codecs.store(opened, tmp_path, "again")
    assert again.blake3 == stored.blake3
    assert again.details == details


def test_a_leaf_is_plain_json(tmp_path: Path):
    """What a worker sends holds all facts under one key."""
    leaf = codecs.store(Audio.from_samples([0.0], 8_000), tmp_path, "x").as_leaf()["$media"]
    assert leaf["path"] == str(tmp_path / "x.wav")
    assert set(leaf) == {"kind", "path", "blake3", "size", "media_type", "file_name", "details"}


def test_one_value_may_be_two_outputs(tmp_path: Path):
    """A value in a file of this run is linked, not moved: it can be stored twice."""
    Audio.from_samples([0.5], 8_000).save(tmp_path / "own.wav")
    sound = Audio.open(tmp_path / "own.wav")
    first, second = codecs.store(sound, tmp_path, "a"), codecs.store(sound, tmp_path, "a")
    assert first.path != second.path
    assert first.path.samefile(second.path)
    assert first.blake3 == second.blake3


def test_a_file_that_others_may_write_to_is_copied(tmp_path: Path):
    """A writable file outside the run's folder is not shared with the asset it becomes."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    theirs = tmp_path / "elsewhere" / "film.mp4"
    theirs.write_bytes(b"first")
    stored = codecs.store(File.open(theirs), tmp_path / "run", "film")
    theirs.write_bytes(b"later")
    assert stored.path.read_bytes() == b"first"
    theirs.chmod(0o444)
    linked = codecs.store(File.open(theirs), tmp_path / "run", "film")
    assert linked.path.samefile(theirs)


def test_a_png_out_of_a_graph_is_kept_byte_for_byte(tmp_path: Path):
    """Its text chunks carry the graph; pixels alone would lose them."""
    import PIL.Image
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("prompt", '{"1": {}}')
    PIL.Image.new("RGB", (3, 2)).save(tmp_path / "graph.png", pnginfo=text)
    stored = codecs.store(Image.open(tmp_path / "graph.png"), tmp_path, "image")
    assert stored.path.read_bytes() == (tmp_path / "graph.png").read_bytes()


def test_foreign_float_audio_is_laid_out_anew(tmp_path: Path):
    """A float WAV file with further chunks becomes the canonical file of its samples."""
    sound = Audio.from_samples([0.25, -0.25], 8_000)
    canonical = codecs.store(sound, tmp_path, "ours")
    foreign = tmp_path / "foreign.wav"
    foreign.write_bytes(canonical.path.read_bytes() + b"id3 \x02\0\0\0xx")
    assert codecs.store(Audio.open(foreign), tmp_path, "x").blake3 == canonical.blake3


def test_a_file_keeps_its_name_and_type(tmp_path: Path):
    """A file is no more than a file, even one that is called a video."""
    (tmp_path / "f").write_bytes(b"x")
    stored = codecs.store(File(tmp_path / "f", "video/x-msvideo", "clip.avi"), tmp_path, "out")
    assert (stored.kind, stored.media_type) == ("file", "video/x-msvideo")
    assert (stored.file_name, stored.path.suffix) == ("clip.avi", ".avi")
    opened = codecs.opener("file", stored.path, media_type="video/x-msvideo", name="clip.avi")
    assert isinstance(opened, File)
    assert opened.name == "clip.avi"


@pytest.mark.parametrize(
    ("name", "media_type"), [("x.mp4", "video/mp4"), ("x.mkv", "video/x-matroska")]
)
def test_a_video_is_stored_as_the_file_that_it_is(
    make_film: Callable[..., Path], tmp_path: Path, name: str, media_type: str
):
    """The bytes are the file's own, the type and the facts are told, and it opens as a video."""
    path = make_film(tmp_path / name, frames=10, rate=Fraction(24000, 1001))
    stored = codecs.store(Video.open(path), tmp_path, "out")
    assert stored.path.read_bytes() == path.read_bytes()
    assert (stored.kind, stored.media_type, stored.path.suffix) == (
        "video",
        media_type,
        path.suffix,
    )
    assert stored.details == {
        "duration_s": pytest.approx(10 * 1001 / 24000),
        "frame_rate": "24000/1001",
        "frames": 10,
        "width": 64,
        "height": 48,
        "has_audio": False,
    }
    assert isinstance(codecs.opener("video", stored.path), Video)


def test_a_label_never_becomes_a_path(tmp_path: Path):
    """A strange suffix in a file's label is dropped."""
    (tmp_path / "f").write_bytes(b"x")
    stored = codecs.store(File(tmp_path / "f", name="a.b c/../d\n"), tmp_path, "out")
    assert stored.path == tmp_path / "out"


def test_types_do_not_depend_on_the_system():
    """Kino's own formats have fixed media types; unknown names have the neutral one."""
    assert media_type_of("A.FLAC") == "audio/flac"
    assert media_type_of("noise") == "application/octet-stream"
