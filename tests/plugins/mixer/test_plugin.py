"""What the mixer declares: operations, units, ranges, and the node under its older name."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import InvalidParameters
from backend.plugins import mixer
from backend.plugins.mixer import nodes, operations

REFERENCE = "blake3:" + "0" * 64


def same(reference: str, kind: str) -> str:
    """A resolver that knows every asset."""
    return reference


def test_the_plugin_gives_two_operations_and_the_older_node() -> None:
    """mixer.mix, mixer.duck and InternodeSidechain are registered."""
    assert [op.name for op in mixer.register_operations()] == ["mixer.mix", "mixer.duck"]
    assert [shape.node_id for shape in mixer.register_nodes()] == ["InternodeSidechain"]


def test_declaring_is_light() -> None:
    """Reading the declarations imports neither scipy nor soxr nor torch."""
    code = (
        "import sys; from backend.plugins import mixer; mixer.register_operations();"
        "mixer.register_nodes(); print([m for m in ('scipy','soxr','torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_outputs_have_names_and_kinds() -> None:
    """A mix gives two programmes and a number; a duck gives one programme."""
    mixed = [(output.name, output.kind) for output in operations.mix.outputs]
    assert mixed == [("master", "audio"), ("pre_master", "audio"), ("peak_db", "value")]
    ducked = [(output.name, output.kind) for output in operations.duck.outputs]
    assert ducked == [("audio", "audio")]


def test_references_inside_tracks_are_found() -> None:
    """The sources of the tracks are inputs of the job, and defaults are filled in."""
    checked = operations.mix.check({"tracks": [{"source": REFERENCE, "gain_db": -6}]}, same)
    assert checked.inputs == (REFERENCE,)
    track = checked.params["tracks"][0]
    assert track == {
        "source": REFERENCE,
        "gain_db": -6.0,
        "pan": 0.0,
        "mute": False,
        "solo": False,
    }


@pytest.mark.parametrize(
    ("track", "pointer"),
    [
        ({"source": REFERENCE, "gain_db": 25}, "/tracks/0/gain_db"),
        ({"source": REFERENCE, "pan": -1.5}, "/tracks/0/pan"),
        ({"source": REFERENCE, "volume": 1}, "/tracks/0/volume"),
        ({"gain_db": 0}, "/tracks/0/source"),
    ],
)
def test_a_broken_rule_is_named_by_its_place(track: dict[str, object], pointer: str) -> None:
    """A value out of range, an unknown control, a missing source: the pointer names each."""
    with pytest.raises(InvalidParameters) as caught:
        operations.mix.check({"tracks": [track]}, same)
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_a_mix_has_at_least_one_track() -> None:
    """An empty list of tracks is refused."""
    with pytest.raises(InvalidParameters):
        operations.mix.check({"tracks": []}, same)


def test_the_schema_speaks_units() -> None:
    """Units stand in the published schema, where people read them."""
    properties = operations.duck.json_schema()["properties"]
    units = {name: item.get("unit") for name, item in properties.items()}
    assert units == {
        "music": None,
        "voice": None,
        "threshold_db": "dB",
        "ratio": ":1",
        "attack_ms": "ms",
        "release_ms": "ms",
        "makeup_db": "dB",
        "knee_db": "dB",
    }


def test_the_older_knobs_are_converted_by_the_published_table() -> None:
    """The defaults of the old node are -33.98 dB, 4:1, 100 ms, 500 ms and 0 dB."""
    wanted = {
        "threshold_db": -33.9794,
        "ratio": 4.0,
        "attack_ms": 100.0,
        "release_ms": 500.0,
        "makeup_db": 0.0,
    }
    got = {
        slot.parameter: (slot.convert or float)(slot.options["default"])
        for slot in nodes.SIDECHAIN.inputs
        if slot.type == "FLOAT"
    }
    assert got == pytest.approx(wanted, abs=1e-3)


@given(st.data())
def test_every_position_of_the_older_knobs_is_allowed(data: st.DataObject) -> None:
    """Whatever the widgets are turned to, the operation accepts what comes of it."""
    params: dict[str, object] = {"music": REFERENCE, "voice": REFERENCE}
    for slot in nodes.SIDECHAIN.inputs:
        if slot.type == "FLOAT":
            knob = data.draw(st.floats(slot.options["min"], slot.options["max"]))
            params[slot.parameter] = (slot.convert or float)(knob)
    assert operations.duck.check(params, same).inputs == (REFERENCE,)
