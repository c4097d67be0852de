"""Tags: written into every format, read back by others, and nothing else told."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from backend import context
from backend.media import wav
from backend.media.audio import Audio
from backend.plugins.files.formats import SOUND_FORMATS, AudioFormat
from backend.plugins.files.operations import save_audio
from backend.plugins.files.tags import Tags

TAGS = Tags(
    title="Tïtle – 題",
    artist="Someone",
    album="An album",
    date="2024-05-06",
    track="3/12",
    genre="Dub",
    comment="two\nlines",
    copyright="(c) them",
)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path):
    with context.scratch_in(tmp_path):
        yield


def read(path: Path) -> dict[str, str]:
    """What FFmpeg finds in the file and its stream, names in lower case."""
    with av.open(str(path)) as container:
        found = {**container.metadata, **container.streams.audio[0].metadata}
    return {name.lower(): text for name, text in found.items()}


@pytest.mark.parametrize("form", SOUND_FORMATS)
def test_every_format_holds_every_tag(form: AudioFormat):
    """All eight come back as they were given, in any script."""
    saved = save_audio(Audio.from_samples(np.zeros((2, 4800)), 48_000), form, tags=TAGS)
    found = read(saved.path)
    assert {name: found.get(name) for name in TAGS.given()} == TAGS.given()


@pytest.mark.parametrize("form", SOUND_FORMATS)
def test_what_is_not_given_is_not_there(form: AudioFormat):
    """Without tags a file says nothing about the sound, the time or the machine."""
    saved = save_audio(Audio.from_samples(np.zeros((2, 4800)), 48_000), form)
    assert not set(read(saved.path)) & {*TAGS.given(), "creation_time"}


def test_tags_of_odd_length_keep_the_chunks_of_a_wav_apart():
    """Each text is filled up to an even length, and the sizes of the header still add up."""
    for title in ("a", "ab", "abc"):
        saved = save_audio(
            Audio.from_samples([0.5, -0.5, 0.25], 8000), "wav_24bit", tags=Tags(title=title)
        )
        raw = saved.path.read_bytes()
        assert int.from_bytes(raw[4:8], "little") == len(raw) - 8
        assert wav.read_info(saved.path).frames == 3
        assert read(saved.path)["title"] == title
