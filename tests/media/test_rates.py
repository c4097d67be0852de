"""Frame rates as parameters."""

from __future__ import annotations

from fractions import Fraction

import pytest

from backend.errors import InvalidParameters
from backend.media.rates import FrameRate, read_rate
from backend.operations import operation


@operation("trial.rate")
def rate(fps: FrameRate = Fraction(24)) -> str:
    """Say the rate."""
    return str(fps)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (24, "24"),
        (24.0, "24"),
        ("24", "24"),
        ("24000/1001", "24000/1001"),
        (23.976, "24000/1001"),
        (23.98, "24000/1001"),
        ("23.976", "24000/1001"),
        (29.97, "30000/1001"),
        (59.94, "60000/1001"),
        (119.88, "120000/1001"),
        (12.5, "25/2"),
        ("0.1", "1/10"),
        (1000, "1000"),
    ],
)
def test_a_rate_is_exact_however_it_is_written(written: float | str, meant: str):
    """Numbers, decimals and fractions become one exact fraction; rounded broadcast rates theirs."""
    checked = rate.check({"fps": written}, lambda reference, kind: reference)
    assert checked.params == {"fps": meant}
    assert rate.bind(checked.params, lambda reference, kind: reference) == {"fps": Fraction(meant)}


@pytest.mark.parametrize(
    "written", [0, 10_000, -24, 0.05, "0", "1/0", "24/0", "24fps", "", "1e3", True, None, [24]]
)
def test_what_is_no_rate_is_refused_with_the_rule(written: object):
    """0, 10 000 and texts that are no rate get a sentence and the pointer."""
    with pytest.raises(InvalidParameters, match="frame rate") as caught:
        rate.check({"fps": written}, lambda reference, kind: reference)
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [("/fps", "frame_rate")]


def test_a_rate_that_is_no_number_is_refused():
    """NaN and infinity are no rates in Python either."""
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="frame rate"):
            read_rate(value)


def test_the_schema_says_what_a_rate_may_be():
    """Number or text, its range, its unit, its default."""
    schema = rate.json_schema()["properties"]["fps"]
    assert schema["type"] == ["string", "number"]
    assert (schema["minimum"], schema["maximum"], schema["unit"]) == (0.1, 1000.0, "frames/s")
    assert schema["default"] == "24"
