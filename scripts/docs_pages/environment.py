""".env.example: every setting with its default and its explanation, from config.

Knows: how a settings model is written as variables.
Does not know: which settings there are.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from backend.config import ROOT, Settings

HEAD: Final = """\
# Settings of Kino. Written by scripts/docs.py from backend/config.py.
# Copy this file to .env and take the '#' off the lines that you want to change. A variable of the
# environment wins over .env, and .env over kino.toml. Lists are written as JSON.
"""
PLUGINS: Final = """
# Plugins have settings of their own: KINO_<PLUGIN>__<NAME>.
"""
NOT_SHOWN: Final = ("plugin_settings",)


def page() -> str:
    """The file."""
    return HEAD + "".join(_lines(Settings, "KINO_")) + PLUGINS


def _lines(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if name in NOT_SHOWN:
            continue
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            about = (type(default).__doc__ or "").strip().splitlines()[0]
            yield f"\n# --- {about.replace('``', '')}\n"
            yield from _lines(type(default), f"{prefix}{name.upper()}__")
        else:
            yield f"\n{_comment(field)}\n# {prefix}{name.upper()}={_written(default)}\n"


def _comment(field: FieldInfo) -> str:
    return "\n".join(f"# {line}" for line in textwrap.wrap(field.description or "", 97))


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Path):
        return f"./{value.relative_to(ROOT)}" if value.is_relative_to(ROOT) else str(value)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value if isinstance(value, str) else json.dumps(value)
