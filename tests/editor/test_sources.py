"""What the browser is given: no text ever becomes markup or code, whoever wrote it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from backend.config import ROOT

FORBIDDEN: Final = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|"
    r"createContextualFragment|DOMParser|setHTML|srcdoc"
)


def sources() -> list[Path]:
    """Every script that a browser gets."""
    backend = ROOT / "backend"
    found = [*(backend / "studio").rglob("*.*js"), *backend.glob("plugins/*/web/**/*.*js")]
    return sorted(found)


def test_no_source_takes_text_as_markup_or_code() -> None:
    """Elements are made by name and filled with text, everywhere."""
    texts = {path.name: path.read_text("utf-8") for path in sources()}
    assert {"kino-mixer.mjs", "markdown.mjs", "loaders.js", "note.js"} <= texts.keys()
    assert {name: found for name, text in texts.items() if (found := FORBIDDEN.findall(text))} == {}


def test_lines_are_not_too_long() -> None:
    """A line has at most a hundred characters, as in Python."""
    long = [
        f"{path.name}:{number}"
        for path in sources()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if len(line) > 100
    ]
    assert long == []


def test_only_extensions_end_in_js() -> None:
    """The editor imports every .js it finds as an extension; parts of them are .mjs."""
    names = {path.name for path in sources() if path.suffix == ".js"}
    assert names == {"kino-dsp.js", "loaders.js", "mixer.js", "note.js", "savers.js"}
