"""Several roots and ComfyUI's YAML: found as the real ComfyUI finds them, mistakes are named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.config import ROOT, Settings, inherited_environment, worker_environment
from backend.services.extra_model_paths import read_extra_model_paths, variables
from backend.services.model_folders import (
    FOLDERS,
    NO_MODELS,
    SUFFIXES,
    ModelFolders,
    yaml_file,
)
from backend.services.model_wants import INPUTS, OF_CLASS

YAML = """
usual:
    base_path: $FREE_PLACE/old
    checkpoints: models/Stable-diffusion
    loras: |
        models/Lora
        models/LyCORIS
    custom_nodes: nodes
    unet: models/unets
first:
    is_default: true
    base_path: fast
    checkpoints: ckpt
    ultralytics: |
      yolo
"""


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.parent.name.encode())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two roots and what the YAML names, with equal names in several of them."""
    here = tmp_path_factory.mktemp("models")
    one, two, old = here / "one", here / "two", here / "old" / "models"
    touch(
        *(one / "checkpoints" / "a.safetensors", two / "checkpoints" / "a.safetensors"),
        *(two / "checkpoints" / "deep" / "er" / "b.safetensors", two / "unet" / "u.safetensors"),
        *(one / "diffusion_models" / "u.safetensors", two / "t2i_adapter" / "t.pth"),
        *(old / "Stable-diffusion" / "c.ckpt", old / "Stable-diffusion" / "a.safetensors"),
        *(old / "Lora" / "l.safetensors", old / "LyCORIS" / "l.safetensors"),
        *(old / "LyCORIS" / "m.safetensors", old / "unets" / "w.safetensors"),
        *(here / "fast" / "ckpt" / "a.safetensors", here / "fast" / "ckpt" / "readme.txt"),
        *(here / "fast" / "yolo" / "face.onnx", one / "checkpoints" / ".git" / "x.safetensors"),
        *(here / "data" / "comfyui" / "models" / "vae" / "own.safetensors",),
    )
    (one / "loras").symlink_to(old / "Lora")
    for kind in FOLDERS:
        suffix = "" if kind == "classifiers" else ".safetensors"
        touch(two / kind / f"zz-{kind}{suffix}")
    (here / "extra.yaml").write_text(YAML)
    return here


@pytest.fixture(scope="module")
def given(place: Path) -> Settings:
    return Settings(
        data_dir=place / "data",
        comfyui={
            "models_dir": place / "one",
            "model_roots": [place / "two"],
            "extra_model_paths": place / "extra.yaml",
            "cpu": True,
        },
    )


@pytest.fixture
def folders(given: Settings, place: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFolders:
    monkeypatch.setenv("FREE_PLACE", str(place))
    return ModelFolders(given)


@pytest.fixture(scope="module")
def comfyui(given: Settings, place: Path) -> Any:
    """What the real ComfyUI says, booted with these settings as the worker boots it."""
    markers = {
        f"zz-{kind}" + ("" if kind == "classifiers" else ".safetensors"): kind for kind in FOLDERS
    }
    asked = {"settings": given.model_dump(mode="json"), "markers": markers}
    ended = subprocess.run(
        [sys.executable, "-P", str(Path(__file__).with_name("agreement.py"))],
        input=json.dumps(asked) + "\n",
        env={**inherited_environment(), "FREE_PLACE": str(place), "OMP_NUM_THREADS": "1",
             "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    said = json.loads(ended.stdout)
    assert said["said"] == {}
    return said


def test_the_real_comfyui_finds_the_same(folders: ModelFolders, comfyui: Any) -> None:
    """Every kind has the same names, each leads to the same file, and loaders offer them."""
    ours = {kind: [each.name for each in folders.files(kind)] for kind in folders.kinds}
    theirs = {kind: names for kind, names in comfyui["names"].items() if kind not in NO_MODELS}
    assert ours == theirs
    assert ours["checkpoints"] == comfyui["checkpoints"][0]
    paths = {f"{kind}/{each.name}": str(each.path) for kind in ours for each in folders.files(kind)}
    assert paths == comfyui["paths"]
    found = {
        f"{kind}/{name}": folders.find(kind, name) for kind, names in ours.items() for name in names
    }
    assert {key: str(each and each.path) for key, each in found.items()} == paths


def test_what_comfyui_says_is_believed(given: Settings, comfyui: Any, tmp_path: Path) -> None:
    """A service without the YAML's variables, and of an older table, finds what ComfyUI finds."""
    folders = ModelFolders(given)
    assert folders.find("loras", "m.safetensors") is None  # $FREE_PLACE is not set here
    touch(tmp_path / "packs" / "any.thing")
    more = {"packs": {"folders": [str(tmp_path / "packs")], "suffixes": []}}
    folders.learn({**comfyui["table"], **more})
    found = {kind: [each.name for each in folders.files(kind)] for kind in comfyui["names"]}
    assert found == {**comfyui["names"], "diffusers": []}
    assert [each.name for each in folders.files("packs")] == ["any.thing"]
    place = folders.find("checkpoints", "a.safetensors")
    assert place is not None and place.root == "yaml:first"


def test_our_tables_are_those_of_the_pinned_comfyui(comfyui: Any) -> None:
    """Kinds, their folders and suffixes, and which input of which node names which kind."""
    known = {kind for kind in comfyui["suffixes"] if kind not in NO_MODELS}
    assert known - {"ultralytics"} == FOLDERS.keys()
    for kind, names in FOLDERS.items():
        assert set(names) <= set(comfyui["folders"][kind]), kind
        wanted = [""] if kind == "classifiers" else sorted(SUFFIXES)
        assert comfyui["suffixes"][kind] == wanted, kind
    for place, kind in comfyui["inputs"].items():
        node, _, slot = place.partition(".")
        if kind not in ("embeddings", "vae_approx", "classifiers"):
            assert OF_CLASS.get((node, slot), INPUTS.get(slot)) == kind, place


def test_the_order_is_comfyuis(folders: ModelFolders, place: Path) -> None:
    """A default section wins over all, then the roots in order, then the other sections."""
    assert [str(each.path.relative_to(place)) for each in folders.folders("checkpoints")] == [
        *("fast/ckpt", "one/checkpoints", "two/checkpoints", "data/comfyui/models/checkpoints"),
        "old/models/Stable-diffusion",
    ]
    found = folders.find("checkpoints", "a.safetensors")
    assert found is not None
    assert (found.path, found.root) == (place / "fast/ckpt/a.safetensors", "yaml:first")
    assert folders.download_root == place / "one"
    alias = folders.find("unet", "w.safetensors")
    assert alias is not None and alias.kind == "diffusion_models"


@pytest.mark.parametrize(
    "name",
    ["../one/checkpoints/a.safetensors", "/etc/passwd", "", ".", "a/../a.safetensors", "a\x00",
     "deep//er/b.safetensors", "c:/a.safetensors", "deep\\er\\b.safetensors", "readme.txt", "zz",
     "n" * 300 + ".safetensors"],
)  # fmt: skip
def test_no_name_leads_elsewhere(folders: ModelFolders, name: str) -> None:
    """Only names of files that are listed are found, however they are written."""
    assert folders.find("checkpoints", name) is None
    assert folders.find("../one/checkpoints", "a.safetensors") is None


def test_a_circle_of_links_ends(given: Settings, place: Path, tmp_path: Path) -> None:
    """A folder that leads to itself is walked through once."""
    touch(tmp_path / "checkpoints" / "a.safetensors")
    (tmp_path / "checkpoints" / "again").symlink_to(tmp_path / "checkpoints")
    folders = ModelFolders(Settings(comfyui={"models_dir": tmp_path}, data_dir=tmp_path / "data"))
    assert [each.name for each in folders.files("checkpoints")] == ["a.safetensors"]


def test_a_worker_gets_the_variables_of_the_file(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that the YAML file uses are given on; nothing of KINO_ is, and nothing else."""
    path = place / "variables.yaml"
    path.write_text("a:\n  base_path: ${MY_DISK}/x/$KINO_API_KEY\n  loras: l\n")
    monkeypatch.setenv("MY_DISK", "/disk")
    monkeypatch.setenv("KINO_API_KEY", "secret")
    given = worker_environment(variables(path))
    assert given["MY_DISK"] == "/disk"
    assert "KINO_API_KEY" not in given
    assert "MY_DISK" not in worker_environment(variables(None))
    assert read_extra_model_paths(path)[0][0].path.parts[1:3] == ("disk", "x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "the file is no YAML (line 1)"),
        ("- a\n- b", "no table of sections"),
        ("a: 3", "section 'a' holds no folders"),
        ("a:\n  base_path: 3\n  loras: x", "base_path is no text"),
        ("a:\n  loras: [x, y]", "'loras' names no folder"),
        ("a:\n  loras: nowhere", "section 'a': the folder of loras does not exist: 'nowhere'"),
        ("a:\n  loras: HERE/nowhere", "the folder of loras does not exist: 'nowhere'"),
        ("a: &a\n  b: *b", "the file is no YAML"),
        ("x" * (1 << 20) + "x", "more than 1048576 bytes"),
    ],
)
def test_a_mistake_costs_no_more_than_itself(tmp_path: Path, text: str, told: str) -> None:
    """The settings' folders stay, the sentence says what is wrong and holds no path."""
    yaml = tmp_path / "extra.yaml"
    yaml.write_text(text.replace("HERE", str(tmp_path)))
    folders = ModelFolders(Settings(data_dir=tmp_path, comfyui={"extra_model_paths": yaml}))
    wrong = [trouble.sentence for trouble in folders.troubles()]
    assert len(wrong) == 1 and told in wrong[0]
    assert str(tmp_path) not in wrong[0]
    assert folders.kinds == tuple(sorted(folders.kinds)) and "loras" in folders.kinds


def test_absent_files_and_folders_are_named(tmp_path: Path) -> None:
    """A YAML file and a root that are not there."""
    comfyui = {"extra_model_paths": tmp_path / "no.yaml", "model_roots": [tmp_path / "no"]}
    folders = ModelFolders(Settings(data_dir=tmp_path, comfyui=comfyui))
    assert [each.sentence for each in folders.troubles()] == [
        "the file cannot be read: No such file or directory",
        "the folder of 'root-1' does not exist",
    ]


def test_an_installation_in_place_brings_its_models(tmp_path: Path) -> None:
    """Its models folder is a root, and its own YAML file is read unless another is given."""
    touch(tmp_path / "ComfyUI" / "models" / "loras" / "a.safetensors", tmp_path / "x" / "b.sft")
    (tmp_path / "ComfyUI" / "extra_model_paths.yaml").write_text("a:\n  loras: ../x\n")
    settings = Settings(data_dir=tmp_path / "data", comfyui={"path": tmp_path / "ComfyUI"})
    assert [each.name for each in ModelFolders(settings).files("loras")] == [
        "a.safetensors",
        "b.sft",
    ]
    other = settings.model_copy(deep=True)
    other.comfyui.extra_model_paths = tmp_path / "other.yaml"
    assert yaml_file(other) == tmp_path / "other.yaml"
    assert yaml_file(settings) == tmp_path / "ComfyUI" / "extra_model_paths.yaml"
