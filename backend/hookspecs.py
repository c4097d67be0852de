"""The hooks that a plugin may implement; one flat list.

Knows: the name, the arguments and the meaning of each hook, with an example.
Does not know: who implements them. A plugin implements as few as it likes::

    from backend.plugins import hookimpl
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import pluggy

from backend.operations import Operation, Unavailable

PROJECT: Final = "kino"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Role = Literal["api", "cpu", "comfy"]


class Host(Protocol):
    """What a plugin may learn of the process that it is started in."""

    @property
    def role(self) -> Role: ...

    @property
    def plugin_data(self) -> Path:
        """A folder of the plugin's own; it exists."""
        ...

    @property
    def settings(self) -> Any:
        """The model that ``register_settings`` gave, filled; ``None`` without one."""
        ...


@dataclass(frozen=True, slots=True)
class NodeInput:
    """One widget or slot of a node: its old name, the parameter it feeds, and how.

    ``type`` is ComfyUI's (``FLOAT``, ``INT``, ``STRING``, ``BOOLEAN``, ``AUDIO``, or a list of
    choices), or ``JSON``, a text that is read as JSON; ``options`` are ComfyUI's widget options;
    ``convert`` is one pure function from the widget's value to the parameter's. What is not
    ``listed`` is answered and not shown: older graphs give it, the editor does not list it, and
    Kino checks its type, ``min`` and ``max`` itself. A ``STRING`` that feeds a media parameter is
    the reference of an asset, or the name of a file in ComfyUI's input folder.
    """

    name: str
    parameter: str
    type: str | tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    convert: Callable[[Any], Any] | None = None
    optional: bool = False
    listed: bool = True


@dataclass(frozen=True, slots=True)
class NodeShape:
    """A node under a name of its own, in front of an operation. Only names, slots and renames.

    ``outputs`` pairs the slot's name with the operation's output name, in slot order;
    ``stems.drums`` is one item of the output ``stems``. A value for which ``output_types`` names a
    socket type (``STRING_LIST``) goes out there as it is, and a list of images (``IMAGE``) as one
    batch; others that are no number, text or medium are JSON. Where paths are not enough,
    ``gather`` is one pure function from what came in, by the inputs' names (converted, media as
    references, nothing for what was not given), to the operation's parameters.
    """

    node_id: str
    operation: str
    display_name: str
    category: str
    inputs: tuple[NodeInput, ...]
    outputs: tuple[tuple[str, str], ...]
    output_types: Mapping[str, str] = field(default_factory=dict)
    gather: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    saves: bool = False


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file that a plugin wants: where it belongs and where people get it.

    ``folder`` lies below the folder of models. Files whose ids begin alike up to a slash
    (``htdemucs_ft/f7e0c4bc``) are one model: ``kino models download htdemucs_ft`` fetches them all.
    """

    id: str
    folder: str
    file_name: str
    licence: str
    source: str
    sha256: str = ""
    """64 hex digits, if they are known: a download that has others is refused."""


@hookspec
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give the plugin's operations. The declaring module must be light (no torch).

    Example::

        @hookimpl
        def register_operations():
            from . import operations
            return [operations.duck, operations.mix]
    """
    return ()


@hookspec
def register_nodes() -> Sequence[NodeShape]:
    """Give nodes under names of their own. Every operation has a derived node without this.

    Example::

        @hookimpl
        def register_nodes():
            return [NodeShape("InternodeSidechain", "mixer.duck", "Sidechain", "Kino/mixer",
                              inputs=(NodeInput("music", "music", "AUDIO"), ...),
                              outputs=(("audio", "audio"),))]
    """
    return ()


@hookspec
def register_models() -> Sequence[ModelFile]:
    """Name the model files that operations need; ``Needs.models`` refers to their ids.

    Example::

        @hookimpl
        def register_models():
            return [ModelFile("htdemucs", "stems", "htdemucs.safetensors", "MIT", "https://…")]
    """
    return ()


@hookspec(firstresult=True)
def register_web_assets() -> Path | None:
    """Give the folder of what the plugin's nodes show in ComfyUI's graph editor.

    The editor imports every ``.js`` below it when it opens, as an extension
    (``registerExtension``); what these import themselves ends in ``.mjs``. The folder stands at
    ``extensions/kino-<plugin>/`` beside Kino's own elements (``backend/studio``) at
    ``extensions/kino/``, so that ``import "../kino/kino-mixer.mjs"`` works.

    Example::

        @hookimpl
        def register_web_assets():
            return Path(__file__).parent / "web"
    """
    return None


@hookspec(firstresult=True)
def register_settings() -> type | None:
    """Give one pydantic model of settings, read from ``KINO_<PLUGIN>__*``.

    ``startup`` finds it filled in ``host.settings``. Lists and objects are written as JSON. What
    is named ``…_key``, ``…_token``, ``…_password`` or ``…_secret`` is given to the API process
    only, so such a setting needs a default.

    Example::

        @hookimpl
        def register_settings():
            return MixerSettings
    """
    return None


@hookspec
def startup(host: Host) -> None:
    """Called once per process, in a thread, with 10 s to return.

    A plugin that raises or overruns is listed as unavailable; nothing else is affected.

    Example::

        @hookimpl
        def startup(host):
            if host.role == "cpu":
                tables.load(host.plugin_data)
    """


@hookspec
def shutdown(host: Host) -> None:
    """Called once before the process ends, with 5 s to return.

    Example::

        @hookimpl
        def shutdown(host):
            tables.close()
    """


@hookspec(firstresult=True)
def check_health() -> Unavailable | None:
    """Say whether the plugin can work now; called at start and by ``kino doctor``.

    Example::

        @hookimpl
        def check_health():
            if not shutil.which("bwrap"):
                return Unavailable("bubblewrap is missing", "apt install bubblewrap")
    """
    return None
