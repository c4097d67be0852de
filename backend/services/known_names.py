"""Names in parameters: model files, samplers, schedulers, against what is there.

Knows: which parameters hold such names (their schema says), the folders of models, and what a
running ComfyUI lists.
Does not know: jobs. A worker looks again when it runs one: a file may come or go in between.

Where nobody can tell, because no ComfyUI runs yet or the kind of model is none of its own, nothing
is refused here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backend.errors import FieldError, InvalidParameters, json_pointer
from backend.media.dependence import MODEL_KEYWORD, NAME_KEYWORD, no_code, no_model, no_name
from backend.services.model_details import may_run_code
from backend.services.model_folders import FOLDERS, ModelFolders

if TYPE_CHECKING:
    from backend.config import Settings
    from backend.operations import Operation
    from backend.services.worker_pool import WorkerPool

Place = tuple[tuple[str, ...], str, str]
"""The way to a parameter (``*``: every item of a list), the keyword, and its word."""


class KnownNames:
    """Asks the folders of these settings, and the workers of *pool*."""

    def __init__(self, settings: Settings, pool: WorkerPool) -> None:
        self._folders = ModelFolders(settings)
        self._pool = pool

    async def require(self, operation: Operation[..., Any], params: Mapping[str, Any]) -> None:
        """Raises `InvalidParameters` for names in checked *params* that nothing has."""
        named = [
            (keyword, word, pointer, value)
            for path, keyword, word in _places(operation)
            for pointer, value in _values(params, path, ())
        ]
        said = self._pool.comfyui if named else None
        if said is None or "unavailable" in said:
            return
        self._folders.learn(said.get("model_table"))
        errors = [
            error
            for keyword, word, pointer, value in named
            if keyword == NAME_KEYWORD
            for error in _unlisted(said.get(f"{word}s") or (), word, pointer, value)
        ]
        kinds = FOLDERS.keys() & (said.get("model_table") or {}).keys()
        models = [each[1:] for each in named if each[0] == MODEL_KEYWORD and each[1] in kinds]
        if models:  # folders may lie on a slow disk
            errors += await asyncio.to_thread(lambda: list(self._refused(models)))
        if errors:
            raise InvalidParameters(errors[0].message, errors=errors)

    def _refused(self, models: list[tuple[str, str, str]]) -> Iterator[FieldError]:
        for kind, pointer, name in models:
            if self._folders.find(kind, name) is None:
                known = tuple(found.name for found in self._folders.files(kind))
                yield FieldError(pointer, "unknown_model", no_model(kind, name, known))
            elif may_run_code(kind, name):
                yield FieldError(pointer, "pickle", no_code(name))


def _unlisted(known: Any, word: str, pointer: str, name: str) -> Iterator[FieldError]:
    if known and name not in known:
        yield FieldError(pointer, f"unknown_{word}", no_name(word, name, known))


@lru_cache(maxsize=1024)
def _places(operation: Operation[..., Any]) -> tuple[Place, ...]:
    """Where the parameters of an operation hold names, in the order of their declaration."""
    schema = operation.json_schema()
    return tuple(_walk(schema, (), schema.get("$defs") or {}, ()))


def _walk(
    schema: Any, path: tuple[str, ...], defined: Mapping[str, Any], inside: tuple[str, ...]
) -> Iterator[Place]:
    for keyword in (MODEL_KEYWORD, NAME_KEYWORD):
        if keyword in schema:
            yield path, keyword, str(schema[keyword])
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in defined and name not in inside:
        yield from _walk(defined[name], path, defined, (*inside, name))
    for each in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from _walk(each, path, defined, inside)
    for key, each in (schema.get("properties") or {}).items():
        yield from _walk(each, (*path, key), defined, inside)
    if isinstance(schema.get("items"), dict):
        yield from _walk(schema["items"], (*path, "*"), defined, inside)


def _values(value: Any, path: tuple[str, ...], way: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Pointer and text of what lies at *path*; nothing where it is not given."""
    if not path:
        if isinstance(value, str):
            yield json_pointer(*way), value
    elif path[0] != "*":
        if isinstance(value, Mapping) and path[0] in value:
            yield from _values(value[path[0]], path[1:], (*way, path[0]))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _values(item, path[1:], (*way, str(number)))
