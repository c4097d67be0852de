"""How people name the file that they want, and what is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.config import Settings
from backend.errors import InvalidParameters, UnknownName
from backend.hookspecs import ModelFile
from backend.services import model_files
from backend.services.model_folders import ModelFolders

KINDS = ("checkpoints", "loras", "vae")


def test_a_name_stands_for_all_its_files() -> None:
    """An id is one file; what stands in front of the slash is the model."""
    files = [ModelFile(each, "f", "n", "MIT", "") for each in ("a/1", "a/2", "ab/1", "a")]
    assert [file.id for file in model_files.named("a", files)] == ["a/1", "a/2", "a"]
    assert [file.id for file in model_files.named("a/2", files)] == ["a/2"]


def test_a_file_of_a_plugin_lies_in_its_folder(tmp_path: Path) -> None:
    """Below the first root, in the folder that the plugin names."""
    wish = model_files.wish_of(ModelFile("n/1", "stems/net", "1.safetensors", "MIT", "https://h/1"))
    folders = ModelFolders(Settings(data_dir=tmp_path), ["stems"])
    assert wish.target(folders) == tmp_path / "models" / "stems" / "net" / "1.safetensors"


@pytest.mark.parametrize(
    ("text", "url", "name"),
    [
        ("hf:org/repo/a.safetensors", "https://huggingface.co/org/repo/resolve/main/a.safetensors",
         "a.safetensors"),
        ("hf:org/re.po-1/deep/a b.safetensors@refs/pr/1",
         "https://huggingface.co/org/re.po-1/resolve/refs%2Fpr%2F1/deep/a%20b.safetensors",
         "a b.safetensors"),
        ("https://huggingface.co/o/r/blob/main/x/a.safetensors?download=true",
         "https://huggingface.co/o/r/resolve/main/x/a.safetensors", "a.safetensors"),
        ("http://host:8/a%20b.gguf", "http://host:8/a%20b.gguf", "a b.gguf"),
        ("https://host/ä.gguf", "https://host/ä.gguf", "ä.gguf"),
    ],
)  # fmt: skip
def test_addresses(text: str, url: str, name: str) -> None:
    """Hugging Face by owner, repository, path and revision; pages become files."""
    wish = model_files.from_address(text, "loras", KINDS)
    assert (wish.url, wish.kind, wish.name) == (url, "loras", name)


@pytest.mark.parametrize(
    ("text", "kind", "name", "pointer", "rule"),
    [
        ("hf:org/repo", "loras", None, "/model", "address"),
        ("hf:org/repo/../../x.safetensors", "loras", None, "/model", "address"),
        ("hf:o/r/a.safetensors@", "loras", None, "/model", "address"),
        ("ftp://host/a.safetensors", "loras", None, "/model", "address"),
        ("https:///a", "loras", None, "/model", "address"),
        ("https://[a", "loras", None, "/model", "address"),
        ("https://host/a.safetensors", "lora", None, "/kind", "kind"),
        ("https://host/", "loras", None, "/name", "name"),
        ("https://host/a.safetensors", "loras", "../a.safetensors", "/name", "name"),
        ("https://host/a.ckpt", "loras", None, "/name", "pickle"),
        ("hf:o/r/a.bin", "loras", None, "/name", "pickle"),
    ],
)
def test_what_cannot_be_fetched(
    text: str, kind: str, name: str | None, pointer: str, rule: str
) -> None:
    """Each with where and which rule; formats that may hold code are not even fetched."""
    with pytest.raises(InvalidParameters) as caught:
        model_files.from_address(text, kind, KINDS, name)
    assert (caught.value.errors[0].pointer, caught.value.errors[0].rule) == (pointer, rule)


def item(kind: str | None, name: str, url: str | None = "https://h/x") -> dict[str, Any]:
    return {"kind": kind, "name": name, "url": url, "sha256": None, "wanted_by": ["workflow.w"]}


def test_names_of_the_list() -> None:
    """A name, or a kind and a name; what is ambiguous or published nowhere says so."""
    items = [item("vae", "a.sft"), item("loras", "a.sft"), item("vae", "b.sft"),
             item("loras", "c.sft", None)]  # fmt: skip
    assert model_files.from_list("loras/a.sft", items, KINDS).kind == "loras"
    assert model_files.from_list("b.sft", items, KINDS).url == "https://h/x"
    with pytest.raises(InvalidParameters, match=r"vae/a.sft or loras/a.sft"):
        model_files.from_list("a.sft", items, KINDS)
    with pytest.raises(UnknownName, match="it is wanted by"):
        model_files.from_list("c.sft", items, KINDS)
    with pytest.raises(UnknownName, match="nobody says where"):
        model_files.from_list("d.sft", items, KINDS)


@pytest.mark.parametrize(
    ("kind", "name", "rule"),
    [
        ("loras", "../../../a.safetensors", "name"),
        ("loras", "/etc/a.safetensors", "name"),
        ("../../x", "a.safetensors", "kind"),
        ("vae", "a.ckpt", "pickle"),
    ],
)
def test_a_name_of_the_list_leads_nowhere_else(kind: str, name: str, rule: str) -> None:
    """What a stored workflow says of its files is held against the same rules as an address."""
    with pytest.raises(InvalidParameters) as caught:
        model_files.from_list(name, [item(kind, name)], KINDS)
    assert caught.value.errors[0].rule == rule


def test_an_upscaler_may_be_a_pth() -> None:
    """Its loader takes nothing but tensors; the same file of another kind is refused."""
    kinds = ("upscale_models", "vae")
    wish = model_files.from_address("https://host/x4.pth", "upscale_models", kinds)
    assert wish.name == "x4.pth"
    with pytest.raises(InvalidParameters, match="may hold code"):
        model_files.from_address("https://host/x4.pth", "vae", kinds)


@pytest.mark.parametrize("text", ["", "12", "g" * 64, "0" * 63, "0" * 65])
def test_a_checksum_has_its_form(text: str) -> None:
    """64 hex digits, with or without their name in front."""
    assert model_files.digest("sha256:" + "A" * 64) == "a" * 64
    with pytest.raises(InvalidParameters):
        model_files.digest(text)
