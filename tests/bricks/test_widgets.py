"""Widgets: what a parameter looks like on a node, and how values find back to parameters."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Le, Len
from pydantic import Field

from backend.bricks import widgets
from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.media.image import Image
from backend.operations import Model, Operation, operation
from backend.units import Decibels, Milliseconds


class Band(Model):
    gain_db: Annotated[Decibels, Ge(-24), Le(24)] = 0.0
    key: Audio | None = None


class Bus(Model):
    level_db: Annotated[Decibels, Ge(-60), Le(12)] = Field(0.0, description="The fader.")
    band: Band = Band()


@operation("trial.every")
def every(
    voice: Audio,
    cover: Image | None = None,
    steps: Annotated[int, Ge(1), Le(50)] = 20,
    attack_ms: Annotated[Milliseconds, Ge(0)] = 10.0,
    mode: Literal["fast", "fine"] = "fine",
    loud: bool = True,
    label: str = "take 1",
    seed: int | None = None,
    bus: Bus = Bus(level_db=-3.0),  # noqa: B008 (frozen)
    pairs: dict[str, float] | None = None,
    sources: Annotated[list[Audio], Len(0, 3)] = [],  # noqa: B006 (never changed)
) -> Audio:
    """Every form of parameter."""
    return voice


def slots(of: Operation[..., Any] = every) -> dict[str, widgets.Slot]:
    return {slot.name: slot for slot in widgets.slots_of(of.json_schema())}


def place(given: dict[str, Any]) -> dict[str, Any]:
    """Assemble with media slots that hold lists of references."""
    return widgets.assemble(list(slots().values()), given, lambda slot, value: value)


def test_every_parameter_becomes_its_widget():
    """Types, ranges, defaults, choices and tooltips come from the declaration."""
    found = slots()
    assert found["steps"].spec() == ("INT", {"default": 20, "min": 1, "max": 50, "step": 1})
    kind, options = found["attack_ms"].spec()
    assert (kind, options["min"], options["default"]) == ("FLOAT", 0, 10.0)
    assert options["max"] > 2048 and options["tooltip"] == "[ms]"
    assert found["mode"].spec() == (["fast", "fine"], {"default": "fine"})
    assert found["loud"].spec() == ("BOOLEAN", {"default": True})
    assert found["label"].spec() == ("STRING", {"default": "take 1"})
    assert found["pairs"].is_json and found["pairs"].type == "STRING"


def test_media_are_slots_and_only_what_has_no_default_is_required():
    """Sound and pictures are links; optional ones may stay open."""
    found = slots()
    assert (found["voice"].type, found["voice"].required) == ("AUDIO", True)
    assert (found["cover"].type, found["cover"].required) == ("IMAGE", False)
    assert widgets.input_types(list(found.values()))["required"].keys() == {"voice"}


def test_what_may_be_none_is_a_slot_that_can_stay_open():
    """A widget always has a value, so an optional number is a slot."""
    assert slots()["seed"].options["forceInput"] is True


def test_nested_models_are_flattened_with_the_parameter_s_own_default():
    """``bus.level_db`` becomes ``bus_level_db``, with the default of this parameter."""
    found = slots()
    assert found["bus_level_db"].options["default"] == -3.0
    assert found["bus_level_db"].options["tooltip"] == "The fader. [dB]"
    assert found["bus_band_gain_db"].path == ("bus", "band", "gain_db")
    assert found["bus_band_key"].kind == "audio"


def test_a_list_of_media_becomes_numbered_slots():
    """As many as the list may have items, at most eight."""
    assert [name for name in slots() if name.startswith("sources")] == [
        "sources_1",
        "sources_2",
        "sources_3",
    ]


def test_values_find_back_to_their_parameters():
    """Nested values, JSON, gaps in lists and batches: what the operation would be called with."""
    assert place(
        {
            "voice": ["v"],
            "steps": 3,
            "bus_band_gain_db": -6.0,
            "pairs": '{"a": 1.5}',
            "sources_1": ["x", "y"],
            "sources_3": ["z"],
        }
    ) == {
        "voice": "v",
        "steps": 3,
        # the fader is not given: it is what its widget shows, not what the model would take
        "bus": {"level_db": -3.0, "band": {"gain_db": -6.0}},
        "pairs": {"a": 1.5},
        "sources": ["x", "y", "z"],
    }


def test_an_item_of_a_list_of_models_counts_only_if_it_is_linked():
    """Widgets of tracks that are not linked are left out; the others move together."""

    class Track(Model):
        source: Audio
        gain_db: Decibels = 0.0

    @operation("trial.tracks")
    def tracks(tracks: list[Track]) -> Audio:
        """Tracks."""
        return tracks[0].source

    # the class is local, so its name cannot be looked up
    tracks.function.__annotations__.update(tracks=list[Track], **{"return": Audio})
    given = {"tracks_1_gain_db": 1.0, "tracks_2_source": ["s"], "tracks_2_gain_db": 2.0}
    found = widgets.slots_of(tracks.json_schema())
    assert len(found) == 16
    assert widgets.assemble(found, given, lambda slot, value: value) == {
        "tracks": [{"source": "s", "gain_db": 2.0}]
    }
    assert widgets.input_at(found, given, "/tracks/0/gain_db") == "tracks_2_gain_db"


@pytest.mark.parametrize(
    ("pointer", "name"),
    [
        ("/steps", "steps"),
        ("/bus/band/gain_db", "bus_band_gain_db"),
        ("/bus/level_db", "bus_level_db"),
        ("/pairs/a", "pairs"),
        ("/sources/1", "sources_3"),
        ("/sources", "sources_1"),
        ("/nowhere", None),
        ("", None),
    ],
)
def test_a_mistake_in_a_parameter_is_found_at_its_slot(pointer: str, name: str | None):
    """An error's pointer leads back to the widget or slot; the second linked item may be slot 3."""
    given = {"sources_1": ["x"], "sources_3": ["y"]}
    assert widgets.input_at(widgets.slots_of(every.json_schema()), given, pointer) == name


def test_a_text_that_is_not_json_is_refused_by_name():
    """The place of the mistake is named."""
    with pytest.raises(InvalidParameters, match="pairs is not JSON") as caught:
        place({"pairs": "{"})
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [("/pairs", "json")]
