"""docs/operations.md: every built-in operation with its parameters, ranges, units and outputs.

Knows: JSON Schema, and how an operation describes itself.
Does not know: which operations there are; the built-in plugins say it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import Any, get_args

from backend.operations import Operation, Output
from backend.plugins import BUILT_IN
from backend.units import Unit
from docs_pages.text import NOTICE, prose, table, whole

ARITY = {"one": "{}", "list": "list of {}", "dict": "{} by name"}
Row = tuple[str, str, str, str, str]


def page() -> str:
    """The page."""
    parts = [
        NOTICE,
        "# Operations\n",
        "Every operation of the built-in plugins. Each is reached in Python, over HTTP (`POST\n"
        "/v1/operations/NAME`), with `kino run NAME`, as an MCP tool and as a ComfyUI node. A\n"
        "running service lists them, with those of other plugins, at `/docs` and\n"
        "`/v1/operations`.\n",
    ]
    for module in BUILT_IN:
        plugin = importlib.import_module(module)
        parts.append(f"## {module.rpartition('.')[2]}\n")
        parts.append(plugin.summary + "\n")
        parts += [_operation(each) for each in plugin.register_operations()]
    return "\n".join(parts)


def _operation(operation: Operation[..., Any]) -> str:
    needs = operation.needs
    facts = [
        f"Version {operation.version}",
        f"runs in the `{needs.runs_on}` worker",
        f"about {needs.memory_gib:g} GiB",
        f"at most {operation.timeout_s:g} s",
        f"node `{operation.node_id}`",
        f"tool `{operation.slug}`",
    ]
    if needs.comfyui:
        facts.insert(2, "needs ComfyUI")
    if not operation.pure:
        facts.insert(1, "not pure: equal calls may give different results")
    schema = operation.json_schema()
    return "\n".join(
        [
            f"### {operation.name}\n",
            prose(operation.description),
            table(
                ("parameter", "takes", "default", "range", "meaning"),
                _rows(schema, schema.get("$defs", {}), ""),
            ),
            table(("output", "kind"), [_output(each) for each in operation.outputs]),
            "; ".join(facts) + ".\n",
        ]
    )


def _output(output: Output) -> tuple[str, str]:
    if output.kind != "value":
        return f"`{output.name}`", ARITY[output.arity].format(output.kind)
    units = [each.symbol for each in get_args(output.annotation)[1:] if isinstance(each, Unit)]
    return f"`{output.name}`", " ".join(["value", *(f"in {symbol}" for symbol in units)])


def _rows(schema: dict[str, Any], known: dict[str, Any], before: str) -> Iterator[Row]:
    """One row for each parameter; those of a nested model follow, by their dotted path."""
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        whole, nullable = _resolved(part, known)
        path = before + name
        default = "(needed)" if name in required else _value(whole.get("default"))
        inner, _ = _resolved(whole.get("items", {}), known)
        yield (
            f"`{path}`",
            _takes(whole, known) + (" or nothing" if nullable else ""),
            default,
            _range(whole),
            whole.get("description", ""),
        )
        if "properties" in whole and "x-kino-media" not in whole:
            yield from _rows(whole, known, path + ".")
        elif "properties" in inner:
            yield from _rows(inner, known, path + "[].")


def _resolved(part: dict[str, Any], known: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema with its reference followed and its null taken out, and whether it had one."""
    if "$ref" in part:
        beside = {key: value for key, value in part.items() if key != "$ref"}
        part = {**known[part["$ref"].rpartition("/")[2]], **beside}
    members = part.get("anyOf", [])
    others = [each for each in members if each.get("type") != "null"]
    if len(others) == 1 and len(members) == 2:
        beside = {key: value for key, value in part.items() if key != "anyOf"}
        return {**_resolved(others[0], known)[0], **beside}, True
    return part, False


def _takes(schema: dict[str, Any], known: dict[str, Any]) -> str:
    if kind := schema.get("x-kino-media"):
        return f"{kind} asset"
    if "enum" in schema:
        return " ".join(_value(each) for each in schema["enum"])
    if "const" in schema:
        return _value(schema["const"])
    if "anyOf" in schema:
        return " or ".join(_takes(_resolved(each, known)[0], known) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_takes(_resolved(schema.get('items', {}), known)[0], known)}"
    if schema.get("type") == "object":
        return schema.get("title", "object") if "properties" in schema else "object"
    kind = schema.get("type", "anything")
    words = [" or ".join(kind) if isinstance(kind, list) else str(kind)]
    return " ".join(words + ([f"in {schema['unit']}"] if "unit" in schema else []))


def _range(schema: dict[str, Any]) -> str:
    if "x-kino-automatable" in schema:  # a curve has the range of the number it stands for
        return _range(schema["anyOf"][0])
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    counts = {
        "minItems": "at least {} items",
        "maxItems": "at most {} items",
        "minProperties": "at least {} entries",
        "maxProperties": "at most {} entries",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
    }
    said = [
        f"{sign} {whole(schema[key]):,}".replace(",", " ")
        for key, sign in signs.items()
        if key in schema
    ]
    said += [words.format(schema[key]) for key, words in counts.items() if key in schema]
    return ", ".join(said)


def _value(value: Any) -> str:
    return "nothing" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"
