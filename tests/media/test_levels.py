"""Levels in decibels."""

from __future__ import annotations

import pytest

from backend.media.levels import SILENCE_DB, decibels


@pytest.mark.parametrize(
    ("level", "wanted"),
    [(1.0, 0.0), (2.0, 6.0206), (0.5, -6.0206), (1e-12, -240.0), (1e-30, -240.0), (0.0, -240.0)],
)
def test_a_level_is_said_in_decibels_and_never_infinite(level: float, wanted: float) -> None:
    """Full scale is 0 dBFS; silence, and what lies below it, is -240."""
    assert decibels(level) == pytest.approx(wanted, abs=1e-4)
    assert decibels(level) >= SILENCE_DB
