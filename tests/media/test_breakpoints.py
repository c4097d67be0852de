"""Parameters that may move: a number, breakpoints or an automation."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic_core import PydanticSerializationError

from backend.errors import InvalidParameters
from backend.media.automation import Automation
from backend.media.breakpoints import AUTOMATABLE, Breakpoints, Continuous
from backend.operations import Model, operation
from backend.units import Decibels

REFERENCE = "blake3:" + "0" * 64
Gain = Continuous[Annotated[Decibels, Ge(-120), Le(24)]]


class Strip(Model):
    fader_db: Gain = 0.0
    send_db: Gain | None = None


@operation("trial.moving")
def moving(
    strips: list[Strip],
    level: Continuous[Annotated[float, Ge(-0.1), Lt(2)]] = 0.0,
    above: Continuous[Annotated[float, Gt(0)]] = 1.0,
) -> int:
    """Count strips."""
    return len(strips)


def same(reference: str, kind: str) -> str:
    assert kind == "automation"
    return reference


def check(strip: dict[str, Any], **more: Any) -> Any:
    return moving.check({"strips": [{"send_db": None}, strip], **more}, same)


def curve(*values: float) -> Automation:
    return Automation.from_values(list(values), 24)


def test_the_three_forms_pass_the_door_and_come_back_in_the_worker():
    """Numbers, breakpoints and references are kept in JSON; the worker opens the reference."""
    points = {"points": [[0, -60], [2.5, 0]]}
    checked = check({"fader_db": points, "send_db": REFERENCE}, level=1)
    assert checked.inputs == (REFERENCE,)
    assert checked.params["strips"][1] == {
        "fader_db": {"points": [[0.0, -60.0], [2.5, 0.0]]},
        "send_db": REFERENCE,
    }
    assert checked.params["level"] == 1.0
    bound = moving.bind(checked.params, lambda reference, kind: curve(0, -6))
    strip = bound["strips"][1]
    assert strip.fader_db == Breakpoints(points=[(0.0, -60.0), (2.5, 0.0)])
    np.testing.assert_array_equal(strip.send_db.values, [0, -6])
    assert bound["strips"][0] == Strip(fader_db=0.0)


@pytest.mark.parametrize(
    ("value", "pointer", "rule"),
    [
        (25, "", "less_than_equal"),
        (-121.0, "", "greater_than_equal"),
        ("loud", "", "float_type"),
        (True, "", "float_type"),
        ([1], "", "float_type"),
        ({}, "/points", "missing"),
        ({"points": []}, "/points", "too_short"),
        ({"points": [[0, 0]] * 10_001}, "/points", "too_long"),
        ({"points": [[0, 1, 2]]}, "/points/0", "too_long"),
        ({"points": [[0, 1], ["1", 2]]}, "/points/1/0", "float_type"),
        ({"points": [[-1, 0]]}, "/points/0/0", "greater_than_equal"),
        ({"points": [[0, 0], [2, 0], [2, 1]]}, "/points/2/0", "times"),
        ({"points": [[0, 0], [2, 0], [1, 1]]}, "/points/2/0", "times"),
        ({"points": [[0, 0], [1, 24.5]]}, "/points/1/1", "range"),
        ({"points": [[0, 0]], "curve": "smooth"}, "/curve", "extra_forbidden"),
    ],
)
def test_a_broken_rule_is_named_by_its_place(value: object, pointer: str, rule: str):
    """Each wrong number, time and form has its pointer, within the strip that it stands in."""
    with pytest.raises(InvalidParameters) as caught:
        check({"fader_db": value})
    found = [(each.pointer, each.rule) for each in caught.value.errors]
    assert found == [("/strips/1/fader_db" + pointer, rule)]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ((0, 30), "Value 1 of the automation is 30.0, not at most 24"),
        ((-130, 0), "Value 0 of the automation is -130.0, not at least -120"),
        ((), "holds no value"),
    ],
)
def test_an_automation_is_held_against_the_range_in_the_worker(value: Any, told: str):
    """The values are known only there; the pointer is that of the parameter."""
    checked = check({"fader_db": REFERENCE})
    with pytest.raises(InvalidParameters, match=told) as caught:
        moving.bind(checked.params, lambda reference, kind: curve(*value))
    assert [each.pointer for each in caught.value.errors] == ["/strips/1/fader_db"]


def test_a_limit_that_float32_rounds_is_still_met():
    """-0.1 is below -0.1 once it is float32; an automation of -0.1 must pass 'at least -0.1'."""
    moving.bind({"strips": [], "level": REFERENCE}, lambda reference, kind: curve(-0.1, 1.9))
    for wrong in ({"level": [2.0]}, {"above": [0.0]}):
        ((name, values),) = wrong.items()
        with pytest.raises(InvalidParameters, match=r"below 2|above 0"):
            moving.bind(
                {"strips": [], name: REFERENCE}, lambda reference, kind, v=values: curve(*v)
            )


def test_in_python_a_field_takes_the_values_themselves():
    """Breakpoints and automations are given as they are; wrong ones are refused there too."""
    moved = curve(0)
    assert Strip(fader_db=moved).fader_db is moved
    with pytest.raises(ValueError, match="30"):
        Strip(fader_db=Breakpoints(points=[(0, 30)]))
    with pytest.raises(PydanticSerializationError, match="upload it first"):
        Strip(fader_db=curve(0)).model_dump(mode="json")


def test_the_schema_offers_the_three_forms_with_range_and_unit():
    """A number, points whose values have its range, a reference; told apart by a keyword."""
    field = moving.json_schema()["$defs"]["Strip"]["properties"]["fader_db"]
    number, points, reference = field["anyOf"]
    assert number == {"type": "number", "minimum": -120, "maximum": 24, "unit": "dB"}
    assert points["properties"]["points"]["items"]["prefixItems"][1] == number
    assert reference["x-kino-media"] == "automation"
    assert (field[AUTOMATABLE], field["unit"], field["default"]) == (True, "dB", 0.0)
