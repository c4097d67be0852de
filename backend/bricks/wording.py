"""Messages of foreign code, made fit for a caller: no path, one line, not too long.

Knows: what a path looks like.
Does not know: which error a message belongs to.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 500

_PATH: Final = re.compile(
    r"(?<![\w.:/])(?:[A-Za-z]:\\|\\\\|~?/)(?:[^\s'\"<>|:*?()\[\]]+[/\\])+([^\s'\"<>|:*?()\[\],]*)"
)


def without_paths(text: str) -> str:
    """*text* on one line, each absolute path cut down to its last name, at most 500 characters."""
    line = " ".join(text.split())
    line = _PATH.sub(lambda found: found.group(1) or "a folder", line)
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
