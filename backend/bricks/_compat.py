"""What this ComfyUI can do: one small probe for each thing that differs between releases.

Knows: signatures, enumerations and flags, and how to ask for them.
Does not know: version numbers. A probe looks at the thing itself, never at a version.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from backend.bricks._comfy import module

_SPAN: Final = ("start_time", "duration")

CACHE_ARGUMENTS: Final = {"lru": 0, "ram": 2.0, "ram_inactive": 8.0}
"""GiB of headroom, and entries, that the executor may ask for whatever its cache is."""


def known_flags(tree: Path) -> frozenset[str]:
    """The command line flags that the tree's ``cli_args.py`` declares, read without importing it.

    Raises ``OSError`` and ``SyntaxError`` if the file is absent or damaged.
    """
    source = ast.parse((tree / "comfy" / "cli_args.py").read_text("utf-8"))
    flags: set[str] = set()
    for call in ast.walk(source):
        name = call.func if isinstance(call, ast.Call) else None
        if isinstance(call, ast.Call) and isinstance(name, ast.Attribute):
            flags.update(_flag_names(call.args) if name.attr == "add_argument" else ())
    return frozenset(flags)


def _flag_names(arguments: list[ast.expr]) -> set[str]:
    values = {item.value for item in arguments if isinstance(item, ast.Constant)}
    return {value for value in values if isinstance(value, str) and value.startswith("--")}


def keep_known(flags: list[str], known: frozenset[str]) -> tuple[list[str], list[str]]:
    """Split *flags* into those that ComfyUI knows, with their values, and the names it does not."""
    kept: list[str] = []
    dropped: list[str] = []
    keeping = True
    for word in flags:
        if word.startswith("--"):
            name = word.partition("=")[0]
            keeping = name in known
            if not keeping:
                dropped.append(name)
        if keeping:
            kept.append(word)
    return kept, dropped


def accepted(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of *arguments* that *function* has a parameter for."""
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in arguments.items() if name in parameters}


def optional(name: str) -> Any | None:
    """A module of ComfyUI that not every release has."""
    try:
        return module(name)
    except ModuleNotFoundError:
        return None


def is_v3(node_class: type) -> bool:
    """Whether a node is of the schema kind (class methods, ``define_schema``)."""
    return hasattr(node_class, "GET_SCHEMA")


def finalized_inputs(node_class: type, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A node's inputs by category, with those that depend on other inputs unfolded.

    ``{"required": {name: (type, options)}, "optional": {…}}``; *given* are the inputs of the graph.
    """
    declared: dict[str, dict[str, Any]] = node_class.INPUT_TYPES()  # type: ignore[attr-defined]
    if is_v3(node_class):
        io = optional("comfy_api.latest._io")
        finalize = getattr(io, "get_finalized_class_inputs", None)
        if finalize is not None:
            declared = finalize(declared, dict(given))[0]
    return {kind: dict(declared.get(kind) or {}) for kind in ("required", "optional")}


def hidden_inputs(node_class: type) -> list[str]:
    """Names of the inputs that only the executor can give to a node."""
    if is_v3(node_class):
        return [str(item) for item in node_class.GET_SCHEMA().hidden or []]  # type: ignore[attr-defined]
    return list(node_class.INPUT_TYPES().get("hidden") or {})  # type: ignore[attr-defined]


def cache_types() -> list[str]:
    """Names of the executor's cache kinds."""
    return [item.name for item in module("execution").CacheType]


def new_executor(server: Any) -> Any:
    """A ``PromptExecutor`` with the classic cache (what the last graph did not use is dropped)."""
    execution = module("execution")
    wanted = {
        "cache_type": execution.CacheType["CLASSIC"],
        "cache_args": dict(CACHE_ARGUMENTS),
        "cache_size": 0,
    }
    return execution.PromptExecutor(server, **accepted(execution.PromptExecutor.__init__, wanted))


def validate_prompt(prompt_id: str, prompt: dict[str, Any]) -> Any:
    """ComfyUI's own validation, or something to await: ``(ok, error, outputs, errors by node)``.

    Changes *prompt*.
    """
    validate = module("execution").validate_prompt
    names = _parameters(validate)
    if "prompt_id" not in names:
        return validate(prompt)
    return validate(*(prompt_id, prompt, None)[: len(names)])


@lru_cache(maxsize=64)
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def execute(
    executor: Any, prompt: dict[str, Any], prompt_id: str, extra: Mapping[str, Any], outputs: Any
) -> Any:
    """Run *prompt*, or give something to await that does; the executor holds the result."""
    run = getattr(executor, "execute_async", executor.execute)
    return run(prompt, prompt_id, dict(extra), outputs)


def executing_node() -> str | None:
    """The id of the node that runs right now, if a graph runs."""
    utils = optional("comfy_execution.utils")
    context = utils.get_executing_context() if utils is not None else None
    return None if context is None else str(context.node_id)


def show_previews() -> None:
    """Let samplers called outside of a graph show what they have so far."""
    previews = module("latent_preview")
    if hasattr(previews, "set_preview_method"):
        previews.set_preview_method("auto")
    else:
        module("comfy.cli_args").args.preview_method = previews.LatentPreviewMethod.Auto


def video_of_file(path: Path) -> Any:
    """What ComfyUI's own loader puts on a VIDEO socket for this file."""
    return module("comfy_api.input_impl").VideoFromFile(str(path))


def is_video(value: Any) -> bool:
    """Whether *value* is what a VIDEO socket carries."""
    return isinstance(value, module("comfy_api.input").VideoInput)


def video_file(video: Any) -> tuple[Any, float, float] | None:
    """The file behind a VIDEO (a path, or bytes to read), and where its span begins and how long
    it lasts, in seconds (0: to the end); None for one that is made of tensors."""
    if not isinstance(video, module("comfy_api.input_impl").VideoFromFile):
        return None
    source = video.get_stream_source()
    if hasattr(video, "get_active_trim_window"):
        start, duration = video.get_active_trim_window()
        return source, float(start), float(duration)
    # older releases keep the span to themselves
    start, duration = (getattr(video, f"_VideoFromFile__{name}", 0) for name in _SPAN)
    return source, float(start), float(duration)


def forget(executor: Any, wanted: Callable[[str], bool]) -> None:
    """Drop from the executor's caches what belongs to node classes that *wanted* names.

    Falls back to dropping everything where the caches cannot be looked into.
    """
    try:
        for cache in executor.caches.all:
            _forget_in(cache, wanted)
    except (AttributeError, KeyError, TypeError):
        executor.reset()


def _forget_in(cache: Any, wanted: Callable[[str], bool]) -> bool:
    """Whether anything was dropped; a node whose expansion lost something goes as well."""
    keys, dropped = cache.cache_key_set, False
    for node_id in list(keys.keys):
        class_type = cache.dynprompt.get_node(node_id)["class_type"]
        below = cache.subcaches.get(keys.get_subcache_key(node_id))
        lost_below = below is not None and _forget_in(below, wanted)
        if wanted(class_type) or lost_below:
            cache.cache.pop(keys.get_data_key(node_id), None)
            dropped = True
    return dropped
