"""Installing, verifying and choosing a ComfyUI tree, with a local git repository and sdist."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from dotenv import dotenv_values

from backend.bricks import identity, releases
from comfyui_tree import choosing, sources

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "comfyui.py"

LOCK = """
version = "9.9.9"
commit = "{commit}"
tree_sha1 = "{tree}"
requirements_sha256 = "{needs}"
files = "comfyui.files"
[git]
url = "{url}"
[sdist]
name = "carrier"
version = "1.0"
sha256 = "{sha256}"
path = "vendor/ComfyUI"
"""

BACKEND = """
import tarfile
def get_requires_for_build_wheel(config_settings=None): return []
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    import os
    os.mkdir(os.path.join(folder, "carrier-1.0.dist-info"))
    with open(os.path.join(folder, "carrier-1.0.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: carrier\\nVersion: 1.0\\n")
    return "carrier-1.0.dist-info"
"""


@dataclass
class Workshop:
    """A pin with its two sources, and a place to install to."""

    folder: Path
    commit: str
    tag_commit: str
    url: str
    sdist: Path

    @property
    def lock(self) -> Path:
        return self.folder / "comfyui.lock"

    @property
    def target(self) -> Path:
        return self.folder / "backend" / "ComfyUI"

    def write_lock(self, **changed: str) -> None:
        tree = self.folder / "work"
        files = identity.list_files(tree)
        (self.folder / "comfyui.files").write_text(identity.write_list(files), "utf-8")
        values = {
            "commit": self.commit,
            "tree": identity.fold(files),
            "needs": hashlib.sha256((tree / "requirements.txt").read_bytes()).hexdigest(),
            "url": self.url,
            "sha256": hashlib.sha256(self.sdist.read_bytes()).hexdigest(),
        }
        self.lock.write_text(LOCK.format(**{**values, **changed}), "utf-8")

    def command(self, *words: str | Path) -> list[str]:
        where = ["--lock", str(self.lock), "--target", str(self.target)]
        return [sys.executable, str(SCRIPT), str(words[0]), *where, *map(str, words[1:])]

    def environment(self) -> dict[str, str]:
        # the package index is a local folder, and no other
        return {
            **os.environ,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.sdist.parent),
        }

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def break_git(self) -> None:
        self.write_lock(url=(self.folder / "nowhere.git").as_uri())


def _git(folder: Path, *words: str) -> str:
    config = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    said = subprocess.run(
        ["git", *config, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


def _pack(sdist: Path, tree: Path) -> None:
    project = '[build-system]\nrequires = []\nbuild-backend = "build"\nbackend-path = ["."]\n'
    project += '[project]\nname = "carrier"\nversion = "1.0"\n'
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(tree, "carrier-1.0/vendor/ComfyUI", filter=_without_git)
        for name, text in (
            ("pyproject.toml", project),
            ("build.py", BACKEND),
            ("PKG-INFO", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n"),
        ):
            member = tarfile.TarInfo(f"carrier-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


def _without_git(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if ".git" in PurePosixPath(member.name).parts else member


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A bare repository with a tag, the wanted commit after it and one later; and an sdist."""
    work, bare = tmp_path / "work", tmp_path / "upstream.git"
    (work / "comfy").mkdir(parents=True)
    (work / "nodes.py").write_text("NODES = {}\n")
    (work / "comfy" / "sd.py").write_text("import torch\n")
    (work / "comfyui_version.py").write_text('__version__ = "9.9.9"\n')
    (work / "requirements.txt").write_text("frontend==1\n")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    _git(tmp_path, "init", "--quiet", "--bare", str(bare))
    _git(work, "init", "--quiet")
    commits = []
    for content in ("frontend==1\n", "frontend==2\n", "frontend==3\n"):
        (work / "requirements.txt").write_text(content)
        _git(work, "add", "--all")
        _git(work, "commit", "--quiet", "-m", content)
        commits.append(_git(work, "rev-parse", "HEAD"))
    _git(work, "tag", "v9.9.9", commits[0])
    _git(work, "push", "--quiet", "--tags", str(bare), "HEAD:refs/heads/main")
    _git(work, "checkout", "--quiet", commits[1])
    index = tmp_path / "index"
    index.mkdir()
    _pack(index / "carrier-1.0.tar.gz", work)
    shop = Workshop(tmp_path, commits[1], commits[0], bare.as_uri(), index / "carrier-1.0.tar.gz")
    shop.write_lock()
    return shop


def test_git_gives_the_commit_and_not_the_tag(workshop: Workshop) -> None:
    """The pinned commit is checked out although a tag and a later commit are there."""
    said = workshop.run("install")
    assert said.returncode == 0, said.stderr
    assert "verified (from git)" in said.stdout
    assert (workshop.target / "requirements.txt").read_text() == "frontend==2\n"
    assert (workshop.target / "run.sh").stat().st_mode & 0o100
    assert not (workshop.target / ".git").exists()
    assert sorted(item.name for item in workshop.target.parent.iterdir()) == ["ComfyUI"]


def test_package_index_gives_the_tree_where_git_does_not(workshop: Workshop) -> None:
    """Without git hosting the same tree comes out of the source distribution."""
    workshop.break_git()
    said = workshop.run("install")
    assert said.returncode == 0, said.stderr
    assert "verified (from package index)" in said.stdout
    assert workshop.run("verify").returncode == 0


def test_a_commit_with_another_tree_is_refused(workshop: Workshop) -> None:
    """What git gives must be the pinned tree; if not, the other source is tried."""
    workshop.write_lock(commit=workshop.tag_commit)
    said = workshop.run("install")
    assert said.returncode == 0, said.stderr
    assert "from package index" in said.stdout
    assert (workshop.target / "requirements.txt").read_text() == "frontend==2\n"


def test_an_sdist_with_another_hash_is_refused(workshop: Workshop) -> None:
    """A source distribution that is not the pinned one is not even opened."""
    workshop.write_lock(sha256="00" * 32, url="file:///nowhere")
    for words in (["install"], ["install", "--sdist", workshop.sdist]):
        said = workshop.run(*words)
        assert said.returncode == 1
        assert len(said.stderr.splitlines()) == 1, said.stderr
        assert not workshop.target.exists()


def test_a_local_sdist_needs_no_network(workshop: Workshop) -> None:
    """``--sdist FILE`` asks neither git nor the index."""
    workshop.break_git()
    elsewhere = workshop.folder / "brought.tar.gz"
    workshop.sdist.rename(elsewhere)
    said = workshop.run("install", "--sdist", elsewhere)
    assert said.returncode == 0, said.stderr
    assert "from file brought.tar.gz" in said.stdout


def test_offline_says_one_sentence_with_the_remedy(workshop: Workshop) -> None:
    """With neither source, one line says why and what would help, without a wait for a download."""
    workshop.write_lock(url="https://127.0.0.1:9/ComfyUI.git")
    workshop.sdist.unlink()
    started = time.monotonic()
    said = workshop.run("install")
    assert time.monotonic() - started < 300  # a download is given twice as long
    assert said.returncode == 1
    assert len(said.stderr.splitlines()) == 1, said.stderr
    assert "could not be fetched" in said.stderr
    assert "--sdist FILE" in said.stderr


def test_a_second_installation_changes_nothing(workshop: Workshop) -> None:
    """A tree that is in place and right is left alone, without asking any source."""
    workshop.run("install")
    before = workshop.target.stat().st_ino
    workshop.write_lock(url="file:///nowhere", sha256="00" * 32)
    said = workshop.run("install")
    assert said.returncode == 0, said.stderr
    assert workshop.target.stat().st_ino == before


def test_the_note_stays(workshop: Workshop) -> None:
    """A fresh clone holds only our note; it is still there after the installation."""
    workshop.target.mkdir(parents=True)
    (workshop.target / identity.NOTE).write_text("ours")
    assert workshop.run("install").returncode == 0
    assert (workshop.target / identity.NOTE).read_text() == "ours"
    assert workshop.run("verify").returncode == 0


def test_installation_goes_on_after_a_kill(workshop: Workshop) -> None:
    """Killed while it fetches, it leaves the target as it was, and the next run succeeds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        workshop.write_lock(url=f"git://127.0.0.1:{port}/ComfyUI.git")
        with subprocess.Popen(workshop.command("install"), start_new_session=True) as child:
            silent.settimeout(300)
            connection, _ = silent.accept()  # git has asked, and waits for an answer
            os.killpg(child.pid, signal.SIGKILL)
            connection.close()
    assert not workshop.target.exists()
    workshop.write_lock()
    assert workshop.run("install").returncode == 0
    assert sorted(item.name for item in workshop.target.parent.iterdir()) == ["ComfyUI"]


def test_installation_goes_on_between_the_two_renames(workshop: Workshop) -> None:
    """If the old folder was moved away and the new one not yet in, nothing is lost."""
    workshop.run("install")
    workshop.target.rename(workshop.target.with_name("ComfyUI.old"))
    said = workshop.run("install")
    assert said.returncode == 0, said.stderr
    assert workshop.run("verify").returncode == 0


def _edit(tree: Path) -> None:
    (tree / "comfy" / "sd.py").write_text("import torch  # and more\n")


def _add(tree: Path) -> None:
    (tree / "comfy" / "extra.py").write_text("")


def _remove(tree: Path) -> None:
    (tree / "nodes.py").unlink()


def _make_executable(tree: Path) -> None:
    (tree / "nodes.py").chmod(0o755)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_edit, "comfy/sd.py was edited"),
        (_add, "comfy/extra.py was added"),
        (_remove, "nodes.py is missing"),
        (_make_executable, "nodes.py has mode 100755, not 100644"),
    ],
)
def test_verify_names_what_differs(
    workshop: Workshop, change: Callable[[Path], None], line: str
) -> None:
    """An edited, added or missing file and a changed mode fail with the path."""
    workshop.run("install")
    change(workshop.target)
    said = workshop.run("verify")
    assert said.returncode == 1
    assert said.stdout.splitlines() == [line]


def test_verify_without_a_tree_names_the_remedy(workshop: Workshop) -> None:
    """An absent tree is one sentence."""
    said = workshop.run("verify")
    assert said.returncode == 1
    assert "scripts/comfyui.py install" in said.stderr


def test_a_modified_tree_is_never_thrown_away(workshop: Workshop) -> None:
    """Installation over changes is refused; with --replace the old tree is kept beside it."""
    workshop.run("install")
    _edit(workshop.target)
    said = workshop.run("install")
    assert said.returncode == 1
    assert "comfy/sd.py was edited" in said.stderr
    assert workshop.run("install", "--replace").returncode == 0
    assert workshop.run("verify").returncode == 0
    kept = workshop.target.with_name("ComfyUI.old")
    assert (kept / "comfy" / "sd.py").read_text() == "import torch  # and more\n"


def test_a_replacement_while_kino_runs_changes_nothing(workshop: Workshop) -> None:
    """It is refused before the former tree, which is kept beside, gives way."""
    workshop.run("install")
    _edit(workshop.target)
    workshop.run("install", "--replace")
    _edit(workshop.target)
    held = releases.hold(workshop.target)
    assert held is not None
    try:
        said = workshop.run("install", "--replace")
    finally:
        os.close(held)
    assert said.returncode == 1
    assert "Kino is running" in said.stderr
    kept = workshop.target.with_name("ComfyUI.old")
    assert (kept / "comfy" / "sd.py").read_text() == "import torch  # and more\n"


def test_status_says_what_is_in_place(workshop: Workshop) -> None:
    """Absent, verified and modified are told apart."""
    assert "absent" in workshop.run("status").stdout
    workshop.run("install")
    said = workshop.run("status").stdout
    assert "state      verified" in said
    assert "packages   as locked" in said
    (workshop.target / "requirements.txt").write_text("frontend==7\n")
    said = workshop.run("status").stdout
    assert "modified: requirements.txt was edited" in said
    assert "another one" in said


def test_use_writes_the_setting_and_keeps_the_rest(workshop: Workshop) -> None:
    """Another tree is verified and then named in the settings file, once."""
    settings = workshop.folder / ".env"
    settings.write_text("KINO_PORT=9000\nKINO_COMFYUI__PATH=/old\n")
    workshop.run("install")
    said = workshop.run("use", workshop.target, "--env-file", settings)
    assert said.returncode == 0, said.stderr
    assert settings.read_text().splitlines() == [
        "KINO_PORT=9000",
        f"KINO_COMFYUI__PATH='{workshop.target}'",
        "KINO_COMFYUI__ACCEPT_MODIFIED='false'",
    ]


@pytest.mark.parametrize("folder", ["/home/ann's tree", "C:\\Kino\\new", "/a b/$HOME#1"])
def test_a_written_setting_is_read_as_it_was(tmp_path: Path, folder: str) -> None:
    """Quotes, backslashes and blanks in a path survive the settings file."""
    settings = tmp_path / ".env"
    settings.write_text("KINO_PORT=9000\n")
    choosing.write_settings(settings, {"KINO_COMFYUI__PATH": folder})
    assert dotenv_values(settings) == {"KINO_PORT": "9000", "KINO_COMFYUI__PATH": folder}


def test_use_of_a_modified_tree_must_be_accepted(workshop: Workshop) -> None:
    """A tree that differs is refused until --accept-modified says that it is wanted."""
    settings = workshop.folder / ".env"
    workshop.run("install")
    _edit(workshop.target)
    said = workshop.run("use", workshop.target, "--env-file", settings)
    assert said.returncode == 1
    assert "comfy/sd.py was edited" in said.stderr
    assert not settings.exists()
    said = workshop.run("use", workshop.target, "--env-file", settings, "--accept-modified")
    assert said.returncode == 0, said.stderr
    assert "KINO_COMFYUI__ACCEPT_MODIFIED='true'" in settings.read_text()


def test_use_can_be_taken_back(workshop: Workshop) -> None:
    """With --pinned both settings go, the others stay; either a folder or --pinned is given."""
    settings = workshop.folder / ".env"
    settings.write_text("KINO_PORT=9000\n")
    workshop.run("install")
    workshop.run("use", workshop.target, "--env-file", settings)
    said = workshop.run("use", "--pinned", "--env-file", settings)
    assert said.returncode == 0, said.stderr
    assert settings.read_text() == "KINO_PORT=9000\n"
    choices: tuple[list[str | Path], ...] = (["--pinned", workshop.target], [])
    for words in choices:
        said = workshop.run("use", *words, "--env-file", settings)
        assert said.returncode == 1
        assert "use --pinned" in said.stderr
    assert settings.read_text() == "KINO_PORT=9000\n"


def test_what_a_user_keeps_in_a_tree_does_not_change_it(workshop: Workshop) -> None:
    """Models (a link to another disk too), outputs, settings and node packs leave it as pinned;
    the packs are named, with the way to load them."""
    settings = workshop.folder / ".env"
    workshop.run("install")
    other = workshop.folder / "disk"
    other.mkdir()
    (workshop.target / "models").mkdir(exist_ok=True)
    (workshop.target / "models" / "loras").symlink_to(other)
    for name in ("output/a.png", "custom_nodes/theirs/__init__.py", "extra_model_paths.yaml"):
        file = workshop.target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    said = workshop.run("use", workshop.target, "--env-file", settings)
    assert said.returncode == 0, said.stderr
    assert "as pinned" in said.stdout
    assert "its custom nodes (theirs) are not loaded" in said.stdout
    assert "ACCEPT_MODIFIED='false'" in settings.read_text()
    assert workshop.run("status").stdout.count("state      verified") == 1


def test_use_of_a_folder_that_is_no_comfyui(workshop: Workshop) -> None:
    """A wrong folder is refused with what is missing in it."""
    said = workshop.run("use", workshop.folder)
    assert said.returncode == 1
    assert "holds no ComfyUI" in said.stderr


@pytest.mark.parametrize(
    "name", ["../outside.py", "/etc/outside.py", "top/vendor/ComfyUI/../../../outside.py", "a\\b"]
)
def test_an_archive_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    """A path that points outside is refused before anything of it is written."""
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with (
        tarfile.open(path) as archive,
        pytest.raises(sources.NotFetched, match="unsafe path"),
    ):
        sources.extract(archive, PurePosixPath("vendor/ComfyUI"), tmp_path / "inside")
    assert list(tmp_path.rglob("outside.py")) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_an_archive_may_hold_only_plain_files(tmp_path: Path, kind: bytes) -> None:
    """Links and devices are refused."""
    path = tmp_path / "bad.tar"
    member = tarfile.TarInfo("top/vendor/ComfyUI/link")
    member.type = kind
    member.linkname = "/etc/passwd"
    with tarfile.open(path, "w") as archive:
        archive.addfile(member)
    with tarfile.open(path) as archive, pytest.raises(sources.NotFetched):
        sources.extract(archive, PurePosixPath("vendor/ComfyUI"), tmp_path / "inside")
