#!/usr/bin/env python3
"""Write a new plugin: a package with one working operation, one node, and tests that pass.

Knows: the form of a plugin package.
Does not know: Kino itself; this needs the standard library only.
"""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from pathlib import Path
from string import Template
from typing import Final

NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
TAKEN: Final = frozenset(
    (
        "files",
        "mixer",
        "reactive",
        "sdxl",
        "spectral",
        "stems",
        "workflows",
        "comfyui",
        "limits",
        "kino",
    )
)
"""Plugins and groups of settings that Kino has itself."""

PYPROJECT: Final = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "kino-$dashed"
version = "0.1.0"
description = "A plugin for Kino."
requires-python = ">=3.11"
dependencies = ["kino", "numpy"]

# Kino finds the plugin by this entry point; the name on the left is the plugin's name.
[project.entry-points.kino]
$name = "kino_$name"

[tool.hatch.build.targets.wheel]
packages = ["kino_$name"]
"""

README: Final = """\
# kino-$dashed

A plugin for Kino with one operation, `$name.gain`, and one node, `$node`.

Install it into Kino's environment, run its tests, and start the service again. The tests need
Kino's development tools: `uv pip install --group dev` in the folder of Kino, once.

    uv pip install --no-deps --editable .
    pytest
    kino describe $name.gain
"""

INIT: Final = '''\
"""A plugin for Kino: one line that says what it is for.

Knows: which operations and nodes the plugin gives.
Does not know: the arithmetic (``level``), nor who calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backend.plugins import NodeShape, Operation, hookimpl

summary: Final = "Changes the level of a sound."


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give the plugin's operations. Keep this light: every process calls it."""
    from . import operations

    return [operations.gain]


@hookimpl
def register_nodes() -> Sequence[NodeShape]:
    """Give a node under a name of its own; without this there is still ``Kino$derived``."""
    from . import nodes

    return [nodes.GAIN]
'''

OPERATIONS: Final = '''\
"""The plugin's operations: every door is derived from these declarations.

Knows: names, parameters, units and ranges; imports nothing heavy.
Does not know: the arithmetic, which is imported inside the run.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from backend.media.audio import Audio
from backend.plugins import LOCAL, Context, Needs, operation
from backend.units import Decibels


@operation("$name.gain", needs=Needs(memory_gib=0.1))
def gain(
    sound: Audio,
    gain_db: Annotated[Decibels, Ge(-120), Le(24)] = 0.0,
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Change the level of a sound by *gain_db*. Nothing is clipped."""
    from . import level

    return level.gain(sound, gain_db, ctx)
'''

LEVEL: Final = '''\
"""The level of a sound.

Knows: the arithmetic, block by block, so that a sound of any length fits into memory.
Does not know: ranges and defaults (``operations``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from backend.media.audio import Audio
from backend.plugins import Context


def gain(sound: Audio, gain_db: float, ctx: Context) -> Audio:
    """*sound* at another level: 6.02 dB are a factor of two."""
    factor = np.float32(10.0 ** (gain_db / 20.0))

    def blocks() -> Iterator[npt.NDArray[np.float32]]:
        done = 0
        for block in sound.blocks():  # [channels, n]
            yield block * factor
            done += block.shape[1]
            ctx.progress(done, sound.frames)

    return Audio.from_blocks(blocks(), sound.sample_rate, sound.channels)
'''

NODES: Final = '''\
"""Nodes under names of their own.

Knows: names and slots.
Does not know: ComfyUI.
"""

from __future__ import annotations

from typing import Final

from backend.plugins import NodeInput, NodeShape

GAIN: Final = NodeShape(
    node_id="$node",
    operation="$name.gain",
    display_name="Gain",
    category="Kino/$name",
    inputs=(
        NodeInput("audio", "sound", "AUDIO"),
        NodeInput("gain", "gain_db", "FLOAT", {"default": 0.0, "min": -120.0, "max": 24.0}),
    ),
    outputs=(("audio", "audio"),),
)
'''

TESTS: Final = '''\
"""The plugin is found, does what it says, and does the same behind every door."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from kino_$name import operations

from backend.media.audio import Audio
from backend.testing import assert_every_door, hosted, running

RATE = 48_000


def sound() -> Audio:
    """A tenth of a second of stereo noise."""
    noise = np.random.default_rng(1).standard_normal((2, RATE // 10)) * 0.1
    return Audio.from_samples(noise.astype(np.float32), RATE)


def test_the_plugin_can_be_loaded(tmp_path: Path) -> None:
    """The service finds nothing wrong with it."""
    with hosted("kino_$name", tmp_path) as host:
        assert "$name.gain" in host.operations
        assert [shape.node_id for shape in host.shapes] == ["$node"]


def test_six_decibels_double() -> None:
    """20 log10(2) dB are a factor of two."""
    louder = operations.gain(sound(), gain_db=20 * np.log10(2))
    np.testing.assert_allclose(louder.samples, 2 * sound().samples, rtol=1e-6)


def test_every_door_gives_the_same(tmp_path: Path) -> None:
    """Python, HTTP, OpenAPI, the command line and MCP agree, bit for bit."""
    with running(tmp_path) as service:
        passed = assert_every_door(service, operations.gain, sound=sound(), gain_db=-6.0)
    assert passed == ("python", "http", "openapi", "cli", "mcp")
'''


def files(name: str) -> dict[str, str]:
    """The files of a plugin called *name*, by their path in its folder."""
    words = {
        "name": name,
        "dashed": name.replace("_", "-"),
        "node": "".join(part.capitalize() for part in name.split("_")) + "Gain",
        "derived": "".join(part.capitalize() for part in [*name.split("_"), "gain"]),
    }
    templates = {
        "pyproject.toml": PYPROJECT,
        "README.md": README,
        f"kino_{name}/__init__.py": INIT,
        f"kino_{name}/operations.py": OPERATIONS,
        f"kino_{name}/level.py": LEVEL,
        f"kino_{name}/nodes.py": NODES,
        f"tests/test_{name}.py": TESTS,
    }
    return {path: Template(text).substitute(words) for path, text in templates.items()}


def refusal(name: str, folder: Path) -> str | None:
    """Why there cannot be a plugin of this name in *folder*, as a sentence with a remedy."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        return f"{name!r} is no name for a plugin: use lower-case letters, digits and underscores."
    if name in TAKEN:
        return f"{name!r} is taken by Kino itself: choose another name."
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return f"{folder} exists and is not empty: name another folder with --into."
    return None


def main() -> int:
    """Write the plugin; 0 if that went well, 2 if the name or the folder will not do."""
    parser = argparse.ArgumentParser(description="Write a new Kino plugin with tests.")
    parser.add_argument("name", help="the plugin's name, for example 'reverb'")
    parser.add_argument("--into", type=Path, help="folder to write; by default ./kino-NAME")
    given = parser.parse_args()
    name: str = given.name
    folder: Path = given.into or Path(f"kino-{name.replace('_', '-')}")
    why = refusal(name, folder)
    if why is not None:
        sys.stderr.write(why + "\n")
        return 2
    for path, text in files(name).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    print(f"Written to {folder}. Next, in Kino's environment (source .venv/bin/activate):")
    print("  uv pip install --group dev      # once: pytest and what it needs")
    print(f"  uv pip install --no-deps --editable {folder}")
    print(f"  pytest {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
