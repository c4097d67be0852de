"""mixdoc.mjs, which consoles read and change documents with, against the server's own reading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
import quickjs

from backend.plugins.mixer import document, inserts
from backend.plugins.mixer.nodes import gather

FILE: Final = Path(__file__).parents[2] / "backend" / "studio" / "mixdoc.mjs"
TRACKS: Final = {f"track_{n}": f"blake3:{n}" * 8 for n in range(1, 9)}


class Page:
    """The module in an interpreter without a page around it."""

    def __init__(self) -> None:
        self._context = quickjs.Context()
        names = "read, tracksOf, changeStrip, playable, position, valueAt, typed, inWords"
        text = FILE.read_text("utf-8")
        self._context.module(f"{text}\nglobalThis.doc = {{ {names}, STRIP, MASTER, SECTIONS }};")

    def ask(self, expression: str, *given: Any) -> Any:
        """What *expression*, a function of *given*, makes, as JSON."""
        called = f"JSON.stringify(({expression})({', '.join(map(json.dumps, given))}) ?? null)"
        return json.loads(self._context.eval(called))


@pytest.fixture(scope="module")
def page() -> Page:
    return Page()


@pytest.mark.parametrize(
    "strips",
    [
        [],
        [{"id": "a"}, {"id": "b"}],
        [{"id": "track_2"}, {"id": "x"}, {"id": "track_1"}],
        [{"id": "track_5"}],
        [{"id": "track_3"}, {"id": "track_9"}, {"id": "a"}],
        [{"id": "track_8"}, {"id": "b"}, {"id": "track_2"}, {"id": "d"}],
        [{"id": f"s{n}"} for n in range(10)],
    ],
)
@pytest.mark.parametrize("linked", [(1,), (2,), (1, 2), (1, 3, 5), tuple(range(1, 9))])
def test_a_track_has_the_strip_that_the_server_gives_it(
    page: Page, strips: list[dict[str, str]], linked: tuple[int, ...]
) -> None:
    """A console turns the strip that the render of the same document turns."""
    given = {f"track_{n}": TRACKS[f"track_{n}"] for n in linked}
    mixed = gather({"mix": {"strips": strips}, **given})["mix"]["strips"]
    theirs = {each["source"]: each["id"] for each in mixed}
    pairs = page.ask("(strips) => [...doc.tracksOf({strips})]", strips)
    ours = {
        TRACKS[f"track_{track}"]: strips[index]["id"] for track, index in pairs if track in linked
    }
    added = {source: name for name, source in TRACKS.items() if name in given}
    assert {**added, **ours} == theirs


def test_controls_have_the_ranges_and_defaults_of_the_document(page: Page) -> None:
    """What may be typed is what the server takes, and the default is the same."""
    controls = page.ask("() => ({strip: doc.STRIP, master: doc.MASTER})")
    schemas = {
        "strip": document.Strip.model_json_schema(),
        "master": document.Master.model_json_schema(),
    }
    for place, held in controls.items():
        schema = schemas[place]
        for control in held.values():
            numbers = _numbers(schema, control["path"])
            low, high = control.get("low", control["min"]), control.get("high", control["max"])
            assert (low, high) == (numbers["minimum"], numbers["maximum"]), control["label"]
            if numbers["default"] is not None:
                assert control["value"] == numbers["default"], control["label"]


def _numbers(schema: Any, path: list[str]) -> dict[str, Any]:
    """Range and default of the number at *path*."""
    definitions = schema["$defs"]
    held: Any = schema
    default = None
    for name in path:
        held = held["properties"][name]
        default = held.get("default")
        while "$ref" in held or ("anyOf" in held and "minimum" not in held):
            inner = held["anyOf"][0] if "anyOf" in held else held
            held = definitions[inner["$ref"].rpartition("/")[2]] if "$ref" in inner else inner
    return {"minimum": held["minimum"], "maximum": held["maximum"], "default": default}


def test_sections_come_on_as_the_server_has_them(page: Page) -> None:
    """An empty section in the document is one with the server's defaults."""
    sections = page.ask("() => doc.SECTIONS")
    assert sections == {"gate": {}, "compressor": {}, "limiter": {}, "drive": 0.5}
    inserts.Gate.model_validate(sections["gate"])
    inserts.Compressor.model_validate(sections["compressor"])
    inserts.Limiter.model_validate(sections["limiter"])


def test_a_slider_has_a_decibel_law(page: Page) -> None:
    """Places and values are each other's inverse, 0 dB is high up, the ends are the ends."""
    fader = page.ask("() => [0, 0.8, 1].map((at) => doc.valueAt(doc.STRIP.fader, at))")
    assert fader == [-120, 0, 12]
    for db in (-120, -61.5, -60, -20, -3.2, 0, 7, 12):
        back = page.ask(
            "(db) => doc.valueAt(doc.STRIP.fader, doc.position(doc.STRIP.fader, db))", db
        )
        assert back == pytest.approx(db)


@pytest.mark.parametrize(
    ("control", "text", "value"),
    [
        ("fader", "-6", -6),
        ("fader", "−6,5 dB", -6.5),
        ("fader", "+ 3", 3),
        ("fader", "-inf", -120),
        ("fader", "−∞ dB", -120),
        ("fader", "99", 24),
        ("fader", "loud", None),
        ("pan", "left 20 %", -0.2),
        ("pan", "L30", -0.3),
        ("pan", "r100", 1),
        ("pan", "-0.25", -0.25),
        ("pan", "centre", 0),
    ],
)
def test_typed_values_are_understood(
    page: Page, control: str, text: str, value: float | None
) -> None:
    """People type values as they are shown, or shorter; they are kept in range."""
    assert page.ask("(name, text) => doc.typed(doc.STRIP[name], text)", control, text) == value


def test_what_is_shown_can_be_typed(page: Page) -> None:
    """A value in words, typed again, is the value."""
    for control, value in (("fader", -120), ("fader", -7.3), ("pan", -0.35), ("pan", 0.5)):
        shown = "(name, value) => doc.typed(doc.STRIP[name], doc.inWords(doc.STRIP[name], value))"
        assert page.ask(shown, control, value) == value


def test_a_document_is_played_without_what_cannot_be_had(page: Page) -> None:
    """Automation that lies in an asset stands at its default; breakpoints are played; strips are
    those of the tracks that are heard, in their order."""
    points = {"points": [[0, -6], [1, 0]]}
    strips = [
        {"id": "b", "fader_db": "blake3:ab", "pan": 0.5},
        {"id": "track_1", "fader_db": points, "compressor": {"threshold_db": "ast_1", "ratio": 2}},
    ]
    doc = {"strips": strips, "master": {"drive": "ast_2", "width": 0.5}}
    made = page.ask("(given) => doc.playable(given, [1, 3, 2])", doc)
    assert made["strips"] == [
        {"id": "track_1", "fader_db": points, "compressor": {"ratio": 2}},
        {"id": "track_3"},
        {"id": "track_2"},
    ]
    assert made["master"] == {"width": 0.5}
