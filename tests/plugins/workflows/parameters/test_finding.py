"""Types, defaults and names of parameters, and files that become assets."""

from __future__ import annotations

import pytest

from backend.plugins.workflows.parameters import finding
from backend.plugins.workflows.parameters.definitions import Definitions, Spec
from backend.plugins.workflows.parameters.kinds import NOTHING, fitting


def test_types_come_from_the_node_class(known, a_graph) -> None:
    """Range, choices and kind; a whole number for a fraction is one."""
    found = known(a_graph())
    seed = {key: found["seed"][key] for key in ("type", "minimum", "maximum", "default")}
    assert seed == {"type": "integer", "minimum": 0, "maximum": 2**64 - 1, "default": 7}
    assert found["sampler"]["choices"] == ["euler", "dpmpp_2m"]
    assert found["scheduler"]["choices"] == ["normal", "karras"]
    assert (found["guidance"]["type"], found["guidance"]["default"]) == ("number", 2.5)
    assert found["prompt"]["multiline"] is True


def test_files_are_no_closed_choice(known, a_graph) -> None:
    """Model files come and go, so their names are a text with examples."""
    model = known(a_graph())["checkpoint_loader_simple_ckpt_name"]
    assert (model["type"], model["examples"]) == ("string", ["a.safetensors"])


def test_everything_else_is_named_after_its_node(known, a_graph) -> None:
    """Title or class, then input, what both say once; a node of one value gives its title; equal
    values under one title of their own are one, others are numbered; reserved words are moved."""
    graph = a_graph()
    graph["7"]["_meta"] = {"title": "Final picture (A)"}
    for node, prefix in (("8", graph["7"]["inputs"]["filename_prefix"]), ("9", "other")):
        graph[node] = {**graph["7"], "inputs": {**graph["7"]["inputs"], "filename_prefix": prefix}}
    found = known(graph)
    assert found.places("final_picture_a_filename_prefix") == [
        "7.filename_prefix", "8.filename_prefix",
    ]  # fmt: skip
    assert found.places("final_picture_a_filename_prefix_2") == ["9.filename_prefix"]
    for node in ("7", "8"):
        graph[node]["_meta"] = {"title": "SaveImage"}  # a title that says nothing joins nothing
    found = known(graph)
    assert found.places("save_image_filename_prefix_2") == ["8.filename_prefix"]
    graph["7"]["_meta"] = {"title": "Filename"}
    graph["1"]["_meta"] = {"title": "Model"}
    found = known(graph)
    assert found.places("filename_prefix") == ["7.filename_prefix"]
    assert found["model"]["examples"] == ["a.safetensors"]
    assert finding.slug("LoadLoRA 2x") == "load_lora_2x"
    assert finding.slug("KSampler") == "ksampler"
    assert finding.slug("VAEDecode") == "vae_decode"
    assert finding.slug("画像") == "node"
    names = finding._Names()
    assert [names.new(word) for word in ("model_dump", "class", "class", "width")] == [
        "model_dump_value", "class_value", "class_2", "width",
    ]  # fmt: skip


def test_missing_inputs_have_the_default_of_their_class(known, a_node) -> None:
    """A required input that the graph lacks is a parameter with the class's default; the rule
    says so."""
    found = known({"1": a_node("SaveImage")})
    prefix = found["save_image_filename_prefix"]
    assert prefix["default"] == "ComfyUI"
    assert prefix["places"][0]["rule"] == "default of the node class"


@pytest.mark.parametrize(
    ("spec", "value", "wanted"),
    [
        (Spec("INT", {"min": 1}, True), "5", {"type": "integer", "default": 5, "minimum": 1}),
        (Spec("INT", {}, True), 2.0, {"type": "integer", "default": 2}),
        (Spec("INT", {}, True), 2.5, {"type": "number", "default": 2.5}),
        (Spec("FLOAT", {"max": 1}, True), 1, {"type": "number", "default": 1.0, "maximum": 1}),
        (Spec("BOOLEAN", {}, True), True, {"type": "boolean", "default": True}),
        (Spec("BOOLEAN", {}, True), "yes", {"type": "string", "default": "yes"}),
        (Spec("COMBO", {"options": ["a"]}, True), "b", {"type": "string", "default": "b"}),
        (Spec("COMBO", {"options": []}, True), "b", {"type": "string", "default": "b"}),
        (Spec("COMBO", {"options": [1, 2]}, True), 2,
         {"type": "choice", "default": 2, "choices": [1, 2]}),
        (Spec("COMBO", {"options": ["a"]}, True), NOTHING,
         {"type": "choice", "default": "a", "choices": ["a"]}),
        (Spec("COMBO", {"options": ["a.pt", "pixel_space"]}, True), "pixel_space",
         {"type": "string", "default": "pixel_space", "examples": ["a.pt", "pixel_space"]}),
        (Spec("COMBO", {"options": ["pixel_space"]}, True), "ae.safetensors",
         {"type": "string", "default": "ae.safetensors", "examples": ["pixel_space"]}),
        (Spec("INT", {"min": 0, "max": 9}, True), 10,
         {"type": "integer", "minimum": 0, "maximum": 9}),
        (Spec("FLOAT", {"min": 0.5, "default": 0}, True), NOTHING,
         {"type": "number", "minimum": 0.5}),
        (Spec("STRING", {}, True), NOTHING, None),
        (Spec("CURVE", {}, True), {"__value__": []}, None),
        (None, 3, {"type": "integer", "default": 3}),
        (None, True, {"type": "boolean", "default": True}),
    ],
)  # fmt: skip
def test_what_fits_an_input(spec, value, wanted) -> None:
    """The declared type where the value is of it, else the value's own; none for objects."""
    assert fitting(spec, value) == wanted


def test_both_forms_of_choices_and_nested_inputs() -> None:
    """Choices as a list and as options; a dynamic choice brings the inputs of what is chosen."""
    info = {
        "Scale": {
            "input": {
                "required": {
                    "mode": (
                        "COMFY_DYNAMICCOMBO_V3",
                        {
                            "options": [
                                {"key": "to size", "inputs": {"required": {"width": ["INT", {}]}}},
                                {"key": "by", "inputs": {"optional": {"factor": ["FLOAT", {}]}}},
                            ]
                        },
                    ),
                    "how": [["fast", "fine"]],
                    "both": ["FLOAT,AUTOMATION", {"default": 1.0}],
                }
            }
        }
    }
    known = Definitions(info)
    assert list(known.inputs("Scale", {"mode": "by"})) == ["mode", "mode.factor", "how", "both"]
    assert "mode.width" in known.inputs("Scale", {"mode": "to size"})
    specs = known.inputs("Scale", {})
    assert specs["mode"].choices == ["to size", "by"]
    assert specs["how"].choices == ["fast", "fine"]
    assert specs["both"].type == "FLOAT"
    assert known.inputs("Nobody", {}) == {}
    assert known.output("Nobody", 3) == ("*", "")


def test_loaders_become_assets(known, a_node) -> None:
    """Picture and mask of one file are one asset; a colour as a mask is taken behind it; each
    output leads where the stock one led."""
    found = known(
        {
            "1": a_node("LoadImage", "Photo of you", image="me.png"),
            "2": a_node("VAEEncode", pixels=["1", 0]),
            "3": a_node("SaveImage", images=["1", 0], filename_prefix="x", mask=["1", 1]),
            "4": a_node("LoadImageMask", image="m.png", channel="red"),
            "5": a_node("LoadImageMask", image="m.png", channel="alpha"),
            "6": a_node("LoadAudio", audio="a.wav"),
            "7": a_node("X", mask=["4", 0], other=["5", 0], sound=["6", 0]),
        }
    )
    assets = {
        name: (each["media"], found.places(name))
        for name, each in found.parameters.items()
        if each["type"] == "asset"
    }
    assert assets == {
        "photo_of_you": ("image", ["1.asset"]),
        "mask": ("mask", ["5.asset"]),
        "audio": ("audio", ["6.asset"]),
        "image": ("image", ["4_asset.asset"]),
    }
    assert not any("default" in found[name] for name in assets)
    template = found.template
    assert template["2"]["inputs"]["pixels"] == ["1", 1]
    assert template["3"]["inputs"]["mask"] == ["1", 2]
    assert template["4"]["class_type"] == "ImageToMask"
    assert template["4"]["inputs"] == {"image": ["4_asset", 1], "channel": "red"}
    assert template["7"]["inputs"] == {"mask": ["4", 0], "other": ["5", 2], "sound": ["6", 0]}


def test_a_loader_that_feeds_nobody_asks_for_nothing(known, a_node) -> None:
    """It is left out, so that no asset is asked for in vain."""
    found = known({"1": a_node("LoadImage", image="x.png"), "2": a_node("SaveImage")})
    assert list(found.template) == ["2"]


def test_an_asset_of_the_graph_is_the_default(known, a_node) -> None:
    """KinoLoadAsset with a reference keeps it; its kind is that of the output in use."""
    reference = "blake3:" + "a" * 64
    graph = {
        "1": a_node("KinoLoadAsset", asset=reference),
        "2": a_node("SaveImage", images=["1", 1]),
        "3": a_node("KinoLoadAsset"),
        "4": a_node("X", a=["3", 0], b=["3", 1]),
    }
    found = known(graph)
    assert (found["image"]["default"], found["image"]["media"]) == (reference, "image")
    assert found["asset"]["media"] == "any"
    assert "default" not in found["asset"]


def test_the_graph_that_is_given_is_not_touched(known, a_node) -> None:
    """A template is a copy."""
    graph = {
        "1": a_node("LoadImage", image="x.png"),
        "2": a_node("SaveImage", images=["1", 0]),
    }
    known(graph)
    assert graph["1"]["class_type"] == "LoadImage"
    assert graph["2"]["inputs"]["images"] == ["1", 0]
