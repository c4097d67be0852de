"""Workflows of the graph editor become graphs of the executor; own small documents."""

from __future__ import annotations

from typing import Any

import pytest

from backend.errors import InvalidParameters
from backend.plugins.workflows.conversion.converting import convert

DEFINITIONS: dict[str, Any] = {
    "Load": {
        "display_name": "Load Picture",
        "input": {"required": {"image": [["a.png", "b.png"], {"image_upload": True}]}},
        "input_order": {"required": ["image"]},
    },
    "Blur": {
        "input": {
            "required": {"image": ["IMAGE", {}], "radius": ["INT", {"default": 3}]},
            "optional": {"mask": ["MASK", {}], "mode": [["soft", "hard"], {}]},
        }
    },
    "Sample": {
        "input": {
            "required": {
                "image": ["IMAGE", {}],
                "seed": ["INT", {"default": 0, "control_after_generate": True}],
                "text": ["STRING", {"dynamicPrompts": True}],
            }
        }
    },
    "Resize": {
        "input": {
            "required": {
                "image": ["IMAGE", {}],
                "how": [
                    "COMFY_DYNAMICCOMBO_V3",
                    {
                        "options": [
                            {"key": "size", "inputs": {"required": {"width": ["INT", {}]}}},
                            {"key": "scale", "inputs": {"required": {"by": ["FLOAT", {}]}}},
                        ]
                    },
                ],
                "after": ["BOOLEAN", {"default": True}],
            }
        }
    },
    "Save": {"input": {"required": {"images": ["IMAGE", {}], "name": ["STRING", {}]}}},
}


def node(id_: int, type_: str, values: Any = (), **more: Any) -> dict[str, Any]:
    """A saved node. Inputs are written ``name=(type, link)`` or ``(type, link, widget)``."""
    inputs = []
    for name, (kind, link, *widget) in more.pop("inputs", {}).items():
        slot = {"name": name, "type": kind, "link": link}
        inputs.append({**slot, "widget": {"name": widget[0]}} if widget else slot)
    outputs = [{"name": kind, "type": kind} for kind in more.pop("outputs", ["IMAGE"])]
    saved = values if isinstance(values, dict) else list(values)
    return {"id": id_, "type": type_, "mode": 0, "inputs": inputs, "outputs": outputs,
            "widgets_values": saved, **more}  # fmt: skip


def workflow(*nodes: dict[str, Any], links: Any = (), **more: Any) -> dict[str, Any]:
    return {"nodes": list(nodes), "links": list(links), **more}


def graph_of(document: dict[str, Any]) -> dict[str, Any]:
    return convert(document, DEFINITIONS).graph


LOAD = node(1, "Load", ["b.png", "image"])
SAVE = node(9, "Save", ["out"], inputs={"images": ("IMAGE", 2)})


def through(middle: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Load → *middle* (id 5) → Save."""
    links = [[1, 1, 0, 5, 0, "IMAGE"], [2, 5, 0, 9, 0, "IMAGE"]]
    return workflow(LOAD, middle, SAVE, links=links, **more)


BLUR = node(5, "Blur", [7, "hard"], inputs={"image": ("IMAGE", 1), "mask": ("MASK", None)})


def test_values_and_links_become_inputs() -> None:
    """Widgets by their order in the definition, links by name, buttons not at all."""
    graph = graph_of(through(BLUR))
    assert graph["1"]["inputs"] == {"image": "b.png"}
    assert graph["5"]["inputs"] == {"image": ["1", 0], "radius": 7, "mode": "hard"}
    assert graph["9"]["inputs"] == {"images": ["5", 0], "name": "out"}
    assert [each["class_type"] for each in graph.values()] == ["Load", "Blur", "Save"]
    assert graph["1"]["_meta"] == {"title": "Load Picture"}


def test_a_node_that_is_bypassed_is_passed_by() -> None:
    """Its output is its first input of the same type; without one nothing is linked."""
    assert graph_of(through({**BLUR, "mode": 4}))["9"]["inputs"]["images"] == ["1", 0]
    blind = {**BLUR, "mode": 4, "inputs": [{"name": "mask", "type": "MASK", "link": None}]}
    assert "images" not in graph_of(through(blind))["9"]["inputs"]


def test_a_node_that_is_muted_is_left_out() -> None:
    """So is every link to it."""
    graph = graph_of(through({**BLUR, "mode": 2}))
    assert sorted(graph) == ["1", "9"]
    assert graph["9"]["inputs"] == {"name": "out"}


def test_reroutes_and_notes_do_not_run() -> None:
    """A reroute is the wire that it stands on."""
    reroute = node(5, "Reroute", inputs={"": ("*", 1)}, outputs=["*"])
    graph = graph_of(through(reroute))
    assert graph["9"]["inputs"]["images"] == ["1", 0]
    with_note = workflow(LOAD, node(3, "MarkdownNote", ["# Hello"]), node(4, "Note", ["hm"]))
    assert list(graph_of(with_note)) == ["1"]


def test_a_primitive_sets_the_widget_behind_it() -> None:
    """Its value wins over the one that is saved in the node, through a reroute too."""
    blur = node(5, "Blur", [7, "hard"], inputs={"radius": ("INT", 3, "radius")})
    primitive = node(2, "PrimitiveNode", [42, "fixed"], outputs=["INT"])
    direct = workflow(primitive, blur, links=[[3, 2, 0, 5, 0, "INT"]])
    assert graph_of(direct)["5"]["inputs"]["radius"] == 42
    reroute = node(4, "Reroute", inputs={"": ("*", 8)}, outputs=["*"])
    links = [[8, 2, 0, 4, 0, "INT"], [3, 4, 0, 5, 0, "INT"]]
    graph = graph_of(workflow(primitive, reroute, blur, links=links))
    assert graph["5"]["inputs"]["radius"] == 42


def test_get_follows_set() -> None:
    """A Get node gives what went into the Set node of the same name."""
    links = [[1, 1, 0, 6, 0, "IMAGE"], [2, 7, 0, 9, 0, "IMAGE"]]
    setter = node(6, "SetNode", ["picture"], inputs={"IMAGE": ("IMAGE", 1)})
    getter = node(7, "GetNode", ["picture"])
    assert graph_of(workflow(LOAD, setter, getter, SAVE, links=links))["9"]["inputs"] == {
        "images": ["1", 0],
        "name": "out",
    }
    other = node(7, "GetNode", ["another"])
    graph = graph_of(workflow(LOAD, setter, other, SAVE, links=links))
    assert "images" not in graph["9"]["inputs"]


def test_a_seed_is_saved_with_what_happens_after() -> None:
    """The editor's own widgets take their place in the order and are not sent."""
    sample = node(5, "Sample", [123, "randomize", "a cat"], inputs={"image": ("IMAGE", 1)})
    assert graph_of(through(sample))["5"]["inputs"] == {
        "image": ["1", 0],
        "seed": 123,
        "text": "a cat",
    }


def test_missing_values_have_their_defaults() -> None:
    """A document from before a widget was added still converts."""
    assert graph_of(workflow(node(5, "Blur", [])))["5"]["inputs"] == {"radius": 3, "mode": "soft"}


def test_values_saved_by_name_are_found() -> None:
    """Some packs save an object."""
    blur = node(5, "Blur", {"mode": "hard", "preview": 1})
    assert graph_of(workflow(blur))["5"]["inputs"] == {"radius": 3, "mode": "hard"}


def test_a_list_is_not_mistaken_for_a_link() -> None:
    """It is wrapped, as the editor does."""
    graph = graph_of(workflow(node(5, "Save", [["1", 0]])))
    assert graph["5"]["inputs"] == {"name": {"__value__": ["1", 0]}}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["size", 640, False], {"how": "size", "how.width": 640, "after": False}),
        (["scale", 0.5, False], {"how": "scale", "how.by": 0.5, "after": False}),
    ],
)
def test_a_choice_that_brings_inputs(values: list[Any], expected: dict[str, Any]) -> None:
    """The inputs of what is chosen stand behind the choice."""
    assert graph_of(workflow(node(5, "Resize", values)))["5"]["inputs"] == expected


def test_choices_in_prompts_are_taken_and_told() -> None:
    """The first of them; comments are cut out, escaped braces kept."""
    text = "a {red|blue {dark|light}} hat // for now\nand \\{braces\\} /* or not */"
    converted = convert(workflow(node(5, "Sample", [1, "fixed", text])), DEFINITIONS)
    assert converted.graph["5"]["inputs"]["text"] == "a red hat \nand {braces} "
    assert converted.warnings == ["node 5: of the choices in 'text' the first is taken"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([True, "hard"], "input radius: the document has True for it, which is no number"),
        (["hard", 7], "input radius: the document has 'hard' for it, which is no number"),
        ([7, 3], "input mode: the document has 3 for it, which is no choice"),
        ([7, "hard", 9, "x"], "the document has 2 values more than the node has widgets, from 9"),
    ],
)
def test_values_that_do_not_fit_are_told(values: list[Any], told: str) -> None:
    """Node, title and input, what stands there, and what to do; the graph is what the editor would
    make of it."""
    blur = {**BLUR, "widgets_values": values, "title": "Soften"}
    converted = convert(through(blur), DEFINITIONS)
    found = [text for text in converted.warnings if told in text]
    assert found[:1] == converted.warnings[:1]
    assert found[0].startswith('node 5 (Blur, "Soften")')
    assert found[0].endswith("look at the node in the editor, and save the workflow again")
    inputs = converted.graph["5"]["inputs"]
    assert [inputs["radius"], inputs["mode"]] == values[:2]


@pytest.mark.parametrize(
    "values", [[7, "hard"], ["7", "a file that is not here"], [None, "soft"], [7], [7, "soft", ""]]
)
def test_values_that_may_fit_are_not_told(values: list[Any]) -> None:
    """A number in words, a choice that is not on the list, values that were never set."""
    assert convert(through({**BLUR, "widgets_values": values}), DEFINITIONS).warnings == []


def test_a_value_behind_a_link_may_be_anything() -> None:
    """What is not sent is not looked at."""
    inputs = {"image": ("IMAGE", 1), "radius": ("INT", 3, "radius")}
    document = through(node(5, "Blur", ["hard", "soft"], inputs=inputs))
    document["nodes"].append(node(6, "Number", [4], outputs=["INT"]))
    document["links"].append([3, 6, 0, 5, 1, "INT"])
    number = {"input": {"required": {"value": ["INT", {}]}}}
    converted = convert(document, {**DEFINITIONS, "Number": number})
    assert converted.graph["5"]["inputs"]["radius"] == ["6", 0]
    assert converted.warnings == []


def test_several_choices_of_a_list_fit() -> None:
    """Where a list takes more than one, their list is no misfit; elsewhere it is."""
    for several, warnings in ((True, 0), (False, 1)):
        choice = ["COMBO", {"options": ["soft", "hard"], "multiselect": several}]
        definitions = {**DEFINITIONS, "Pick": {"input": {"required": {"modes": choice}}}}
        converted = convert(workflow(node(3, "Pick", [["soft", "hard"]])), definitions)
        assert converted.graph["3"]["inputs"] == {"modes": {"__value__": ["soft", "hard"]}}
        assert len(converted.warnings) == warnings


def test_the_buttons_of_a_scene_are_no_values_of_it() -> None:
    """The editor saves three of them between the file of a 3D scene and the scene."""
    inputs = {
        "model_file": ["COMBO", {"options": ["toy.glb"]}],
        "image": ["LOAD_3D", {}],
        "width": ["INT", {"default": 1024}],
        "height": ["INT", {"default": 1024}],
    }
    values = ["toy.glb", "upload3dmodel", "uploadExtraResources", "clear", "", 640, 480]
    definitions = {**DEFINITIONS, "Load3D": {"input": {"required": inputs}}}
    converted = convert(workflow(node(3, "Load3D", values)), definitions)
    sent = {"model_file": "toy.glb", "image": "", "width": 640, "height": 480}
    assert (converted.graph["3"]["inputs"], converted.warnings) == (sent, [])


def test_the_knobs_of_an_older_mixer_are_no_mix() -> None:
    """They are refused at the node, with the ways out; a document and an empty one are taken."""
    mixer = {"input": {"optional": {"track_1": ["AUDIO", {}], "mix": ["STRING", {}]}}}
    definitions = {**DEFINITIONS, "InternodeAudioMixer8": mixer}
    knobs = [0.75, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.35, 0.4, 0.0, 4, False, False] * 8

    def mixed(*values: Any) -> dict[str, Any]:
        saved = node(3, "InternodeAudioMixer8", values, title="Desk")
        inputs: dict[str, Any] = convert(workflow(saved), definitions).graph["3"]["inputs"]
        return inputs

    with pytest.raises(InvalidParameters) as caught:
        mixed(*knobs)
    (error,) = caught.value.errors
    assert (error.pointer, error.rule) == ("/workflow/3/inputs/mix", "older_node")
    assert error.message.startswith('node 3 (InternodeAudioMixer8, "Desk"), input mix: ')
    assert "Export (API)" in error.message and "0.75" in error.message
    assert mixed('{"strips": []}') == {"mix": '{"strips": []}'}
    assert mixed("") == {"mix": ""}


def test_unknown_nodes_are_listed() -> None:
    """With their ids; their links are kept."""
    document = through(node(5, "FromSomePack", [1], inputs={"image": ("IMAGE", 1)}))
    converted = convert(document, DEFINITIONS)
    assert converted.missing == {"FromSomePack": ["5"]}
    assert converted.graph["5"]["inputs"] == {"image": ["1", 0]}


def subgraph(id_: str, *nodes: dict[str, Any], links: list[Any], inputs: list[str]) -> Any:
    slots = [{"name": name, "type": "*"} for name in inputs]
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    return {
        "id": id_, "nodes": list(nodes), "inputs": slots, "outputs": [{"name": "o", "type": "*"}],
        "links": [dict(zip(keys, link, strict=True)) for link in links],
        "inputNode": {"id": -10}, "outputNode": {"id": -20},
    }  # fmt: skip


INSIDE = node(
    1, "Blur", [7, "hard"], inputs={"image": ("IMAGE", 11), "radius": ("INT", 12, "radius")}
)
SOFTEN = subgraph(
    "soften",
    INSIDE,
    links=[
        (11, -10, 0, 1, 0, "IMAGE"),
        (12, -10, 1, 1, 1, "INT"),
        (13, 1, 0, -20, 0, "IMAGE"),
    ],
    inputs=["picture", "strength"],
)


def with_subgraph(values: Any, **inputs: Any) -> dict[str, Any]:
    outer = node(5, "soften", values, inputs={"picture": ("IMAGE", 1), **inputs})
    return through(outer, definitions={"subgraphs": [SOFTEN]}, last_node_id=9)


def test_a_subgraph_is_unfolded() -> None:
    """What is inside is called after the way to it; a taken id is given anew."""
    graph = graph_of(with_subgraph([]))
    assert sorted(graph) == ["1", "5:10", "9"]
    assert graph["5:10"]["inputs"]["image"] == ["1", 0]
    assert graph["9"]["inputs"]["images"] == ["5:10", 0]


def test_a_value_on_a_subgraph_wins_over_the_one_inside() -> None:
    """Without one, the widget inside keeps its own; a link wins over both."""
    assert graph_of(with_subgraph([]))["5:10"]["inputs"]["radius"] == 7
    assert graph_of(with_subgraph([99]))["5:10"]["inputs"]["radius"] == 99
    linked = with_subgraph([99], strength=("INT", 4, "strength"))
    linked["nodes"].append(node(8, "Sample", [1, "fixed", ""]))
    linked["links"].append([4, 8, 0, 5, 1, "INT"])
    assert graph_of(linked)["5:10"]["inputs"]["radius"] == ["8", 0]


def test_subgraphs_inside_subgraphs() -> None:
    """Values and links go through both."""
    outer = subgraph(
        "outer",
        node(20, "soften", [], inputs={"picture": ("IMAGE", 21),
                                       "strength": ("INT", 22, "strength")}),
        links=[(21, -10, 0, 20, 0, "IMAGE"), (22, -10, 1, 20, 1, "INT"),
               (23, 20, 0, -20, 0, "IMAGE")],
        inputs=["picture", "amount"],
    )  # fmt: skip
    document = through(
        node(5, "outer", [55], inputs={"picture": ("IMAGE", 1)}),
        definitions={"subgraphs": [SOFTEN, outer]},
        last_node_id=30,
    )
    graph = graph_of(document)
    assert sorted(graph) == ["1", "5:20:31", "9"]
    assert graph["5:20:31"]["inputs"] == {"image": ["1", 0], "radius": 55, "mode": "hard"}
    assert graph["9"]["inputs"]["images"] == ["5:20:31", 0]


def test_a_bypassed_subgraph_is_passed_by() -> None:
    """As any other node."""
    document = with_subgraph([])
    document["nodes"][1]["mode"] = 4
    graph = graph_of(document)
    assert sorted(graph) == ["1", "9"]
    assert graph["9"]["inputs"]["images"] == ["1", 0]


def test_a_circle_ends() -> None:
    """Reroutes in a circle lead nowhere; a subgraph inside itself is refused."""
    one = node(5, "Reroute", inputs={"": ("*", 1)}, outputs=["*"])
    two = node(6, "Reroute", inputs={"": ("*", 3)}, outputs=["*"])
    links = [[1, 6, 0, 5, 0, "*"], [3, 5, 0, 6, 0, "*"], [2, 5, 0, 9, 0, "*"]]
    assert graph_of(workflow(one, two, SAVE, links=links))["9"]["inputs"] == {"name": "out"}
    itself = subgraph("loop", node(40, "loop", []), links=[], inputs=[])
    with pytest.raises(InvalidParameters, match="inside themselves"):
        graph_of(workflow(node(5, "loop", []), definitions={"subgraphs": [itself]}))


def test_small_documents_are_no_endless_graphs() -> None:
    """Each level holds the next one twice: refused before it fills the memory."""
    levels = [
        subgraph(f"s{n}", node(2 * n, f"s{n + 1}", []), node(2 * n + 1, f"s{n + 1}", []),
                 links=[], inputs=[])
        for n in range(1, 25)
    ]  # fmt: skip
    with pytest.raises(InvalidParameters, match="unfolded"):
        graph_of(workflow(node(1, "s1", []), definitions={"subgraphs": levels}))


def test_a_long_chain_of_reroutes_is_told() -> None:
    """Thousands of nodes that do not run end with a sentence."""
    chain = [node(n, "Reroute", inputs={"": ("*", n)}, outputs=["*"]) for n in range(10, 3000)]
    links = [[n, n - 1, 0, n, 0, "*"] for n in range(10, 3000)] + [[2, 2999, 0, 9, 0, "IMAGE"]]
    with pytest.raises(InvalidParameters, match="too many nodes"):
        graph_of(workflow(LOAD, SAVE, *chain, links=links))


def test_a_list_in_a_primitive_is_no_link() -> None:
    """It is wrapped as any other list."""
    blur = node(5, "Blur", [7, "hard"], inputs={"radius": ("INT", 3, "radius")})
    primitive = node(2, "PrimitiveNode", [[[1], 2], "fixed"], outputs=["INT"])
    graph = graph_of(workflow(primitive, blur, links=[[3, 2, 0, 5, 0, "INT"]]))
    assert graph["5"]["inputs"]["radius"] == {"__value__": [[1], 2]}


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"nodes": [LOAD], "links": [[1, 1, -5, 2, 0, "IMAGE"]]}, "/links/0"),
        ({"nodes": [LOAD], "links": [[1, 1, float("inf"), 2, 0, "IMAGE"]]}, "/links/0"),
        ({"1": {"class_type": "Load"}}, ""),
        ({"nodes": [{"type": "Load"}]}, "/nodes/0"),
        ({"nodes": [7]}, "/nodes/0"),
        ({"nodes": [LOAD], "links": [[1, 2]]}, "/links/0"),
        ({"nodes": [], "definitions": {"subgraphs": [{"nodes": []}]}}, "/definitions/subgraphs/0"),
        ({"nodes": [], "definitions": {"subgraphs": [3]}}, "/definitions/subgraphs/0"),
        ({"nodes": [{**LOAD, "inputs": 5}]}, "/nodes/0"),
        ({"nodes": [LOAD], "links": 5}, "/links"),
    ],
)
def test_what_is_no_workflow_is_told(document: Any, pointer: str) -> None:
    """With a pointer to the place."""
    with pytest.raises(InvalidParameters) as caught:
        convert(document, DEFINITIONS)
    assert caught.value.errors[0].pointer.startswith(f"/workflow{pointer}")
