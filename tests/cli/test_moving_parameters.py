"""Parameters that may move, as they are typed on the command line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import pytest
from annotated_types import Ge, Le

from backend.cli.parameters import Parameters
from backend.cli.schema import Schema
from backend.media.audio import Audio
from backend.media.breakpoints import Continuous
from backend.media.rates import FrameRate
from backend.operations import operation
from backend.units import Decibels

REFERENCE = "blake3:" + "0" * 64


@operation("trial.fade")
def fade(
    sound: Audio,
    gain_db: Continuous[Annotated[Decibels, Ge(-120), Le(24)]] = 0.0,
    fps: FrameRate = Fraction(24),
) -> Audio:
    """Fade."""
    return sound


def read(word: str) -> dict[str, Any]:
    def upload(path: Path) -> str:
        return f"uploaded {path}"

    return Parameters("trial.fade", Schema(fade.json_schema()), upload).read([word])


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("--gain-db=-6.5", -6.5),
        ("--gain-db=0", 0),
        ('--gain-db={"points": [[0, -60], [2, 0]]}', {"points": [[0, -60], [2, 0]]}),
        (f"--gain-db={REFERENCE}", REFERENCE),
        ("--gain-db=@curve.json", "uploaded curve.json"),
        ("--gain-db=loud", "loud"),
        ("--gain-db=true", "true"),
    ],
)
def test_numbers_points_and_references_are_told_apart(word: str, value: object) -> None:
    """A number stays one, JSON is read, `@file` is uploaded; the service judges the rest."""
    assert read(word) == {"gain_db": value}


def test_a_sound_is_still_a_reference_even_if_its_name_is_a_number() -> None:
    """Only parameters that take numbers take them."""
    assert read("--sound=12") == {"sound": "12"}


@pytest.mark.parametrize(("word", "value"), [("24", 24), ("24000/1001", "24000/1001")])
def test_a_frame_rate_is_typed_as_number_or_fraction(word: str, value: object) -> None:
    """Both reach the service as they are meant."""
    assert read(f"--fps={word}") == {"fps": value}
