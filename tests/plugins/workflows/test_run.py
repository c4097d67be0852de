"""``workflows.run`` over the fake engine; tests/bricks hold ComfyUI to the same contract."""

from __future__ import annotations

import numpy as np
import pytest

from backend.bricks import engine
from backend.bricks.lane import Lane
from backend.context import Context, scratch_in
from backend.errors import InvalidParameters, OperationFailed, OperationUnavailable
from backend.media.audio import Audio
from backend.plugins.workflows import operations, register_operations
from backend.plugins.workflows.graph import Graph
from backend.testing.engine import FakeEngine

REFERENCE = "blake3:" + "a" * 64


@pytest.fixture
def job_folder(tmp_path, monkeypatch):
    """A job's scratch folder, in a process with the fake engine."""
    monkeypatch.setattr(engine, "_engine", FakeEngine(Lane()))
    with scratch_in(tmp_path):
        yield tmp_path


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


GRAPH = {
    "1": node("EmptyImage", width=8, height=4, color=255),
    "2": node("SaveImage", images=["1", 0]),
    "3": node("KinoLoadAsset", asset=REFERENCE),
    "4": node("KinoSaveAsset", name="voice", audio=["3", 0]),
    "5": node("KinoTestSleep", seconds=0.0),
}


def test_outputs_come_back_by_kind_and_by_node(job_folder):
    """Lists by kind, who gave what, given names, and what was filled in."""
    audio = Audio.from_samples(np.ones((1, 4), "f4"), 8000)
    result = operations.run(Graph(GRAPH, {REFERENCE: audio}))
    assert [image.path.is_relative_to(job_folder) for image in result.images if image.path] == [
        True
    ]
    assert result.audio == [audio]
    assert result.text == ["slept 0.0 s"]
    assert result.nodes == {"2": ["images_1"], "4": ["audio_1"], "5": ["text_1"]}
    assert result.names == {"audio_1": "voice"}
    assert (result.masks, result.midi, result.automation, result.files) == ([], [], [], [])
    assert any("batch_size was not given" in each for each in result.warnings)


def test_the_result_has_one_output_for_each_field():
    """The doors see eight lists and three facts."""
    kinds = {output.name: (output.kind, output.arity) for output in operations.run.outputs}
    assert kinds["images"] == ("image", "list")
    assert kinds["files"] == ("file", "list")
    assert kinds["nodes"] == ("value", "one")
    assert len(kinds) == 11


def test_progress_and_cancel_pass_through(job_folder):
    """The caller's context hears of every node."""
    told: list[float] = []
    context = Context(on_progress=lambda done, total, node: told.append(done / total))
    operations.run(Graph({"1": node("KinoTestSleep", seconds=0.0)}), ctx=context)
    assert told[0] == 0.0 and told[-1] == 1.0


def test_a_wrong_graph_and_a_failing_node_are_told_apart(job_folder):
    """A broken rule is the caller's, a failing node is not."""
    with pytest.raises(InvalidParameters):
        operations.run(Graph({"1": node("KinoTestSleep", seconds=-1)}))
    with pytest.raises(OperationFailed) as caught:
        operations.run(Graph({"7": node("KinoTestFail", message="no")}))
    assert caught.value.as_problem()["node_id"] == "7"


def test_without_an_engine_it_says_what_to_do(monkeypatch):
    """In a process without ComfyUI the call is refused with a remedy."""
    monkeypatch.setattr(engine, "_engine", None)
    with pytest.raises(OperationUnavailable) as caught:
        operations.run(Graph(GRAPH))
    assert caught.value.remedy


def test_the_plugin_gives_its_operations():
    """What needs ComfyUI runs in the worker that has it; only a graph may be taken for pure, as far
    as its nodes are."""
    by_name = {each.name: each for each in register_operations()}
    assert list(by_name) == [
        "workflows.run", "workflows.convert", "workflows.describe", "workflows.note"
    ]  # fmt: skip
    for name in ("workflows.run", "workflows.convert", "workflows.describe"):
        needs = by_name[name].needs
        assert (needs.runs_on, needs.comfyui) == ("comfy", True)
        assert by_name[name].pure == (name == "workflows.run")
