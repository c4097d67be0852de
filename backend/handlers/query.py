"""Query strings and headers, read as strictly as a body.

Knows: how one pydantic model describes a route's query or headers, for reading and for OpenAPI.
Does not know: any particular route.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

from aiohttp import web
from annotated_types import Ge, Gt, Le, MaxLen
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.errors import FieldError, InvalidParameters, MalformedRequest, refused
from backend.operations import read_json

MAX_WAIT_S: Final = 600.0
LONGEST_RUN_S: Final = 86_400.0
METADATA_BYTES: Final = 4096
MAX_NUMBER: Final = 2**53 - 1
"""Of an event; what every JSON reader takes."""
JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class Query(BaseModel):
    """Base of query and header models. Values are text, so numbers are read from text."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Nothing(Query):
    """A route that takes no query."""


class Wait(Query):
    wait: Annotated[float, Ge(0), Le(MAX_WAIT_S)] = Field(
        0.0, description="Seconds to wait for the result before answering 202."
    )


class Run(Wait):
    """The query of a submit."""

    cache: bool = Field(
        True, description="false: work, even if the result of an equal job is there."
    )


class Submission(Query):
    """Headers of a submit."""

    idempotency_key: Annotated[str, MaxLen(255)] | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        description="The same key with the same body gives the same job.",
    )
    priority: Annotated[int, Ge(-100), Le(100)] = Field(
        0, alias="Kino-Priority", description="Higher runs first."
    )
    timeout_s: Annotated[float, Gt(0), Le(LONGEST_RUN_S)] | None = Field(
        None,
        alias="Kino-Timeout",
        description="Seconds after which a run is ended, where the operation allows more.",
    )
    cache: Literal["yes", "no"] = Field(
        "yes", alias="Kino-Cache", description="no: as the query cache=false."
    )
    metadata: Annotated[str, MaxLen(METADATA_BYTES)] | None = Field(
        None,
        alias="Kino-Metadata",
        description="A JSON object of at most 4 KiB; echoed on the job and usable as a filter.",
    )


class Retriable(Query):
    """The header that makes a submit safe to repeat."""

    idempotency_key: Annotated[str, MaxLen(255)] | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        description="The same key with the same body gives the same batch.",
    )


class Cursor(Query):
    cursor: Annotated[str, MaxLen(200)] | None = Field(
        None, description="next_cursor of the page before."
    )
    limit: Annotated[int, Ge(1), Le(200)] = Field(50, description="Items on a page.")


class JobFilter(Cursor):
    state: JobState | None = Field(None, description="Only jobs in this state.")
    operation: Annotated[str, MaxLen(200)] | None = Field(
        None, description="Only jobs of this operation."
    )
    batch: Annotated[str, MaxLen(200)] | None = Field(None, description="Only jobs of this batch.")
    metadata: Annotated[str, MaxLen(METADATA_BYTES)] | None = Field(
        None, description="Only jobs whose metadata hold all pairs of this JSON object."
    )


class LiveJobs(Query):
    """Which jobs are cancelled together."""

    state: Literal["queued", "running"] | None = Field(
        None, description="Only jobs in this state; both by default."
    )
    operation: Annotated[str, MaxLen(200)] | None = Field(
        None, description="Only jobs of this operation."
    )
    batch: Annotated[str, MaxLen(200)] | None = Field(None, description="Only jobs of this batch.")
    metadata: Annotated[str, MaxLen(METADATA_BYTES)] | None = Field(
        None, description="Only jobs whose metadata hold all pairs of this JSON object."
    )


class AssetFilter(Cursor):
    kind: Annotated[str, MaxLen(40)] | None = Field(None, description="Only assets of this kind.")


class ModelFilter(Cursor):
    cursor: Annotated[str, MaxLen(8000)] | None = Field(
        None, description="next_cursor of the page before."
    )
    q: Annotated[str, MaxLen(200)] | None = Field(
        None, description="Words of its name, or of what wants it."
    )
    kind: Annotated[str, MaxLen(200)] | None = Field(
        None, description="Only this kind: checkpoints, loras …"
    )
    architecture: Annotated[str, MaxLen(40)] | None = Field(
        None, description="Only files that are here and of this architecture: sdxl, flux-dev …"
    )
    installed: bool | None = Field(
        None, description="Only files that are here, or only such as are wanted and missing."
    )
    source: Literal["file", "plugin", "workflow", "catalogue"] | None = Field(
        None, description="Only files, or only what this one wants."
    )


class After(Query):
    after: Annotated[int, Ge(0), Le(MAX_NUMBER)] = Field(
        0, description="Replay events that come after this one."
    )


class Resume(Query):
    """The header by which a client of events resumes."""

    last_event_id: Annotated[int, Ge(0), Le(MAX_NUMBER)] | None = Field(
        None, alias="Last-Event-ID", description="The last number seen; wins over 'after'."
    )


class Version(Query):
    version: Annotated[int, Ge(1), Le(MAX_NUMBER)] | None = Field(
        None, description="An older version; by default the newest."
    )


class Storing(Query):
    bypass_missing: bool = Field(
        False, description="Pass by nodes whose type is not installed, instead of refusing."
    )


class FileName(Query):
    file_name: str | None = Field(None, description="The file's name; a label, never a path.")


class Wanted(Query):
    next: str = Field("", description="Where signing in leads to: a path of this service.")


Q = TypeVar("Q", bound=Query)


def read_query(request: web.Request, model: type[Q]) -> Q:
    """The query string as *model*. Raises 422 with pointers below ``/query``."""
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name in given:
            raise refused("/query/" + name, "duplicate", "the parameter stands twice")
        given[name] = value
    return _read(given, model, "/query")


def read_headers(request: web.Request, model: type[Q]) -> Q:
    """The headers that *model* names. Raises 422 with pointers below ``/headers``."""
    given: dict[str, str] = {}
    for field in model.model_fields.values():
        values = request.headers.getall(str(field.alias), [])
        if len(values) > 1:
            raise refused(f"/headers/{field.alias}", "duplicate", "the header stands twice")
        if values:
            given[str(field.alias)] = values[0]
    return _read(given, model, "/headers")


def read_metadata(text: str | None, pointer: str) -> dict[str, Any] | None:
    """Metadata out of a header or a query. Raises 422 at *pointer*."""
    if text is None:
        return None
    try:
        value = read_json(text.encode("utf-8", "surrogateescape"))
    except MalformedRequest as error:  # it speaks of a body
        told = f"metadata are a JSON object: {error.detail.removeprefix('the body is ')}"
        raise refused(pointer, "json_invalid", told) from error
    if not isinstance(value, dict):
        raise refused(pointer, "dict_type", "metadata are a JSON object")
    return value


def _read(given: dict[str, str], model: type[Q], pointer: str) -> Q:
    for name, value in given.items():
        if "\x00" in value:
            raise refused(f"{pointer}/{name}", "null_character", "a null character is not accepted")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = [
            FieldError(
                "/".join([pointer, *(str(part) for part in item["loc"])]),
                str(item["type"]),
                str(item["msg"]),
            )
            for item in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        first = f"{found[0].pointer}: {found[0].message}"
        raise InvalidParameters(f"The request breaks a rule: {first}", errors=found) from error
