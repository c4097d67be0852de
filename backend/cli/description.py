"""`kino describe`: an operation's parameters and outputs as tables.

Knows: how ranges, units and nested objects of a JSON Schema read.
Does not know: how parameters are read from the command line (``cli.parameters``).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from backend.cli import display
from backend.cli.client import segment
from backend.cli.parameters import option
from backend.cli.schema import Part, Schema

if TYPE_CHECKING:
    from backend.cli.client import Client

RULES: Final = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minItems": "≥ {} items",
    "maxItems": "≤ {} items",
    "minLength": "≥ {} characters",
    "maxLength": "≤ {} characters",
    "enum": "one of {}",
    "const": "{}",
}
DEEPEST: Final = 4
WIDEST: Final = 40
ARITIES: Final = {"one": "{}", "list": "list of {}", "dict": "{} by name"}
Row = tuple[str, ...]


def describe(client: Client, name: str, json: bool) -> None:
    """Print what an operation takes and gives."""
    item = client.get(f"/v1/operations/{segment(name)}")
    if json:
        display.as_json(item)
        return
    schema = Schema(item["schema"])
    display.line(f"{item['name']} (version {item['version']}, plugin {item['plugin']})")
    display.line(f"\n{item['description']}\n")
    rows = list(_rows(schema, schema.properties, schema.required, ""))
    display.table(("parameter", "takes", "default", "rule", "meaning"), rows)
    outer = next((above for above, row in pairwise(rows) if row[0].startswith(" ")), None)
    if outer is not None:
        display.line(f"\nFields of objects are written as JSON: {outer[0]}='{{…}}'")
    display.line()
    outputs = [(out["name"], ARITIES[out["arity"]].format(out["kind"])) for out in item["outputs"]]
    display.table(("output", "kind"), outputs)
    if why := item["unavailable"]:
        display.line(f"\nNot available now: {why['reason']} {why['remedy']}")


def _rows(
    schema: Schema, members: Part, required: frozenset[str], above: str, depth: int = 0
) -> Iterator[Row]:
    """A row for each parameter, and below it for each field of the objects in it."""
    for name, part in members.items():
        shown = f"{above}.{name}" if above else option(name)
        yield _row(schema, shown, name in required, part)
        for inner, suffix in ((part, ""), (schema.items(part), "[]")):
            for branch in schema.branches(inner):
                if "properties" in branch and depth < DEEPEST:
                    needed = frozenset(branch.get("required", ()))
                    below = branch["properties"]
                    inside = f"  {shown.lstrip(' -')}{suffix}"
                    yield from _rows(schema, below, needed, inside, depth + 1)


def _row(schema: Schema, shown: str, needed: bool, part: Any) -> Row:
    whole = schema.resolve(part)
    branches = schema.branches(part)
    units = {str(each["unit"]) for each in (whole, *branches) if "unit" in each}
    rules = [
        text.format(_value(each[key]))
        for each in ([whole] if whole in branches else [whole, *branches])
        for key, text in RULES.items()
        if key in each
    ]
    takes = " ".join([_takes(schema, part), *sorted(units)])
    default = "(needed)" if needed else _value(whole.get("default"))
    rule = ", ".join(dict.fromkeys(rules))
    return shown, takes, _short(default), rule, str(whole.get("description", ""))


def _short(text: str) -> str:
    """*text*, cut where it would make the table too wide."""
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _takes(schema: Schema, part: Any) -> str:
    words = []
    for branch in schema.branches(part):
        kinds = branch.get("type", "text" if "enum" in branch else "anything")
        if kind := schema.media(branch):
            words.append(f"@FILE or reference ({kind})")
        elif kinds == "array":
            words.append(f"list of {_takes(schema, branch.get('items', {}))}")
        elif kinds != "null":
            words.append("text" if kinds == "string" else str(kinds))
    return " or ".join(dict.fromkeys(words)) or "anything"


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
