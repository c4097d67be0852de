"""One call of an operation: from recorded parameters to what the ledger can keep.

Knows: how references become values, how returned values become files and JSON, and how an
exception becomes a problem. Used by the worker processes and by the loop worker.
Does not know: processes, queues, attempts.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_jsonable_python

from backend.context import Context
from backend.errors import KinoError, OperationFailed, OutOfMemory
from backend.media import codecs
from backend.media.finite import Unfit, find
from backend.media.reference import MediaValue
from backend.operations import Operation
from backend.services import identifiers

LEAF: Final = "$media"
"""Key that marks a stored media value in a result, as `codecs.StoredFile.as_leaf` writes it."""

SMALL: Final = 64 * 2**10
"""A media value of at most so many bytes goes into the result itself, and from there into the
ledger: at this size a file of its own costs more than its bytes do."""

_log = logging.getLogger("kino.operation")


@dataclass(frozen=True, slots=True)
class InputFile:
    """The canonical file behind a reference."""

    path: Path
    kind: str
    media_type: str | None = None
    name: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "kind": self.kind,
            "media_type": self.media_type,
            "name": self.name,
        }


def bind(
    operation: Operation[..., Any],
    params: Mapping[str, Any],
    files: Mapping[str, Mapping[str, Any]],
    context: Context,
) -> dict[str, Any]:
    """Keyword arguments for the operation's function, ``ctx`` included if it takes one; media
    values are opened, not read.

    *files* maps each canonical reference to an `InputFile` as JSON. A reference of kind ``any``
    gives a value of the file's own kind. Raises `InvalidParameters`.
    """

    def open_(reference: str, kind: str) -> MediaValue:
        if reference not in files:
            raise ValueError("the asset is gone")
        file = files[reference]
        wanted = file["kind"] if kind == "any" else kind
        return codecs.opener(
            wanted, Path(file["path"]), media_type=file.get("media_type"), name=file.get("name")
        )

    arguments = operation.bind(params, open_)
    return {**arguments, "ctx": context} if _takes_context(operation) else arguments


@lru_cache(maxsize=1024)
def _takes_context(operation: Operation[..., Any]) -> bool:
    """Whether the function has the parameter ``ctx``."""
    return "ctx" in inspect.signature(operation.function).parameters


def result_of(operation: Operation[..., Any], returned: Any, folder: Path) -> dict[str, Any]:
    """What the function returned, as JSON; media values stand in the result as leaves, the small
    ones with their bytes, the others stored in *folder*, durable. Raises `OperationFailed` for
    what JSON cannot hold."""
    values = operation.values(returned)
    try:
        return {name: _store(value, folder, name) for name, value in values.items()}
    except Unfit as error:
        error.point_at(find(error.value, values) or "")
        raise
    except (PydanticSerializationError, ValueError) as error:
        raise OperationFailed(
            f"{operation.name} returned something that cannot be kept: {error}"
        ) from error


def has_files(result: Any) -> bool:
    """Whether a result names files: leaves that did not bring their bytes."""
    if isinstance(result, dict):
        if LEAF in result:
            return "path" in result[LEAF]
        return any(map(has_files, result.values()))
    return isinstance(result, list) and any(map(has_files, result))


def flat_name(*parts: str | int) -> str:
    """The name of one file among a result's outputs: ``stems`` + ``drums`` = ``stems_drums``."""
    return "_".join(str(part) for part in parts)


def _store(value: Any, folder: Path, name: str) -> Any:
    """One value; lists count from 1, dicts add their key."""
    if isinstance(value, MediaValue):
        return codecs.store(value, folder, _stem(name), small=SMALL).as_leaf()
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [
            _store(item, folder, flat_name(name, number)) for number, item in enumerate(value, 1)
        ]
    if isinstance(value, Mapping):
        if LEAF in value:
            raise ValueError(f"the key {LEAF!r} is reserved")
        return {
            readable(str(key)): _store(item, folder, flat_name(name, key))
            for key, item in value.items()
        }
    return readable(to_jsonable_python(value, inf_nan_mode="null"))


def readable(value: Any) -> Any:
    """A JSON value whose strings can be written as UTF-8: a file's name, say, may hold bytes that
    are no characters, and nobody could store or read them."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {readable(key): readable(item) for key, item in value.items()}
    return [readable(item) for item in value] if isinstance(value, list) else value


def _stem(name: str) -> str:
    """A file name without anything that a path could be made of."""
    kept = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
    return kept[:80] or "output"


def problem_of(error: BaseException) -> dict[str, Any]:
    """The problem that a run's exception becomes. What is not ours is logged with its traceback
    under an incident id; callers see only the id."""
    return as_kino_error(error).as_problem()


def as_kino_error(error: BaseException) -> KinoError:
    """Our error for any exception: itself, `OutOfMemory`, or `OperationFailed` with an incident."""
    if isinstance(error, KinoError):
        return error
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return OutOfMemory("there was not enough memory", remedy="Use a smaller input or size.")
    incident = identifiers.incident_id()
    _log.error("incident %s", incident, exc_info=error)
    return OperationFailed(
        f"the operation stopped with an unexpected {type(error).__name__}",
        remedy="The log holds the traceback under the incident's id.",
        extra={"incident": incident},
    )
