"""Dynamic prompts: comments cut out, ``{one|other}`` chosen from, ``\\{`` kept as it is.

Knows: the little language that the editor applies to prompts when it queues them.
Does not know: chance. The editor draws one of the choices; here it is always the first, so that
equal workflows give equal graphs.
"""

from __future__ import annotations

import re
from typing import Final

_COMMENT: Final = re.compile(r"/\*[\s\S]*?\*/|//.*")
_ESCAPED: Final = re.compile(r"\\([{}|])")


def resolved(text: str) -> str:
    """*text* as it is sent."""
    return _ESCAPED.sub(r"\1", _chosen(_COMMENT.sub("", text)))


def has_choices(text: str) -> bool:
    """Whether anything is chosen in *text*."""
    return "{" in _ESCAPED.sub("", _COMMENT.sub("", text))


def _chosen(text: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            out.append(text[at : at + 2])
            at += 2
        elif sign == "{":
            first, at = _first_choice(text, at + 1)
            out.append(_chosen(first))
        else:
            out.append(sign)
            at += 1
    return "".join(out)


def _first_choice(text: str, at: int) -> tuple[str, int]:
    """The first choice of the block that begins at *at*, and where the block has ended."""
    first: str | None = None
    depth, start = 0, at
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            at += 2
            continue
        if sign == "{":
            depth += 1
        elif sign == "}":
            if depth == 0:
                return (text[start:at] if first is None else first), at + 1
            depth -= 1
        elif sign == "|" and depth == 0 and first is None:
            first = text[start:at]
        at += 1
    return (text[start:] if first is None else first), len(text)
