"""What fits an input: type, range and choices as a parameter tells them.

Knows: ComfyUI's types of widgets, and which choices are files that come and go.
Does not know: where the input stands.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from .definitions import Spec

NOTHING: Final = object()
"""There is no value."""

_FILE: Final = re.compile(r".+\.[A-Za-z][A-Za-z0-9]{1,11}")
_MOST_EXAMPLES: Final = 20
_BY_VALUE: Final = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"))
_TYPES: Final = {"INT": "integer", "FLOAT": "number", "BOOLEAN": "boolean", "STRING": "string"}
_COMBOS: Final = ("COMBO", "COMFY_DYNAMICCOMBO_V3")


def fitting(spec: Spec | None, value: Any) -> dict[str, Any] | None:
    """``type``, range and ``default`` of an input that holds *value* (or `NOTHING`).

    None for what is no parameter: a list, an object, an input without value and default. A number
    out of its range is no default: ComfyUI would refuse it, so each run must give one.
    """
    if value is NOTHING and spec is not None:
        value = spec.options.get("default", NOTHING)
        if value is NOTHING and spec.type in _COMBOS and spec.choices:
            value = spec.choices[0]
    if not isinstance(value, bool | int | float | str):
        return None
    known = _declared(spec, value) if spec is not None else None
    if known is None:
        kind = next(name for of, name in _BY_VALUE if isinstance(value, of))
        return {"type": kind, "default": value}
    return known


def _declared(spec: Spec, value: Any) -> dict[str, Any] | None:
    """As the node class declares it; None if the value is of another type."""
    if spec.type in _COMBOS:
        return _choice(spec, value)
    kind = _TYPES.get(spec.type)
    if kind == "integer":
        value = _number(value, int)
    elif kind == "number":
        value = _number(value, float)
    elif kind is None or not isinstance(value, bool if kind == "boolean" else str):
        return None
    if value is None:
        return None
    made: dict[str, Any] = {"type": kind, "default": value}
    if kind in ("integer", "number"):
        for ours, theirs in (("minimum", "min"), ("maximum", "max")):
            limit = spec.options.get(theirs)
            if isinstance(limit, int | float) and not isinstance(limit, bool):
                made[ours] = limit
        if not made.get("minimum", value) <= value <= made.get("maximum", value):
            del made["default"]
    if spec.options.get("multiline"):
        made["multiline"] = True
    return made


def _choice(spec: Spec, value: Any) -> dict[str, Any] | None:
    choices = spec.choices
    if not choices or not all(isinstance(each, str | bool | int) for each in choices):
        return None
    texts = [each for each in (value, *choices) if isinstance(each, str)]
    if len(texts) > len(choices) and any(_FILE.fullmatch(each) for each in texts):
        # files are added and removed, also beside choices that are none (a VAE's `pixel_space`);
        # whether one is there is for ComfyUI to say when it runs
        return {"type": "string", "default": value, "examples": choices[:_MOST_EXAMPLES]}
    if value not in choices:
        return None
    return {"type": "choice", "default": value, "choices": choices}


def _number(value: Any, cast: type[int] | type[float]) -> int | float | None:
    """As ComfyUI reads it, which takes ``"5"`` for a number."""
    if isinstance(value, bool):
        return None
    try:
        number = cast(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    # 7.5 for an integer is not what its author means
    return number if isinstance(value, str) or number == value else None
