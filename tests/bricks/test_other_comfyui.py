"""The bricks over another release of ComfyUI: the same answers by capability probes alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backend.bricks import identity
from backend.config import ROOT, inherited_environment

pytestmark = [
    pytest.mark.contract,
    pytest.mark.xdist_group("other-comfyui"),
]
LOCK = Path(__file__).with_name("comfyui-0.20.1.lock")
PROBES = Path(__file__).with_name("probes.py")


@pytest.fixture(scope="module")
def other_tree(request) -> Path:
    """The other release's tree, fetched once and verified each time."""
    tree = Path(request.config.cache.mkdir("comfyui-0.20.1")) / "ComfyUI"
    script = ROOT / "scripts" / "comfyui.py"
    said = subprocess.run(
        [sys.executable, str(script), "install", "--lock", str(LOCK), "--target", str(tree)],
        env=inherited_environment(),
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    return tree


@pytest.fixture(scope="module")
def other(other_tree, start_engine, request):
    """An engine over the other release."""
    base = Path(request.config.cache.mkdir("comfyui-0.20.1")) / "base"
    return start_engine("other", "comfyui", str(other_tree), str(base), str(LOCK))


def empty(**given):
    return {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 8, **given}}


PICTURE = {
    "1": empty(batch_size=1, color=255),
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    "3": {"class_type": "KinoSaveAsset", "inputs": {"image": ["1", 0], "name": "same"}},
}
SLEEP = {"1": {"class_type": "KinoTestSleep", "inputs": {"seconds": 600.0, "steps": 10_000}}}


def test_it_is_another_release_and_boots(other):
    """The digest is the lock's, sys.path is untouched, and the nodes are there."""
    assert (other.info["version"], other.info["pinned"]) == ("0.20.1", True)
    assert other.info["unchanged"] is True
    assert other.info["nodes"] > 400


def test_graphs_run_and_equal_ones_give_new_files(other):
    """Two equal runs: equal bytes in different files."""
    first, second = (other.run(PICTURE)["produced"] for _ in range(2))
    assert first[0]["path"] != second[0]["path"]
    assert Path(first[0]["path"]).read_bytes() == Path(second[0]["path"]).read_bytes()
    assert first[1]["digest"] == second[1]["digest"]


def test_broken_rules_and_errors_have_their_places(other):
    """The same pointers and rules as on the pinned release."""
    failed = other.failure({**PICTURE, "1": empty(width=-1)})
    assert failed.rules == [("/graph/1/inputs/width", "value_smaller_than_min")]
    failed = other.failure({"7": {"class_type": "KinoTestFail", "inputs": {}}})
    assert "asked to fail" in str(failed) and failed.problem["node_id"] == "7"


def test_a_job_is_interrupted_alone(other):
    """An interruption ends the running graph and leaves the next one alone."""
    job = other.start(SLEEP)
    sent: list[bool] = []

    def once():
        if not sent:
            sent.append(True)
            other.interrupt(job)

    assert other.expect("interrupted", seen=once)
    assert other.failure().type == "Cancelled"
    assert other.run(PICTURE)["produced"]


@pytest.mark.parametrize(
    "name",
    [
        "sockets_are_exact", "nodes_are_called", "nodes_are_described", "nodes_are_registered",
        "samplers_are_checked", "devices_are_listed", "previews_reach_the_job", "graphs_end_badly",
        "assets_of_every_kind", "operations_are_nodes", "nodes_of_operations_refuse",
        "videos_pass_through", "videos_load_as_one_batch",
    ],
)  # fmt: skip
def test_every_brick_gives_what_it_gives_on_the_pinned_release(other, comfyui, name):
    """The probes' answers are equal, but for what a release offers (samplers, devices)."""
    theirs, ours = other.call(PROBES, name), comfyui.call(PROBES, name)
    if name == "samplers_are_checked":
        assert set(theirs["samplers"]) <= set(ours["samplers"])
        theirs, ours = theirs["wrong"], ours["wrong"]
    if name == "graphs_end_badly":
        # this message holds names of the two processes' own folders
        theirs["outside"].pop("detail"), ours["outside"].pop("detail")
    assert theirs == ours


def test_nothing_is_written_into_the_other_tree(other, other_tree):
    """The digest holds after all of it."""
    assert other.run(PICTURE)["produced"]
    assert identity.tree_sha1(other_tree) == other.info["tree_sha1"]
    assert list(other_tree.rglob("__pycache__")) == []
