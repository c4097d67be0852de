"""A stored workflow as an operation: its parameters typed, its values put into the graph.

Knows: how the description of a parameter becomes an annotation, and where its value goes.
Does not know: where templates are kept, and how parameters were found.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal, get_type_hints

from annotated_types import Ge, Le
from pydantic import Field

from backend.errors import FieldError, InvalidParameters, OperationUnavailable, json_pointer
from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.file import File
from backend.media.image import Image, Mask
from backend.media.midi import Midi
from backend.media.reference import MediaValue, Resolver
from backend.media.video import Video
from backend.operations import Checked, Operation

FAMILY: Final = "workflow."
RUN: Final = "workflows.run"
"""The operation that runs graphs."""

Graph = dict[str, dict[str, Any]]


class AnyAsset(MediaValue):
    """An asset of whatever kind."""

    __slots__ = ()
    kind = "any"


MEDIA: Final[dict[str, type[MediaValue]]] = {
    each.kind: each for each in (Audio, Image, Mask, Midi, Automation, File, Video, AnyAsset)
}
_TYPES: Final[dict[str, type]] = {
    "integer": int,
    "number": float,
    "boolean": bool,
    "string": str,
}


@dataclass(frozen=True, slots=True)
class Template:
    """One version of a stored workflow. ``created`` is in unix seconds; ``shipped`` is one that
    comes with Kino, all others are somebody's own; ``about`` is what its document says of it."""

    name: str
    version: int
    format: str
    graph: Graph
    parameters: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    created: float
    shipped: bool = False
    about: str = ""

    def filled(self, values: Mapping[str, Any]) -> Graph:
        """The graph with a value for each parameter."""
        graph = copy.deepcopy(self.graph)
        for parameter in self.parameters:
            for place in parameter["places"]:
                graph[place["node"]]["inputs"][place["input"]] = values[parameter["name"]]
        return graph

    def in_own_words(self, errors: tuple[FieldError, ...]) -> list[FieldError]:
        """Errors in the graph, told of the parameters that brought the values."""
        names = {
            json_pointer("graph", place["node"], "inputs", place["input"]): parameter["name"]
            for parameter in self.parameters
            for place in parameter["places"]
        }
        return [
            FieldError(f"/{names[each.pointer]}", each.rule, each.message)
            if each.pointer in names
            else each
            for each in errors
        ]


@dataclass(frozen=True, eq=False, kw_only=True)
class WorkflowOperation(Operation[..., Any]):
    """The operation of a template; *runs* is the one that runs its graph."""

    template: Template
    runs: Operation[..., Any]

    def check(self, body: bytes | Mapping[str, Any], resolver: Resolver) -> Checked:
        """See `Operation.check`. What the graph itself names and depends on counts as well."""
        checked = super().check(body, resolver)
        graph = self.graph(checked.params, resolver)
        inputs = tuple(sorted({*checked.inputs, *graph.inputs}))
        return replace(graph, params=checked.params, inputs=inputs)

    def graph(self, params: Mapping[str, Any], resolver: Resolver) -> Checked:
        """The graph for these parameters, as `RUN` takes it."""
        try:
            return self.runs.check({"graph": self.template.filled(params)}, resolver)
        except InvalidParameters as error:
            told = self.template.in_own_words(error.errors)
            raise InvalidParameters(error.detail, errors=told) from error


def operation_of(template: Template, runs: Operation[..., Any]) -> WorkflowOperation:
    """The operation that a template is."""
    return WorkflowOperation(
        name=FAMILY + template.name,
        function=_function(template, runs),
        needs=runs.needs,
        version=template.version,
        pure=runs.pure,
        timeout_s=runs.timeout_s,
        template=template,
        runs=runs,
    )


def _function(template: Template, runs: Operation[..., Any]) -> Callable[..., Any]:
    """What has the template's signature. It is never called: a worker runs the graph."""

    def run(**_values: Any) -> Any:
        raise OperationUnavailable(
            "a stored workflow is run by the service", remedy=f"Call {RUN} with the graph."
        )

    hints = {each["name"]: _annotation(each) for each in template.parameters}
    returned = get_type_hints(runs.function, include_extras=True)["return"]
    run.__doc__ = (
        f"{template.about or f'Run the stored workflow {template.name!r}.'}\n\n"
        f"This is version {template.version}; every parameter left out is as it was stored."
    )
    run.__annotations__ = {**hints, "return": returned}
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                each["name"],
                inspect.Parameter.KEYWORD_ONLY,
                default=_default(each),
                annotation=hints[each["name"]],
            )
            for each in template.parameters
        ],
        return_annotation=returned,
    )
    return run


def _default(parameter: Mapping[str, Any]) -> Any:
    return parameter.get("default", inspect.Parameter.empty)


def _annotation(parameter: Mapping[str, Any]) -> Any:
    """The type of a parameter with its range and words, as a plugin would declare it."""
    kind = parameter["type"]
    if kind == "asset":
        # a reference that the template names may be gone by now: it is looked for like any other
        told: Any = Field(description=parameter["description"], validate_default=True)
        media: Any = MEDIA[parameter["media"]]
        return Annotated[media, told]
    if kind == "choice":
        literal: Any = Literal
        chosen = literal[tuple(parameter["choices"])]
        return Annotated[chosen, Field(description=parameter["description"])]
    more: dict[str, Any] = {}
    if parameter.get("multiline"):
        more["x-kino-multiline"] = True
    told = Field(
        description=parameter["description"],
        examples=parameter.get("examples"),
        json_schema_extra=more or None,
    )
    limits: list[Any] = []
    if "minimum" in parameter:
        limits.append(Ge(parameter["minimum"]))
    if "maximum" in parameter:
        limits.append(Le(parameter["maximum"]))
    scalar: Any = _TYPES[kind]
    return Annotated[scalar, told, *limits]
