"""docs/problems.md: every problem that a caller may be shown, from the tree of errors.

Knows: how an error class describes itself.
Does not know: which there are.
"""

from __future__ import annotations

import inspect

from backend.errors import RequestRefused, problem_classes
from docs_pages.text import NOTICE, prose, table


def page() -> str:
    """The page."""
    classes = problem_classes()
    rows = [
        (
            f"[`{cls.slug}`](#{cls.slug})",
            "any" if cls is RequestRefused else str(cls.status),
            "yes" if cls.retryable else "no",
            cls.title,
        )
        for cls in classes
    ]
    parts = [
        NOTICE,
        "# Problems\n",
        "Whatever goes wrong is answered as `application/problem+json` (RFC 9457) with the status\n"
        "below; a failed job carries the same object in `error`. `detail` is one sentence,\n"
        "`remedy` says what would help, `errors` names each broken rule by a JSON pointer, and an\n"
        "`incident` is an id under which the log holds the cause. `type` is a link to\n"
        "`/v1/problems/SLUG`. [Troubleshooting](troubleshooting.md) goes further.\n",
        table(("problem", "status", "worth trying again", "title"), rows),
    ]
    for cls in classes:
        parts += [f"## {cls.slug}\n", f"{cls.title}. {prose(inspect.getdoc(cls) or '')}"]
    return "\n".join(parts)
