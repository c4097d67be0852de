"""The declarations of the files plugin: strict, light, with named rules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backend.errors import InvalidParameters
from backend.plugins import files
from backend.plugins.files import operations

REFERENCE = "blake3:" + "ab" * 32


def resolve(reference: str, kind: str) -> str:
    return reference


def test_every_operation_is_offered_with_words():
    """Files and editing, each with a summary, on the worker without torch."""
    offered = files.register_operations()
    names = {op.name for op in offered}
    assert {
        *(f"files.{verb}_{kind}" for verb in ("probe", "load", "convert", "save")
          for kind in ("audio", "image")),
        "files.measure_loudness",
        "files.measure_waveform",
        *(f"audio.{verb}" for verb in (
            "trim", "pad", "reverse", "concat", "fade", "gain", "time_stretch", "pitch_shift",
            "reverb", "convolve",
        )),
    } <= names  # fmt: skip
    assert len(names) == len(offered)
    assert all(op.summary and op.needs.runs_on == "cpu" for op in offered)


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"file_name": "../x"}, "/file_name"),
        ({"file_name": "a\nb"}, "/file_name"),
        ({"file_name": ""}, "/file_name"),
        ({"format": "mp5"}, "/format"),
        ({"normalize_db": 1.0}, "/normalize_db"),
        ({"seed": -1}, "/seed"),
        ({"seed": 1.5}, "/seed"),
        ({"loudness": 1}, "/loudness"),
        ({"dither": True}, "/dither"),
        ({"tags": {"date": "yesterday"}}, "/tags/date"),
        ({"tags": {"track": "three"}}, "/tags/track"),
        ({"tags": {"title": "a\u0007"}}, "/tags/title"),
        ({"tags": {"mood": "good"}}, "/tags/mood"),
    ],
)
def test_a_wrong_parameter_is_named(params: dict, pointer: str):
    """Paths in names, unknown formats and values out of range break the rule of their field."""
    with pytest.raises(InvalidParameters) as caught:
        operations.save_audio.check({"audio": REFERENCE, **params}, resolve)
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_units_are_published():
    """Rates and levels carry their units into the schema."""
    schema = operations.convert_audio.json_schema()["properties"]
    assert schema["sample_rate"]["anyOf"][0]["unit"] == "Hz"
    assert schema["normalize_db"]["anyOf"][0]["unit"] == "dB"
    assert schema["audio"]["x-kino-media"] == "audio"


def test_the_declarations_import_nothing_heavy():
    """Neither PyAV nor soxr nor Pillow nor torch is loaded by importing the operations."""
    code = (
        "import sys, backend.plugins.files.operations\n"
        "print(sorted({'av', 'soxr', 'PIL', 'torch', 'scipy', 'mido'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=Path(__file__).parents[3],
    )
    assert run.stdout.strip() == "[]", run.stderr
