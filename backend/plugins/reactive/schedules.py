"""Curves as text: schedule strings, JSON, CSV; and texts over frames.

Knows: the grammars. A schedule is ``frame:(value)`` with commas between, as the value schedules of
FizzNodes and the keyframe strings of Deforum are; numbers are plain decimals (``0.00001``, never
``1e-05``), because those grammars know no others.
Does not know: where a curve comes from.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from backend.media.automation import Automation
from backend.plugins import FieldError, InvalidParameters, refused

MOST_CHARACTERS: Final = 20_000_000
"""What the texts of all frames may have together."""
_FRAME: Final = re.compile(r"-?[0-9]{1,9}")
_MOST_ERRORS: Final = 20


def number(value: float, decimals: int) -> str:
    """A plain decimal without needless zeros: ``0.5``, ``-12``, ``0``."""
    text = f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def schedule(curve: Automation, decimals: int = 4) -> str:
    """``0:(0.1), 1:(0.5)`` …, one entry for each frame."""
    values = curve.values.tolist()
    return ", ".join(f"{frame}:({number(value, decimals)})" for frame, value in enumerate(values))


def as_json(curve: Automation) -> str:
    """``{"frame_rate": "24000/1001", "values": [...]}``, as automations are stored."""
    content = {"frame_rate": str(curve.frame_rate), "values": curve.values.tolist()}
    return json.dumps(content, allow_nan=False)


def as_csv(curve: Automation, decimals: int = 4) -> str:
    """``frame,time_s,value`` and a line for each frame; the time is that of the frame's start."""
    out = io.StringIO()
    out.write("frame,time_s,value\n")
    step = 1 / Fraction(curve.frame_rate)
    for frame, value in enumerate(curve.values.tolist()):
        out.write(f"{frame},{float(frame * step):.6f},{number(value, decimals)}\n")
    return out.getvalue()


def texts(text: str, frames: int) -> list[str]:
    """The text of each of *frames* frames, from lines ``frame: text``.

    A text holds until the next one; the first holds from the start. Blank lines and lines that
    start with ``#`` are left out. Raises `InvalidParameters` that names a line without a frame
    number, and a frame that is given twice, and texts that would be too many.
    """
    starts: dict[int, str] = {}
    errors = []
    for count, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        frame, colon, shown = (each.strip() for each in line.partition(":"))
        if not colon or not _FRAME.fullmatch(frame):
            errors.append(f"line {count} has to be 'frame: text', not {line.strip()[:60]!r}")
        elif int(frame) < 0:
            errors.append(f"line {count}: frames count from 0")
        elif int(frame) in starts:
            errors.append(f"line {count}: frame {int(frame)} has a text already")
        else:
            starts[int(frame)] = shown
        if len(errors) == _MOST_ERRORS:
            break
    if not starts and not errors:
        errors.append("there is no line 'frame: text'")
    if errors:
        wrong = [FieldError("/schedule", "schedule", each) for each in errors]
        raise InvalidParameters(f"The schedule cannot be read: {errors[0]}", errors=wrong)
    return _held(starts, frames)


def _held(starts: Mapping[int, str], frames: int) -> list[str]:
    """The text of each frame. Raises `InvalidParameters` over `MOST_CHARACTERS`."""
    current, given, characters = starts[min(starts)], [], 0
    for frame in range(frames):
        current = starts.get(frame, current)
        characters += len(current)
        given.append(current)
    if characters > MOST_CHARACTERS:
        told = (
            f"the texts of all {frames} frames would have {characters} characters together; at "
            f"most {MOST_CHARACTERS} can be given: use fewer frames or shorter texts"
        )
        raise refused("/frames", "characters", told)
    return given
