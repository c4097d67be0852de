"""The nodes under their older names: slots, choices, outputs, and a call through each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.bricks import assembling, sockets, widgets
from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.operations import Operation
from backend.plugins import NodeInput, NodeShape, reactive, workflows
from backend.plugins.reactive import nodes

REFERENCE = "blake3:" + "0" * 64
OPERATIONS: dict[str, Operation[..., Any]] = {
    each.name: each for each in (*reactive.register_operations(), *workflows.register_operations())
}
SHAPES = {each.node_id: each for each in (*nodes.SHAPES, *workflows.register_nodes())}

INPUTS: dict[str, dict[str, Any]] = {
    "InternodeAudioToKeyframes": {
        "audio": None, "fps": 24.0, "mode": "RMS (Volume)", "smoothing": 0.2, "amp_scale": 1.0,
        "y_offset": 0.0, "beat_threshold": 0.4,
    },
    "InternodeLFO": {
        "waveform": "Sine", "period_frames": 60, "amplitude": 0.5, "offset": 0.5,
        "phase_shift": 0.0, "total_frames": 120,
    },
    "InternodeADSR": {
        "attack_frames": 10, "decay_frames": 10, "sustain_level": 0.7, "release_frames": 20,
        "total_frames": 120, "trigger_start": 0, "hold_duration": 30,
    },
    "InternodeParamRemap": {
        "value": 0.5, "in_min": 0.0, "in_max": 1.0, "out_min": 0.0, "out_max": 10.0,
        "curve": "Linear", "clamp": True, "value_list": None,
    },
    "InternodeStringSequencer": {
        "schedule": "0: A cinematic shot of a cat\n30: A cinematic shot of a dog",
        "total_frames": 120, "current_frame": 0,
    },
    "InternodeMarkdownNote": {"text": "# My Note\n\nStart typing here..."},
}  # fmt: skip
OUTPUTS = {
    "InternodeAudioToKeyframes": ["float_curve", "schedule_str", "curve_image", "frame_count"],
    "InternodeAudioAnalyzer": ["float_curve", "schedule_str", "curve_image", "frame_count"],
    "InternodeLFO": ["float_curve", "last_value"],
    "InternodeADSR": ["envelope"],
    "InternodeParamRemap": ["value", "value_list"],
    "InternodeStringSequencer": ["current_string", "string_list"],
    "InternodeMarkdownNote": ["text"],
}


def _slot(item: NodeInput) -> widgets.Slot:
    """The slot of a node that is built over this input."""
    kind = {"AUDIO": "audio", sockets.NUMBERS: "automation"}.get(str(item.type))
    return widgets.Slot(
        item.name, (item.parameter,), str(item.type), item.options, not item.optional, kind,
        convert=item.convert,
    )  # fmt: skip


def call(node_id: str, **given: Any) -> list[Any]:
    """What comes out of a node, but for pictures, which need torch to leave."""
    shape = SHAPES[node_id]
    slots = [_slot(item) for item in shape.inputs]
    held: dict[str, Any] = {}

    def media(slot: Any, value: Any) -> list[str]:
        if isinstance(value, Audio):  # from its socket it would come by torch
            held[REFERENCE] = value
        else:
            (held[REFERENCE],) = sockets.from_socket(slot.type, value)
        return [REFERENCE]

    defaults = {
        slot.name: slot.options["default"]
        for slot in slots
        if "default" in slot.options and slot.required
    }
    params = assembling.assemble(slots, {**defaults, **given}, media)
    operation = OPERATIONS[shape.operation]
    returned = operation.values(
        operation(**operation.bind(params, lambda reference, kind: held[reference]))
    )
    return [returned[name] for _, name in shape.outputs]


@pytest.mark.parametrize("node_id", INPUTS)
def test_inputs_have_their_names_order_and_defaults(node_id: str) -> None:
    """As older graphs expect them."""
    shape = SHAPES[node_id]
    listed = {slot.name: slot.options.get("default") for slot in shape.inputs if slot.listed}
    assert listed == INPUTS[node_id]
    assert list(listed) == list(INPUTS[node_id])


@pytest.mark.parametrize("node_id", OUTPUTS)
def test_outputs_have_their_names_and_order(node_id: str) -> None:
    """The order of outputs is what links of older graphs count on."""
    assert [shown for shown, _ in SHAPES[node_id].outputs] == OUTPUTS[node_id]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_input_and_output_leads_somewhere(shape: NodeShape) -> None:
    """Each slot feeds a parameter, each output is one of the operation's."""
    operation = OPERATIONS[shape.operation]
    parameters = operation.json_schema()["properties"]
    assert {slot.parameter for slot in shape.inputs} <= parameters.keys()
    assert {name for _, name in shape.outputs} <= {each.name for each in operation.outputs}


def test_every_older_choice_is_understood() -> None:
    """Modes, waveforms and bends, as they are shown, are choices of the operations."""
    for shown, convert, operation, parameter in (
        (nodes.MODES, nodes.mode, "reactive.keyframes", "mode"),
        (nodes.WAVEFORMS, nodes.waveform, "reactive.lfo", "waveform"),
        (nodes.SHAPES_OF_OLD, nodes.shape, "reactive.remap", "shape"),
    ):
        choices = OPERATIONS[operation].json_schema()["properties"][parameter]["enum"]
        assert {convert(each) for each in shown} <= set(choices)
    assert nodes.mode("Beat") == "beat"


def test_the_curve_leaves_as_numbers_and_knows_its_rate() -> None:
    """What the keyframe node gives on float_curve is a list that other packs read."""
    curve, last = call("InternodeLFO", period_frames=4, total_frames=5)
    assert sockets.to_socket(curve) == pytest.approx([0.5, 1.0, 0.5, 0.0, 0.5])
    assert last == pytest.approx(0.5)


@pytest.mark.parametrize(("fps", "rate"), [(24, "24"), (29.97, "30000/1001"), (12.5, "25/2")])
def test_fps_is_exact(fps: float, rate: str) -> None:
    """The predecessor took whole frame rates only."""
    samples = np.sin(np.arange(16000) / 5)
    sound = Audio.from_samples(samples, 8000)
    curve, schedule, _, frames = call("InternodeAudioToKeyframes", audio=sound, fps=fps)
    assert str(curve.frame_rate) == rate
    assert frames == curve.frames == schedule.count("(") == round(2 * float(curve.frame_rate))


def test_the_older_analyzer_s_words_are_answered() -> None:
    """frame_rate and smoothness of older graphs are taken for fps and smoothing."""
    sound = Audio.from_samples(np.sin(np.arange(8000) / 5), 8000)
    curve = call("InternodeAudioAnalyzer", audio=sound, frame_rate=30, smoothness=0.0)[0]
    assert (curve.frame_rate, curve.frames) == (30, 30)


def test_an_envelope_starts_at_its_trigger() -> None:
    """trigger_start is the one trigger."""
    (envelope,) = call("InternodeADSR", trigger_start=5, attack_frames=2, total_frames=8)
    assert envelope.values.tolist() == pytest.approx([0, 0, 0, 0, 0, 0, 0.5, 1])


def test_a_remap_takes_lists_of_anybody() -> None:
    """A curve of ours keeps its rate, a list of others' is mapped number by number."""
    bend = "Ease In (Square)"
    value, listed = call("InternodeParamRemap", curve=bend, value_list=[0.0, 0.5, 2.0])
    assert value == 2.5 and listed.values.tolist() == [0.0, 2.5, 10.0]
    ours = sockets.to_socket(Automation.from_values([1.0], "24000/1001"))
    assert str(call("InternodeParamRemap", value_list=ours)[1].frame_rate) == "24000/1001"
    assert call("InternodeParamRemap")[1].values.tolist() == [5.0]


def test_a_sequencer_gives_one_text_and_all() -> None:
    """The list leaves as a list, and not as JSON."""
    text, every = call("InternodeStringSequencer", current_frame=30, total_frames=31)
    assert text == "A cinematic shot of a dog"
    assert every == ["A cinematic shot of a cat"] * 30 + [text]
    assert SHAPES["InternodeStringSequencer"].output_types == {"string_list": "STRING_LIST"}


def test_floats_of_other_packs_become_a_curve() -> None:
    """A list or a single number, with a rate, is an automation."""
    assert call("KinoFloatsToAutomation", values=[1, 2.0], fps=23.976)[0].values.tolist() == [1, 2]
    assert call("KinoFloatsToAutomation", values=3)[0].values.tolist() == [3]


def test_a_note_gives_its_text() -> None:
    """A note is kept, and can be linked."""
    assert call("InternodeMarkdownNote", text="# Hello") == ["# Hello"]
