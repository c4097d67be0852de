"""Upgrades by the command line: every bad candidate has its answer, and nothing is changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.bricks import identity, releases

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "comfyui.py"
FILES = {
    "nodes.py": "NODES = {}\n",
    "execution.py": "",
    "server.py": "",
    "folder_paths.py": "",
    "comfy/sd.py": "import torch\n",
    "comfy/cli_args.py": 'FLAG = "--base-directory"\n',
    "comfy_api/latest/__init__.py": "",
    "comfy_execution/utils.py": "def get_executing_context(): ...\n",
    "comfyui_version.py": '__version__ = "9.9.9"\n',
    "requirements.txt": "packaging\n",
}
LOCK = (
    'version = "{version}"\ncommit = ""\ntree_sha1 = "{tree}"\nrequirements_sha256 = ""\n'
    'files = "{files}"\noverlay = ""\n[git]\nurl = "file:///nowhere"\n'
    '[sdist]\nname = ""\nversion = ""\nsha256 = ""\npath = ""\n'
)


def make(tree: Path, **changed: str) -> Path:
    """A tree that is whole to look at; it cannot be booted to the end."""
    for name, text in {**FILES, **changed}.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tree


def pin(tree: Path, file: Path, version: str) -> None:
    """A lock for *tree* as it is now."""
    file.parent.mkdir(parents=True, exist_ok=True)
    listed = identity.list_files(tree)
    file.with_suffix(".files").write_text(identity.write_list(listed))
    values = {"tree": identity.fold(listed), "files": file.with_suffix(".files").name}
    file.write_text(LOCK.format(version=version, **values))


class Bench:
    """A pinned tree in place, and the command line over it; packages come from a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.target, self.lock = folder / "backend" / "ComfyUI", folder / "comfyui.lock"
        make(self.target)
        pin(self.target, self.lock, "9.9.9")
        self.index = folder / "index"
        self.index.mkdir()
        self.before = self.seen()

    def seen(self) -> dict[str, str]:
        """What stands in the backend folder, but for reports: trees by their digest."""
        return {
            each.name: identity.tree_sha1(each)
            for each in self.target.parent.iterdir()
            if each.name != "ComfyUI.report"
        }

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        where = ["--lock", str(self.lock), "--target", str(self.target)]
        more = ["--data-dir", str(self.folder)] if words[0] == "upgrade" else []
        return subprocess.run(
            [sys.executable, str(SCRIPT), str(words[0]), *where, *map(str, words[1:]), *more],
            env={
                **os.environ,
                "UV_OFFLINE": "1",
                "UV_NO_INDEX": "1",
                "UV_FIND_LINKS": str(self.index),
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": str(self.index),
            },
            capture_output=True,
            text=True,
            timeout=600,
        )

    def refused(self, *words: str | Path) -> str:
        """The one sentence that a command ends with; nothing was changed by it."""
        said = self.run(*words)
        assert said.returncode == 1, said.stdout + said.stderr
        assert len(said.stderr.splitlines()) == 1, said.stderr
        assert self.seen() == self.before
        return said.stderr

    def accepted(self) -> str:
        """Another tree, accepted and staged; its digest."""
        staged = make(releases.beside(self.target, "staged"), **{"nodes.py": "NEWER = 1\n"})
        digest = identity.tree_sha1(staged)
        pin(staged, releases.record(self.target, digest) / releases.LOCK, "10.0.0")
        return digest

    def wheel(self, name: str, version: str) -> None:
        """An installable package, as small as can be."""
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(self.index / f"{name}-{version}-py3-none-any.whl", "w") as file:
            file.writestr(f"{name}.py", f"VERSION = {version!r}\n")
            file.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            )
            file.writestr(
                f"{info}/WHEEL",
                "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            file.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def _nothing(folder: Path) -> Path:
    folder.mkdir()
    (folder / "hello.txt").write_text("hello")
    return folder


def _partial(folder: Path) -> Path:
    make(folder)
    (folder / "comfy" / "sd.py").unlink()
    return folder


def _cut(folder: Path) -> Path:
    return make(folder, **{"comfy/sd.py": "def load(\n    path,"})


def _edited(folder: Path) -> Path:
    return make(folder, **{"comfyui_version.py": '__version__ = "0.30.0"\n'})


def _old(folder: Path) -> Path:
    make(folder, **{"comfyui_version.py": '__version__ = "0.1.0"\n'})
    (folder / "comfy_api" / "latest" / "__init__.py").unlink()
    return folder


def _needy(folder: Path) -> Path:
    return make(folder, **{"requirements.txt": "kino-no-such-package==1.0\n"})


def _archive(folder: Path) -> Path:
    file = folder.with_suffix(".tar.gz")
    with tarfile.open(file, "w:gz") as archive:
        archive.add(make(folder), "top")
    return file


def _cut_archive(folder: Path) -> Path:
    file = _archive(folder)
    file.write_bytes(file.read_bytes()[:200])
    return file


def _dirty_checkout(folder: Path) -> Path:
    make(folder)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        config = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *config, *words], cwd=folder, check=True)
    (folder / "nodes.py").write_text("EDITED = 1\n")
    return folder


@pytest.mark.parametrize(
    ("candidate", "told"),
    [
        (_nothing, "holds no ComfyUI"),
        (_partial, "not a whole ComfyUI (comfy/sd.py missing)"),
        (_cut, "is damaged (comfy/sd.py: '(' was never closed"),
        (_cut_archive, "cannot be unpacked"),
        (_edited, "calls itself ComfyUI 0.30.0 and is not the published one"),
        (_dirty_checkout, "not what its own commit holds (M nodes.py)"),
        (_old, "which is too old (its comfy_api/latest/__init__.py lacks all)"),
        (_needy, "kino-no-such-package"),
        (lambda folder: folder, "is neither a folder nor an archive"),
    ],
)
def test_a_bad_candidate_has_its_answer(
    bench: Bench, candidate: Callable[[Path], Path], told: str
) -> None:
    """One sentence that says what is wrong with it; the tree in place is as it was."""
    assert told in bench.refused("upgrade", candidate(bench.folder / "candidate"))


def test_a_version_that_cannot_be_had(bench: Bench) -> None:
    """Neither git nor the index has it: both reasons, and the releases that are known."""
    said = bench.refused("upgrade", "0.99.0")
    assert "ComfyUI 0.99.0 could not be fetched (git: " in said
    assert "0.27.0" in said


@pytest.mark.parametrize("named", ["10.0.0", "v10.0.0", "commit"])
def test_a_release_and_a_commit_come_from_git(bench: Bench, named: str) -> None:
    """By its tag with or without the v, and by its 40 digits."""
    work = bench.folder / "work"
    make(work)
    config = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"], ["tag", "v10.0.0"]):
        subprocess.run(["git", *config, *words], cwd=work, check=True)
    text = bench.lock.read_text()
    bench.lock.write_text(text.replace("file:///nowhere", work.as_uri()))
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=work, capture_output=True, text=True).stdout.strip()
    said = bench.run("upgrade", commit if named == "commit" else named)
    assert said.returncode == 0, said.stderr
    assert "is ComfyUI 9.9.9 already; nothing was changed" in said.stdout


def test_a_package_that_an_overlay_cannot_change(bench: Bench) -> None:
    """What a worker has loaded before ComfyUI comes is not exchanged below it."""
    bench.wheel("aiohttp", "99.0")
    tree = make(bench.folder / "candidate", **{"requirements.txt": "aiohttp==99.0\n"})
    assert "asks for aiohttp==99.0, which Kino's environment has otherwise" in bench.refused(
        "upgrade", tree
    )


def test_a_candidate_that_fails_the_contract(bench: Bench) -> None:
    """Its packages were installed beside the others, it did not boot, the report says so, and
    neither packages nor tree are left behind."""
    bench.wheel("kino_test_only", "1.0")
    needs = "kino-test-only==1.0\npackaging\n"
    tree = make(bench.folder / "candidate", **{"requirements.txt": needs})
    said = bench.run("upgrade", tree)
    assert said.returncode == 1, said.stderr
    assert "does not keep the contract" in said.stderr
    assert "failed: 2 clean boot" in said.stderr
    assert "1 packages beside the others" in said.stdout
    assert "✓  1 tree and requirements" in said.stdout
    assert bench.seen() == bench.before
    report = bench.target.with_name("ComfyUI.report") / "report.txt"
    assert "packages     kino-test-only==1.0" in report.read_text()


def test_an_upgrade_to_what_is_in_place(bench: Bench) -> None:
    """It says so and does nothing."""
    said = bench.run("upgrade", make(bench.folder / "same"))
    assert said.returncode == 0, said.stderr
    assert "already; nothing was changed" in said.stdout
    assert bench.seen() == bench.before


def test_no_upgrade_below_a_running_service(bench: Bench) -> None:
    """A worker that booted from the tree holds it: an upgrade is refused at once."""
    held = releases.hold(bench.target)
    assert held is not None
    said = bench.refused("upgrade", make(bench.folder / "candidate", **{"nodes.py": "NEW = 1\n"}))
    assert "Kino is running on" in said
    os.close(held)


def test_a_user_s_own_folders_stay_where_they_are(bench: Bench) -> None:
    """Models and outputs in a candidate's folder are no part of it: they are not copied."""
    tree = make(bench.folder / "same", **{"models/big.safetensors": "x", "output/made.png": "x"})
    said = bench.run("upgrade", tree)
    assert "already; nothing was changed" in said.stdout


def test_files_of_a_user_in_the_tree_hinder_a_swap(bench: Bench) -> None:
    """They would be put away with the former tree: they are named, and stay where they are."""
    mine = bench.target / "models" / "loras" / "mine.safetensors"
    mine.parent.mkdir(parents=True)
    mine.write_text("x")
    bench.before = bench.seen()
    candidate = make(bench.folder / "candidate", **{"nodes.py": "NEW = 1\n"})
    told = "holds files of your own (models/loras/mine.safetensors)"
    assert told in bench.refused("upgrade", candidate)
    bench.accepted()
    releases.swap(bench.target)
    (bench.target / "output").mkdir()
    (bench.target / "output" / "made.png").write_text("x")
    bench.before = bench.seen()
    assert "holds files of your own (output/made.png)" in bench.refused("rollback")


def test_after_an_upgrade_verify_asks_the_record(bench: Bench) -> None:
    """The accepted tree is verified and shown as such, an edit in it is named, ``install`` leaves
    it alone, and ``rollback`` brings the pinned one back."""
    digest = bench.accepted()
    releases.swap(bench.target)
    assert bench.run("verify").returncode == 0
    status = bench.run("status").stdout
    assert "verified, put here by an upgrade" in status
    assert "former     ComfyUI 9.9.9" in status
    assert bench.run("install").returncode == 0
    assert identity.tree_sha1(bench.target) == digest
    (bench.target / "server.py").write_text("EDITED = 1\n")
    assert bench.run("verify").stdout.splitlines() == ["server.py was edited"]
    said = bench.run("rollback")
    assert said.returncode == 0, said.stderr
    assert "is ComfyUI 9.9.9 again" in said.stdout
    assert bench.seen() == {**bench.before, "ComfyUI.releases": bench.seen()["ComfyUI.releases"]}
    assert list(bench.target.with_name("ComfyUI.releases").iterdir()) == []


def test_no_rollback_without_a_former_tree(bench: Bench) -> None:
    """Nor to one that was edited since."""
    assert "there is no former ComfyUI" in bench.refused("rollback")
    bench.accepted()
    releases.swap(bench.target)
    (bench.target.with_name("ComfyUI.old") / "nodes.py").write_text("EDITED = 1\n")
    bench.before = bench.seen()
    assert "is not what it was (nodes.py was edited)" in bench.refused("rollback")


KILLED = """
import os, signal, sys
from pathlib import Path
from backend.bricks import releases

def hook(event, arguments):
    if event == "os.rename" and str(arguments[0]).endswith(".staged"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
releases.swap(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("command", ["install", "rollback", "status"])
def test_a_swap_that_was_killed_is_finished_by_the_next_command(bench: Bench, command: str) -> None:
    """Between the two renames there is no tree; whoever comes next puts the new one in."""
    digest = bench.accepted()
    killed = subprocess.run([sys.executable, "-P", "-c", KILLED, str(bench.target)])
    assert killed.returncode == -signal.SIGKILL
    assert not bench.target.exists()
    ended = bench.run(command)
    assert ended.returncode == 0, ended.stderr
    wanted = bench.before["ComfyUI"] if command == "rollback" else digest
    assert identity.tree_sha1(bench.target) == wanted
