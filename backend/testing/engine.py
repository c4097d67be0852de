"""A fake engine: runs small graphs without torch and without ComfyUI, by the same contract.

Knows: the interface of `bricks.engine`, and how ComfyUI words what it refuses.
Does not know: models. A worker with ``engine = "fake"`` starts in a second, so that it can be
killed hundreds of times in a test.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from backend.bricks import checks, engine, lane
from backend.bricks.engine import Graph, GraphResult, Produced
from backend.bricks.progress import GraphProgress
from backend.bricks.session import Info
from backend.bricks.wording import without_paths
from backend.context import Cancelled, Context
from backend.errors import FieldError, KinoError, OperationFailed
from backend.media.reference import MediaValue
from backend.testing.fake_nodes import NODES, FakeNode, Step

Prompt = dict[str, dict[str, Any]]
_CASTS: Final = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


def install() -> Info:
    """Make the fake engine the one of this process."""
    engine.install(FakeEngine(lane.current()))
    return Info(
        version="fake",
        commit=None,
        tree_sha1="",
        pinned=False,
        cpu=True,
        devices=("cpu",),
        samplers=(),
        schedulers=(),
        nodes=len(NODES),
        failed_nodes=(),
        dropped_flags=(),
        boot_s=0.0,
    )


class FakeEngine:
    """Runs graphs of `fake_nodes.NODES`."""

    def __init__(self, own_lane: lane.Lane) -> None:
        self._lane = own_lane

    def run(
        self, graph: Graph, *, assets: Mapping[str, MediaValue], ctx: Context, folder: Path
    ) -> GraphResult:
        """See `engine.Engine.run`."""
        running = self._lane.running()
        if running is None:
            return self._lane.run(
                lambda: self.run(graph, assets=assets, ctx=ctx, folder=folder), "graph", ctx
            )
        prompt, notes = _fill_defaults(graph)
        checks.structure(prompt, _Catalogue())
        checks.refuse(list(_wrong_values(prompt)))
        progress = GraphProgress(running, prompt)
        own = Path(tempfile.mkdtemp(prefix="graph-", dir=folder))
        given: dict[str, list[Produced]] = {}
        values: dict[str, tuple[Any, ...]] = {}
        for node_id in _order(prompt):
            if running.cancelled():
                raise Cancelled
            progress.start(node_id)
            step = Step(
                node_id=node_id,
                inputs=_resolved(prompt[node_id]["inputs"], values),
                folder=own / node_id,
                prompt=prompt,
                assets=assets,
                progress=progress.step,
                cancelled=running.cancelled,
                give=given.setdefault(node_id, []).append,
            )
            values[node_id] = _run(step, prompt)
        progress.finish()
        produced = tuple(item for node_id in prompt for item in given.get(node_id, ()))
        return GraphResult(produced, tuple(notes))

    def definitions(self) -> Mapping[str, Any]:
        """See `engine.Engine.definitions`."""
        return {name: _definition(name, node) for name, node in NODES.items()}

    def classes(self) -> Collection[str]:
        """See `engine.Engine.classes`."""
        return NODES.keys()


def _definition(name: str, node: FakeNode) -> dict[str, Any]:
    return {
        "name": name,
        "display_name": name,
        "input": {"required": dict(node.inputs), "optional": dict(node.optional)},
        "output": list(node.outputs),
        "output_name": [kind.lower() for kind in node.outputs],
        "output_node": node.is_output,
    }


class _Catalogue:
    def names(self) -> Collection[str]:
        return NODES.keys()

    def outputs(self, class_type: str) -> int:
        return len(NODES[class_type].outputs)

    def is_output(self, class_type: str) -> bool:
        return NODES[class_type].is_output


def _run(step: Step, prompt: Prompt) -> tuple[Any, ...]:
    class_type = prompt[step.node_id]["class_type"]
    where = {"node_id": step.node_id, "node_type": class_type}
    try:
        return NODES[class_type].run(step)
    except KinoError as error:
        error.extra.update(where)
        raise
    except Exception as error:
        message = without_paths(str(error)) or type(error).__name__
        raise OperationFailed(
            f"{checks.label(prompt, step.node_id)} failed: {message}",
            extra={**where, "exception": type(error).__name__},
        ) from error


def _resolved(inputs: Mapping[str, Any], values: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    return {
        name: values[value[0]][value[1]] if checks.is_link(value) else value
        for name, value in inputs.items()
    }


def _order(prompt: Prompt) -> list[str]:
    """The nodes that outputs depend on, sources first. The graph has no cycle."""
    ordered: dict[str, None] = {}
    for start, node in prompt.items():
        if not NODES[node["class_type"]].is_output:
            continue
        stack = [(start, checks.links(prompt, start))]
        while stack:
            link = next(stack[-1][1], None)
            if link is None:
                ordered.setdefault(stack.pop()[0])
            elif link[1] not in ordered:
                stack.append((link[1], checks.links(prompt, link[1])))
    return list(ordered)


def _fill_defaults(graph: Graph) -> tuple[Prompt, list[str]]:
    prompt: Prompt = copy.deepcopy(
        {node_id: {"inputs": {}, **node} for node_id, node in graph.items()}
    )
    notes = []
    for node_id, node in prompt.items():
        known = NODES.get(node["class_type"])
        for name, (_, options) in (known.inputs if known else {}).items():
            if name not in node["inputs"] and "default" in options:
                value = node["inputs"][name] = options["default"]
                start = checks.label(prompt, node_id)
                notes.append(f"{start}: {name} was not given; {value!r} is used")
    return prompt, notes


def _wrong_values(prompt: Prompt) -> Iterator[FieldError]:
    """What ComfyUI's validation would refuse, in its words; casts values as it does."""
    for node_id in _order(prompt):
        node = prompt[node_id]
        known: FakeNode = NODES[node["class_type"]]
        refusal = partial(_refusal, prompt, node_id)
        for name, (kind, options) in {**known.inputs, **known.optional}.items():
            if name not in node["inputs"]:
                if name in known.inputs:
                    yield refusal(name, "required_input_missing", "Required input is missing")
                continue
            value = node["inputs"][name]
            if checks.is_link(value):
                source = NODES[prompt[value[0]]["class_type"]].outputs[value[1]]
                if "*" not in (kind, source) and source != kind:
                    told = f"Return type mismatch between linked nodes ({source}, {kind})"
                    yield refusal(name, "return_type_mismatch", told)
                continue
            try:
                node["inputs"][name] = value = _CASTS.get(kind, _no_cast)(value)
            except (TypeError, ValueError):
                told = f"Failed to convert an input value to a {kind} value"
                yield refusal(name, "invalid_input_type", told)
                continue
            if "min" in options and value < options["min"]:
                told = f"Value {value} smaller than min of {options['min']}"
                yield refusal(name, "value_smaller_than_min", told)
            elif "max" in options and value > options["max"]:
                told = f"Value {value} bigger than max of {options['max']}"
                yield refusal(name, "value_bigger_than_max", told)


def _no_cast(value: Any) -> Any:
    raise TypeError("this input takes a link")


def _refusal(prompt: Prompt, node_id: str, name: str, rule: str, told: str) -> FieldError:
    start = f"{checks.label(prompt, node_id)}, input {name}"
    return FieldError(checks.pointer(node_id, "inputs", name), rule, f"{start}: {told}")
