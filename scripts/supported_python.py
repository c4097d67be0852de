"""Which Pythons Kino runs on, and what to say about the others.

Knows: version numbers. Does not know: anything else; this file must be readable by any Python 3.
"""

import shutil
import sys

SUPPORTED = ((3, 11), (3, 12), (3, 13))


def problem(version: "tuple[int, int]", script: str) -> str:
    """One sentence with the remedy if *version* ``(major, minor)`` will not do, else ``""``."""
    if tuple(version) in SUPPORTED:
        return ""
    running = ".".join(str(part) for part in version)
    for major, minor in reversed(SUPPORTED):
        other = "python{}.{}".format(major, minor)  # noqa: UP032 (read by old Pythons)
        if shutil.which(other):
            return (
                "This is Python " + running + ", Kino runs on 3.11, 3.12 and 3.13: "
                "run it as '" + other + " " + script + "'."
            )
    return (
        "This is Python " + running + ", Kino runs on 3.11, 3.12 and 3.13: install one of them "
        "(Debian: apt install python3.11; elsewhere: https://www.python.org/downloads), "
        "then run it as 'python3.11 " + script + "'."
    )


def require(script: str) -> None:
    """Leave with the sentence if this Python will not do."""
    sentence = problem(sys.version_info[:2], script)
    if sentence:
        sys.exit(sentence)
