"""The mixer's nodes under their older names: the published table, and what a graph gives."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.bricks import assembling, widgets
from backend.errors import InvalidParameters
from backend.plugins.mixer import knobs, nodes, operations

REFERENCE = "blake3:" + "0" * 64
SHAPES = (nodes.MIXER, nodes.MIXER_8)


def same(reference: str, kind: str) -> str:
    return reference


def db(gain: float) -> float:
    return 20 * math.log10(gain)


PUBLISHED = {
    **{f"{name}_{n}": values for n in range(1, 9) for name, values in {
        "vol": (0, 1.5, 0.75), "pan": (-1, 1, 0), "eq_low": (0, 3, 1), "eq_mid": (0, 3, 1),
        "eq_high": (0, 3, 1), "gate": (0, 1, 0), "comp": (0, 1, 0), "d_time": (0.01, 2, 0.35),
        "d_fb": (0, 0.95, 0.4), "d_mix": (0, 1, 0), "d_echo": (1, 16, 4),
        "mute": (False, True, False), "solo": (False, True, False),
    }.items()},
    "master_vol": (0, 2, 1), "master_gate": (0, 1, 0), "master_comp": (0, 1, 0),
    "master_eq_low": (0, 3, 1), "master_eq_mid": (0, 3, 1), "master_eq_high": (0, 3, 1),
    "master_balance": (-1, 1, 0), "master_width": (0, 2, 1), "master_drive": (0, 1, 0),
    "master_locut": (20, 200, 20), "master_hicut": (8000, 20000, 20000),
    "master_ceil": (0.1, 1, 1),
}  # fmt: skip
"""Range and default of every knob, as the older nodes publish them."""


def table() -> dict[str, Any]:
    """What each knob becomes at some positions: knob → {position: expected}."""
    strip: dict[str, dict[float, Any]] = {
        "vol": {0.75: db(0.75), 1.5: db(1.5), 0.0: -120.0},
        "eq_low": {3.0: db(3.0), 0.5: db(0.5), 0.001: -60.0, 0.0: -60.0},
        "gate": {0.0: None, 1.0: {"threshold_db": -20.0}, 0.1: {"threshold_db": -40.0},
                 5e-324: {"threshold_db": -120.0}},
        "comp": {0.0: None, 1.0: {"threshold_db": -30.0, "ratio": 5.0, "makeup_db": db(1.5)},
                 0.5: {"threshold_db": -17.5, "ratio": 3.0, "makeup_db": db(1.25)}},
    }  # fmt: skip
    master: dict[str, dict[float, Any]] = {
        "vol": {2.0: db(2.0), 0.0: -120.0},
        "drive": {0.0: None, 0.7: 0.7},
        "locut": {20.0: None, 80.0: 80.0},
        "hicut": {20000.0: None, 12000.0: 12000.0},
        "ceil": {1.0: None, 0.5: {"ceiling_db": db(0.5)}},
    }
    return {"strip": strip, "master": master}


def test_every_knob_has_its_published_range_and_default() -> None:
    """Names, ranges and defaults are the older nodes', on both of them, and nothing else is."""
    for shape in SHAPES:
        found = {
            item.name: tuple(item.options[key] for key in ("min", "max", "default"))
            for item in shape.inputs
            if not item.listed
        }
        assert found == PUBLISHED
        listed = [item.name for item in shape.inputs if item.listed]
        assert listed == [*(f"track_{n}" for n in range(1, 9)), "mix"]
        assert [shown for shown, _ in shape.outputs] == ["master_output", "pre_master_output"]
        assert shape.outputs == (("master_output", "master"), ("pre_master_output", "pre_master"))


@pytest.mark.parametrize("where", ["strip", "master"])
def test_knobs_are_converted_by_the_published_table(where: str) -> None:
    """Linear knobs become decibels, thresholds, ratios and sections, position by position."""
    known = knobs.STRIP_KNOBS if where == "strip" else knobs.MASTER_KNOBS
    for name, positions in table()[where].items():
        convert = known[name].convert
        assert convert is not None
        for position, expected in positions.items():
            got = convert(position)
            assert got == (expected if expected is None else pytest.approx(expected)), name


def test_a_track_with_knobs_at_rest_is_the_older_default() -> None:
    """A linked track without a single knob stands at .75 and passes nothing else."""
    made = nodes.gather({"track_3": REFERENCE})
    (strip,) = made["mix"]["strips"]
    assert strip["id"] == "track_3"
    assert strip["fader_db"] == pytest.approx(db(0.75))
    assert (strip["gate"], strip["compressor"], strip["delay"]) == (None, None, None)
    master = operations.mix.check(made, same).params["mix"]["master"]
    neutral = operations.mix.check({"mix": {"strips": [{"id": "a", "source": REFERENCE}]}}, same)
    assert master == neutral.params["mix"]["master"]


def test_the_delay_s_knobs_make_one_delay() -> None:
    """A mix above .01 switches the delay on, with its time, feedback and number of echoes."""
    given = {"track_1": REFERENCE, "d_mix_1": 0.5, "d_time_1": 0.2, "d_fb_1": 0.6, "d_echo_1": 7}
    (strip,) = nodes.gather(given)["mix"]["strips"]
    assert strip["delay"] == {"time_s": 0.2, "feedback": 0.6, "mix": 0.5, "echoes": 7}
    (off,) = nodes.gather({**given, "d_mix_1": 0.01})["mix"]["strips"]
    assert off["delay"] is None


def slots() -> list[widgets.Slot]:
    """The node's slots; the real node is tested inside ComfyUI, in test_one_declaration.py."""
    return [
        widgets.Slot(
            item.name,
            (item.parameter,),
            "STRING" if item.type == "JSON" else str(item.type),
            item.options,
            kind="audio" if item.type == "AUDIO" else None,
            is_json=item.type == "JSON",
            listed=item.listed,
        )
        for item in nodes.MIXER.inputs
    ]


def gathered(given: dict[str, Any]) -> dict[str, Any]:
    """What a graph's inputs become, as the node does it; sounds stand for their references."""
    return nodes.gather(assembling.by_name(slots(), given, lambda slot, value: [value]))


@given(st.data())
def test_every_position_of_the_knobs_is_allowed(data: st.DataObject) -> None:
    """Whatever the knobs are turned to, the operation accepts what comes of it."""
    inputs: dict[str, Any] = {f"track_{n}": REFERENCE for n in (1, 2, 8)}
    names = data.draw(st.lists(st.sampled_from(sorted(PUBLISHED)), unique=True, max_size=30))
    for name in names:
        low, high, default = PUBLISHED[name]
        if isinstance(default, bool):
            inputs[name] = data.draw(st.booleans())
        elif name.startswith("d_echo"):
            inputs[name] = data.draw(st.integers(int(low), int(high)))
        else:
            inputs[name] = data.draw(st.floats(low, high))
    checked = operations.mix.check(gathered(inputs), same)
    assert len(checked.params["mix"]["strips"]) == 3


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("vol_1", 1.6, "maximum"), ("vol_1", -0.1, "minimum"), ("pan_8", 2, "maximum"),
        ("d_echo_2", 0, "minimum"), ("d_echo_2", 17, "maximum"), ("master_ceil", 0.05, "minimum"),
        ("gate_1", float("nan"), "minimum"), ("comp_1", "loud", "type"), ("vol_2", None, None),
        ("master_locut", "25", None),
    ],
)  # fmt: skip
def test_a_knob_out_of_its_range_is_named(name: str, value: Any, rule: str | None) -> None:
    """ComfyUI does not check inputs that a node does not list, so Kino does."""
    given = {"track_1": REFERENCE, name: value}
    if rule is None:
        gathered(given)
        return
    with pytest.raises(InvalidParameters, match=f"^{name}: ") as caught:
        gathered(given)
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [(f"/{name}", rule)]


def test_a_document_takes_the_linked_tracks() -> None:
    """Strips take tracks in order; a strip without a track is left out, a track without a strip
    is a neutral one, and a strip with a source of its own keeps it."""
    own = "blake3:" + "9" * 64
    mix = '{"strips": [{"id": "a", "pan": 0.5}, {"id": "b"}, {"id": "c", "source": "' + own + '"}]}'
    made = gathered({"mix": mix, "track_1": REFERENCE, "track_4": REFERENCE})
    assert made["mix"]["strips"] == [
        {"id": "a", "pan": 0.5, "source": REFERENCE},
        {"id": "c", "source": own},
        {"id": "track_4", "source": REFERENCE},
    ]
    operations.mix.check(made, same)


def test_strips_named_after_tracks_take_those() -> None:
    """The id ``track_2`` is the second track, wherever its strip stands."""
    mix = '{"strips": [{"id": "track_2", "fader_db": -60}, {"id": "x"}, {"id": "track_1"}]}'
    sounds = {f"track_{n}": "blake3:" + str(n) * 64 for n in (1, 2, 3)}
    made = gathered({"mix": mix, **sounds})["mix"]["strips"]
    assert [(strip["id"], strip["source"][-1]) for strip in made] == [
        ("track_2", "2"),
        ("track_1", "1"),
        ("track_3", "3"),
    ]
    alone = gathered({"mix": '{"strips": [{"id": "track_2", "pan": 1}]}', **sounds})
    assert [strip["id"] for strip in alone["mix"]["strips"]] == ["track_2", "track_1", "track_3"]
    other = gathered({"mix": '{"strips": [{"id": "track_2", "pan": 1}]}', "track_1": REFERENCE})
    assert other["mix"]["strips"] == [{"id": "track_1", "source": REFERENCE}]


@pytest.mark.parametrize(
    ("given", "pointer", "says"),
    [
        ({}, "/track_1", "link at least one track"),
        ({"mix": "{}"}, "/track_1", "link at least one track"),
        ({"mix": "{", "track_1": REFERENCE}, "/mix", "is not JSON"),
        ({"mix": "[" * 100_000, "track_1": REFERENCE}, "/mix", "lists within lists"),
        ({"mix": "9" * 5_000, "track_1": REFERENCE}, "/mix", "too many digits"),
        ({"mix": "[]", "track_1": REFERENCE}, "/mix", "an object with a list of strips"),
        ({"mix": '{"strips": [1]}', "track_1": REFERENCE}, "/mix", "strip 1 is not an object"),
        ({"mix": "{}", "track_1": REFERENCE, "vol_2": 1.0}, "/vol_2", "older form"),
    ],
)
def test_what_a_graph_cannot_mean_is_refused(
    given: dict[str, Any], pointer: str, says: str
) -> None:
    """No track, text that is no document, and both forms at once end with a sentence."""
    with pytest.raises(InvalidParameters, match=says) as caught:
        gathered(given)
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_the_editor_is_shown_nine_inputs_and_all_are_answered_for() -> None:
    """ComfyUI lists the tracks and one document; asked for a knob by name, the node has it."""
    optional = widgets.input_types(slots())["optional"]
    assert list(optional) == [*(f"track_{n}" for n in range(1, 9)), "mix"]
    assert len(optional) == 9
    assert "vol_1" in optional
    assert optional["vol_1"] == ("FLOAT", {"default": 0.75, "min": 0.0, "max": 1.5})
    assert optional["mix"][0] == "STRING"
    assert "vol_9" not in optional
    with pytest.raises(KeyError):
        optional["vol_9"]


def test_the_older_sidechain_s_knobs_are_converted_by_the_published_table() -> None:
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
def test_every_position_of_the_sidechain_s_knobs_is_allowed(data: st.DataObject) -> None:
    """Whatever the widgets are turned to, the operation accepts what comes of it."""
    params: dict[str, object] = {"music": REFERENCE, "voice": REFERENCE}
    for slot in nodes.SIDECHAIN.inputs:
        if slot.type == "FLOAT":
            knob = data.draw(st.floats(slot.options["min"], slot.options["max"]))
            params[slot.parameter] = (slot.convert or float)(knob)
    assert operations.duck.check(params, same).inputs == (REFERENCE,)
