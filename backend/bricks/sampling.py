"""Samplers and schedulers: the names, asked of ComfyUI at run time, and checked by us.

Knows: the lists, and how to refuse a name that is not on them.
Does not know: what a sampler does. (ComfyUI silently takes the first one for an unknown name.)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from backend.bricks._comfy import module
from backend.errors import FieldError, InvalidParameters


def samplers() -> tuple[str, ...]:
    """Names of the samplers of this ComfyUI."""
    return tuple(module("comfy.samplers").KSampler.SAMPLERS)


def schedulers() -> tuple[str, ...]:
    """Names of the schedulers of this ComfyUI."""
    return tuple(module("comfy.samplers").KSampler.SCHEDULERS)


def check(sampler: str, scheduler: str) -> None:
    """Raises `InvalidParameters` unless both names are known; near ones are suggested."""
    pairs = (("sampler", sampler, samplers()), ("scheduler", scheduler, schedulers()))
    errors = [
        FieldError(f"/{kind}", f"unknown_{kind}", unknown(kind, name, known))
        for kind, name, known in pairs
        if name not in known
    ]
    if errors:
        raise InvalidParameters(errors[0].message, errors=errors)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """A sentence that says that there is no such name, and which ones are near."""
    near = difflib.get_close_matches(name, list(known), 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"there is no {kind} {name!r}{hint}"
