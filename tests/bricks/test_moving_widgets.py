"""Widgets and sockets of parameters that may move, and of curves."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

import pytest
from annotated_types import Ge, Le

from backend.bricks import assembling, sockets, widgets
from backend.media.automation import Automation
from backend.media.breakpoints import Continuous
from backend.media.rates import FrameRate
from backend.operations import Model, operation
from backend.units import Decibels

Gain = Continuous[Annotated[Decibels, Ge(-120), Le(24)]]


class Strip(Model):
    fader_db: Gain = -3.0


@operation("trial.fade")
def fade(
    strip: Strip = Strip(),  # noqa: B008 (frozen)
    top_db: Gain | None = None,
    fps: FrameRate = Fraction(24),
) -> float:
    """Fade."""
    return 0.0


def slots() -> dict[str, widgets.Slot]:
    return {slot.name: slot for slot in widgets.slots_of(fade.json_schema())}


def test_a_parameter_that_may_move_is_a_number_whose_socket_takes_curves():
    """A FLOAT widget with range, unit and default, on a socket for FLOAT and AUTOMATION."""
    kind, options = slots()["strip_fader_db"].spec()
    assert kind == "FLOAT,AUTOMATION"
    assert options["widgetType"] == "FLOAT"
    assert (options["default"], options["min"], options["max"]) == (-3.0, -120, 24)
    assert options["tooltip"] == "[dB]"
    assert slots()["top_db"].options["forceInput"] is True


def test_a_number_stays_a_number_and_a_curve_becomes_a_reference():
    """What is typed is placed as it is; what is linked goes through the media of the call."""
    asked = []

    def media(slot: widgets.Slot, value: object) -> list[str]:
        asked.append((slot.kind, value))
        return ["the reference"]

    curve = sockets.to_socket(Automation.from_values([1, 2], 24))
    given = {"strip_fader_db": curve, "top_db": -6}
    placed = assembling.assemble(list(slots().values()), given, media)
    assert placed == {"strip": {"fader_db": "the reference"}, "top_db": -6}
    assert asked == [("automation", curve)]


def test_a_frame_rate_is_a_text():
    """A fraction can be typed without quotes."""
    assert slots()["fps"].spec() == ("STRING", {"default": "24", "tooltip": "[frames/s]"})


def test_a_curve_is_a_list_of_numbers_that_knows_its_rate():
    """Other nodes read a list of float; ours get the automation back."""
    automation = Automation.from_values([0.5, 1.0], "24000/1001")
    curve = sockets.to_socket(automation)
    assert isinstance(curve, list) and curve == [0.5, 1.0]
    assert type(curve[0]) is float
    assert sockets.from_socket("automation", curve) == [automation]
    assert sockets.OUTPUT_TYPES["automation"].split(",") == ["AUTOMATION", "FLOAT", "FLOAT_LIST"]


def test_a_list_of_others_has_no_rate():
    """It is refused with the node that gives it one, unless the slot is for lists of any rate."""
    with pytest.raises(ValueError, match="KinoFloatsToAutomation"):
        sockets.from_socket("automation", [1.0, 2.0])
    (taken,) = sockets.from_socket(sockets.NUMBERS, [1, 2.0])
    assert (taken.values.tolist(), taken.frame_rate) == ([1.0, 2.0], 24)
