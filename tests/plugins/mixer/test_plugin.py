"""What the mixer declares: operations, units, ranges, and the node under its older name."""

from __future__ import annotations

import subprocess
import sys

from backend.plugins import mixer
from backend.plugins.mixer import operations

REFERENCE = "blake3:" + "0" * 64


def same(reference: str, kind: str) -> str:
    """A resolver that knows every asset."""
    return reference


def test_the_plugin_gives_two_operations_and_the_older_nodes() -> None:
    """mixer.mix, mixer.duck and the three older nodes are registered."""
    assert [(op.name, op.version) for op in mixer.register_operations()] == [
        ("mixer.mix", 4),
        ("mixer.duck", 2),
    ]
    assert [shape.node_id for shape in mixer.register_nodes()] == [
        "InternodeSidechain",
        "InternodeAudioMixer",
        "InternodeAudioMixer8",
    ]


def test_declaring_is_light() -> None:
    """Reading the declarations imports neither scipy nor soxr nor torch nor matplotlib."""
    code = (
        "import sys; from backend.plugins import mixer; mixer.register_operations();"
        "mixer.register_nodes(); heavy = ('scipy', 'soxr', 'torch', 'matplotlib');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stdout.strip() == "[]"


def test_outputs_have_names_and_kinds() -> None:
    """A mix gives programmes, stems, meters and their picture; a duck gives one programme."""
    mixed = [(output.name, output.kind, output.arity) for output in operations.mix.outputs]
    assert mixed == [
        ("master", "audio", "one"),
        ("pre_master", "audio", "one"),
        ("stems", "audio", "dict"),
        ("meters", "value", "one"),
        ("meters_picture", "image", "one"),
        ("peak_db", "value", "one"),
    ]
    ducked = [(output.name, output.kind) for output in operations.duck.outputs]
    assert ducked == [("audio", "audio")]


def test_the_schema_speaks_units() -> None:
    """Units stand in the published schema, where people read them."""
    properties = operations.duck.json_schema()["properties"]
    units = {name: item.get("unit") for name, item in properties.items()}
    units["range_db"] = properties["range_db"]["anyOf"][0]["unit"]  # it may be absent
    assert units == {
        "music": None,
        "voice": None,
        "threshold_db": "dB",
        "ratio": ":1",
        "attack_ms": "ms",
        "release_ms": "ms",
        "makeup_db": "dB",
        "knee_db": "dB",
        "range_db": "dB",
        "hold_ms": "ms",
        "lookahead_ms": "ms",
    }
