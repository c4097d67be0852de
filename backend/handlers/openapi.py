"""OpenAPI 3.1 of this service: one typed path for each operation, and every other route.

Knows: how routes, query models, shapes and operations are written down.
Does not know: whether an operation can run now; the document describes, the list says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from aiohttp import web
from pydantic import TypeAdapter

from backend.handlers import shapes
from backend.handlers.access import COOKIE, OPEN
from backend.handlers.keys import ACCESS, CATALOGUE
from backend.handlers.paths import BINARY, FIXED, Path
from backend.handlers.query import Nothing, Query, Run, Submission, read_query
from backend.handlers.system import kino_version

if TYPE_CHECKING:
    from backend.handlers.catalogue import Catalogue
    from backend.operations import Operation, Output

Schema = dict[str, Any]
REF: Final = "#/components/schemas/{model}"
PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}


async def show(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    app = request.app
    made = app[CATALOGUE].kept(
        "openapi", lambda: document(app[CATALOGUE], needs_key=app[ACCESS].needs_key)
    )
    return web.json_response(made)


def document(catalogue: Catalogue, *, needs_key: bool) -> Schema:
    """The whole document."""
    operations = [entry.operation for entry in catalogue.entries()]
    schemas, components = _schemas(operations)
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths[f"/v1/operations/{operation.name}"] = {"post": _run(operation, schemas)}
    for path in FIXED:
        paths.setdefault(path.template, {})[path.method] = _fixed(path)
    made: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "Kino",
            "version": kino_version(),
            "summary": "Generative media as durable jobs.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }
    if needs_key:
        made["security"] = [{"key": []}, {"session": []}]
    return made


def _schemas(operations: list[Operation[..., Any]]) -> tuple[dict[str, Schema], Schema]:
    """Schemas of parameters and of values that come back, by key, over shared components."""
    wanted: list[tuple[str, Any, TypeAdapter[Any]]] = [
        (shape.__name__, "serialization", TypeAdapter(shape)) for shape in shapes.PUBLISHED
    ]
    for operation in operations:
        wanted.append((operation.name, "validation", TypeAdapter(operation.params)))
        wanted.extend(
            (f"{operation.name}:{output.name}", "serialization", TypeAdapter(output.annotation))
            for output in operation.outputs
            if output.kind == "value"
        )
    found, shared = TypeAdapter.json_schemas(wanted, ref_template=REF)
    by_key = {str(key): schema for (key, _), schema in found.items()}
    return by_key, shared.get("$defs", {})


def _run(operation: Operation[..., Any], schemas: dict[str, Schema]) -> Schema:
    results = {output.name: _output(operation, output, schemas) for output in operation.outputs}
    job: Schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Job"},
            {"properties": {"result": {"type": ["object", "null"], "properties": results}}},
        ]
    }
    location = {"Location": {"description": "The job.", "schema": {"type": "string"}}}
    required = any(field.is_required() for field in operation.params.model_fields.values())
    return {
        "operationId": operation.slug,
        "tags": [operation.name.split(".", maxsplit=1)[0]],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": _parameters(Run, "query") + _parameters(Submission, "header"),
        "requestBody": {
            "required": required,
            "content": {"application/json": {"schema": schemas[operation.name]}},
        },
        "responses": {
            "200": _json("The job has ended; its result is inside.", job),
            "202": {**_json("The job is kept and will run.", job), "headers": location},
            **_problems(400, 404, 408, 409, 413, 415, 422, 429, 500, 502, 503, 504, 507),
        },
    }


def _output(operation: Operation[..., Any], output: Output, schemas: dict[str, Schema]) -> Schema:
    if output.kind == "value":
        return schemas[f"{operation.name}:{output.name}"]
    media = {"$ref": "#/components/schemas/Media"}
    if output.arity == "list":
        return {"type": "array", "items": media}
    if output.arity == "dict":
        return {"type": "object", "additionalProperties": media}
    if type(None) in get_args(output.annotation):
        return {"anyOf": [media, {"type": "null"}]}
    return media


def _fixed(path: Path) -> Schema:
    made: Schema = {
        "operationId": path.id,
        "tags": [path.tag],
        "summary": path.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in path.names
        ]
        + _parameters(path.query, "query")
        + (_parameters(path.headers, "header") if path.headers else []),
        "responses": {str(path.status): _answer(path), **_problems(*path.problems)},
    }
    if (path.method.upper(), path.template) in OPEN:
        made["security"] = []
    if path.body:
        made["requestBody"] = {"required": True, "content": path.body}
    return made


def _answer(path: Path) -> Schema:
    if path.shape is not None:
        return _json(path.answer, {"$ref": REF.format(model=path.shape.__name__)})
    if path.media_type is not None:
        return {"description": path.answer, "content": {path.media_type: BINARY}}
    return {"description": path.answer}


def _parameters(model: type[Query], where: str) -> list[Schema]:
    schema = model.model_json_schema()
    return [
        {
            "name": name,
            "in": where,
            "required": False,
            "description": field.pop("description", ""),
            "schema": {key: value for key, value in field.items() if key != "title"},
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _json(words: str, schema: Schema) -> Schema:
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: int) -> Schema:
    content = {"application/problem+json": {"schema": PROBLEM}}
    made: Schema = {
        str(status): {"description": "Refused, with the reason.", "content": content}
        for status in statuses
    }
    made["default"] = {"description": "A problem.", "content": content}
    return made


def routes() -> list[web.RouteDef]:
    return [web.get("/openapi.json", show)]
