"""What a result depends on beyond the values of its parameters: model files, and chance.

Knows: how a parameter says that it names a model file, or something else that is not always there,
what is said of a name that nothing has, and that a result may differ every time.
Does not know: where model files lie, and who keeps results.

Both are noted while parameters are validated, as references to media are resolved: whoever wants
to know puts a `Dependence` into pydantic's validation context under `DEPENDENCE`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from backend.errors import did_you_mean

DEPENDENCE: Final = "kino.dependence"
"""Key of the `Dependence` in pydantic's validation context."""

MODEL_KEYWORD: Final = "x-kino-model"
"""JSON Schema keyword of a parameter that names a model file: the kind of model."""

NAME_KEYWORD: Final = "x-kino-name"
"""JSON Schema keyword of a parameter that names what a running ComfyUI lists: ``sampler`` …"""

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
class NameOf:
    """Marks a text that names a ``sampler`` or a ``scheduler`` of ComfyUI: which there are is known
    only while one runs, and then a wrong name is refused before the job is accepted."""

    word: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), NAME_KEYWORD: self.word}


def no_model(kind: str, name: str, known: Collection[str]) -> str:
    """A sentence: there is no such model among the *known* ones of its kind."""
    told = f"there is no model {name!r} in {kind}"
    if not known:
        return f"{told}; that folder is empty"
    examples = f"; there are {len(known)}, for example {next(iter(known))}"
    return told + (did_you_mean(name, known, 0.4) or examples)


def no_code(name: str) -> str:
    """A sentence: this model file is not loaded, as it may be more than numbers."""
    return f"{name!r} may hold code that runs while it is loaded; convert it to safetensors"


def no_name(word: str, name: str, known: Collection[str]) -> str:
    """A sentence: there is no such name among the *known* ones, and which are near."""
    return f"there is no {word} {name!r}{did_you_mean(name, known)}"


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
