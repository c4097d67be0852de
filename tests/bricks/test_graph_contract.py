"""The contract of an engine, held by ComfyUI and by the fake one alike."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest

from backend.media.audio import Audio
from backend.media.image import Image

pytestmark = pytest.mark.xdist_group("comfyui")

REFERENCE = "blake3:" + "a" * 64


@pytest.fixture(params=["fake", "comfyui"])
def engine(request):
    name = {"fake": "fake_engine", "comfyui": "comfyui"}[request.param]
    return request.getfixturevalue(name)


def empty(**given):
    inputs = {"width": 16, "height": 8, "batch_size": 1, "color": 0x336699, **given}
    return {"class_type": "EmptyImage", "inputs": inputs}


def shown(source, kind="PreviewImage"):
    return {"class_type": kind, "inputs": {"images": source}}


def sleep(seconds, steps=100):
    return {"class_type": "KinoTestSleep", "inputs": {"seconds": seconds, "steps": steps}}


PICTURE = {
    "1": empty(batch_size=2),
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
    "3": {
        "class_type": "SaveImage",
        "inputs": {"images": ["2", 0], "filename_prefix": "picture"},
    },
    "4": shown(["1", 0]),
    "5": {"class_type": "KinoSaveAsset", "inputs": {"image": ["2", 0], "name": "inverted"}},
}


def test_a_graph_gives_everything_that_its_nodes_save_and_show(engine):
    """Saved, previewed and handed-over pictures come back, in the order of the nodes, by node."""
    result = engine.run(PICTURE)
    assert result["nodes"] == {
        "3": ["images_1", "images_2"],
        "4": ["images_3", "images_4"],
        "5": ["images_5", "images_6"],
    }
    assert result["names"] == {"images_5": "inverted", "images_6": "inverted"}
    assert [item["shape"] for item in result["produced"]] == [[8, 16, 3]] * 6
    saved = Image.open(Path(result["produced"][0]["path"]))
    # ComfyUI's savers cut fractions off
    assert np.abs(saved.pixels[0, 0] * 255 - [0xCC, 0x99, 0x66]).max() <= 1.0


def test_a_graph_is_left_as_it_was(engine):
    """Filling in defaults and casting values happens on a copy."""
    assert engine.run({"1": empty(width="16"), "2": shown(["1", 0])})["untouched"]


def test_an_equal_graph_gives_new_files(engine):
    """A second run of the same graph writes files of its own, with equal pixels."""
    first = engine.run(PICTURE)["produced"]
    second = engine.run(PICTURE)["produced"]
    assert [item["digest"] for item in first] == [item["digest"] for item in second]
    paths = [item["path"] for item in first + second if item["path"]]
    assert len(set(paths)) == len(paths) == 8
    assert all(Path(path).is_file() for path in paths)


def test_a_saved_picture_carries_its_graph_and_nothing_else(engine):
    """Equal graphs give byte-identical PNG files, and the graph stands in them as it was sent."""
    graph = {key: PICTURE[key] for key in ("1", "2", "3")}
    files = [Path(engine.run(graph)["produced"][0]["path"]).read_bytes() for _ in range(2)]
    assert files[0] == files[1]
    assert b'"filename_prefix": "picture"' in files[0]


def test_missing_inputs_get_their_defaults(engine):
    """A required input that is missing takes its default, and a warning says so."""
    result = engine.run({"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
                         "2": shown(["1", 0])})  # fmt: skip
    assert any("batch_size was not given; 1 is used" in each for each in result["warnings"])


@pytest.mark.parametrize(
    ("graph", "pointer", "rule"),
    [
        ({"1": {"class_type": "EmptyImag", "inputs": {}}}, "/graph/1/class_type", "unknown_node"),
        ({"2": shown(["7", 0])}, "/graph/2/inputs/images", "unknown_link"),
        ({"1": empty(), "2": shown(["1", 3])}, "/graph/2/inputs/images", "unknown_output"),
        ({"1": empty()}, "/graph", "no_output"),
        (
            {"1": {"class_type": "KinoLoadAsset", "inputs": {}}, "2": shown(["1", 1])},
            "/graph/1/inputs/asset",
            "required_input_missing",
        ),
        (
            {"1": empty(width=-5), "2": shown(["1", 0])},
            "/graph/1/inputs/width",
            "value_smaller_than_min",
        ),
        (
            {"1": empty(width=10**6), "2": shown(["1", 0])},
            "/graph/1/inputs/width",
            "value_bigger_than_max",
        ),
        (
            {"1": empty(width="wide"), "2": shown(["1", 0])},
            "/graph/1/inputs/width",
            "invalid_input_type",
        ),
        (
            {"2": {"class_type": "PreviewImage", "inputs": {}}},
            "/graph/2/inputs/images",
            "required_input_missing",
        ),
        (
            {
                "1": {"class_type": "KinoLoadAsset", "inputs": {"asset": REFERENCE}},
                "2": shown(["1", 0]),
            },
            "/graph/2/inputs/images",
            "return_type_mismatch",
        ),
    ],
)
def test_a_broken_rule_is_named_with_its_place(engine, graph, pointer, rule):
    """Each broken rule is an InvalidParameters with a JSON pointer; nothing runs."""
    failed = engine.failure(graph)
    assert "The graph breaks a rule" in str(failed)
    assert failed.type == "InvalidParameters"
    assert failed.rules == [(pointer, rule)]
    assert engine.progress == []


def test_a_cycle_is_named_with_its_nodes(engine):
    """A cycle is refused before the engine sees it, and the message shows the way round."""
    invert = {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}}
    graph = {"1": invert, "2": {**invert, "inputs": {"image": ["1", 0]}}, "3": shown(["1", 0])}
    failed = engine.failure(graph)
    assert "the links form a cycle: 1 → 2 → 1" in str(failed)
    assert failed.rules == [("/graph/2/inputs/image", "cycle")]


def test_every_broken_rule_is_named_at_once(engine):
    """Two wrong nodes give two errors, and titles stand in the messages."""
    graph = {
        "1": empty(width=-5),
        "2": {**shown(["1", 0]), "_meta": {"title": "Left"}},
        "3": {**empty(height=0), "_meta": {"title": "Right"}},
        "4": shown(["3", 0]),
    }
    failed = engine.failure(graph)
    assert "and 1 more" in str(failed)
    assert sorted(failed.rules) == [
        ("/graph/1/inputs/width", "value_smaller_than_min"),
        ("/graph/3/inputs/height", "value_smaller_than_min"),
    ]
    assert any('"Right"' in each["message"] for each in failed.problem["errors"])


def test_an_error_in_a_node_names_the_node_and_no_path(engine):
    """OperationFailed carries node id and class; a path in the message is cut to its last name."""
    graph = {"9": {"class_type": "KinoTestFail", "inputs": {"message": "no /srv/secret/it.bin"}}}
    failed = engine.failure(graph)
    assert "failed: no it.bin" in str(failed)
    problem = failed.problem
    assert failed.type == "OperationFailed"
    assert (problem["node_id"], problem["node_type"]) == ("9", "KinoTestFail")
    assert "/srv" not in str(problem) and "Traceback" not in str(problem)
    assert engine.run(PICTURE)["produced"]


def interrupted(engine, job):
    """Interrupt *job* at its first step and say how it ended, and how long that took."""
    sent: list[float] = []

    def once():
        if not sent:
            sent.append(time.monotonic())
            engine.interrupt(job)

    assert engine.expect("interrupted", seen=once)
    return engine.failure().type, time.monotonic() - sent[0]


def test_a_running_job_can_be_interrupted_and_the_next_one_is_not(engine):
    """An interruption ends a running graph of ten minutes; the next one runs untouched."""
    kind, seconds = interrupted(engine, engine.start({"1": sleep(600.0, 10_000)}))
    assert kind == "Cancelled"
    assert seconds < 120  # it takes some milliseconds, on a machine that does not stand still
    assert engine.run(PICTURE)["produced"]


def test_an_interruption_of_another_job_does_nothing(engine):
    """Only the job that runs can be interrupted: a stale or foreign id is refused."""
    engine.start({"1": sleep(0.5, 50)})
    sent: list[bool] = []

    def once():
        if not sent:
            sent.append(True)
            engine.interrupt("job_of_somebody_else")

    assert engine.expect("interrupted", seen=once) is False
    assert engine.expect("result")["produced"][0]["text"] == "slept 0.5 s"


def test_an_interruption_between_jobs_does_not_hit_the_next_one(engine):
    """An idle engine refuses an interruption and keeps no flag of it."""
    done = engine.start({"1": sleep(0.0, 1)})
    engine.expect("result")
    engine.interrupt(done)
    assert engine.expect("interrupted") is False
    assert engine.run({"1": sleep(0.1, 10)})["produced"][0]["text"] == "slept 0.1 s"


def test_a_job_that_was_cancelled_before_it_started_runs_nothing(engine):
    """A context that is cancelled already ends the job before its first node."""
    assert engine.failure(PICTURE, cancelled=True).type == "Cancelled"
    assert engine.progress == []


def test_progress_counts_nodes_and_never_goes_back(engine):
    """Progress starts at 0, names the nodes, rises, and ends with all nodes done."""
    # a colour of its own: what an earlier graph made is not made again
    engine.run({**PICTURE, "1": empty(color=0x010203), "6": sleep(0.3, 6)})
    done = [each[0] for each in engine.progress]
    assert done == sorted(done)
    assert done[0] == 0.0
    assert {each[1] for each in engine.progress} == {6.0}
    assert {each[2] for each in engine.progress} >= {"1", "2", "3", "4", "5", "6"}
    assert engine.progress[-1][:2] == (6.0, 6.0)
    assert any(0 < each[0] % 1 < 1 and each[2] == "6" for each in engine.progress)


def test_an_asset_goes_in_and_comes_out_exactly(engine, tmp_path):
    """Sound beyond full scale and below one LSB survives KinoLoadAsset and KinoSaveAsset."""
    samples = np.array([[0.0, 1.5, -2.25, 1e-7, -1e-30], [1.0, -1.0, 1 / 3, 2**-24, 0.1]], "f4")
    audio = Audio.from_samples(samples, 44100)
    path = tmp_path / "in.wav"
    audio.save(path)
    graph = {
        "1": {"class_type": "KinoLoadAsset", "inputs": {"asset": REFERENCE}},
        "2": {"class_type": "KinoSaveAsset", "inputs": {"audio": ["1", 0], "name": "same"}},
    }
    (item,) = engine.run(graph, {REFERENCE: ("audio", path)})["produced"]
    assert (item["kind"], item["shape"], item["sample_rate"]) == ("audio", [2, 5], 44100)
    assert item["digest"] == hashlib.sha256(samples.tobytes()).hexdigest()


def test_an_asset_that_the_graph_was_not_given_is_an_error(engine):
    """A reference that nobody resolved fails the node, by name."""
    graph = {
        "1": {"class_type": "KinoLoadAsset", "inputs": {"asset": "blake3:" + "b" * 64}},
        "2": {"class_type": "KinoSaveAsset", "inputs": {"audio": ["1", 0], "name": "x"}},
    }
    failed = engine.failure(graph)
    assert "has no asset" in str(failed)
    assert failed.problem["node_id"] == "1"


def test_texts_are_collected(engine):
    """What a node shows as text is a text of the result."""
    result = engine.run({"1": sleep(0.0, 1)})
    assert [(item["kind"], item["text"]) for item in result["produced"]] == [
        ("text", "slept 0.0 s")
    ]
