"""Automation: values and exact frame rates in JSON."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backend.errors import OperationFailed
from backend.media.automation import Automation, NotAutomation


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=arrays.arrays(
        np.float32,
        st.integers(0, 40),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    rate=st.fractions(Fraction(1, 1000), 1000, max_denominator=1001),
)
def test_values_and_rate_survive_the_file(tmp_path: Path, values: np.ndarray, rate: Fraction):
    """Any finite float32 and any rational rate come back exactly; equal values, equal bytes."""
    curve = Automation.from_values(values, rate)
    for name in ("a.json", "b.json"):
        (tmp_path / name).unlink(missing_ok=True)
        curve.save(tmp_path / name)
    opened = Automation.open(tmp_path / "a.json")
    assert opened.values.tobytes() == values.tobytes()
    assert opened.frame_rate == rate
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_film_rate_is_no_float():
    """24000/1001 stays a fraction, so an hour has exactly the right length."""
    curve = Automation.from_values(np.zeros(24000), "24000/1001")
    assert curve.duration_s == 1001.0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("[]", "'frame_rate' and 'values'"),
        ('{"values": []}', "'frame_rate' and 'values'"),
        ('{"frame_rate": 30, "values": [true]}', "list of numbers"),
        ('{"frame_rate": 30, "values": ["1"]}', "list of numbers"),
        ('{"frame_rate": 30, "values": [NaN]}', "not finite"),
        ('{"frame_rate": 30, "values": [1e300]}', "not finite"),
        ('{"frame_rate": 30, "values": [1' + "0" * 400 + "]}", "too large"),
        ('{"frame_rate": "1/0", "values": []}', "0"),
        ('{"frame_rate": 29.97, "values": []}', "fraction"),
        ('{"frame_rate": 0, "values": []}', "between 0 and"),
        ('{"frame_rate": "9999999", "values": []}', "between 0 and"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_automation_is_refused_with_the_reason(text: str, why: str):
    """Wrong JSON, wrong numbers and rates that are not exact each get their sentence."""
    with pytest.raises(NotAutomation, match=why):
        Automation.from_json(text.encode())


def test_values_that_are_not_finite_are_never_written(tmp_path: Path):
    """NaN is an error of whoever made it, not a file that nobody can read."""
    with pytest.raises(OperationFailed, match="NaN"):
        Automation.from_values([float("nan")], 30).save(tmp_path / "x.json")
