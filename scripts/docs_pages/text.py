"""Markdown, as the generated pages need it.

Knows: tables, and the way from reStructuredText's ``code`` to Markdown's.
Does not know: what is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

NOTICE: Final = "<!-- Written by scripts/docs.py: change the source, not this page. -->\n"


def whole(value: Any) -> Any:
    """*value* with 120.0 written as 120, all the way down.

    ``typing`` keeps equal annotations once, so that which of the two a limit is depends on who was
    imported first.
    """
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; what would end a cell is escaped."""
    lines = [_row(head), _row(["---"] * len(head))]
    lines += [_row([_cell(each) for each in row]) for row in rows]
    return "\n".join(lines) + "\n"


def prose(text: str) -> str:
    """A docstring as Markdown: code in single backquotes, examples as code blocks."""
    text = re.sub(r"``(.+?)``", r"`\1`", text)
    # a paragraph that ends in '::' introduces the indented lines after it
    parts = re.split(r"::\n\n((?:(?: {4}.*)?\n?)+)", text)
    written = []
    for number, part in enumerate(parts):
        if number % 2 == 0:
            written.append(part)
        else:
            code = re.sub(r"(?m)^ {4}", "", part).strip("\n")
            written.append(f":\n\n```python\n{code}\n```\n")
    return "".join(written).strip() + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
