"""Automation: one value a frame, at an exact frame rate.

Knows: float32 values ``[frames]``, a rational frame rate (24000/1001), and the JSON file of both.
Does not know: what the values drive.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.media.finite import check_finite
from backend.media.reference import MediaValue

MAX_RATE: Final = 100_000
_RATE: Final = re.compile(r"[0-9]{1,12}(/[0-9]{1,12})?")


class NotAutomation(ValueError):
    """The file is not the JSON of an automation; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Automation(MediaValue):
    """Values over time; value n is that of frame n, which begins at ``n / frame_rate`` seconds.

    Where a curve is drawn through them, a value lies in the middle of its frame (``media.curves``).
    """

    kind: ClassVar[str] = "automation"
    values: NDArray[np.float32] = field(repr=False)
    frame_rate: Fraction

    @classmethod
    def from_values(cls, values: ArrayLike, frame_rate: Fraction | int | str) -> Self:
        """Raises ``ValueError`` unless values are ``[frames]`` and 0 < rate <= 100 000, and `Unfit`
        for values that 32-bit float does not hold."""
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(values, dtype=np.float32)
        if array.ndim != 1:
            raise ValueError(f"automation is [frames], not {array.shape}")
        check_finite(array, "automation")
        rate = Fraction(frame_rate)
        if not 0 < rate <= MAX_RATE:
            raise ValueError(f"a frame rate lies between 0 and {MAX_RATE}, unlike {rate}")
        return cls(array, rate)

    @classmethod
    def open(cls, path: Path) -> Self:
        return cls.from_json(path.read_bytes())

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read ``{"frame_rate": "24000/1001", "values": [...]}``. Raises `NotAutomation`."""
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise NotAutomation("the file is not JSON") from error
        if not isinstance(content, dict) or not content.keys() >= {"frame_rate", "values"}:
            raise NotAutomation("an automation has 'frame_rate' and 'values'")
        values = content["values"]
        # exact types: JSON's true is an int to Python
        if not isinstance(values, list) or any(type(v) not in (int, float) for v in values):
            raise NotAutomation("'values' is not a list of numbers")
        try:
            with np.errstate(over="ignore"):
                array = np.array(values, np.float64).astype(np.float32)
            if not np.isfinite(array).all():
                raise NotAutomation("'values' holds a number that is not finite")
            return cls.from_values(array, _read_rate(content["frame_rate"]))
        except (ValueError, OverflowError, ZeroDivisionError) as error:
            raise NotAutomation(str(error)) from error

    @property
    def frames(self) -> int:
        return int(self.values.shape[0])

    @property
    def duration_s(self) -> float:
        return float(self.frames / self.frame_rate)

    def save(self, path: Path) -> None:
        """Write the JSON file; float32 values survive exactly, equal ones give equal bytes."""
        check_finite(self.values, "automation", self)
        content = {"frame_rate": str(self.frame_rate), "values": self.values.tolist()}
        with path.open("x", encoding="utf-8") as file:
            json.dump(content, file, allow_nan=False, separators=(",", ":"))


def _read_rate(rate: Any) -> Fraction:
    if type(rate) is int:
        return Fraction(rate)
    if isinstance(rate, str) and _RATE.fullmatch(rate):
        return Fraction(rate)
    raise NotAutomation("'frame_rate' is a whole number or a fraction such as \"24000/1001\"")
