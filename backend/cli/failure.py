"""What ends a command without success: a sentence, a remedy and an exit status.

Knows: the exit statuses, and how a problem object reads as a sentence.
Does not know: where it is shown (``cli.application``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PROBLEM: Final = 1
"""The service answered with a problem, or the work failed."""

USAGE: Final = 2
"""The command line itself is wrong."""

UNREACHABLE: Final = 3
"""Nobody, or somebody else, answers at the address."""

INTERRUPTED: Final = 130
"""Ctrl-C, as shells have it."""


class Failure(Exception):
    """Ends the command. ``sentence`` says what is wrong, ``remedy`` what would help."""

    status = PROBLEM

    def __init__(
        self, sentence: str, remedy: str | None = None, *, problem: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.remedy = remedy
        self.problem = problem or {"title": "The command failed", "detail": sentence} | (
            {"remedy": remedy} if remedy else {}
        )
        self.shown = False
        """Whether standard output already holds the whole story as JSON."""

    def __str__(self) -> str:
        if "\n" in self.sentence:
            return f"{self.sentence}\n{self.remedy}" if self.remedy else self.sentence
        text = self.sentence if self.sentence[-1:] in ".!?" else f"{self.sentence}."
        return f"{text} {self.remedy}" if self.remedy else text


class Misused(Failure):
    """The command line is wrong; nothing was sent."""

    status = USAGE


class Unreachable(Failure):
    """The service is not there."""

    status = UNREACHABLE


def from_problem(problem: Mapping[str, Any]) -> Failure:
    """A problem object (RFC 9457) as a failure: its detail, every broken rule, its remedy."""
    detail = str(problem.get("detail") or problem.get("title") or "The service refused")
    sentence = detail[:1].upper() + detail[1:]
    errors = problem.get("errors") or []
    if len(errors) == 1 and errors[0]["message"] in detail:
        pointer = errors[0]["pointer"]
        where = f"{pointer}, " if pointer and pointer not in detail else ""
        sentence = f"{sentence} ({where}rule: {errors[0]['rule']})"
    elif errors:
        # the detail repeats the first of them
        head = sentence.partition(f": {errors[0]['pointer'] or '/'}: ")[0]
        told = [
            f"  {each['pointer'] or '/'}: {each['message']} ({each['rule']})" for each in errors
        ]
        sentence = "\n".join([f"{head}:", *told])
    return Failure(sentence, problem.get("remedy"), problem=problem)
