"""Assets over HTTP: upload, look, download, delete.

Knows: raw and multipart bodies, file names, and when to refuse before the first byte.
Does not know: what a file must be like (``services.assets`` and its ingest do).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

from aiohttp import BodyPartReader, hdrs, web
from aiohttp.multipart import content_disposition_filename, parse_content_disposition

from backend.errors import AssetTooLarge, MalformedRequest, refused
from backend.handlers import body
from backend.handlers.content import send
from backend.handlers.keys import ASSETS, SETTINGS
from backend.handlers.query import AssetFilter, FileName, Nothing, read_query

if TYPE_CHECKING:
    from backend.services.assets import Asset

FRAMING: Final = 64 * 1024
"""Bytes that a multipart body may have around its file."""

UNNAMED: Final = "upload"


async def upload(request: web.Request) -> web.Response:
    """Take one file, as the raw body or as the one part of a multipart form; answer 201."""
    asked = read_query(request, FileName).file_name
    body.refuse_encoding(request)
    if request.content_type == "multipart/form-data":
        asset = await _receive_form(request, asked)
    elif request.content_type.startswith("multipart/"):
        raise MalformedRequest("of multipart bodies only multipart/form-data is read")
    else:
        asset = await _receive_raw(request, asked)
    return web.json_response(
        asset.as_json(), status=201, headers={"Location": f"/v1/assets/{asset.id}"}
    )


async def _receive_raw(request: web.Request, asked: str | None) -> Asset:
    name = asked
    if name is None and (header := request.headers.get(hdrs.CONTENT_DISPOSITION)):
        name = _named(header)
    return await request.app[ASSETS].receive(
        body.raw_chunks(request),
        file_name=UNNAMED if name is None else name,
        declared_length=request.content_length,
        content_digest=request.headers.get("Content-Digest"),
    )


async def _receive_form(request: web.Request, asked: str | None) -> Asset:
    limit = request.app[SETTINGS].limits.upload_bytes
    if (request.content_length or 0) > limit + FRAMING:
        told = f"an upload may have {limit} bytes (limit upload_bytes)"
        raise AssetTooLarge(told, rule="upload_bytes", extra={"limit": limit})
    form, part = await body.first_part(request)
    if not isinstance(part, BodyPartReader):
        raise MalformedRequest(body.BROKEN_FORM)
    given = _named(part.headers.get(hdrs.CONTENT_DISPOSITION, ""))
    if given is None:
        raise refused("/file", "missing", "the form holds one field, and it is a file")
    if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in ("binary", "8bit"):
        raise MalformedRequest("a part with a Content-Transfer-Encoding is not accepted")
    return await request.app[ASSETS].receive(
        body.only_part_chunks(form, part),
        file_name=given if asked is None else asked,
        declared_length=None,
        content_digest=part.headers.get("Content-Digest"),
    )


def _named(header: str) -> str | None:
    """The file name of a Content-Disposition. Raises 400 if the header is broken."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return content_disposition_filename(parse_content_disposition(header)[1])
        except RuntimeWarning as warning:
            raise MalformedRequest("the Content-Disposition header is broken") from warning


async def list_assets(request: web.Request) -> web.Response:
    asked = read_query(request, AssetFilter)
    page = request.app[ASSETS].list(kind=asked.kind, cursor=asked.cursor, limit=asked.limit)
    return web.json_response(
        {"items": [asset.as_json() for asset in page.items], "next_cursor": page.next_cursor}
    )


async def show_asset(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    asset = request.app[ASSETS].require(request.match_info["id"])
    return web.json_response(asset.as_json())


async def fetch_content(request: web.Request) -> web.StreamResponse:
    read_query(request, Nothing)
    asset = request.app[ASSETS].require(request.match_info["id"])
    return await send(request, asset, request.app[ASSETS])


async def delete_asset(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    await request.app[ASSETS].delete(request.match_info["id"])
    return web.Response(status=204)


def routes() -> list[web.RouteDef]:
    return [
        web.post("/v1/assets", upload, expect_handler=body.continue_later),
        web.get("/v1/assets", list_assets),
        web.get("/v1/assets/{id}", show_asset),
        web.delete("/v1/assets/{id}", delete_asset),
        web.get("/v1/assets/{id}/content", fetch_content),
    ]
