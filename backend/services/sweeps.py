"""Sweeps: from one request to the parameters of many jobs, and from their errors back to it.

Knows: the cartesian product, JSON pointers into parameters, lists of items.
Does not know: operations, and how jobs are kept (``services.batches``).
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Final

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import Field

from backend.errors import FieldError, InvalidParameters, json_pointer, refused
from backend.operations import Model

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}")


class BatchRequest(Model):
    """Many jobs of one operation: what they share, and in what they differ."""

    operation: Annotated[str, MinLen(1), MaxLen(200)]
    params: dict[str, Any] = Field({}, description="What all jobs share.")
    sweep: dict[str, Annotated[list[Any], MinLen(1)]] | None = Field(
        None,
        min_length=1,
        description="Values by parameter; a JSON pointer (/mix/strips/0/fader_db) leads into one."
        " There is a job for every combination; the last one named changes fastest.",
    )
    items: Annotated[list[dict[str, Any]], MinLen(1)] | None = Field(
        None, description="Parameters of each job, on top of the shared ones."
    )
    metadata: dict[str, Any] = Field({}, description="Of the batch, and of each of its jobs.")
    priority: Annotated[int, Ge(-100), Le(100)] = 0
    cache: bool = Field(True, description="Whether results of equal, earlier jobs will do.")


@dataclass(frozen=True, slots=True)
class Item:
    """The parameters of one job, and where each of them stands in the request."""

    params: dict[str, Any]
    places: Mapping[str, str]
    """Pointer into the parameters → pointer into the request, for what is the item's own."""

    elsewhere: str
    """Pointer into the request of everything else."""

    def told(self, error: FieldError) -> FieldError:
        """An error in the parameters as one in the request."""
        for inside, outside in self.places.items():
            if error.pointer == inside or error.pointer.startswith(inside + "/"):
                pointer = outside + error.pointer[len(inside) :]
                return FieldError(pointer, error.rule, error.message)
        return FieldError(self.elsewhere + error.pointer, error.rule, error.message)


def items(request: BatchRequest, most: int) -> Iterator[Item]:
    """Each job of the batch in its order. Raises `InvalidParameters` for more than *most*, and for
    a pointer that leads nowhere; counted before anything is made."""
    if (request.sweep is None) == (request.items is None):
        raise refused("/sweep", "one_of", "give either 'sweep' or 'items'")
    if request.items is not None:
        _refuse_many("/items", len(request.items), most)
        return _listed(request.params, request.items)
    assert request.sweep is not None
    _refuse_many("/sweep", math.prod(map(len, request.sweep.values())), most)
    paths = {name: _path(name) for name in request.sweep}
    for name, path in paths.items():
        for other in paths:
            if other != name and paths[other][: len(path)] == path:
                told = f"{other!r} lies within {name!r}"
                raise refused(json_pointer("sweep", other), "overlap", told)
    return _swept(request.params, request.sweep, paths)


def _refuse_many(pointer: str, count: int, most: int) -> None:
    if count > most:
        raise refused(
            pointer,
            "batch_jobs",
            f"a batch has at most {most} jobs, not {count} (limit batch_jobs)",
        )


def _listed(shared: dict[str, Any], given: Sequence[dict[str, Any]]) -> Iterator[Item]:
    for number, own in enumerate(given):
        here = json_pointer("items", str(number))
        places = {json_pointer(name): here + json_pointer(name) for name in own}
        places |= {
            json_pointer(name): json_pointer("params", name) for name in shared if name not in own
        }
        yield Item({**shared, **own}, places, here)


def _swept(
    shared: dict[str, Any], sweep: Mapping[str, list[Any]], paths: Mapping[str, list[str]]
) -> Iterator[Item]:
    for numbers in product(*(range(len(values)) for values in sweep.values())):
        params = copy.deepcopy(shared)
        places: dict[str, str] = {}
        for (name, values), number in zip(sweep.items(), numbers, strict=True):
            _put(params, name, paths[name], values[number])
            places[json_pointer(*paths[name])] = json_pointer("sweep", name, str(number))
        yield Item(params, places, "/params")


def _path(name: str) -> list[str]:
    """The parts of a sweep's name: a parameter, or a JSON pointer (RFC 6901)."""
    if not name.startswith("/"):
        return [name]
    return [part.replace("~1", "/").replace("~0", "~") for part in name[1:].split("/")]


def _put(params: dict[str, Any], name: str, path: list[str], value: Any) -> None:
    """Set what *path* leads to; what it lies in must be there."""
    place: Any = params
    for part in path[:-1]:
        place = _step(place, part)
    last = path[-1]
    if isinstance(place, dict):
        place[last] = value
    elif isinstance(place, list) and _NUMBER.fullmatch(last) and int(last) < len(place):
        place[int(last)] = value
    else:
        raise _nowhere(name)


def _step(place: Any, part: str) -> Any:
    if isinstance(place, dict):
        return place.get(part)
    if isinstance(place, list) and _NUMBER.fullmatch(part) and int(part) < len(place):
        return place[int(part)]
    return None


def _nowhere(name: str) -> InvalidParameters:
    told = "the pointer leads to nothing in 'params'; what it lies in must be given there"
    return refused(json_pointer("sweep", name), "pointer", told)
