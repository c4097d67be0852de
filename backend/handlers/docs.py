"""The operations as one page: what each takes, in which range and unit, with a line for curl.

Knows: how a JSON Schema reads to a person.
Does not know: scripts, style sheets or fonts from elsewhere; the page holds all it needs.
"""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from backend.handlers.keys import ACCESS, CATALOGUE
from backend.handlers.query import Nothing, read_query

if TYPE_CHECKING:
    from backend.handlers.catalogue import Catalogue

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc;vertical-align:top}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.9em}"
    "pre{background:#f3f3f3;padding:.6rem;overflow-x:auto}.off{color:#8a2a00}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}"
    "pre{background:#242424}td,th{border-color:#444}.off{color:#ffb38a}a{color:#8ab8ff}}"
)
POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)
_LIMITS: Final = (
    ("minimum", "≥ {}"), ("exclusiveMinimum", "> {}"),
    ("maximum", "≤ {}"), ("exclusiveMaximum", "< {}"), ("multipleOf", "a multiple of {}"),
    ("minLength", "at least {} characters"), ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"), ("maxItems", "at most {} items"),
)  # fmt: skip


async def show(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    catalogue = request.app[CATALOGUE]
    return web.Response(
        text=catalogue.kept(
            "docs", lambda: page(catalogue, needs_key=request.app[ACCESS].needs_key)
        ),
        content_type="text/html",
        headers={"Content-Security-Policy": POLICY},
    )


def page(catalogue: Catalogue, *, needs_key: bool) -> str:
    """The whole page as HTML."""
    parts = [_operation(catalogue.describe(entry)) for entry in catalogue.entries()]
    way_out = ' <a href="/signin">Sign out</a>' if needs_key else ""
    names = "".join(
        f'<li><a href="#{escape(name)}">{escape(name)}</a></li>'
        for name in (entry.operation.name for entry in catalogue.entries())
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Kino: operations</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style></head><body><h1>Operations</h1>"
        '<p>The same as data: <a href="/v1/operations">/v1/operations</a>, '
        f'<a href="/openapi.json">/openapi.json</a>.{way_out}</p>'
        f"<nav><ul>{names}</ul></nav><main>{''.join(parts)}</main></body></html>"
    )


def _operation(known: dict[str, Any]) -> str:
    schema = known["schema"]
    required = schema.get("required", [])
    rows = "".join(
        _row(name, field, schema.get("$defs", {}), required=name in required)
        for name, field in schema.get("properties", {}).items()
    )
    gives = ", ".join(f"{output['name']} ({output['kind']})" for output in known["outputs"])
    absent = known["unavailable"]
    warning = (
        f'<p class="off">{escape(absent["reason"])} {escape(absent["remedy"])}</p>'
        if absent
        else ""
    )
    example = json.dumps(dict.fromkeys(required, "…"), ensure_ascii=False)
    return (
        f'<section id="{escape(known["name"])}"><h2>{escape(known["name"])}</h2>'
        f"<p>{escape(known['summary'])}</p>{warning}"
        f"<table><thead><tr><th>parameter</th><th>takes</th><th>default</th></tr></thead>"
        f"<tbody>{rows}</tbody></table><p>Gives {escape(gives)}.</p>"
        f"<pre>curl -H 'Content-Type: application/json' -d '{escape(example)}' \\\n"
        f"  '…/v1/operations/{escape(known['name'])}?wait=60'</pre></section>"
    )


def _row(name: str, field: dict[str, Any], defs: dict[str, Any], *, required: bool) -> str:
    default = "required" if required else json.dumps(field.get("default"))
    return (
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(reads(field, defs))}</td>"
        f"<td>{escape(default)}</td></tr>"
    )


def reads(field: dict[str, Any], defs: dict[str, Any]) -> str:
    """A field's schema in words: type, unit, range, choices."""
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        inner = defs.get(name, {})
        if "enum" in inner:
            return reads(inner, {})
        return f"{name}: " + ", ".join(inner.get("properties", {}))
    if "anyOf" in field:
        return " or ".join(reads(choice, defs) for choice in field["anyOf"])
    if "enum" in field:
        return "one of " + ", ".join(str(choice) for choice in field["enum"])
    if "x-kino-media" in field:
        return f"{field['x-kino-media']} (an asset)"
    if field.get("type") == "array":
        words = f"list of {reads(field.get('items', {}), defs)}"
    else:
        words = " ".join(str(part) for part in (_types(field), field.get("unit")) if part)
    limits = [text.format(field[key]) for key, text in _LIMITS if key in field]
    return ", ".join([words, *limits])


def _types(field: dict[str, Any]) -> str:
    """The JSON type of a field; of several, each."""
    found = field.get("type", "anything")
    return " or ".join(found) if isinstance(found, list) else str(found)


def routes() -> list[web.RouteDef]:
    return [web.get("/docs", show)]
