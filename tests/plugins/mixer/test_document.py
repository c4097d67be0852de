"""`MixDoc`: its neutral form, its rules and where they point, its published schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from backend.errors import InvalidParameters
from backend.media.breakpoints import AUTOMATABLE
from backend.plugins.mixer import operations

REFERENCE = "blake3:" + "0" * 64
CURVE = "blake3:" + "1" * 64


def same(reference: str, kind: str) -> str:
    """A resolver that knows every asset."""
    return reference


def strip(**more: Any) -> dict[str, Any]:
    return {"id": "a", "source": REFERENCE, **more}


def refused(mix: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidParameters) as caught:
        operations.mix.check({"mix": mix}, same)
    return [(error.pointer, error.rule) for error in caught.value.errors]


def test_the_smallest_document_is_neutral() -> None:
    """One strip with its id and source is enough; in the canonical form no section is on, and
    every gain is 0 dB."""
    checked = operations.mix.check({"mix": {"strips": [strip()]}}, same)
    assert checked.inputs == (REFERENCE,)
    mix = checked.params["mix"]
    (made,) = mix["strips"]
    assert (made["gate"], made["compressor"], made["delay"], made["sends"]) == (
        None,
        None,
        None,
        [],
    )
    assert (made["fader_db"], made["pan"], made["mute"], made["solo"]) == (0.0, 0.0, False, False)
    bands = [made["eq"][band]["gain_db"] for band in ("low", "mid", "high")]
    assert bands == [0.0, 0.0, 0.0]
    assert made["eq"]["high_pass_hz"] is made["eq"]["low_pass_hz"] is None
    off = ("high_pass_hz", "drive", "low_pass_hz", "gate", "compressor", "limiter")
    assert [mix["master"][each] for each in off] == [None] * 6
    assert (mix["master"]["width"], mix["master"]["volume_db"]) == (1.0, 0.0)
    assert mix["version"] == 1


def test_the_canonical_form_is_its_own_canonical_form() -> None:
    """What a check fills in passes the check again, unchanged."""
    mix = {
        "strips": [strip(gate={}, compressor={"key": "strip:a"}, delay={}, sends=[{"bus": "b"}])],
        "buses": [{"id": "b"}],
        "master": {"drive": 0.5, "limiter": {}, "gate": {}, "compressor": {}},
    }
    once = operations.mix.check({"mix": mix}, same).params
    assert operations.mix.check(once, same).params == once


def test_automation_is_an_input_of_the_job() -> None:
    """The reference of an automation is found wherever a parameter may move."""
    mix = {"strips": [strip(fader_db=CURVE)], "master": {"drive": CURVE}}
    checked = operations.mix.check({"mix": mix}, same)
    assert checked.inputs == (REFERENCE, CURVE)
    assert checked.params["mix"]["strips"][0]["fader_db"] == CURVE


@pytest.mark.parametrize(
    ("more", "place", "rule"),
    [
        ({"fader_db": 25}, "/fader_db", "less_than_equal"),
        ({"fader_db": {"points": [[0, 0], [1, 25]]}}, "/fader_db/points/1/1", "range"),
        ({"fader_db": {"points": [[1, 0], [1, 1]]}}, "/fader_db/points/1/0", "times"),
        ({"pan": -1.5}, "/pan", "greater_than_equal"),
        ({"volume": 1}, "/volume", "extra_forbidden"),
        ({"id": "a b"}, "/id", "string_pattern_mismatch"),
        ({"compressor": {"ratio": 0.5}}, "/compressor/ratio", "greater_than_equal"),
        ({"compressor": {"key": "a"}}, "/compressor/key", "string_pattern_mismatch"),
        ({"compressor": {"key": "strip:b"}}, "/compressor/key", "unknown_strip"),
        ({"delay": {"echoes": 17}}, "/delay/echoes", "less_than_equal"),
        ({"gate": {"hold_ms": {"points": [[0, 5001]]}}}, "/gate/hold_ms/points/0/1", "range"),
        ({"compressor": {"lookahead_ms": 51}}, "/compressor/lookahead_ms", "less_than_equal"),
        ({"delay": {"time_s": {"points": [[0, 0]]}}}, "/delay/time_s/points/0/1", "range"),
        ({"delay": {"echoes": {"points": [[0, 4]]}}}, "/delay/echoes", "int_type"),
        ({"delay": {"feedback": 1.0}}, "/delay/feedback", "less_than_equal"),
        ({"eq": {"low": {"q": 0}}}, "/eq/low/q", "greater_than_equal"),
        ({"sends": [{"bus": "hall"}]}, "/sends/0/bus", "unknown_bus"),
        ({"source": "nothing"}, "/source", "reference"),
    ],
)
def test_a_broken_rule_of_a_strip_is_named_by_its_place(
    more: dict[str, Any], place: str, rule: str
) -> None:
    """A value out of range, an unknown name, a missing source: the pointer names each."""
    assert refused({"strips": [strip(**more)]}) == [(f"/mix/strips/0{place}", rule)]


@pytest.mark.parametrize(
    ("mix", "place", "rule"),
    [
        ({"strips": []}, "/strips", "too_short"),
        ({"strips": [strip(id=f"s{n}") for n in range(33)]}, "/strips", "too_long"),
        ({"strips": [strip(), strip()]}, "/strips/1/id", "doubled"),
        ({"strips": [strip()], "buses": [{"id": "a"}]}, "/buses/0/id", "doubled"),
        ({"strips": [strip()], "buses": [{"id": f"b{n}"} for n in range(5)]}, "/buses", "too_long"),
        ({"strips": [strip()], "version": 2}, "/version", "literal_error"),
        ({"strips": [strip()], "sample_rate": 7999}, "/sample_rate", "greater_than_equal"),
        ({"strips": [strip()], "master": {"width": 3}}, "/master/width", "less_than_equal"),
        (
            {"strips": [strip()], "master": {"compressor": {"key": "strip:x"}}},
            "/master/compressor/key",
            "unknown_strip",
        ),
        (
            {"strips": [strip()], "buses": [{"id": "b", "sends": [{"bus": "b"}]}]},
            "/buses/0/sends",
            "extra_forbidden",
        ),
    ],
)
def test_a_broken_rule_of_a_document_is_named_by_its_place(
    mix: dict[str, Any], place: str, rule: str
) -> None:
    """Too many strips or buses, doubled ids, another version, a key that leads nowhere, and a bus
    that would send on (which is how a circle could begin)."""
    assert refused(mix) == [(f"/mix{place}", rule)]


def test_every_broken_rule_is_told_at_once() -> None:
    """Doubled ids, unknown buses and unknown strips are found together."""
    bad = strip(sends=[{"bus": "hall"}], compressor={"key": "strip:x"})
    assert refused({"strips": [strip(), bad]}) == [
        ("/mix/strips/1/id", "doubled"),
        ("/mix/strips/1/sends/0/bus", "unknown_bus"),
        ("/mix/strips/1/compressor/key", "unknown_strip"),
    ]


def test_the_schema_of_the_operation_shows_the_document() -> None:
    """Callers see strips, ranges and units, and that a number may be a curve."""
    schema = operations.mix.json_schema()
    assert {"Strip", "Bus", "Master", "Compressor", "MixDoc"} <= schema["$defs"].keys()
    number, points, curve = schema["$defs"]["Strip"]["properties"]["fader_db"]["anyOf"]
    assert (number["unit"], number["minimum"], number["maximum"]) == ("dB", -120.0, 24.0)
    assert points["properties"]["points"]["items"]["prefixItems"][1]["maximum"] == 24.0
    assert curve["x-kino-media"] == "automation"


COUNTS: Final = {"sample_rate", "strips[].delay.echoes", "buses[].delay.echoes"}
"""Whole numbers, which cannot move by halves."""


def numbers(schema: dict[str, Any], place: str, defs: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Every number in a JSON schema by its place, and whether it may move."""
    if schema.get(AUTOMATABLE):
        yield place, True
    elif "$ref" in schema:
        yield from numbers(defs[schema["$ref"].rpartition("/")[2]], place, defs)
    elif schema.get("type") in ("number", "integer") and "const" not in schema:
        yield place, False
    for each in () if schema.get(AUTOMATABLE) else schema.get("anyOf", ()):
        yield from numbers(each, place, defs)
    for name, each in schema.get("properties", {}).items():
        yield from numbers(each, f"{place}.{name}".removeprefix("."), defs)
    if "items" in schema:
        yield from numbers(schema["items"], f"{place}[]", defs)


def test_every_number_may_move_but_counts() -> None:
    """Walk through all models: each number of a mix is a number or an automation, but for the rate
    and the number of echoes."""
    schema = operations.mix.json_schema()
    found = dict(numbers(schema["$defs"]["MixDoc"], "", schema["$defs"]))
    assert {place for place, moves in found.items() if not moves} == COUNTS
    every = (
        "compressor.hold_ms",
        "gate.lookahead_ms",
        "delay.time_s",
        "eq.mid.q",
        "sends[].gain_db",
    )
    assert {f"strips[].{each}" for each in every} < found.keys()
    assert {"master.limiter.release_ms", "master.drive", "buses[].delay.time_s"} < found.keys()
    assert len(found) > 60


def test_every_number_of_a_duck_may_move() -> None:
    """mixer.duck has no number that an automation could not drive."""
    schema = operations.duck.json_schema()
    found = dict(numbers(schema, "", schema.get("$defs", {})))
    assert set(found.values()) == {True}
    assert {"hold_ms", "lookahead_ms", "knee_db", "range_db"} < found.keys()
