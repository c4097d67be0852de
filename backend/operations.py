"""The operation: one declaration from which every door is derived.

Knows: how to read an annotated function into parameters, outputs and needs.
Does not know: HTTP, jobs, nodes, the command line; they all read an `Operation`.

::

    @operation("mixer.duck", needs=Needs(memory_gib=0.1))
    def duck(music: Audio, voice: Audio,
             threshold_db: Annotated[Decibels, Ge(-60), Le(0)] = -24.0,
             *, ctx: Context = LOCAL) -> Audio:
        '''Lower the music while the voice speaks.'''
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import (
    Any,
    Final,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from backend.context import LOCAL, Cancelled, Context
from backend.errors import FieldError, InvalidParameters, MalformedRequest, json_pointer
from backend.media.dependence import DEPENDENCE, MODEL_KEYWORD, Dependence
from backend.media.finite import Unfit, blamed
from backend.media.reference import RESOLVER, MediaValue, Resolver

__all__ = [
    "LOCAL",
    "Cancelled",
    "Checked",
    "Context",
    "Input",
    "Model",
    "Needs",
    "Operation",
    "Output",
    "Unavailable",
    "operation",
]

P = ParamSpec("P")
R = TypeVar("R")

NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
RunsOn = Literal["loop", "cpu", "comfy"]


class Model(BaseModel):
    """Base of nested parameter models: frozen, strict, no unknown fields, no NaN."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True
    )


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be there for an operation to run.

    ``runs_on``: ``cpu`` (the worker without torch), ``comfy`` (the worker with torch and ComfyUI)
    or ``loop`` (``async def``, on the API's event loop). ``comfyui`` says that ComfyUI itself must
    have been imported. ``modules`` are import names, ``models`` are ids given by
    ``register_models``, all of which must be there; ``model_kind`` is a kind of models of which
    one must be, whichever that is. ``memory_gib`` is a fair guess of the peak.
    """

    runs_on: RunsOn = "cpu"
    comfyui: bool = False
    device: Literal["any", "gpu"] = "any"
    memory_gib: float = 0.25
    modules: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    model_kind: str | None = None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The one shape of absence: why something cannot be used now, and what would help."""

    reason: str
    remedy: str

    def as_json(self) -> dict[str, str]:
        return {"reason": self.reason, "remedy": self.remedy}


Arity = Literal["one", "list", "dict"]


@dataclass(frozen=True, slots=True)
class Input:
    """A top-level parameter that takes media: name, kind (``audio`` …), arity, may it be absent."""

    name: str
    kind: str
    arity: Arity
    optional: bool


@dataclass(frozen=True, slots=True)
class Output:
    """One output: its name, its media kind or ``value``, and is it one, a list or a dict."""

    name: str
    kind: str
    arity: Arity
    annotation: Any


@dataclass(frozen=True, slots=True)
class Checked:
    """Parameters that passed: canonical JSON-ready ``params`` with every default filled in, and
    the content references that they name, sorted and without doubles.

    ``models`` are the model files that they name, as (kind, name) in the order of declaration;
    ``varies`` says that equal parameters need not give an equal result.
    """

    params: dict[str, Any]
    inputs: tuple[str, ...]
    models: tuple[tuple[str, str], ...] = ()
    varies: bool = False


@dataclass(frozen=True, eq=False)
class Operation(Generic[P, R]):
    """A named function with everything that the doors need to know of it."""

    name: str
    function: Callable[P, R]
    needs: Needs = field(default_factory=Needs)
    version: int = 1
    pure: bool = True
    timeout_s: float = 600.0

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function. What holds NaN or infinity is `InvalidParameters` (rule ``finite``)
        at the parameter that brought it, and `OperationFailed` where it was made here."""
        try:
            return self.function(*args, **kwargs)
        except Unfit as error:
            found = blamed(error, inspect.signature(self.function).bind(*args, **kwargs).arguments)
            if found is not error:
                raise found from error
            alike = [output.name for output in self.outputs if output.kind == error.kind]
            if not error.errors[0].pointer and len(alike) == 1:
                error.point_at(json_pointer(alike[0]))
            raise

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring, on one line."""
        return " ".join((inspect.getdoc(self.function) or "").split("\n\n")[0].split())

    @property
    def description(self) -> str:
        return inspect.getdoc(self.function) or ""

    @property
    def slug(self) -> str:
        """The name with underscores for dots, as MCP tools and OpenAPI's operationId want it."""
        return self.name.replace(".", "_")

    @property
    def node_id(self) -> str:
        """Class name of the derived ComfyUI node: ``mixer.duck`` becomes ``KinoMixerDuck``."""
        return "Kino" + "".join(part.capitalize() for part in re.split(r"[._]", self.name))

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function, include_extras=True)

    @cached_property
    def params(self) -> type[BaseModel]:
        """The parameter model (``MixerDuckParams``), strict, with the function's defaults."""
        fields: dict[str, Any] = {}
        for parameter in inspect.signature(self.function).parameters.values():
            if parameter.name == "ctx":
                continue
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (self._hints[parameter.name], default)
        title = self.node_id.removeprefix("Kino") + "Params"
        return create_model(title, __base__=Model, __doc__=self.summary, **fields)

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """Top-level parameters that take media, in the order of the declaration."""
        found = []
        for name, hint in self._hints.items():
            if name in ("ctx", "return"):
                continue
            kind, arity, optional = _media_of(hint)
            if kind is not None:
                found.append(Input(name, kind, arity, optional))
        return tuple(found)

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """What comes back: the fields of a ``NamedTuple``, or one output called by its kind."""
        hint = self._hints["return"]
        if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
            pairs = list(get_type_hints(hint, include_extras=True).items())
        else:
            kind = _media_of(hint)[0]
            pairs = [(kind or "result", hint)]
        outputs = []
        for name, annotation in pairs:
            kind, arity, _ = _media_of(annotation)
            outputs.append(Output(name, kind or "value", arity if kind else "one", annotation))
        return tuple(outputs)

    @cached_property
    def names_models(self) -> bool:
        """Whether any parameter, nested ones included, names a model file."""
        return f'"{MODEL_KEYWORD}"' in json.dumps(self.json_schema())

    def values(self, returned: Any) -> dict[str, Any]:
        """Name what the function returned: ``{output name: value}``."""
        if len(self.outputs) == 1 and not hasattr(returned, "_fields"):
            return {self.outputs[0].name: returned}
        return {output.name: getattr(returned, output.name) for output in self.outputs}

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of the parameters, with ``unit`` and ``x-kino-media`` keywords."""
        schema: dict[str, Any] = self.params.model_json_schema()
        return schema

    def check(self, body: bytes | Mapping[str, Any], resolver: Resolver) -> Checked:
        """Check JSON parameters at a door, where media stay references.

        *resolver* returns the canonical content reference. Raises `MalformedRequest` if the bytes
        are not one JSON object, `InvalidParameters` with a JSON pointer for each broken rule.
        """
        inputs: set[str] = set()

        def remember(reference: str, kind: str) -> object:
            canonical = resolver(reference, kind)
            inputs.add(str(canonical))
            return canonical

        depends = Dependence()
        model = self._validate(_raw(body), remember, depends)
        params = model.model_dump(mode="json")
        varies = not self.pure or depends.varies or _draws_a_seed(params)
        models = tuple(dict.fromkeys(depends.models))
        return Checked(params, tuple(sorted(inputs)), models, varies)

    def bind(self, params: Mapping[str, Any], resolver: Resolver) -> dict[str, Any]:
        """Turn recorded parameters into keyword arguments: *resolver* opens the media values."""
        model = self._validate(_raw(params), resolver)
        return {name: getattr(model, name) for name in type(model).model_fields}

    def _validate(
        self, raw: bytes, resolver: Resolver, depends: Dependence | None = None
    ) -> BaseModel:
        context = {RESOLVER: resolver, DEPENDENCE: depends}
        try:
            return self.params.model_validate_json(raw, context=context)
        except ValidationError as error:
            raise invalid(error, f"The parameters of {self.name} break a rule") from error


def operation(
    name: str,
    *,
    needs: Needs | None = None,
    version: int = 1,
    pure: bool = True,
    timeout_s: float = 600.0,
) -> Callable[[Callable[P, R]], Operation[P, R]]:
    """Declare an operation.

    *version* is raised when equal inputs give a different result; *pure* says that the result
    depends on nothing but the parameters and the model files that they name (marked by
    ``ModelIn``), so that it may be given again; a ``seed`` of None is never equal. Raises
    ``ValueError`` for a name that is not ``family.verb`` in lower case, and ``TypeError`` for
    parameters without annotation.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"an operation is named 'family.verb' in lower case, not {name!r}")

    def declare(function: Callable[P, R]) -> Operation[P, R]:
        asynchronous = inspect.iscoroutinefunction(function)
        wanted = needs or Needs(runs_on="loop" if asynchronous else "cpu")
        if asynchronous != (wanted.runs_on == "loop"):
            raise TypeError(f"{name}: 'async def' and runs_on='loop' go together")
        signature = inspect.signature(function)
        for parameter in signature.parameters.values():
            if parameter.annotation is parameter.empty:
                raise TypeError(f"{name}: parameter {parameter.name!r} has no annotation")
        if signature.return_annotation is signature.empty:
            raise TypeError(f"{name}: the return value has no annotation")
        return Operation(name, function, wanted, version, pure, timeout_s)

    return declare


def invalid(error: ValidationError, detail: str) -> InvalidParameters:
    """Turn pydantic's error into ours: a JSON pointer, a rule and a sentence for each."""
    found = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        found.append(FieldError(json_pointer(*item["loc"]), str(item["type"]), str(item["msg"])))
    first = f": {found[0].pointer or '/'}: {found[0].message}" if found else ""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return InvalidParameters(detail + first + more, errors=found)


def read_json(raw: bytes) -> Any:
    """Read JSON as strictly as a door must: UTF-8, no NaN, no duplicate key, no null character.

    Raises `MalformedRequest`.
    """

    def object_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise MalformedRequest(f"the key {twice!r} stands twice in one object")
        return result

    def no_constant(name: str) -> Any:
        raise MalformedRequest(f"{name} is not a number in JSON")

    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=object_once,
            parse_constant=no_constant,
        )
    except UnicodeDecodeError as error:
        raise MalformedRequest("the body is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise MalformedRequest(f"the body is not JSON: {error.msg} at {error.pos}") from error
    except RecursionError as error:
        raise MalformedRequest("the JSON is nested too deeply") from error
    except ValueError as error:  # Python's own guard against integers of thousands of digits
        raise MalformedRequest("a number has too many digits") from error
    if b"\\u0000" in raw and _has_null(value):
        raise MalformedRequest("a null character is not accepted")
    if b"\\ud" in raw.lower() and not _is_unicode(value):
        raise MalformedRequest("half of a surrogate pair is not a character")
    return value


def _has_null(value: Any) -> bool:
    """Whether a null character stands in any string or key of a JSON value."""
    left = [value]  # without recursion: JSON may be nested deeper than calls
    while left:
        each = left.pop()
        if isinstance(each, str) and "\x00" in each:
            return True
        if isinstance(each, dict):
            left += [*each, *each.values()]
        elif isinstance(each, list):
            left += each
    return False


def _is_unicode(value: Any) -> bool:
    """Whether every string of a JSON value can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _draws_a_seed(params: Mapping[str, Any]) -> bool:
    """Whether a seed is left to chance."""
    return any(
        value is None and (name == "seed" or name.endswith("_seed"))
        for name, value in params.items()
    )


def _raw(body: bytes | Mapping[str, Any]) -> bytes:
    if isinstance(body, bytes):
        read_json(body)
        return body
    try:
        return json.dumps(body, allow_nan=False).encode()
    except ValueError as error:  # 1e400 in a document that was read before is infinity here
        raise MalformedRequest("a number is infinite, or none") from error


def _media_of(hint: Any) -> tuple[str | None, Arity, bool]:
    """The media kind of an annotation, its arity, and whether None is allowed."""
    origin = get_origin(hint)
    if origin is not None and hasattr(hint, "__metadata__"):
        return _media_of(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        kind, arity, _ = _media_of(members[0]) if len(members) == 1 else (None, "one", False)
        return kind, arity, True
    if origin is list:
        return _media_of(get_args(hint)[0])[0], "list", False
    if origin is dict:
        return _media_of(get_args(hint)[1])[0], "dict", False
    if isinstance(hint, type) and issubclass(hint, MediaValue):
        return hint.kind, "one", False
    return None, "one", False
