"""Assets of the Comfy API v2: upload, find by hash, look, download, delete.

Knows: the fields of its form, and hashes of bytes as they were uploaded.
Does not know: what a file must be like (``services.assets`` and its ingest do).

An upload is decoded and kept in its canonical form, so the ``hash`` that an asset shows, of the
bytes that it serves, may differ from that of the bytes that came. Both find it.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Final

from aiohttp import BodyPartReader, web
from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, ValidationError

from backend.errors import Conflict, InvalidParameters, MalformedRequest, UnknownName
from backend.handlers import body
from backend.handlers.comfy_envelope import Refused
from backend.handlers.comfy_v2 import shapes
from backend.handlers.comfy_v2.jobs import origin_of
from backend.handlers.content import send
from backend.handlers.keys import ASSETS, JOBS, SETTINGS

if TYPE_CHECKING:
    from aiohttp import MultipartReader

FIELD_BYTES: Final = 4096
MOST_FIELDS: Final = 64
_HASH: Final = re.compile(r"blake3:[0-9a-f]{64}")
_TEXT: Final = re.compile(shapes.TEXT + r"(job_[0-9A-Za-z]+)_([1-9]\d{0,5})")


class _Minting(BaseModel):
    model_config = ConfigDict(extra="forbid")
    hash: str
    file_path: str | None = None
    tags: list[str] | None = None
    expires_in: Annotated[int, Ge(60), Le(604_800)] | None = None


async def upload(request: web.Request) -> web.Response:
    """Take the file of a form whose other fields stand before it: 201, or 200 for known bytes."""
    if request.content_type != "multipart/form-data":
        raise Refused(415, "invalid_request", "an upload is sent as multipart/form-data")
    body.refuse_encoding(request)
    try:  # one deadline for all that stands before the file
        async with asyncio.timeout(request.app[SETTINGS].limits.body_inactivity_s):
            form, part = await body.first_part(request)
            fields, file = await _fields(form, part)
    except TimeoutError as error:
        raise Refused(408, "invalid_request", "the fields did not arrive in time") from error
    expected = fields.get("expected_hash")
    if expected is not None and not _HASH.fullmatch(expected):
        raise Refused(422, "invalid_request", "expected_hash is 'blake3:' and 64 hex digits")
    assets = request.app[ASSETS]
    try:
        asset = await assets.receive(
            body.only_part_chunks(form, file),
            file_name=_label(fields.get("file_path") or file.filename or "upload"),
            expected_hash=expected,
        )
    except InvalidParameters as error:
        if [each.rule for each in error.errors] == ["expected_hash"]:
            raise Refused(409, "hash_mismatch", "the file has another BLAKE3") from error
        raise
    is_new = assets.is_first(asset)
    told = shapes.asset(asset, origin_of(request), created_new=is_new)
    return web.json_response(told, status=201 if is_new else 200)


async def _fields(form: MultipartReader, part: object) -> tuple[dict[str, str], BodyPartReader]:
    """The fields in front of the file, and the file, of which nothing is read yet."""
    fields: dict[str, str] = {}
    for _ in range(MOST_FIELDS):
        if not isinstance(part, BodyPartReader):
            break
        if part.name == "file":
            return fields, part
        try:
            fields[str(part.name)] = await _text_of(part)
            part = await form.next()
        except (ValueError, *body.GONE) as error:
            raise MalformedRequest(body.BROKEN_FORM) from error
    raise Refused(422, "invalid_request", "file: the form ends with a part of this name")


async def _text_of(part: BodyPartReader) -> str:
    raw = bytearray()
    while chunk := await part.read_chunk(2 * FIELD_BYTES):
        raw += chunk
        if len(raw) > FIELD_BYTES:
            raise Refused(422, "invalid_request", f"{part.name}: the field is too long")
    return raw.decode()


def _label(file_path: str) -> str:
    """The name at the end of a placement path; there are no folders among assets."""
    return PurePosixPath(file_path).name or "upload"


async def from_hash(request: web.Request) -> web.Response:
    """An asset over bytes that are here already: 201, or 200 if there is one of that name."""
    try:
        asked = _Minting.model_validate(await body.read_value(request), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise Refused(422, "invalid_request", f"{place}: {first['msg']}") from error
    assets = request.app[ASSETS]
    found = assets.received(asked.hash) if _HASH.fullmatch(asked.hash) else None
    if found is None:
        raise Refused(404, "blob_not_found", "there are no bytes with this hash")
    name = found.file_name if asked.file_path is None else _label(asked.file_path)
    asset, is_new = await assets.mint(found, name)
    told = shapes.asset(asset, origin_of(request), created_new=False)
    return web.json_response(told, status=201 if is_new else 200)


async def look_for_hash(request: web.Request) -> web.Response:
    """Whether bytes with this hash are here: 200 or 404, without a body."""
    given = request.match_info["hash"]
    known = _HASH.fullmatch(given) and request.app[ASSETS].received(given) is not None
    return web.Response(status=200 if known else 404)


async def show(request: web.Request) -> web.Response:
    asset_id = request.match_info["id"]
    if (text := _text(request, asset_id)) is not None:
        told: dict[str, Any] = text[0]
        return web.json_response(told)
    asset = request.app[ASSETS].require(asset_id)
    return web.json_response(shapes.asset(asset, origin_of(request)))


async def fetch(request: web.Request) -> web.StreamResponse:
    asset_id = request.match_info["id"]
    if (text := _text(request, asset_id)) is not None:
        return web.Response(text=text[1], content_type="text/plain")
    return await send(request, request.app[ASSETS].require(asset_id), request.app[ASSETS])


def _text(request: web.Request, asset_id: str) -> tuple[dict[str, Any], str] | None:
    """An output that is a text: as an asset, and the text. Raises `UnknownName`."""
    found = _TEXT.fullmatch(asset_id)
    if found is None:
        return None
    job, number = request.app[JOBS].get(found[1]), int(found[2])
    texts = (job.result or {}).get("text", ())
    if job.operation != shapes.OPERATION or number > len(texts):
        raise UnknownName("there is no such asset")
    output = next(o for o in shapes.outputs(job, origin_of(request)) if o["id"] == asset_id)
    kept = ("id", "hash", "size_bytes", "content_type", "url", "url_expires_at", "job_id")
    told = {key: output[key] for key in kept}
    more = {"file_path": output["name"], "created_at": shapes.created_at(job), "expires_at": None}
    return {**told, **more}, texts[number - 1]


async def delete(request: web.Request) -> web.Response:
    try:
        await request.app[ASSETS].delete(request.match_info["id"])
    except Conflict as error:
        raise Refused(409, "asset_in_use", "something still depends on this asset") from error
    return web.Response(status=204)


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v2/assets", upload, expect_handler=body.continue_later),
        web.post("/api/v2/assets/from-hash", from_hash, expect_handler=body.continue_later),
        web.head("/api/v2/assets/by-hash/{hash}", look_for_hash),
        web.get("/api/v2/assets/{id}", show),
        web.delete("/api/v2/assets/{id}", delete),
        web.get("/api/v2/assets/{id}/content", fetch),
    ]
