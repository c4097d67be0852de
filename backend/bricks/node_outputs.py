"""What a node gives: outputs by their names, as values of sockets, and as results of the graph.

Knows: how a returned value becomes what a slot carries.
Does not know: the operation that returned it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic_core import to_jsonable_python

from backend.bricks import _compat, graph_run, saved_files, sockets
from backend.bricks._comfy import module
from backend.bricks.engine import Produced
from backend.errors import OperationFailed
from backend.media.file import File
from backend.media.reference import MediaValue
from backend.operations import Output

_VALUES: Final = {float: "FLOAT", int: "INT", str: "STRING", bool: "BOOLEAN"}


def output_of(by_name: Mapping[str, Output], name: str) -> Output:
    """The output of this name; ``stems.drums`` is one item of the output ``stems``, and
    ``file.path`` a text that is known of the output ``file``."""
    head, _, key = name.partition(".")
    if not key:
        return by_name[name]
    if by_name[head].arity == "one":
        return Output(name, "value", "one", str)
    return replace(by_name[head], name=name, arity="one")


def pick(returned: Mapping[str, Any], name: str) -> Any:
    """What an output of this name gives; ``None`` for an item that is not there."""
    head, _, key = name.partition(".")
    value = returned[head]
    if not key:
        return value
    return value.get(key) if isinstance(value, Mapping) else str(getattr(value, key))


def save(values: Iterable[Any]) -> dict[str, Any]:
    """Hand the files among *values* to the graph that runs, as results of this node; what its
    ``ui`` says of them."""
    run, node = graph_run.find(), _compat.executing_node()
    if run is None or node is None:
        return {}
    files = [
        Produced(node, value.kind, value, value.name) for value in values if isinstance(value, File)
    ]
    return saved_files.keep(run, files)


def give(output: Output, value: Any) -> Any:
    """A returned value as what the node's output slot carries."""
    if output.arity == "list":
        return [_give_one(output, item) for item in value]
    if output.arity == "dict":
        return [_give_one(output, item) for item in value.values()]
    return _give_one(output, value)


def give_raw(output: Output, value: Any) -> Any:
    """A value as it is, for a socket type that a shape names; a list of images is one batch.

    Raises `OperationFailed` for images of several sizes.
    """
    if output.kind != "image":
        return value
    if not value:
        return module("comfy_execution.graph_utils").ExecutionBlocker(None)
    try:
        return sockets.images_to_socket(value)
    except ValueError as error:
        raise OperationFailed(f"{output.name}: {error}") from error


def batches(outputs: Iterable[Output]) -> dict[str, str]:
    """The outputs that go out as one batch of pictures, as ComfyUI's own nodes do it: as a list,
    the node behind would run once for each picture."""
    return {each.name: "IMAGE" for each in outputs if (each.kind, each.arity) == ("image", "list")}


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


def socket_type(output: Output) -> str:
    """ComfyUI's type of the output's socket."""
    if output.kind != "value":
        return sockets.OUTPUT_TYPES[output.kind]
    found = _value_type(output)
    return "STRING" if found == "JSON" else found
