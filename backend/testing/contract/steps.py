"""A step of the contract, its outcome, and the bench that it works on.

Knows: how one is run and told.
Does not know: any particular step.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from backend.errors import KinoError

_log = logging.getLogger(__name__)

Outcome = Literal["passed", "failed", "n/a"]


class NotApplicable(Exception):
    """This tree does not have what the step is about; the text says what."""


class Broken(Exception):
    """The tree does not do what the step asks for; the text says how."""


@dataclass
class Bench:
    """What the steps of one path share: the tree, folders, and what they found out.

    ``base`` is the only folder that may be written to, ``workflows`` are stored graphs by name,
    ``packs`` the folder and the names of node packs.
    """

    tree: Path
    base: Path
    overlay: Path | None = None
    workflows: dict[str, Any] = field(default_factory=dict)
    packs: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> Path:
        return self.base / "models"

    def folder(self, name: str) -> Path:
        """A new folder for the files of one step."""
        place = self.base / "out" / name
        place.mkdir(parents=True, exist_ok=True)
        return place


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the contract asks for; *run* returns a remark, or raises."""

    number: int
    name: str
    run: Callable[[Bench], str | None]


@dataclass(frozen=True, slots=True)
class Result:
    """How a step ended."""

    number: int
    name: str
    outcome: Outcome
    detail: str
    seconds: float


def perform(steps: Iterable[Step], bench: Bench, tell: Callable[[Result], None]) -> None:
    """Run the steps in order; a failed one does not end the path."""
    for step in steps:
        started = time.monotonic()
        outcome, detail = _outcome(step, bench)
        tell(Result(step.number, step.name, outcome, detail, round(time.monotonic() - started, 2)))


def _outcome(step: Step, bench: Bench) -> tuple[Outcome, str]:
    try:
        return "passed", step.run(bench) or ""
    except NotApplicable as reason:
        return "n/a", str(reason)
    except Broken as reason:
        return "failed", str(reason)
    except KinoError as error:
        more = "; ".join(f"{each.pointer}: {each.message}" for each in error.errors[:3])
        return "failed", f"{type(error).__name__}: {error.detail}" + (f" ({more})" if more else "")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code; told in the report
        _log.error("step %s failed", step.name, exc_info=error)
        return "failed", f"{type(error).__name__}: {error}"


def require(condition: object, otherwise: str) -> None:
    """Raise `Broken` with this text unless *condition* holds."""
    if not condition:
        raise Broken(otherwise)
