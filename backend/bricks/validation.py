"""A graph before it runs in ComfyUI: defaults filled in, every broken rule named.

Knows: ComfyUI's validation, what it leaves out, and how its findings become JSON pointers.
Does not know: how a graph is executed.

ComfyUI's own validation fills no defaults, changes the graph it is given, accepts a graph of which
one output works, and raises for a link into nowhere; hence the work on both sides of it.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from backend.bricks import _compat, checks, node_inputs, old_formats, sampling
from backend.bricks._comfy import module
from backend.bricks.engine import Graph
from backend.bricks.wording import without_paths
from backend.errors import FieldError, did_you_mean
from backend.media.dependence import no_name

Prompt = dict[str, dict[str, Any]]
NOTHING: Final = object()


class Catalogue:
    """ComfyUI's nodes, as `checks.structure` asks for them."""

    def names(self) -> Collection[str]:
        names: Mapping[str, Any] = module("nodes").NODE_CLASS_MAPPINGS
        return names.keys()

    def outputs(self, class_type: str) -> int:
        return len(node_inputs.node_class(class_type).RETURN_TYPES)  # type: ignore[attr-defined]

    def is_output(self, class_type: str) -> bool:
        return is_output(class_type)


def is_output(class_type: str) -> bool:
    """Whether a node gives a result of the graph (saves or shows something)."""
    return getattr(node_inputs.node_class(class_type), "OUTPUT_NODE", False) is True


def fill_defaults(graph: Graph) -> tuple[Prompt, list[str]]:
    """A copy of *graph* in which required inputs that are missing have their defaults.

    Also says, a sentence each, what was filled in. Stored graphs need this: a newer ComfyUI may ask
    for inputs that did not exist when they were made. Unknown nodes are left as they are.
    """
    prompt: Prompt = {
        node_id: copy.deepcopy({**node, "inputs": node.get("inputs", {})})
        for node_id, node in graph.items()
    }
    known, notes = module("nodes").NODE_CLASS_MAPPINGS, []
    for node_id, node in prompt.items():
        if node["class_type"] not in known:
            continue
        for name, value in _missing(known[node["class_type"]], node["inputs"]):
            node["inputs"][name] = value
            start = checks.label(graph, node_id)
            notes.append(f"{start}: {name} was not given; {value!r} is used")
        notes += _unknown(checks.label(graph, node_id), known[node["class_type"]], node["inputs"])
    return prompt, notes


def _unknown(start: str, found: type, given: dict[str, Any]) -> Iterator[str]:
    """A sentence for each input that the node does not have; ComfyUI ignores them silently."""
    raw: dict[str, Any] = found.INPUT_TYPES()  # type: ignore[attr-defined]
    named = {name for group in _compat.finalized_inputs(found, given).values() for name in group}
    named.update(raw.get("hidden") or {})
    for name in sorted(given.keys() - named):
        # a mapping of its own kind may answer for names that it does not list
        answered = any(name in group for group in raw.values())
        # a name with a dot belongs to an input that grows
        if "." not in name and not answered:
            hint = did_you_mean(name, named)
            yield f"{start}: it has no input {name!r}, which is ignored{hint}"


def _missing(found: type, given: dict[str, Any]) -> list[tuple[str, Any]]:
    filled: list[tuple[str, Any]] = []
    inputs = dict(given)
    raw: dict[str, Any] = dict(found.INPUT_TYPES().get("required") or {})  # type: ignore[attr-defined]
    for name, spec in raw.items():
        # a choice that brings inputs of its own shows them only once it is made
        if name not in inputs and str(spec[0]).startswith("COMFY_DYNAMICCOMBO"):
            inputs[name] = node_inputs.options(spec)["options"][0]["key"]
            filled.append((name, inputs[name]))
    for name, spec in _compat.finalized_inputs(found, inputs)["required"].items():
        value = NOTHING if name in inputs else _default(spec)
        if value is not NOTHING:
            filled.append((name, value))
    return filled


def _default(spec: Any) -> Any:
    """The default of an input as its widget would show it, or `NOTHING`."""
    options = node_inputs.options(spec)
    if "default" in options:
        return copy.deepcopy(options["default"])
    choices = node_inputs.choices(spec)
    return choices[0] if choices else NOTHING


async def validate(prompt: Prompt, prompt_id: str) -> list[str]:
    """Check a filled-in graph; returns the ids of its outputs, in the graph's order.

    Changes *prompt* as ComfyUI does (``"5"`` becomes 5 where a number is wanted). Raises
    `InvalidParameters`, whose pointers begin with ``/graph``.
    """
    checks.structure(prompt, Catalogue())
    checks.refuse(_sampler_names(prompt))
    answer = _compat.validate_prompt(prompt_id, prompt)
    ok, error, outputs, node_errors = await answer if inspect.isawaitable(answer) else answer
    found = []
    for node_id, report in (node_errors or {}).items():
        for item in report["errors"]:
            found.append(_field_error(prompt, node_id, item))
    if not ok and not found:
        text = without_paths(
            str(error.get("message", error)) if isinstance(error, dict) else str(error)
        )
        found.append(FieldError("/graph", "refused", text))
    checks.refuse(found)
    checks.refuse(old_formats.refusals(prompt))
    wanted = set(outputs)
    return [node_id for node_id in prompt if node_id in wanted]


def _field_error(prompt: Prompt, node_id: str, item: Mapping[str, Any]) -> FieldError:
    name = (item.get("extra_info") or {}).get("input_name")
    where = checks.pointer(node_id, "inputs", name) if name else checks.pointer(node_id)
    start = checks.label(prompt, node_id) + (f", input {name}" if name else "")
    details = str(item.get("details") or "")
    told = f"{item['message']} ({details})" if details not in ("", name) else str(item["message"])
    return FieldError(where, str(item["type"]), f"{start}: {without_paths(told)}")


def _sampler_names(prompt: Prompt) -> list[FieldError]:
    """Unknown samplers and schedulers, which some nodes would silently replace."""
    known = {"sampler_name": sampling.samplers(), "scheduler": sampling.schedulers()}
    errors = []
    for node_id, node in prompt.items():
        for name, names in known.items():
            value = node["inputs"].get(name)
            if not isinstance(value, str) or value in names:
                continue
            spec = node_inputs.specification(node, name)
            choices = node_inputs.choices(spec)
            if choices and value not in choices:
                kind = name.removesuffix("_name")
                told = f"{checks.label(prompt, node_id)}, input {name}: "
                told += no_name(kind, value, choices)
                where = checks.pointer(node_id, "inputs", name)
                errors.append(FieldError(where, f"unknown_{kind}", told))
    return errors
