"""Every operation as a ComfyUI node, and nodes under names of their own in front of operations.

Knows: how an operation's declaration becomes a V1 class, and how a call passes through it.
Does not know: any operation. The function runs inside ComfyUI's executor, on the lane.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backend.bricks import (
    _compat,
    assembling,
    checks,
    graph_run,
    input_files,
    node_outputs,
    sockets,
    widgets,
)
from backend.bricks._comfy import module
from backend.bricks.lane import current
from backend.bricks.node_classes import register_node
from backend.bricks.node_values import Values
from backend.bricks.widgets import Slot
from backend.context import Cancelled, Context
from backend.errors import FieldError, InvalidParameters, KinoError, OperationUnavailable
from backend.hookspecs import NodeInput, NodeShape
from backend.media.finite import Unfit, blamed
from backend.operations import Operation, Output, Unavailable

_log = logging.getLogger(__name__)
Returned = tuple[Any, ...] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """What one node class needs to call its operation."""

    operation: Operation[..., Any]
    slots: list[Slot]
    outputs: tuple[tuple[str, Output], ...]
    unavailable: Unavailable | None
    socket_types: Mapping[str, str] = field(default_factory=dict)
    """Outputs, by the name they show, whose value goes out as it is on a socket of this type."""
    gather: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    """The shape's own way from inputs by name to parameters."""
    saves: bool = False
    """Whether the files that it gives are results of the graph."""

    def __call__(self, given: Mapping[str, Any]) -> Returned:
        """Run the operation with what the node's slots hold; returns what its outputs give, and
        what is shown of files that it saved.

        Raises ComfyUI's own interruption, and every `KinoError`, remembered for the graph's caller.
        """
        try:
            return self._run(given)
        except Cancelled as error:
            raise module("comfy.model_management").InterruptProcessingException from error
        except KinoError as error:
            run, node = graph_run.find(), _compat.executing_node()
            if run is not None and node is not None:
                at_input = isinstance(error, InvalidParameters)
                error.errors = tuple(
                    self._in_graph(each, node, given if at_input else None) for each in error.errors
                )
                run.errors[node] = error
            raise

    def _in_graph(
        self, error: FieldError, node: str, given: Mapping[str, Any] | None
    ) -> FieldError:
        """*error*, pointing at the input of the graph's node instead of the parameter; without
        what was *given*, at the node itself."""
        name = assembling.input_at(self.slots, given, error.pointer) if given is not None else None
        where = checks.pointer(node, *(("inputs", name) if name else ()))
        return FieldError(where, error.rule, error.message)

    def _run(self, given: Mapping[str, Any]) -> Returned:
        operation = self.operation
        if self.unavailable is not None:
            raise OperationUnavailable(
                f"{operation.name}: {self.unavailable.reason}", remedy=self.unavailable.remedy
            )
        if operation.is_async:
            raise OperationUnavailable(
                f"{operation.name} runs beside ComfyUI and cannot run inside a graph",
                remedy="Submit it as a job of its own",
            )
        values = Values()
        if self.gather is None:
            params = assembling.assemble(self.slots, given, values.references)
        else:
            params = self.gather(assembling.by_name(self.slots, given, values.references))
        arguments = operation.bind(params, values.resolve)
        if "ctx" in inspect.signature(operation.function).parameters:
            arguments["ctx"] = context()
        returned = operation.values(operation(**arguments))
        shown = node_outputs.save(returned.values()) if self.saves else {}
        try:
            outputs = tuple(
                self._given(name, output, node_outputs.pick(returned, output.name))
                for name, output in self.outputs
            )
        except Unfit as error:  # what was only passed on is read here for the first time
            raise blamed(error, arguments) from None
        return {"ui": shown, "result": outputs} if shown else outputs

    def _given(self, shown: str, output: Output, value: Any) -> Any:
        if shown in self.socket_types:
            return node_outputs.give_raw(output, value)
        return node_outputs.give(output, value)


def context() -> Context:
    """A context for code that runs inside a node: ComfyUI's progress bar, the job's log."""
    bar = module("comfy.utils").ProgressBar(1)
    interrupted = module("comfy.model_management").processing_interrupted
    running = current().running()

    def progress(done: float, total: float, node: str | None) -> None:
        bar.update_absolute(done, total)

    if running is None:
        return Context(on_progress=progress, is_cancelled=interrupted)
    return Context(
        on_progress=progress,
        on_preview=running.ctx.on_preview,
        on_log=running.ctx.on_log,
        is_cancelled=lambda: interrupted() or running.cancelled(),
    )


def _build(call: Call, name: str, category: str) -> type:
    """A V1 node class around *call*."""

    def run(self: object, **given: Any) -> Returned:
        return call(given)

    operation = call.operation
    description = operation.description
    if call.unavailable is not None:
        description = f"Not available: {call.unavailable.reason}. {call.unavailable.remedy}"
    # NaN equals nothing, itself included: what is not pure is never taken from ComfyUI's cache,
    # nor is a file or a video, which lies in the folder of the run that wrote it and goes with it,
    # nor what a model file gave, which may be another one under the same name by now
    lasting = (
        operation.pure
        and not (operation.needs.comfyui and operation.names_models)
        and not any(output.kind in ("file", "video") for output in operation.outputs)
    )
    changed: dict[str, Any] = {}
    named = [slot.name for slot in call.slots if slot.kind is not None and slot.type == "STRING"]
    if not lasting:
        changed["IS_CHANGED"] = classmethod(lambda cls, **_: float("nan"))
    elif named:
        changed["IS_CHANGED"] = classmethod(
            lambda cls, **given: [input_files.stamp(str(given.get(name, ""))) for name in named]
        )
    return type(
        name,
        (),
        {
            **changed,
            "__doc__": operation.summary,
            "INPUT_TYPES": classmethod(lambda cls: widgets.input_types(call.slots)),
            "RETURN_TYPES": tuple(
                call.socket_types.get(shown) or node_outputs.socket_type(output)
                for shown, output in call.outputs
            ),
            "RETURN_NAMES": tuple(shown for shown, _ in call.outputs),
            "OUTPUT_IS_LIST": tuple(
                output.arity != "one" and shown not in call.socket_types
                for shown, output in call.outputs
            ),
            "FUNCTION": "run",
            "OUTPUT_NODE": call.saves,
            "CATEGORY": category,
            "DESCRIPTION": description,
            "run": run,
        },
    )


def _shape_slot(item: NodeInput, media: Mapping[str, str]) -> Slot:
    """The slot of a shape's input; *media* are the kinds of the operation's media parameters."""
    path = tuple(int(part) if part.isdigit() else part for part in item.parameter.split("."))
    kinds = {socket: kind for kind, socket in sockets.TYPES.items()}
    kinds[sockets.NUMBERS] = "automation"
    return Slot(
        name=item.name,
        path=path,
        type=list(item.type) if isinstance(item.type, tuple) else _widget_type(item.type),
        options=dict(item.options),
        required=not item.optional,
        kind=media.get(item.parameter)
        if item.type == "STRING"
        else (kinds.get(item.type) if isinstance(item.type, str) else None),
        is_json=item.type == "JSON",
        convert=item.convert,
        listed=item.listed,
    )


def _widget_type(name: str) -> str:
    return "STRING" if name == "JSON" else name


class NodeClass(NamedTuple):
    """One node class: its id, the name that the editor shows, the class."""

    node_id: str
    display_name: str
    node: type


def classes(
    operations: Mapping[str, Operation[..., Any]],
    shapes: Iterable[NodeShape] = (),
    unavailable: Mapping[str, Unavailable] | None = None,
) -> Iterator[NodeClass]:
    """A node for every operation (``KinoMixerDuck``), and one for every shape.

    An operation that is *unavailable* keeps its node, which says why when it runs. Needs no
    ComfyUI before a node runs.
    """
    why = unavailable or {}
    for name, operation in operations.items():
        outputs = tuple((output.name, output) for output in operation.outputs)
        slots = widgets.slots_of(operation.json_schema())
        batches = node_outputs.batches(operation.outputs)
        call = Call(operation, slots, outputs, why.get(name), batches)
        title = operation.node_id.removeprefix("Kino")
        node = _build(call, title, f"Kino/{name.partition('.')[0]}")
        yield NodeClass(operation.node_id, f"Kino {name}", node)
    for shape in shapes:
        behind = operations.get(shape.operation)
        if behind is None:
            _log.warning("the node %s wants the unknown %s", shape.node_id, shape.operation)
            continue
        by_name = {output.name: output for output in behind.outputs}
        outputs = tuple(
            (shown, node_outputs.output_of(by_name, name)) for shown, name in shape.outputs
        )
        media = {given.name: given.kind for given in behind.inputs}
        call = Call(
            behind,
            [_shape_slot(item, media) for item in shape.inputs],
            outputs,
            why.get(shape.operation),
            shape.output_types,
            shape.gather,
            shape.saves,
        )
        node = _build(call, shape.node_id, shape.category)
        yield NodeClass(shape.node_id, shape.display_name, node)


def register_operations(
    operations: Mapping[str, Operation[..., Any]],
    shapes: Iterable[NodeShape] = (),
    unavailable: Mapping[str, Unavailable] | None = None,
) -> list[str]:
    """Make every operation a node, and every shape one; returns their ids.

    One node that cannot be made is logged and left out; the others are not affected.
    """
    registered = []
    for each in classes(operations, shapes, unavailable):
        try:
            register_node(each.node_id, each.node, each.display_name)
        except ValueError as error:
            _log.warning("the node %s was left out: %s", each.node_id, error)
        else:
            registered.append(each.node_id)
    return registered
