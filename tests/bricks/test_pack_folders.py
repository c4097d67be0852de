"""Packs in their folder: which there are, what they ask for, and what is remembered of them."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from backend.bricks.pack_folders import Missing, Pack, absence, command, packs_in
from backend.bricks.pack_memory import FILE, PackMemory
from backend.bricks.pack_report import PackReport, Packs, Refused, worsened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two packs, and what is none."""
    for name in ("beta", "alpha", ".git", "__pycache__"):
        (tmp_path / name).mkdir()
    for name in ("single.py", "notes.md", "example.py.example"):
        (tmp_path / name).write_text("")
    return tmp_path


def pack_with(folder: Path, requirements: str) -> Pack:
    (folder / "alpha" / "requirements.txt").write_text(requirements)
    return packs_in(folder, ["alpha"])[0]


def test_enabled_packs_come_first_and_in_their_order(folder: Path) -> None:
    """The named ones, there or not, then the others by name; hidden things are no packs."""
    found = [(pack.name, pack.enabled, pack.is_there) for pack in packs_in(folder, ["no", "beta"])]
    assert found == [
        ("no", True, False),
        ("beta", True, True),
        ("alpha", False, True),
        ("single.py", False, True),
    ]


def test_an_absent_folder_holds_no_packs(tmp_path: Path) -> None:
    """Without the folder only what was named is there, as absent."""
    assert packs_in(tmp_path / "none", []) == []
    (pack,) = packs_in(tmp_path / "none", ["single"])
    assert not pack.is_there


def test_an_absent_pack_is_told_with_the_nearest_name(folder: Path) -> None:
    """A single file is named with its ending; forgetting it is a common slip."""
    (pack, *_) = packs_in(folder, ["single"])
    reason, remedy = absence(pack)
    assert "not in the folder" in reason
    assert "Is 'single.py' meant?" in remedy


def test_requirements_are_held_against_what_is_installed(folder: Path) -> None:
    """Absent, too old and fitting ones; comments, options, addresses, markers of other systems."""
    here = version("numpy")
    pack = pack_with(
        folder,
        f"numpy=={here}\nNumPy < 1  # too new here\n"
        "no-such-thing[extra]>=2 ; python_version > '3'\n"
        "other; sys_platform == 'plan9'\n-r more.txt\ngit+https://example.org/a.git\n\n# end\n",
    )
    wanted = "no-such-thing[extra]>=2 ; python_version > '3'"
    assert pack.missing() == (Missing("NumPy < 1", here), Missing(wanted, None))
    assert command(pack.missing()[:1]) == "uv pip install 'NumPy < 1'"


def test_odd_requirements_stop_nobody(folder: Path) -> None:
    """Bytes that are no text, versions that are none, markers that cannot be compared, a folder."""
    pack = pack_with(folder, "numpy===not-a-version\n;;;\nnumpy; os_name > 3\nfine-but-absent\n")
    wanted = [each.requirement for each in pack.missing()]
    assert wanted == ["numpy===not-a-version", "fine-but-absent"]
    (folder / "alpha" / "requirements.txt").write_bytes(b"\xff\xfe\x00n\n")
    assert pack.missing() == ()
    (folder / "alpha" / "requirements.txt").unlink()
    (folder / "alpha" / "requirements.txt").mkdir()
    assert pack.missing() == ()


def test_a_pack_without_requirements_misses_nothing(folder: Path) -> None:
    """No file, and a pack that is a file itself."""
    assert packs_in(folder, ["alpha"])[0].missing() == ()
    assert packs_in(folder, ["single.py"])[0].missing() == ()


def test_a_pack_that_ended_the_process_is_remembered_for_one_service(tmp_path: Path) -> None:
    """The next process of the same parent knows which pack was being loaded; another parent's
    does not hold it against the pack, but still knows whose nodes were whose."""
    first = PackMemory(tmp_path)
    first.learn("good", ["A", "B"])
    first.loading("bad")
    second = PackMemory(tmp_path)
    assert (second.deadly, second.nodes) == (["bad"], {"A": "good", "B": "good"})
    second.loading("worse")
    third = PackMemory(tmp_path)
    third.loading(None)
    assert PackMemory(tmp_path).deadly == ["bad", "worse"]
    said = json.loads((tmp_path / FILE).read_text())
    number, _, began = said["service"].partition(" ")
    assert int(number) == os.getppid()
    # in a container the next service has the same number, but it began later
    said["service"] = f"{number} {float(began) - 1}"
    (tmp_path / FILE).write_text(json.dumps(said))
    later = PackMemory(tmp_path)
    assert (later.deadly, later.nodes["A"]) == ([], "good")


@pytest.mark.parametrize("text", ["", "[1]", '{"nodes": 3}', "{"])
def test_a_damaged_memory_is_an_empty_one(tmp_path: Path, text: str) -> None:
    """What cannot be read is logged and forgotten; packs load all the same."""
    (tmp_path / FILE).write_text(text)
    memory = PackMemory(tmp_path)
    assert (memory.deadly, memory.nodes) == ([], {})


def test_where_a_lost_node_was_is_told_by_what_became_of_its_pack() -> None:
    """Not enabled, failed, gone, refused, or without the node in its newer version."""
    nodes = {"A": "off", "B": "bad", "C": "gone", "D": "newer", "E": "newer"}
    refused = (Refused("node E", "ComfyUI has a node of this name"),)
    packs = Packs(
        (
            PackReport("off", "not enabled"),
            PackReport("bad", "failed", "it raised"),
            PackReport("newer", "loaded", refused=refused),
        ),
        nodes,
    )
    assert packs.whereabouts("Z") == ""
    for node, told in {
        "A": "'off' had it, which is not enabled",
        "B": "'bad' had it, which is not loaded: it raised",
        "C": "which is not in the folder of custom nodes any more",
        "D": "and does not have it any more",
        "E": "which was refused: ComfyUI has a node of this name",
    }.items():
        assert told in packs.whereabouts(node)


def test_what_another_comfyui_takes_from_packs_is_named() -> None:
    """A pack that does not load any more, a node that is lost or refused; what failed before does
    not count, and neither does how long it took."""
    before = [
        PackReport("a", "loaded", nodes=("A", "B"), seconds=1.0),
        PackReport("b", "loaded", nodes=("C",)),
        PackReport("c", "failed", "it raised"),
        PackReport("d", "loaded"),
    ]
    refused = (Refused("node B", "ComfyUI has a node of this name"),)
    after = [
        PackReport("a", "loaded", nodes=("A",), refused=refused),
        PackReport("b", "failed", "no such module"),
        PackReport("c", "absent"),
    ]
    assert worsened(before, before) == []
    assert worsened(before, after) == [
        "the pack 'a' has no node 'B' any more: ComfyUI has a node of this name",
        "the custom-node pack 'b' does not load any more: no such module",
        "the custom-node pack 'd' does not load any more: it was not tried",
    ]


def test_a_report_survives_json() -> None:
    """Reports of another process compare with ours."""
    report = PackReport(
        "a", "loaded", nodes=("A",), refused=(Refused("node B", "taken"),),
        missing=(Missing("x>1", None),), skipped=("prestartup_script.py",), web=True,
    )  # fmt: skip
    assert PackReport.from_json(report.as_json()) == report
