"""An operation is read once, and every door sees the same thing."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, NamedTuple

import pytest
from annotated_types import Ge, Le
from pydantic import Field

from backend.context import LOCAL, Context
from backend.errors import InvalidParameters, MalformedRequest
from backend.media.reference import MediaValue
from backend.operations import Input, Model, Needs, operation, read_json
from backend.units import Decibels, Pan

HASH = "blake3:" + "ab" * 32


class Sound(MediaValue):
    """A media type for these tests."""

    kind = "audio"


class Strip(Model):
    """One strip of a small mixer."""

    source: Sound
    gain_db: Annotated[Decibels, Ge(-60), Le(12)] = 0.0
    pan: Annotated[Pan, Ge(-1), Le(1)] = 0.0


class Mixed(NamedTuple):
    """What the small mixer gives back."""

    master: Sound
    stems: dict[str, Sound]
    peak_db: float


@operation("tests.mix", needs=Needs(memory_gib=0.1), version=3)
def mix(
    strips: list[Strip],
    bed: Sound | None = None,
    gain_db: Annotated[Decibels, Ge(-60), Le(0), Field(description="Level of the sum")] = -6.0,
    *,
    ctx: Context = LOCAL,
) -> Mixed:
    """Mix strips.

    More words that are not the summary.
    """
    return Mixed(strips[0].source, {}, gain_db)


@operation("tests.single")
def single(sound: Sound) -> Sound:
    """Give back what came."""
    return sound


def echo(reference: str, kind: str) -> str:
    """A resolver that finds everything."""
    return reference


def none(reference: str, kind: str) -> str:
    """A resolver that finds nothing."""
    raise ValueError("there is no such asset")


def problem(body: dict[str, Any]) -> InvalidParameters:
    """The error that *body* gives."""
    with pytest.raises(InvalidParameters) as caught:
        mix.check(json.dumps(body).encode(), echo)
    return caught.value


def test_schema_has_units_ranges_and_media() -> None:
    """The JSON Schema carries unit, range, description and media kind, through nested models."""
    schema = mix.json_schema()
    gain = schema["properties"]["gain_db"]
    assert (gain["unit"], gain["minimum"], gain["maximum"]) == ("dB", -60, 0)
    assert gain["description"] == "Level of the sum"
    strip = schema["$defs"]["Strip"]["properties"]
    assert strip["source"]["x-kino-media"] == "audio"
    assert strip["pan"]["unit"] == "pan"
    assert schema["additionalProperties"] is False


def test_names_are_derived() -> None:
    """Summary, slug, node id and outputs come from the declaration."""
    assert (mix.summary, mix.slug, mix.node_id) == ("Mix strips.", "tests_mix", "KinoTestsMix")
    assert [(o.name, o.kind, o.arity) for o in mix.outputs] == [
        ("master", "audio", "one"),
        ("stems", "audio", "dict"),
        ("peak_db", "value", "one"),
    ]
    assert [(o.name, o.kind) for o in single.outputs] == [("audio", "audio")]
    assert mix.inputs == (Input("bed", "audio", "one", True),)


def test_check_fills_defaults_and_finds_references() -> None:
    """Checked parameters are canonical, and references are found inside nested models."""
    checked = mix.check(json.dumps({"strips": [{"source": HASH}], "gain_db": -3}).encode(), echo)
    assert checked.params == {
        "strips": [{"source": HASH, "gain_db": 0.0, "pan": 0.0}],
        "bed": None,
        "gain_db": -3.0,
    }
    assert checked.inputs == (HASH,)


def test_bind_opens_media() -> None:
    """In the worker the resolver's value stands in the field."""
    sound = Sound()
    bound = mix.bind({"strips": [{"source": HASH}]}, lambda reference, kind: sound)
    assert bound["strips"][0].source is sound
    assert bound["gain_db"] == -6.0


def test_python_takes_values() -> None:
    """In Python the operation is the function itself, and values are named by output."""
    sound = Sound()
    assert mix.values(mix([Strip(source=sound)]))["master"] is sound
    assert single.values(single(sound)) == {"audio": sound}


@pytest.mark.parametrize(
    ("body", "pointer", "rule"),
    [
        ({"strips": [{"source": HASH}], "gain_db": 3}, "/gain_db", "less_than_equal"),
        ({"strips": [{"source": HASH}], "gain_db": "-3"}, "/gain_db", "float_type"),
        ({"strips": [{"source": HASH, "pan": 2}]}, "/strips/0/pan", "less_than_equal"),
        ({"strips": [{"source": "x.wav"}]}, "/strips/0/source", "reference"),
        ({"strips": [{"source": 7}]}, "/strips/0/source", "reference"),
        ({"strips": [], "loudness": 1}, "/loudness", "extra_forbidden"),
        ({}, "/strips", "missing"),
    ],
)
def test_a_broken_rule_is_named(body: dict[str, Any], pointer: str, rule: str) -> None:
    """Each bad value gives a pointer to the field and the rule that it breaks."""
    errors = problem(body).errors
    assert (pointer, rule) in [(error.pointer, error.rule) for error in errors]


def test_several_broken_rules_are_counted() -> None:
    """The sentence names the first and says how many more there are; the list has all."""
    error = problem({"strips": [], "gain_db": 3, "loudness": 1})
    assert error.detail.endswith("(and 1 more)")
    assert len(error.errors) == 2


def test_a_missing_asset_is_named() -> None:
    """A reference to nothing is an invalid parameter, with the resolver's sentence."""
    with pytest.raises(InvalidParameters) as caught:
        single.check(json.dumps({"sound": HASH}).encode(), none)
    assert caught.value.errors[0].message == "there is no such asset"


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": "\\u0000"}',
        b"\xff",
        b"[" * 200_000,
    ],
)
def test_unreadable_json_is_malformed(raw: bytes) -> None:
    """What is not strict JSON is refused before any schema is looked at."""
    with pytest.raises(MalformedRequest):
        read_json(raw)


def test_a_null_character_is_found_however_deep_it_lies() -> None:
    """Deeper than calls may be nested."""
    with pytest.raises(MalformedRequest, match="null character"):
        read_json(b"[" * 900 + rb'"\u0000"' + b"]" * 900)


def test_a_key_that_stands_twice_is_found_at_once() -> None:
    """Among very many others, too: whoever waits for the event loop does not notice."""
    keys = [f"{number:x}" for number in range(100_000)]
    body = "{" + ",".join(f'"{key}":0' for key in [*keys, keys[-1]]) + "}"
    started = time.process_time()
    with pytest.raises(MalformedRequest, match=f"'{keys[-1]}' stands twice"):
        read_json(body.encode())
    assert time.process_time() - started < 2  # once for each pair it took minutes


def test_an_escaped_backslash_is_no_null_character() -> None:
    """The text of an escape is harmless; only the character itself is refused."""
    assert read_json(rb'{"a": "\\u0000"}') == {"a": r"\u0000"}


def test_infinity_by_overflow_is_refused() -> None:
    """1e999 is a number in JSON and infinite in floating point: the schema refuses it."""
    with pytest.raises(InvalidParameters):
        mix.check(b'{"strips": [], "gain_db": -1e999}', echo)


def test_declarations_are_checked() -> None:
    """A bad name, a missing annotation and a wrong floor are refused at declaration."""
    with pytest.raises(ValueError, match="family"):
        operation("Mix")
    with pytest.raises(TypeError, match="no annotation"):
        operation("a.b")(lambda x: x)
    with pytest.raises(TypeError, match="loop"):

        @operation("a.b", needs=Needs(runs_on="loop"))
        def not_async(x: int) -> int:
            """Not a coroutine."""
            return x
