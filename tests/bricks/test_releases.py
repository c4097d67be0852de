"""Accepted trees beside the pinned one, and swaps that survive a kill at every point."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.bricks import admission, identity, releases
from backend.config import ROOT, worker_environment
from backend.errors import ComfyUIIncompatible

SWAP = """
import os, signal, sys
from pathlib import Path
from backend.bricks import releases

left = int(sys.argv[2])

def hook(event, arguments):
    global left
    if event in ("os.rename", "os.remove"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
getattr(releases, sys.argv[3])(Path(sys.argv[1]))
"""

LOCK = (
    'version = "{version}"\ncommit = ""\ntree_sha1 = "{tree}"\nrequirements_sha256 = ""\n'
    'files = "{files}"\noverlay = "{overlay}"\n[git]\nurl = ""\n'
    '[sdist]\nname = ""\nversion = ""\nsha256 = ""\npath = ""\n'
)


def make(tree: Path, text: str) -> str:
    """A tree that looks like ComfyUI from far away; its digest."""
    (tree / "comfy").mkdir(parents=True)
    (tree / "nodes.py").write_text(f"# {text}\n")
    (tree / "comfy" / "sd.py").write_text(f"# {text}\n")
    return identity.tree_sha1(tree)


def pin(tree: Path, file: Path, version: str, overlay: str = "") -> None:
    """A lock for *tree* as it is now."""
    file.parent.mkdir(parents=True, exist_ok=True)
    listed = identity.list_files(tree)
    file.with_suffix(".files").write_text(identity.write_list(listed))
    values = {"tree": identity.fold(listed), "files": file.with_suffix(".files").name}
    file.write_text(LOCK.format(version=version, overlay=overlay, **values))


class Place:
    """The pinned tree, a staged one that was accepted, and one that was put away before."""

    def __init__(self, folder: Path) -> None:
        self.tree, self.lock = folder / "ComfyUI", folder / "pin.lock"
        self.now = make(self.tree, "pinned")
        pin(self.tree, self.lock, "1.0.0")
        staged = releases.beside(self.tree, "staged")
        self.new = make(staged, "candidate")
        pin(staged, releases.record(self.tree, self.new) / releases.LOCK, "2.0.0")
        make(releases.beside(self.tree, "old"), "former")

    def booted(self) -> tuple[str, str]:
        """What the next boot finds: digest and version. It fails later, and so lets go again."""
        found: list[admission.Admitted] = []
        with (
            contextlib.suppress(InterruptedError),
            admission.admitted(self.tree, self.lock, accept_modified=False) as known,
        ):
            found.append(known)
            raise InterruptedError
        assert found[0].pin is not None
        return found[0].digest, found[0].pin.lock.version

    def swap(self, kill_at: int = 0, verb: str = "swap") -> int:
        """Swap in another process, which kills itself before the n-th change; its status."""
        command = [sys.executable, "-P", "-c", SWAP, str(self.tree), str(kill_at), verb]
        return subprocess.run(command, env=worker_environment(), timeout=600).returncode


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_swap_and_back(place: Place) -> None:
    """The candidate is in and vouched for by its record; rolled back, the pinned tree is."""
    assert place.booted() == (place.now, "1.0.0")
    releases.swap(place.tree)
    assert place.booted() == (place.new, "2.0.0")
    assert identity.tree_sha1(releases.beside(place.tree, "old")) == place.now
    releases.swap_back(place.tree)
    assert place.booted() == (place.now, "1.0.0")
    left = sorted(each.name for each in place.tree.parent.iterdir())
    assert left == ["ComfyUI", "ComfyUI.releases", "pin.files", "pin.lock"]


@pytest.mark.parametrize("change", range(1, 7))
@pytest.mark.parametrize("former", [True, False])
def test_a_swap_killed_before_each_change(place: Place, change: int, former: bool) -> None:
    """Before the journal stands nothing has happened; after it the next boot finishes the swap.
    There is a whole tree at every time after, and the former one is kept."""
    if not former:
        shutil.rmtree(releases.beside(place.tree, "old"))
        change = min(change, 4)  # there is nothing to put away
    assert place.swap(change) == -signal.SIGKILL
    found = place.booted()
    if change == 1:
        assert found == (place.now, "1.0.0")
    else:
        assert found == (place.new, "2.0.0")
        assert identity.tree_sha1(releases.beside(place.tree, "old")) == place.now
        assert not releases.beside(place.tree, "staged").exists()
    assert not releases.pending(place.tree)
    assert place.booted() == found


@pytest.mark.parametrize("change", range(1, 5))
def test_a_rollback_killed_before_each_change(place: Place, change: int) -> None:
    """The same holds on the way back."""
    releases.swap(place.tree)
    assert place.swap(change, "swap_back") == -signal.SIGKILL
    assert place.booted() == ((place.new, "2.0.0") if change == 1 else (place.now, "1.0.0"))


def test_a_repair_that_is_killed_is_repaired(place: Place) -> None:
    """A kill during the repair itself leaves what the next one finishes."""
    assert place.swap(3) == -signal.SIGKILL
    code = SWAP.replace("getattr(releases, sys.argv[3])", "releases.repair")
    command = [sys.executable, "-P", "-c", code, str(place.tree), "2", ""]
    assert subprocess.run(command, env=worker_environment()).returncode == -signal.SIGKILL
    assert not place.tree.exists()
    assert place.booted() == (place.new, "2.0.0")


def test_a_candidate_taken_away_in_the_middle(place: Place) -> None:
    """If there is nothing left to put in, the former tree comes back."""
    assert place.swap(4) == -signal.SIGKILL
    releases.beside(place.tree, "staged").rename(place.tree.with_name("elsewhere"))
    assert place.booted() == (place.now, "1.0.0")


def test_a_tree_in_use_is_not_swapped(place: Place) -> None:
    """A process that booted from a tree holds it; when it ends, the swap goes through."""
    held = releases.hold(place.tree)
    assert held is not None
    assert releases.in_use(place.tree)
    with pytest.raises(releases.InUse, match="a Kino process runs"):
        releases.swap(place.tree)
    assert place.swap() == 1
    assert place.booted() == (place.now, "1.0.0")
    os.close(held)
    assert place.swap() == 0
    assert place.booted() == (place.new, "2.0.0")


def test_a_boot_that_fails_lets_go(place: Place) -> None:
    """Only a process that really runs on a tree keeps it from being swapped."""
    with (
        pytest.raises(ZeroDivisionError),
        admission.admitted(place.tree, place.lock, accept_modified=False),
    ):
        _ = 1 / 0
    assert not releases.in_use(place.tree)


@pytest.mark.xdist_group("comfyui")
def test_a_booted_comfyui_holds_its_tree(comfyui: Any) -> None:
    """The real thing, in a process of its own."""
    assert comfyui.info["pinned"]
    assert releases.in_use(ROOT / "backend" / "ComfyUI")


def test_a_swap_without_a_candidate(place: Place) -> None:
    """It says so before anything is moved."""
    releases.beside(place.tree, "staged").rename(place.tree.with_name("elsewhere"))
    with pytest.raises(FileNotFoundError, match=r"ComfyUI\.staged"):
        releases.swap(place.tree)
    assert identity.tree_sha1(place.tree) == place.now


def test_an_edited_tree_is_compared_with_what_it_comes_nearest_to(place: Place) -> None:
    """After an upgrade the file is named that differs from the accepted tree, not from the pin."""
    releases.swap(place.tree)
    (place.tree / "comfy" / "sd.py").write_text("# edited\n")
    with (
        pytest.raises(ComfyUIIncompatible, match=r"not the accepted 2\.0\.0: comfy/sd.py was ed"),
        admission.admitted(place.tree, place.lock, accept_modified=False),
    ):
        pass


def test_a_damaged_record_vouches_for_nothing(place: Place) -> None:
    """Nor does it hinder the pinned tree."""
    record = releases.record(place.tree, place.new) / releases.LOCK
    record.write_text("version =")
    assert place.booted() == (place.now, "1.0.0")
    assert len(releases.pins(place.tree, place.lock)) == 1


OVERLAY = """
import sys
from pathlib import Path
from backend.bricks import admission
from backend.errors import ComfyUIIncompatible

if sys.argv[2]:
    __import__(sys.argv[2])
try:
    admission.put_first(Path(sys.argv[1]))
except ComfyUIIncompatible as error:
    print(error.detail)
else:
    import colorama_of_test
    print(colorama_of_test.__file__)
"""


@pytest.mark.parametrize(
    ("made", "loaded", "told"),
    [
        (["colorama_of_test.py"], "", "colorama_of_test.py"),
        (["colorama_of_test.py", "json.py"], "json", "wants another json, and Kino has loaded"),
        ([], "", "are gone"),
    ],
)
def test_the_packages_of_a_tree_win(
    tmp_path: Path, made: list[str], loaded: str, told: str
) -> None:
    """They are found first; one that is loaded from elsewhere already, or a folder that is gone,
    is told instead of being mixed."""
    overlay = tmp_path / "overlay"
    for name in made:
        overlay.mkdir(exist_ok=True)
        (overlay / name).write_text("")
    said = subprocess.run(
        [sys.executable, "-P", "-c", OVERLAY, str(overlay), loaded],
        env=worker_environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert told in said.stdout, said.stdout + said.stderr


def test_the_journal_is_whole_or_absent(place: Place) -> None:
    """It is written beside and moved in, so that half a journal is never read."""
    assert place.swap(1) == -signal.SIGKILL
    folder = releases.beside(place.tree, "releases")
    assert [each.name for each in folder.glob("swap.*")] == ["swap.partial"]
    assert json.loads((folder / "swap.partial").read_text())
