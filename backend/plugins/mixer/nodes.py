"""Nodes of the mixer under their older names.

Knows: names, slots, widget ranges, and what an older graph gives.
Does not know: ComfyUI (``bricks.nodes`` builds the node), nor the arithmetic.

``InternodeAudioMixer`` and ``InternodeAudioMixer8`` stand in front of ``mixer.mix``. The editor
shows their tracks and one ``mix``, a document (`MixDoc`) whose strips take the linked tracks in
order; a strip without a track is left out. Older graphs hold a knob each instead (``knobs``); they
are heard as long as ``mix`` is empty.

``InternodeSidechain`` stands in front of ``mixer.duck``:

============  =============  =======  ============  ==================
knob          range          default  parameter     conversion
============  =============  =======  ============  ==================
threshold     .001 … .5      .02      threshold_db  20 log10(knob)
ratio         1.1 … 20       4        ratio         none
attack        .01 … 1 s      .1       attack_ms     1000 knob
release       .01 … 2 s      .5       release_ms    1000 knob
makeup_gain   1 … 2          1        makeup_db     20 log10(knob)
============  =============  =======  ============  ==================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from backend.plugins import NodeInput, NodeShape, refused

from . import knobs
from .knobs import TRACKS, Knob, linear_to_db


def seconds_to_ms(seconds: float) -> float:
    """Seconds in milliseconds."""
    return 1000.0 * seconds


def _slider(default: float, low: float, high: float, step: float) -> dict[str, object]:
    return {"default": default, "min": low, "max": high, "step": step, "display": "slider"}


SIDECHAIN: Final = NodeShape(
    node_id="InternodeSidechain",
    operation="mixer.duck",
    display_name="Sidechain Ducker",
    category="Kino/mixer",
    inputs=(
        NodeInput("music", "music", "AUDIO"),
        NodeInput("voice", "voice", "AUDIO"),
        NodeInput(
            "threshold", "threshold_db", "FLOAT", _slider(0.02, 0.001, 0.5, 0.001), linear_to_db
        ),
        NodeInput("ratio", "ratio", "FLOAT", _slider(4.0, 1.1, 20.0, 0.1)),
        NodeInput("attack", "attack_ms", "FLOAT", _slider(0.1, 0.01, 1.0, 0.01), seconds_to_ms),
        NodeInput("release", "release_ms", "FLOAT", _slider(0.5, 0.01, 2.0, 0.01), seconds_to_ms),
        NodeInput("makeup_gain", "makeup_db", "FLOAT", _slider(1.0, 1.0, 2.0, 0.01), linear_to_db),
    ),
    outputs=(("ducked_music", "audio"),),
)


def gather(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of ``mixer.mix`` for what came into an ``InternodeAudioMixer``.

    Raises `InvalidParameters` if nothing is linked, and if both a document and knobs are given.
    """
    tracks = {n: given[f"track_{n}"] for n in range(1, TRACKS + 1) if f"track_{n}" in given}
    document = given.get("mix")
    if document is None:
        strips = [knobs.strip(number, source, given) for number, source in tracks.items()]
        document = {"strips": strips, "master": knobs.master(given)}
    else:
        _refuse_knobs(given)
        document = _with_tracks(document, tracks)
    if not document.get("strips"):
        raise refused("/track_1", "missing", "link at least one track")
    return {"mix": document}


def _refuse_knobs(given: Mapping[str, Any]) -> None:
    older = [name for name in given if name != "mix" and not name.startswith("track_")]
    if older:
        told = "it belongs to the older form; with a document in mix, turn it there"
        raise refused(f"/{older[0]}", "two_forms", f"{older[0]}: {told}")


_TRACK_IDS: Final = frozenset(f"track_{number}" for number in range(1, TRACKS + 1))


def _with_tracks(document: Any, tracks: Mapping[int, str]) -> dict[str, Any]:
    """*document* with its strips on the linked tracks: by the id ``track_3``, else by their place.
    Further tracks are strips that do nothing; strips without a source are left out."""
    if not isinstance(document, dict) or not isinstance(document.get("strips", []), list):
        raise refused("/mix", "document", "mix: a document is an object with a list of strips")
    left = {f"track_{number}": source for number, source in tracks.items()}
    written = document.get("strips", [])
    named = {strip.get("id") for strip in written if isinstance(strip, dict)}
    strips = []
    for place, strip in enumerate(written, 1):
        if not isinstance(strip, dict):
            raise refused("/mix", "document", f"mix: strip {place} is not an object")
        own = str(strip.get("id"))
        track = own if own in _TRACK_IDS else f"track_{place}"
        taken = track in named and own != track
        source = strip.get("source") or (None if taken else left.pop(track, None))
        if source is not None:
            strips.append({"id": track, **strip, "source": source})
    return {**document, "strips": strips + [{"id": i, "source": s} for i, s in left.items()]}


def _knob_inputs() -> Iterator[NodeInput]:
    for number in range(1, TRACKS + 1):
        for name, knob in knobs.STRIP_KNOBS.items():
            place = f"mix.strips.{number - 1}.{knob.place}"
            yield _knob_input(f"{name}_{number}", place, knob)
    for name, knob in knobs.MASTER_KNOBS.items():
        yield _knob_input(f"master_{name}", f"mix.master.{knob.place}", knob)


def _knob_input(name: str, place: str, knob: Knob) -> NodeInput:
    """What a knob is to an older graph; `gather` converts it, together with its neighbours."""
    options = {"default": knob.default, "min": knob.low, "max": knob.high}
    kinds = {bool: "BOOLEAN", int: "INT", float: "FLOAT"}
    return NodeInput(name, place, kinds[type(knob.default)], options, optional=True, listed=False)


def _mixer(node_id: str, display_name: str) -> NodeShape:
    tracks = tuple(
        NodeInput(f"track_{n}", f"mix.strips.{n - 1}.source", "AUDIO", optional=True)
        for n in range(1, TRACKS + 1)
    )
    told = "The mix as one document (docs/mixdoc.schema.json); its strips take the tracks in order"
    document = NodeInput(
        "mix", "mix", "JSON", {"default": "", "multiline": True, "tooltip": told}, optional=True
    )
    return NodeShape(
        node_id=node_id,
        operation="mixer.mix",
        display_name=display_name,
        category="Kino/mixer",
        inputs=(*tracks, document, *_knob_inputs()),
        outputs=(("master_output", "master"), ("pre_master_output", "pre_master")),
        gather=gather,
    )


MIXER: Final = _mixer("InternodeAudioMixer", "Audio Mixer")
MIXER_8: Final = _mixer("InternodeAudioMixer8", "Audio Mixer, 8 Tracks")
