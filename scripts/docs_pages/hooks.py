"""docs/hooks.md: the hooks that a plugin may implement, from the docstrings of hookspecs.

Knows: how a hook and a value type describe themselves.
Does not know: which hooks there are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from backend import hookspecs
from backend.hookspecs import PROJECT, Host, ModelFile, NodeInput, NodeShape
from backend.operations import Needs, Unavailable
from docs_pages.text import NOTICE, prose


def page() -> str:
    """The page."""
    parts = [
        NOTICE,
        "# Hooks\n",
        "A plugin is a module that implements as few of these as it likes, each marked with\n"
        "`@hookimpl` from `backend.plugins`. Every hook is called alone: a plugin that raises,\n"
        "gives something else or is late becomes unavailable with its reason, and harms nobody\n"
        "else.\n"
        "[Writing plugins](writing-plugins.md) shows a whole one.\n",
    ]
    for name, hook in hooks():
        signature = str(inspect.signature(hook)).replace("'", "")
        parts += [f"## {name}\n", f"```python\ndef {name}{signature}\n```\n", prose(_doc(hook))]
    parts.append("# What hooks give and take\n")
    for value in (NodeShape, NodeInput, ModelFile, Needs, Unavailable):
        fields = [_field(name, value) for name in value.__dataclass_fields__]
        listed = "\n".join(f"    {line}" for line in fields)
        parts += [f"## {value.__name__}\n", prose(_doc(value))]
        parts.append(f"```python\nclass {value.__name__}:\n{listed}\n```\n")
    parts += ["## Host\n", prose(_doc(Host))]
    for name in ("role", "plugin_data", "settings"):
        described = _doc(getattr(Host, name)) or "`api`, `cpu` or `comfy`: the kind of process."
        parts.append(f"- `host.{name}`: {prose(described)}")
    return "\n".join(parts)


def hooks() -> list[tuple[str, Callable[..., Any]]]:
    """Every hook, in the order of the source."""
    return [
        (name, value)
        for name, value in vars(hookspecs).items()
        if callable(value) and hasattr(value, f"{PROJECT}_spec")
    ]


def _doc(thing: object) -> str:
    return inspect.getdoc(thing) or ""


def _field(name: str, value: Any) -> str:
    field = value.__dataclass_fields__[name]
    nothing = inspect.Parameter.empty
    default = nothing if field.default.__class__.__name__ == "_MISSING_TYPE" else field.default
    if field.default_factory.__class__.__name__ != "_MISSING_TYPE":
        default = field.default_factory()
    return f"{name}: {field.type}" + ("" if default is nothing else f" = {default!r}")
