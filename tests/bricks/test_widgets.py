"""Widgets: what a parameter looks like on a node, and how values find back to parameters."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Le, Len
from pydantic import ConfigDict, Field

from backend.bricks import assembling, widgets
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
    return assembling.assemble(list(slots().values()), given, lambda slot, value: value)


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
    assert assembling.assemble(found, given, lambda slot, value: value) == {
        "tracks": [{"source": "s", "gain_db": 2.0}]
    }
    assert assembling.input_at(found, given, "/tracks/0/gain_db") == "tracks_2_gain_db"


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
    assert assembling.input_at(widgets.slots_of(every.json_schema()), given, pointer) == name


def test_a_text_that_is_not_json_is_refused_by_name():
    """The place of the mistake is named."""
    with pytest.raises(InvalidParameters, match="pairs is not JSON") as caught:
        place({"pairs": "{"})
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [("/pairs", "json")]


@pytest.mark.parametrize("value", [0.0, -1.0, "x", object()])
def test_what_a_conversion_does_not_know_is_refused_by_name(value: Any) -> None:
    """Over a link anything may come, zero where a logarithm is taken, too."""
    slot = widgets.Slot(
        "knob", ("gain_db",), "FLOAT", {"min": 0.001, "max": 10.0}, convert=math.log10
    )
    for arrange in (assembling.assemble, assembling.by_name):
        with pytest.raises(InvalidParameters, match=r"from 0\.001 to 10") as caught:
            arrange([slot], {"knob": value}, lambda slot, value: [])
        assert [(each.pointer, each.rule) for each in caught.value.errors] == [("/knob", "value")]
    assert assembling.assemble([slot], {"knob": 10.0}, lambda slot, value: []) == {"gain_db": 1.0}


class Item(Model):
    source: Audio
    level_db: Annotated[Decibels, Ge(-60), Le(12)] = 0.0


class Document(Model):
    """Items, as one document."""

    model_config = ConfigDict(json_schema_extra={widgets.DOCUMENT: True})

    items: Annotated[list[Item], Len(1, 3)]
    about: str = ""


@operation("trial.document")
def document(doc: Document) -> Audio:
    """A document as a parameter."""
    return doc.items[0].source


def test_a_document_is_one_text_and_a_slot_for_each_medium():
    """No widget for a field of it; what is linked lies over what the text says, item by item."""
    found = slots(document)
    assert list(found) == ["doc_items_1_source", "doc_items_2_source", "doc_items_3_source", "doc"]
    assert found["doc"].spec() == (
        "STRING", {"default": "", "multiline": True, "tooltip": "Items, as one document. (JSON)"},
    )  # fmt: skip
    text = '{"about": "x", "items": [{"source": "own", "level_db": 1}, {"level_db": 2}]}'
    given = {"doc": text, "doc_items_2_source": ["b"], "doc_items_3_source": ["c"]}
    made = assembling.assemble(list(found.values()), given, lambda slot, value: value)
    items = [{"source": "own", "level_db": 1}, {"level_db": 2, "source": "b"}, {"source": "c"}]
    assert made == {"doc": {"about": "x", "items": items}}
    at = lambda pointer: assembling.input_at(list(found.values()), given, pointer)  # noqa: E731
    assert at("/doc/items/1/level_db") == "doc"
    assert at("/doc/about") == "doc"


def test_what_is_not_listed_is_answered_and_checked():
    """An input that older graphs give is not shown; its type and range are checked here."""
    knob = widgets.Slot("vol", ("level",), "FLOAT", {"min": 0.0, "max": 1.5}, listed=False)
    shown = widgets.Slot("pan", ("pan",), "FLOAT", {})
    optional = widgets.input_types([knob, shown])["optional"]
    assert (list(optional), "vol" in optional, optional["vol"][0]) == (["pan"], True, "FLOAT")
    assert json.loads(json.dumps(optional)) == {"pan": ["FLOAT", {}]}

    def taken(value: Any) -> Any:
        return assembling.by_name([knob], {"vol": value}, lambda slot, value: value)

    assert (taken("1.25"), taken(None), taken(0)) == ({"vol": 1.25}, {}, {"vol": 0.0})
    for value, rule in ((1.6, "maximum"), (-1, "minimum"), ("x", "type"), ([1], "type")):
        with pytest.raises(InvalidParameters) as caught:
            taken(value)
        assert [(e.pointer, e.rule) for e in caught.value.errors] == [("/vol", rule)]
