"""References: how a media value is written down in parameters, and how it comes back.

Knows: the form of a reference, and the pydantic schema that every media type shares.
Does not know: where assets lie; whoever validates parameters gives a `Resolver`.

One parameter model serves all sides. In Python a field takes the value itself. In the API
process a resolver checks that the asset exists and fits, and the field holds its canonical
reference, a plain string. In the worker a resolver opens the file, and the field holds the value.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import blake3
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

REFERENCE_PATTERN: Final = r"^(blake3:[0-9a-f]{64}|ast_[0-9a-z]{26})$"
"""What a caller may write: the content reference or an asset id."""

REFERENCE: Final = re.compile(REFERENCE_PATTERN)
RESOLVER: Final = "kino.resolver"
"""Key of the `Resolver` in pydantic's validation context."""


class Resolver(Protocol):
    """Turns a reference into what the validating side wants in the field.

    Raises ``ValueError`` with a sentence if there is no such asset or it is of another kind.
    """

    def __call__(self, reference: str, kind: str) -> object: ...


def reference_of(file: Path) -> str:
    """The reference of a canonical file: the blake3 of its bytes. Raises ``OSError``."""
    return f"blake3:{blake3.blake3().update_mmap(file).hexdigest()}"


def resolve(reference: str, kind: str, context: Any) -> object:
    """Resolve one reference with the resolver of a validation *context*.

    Raises ``PydanticCustomError`` (rules ``reference``, ``asset``), which becomes a 422.
    """
    if not REFERENCE.fullmatch(reference):
        raise PydanticCustomError(
            "reference", "An asset is named by 'blake3:' and 64 hex digits, or by its id 'ast_…'"
        )
    resolver = context.get(RESOLVER) if isinstance(context, dict) else None
    if resolver is None:
        raise PydanticCustomError("reference", "A reference means nothing outside the service")
    try:
        return resolver(reference, kind)
    except ValueError as error:
        raise PydanticCustomError("asset", "{reason}", {"reason": str(error)}) from error


class MediaValue:
    """Mix-in of every media type: gives it the shared pydantic schema."""

    __slots__ = ()
    kind: ClassVar[str]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any, info: core_schema.ValidationInfo[Any]) -> Any:
            if isinstance(value, cls):
                return value
            if isinstance(value, str):
                return resolve(value, cls.kind, info.context)
            raise PydanticCustomError("reference", "An asset reference (a string) is needed")

        return core_schema.with_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                _write, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": "string",
            "format": "kino-asset",
            "pattern": REFERENCE_PATTERN,
            "x-kino-media": cls.kind,
            "title": cls.__name__,
        }


def _write(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"a {type(value).__name__} in memory has no reference; upload it first")
