"""The structure of graphs: links, cycles, labels, pointers."""

from __future__ import annotations

import pytest

from backend.bricks import checks
from backend.errors import InvalidParameters


class Nodes:
    """Three node classes: one gives, one passes on, one ends."""

    def names(self):
        return ["Give", "Pass", "End"]

    def outputs(self, class_type):
        return 0 if class_type == "End" else 1

    def is_output(self, class_type):
        return class_type == "End"


def node(class_type, *sources, title=None):
    inputs = {f"in{place}": [source, 0] for place, source in enumerate(sources)}
    meta = {"_meta": {"title": title}} if title else {}
    return {"class_type": class_type, "inputs": inputs, **meta}


def problems(graph):
    with pytest.raises(InvalidParameters) as caught:
        checks.structure(graph, Nodes())
    return [(each.pointer, each.rule) for each in caught.value.errors]


def test_a_deep_graph_is_no_problem():
    """Ten thousand nodes in a row: no recursion anywhere."""
    graph = {"0": node("Give")}
    graph |= {str(place): node("Pass", str(place - 1)) for place in range(1, 10_000)}
    checks.structure({**graph, "end": node("End", "9999")}, Nodes())


def test_a_graph_with_many_paths_is_checked_in_no_time():
    """2^60 paths through 60 diamonds; each node is looked at once."""
    graph = {"0": node("Give")}
    graph |= {str(n): node("Pass", str(n - 1), str(n - 1)) for n in range(1, 61)}
    checks.structure({**graph, "end": node("End", "60")}, Nodes())


def test_a_cycle_away_from_every_output_is_found_too():
    """A cycle counts although no output depends on it."""
    graph = {
        "1": node("Give"),
        "2": node("End", "1"),
        "3": node("Pass", "4"),
        "4": node("Pass", "3"),
    }
    assert problems(graph) == [("/graph/4/inputs/in0", "cycle")]


def test_a_node_that_feeds_itself_is_a_cycle():
    """The shortest cycle."""
    assert problems({"1": node("Pass", "1"), "2": node("End", "1")}) == [
        ("/graph/1/inputs/in0", "cycle")
    ]


def test_pointers_escape_what_json_pointers_must():
    """A slash becomes ~1 and a tilde ~0 (RFC 6901)."""
    assert checks.pointer("a/b", "inputs", "c~d") == "/graph/a~1b/inputs/c~0d"


def test_labels_are_one_short_line():
    """A title with newlines is put on one line and cut."""
    graph = {"1": node("Give", title="a\n" * 100)}
    assert checks.label(graph, "1").startswith('node 1 (Give, "a a a')
    assert "\n" not in checks.label(graph, "1")
    assert len(checks.label(graph, "1")) < 100


@pytest.mark.parametrize("value", [["1"], ["1", "0"], [1, 0], ["1", True], [1.0, 2.0], "1", None])
def test_only_a_node_id_with_a_number_is_a_link(value):
    """Other lists are values."""
    assert not checks.is_link(value)
    assert checks.is_link(["1", 0])
