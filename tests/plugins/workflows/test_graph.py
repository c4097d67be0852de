"""The graph parameter: form, limits, and the references inside."""

from __future__ import annotations

import json

import pytest

from backend.errors import InvalidParameters
from backend.plugins.workflows import operations
from backend.plugins.workflows.graph import MAX_NODES, Graph

ID = "ast_" + "0" * 26
CANONICAL = "blake3:" + "a" * 64
OTHER = "blake3:" + "b" * 64


def resolver(reference, kind):
    assert kind == "any"
    if reference in (ID, CANONICAL):
        return CANONICAL
    if reference == OTHER:
        return OTHER
    raise ValueError("there is no such asset")


def check(graph):
    return operations.run.check({"graph": graph}, resolver)


def load(asset):
    return {"class_type": "KinoLoadAsset", "inputs": {"asset": asset}}


def test_references_become_inputs_of_the_job_in_canonical_form():
    """An asset id is replaced by the content reference; both nodes name one input."""
    sent = {"1": load(ID), "2": load(CANONICAL), "3": load(OTHER)}
    checked = check(sent)
    assert checked.inputs == (CANONICAL, OTHER)
    assert checked.params == {
        "graph": {"1": load(CANONICAL), "2": load(CANONICAL), "3": load(OTHER)}
    }
    assert sent["1"] == load(ID)


def test_references_inside_of_json_texts_of_our_own_nodes_are_found():
    """A text of ours names assets alone or within a nested model; others' texts are left alone."""
    text = json.dumps([{"source": ID}, {"source": OTHER}])
    graph = {
        "1": {"class_type": "KinoTrialMix", "inputs": {"tracks": text}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": text}},
        "3": {"class_type": "KinoTrialMix", "inputs": {"label": ID}},
    }
    checked = check(graph)
    assert checked.inputs == (CANONICAL, OTHER)
    assert checked.params["graph"]["1"]["inputs"]["tracks"] == text.replace(ID, CANONICAL)
    assert checked.params["graph"]["2"] == graph["2"]
    assert checked.params["graph"]["3"]["inputs"] == {"label": CANONICAL}


def test_where_the_graph_runs_references_are_opened():
    """On the worker's side the same model holds the values, keyed by reference."""
    opened = object()
    recorded = check({"1": load(ID)}).params
    graph = operations.run.bind(recorded, lambda reference, kind: opened)["graph"]
    assert isinstance(graph, Graph)
    assert graph.nodes == {"1": load(CANONICAL)}
    assert graph.assets == {CANONICAL: opened}


def test_titles_and_missing_inputs_are_accepted():
    """What the editor exports is accepted, and a node without inputs."""
    node = {"class_type": "X", "_meta": {"title": "A title"}, "inputs": {"a": 1, "b": ["2", 0]}}
    checked = check({"1": node, "2": {"class_type": "Y"}})
    assert checked.params["graph"] == {"1": node, "2": {"class_type": "Y", "inputs": {}}}
    assert checked.inputs == ()


@pytest.mark.parametrize(
    ("graph", "pointer", "rule"),
    [
        ([], "/graph", "graph"),
        ({}, "/graph", "graph_size"),
        ({str(n): load(ID) for n in range(MAX_NODES + 1)}, "/graph", "graph_size"),
        ({"nodes": [], "links": []}, "/graph/nodes", "graph_format"),
        ({"1": 5}, "/graph/1", "node"),
        ({"1": {"inputs": {}}}, "/graph/1/class_type", "class_type"),
        ({"1": {"class_type": ""}}, "/graph/1/class_type", "class_type"),
        ({"1": {"class_type": "A", "inputs": []}}, "/graph/1/inputs", "inputs"),
        ({"1": {"class_type": "A", "_meta": {"title": 1}}}, "/graph/1/_meta", "meta"),
        ({"1": {"class_type": "A", "code": "x"}}, "/graph/1/code", "extra_forbidden"),
        ({"a\nb": {"class_type": "A"}}, "/graph/a\nb", "node_id"),
        ({"1": load("../../etc/passwd")}, "/graph/1/inputs/asset", "reference"),
        ({"1": {"class_type": "KinoLoadAsset"}}, "/graph/1/inputs/asset", "missing"),
        ({"1": load(["2", 0])}, "/graph/1/inputs/asset", "reference"),
        ({"1": load(None)}, "/graph/1/inputs/asset", "reference"),
        ({"1": load("blake3:" + "c" * 64)}, "/graph/1/inputs/asset", "asset"),
    ],
)
def test_a_graph_of_the_wrong_form_is_refused_with_its_place(graph, pointer, rule):
    """Each mistake has its rule and its pointer."""
    with pytest.raises(InvalidParameters) as caught:
        check(graph)
    assert (pointer, rule) in [(each.pointer, each.rule) for each in caught.value.errors]


def test_the_editor_s_own_format_is_explained():
    """Whoever sends the wrong export is told the right one."""
    with pytest.raises(InvalidParameters, match=r"Export \(API\)"):
        check({"nodes": [{"id": 1}], "links": [], "version": 0.4})


def test_all_missing_assets_are_named_at_once():
    """Two unknown references give two errors."""
    graph = {"1": load("blake3:" + "c" * 64), "2": load("nonsense")}
    with pytest.raises(InvalidParameters) as caught:
        check(graph)
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [
        ("/graph/1/inputs/asset", "asset"),
        ("/graph/2/inputs/asset", "reference"),
    ]


def test_the_schema_says_what_a_graph_is():
    """The published schema names the form and its limit."""
    schema = operations.run.json_schema()["properties"]["graph"]
    assert schema["type"] == "object" and schema["maxProperties"] == MAX_NODES
    assert schema["additionalProperties"]["required"] == ["class_type"]
