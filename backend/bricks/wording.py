"""Messages made fit for a caller: no path, one line, not too long.

Knows: what a path looks like.
Does not know: which error a foreign message belongs to.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 500

_ROOT: Final = r"(?:[A-Za-z]:\\|\\\\|~?/)"
_QUOTED: Final = re.compile(rf"(['\"]){_ROOT}[^'\"]*?([^'\"/\\]*)\1")
_BARE: Final = re.compile(
    rf"(?<![\w.:/]){_ROOT}(?:[^\s/\\'\"<>|:*?()\[\]]+[/\\]+)+([^\s/\\'\"<>|:*?()\[\],]*)"
)


def without_paths(text: str) -> str:
    """*text* on one line, each absolute path cut down to its last name, at most 500 characters.

    A path with spaces is known as one only between quotes.
    """
    line = " ".join(text[: 20 * LONGEST].split())
    line = _QUOTED.sub(lambda found: f"{found[1]}{found[2] or 'a folder'}{found[1]}", line)
    line = _BARE.sub(lambda found: found[1] or "a folder", line)
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
