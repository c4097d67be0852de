"""Where model files lie: several roots, ComfyUI's kinds, and its ``extra_model_paths.yaml``.

Knows: the kinds of models, in which folders each is looked for, and in which order.
Does not know: ComfyUI itself, what is in a file, and HTTP.

The order is ComfyUI's own (``folder_paths.add_model_folder_path``): the folders of the roots, one
root after the other; what the YAML file names comes behind them, or before them where a section
says ``is_default``. A worker hands the same roots and entries to ComfyUI, so both find the same.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from backend.config import Settings
from backend.hookspecs import ModelFile
from backend.services.extra_model_paths import Entry, read_extra_model_paths

ALIASES: Final = {"unet": "diffusion_models", "clip": "text_encoders"}
"""Older names of kinds."""

SUFFIXES: Final = frozenset(
    (".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft")
)
"""Suffixes that ComfyUI lists."""

_PLAIN: Final = (
    "checkpoints", "loras", "vae", "clip_vision", "style_models", "embeddings", "vae_approx",
    "gligen", "upscale_models", "latent_upscale_models", "hypernetworks", "photomaker",
    "model_patches", "audio_encoders", "background_removal", "frame_interpolation",
    "geometry_estimation", "optical_flow", "detection",
)  # fmt: skip
FOLDERS: Final[dict[str, tuple[str, ...]]] = {
    **{kind: (kind,) for kind in _PLAIN},
    "text_encoders": ("text_encoders", "clip"),
    "diffusion_models": ("unet", "diffusion_models"),
    "controlnet": ("controlnet", "t2i_adapter"),
    "classifiers": ("classifiers",),
}
"""ComfyUI's kinds, and their folders below a root. A test compares them with the pinned ComfyUI's.
``diffusers`` holds folders and no files, so it is no kind here."""

NO_MODELS: Final = ("configs", "custom_nodes", "datasets", "diffusers")
"""What ComfyUI keeps in the same table although it is no file of weights."""

_SUFFIXES: Final[dict[str, frozenset[str]]] = {"classifiers": frozenset(("",))}
_SKIPPED: Final = (".git",)
PARTIAL: Final = ".partial"
"""Suffix of a download that is not whole."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of one kind, and what its root is called to clients, who never see a path."""

    path: Path
    root: str


@dataclass(frozen=True, slots=True)
class Found:
    """A file: the name that loader nodes take, where it is, and its root."""

    kind: str
    name: str
    path: Path
    root: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with the settings of folders: a sentence without paths, and the path."""

    setting: str
    sentence: str
    path: Path

    def as_json(self) -> dict[str, str]:
        return {"setting": self.setting, "reason": self.sentence}


def kind_and_name(model: ModelFile) -> tuple[str, str]:
    """Under which kind and name a plugin's file is found."""
    kind, _, below = model.folder.partition("/")
    return _kind(kind), "/".join(part for part in (below, model.file_name) if part)


def plugin_kinds(models: Iterable[ModelFile]) -> tuple[str, ...]:
    """The kinds that plugins have beside ComfyUI's."""
    return tuple({kind_and_name(model)[0] for model in models}.difference(FOLDERS))


class ModelFolders:
    """The folders that these settings name; *kinds* are those of plugins, beside ComfyUI's, which
    lie below the roots only."""

    def __init__(self, settings: Settings, kinds: Iterable[str] = ()) -> None:
        self.roots: tuple[tuple[str, Path], ...] = tuple(_roots(settings))
        yaml = yaml_file(settings)
        self.entries: tuple[Entry, ...] = ()
        self._wrong: tuple[Trouble, ...] = ()
        if yaml is not None:
            self.entries, wrong = read_extra_model_paths(yaml)
            setting = "KINO_COMFYUI__EXTRA_MODEL_PATHS"
            self._wrong = tuple(Trouble(setting, sentence, yaml) for sentence in wrong)
        self._theirs = frozenset(kinds)
        named = (_kind(entry.kind) for entry in self.entries)
        known = {*FOLDERS, *self._theirs, *named}.difference(NO_MODELS)
        self._suffixes: Mapping[str, Collection[str] | None] = {
            kind: _SUFFIXES.get(kind, SUFFIXES if kind in FOLDERS else None) for kind in known
        }
        self._folders = {kind: self._of(kind) for kind in sorted(known)}
        self._learnt: Mapping[str, Any] | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds, sorted."""
        return tuple(self._folders)

    def learn(self, table: Mapping[str, Any] | None) -> None:
        """Believe what a running ComfyUI says of its own folders (``bricks.folders.model_table``):
        another release, and packs of nodes, may have more of them. What plugins have as kinds of
        their own stays below the roots."""
        if table is None or table is self._learnt:
            return
        roots = {each.path: each.root for kind in self._folders.values() for each in kind}
        passed = {*NO_MODELS, *self._theirs.difference(FOLDERS)}
        more = {kind: entry for kind, entry in table.items() if kind not in passed}
        folders = {
            kind: tuple(
                Folder(Path(path), roots.get(Path(path), "comfyui")) for path in entry["folders"]
            )
            for kind, entry in more.items()
        }
        suffixes = {kind: entry["suffixes"] or None for kind, entry in more.items()}
        self._suffixes = {**self._suffixes, **suffixes}
        self._folders = dict(sorted({**self._folders, **folders}.items()))
        self._learnt = table

    @property
    def download_root(self) -> Path:
        """The first root: what is downloaded goes there."""
        return self.roots[0][1]

    def folders(self, kind: str) -> tuple[Folder, ...]:
        """Where files of this kind are looked for, in order; none for a kind that nobody knows."""
        kind = _kind(kind)
        return self._folders.get(kind) or tuple(self._of(kind) if is_plain(kind) else ())

    def find(self, kind: str, name: str) -> Found | None:
        """The file that ComfyUI would take for this name, if there is one. A name that leads out
        of its folder, or has a suffix that is not listed, is nobody's."""
        kind = _kind(kind)
        if not is_plain(name) or not self._is_listed(kind, name):
            return None
        for folder in self.folders(kind):
            path = folder.path / name
            if _is_file(path):
                return Found(kind, name, path, folder.root)
        return None

    def files(self, kind: str) -> list[Found]:
        """Every file of this kind by name; of two with one name, the first, as ComfyUI has it."""
        kind = _kind(kind)
        found: dict[str, Found] = {}
        for folder in self.folders(kind):
            for name in _walk(folder.path):
                if name not in found and self._is_listed(kind, name):
                    found[name] = Found(kind, name, folder.path / name, folder.root)
        return [found[name] for name in sorted(found)]

    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong now: a YAML file that cannot be used, folders that are not there."""
        more = [
            Trouble("KINO_COMFYUI__MODEL_ROOTS", f"the folder of {label!r} does not exist", path)
            for label, path in self.roots
            if label.startswith(_LISTED) and not path.is_dir()
        ]
        setting = "KINO_COMFYUI__EXTRA_MODEL_PATHS"
        for entry in self.entries:
            if not entry.path.is_dir():
                told = f"section {entry.section!r}: the folder of {entry.kind} does not exist"
                # its last name only: clients read the sentence, and it may be a whole path
                more.append(Trouble(setting, f"{told}: {entry.path.name!r}", entry.path))
        return (*self._wrong, *more)

    def _of(self, kind: str) -> tuple[Folder, ...]:
        """As ComfyUI's own list comes about: defaults go to the front, one by one."""
        made = [
            Folder(root / name, label)
            for label, root in self.roots
            for name in FOLDERS.get(kind, (kind,))
        ]
        for entry in self.entries:
            if _kind(entry.kind) != kind or kind in self._theirs:
                continue
            same = [folder for folder in made if folder.path == entry.path]
            folder = same[0] if same else Folder(entry.path, f"yaml:{entry.section}")
            if entry.is_default:
                made = [folder, *(each for each in made if each is not folder)]
            elif not same:
                made.append(folder)
        return tuple(made)

    def _is_listed(self, kind: str, name: str) -> bool:
        wanted = self._suffixes.get(kind)
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - as ComfyUI has it
        return suffix != PARTIAL and (wanted is None or suffix in wanted)


_LISTED: Final = "root-"


def _roots(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Labels and folders: the settings', the given tree's, and the one that ComfyUI itself has."""
    yield "models", settings.models_dir
    for number, path in enumerate(settings.comfyui.model_roots, start=1):
        yield f"{_LISTED}{number}", path
    if settings.comfyui.path is not None:
        yield "comfyui", settings.comfyui.path / "models"
    yield "own", settings.comfyui_base / "models"


def yaml_file(settings: Settings) -> Path | None:
    """The YAML file of the settings, else that of an installation that is used in place, which
    ComfyUI would read by itself there."""
    if settings.comfyui.extra_model_paths is not None or settings.comfyui.path is None:
        return settings.comfyui.extra_model_paths
    path = settings.comfyui.path / "extra_model_paths.yaml"
    return path if path.is_file() else None


def _kind(kind: str) -> str:
    return ALIASES.get(kind, kind)


def is_plain(name: str) -> bool:
    """Whether a name stays below its folder, on every system."""
    if not name or "\x00" in name or "\\" in name or ":" in name:
        return False
    parts = name.split("/")
    return not any(part in ("", ".", "..") for part in parts) and not PurePosixPath(name).root


def _is_file(path: Path) -> bool:
    """Whether there is one; what the file system refuses, like a name too long for it, is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _walk(folder: Path) -> Iterator[str]:
    """Files below *folder*, links followed, each folder once however many links lead to it."""
    seen: set[tuple[int, int]] = set()
    for place, inner, names in os.walk(folder, followlinks=True):
        try:
            facts = Path(place).stat()
        except OSError:  # it went away while we looked
            inner.clear()
            continue
        if (facts.st_dev, facts.st_ino) in seen:
            inner.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        inner[:] = sorted(name for name in inner if name not in _SKIPPED)
        for name in names:
            yield (Path(place) / name).relative_to(folder).as_posix()
