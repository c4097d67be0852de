"""What a command shows: tables, JSON and sentences.

Knows: a terminal from a pipe (plain text, nothing cut off, no rich), and that foreign text may
hold control characters.
Does not know: where the values come from.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

Row = Sequence[object]


def plain(value: object) -> str:
    """*value* as text that is safe on a terminal: control characters become ``�``."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def line(text: str = "") -> None:
    """One line on standard output."""
    sys.stdout.write(plain(text) + "\n")


def note(text: str) -> None:
    """One line beside the result, on standard error."""
    sys.stderr.write(plain(text) + "\n")


def as_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=not _speaks_unicode()) + "\n")


def table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Rows below their columns' names; fitted to a terminal, whole in a pipe."""
    cells = [[plain(value).replace("\n", " ") for value in row] for row in rows]
    if sys.stdout.isatty():
        _pretty(columns, cells)
        return
    lines = [list(columns), *cells]
    widths = [max(len(row[n]) for row in lines) for n in range(len(columns))]
    for row in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(text.rstrip() + "\n")


def _pretty(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in cells:
        shown.add_row(*(Text(cell) for cell in row))
    Console().print(shown)


def short(value: Any) -> str:
    """A JSON value on one line."""
    return json.dumps(value, ensure_ascii=not _speaks_unicode())


def size(count: int | float) -> str:
    """A number of bytes for people."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
