"""What the plugin declares: operations, ranges, and the nodes under their older names."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from backend.errors import InvalidParameters
from backend.plugins import spectral
from backend.plugins.spectral import nodes, operations

REFERENCE = "blake3:" + "0" * 64
DAB = {"shape": "brush", "points": [[0.1, 1000]]}


def same(reference: str, kind: str) -> str:
    """A resolver that knows every asset."""
    return reference


def test_the_plugin_gives_its_operations_and_nodes() -> None:
    """Five operations, and the two nodes of older graphs."""
    assert [each.name for each in spectral.register_operations()] == [
        "spectral.spectrogram",
        "spectral.apply",
        "spectral.brush",
        "spectral.image_to_audio",
        "spectral.plot",
    ]
    assert [each.node_id for each in spectral.register_nodes()] == [
        "InternodeSpectrogram",
        "InternodeImageToAudio",
    ]


def test_declaring_is_light() -> None:
    """Reading the declarations imports neither scipy nor torch nor matplotlib."""
    code = (
        "import sys; from backend.plugins import spectral; spectral.register_operations();"
        "spectral.register_nodes();"
        "print([m for m in ('scipy', 'torch', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stdout.strip() == "[]"


def test_outputs_have_names_and_kinds() -> None:
    """In the order in which nodes have them; what was removed is an output of each edit."""
    found = {
        each.name: [(output.name, output.kind) for output in each.outputs]
        for each in spectral.register_operations()
    }
    assert found == {
        "spectral.spectrogram": [("picture", "image"), ("settings", "value")],
        "spectral.apply": [("audio", "audio"), ("removed", "audio"), ("edited_share", "value")],
        "spectral.brush": [("audio", "audio"), ("removed", "audio"), ("picture", "image")],
        "spectral.image_to_audio": [("audio", "audio")],
        "spectral.plot": [("image", "image")],
    }


@pytest.mark.parametrize(
    ("params", "pointer", "rule"),
    [
        ({"n_fft": 2047}, "/n_fft", "multiple_of"),
        ({"n_fft": 62}, "/n_fft", "greater_than_equal"),
        ({"n_fft": 4098}, "/n_fft", "less_than_equal"),
        ({"hop_length": 0}, "/hop_length", "greater_than_equal"),
        ({"bit_depth": 12}, "/bit_depth", "literal_error"),
        ({"duration_s": -1}, "/duration_s", "greater_than_equal"),
    ],
)
def test_a_broken_rule_is_named_at_the_door(
    params: dict[str, Any], pointer: str, rule: str
) -> None:
    """An odd window, one too short or long, no hop, 12 bits: before anything runs."""
    with pytest.raises(InvalidParameters) as caught:
        operations.spectrogram.check({"audio": REFERENCE, **params}, same)
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [(pointer, rule)]


@pytest.mark.parametrize(
    ("stroke", "pointer"),
    [
        ({"shape": "star", "points": []}, "/strokes/0"),
        ({"shape": "brush", "points": []}, "/strokes/0/brush/points"),
        ({"shape": "lasso", "points": [[0, 1], [1, 1]]}, "/strokes/0/lasso/points"),
        ({"shape": "brush", "points": [[-1, 1]]}, "/strokes/0/brush/points/0/0"),
        ({**DAB, "strength_db": 121}, "/strokes/0/brush/strength_db"),
        ({**DAB, "mode": "erase"}, "/strokes/0/brush/mode"),
        ({**DAB, "colour": "red"}, "/strokes/0/brush/colour"),
    ],
)
def test_a_broken_stroke_is_named_by_its_place(stroke: dict[str, Any], pointer: str) -> None:
    """Unknown shapes, too few points, times before the start, unknown fields."""
    with pytest.raises(InvalidParameters) as caught:
        operations.brush.check({"audio": REFERENCE, "strokes": [stroke]}, same)
    assert caught.value.errors[0].pointer == pointer


def test_strokes_and_settings_are_data() -> None:
    """What a page sends comes back canonical, with every default filled in."""
    checked = operations.brush.check({"audio": REFERENCE, "strokes": [DAB]}, same)
    assert checked.params["strokes"][0] == {
        "mode": "attenuate", "strength_db": 120.0, "fill_from": "frequency", "shape": "brush",
        "points": [[0.1, 1000.0]], "radius_s": 0.05, "radius_hz": 100.0, "feather": 0.5,
    }  # fmt: skip
    with pytest.raises(InvalidParameters) as caught:
        operations.apply.check(
            {"audio": REFERENCE, "picture": REFERENCE, "settings": {"n_fft": 65}}, same
        )
    assert "/settings/n_fft" in [each.pointer for each in caught.value.errors]


@pytest.mark.parametrize("shape", [nodes.SPECTROGRAM, nodes.IMAGE_TO_AUDIO])
def test_every_knob_of_the_older_nodes_is_allowed(shape: Any) -> None:
    """At its lowest, its default and its highest each knob becomes a parameter that passes."""
    operation = next(
        each for each in spectral.register_operations() if each.name == shape.operation
    )
    media = {each.name: REFERENCE for each in operation.inputs if not each.optional}
    knobs = [slot for slot in shape.inputs if slot.type in ("INT", "FLOAT")]
    assert knobs
    for slot in knobs:
        for position in ("min", "default", "max"):
            value = slot.options[position]
            converted = slot.convert(value) if slot.convert else value
            operation.check({**media, slot.parameter: converted}, same)


def test_the_older_names_and_their_order() -> None:
    """Inputs and outputs by which older graphs know the nodes."""
    assert [slot.name for slot in nodes.SPECTROGRAM.inputs][:3] == ["audio", "n_fft", "hop_length"]
    assert nodes.SPECTROGRAM.outputs[0] == ("image", "picture")
    names = [slot.name for slot in nodes.IMAGE_TO_AUDIO.inputs]
    assert names == ["image", "n_iter", "hop", "amp_scale", "sample_rate", "settings"]
    assert nodes.IMAGE_TO_AUDIO.outputs == (("audio", "audio"),)
