"""The bricks over the real ComfyUI, in one process for the session (see ``host.py``)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("comfyui")
PROBES = Path(__file__).with_name("probes.py")


@pytest.fixture
def probe(comfyui):
    """Calls a function of ``probes.py`` inside the process."""
    return lambda name: comfyui.call(PROBES, name)


def test_sockets_carry_every_bit(probe):
    """Denormals, negative zeros and values beyond full scale survive; tensors are copies."""
    assert set(probe("sockets_are_exact").values()) == {True}


def test_sockets_take_batches_and_refuse_what_they_cannot_hold(probe):
    """One value for each item of a batch, float16 widened, other shapes refused by name."""
    found = probe("sockets_take_batches")
    assert found["audio"] == [True, True]
    assert (found["masks"], found["flat mask"], found["half"]) == (2, 1, "float32")
    assert found["nothing"] == ["ValueError", "there is no sound on this slot"]
    assert found["no rate"] == found["nothing"]
    assert found["wrong"] == ["ValueError", "AUDIO is [B, C, T], not (3, 4)"]
    assert found["no tensor"] == ["TypeError", "a tensor is needed, not str"]


def test_nodes_of_both_kinds_can_be_called(probe):
    """V1 and V3 classes are called with their defaults, in inference mode, on the lane only."""
    found = probe("nodes_are_called")
    assert found["V1"] == [1, 4, 8, 3]
    assert found["V3"] == [1, 2, 4000]
    assert found["inference"] is True
    assert found["off the lane"][0] == "RuntimeError"
    assert found["hidden"] == ["TypeError", "SaveImage needs the executor; run it in a graph"]
    assert found["unknown"][0] == "UnknownName" and "EmptyImage" in found["unknown"][1]


def test_nodes_describe_themselves(probe):
    """Inputs, outputs and their names of V1 and V3 classes, in ComfyUI's own form."""
    assert probe("nodes_are_described") == {
        "count": True,
        "V1": ["INT", ["IMAGE"]],
        "V3": ["AUDIO"],
        "output": [True, False],
        "same keys": [],
    }


def test_nodes_are_registered_but_never_over_a_foreign_one(probe):
    """Our own node can be replaced; ComfyUI's cannot."""
    found = probe("nodes_are_registered")
    assert (found["first"], found["second"]) == ([7], [8])
    assert found["taken"] == ["ValueError", "there is a node class 'SaveImage' already"]


def test_samplers_and_schedulers_are_asked_and_checked(probe):
    """The lists are this ComfyUI's, and an unknown name is refused with near ones."""
    found = probe("samplers_are_checked")
    assert {"euler", "dpmpp_2m"} <= set(found["samplers"])
    assert {"normal", "karras"} <= set(found["schedulers"])
    assert found["wrong"] == [
        "InvalidParameters",
        "there is no sampler 'eulr'; did you mean euler?",
    ]


def test_model_files_are_listed_by_kind(probe):
    """A file in a folder of models is seen under its relative name."""
    found = probe("models_are_listed")
    assert {"checkpoints", "loras", "vae"} <= set(found["kinds"])
    assert found["loras"] == ["soft/light.safetensors"]
    assert found["unknown"][0] == "UnknownName" and "loras" in found["unknown"][1]


def test_devices_and_memory_are_known(probe):
    """A device has a name and memory; unloading leaves no model."""
    found = probe("devices_are_listed")
    assert found["devices"] and found["memory"] and found["freed"]
    assert found["loaded"] == 0


def test_our_packages_and_theirs_are_not_mixed_up(probe):
    """``tests`` stays somebody else's, ``utils`` is ComfyUI's, and the tree is not on sys.path."""
    assert probe("names_are_not_mixed_up") == {
        "tests": True,
        "utils": True,
        "strangers": [],
        "on the path": [],
    }


def test_previews_reach_the_job(probe):
    """A node's preview becomes an image of the job, at a bounded rate; nothing piles up."""
    found = probe("previews_reach_the_job")
    assert found["shapes"] == [[4, 6, 3]]
    assert found["colour"] == [1.0, 0.0, 0.0]
    assert found["queue"] == 0
    assert found["folder"] is True


def test_every_bad_end_of_a_graph_has_its_own_error(probe, comfyui):
    """A node that stops the graph, full memory, a graph in a graph, and closed outputs."""
    found = probe("graphs_end_badly")
    where = {"node_id": "1"}
    stopped, memory, nested = found["stopped"], found["memory"], found["nested"]
    assert stopped["class"] == "OperationFailed" and "stopped the graph" in stopped["detail"]
    assert (memory["class"], memory["retryable"]) == ("OutOfMemory", True)
    assert "cannot run inside another graph" in nested["detail"]
    assert all(where.items() <= each.items() for each in (stopped, memory, nested))
    assert found["blocked"]["class"] == "InvalidParameters"
    assert found["blocked"]["errors"][0]["pointer"] == "/graph/1/inputs/asset"
    assert (
        "the asset is of kind image, so the output audio gives nothing"
        in found["blocked"]["detail"]
    )
    # the closed output must not be taken from the cache, where it would close without a word
    assert found["blocked again"] == ["InvalidParameters", "InvalidParameters"]
    assert found["nothing"]["class"] == "InvalidParameters"
    outside = found["outside"]
    assert (
        outside["class"] == "OperationFailed" and "outside the output folder" in outside["detail"]
    )
    assert str(comfyui.folder) not in str(found) and "/graph-" not in str(found)
    assert len(found["partly"]) == 1 and "node 2 (KinoSaveAsset)" in found["partly"][0]


def test_a_failed_graph_leaves_no_file_and_no_task(probe):
    """What a failed graph wrote is removed, and what its nodes started in the background ends."""
    found = probe("a_failed_graph_leaves_nothing")
    assert "node 3 (ProbeBackground) failed: the first time" in found["ended"]
    assert found["left"] == []
    assert found["texts"] == ["done"]
    assert found["tasks"] == [True, True]


def test_everything_that_history_names_is_collected(probe):
    """Pictures, animations, sounds, latents and texts; nothing outside of the job's folder."""
    found = probe("history_of_every_kind")
    assert found["nodes"] == {
        "10": ["images_1", "images_2", "images_3"],
        "11": ["files_1"],
        "12": ["audio_1"],
        "13": ["audio_2"],
        "14": ["files_2"],
        "15": ["text_1"],
        "16": ["audio_3"],
        "17": ["audio_4"],
    }
    assert found["files"][0] == ["image/webp", ".webp"]
    assert found["files"][1][1] == ".latent"
    assert found["audio"] == [44100, 2, 22050]
    assert len(found["filled"]) == 1 and "'flac' is used" in found["filled"][0]
    assert found["below"] is True


def test_assets_of_every_kind_pass_through_the_bridge(probe):
    """Images with alpha, masks, MIDI and automation come out as they went in."""
    found = probe("assets_of_every_kind")
    assert found.pop("rate") == "24000/1001"
    assert found.pop("warnings") == []
    assert set(found.values()) == {True}


def test_operations_run_as_nodes_inside_comfyui(probe):
    """Lists, nested models, choices and JSON become widgets; results equal a direct call's."""
    found = probe("operations_are_nodes")
    assert found["names"] == [
        "KinoProbeSum", "KinoProbeGone", "KinoProbeLater", "KinoProbeLevel", "ProbeLevel",
    ]  # fmt: skip
    assert found["exact"] is True
    assert found["nodes"] == {
        "total": ["audio_1"], "peaks": ["audio_2", "audio_3"], "stems": ["audio_4"],
        "loudest": ["text_1"], "report": ["text_2"], "level": ["text_3"],
    }  # fmt: skip
    assert json.loads(found["texts"][1]) == {
        "strips": 2,
        "more": 2,
        "ceiling": -2.0,
        "notes": ["loud"],
        "mode": "average",
        "limit": None,
    }
    assert float(found["texts"][2]) == pytest.approx(-6.0206, abs=1e-4)
    assert found["category"] == "Kino/probe"
    assert found["types"] == [
        ["AUDIO", "AUDIO", "AUDIO", "FLOAT", "STRING"],
        ["total", "peaks", "stems", "loudest", "report"],
        [False, True, True, False, False],
    ]
    slots = found["slots"]["optional"]
    assert "strips_4_source" in slots and "strips_5_source" not in slots
    assert "more_8" in slots and "master_ceiling_db" in slots
    # a slot, not a widget, so that it can be left open
    assert found["limit"][1]["forceInput"] is True


def test_an_operation_that_is_not_pure_runs_every_time(probe):
    """ComfyUI's cache is not asked for what may differ; what is pure stays cached."""
    first, second, third = probe("impure_operations_run_every_time")
    assert (second, third) == (first + 1, first + 2)


def test_a_file_of_an_operation_is_written_anew_in_every_run(probe):
    """A file lies in the folder of its run, so an equal graph must not be given the older one."""
    assert probe("files_are_written_anew") == [["kept 1", True], ["kept 2", True]]


def test_nodes_of_operations_enforce_their_rules_and_explain_absence(probe):
    """Ranges, missing items, batches and broken JSON are refused; absence carries its remedy."""
    found = probe("nodes_of_operations_refuse")
    gone, later, wrong = found["gone"], found["later"], found["range"]
    assert gone["class"] == "OperationUnavailable"
    assert (gone["remedy"], gone["node_id"]) == ("Put it there", "n")
    assert "a file is missing" in gone["detail"] and "a file is missing" in found["described"]
    assert later["class"] == "OperationUnavailable"
    assert wrong["class"] == "InvalidParameters"
    assert wrong["errors"][0]["pointer"] == "/graph/n/inputs/level"
    assert found["json"]["errors"][0]["rule"] == "json"
    assert found["json"]["errors"][0]["pointer"] == "/graph/n/inputs/master_notes"
    assert found["empty"]["errors"][0]["pointer"] == "/graph/n/inputs/strips_1_source"
    assert found["batch"]["errors"][0]["rule"] == "batch"
    assert found["batch"]["errors"][0]["pointer"] == "/graph/n/inputs/strips_1_source"


def test_videos_pass_through_comfyuis_own_nodes(probe):
    """The file goes in and comes out to the byte; taken apart and made anew it keeps its exact
    rate, its frames and its sound in time; a slice is a slice; a moved file is found again."""
    found = probe("videos_pass_through")
    assert found["same"] is True
    assert found["made"] == ["30000/1001", 20, 64, 48]
    assert found["click"] is True
    assert found["frames"] == list(range(20))
    assert found["part"] == [6, 7, 8, 9, 10, 11]
    assert found["stock"] == ["video", "30000/1001", 20]
    assert found["fields"] == {
        "same": ["videos_1"], "kept": ["videos_2"], "stock": ["videos_3"], "part": ["videos_4"],
    }  # fmt: skip
    assert found["moved"] is True


def test_the_old_video_loader_gives_one_batch(probe):
    """Frames as one IMAGE batch, rate, count and size in their old order; errors point at it."""
    found = probe("videos_load_as_one_batch")
    assert float(found["texts"][0]) == pytest.approx(24000 / 1001 / 2)
    assert found["texts"][1:] == ["4", "512", "512", "4"]
    assert found["sound"] is True
    assert found["video"] == ["24000/1001", 4, 512, 512]
    assert found["refused"] == [["/graph/old/inputs/start_frame", "frame"]]
    assert found["slots"] == ["images", "audio", "fps", "frame_count", "width", "height"]
