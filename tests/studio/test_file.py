"""kino-dsp.js is a file that an audio thread can load: no imports, nothing that needs a page."""

from __future__ import annotations

import re


def test_the_file_imports_nothing(dsp_text: str) -> None:
    """No import, no re-export and no dynamic import stands in the code."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", dsp_text, flags=re.DOTALL)
    assert re.findall(r"\bimport\b|\brequire\b|\bimportScripts\b", code) == []
    assert re.findall(r"^export\b.*\bfrom\b", code, flags=re.MULTILINE) == []


def test_the_file_asks_for_nothing_outside(dsp_text: str) -> None:
    """Beside the language it knows one thing, the registration of a worklet where there is one."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", dsp_text, flags=re.DOTALL)
    outside = r"\b(document|self|globalThis|fetch|console|performance|Date|setTimeout)\b"
    assert re.findall(outside, code) == []
    assert code.count("registerProcessor(") == 1


def test_lines_are_short(dsp_text: str) -> None:
    """Lines keep to the 100 characters that the rest of the source keeps to."""
    assert [line for line in dsp_text.splitlines() if len(line) > 100] == []
