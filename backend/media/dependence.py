"""What a result depends on beyond the values of its parameters: model files, and chance.

Knows: how a parameter says that it names a model file, and that a result may differ every time.
Does not know: where model files lie, and who keeps results.

Both are noted while parameters are validated, as references to media are resolved: whoever wants
to know puts a `Dependence` into pydantic's validation context under `DEPENDENCE`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

DEPENDENCE: Final = "kino.dependence"
"""Key of the `Dependence` in pydantic's validation context."""

MODEL_KEYWORD: Final = "x-kino-model"
"""JSON Schema keyword of a parameter that names a model file: the kind of model."""

_EMBEDDING: Final = re.compile(r"embedding:", re.IGNORECASE)


@dataclass(slots=True)
class Dependence:
    """What was noted: model files as (kind, name), in the order of the parameters, and whether the
    result may differ although all of it is equal."""

    models: list[tuple[str, str]] = field(default_factory=list)
    varies: bool = False


def noted(context: Any) -> Dependence:
    """The `Dependence` of a validation *context*; one that nobody reads if there is none."""
    found = context.get(DEPENDENCE) if isinstance(context, dict) else None
    return found if isinstance(found, Dependence) else Dependence()


def names_embedding(text: str) -> bool:
    """Whether a prompt brings in an embedding (``embedding:name``): a file that no parameter
    names, found by rules of ComfyUI's."""
    return _EMBEDDING.search(text) is not None


@dataclass(frozen=True, slots=True)
class ModelIn:
    """Marks a text that names a model file of this *kind*:
    ``Annotated[str, ModelIn("checkpoints")]``. Kinds are ComfyUI's folders."""

    kind: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def note(value: Any, info: core_schema.ValidationInfo[Any]) -> Any:
            if isinstance(value, str):
                noted(info.context).models.append((self.kind, value))
            return value

        return core_schema.with_info_after_validator_function(note, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), MODEL_KEYWORD: self.kind}


@dataclass(frozen=True, slots=True)
class PromptText:
    """Marks a text that may bring in embeddings; where it does, the result is not kept."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def note(value: Any, info: core_schema.ValidationInfo[Any]) -> Any:
            if isinstance(value, str) and names_embedding(value):
                noted(info.context).varies = True
            return value

        return core_schema.with_info_after_validator_function(note, handler(source))
