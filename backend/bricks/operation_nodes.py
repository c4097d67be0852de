"""Every operation as a ComfyUI node, and nodes under names of their own in front of operations.

Knows: how an operation's declaration becomes a V1 class, and how a call passes through it.
Does not know: any operation. The function runs inside ComfyUI's executor, on the lane.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic_core import to_jsonable_python

from backend.bricks import _compat, checks, graph_run, sockets, widgets
from backend.bricks._comfy import module
from backend.bricks.lane import current
from backend.bricks.node_classes import register_node
from backend.bricks.widgets import Slot
from backend.context import Cancelled, Context
from backend.errors import FieldError, InvalidParameters, KinoError, OperationUnavailable
from backend.hookspecs import NodeShape
from backend.media.reference import MediaValue
from backend.operations import Operation, Output, Unavailable

_log = logging.getLogger(__name__)
_VALUES: Final = {float: "FLOAT", int: "INT", str: "STRING", bool: "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class Call:
    """What one node class needs to call its operation."""

    operation: Operation[..., Any]
    slots: list[Slot]
    outputs: tuple[tuple[str, Output], ...]
    unavailable: Unavailable | None

    def __call__(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """Run the operation with what the node's slots hold; returns what its outputs give.

        Raises ComfyUI's own interruption, and every `KinoError`, remembered for the graph's caller.
        """
        try:
            return self._run(given)
        except Cancelled as error:
            raise module("comfy.model_management").InterruptProcessingException from error
        except KinoError as error:
            run, node = graph_run.find(), _compat.executing_node()
            if run is not None and node is not None:
                error.errors = tuple(self._in_graph(each, node, given) for each in error.errors)
                run.errors[node] = error
            raise

    def _in_graph(self, error: FieldError, node: str, given: Mapping[str, Any]) -> FieldError:
        """*error*, pointing at the input of the graph's node instead of the parameter."""
        name = widgets.input_at(self.slots, given, error.pointer)
        where = checks.pointer(node, *(("inputs", name) if name else ()))
        return FieldError(where, error.rule, error.message)

    def _run(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
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
        values = _Values()
        params = widgets.assemble(self.slots, given, values.references)
        arguments = operation.bind(params, values.resolve)
        if "ctx" in inspect.signature(operation.function).parameters:
            arguments["ctx"] = context()
        returned = operation.values(operation(**arguments))
        return tuple(_give(output, returned[output.name]) for _, output in self.outputs)


class _Values:
    """The media values of one call, under references made up for it."""

    def __init__(self) -> None:
        self._held: dict[str, MediaValue] = {}

    def references(self, slot: Slot, value: Any) -> list[str]:
        """Hold what a slot brings; raises `InvalidParameters` for a batch where one is wanted."""
        try:
            items = sockets.from_socket(str(slot.kind), value)
        except (TypeError, ValueError) as error:
            raise _refused(slot, "socket", str(error)) from error
        if len(items) != 1 and not slot.many:
            raise _refused(slot, "batch", f"takes one {slot.kind}, not a batch of {len(items)}")
        named = []
        for item in items:
            reference = f"ast_{len(self._held):026d}"
            self._held[reference] = item
            named.append(reference)
        return named

    def resolve(self, reference: str, kind: str) -> object:
        """The `Resolver` of this call: its own values, then those that the graph names."""
        value = self._held.get(reference)
        run = graph_run.find()
        if value is None and run is not None:
            value = run.assets.get(reference)
        if value is None:
            raise ValueError("there is no such asset in this graph")
        if kind not in ("any", value.kind):
            raise ValueError(f"the asset is of kind {value.kind}, not {kind}")
        return value


def _refused(slot: Slot, rule: str, told: str) -> InvalidParameters:
    message = f"{slot.name}: {told}"
    return InvalidParameters(message, errors=[FieldError(f"/{slot.name}", rule, message)])


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


def _give(output: Output, value: Any) -> Any:
    """A returned value as what the node's output slot carries."""
    if output.arity == "list":
        return [_give_one(output, item) for item in value]
    if output.arity == "dict":
        return [_give_one(output, item) for item in value.values()]
    return _give_one(output, value)


def _give_one(output: Output, value: Any) -> Any:
    if value is None:
        return module("comfy_execution.graph_utils").ExecutionBlocker(None)
    if isinstance(value, MediaValue):
        return sockets.to_socket(value)
    return value if _value_type(output) != "JSON" else json.dumps(to_jsonable_python(value))


def _value_type(output: Output) -> str:
    hint = output.annotation
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return _VALUES.get(hint, "JSON")


def _socket_type(output: Output) -> str:
    if output.kind != "value":
        return sockets.TYPES[output.kind]
    found = _value_type(output)
    return "STRING" if found == "JSON" else found


def _build(call: Call, name: str, category: str) -> type:
    """A V1 node class around *call*."""

    def run(self: object, **given: Any) -> tuple[Any, ...]:
        return call(given)

    operation = call.operation
    description = operation.description
    if call.unavailable is not None:
        description = f"Not available: {call.unavailable.reason}. {call.unavailable.remedy}"
    # NaN equals nothing, itself included: what is not pure is never taken from ComfyUI's cache,
    # nor is a file, which lies in the folder of the run that wrote it and goes with it
    lasting = operation.pure and all(output.kind != "file" for _, output in call.outputs)
    changed = {} if lasting else {"IS_CHANGED": classmethod(lambda cls, **_: float("nan"))}
    return type(
        name,
        (),
        {
            **changed,
            "__doc__": operation.summary,
            "INPUT_TYPES": classmethod(lambda cls: widgets.input_types(call.slots)),
            "RETURN_TYPES": tuple(_socket_type(output) for _, output in call.outputs),
            "RETURN_NAMES": tuple(shown for shown, _ in call.outputs),
            "OUTPUT_IS_LIST": tuple(output.arity != "one" for _, output in call.outputs),
            "FUNCTION": "run",
            "CATEGORY": category,
            "DESCRIPTION": description,
            "run": run,
        },
    )


def _shape_slot(item: Any) -> Slot:
    path = tuple(int(part) if part.isdigit() else part for part in item.parameter.split("."))
    kinds = {socket: kind for kind, socket in sockets.TYPES.items()}
    return Slot(
        name=item.name,
        path=path,
        type=list(item.type) if isinstance(item.type, tuple) else item.type,
        options=dict(item.options),
        required=not item.optional,
        kind=kinds.get(item.type) if isinstance(item.type, str) else None,
        convert=item.convert,
    )


def register_operations(
    operations: Mapping[str, Operation[..., Any]],
    shapes: Iterable[NodeShape] = (),
    unavailable: Mapping[str, Unavailable] | None = None,
) -> list[str]:
    """Make every operation a node (``KinoMixerDuck``), and every shape one; returns their ids.

    An operation that is *unavailable* keeps its node, which says why when it runs. One node that
    cannot be made is logged and left out; the others are not affected.
    """
    why = unavailable or {}
    registered = []
    for name, operation in operations.items():
        outputs = tuple((output.name, output) for output in operation.outputs)
        slots = widgets.slots_of(operation.json_schema())
        call = Call(operation, slots, outputs, why.get(name))
        title = operation.node_id.removeprefix("Kino")
        registered.append(
            _register(call, operation.node_id, f"Kino {name}", _category(name), title)
        )
    for shape in shapes:
        operation_ = operations.get(shape.operation)
        if operation_ is None:
            _log.warning("the node %s wants the unknown %s", shape.node_id, shape.operation)
            continue
        by_name = {output.name: output for output in operation_.outputs}
        outputs = tuple((shown, by_name[name]) for shown, name in shape.outputs)
        slots = [_shape_slot(item) for item in shape.inputs]
        call = Call(operation_, slots, outputs, why.get(shape.operation))
        registered.append(
            _register(call, shape.node_id, shape.display_name, shape.category, shape.node_id)
        )
    return [name for name in registered if name is not None]


def _category(operation_name: str) -> str:
    return f"Kino/{operation_name.partition('.')[0]}"


def _register(call: Call, node_id: str, display: str, category: str, title: str) -> str | None:
    try:
        register_node(node_id, _build(call, title, category), display)
    except ValueError as error:
        _log.warning("the node %s was left out: %s", node_id, error)
        return None
    return node_id
