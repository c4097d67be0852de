"""From words on the command line to an operation's JSON parameters.

Knows: how JSON is written as text, ``@file``, repeated options and near matches of names.
Does not know: ranges and other rules (the service checks them), and how a file is uploaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from backend.cli.failure import Misused
from backend.cli.schema import Part, Schema
from backend.errors import near_names

Upload = Callable[[Path], str]
"""Stores a file; returns its reference."""

NO_JSON: Final = object()
_NUMBERS: Final = frozenset({"number", "integer"})
_NESTED: Final = frozenset({"array", "object"})


class Parameters:
    """Reads the parameters of one operation. Everything raises `Misused` for what cannot be meant;
    a value that merely breaks a rule is passed on, so that the service names the rule."""

    def __init__(self, operation: str, schema: Schema, upload: Upload) -> None:
        self._operation, self._schema, self._upload = operation, schema, upload

    def read(self, words: Sequence[str], file: str | None = None) -> dict[str, Any]:
        """What *words* (``--name=value``) and the JSON object in *file* give; words win."""
        given: dict[str, list[str | None]] = {}
        for word, value in _pairs(words):
            name, meant = self._named(word, value)
            given.setdefault(name, []).append(meant)
        try:
            params = {} if file is None else self._from_file(file)
            for name, values in given.items():
                params[name] = self._value(name, values)
        except RecursionError as error:
            raise Misused("the JSON is nested too deeply") from error
        return params

    def sweep(self, words: Sequence[str]) -> dict[str, list[Any]]:
        """The values that each ``name=value,value`` gives, or ``name=[JSON]``; a name that begins
        with ``/`` leads into a parameter."""
        found: dict[str, list[Any]] = {}
        for word in words:
            name, equals, text = word.partition("=")
            if not equals or not name:
                raise Misused(f"--sweep={word!r}: it is written --sweep NAME=VALUE,VALUE")
            values = parse(text)
            if name.startswith("/"):
                read = [_plain(piece) for piece in text.split(",")]
            else:
                name, _ = self._named(name, "")
                part = self._schema.properties[name]
                read = [self._one(name, piece, part) for piece in text.split(",")]
            if name in found:
                raise Misused(f"--sweep names {name} twice")
            found[name] = values if isinstance(values, list) else read
        return found

    def _named(self, word: str, value: str | None) -> tuple[str, str | None]:
        """The parameter that an option names; ``--no-mute`` is ``--mute=false``."""
        name, properties = word.replace("-", "_"), self._schema.properties
        if name in properties:
            return name, value
        positive = name.removeprefix("no_")
        if value is None and "boolean" in self._schema.types(properties.get(positive)):
            return positive, "false"
        near = near_names(name, list(properties), most=1)
        hint = f"Did you mean {option(near)}?" if near else None
        raise Misused(
            f"{self._operation} has no parameter --{word}",
            hint or f"See `kino describe {self._operation}`.",
        )

    def _value(self, name: str, values: list[str | None]) -> Any:
        part = self._schema.properties[name]
        types = self._schema.types(part)
        if None in values and "boolean" not in types:
            raise Misused(f"{option(name)} needs a value")
        texts = ["true" if value is None else value for value in values]
        if len(texts) == 1:
            return self._one(name, texts[0], part)
        if "array" not in types:
            raise Misused(f"{option(name)} is given {len(texts)} times")
        return [self._one(name, text, self._schema.items(part)) for text in texts]

    def _one(self, name: str, text: str, part: Part) -> Any:
        types, parsed = self._schema.types(part), parse(text)
        if self._schema.media(part) and not _is_plain(parsed, types):
            return None if parsed is None and "null" in types else self._reference(text, name)
        if isinstance(parsed, list | dict) and types & _NESTED:
            return self._walk(parsed, part, typed=True)
        if types & _NESTED and "string" not in types:
            return None if parsed is None and "null" in types else self._nested(name, text, part)
        if "string" in types:
            # text stays text, unless the parameter takes numbers too and this is one
            number = isinstance(parsed, int | float) and not isinstance(parsed, bool)
            return parsed if number and types & _NUMBERS else text
        return text if parsed is NO_JSON else parsed

    def _nested(self, name: str, text: str, part: Part) -> Any:
        """Text for an array or an object that is no JSON array or object itself."""
        items = self._schema.items(part)
        is_list = "array" in self._schema.types(part)
        of_text = self._schema.media(items) or "string" in self._schema.types(items)
        if text.startswith("@") and not (is_list and of_text):
            return self._walk(load(text[1:]), part, typed=False)
        if text[:1] in ("[", "{"):
            raise Misused(f"{option(name)} is not JSON: {text[:60]}")
        return [self._one(name, text, items)] if is_list else text

    def _from_file(self, file: str) -> dict[str, Any]:
        value = load(file)
        if not isinstance(value, dict):
            raise Misused(f"{file} holds no JSON object")
        known = self._schema.properties
        return {
            name: self._walk(item, known.get(name, {}), typed=False) for name, item in value.items()
        }

    def _walk(self, value: Any, part: Part, *, typed: bool) -> Any:
        """Upload what ``@file`` names where the schema wants media; if the text was *typed* on the
        command line, also where the schema says nothing (a file of somebody else's may hold any
        text there, and must not make us read our files)."""
        schema = self._schema
        if isinstance(value, str):
            wanted = schema.media(part) or (typed and not schema.types(part))
            return self._reference(value, None) if wanted else value
        if isinstance(value, list):
            return [self._walk(item, schema.items(part), typed=typed) for item in value]
        if isinstance(value, dict):
            return {
                key: self._walk(item, schema.member(part, key), typed=typed)
                for key, item in value.items()
            }
        return value

    def _reference(self, text: str, name: str | None) -> str:
        if text.startswith("@@"):
            return text[1:]
        if text.startswith("@"):
            return self._upload(Path(text[1:]))
        if name is not None and not text.startswith(("blake3:", "ast_")) and Path(text).is_file():
            raise Misused(
                f"{option(name)}: {text!r} is no reference",
                f"Write {option(name)}=@{text} to upload the file.",
            )
        return text


def _is_plain(parsed: Any, types: set[str]) -> bool:
    """Whether a parameter that takes media is given what it takes besides: a number, an object."""
    if isinstance(parsed, dict):
        return "object" in types
    is_number = isinstance(parsed, int | float) and not isinstance(parsed, bool)
    return is_number and bool(types & _NUMBERS)


def _plain(text: str) -> Any:
    """A JSON value, else the text itself."""
    value = parse(text)
    return text if value is NO_JSON else value


def option(name: str) -> str:
    """A parameter as it is written on the command line."""
    return f"--{name.replace('_', '-')}"


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """``--name=value``, ``--name value`` and ``--flag``, one after the other."""
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--") or word == "--":
            raise Misused(f"{word!r} is no parameter", "Parameters are written --name=value.")
        name, equals, value = word.removeprefix("--").partition("=")
        if not equals and left and not left[0].startswith("--"):
            yield name, left.pop(0)
        else:
            yield name, value if equals else None


def parse(text: str) -> Any:
    """The JSON value of a text, or `NO_JSON`; NaN and its like are no JSON."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return NO_JSON


def load(file: str) -> Any:
    """The JSON value in a file, or on standard input for ``-``. Raises `Misused`."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except OSError as error:
        raise Misused(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Misused(f"{file} is not text in UTF-8") from error
    value = parse(text)
    if value is NO_JSON:
        raise Misused(f"{file} is not JSON")
    return value
