"""What a row gives: figures with a target, as a table, as JSON and as a page.

Knows: how figures are shown.
Does not know: how they are measured.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. ``at_most`` or ``at_least`` is its target, if it has one."""

    row: str
    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        if self.at_most is not None:
            return self.value <= self.at_most
        if self.at_least is not None:
            return self.value >= self.at_least
        return None

    @property
    def target(self) -> str:
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return f"≥ {self.at_least:g}" if self.at_least is not None else ""


def quantile(values: Sequence[float], part: float) -> float:
    """The *part* (0..1) quantile of *values*, by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)


def machine() -> dict[str, str | int]:
    """What the figures were measured on, without anything that names it."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
    }


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| row | figure | value | unit | target | met |", "|---|---|---:|---|---|---|"]
    for figure in figures:
        met = {True: "yes", False: "NO", None: ""}[figure.met]
        value = f"{figure.value:.3g}" if abs(figure.value) < 100 else f"{figure.value:.0f}"
        lines.append(
            f"| {figure.row} | {figure.name} | {value} | {figure.unit} | {figure.target} | {met} |"
        )
    return "\n".join(lines)


def as_json(figures: Sequence[Figure]) -> str:
    document = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": [{**asdict(figure), "met": figure.met} for figure in figures],
    }
    return json.dumps(document, indent=2) + "\n"


def write_page(figures: Sequence[Figure], explained: Sequence[tuple[str, str]], path: Path) -> None:
    """Write the committed summary."""
    facts = machine()
    rows = "\n".join(f"- **{name}**: {text}" for name, text in explained)
    path.write_text(
        "# Bench\n\n"
        "Written by `scripts/bench.py --write`. Absolute figures belong to one machine "
        f"({facts['cores']} cores, {facts['system']} {facts['machine']}, Python "
        f"{facts['python']}); the ratios, both sides measured in turns in one run, are what to "
        "compare.\n\n"
        f"{table(figures)}\n\n## What is measured\n\n{rows}\n",
        encoding="utf-8",
    )
