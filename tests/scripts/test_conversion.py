"""Official templates are converted as the graph editor itself converts them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import conversion

SAMPLE = 30


@pytest.mark.xdist_group("heavy")
@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
def test_a_sample_of_the_official_templates(tmp_path: Path) -> None:
    """Thirty of them, spread over all, come out alike but for reasons that have a name."""
    known = conversion.templates()
    assert len(known) > 400
    with conversion.editor(tmp_path) as there:
        verdicts = [
            conversion.verdict(name, known[name], there)
            for name in conversion.sample(known, SAMPLE)
        ]
        assert there.errors == []
    different = [each for each in verdicts if each.reason]
    assert [each for each in different if each.reason == "not explained"] == []
    assert len(different) <= SAMPLE * 0.05
