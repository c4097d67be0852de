"""Models come from their files only, and only if they are Demucs's."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from backend.errors import (
    InvalidParameters,
    OperationFailed,
    OperationUnavailable,
    OutOfMemory,
)
from backend.plugins.stems import catalogue
from backend.plugins.stems.loading import load


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("somebody went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_model_is_loaded(models: Path) -> None:
    """The sources and the rate are those that it was made with."""
    model = load("htdemucs", models)
    assert list(model.sources) == ["drums", "bass", "other", "vocals"]
    assert (model.samplerate, len(model.models)) == (44100, 1)
    assert not model.training


def test_a_folder_of_ones_own_is_a_model(models: Path) -> None:
    """All files in it are averaged."""
    assert len(load("own", models).models) == 2


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    """It is unavailable with its remedy, and nobody asks the network."""
    with pytest.raises(OperationUnavailable, match="not installed") as caught:
        load("htdemucs_ft", tmp_path)
    assert caught.value.remedy == "Run: kino models download htdemucs_ft"
    assert "f7e0c4bc.safetensors" in str(caught.value)


def test_an_unknown_model_names_the_known_ones(tmp_path: Path) -> None:
    """A name that is nobody's is a wrong parameter."""
    with pytest.raises(InvalidParameters, match="htdemucs_6s") as caught:
        load("spleeter", tmp_path)
    assert caught.value.errors[0].pointer == "/model"


@pytest.mark.parametrize("klass", ["subprocess.Popen", "demucs.solver.Solver", ""])
def test_a_file_cannot_name_code(models: Path, tmp_path: Path, klass: str) -> None:
    """Only Demucs's three classes are made."""
    folder = tmp_path / "stems" / "htdemucs"
    folder.mkdir(parents=True)
    tensors = load_file(models / "stems" / "htdemucs" / "955717e8.safetensors")
    metadata = {"klass": klass, "args": "[]", "kwargs": "{}"}
    save_file(tensors, folder / "955717e8.safetensors", metadata=metadata)
    with pytest.raises(OperationFailed, match="safely"):
        load("htdemucs", tmp_path)


def test_a_plan_cannot_lead_out_of_its_folder(models: Path, tmp_path: Path) -> None:
    """The files of a model lie in its folder."""
    folder = tmp_path / "stems" / "mine"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("models: ['../htdemucs/955717e8']\n")
    with pytest.raises(OperationFailed, match="does not list"):
        load("mine", tmp_path)


def test_a_cut_file_is_told(models: Path, tmp_path: Path) -> None:
    """Half a download is no model."""
    folder = tmp_path / "stems" / "htdemucs"
    folder.mkdir(parents=True)
    whole = (models / "stems" / "htdemucs" / "955717e8.safetensors").read_bytes()
    (folder / "955717e8.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OperationFailed, match="damaged"):
        load("htdemucs", tmp_path)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (b"models: [one\n", "is not YAML"),
        (b"\xff\xfe\x00", "is not YAML"),
        (b"models: [one, two]\nweights: [[1, 1]]\n", "do not belong together"),
        (b"models: [one, two]\nweights: 3\n", "do not belong together"),
    ],
)
def test_a_plan_that_makes_no_sense_is_told(
    models: Path, tmp_path: Path, plan: bytes, says: str
) -> None:
    """Neither a broken file nor weights of other files end in a traceback."""
    folder = tmp_path / "stems" / "own"
    folder.mkdir(parents=True)
    for file in (models / "stems" / "own").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "own.yaml").write_bytes(plan)
    with pytest.raises(OperationFailed, match=says):
        load("own", tmp_path)


def test_what_is_missing_in_a_file_is_told_shortly(models: Path, tmp_path: Path) -> None:
    """Of hundreds of tensors not every name is given."""
    from safetensors import safe_open

    source = models / "stems" / "htdemucs" / "955717e8.safetensors"
    with safe_open(str(source), framework="pt") as file:
        metadata = file.metadata()
    folder = tmp_path / "stems" / "own"
    folder.mkdir(parents=True)
    save_file({}, str(folder / "one.safetensors"), metadata=metadata)
    with pytest.raises(OperationFailed, match="damaged or not a Demucs model") as caught:
        load("own", tmp_path)
    assert len(str(caught.value)) < 300


def test_the_catalogue_is_demucs_own() -> None:
    """Each name stands for the same files as in Demucs's package."""
    import yaml
    from demucs.pretrained import REMOTE_ROOT

    for name, signatures in catalogue.SIGNATURES.items():
        plan = yaml.safe_load((REMOTE_ROOT / f"{name}.yaml").read_text())
        assert tuple(plan["models"]) == signatures


def test_model_files_say_where_they_come_from() -> None:
    """Every file has a folder, a licence and an address of its own."""
    from demucs.hf import hf_repo_name

    files = catalogue.model_files()
    assert len({file.id for file in files}) == len(files) == 11
    for file in files:
        name, _, signature = file.id.partition("/")
        assert file.folder == f"stems/{name}"
        assert file.source.endswith(f"{hf_repo_name(name)}/resolve/main/{signature}.safetensors")


def test_memory_that_runs_out_is_not_a_damaged_file(models: Path, monkeypatch) -> None:
    """torch says it with a plain RuntimeError on the CPU; it can be tried again."""
    from demucs import hf

    def full(path: Path) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to …")

    monkeypatch.setattr(hf, "load_safetensors_model", full)
    with pytest.raises(OutOfMemory) as caught:
        load("htdemucs", models)
    assert caught.value.retryable
