"""The piano roll: notes over seconds, the harder they are struck the brighter.

Knows: what is drawn of notes, parts, tempo and metre.
Does not know: where these come from (``midi_facts``), nor colours and axes (``media.plots``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from backend.media import plots
from backend.media.image import Image
from backend.media.midi import Note

from .midi_results import MidiPart, Tempo, TimeSignature

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PITCH_CLASSES: Final = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
_BLACK: Final = (1, 3, 6, 8, 10)
_LEAST_RANGE: Final = 24
"""Semitones that are shown at least, so that one note is not as high as the picture."""
_MARGIN: Final = 2
_FAINTEST: Final = 0.2
"""Share of a part's colour in its softest possible note."""
_WIDTH_PX: Final = 1000
_ROW_PX: Final = 8
_SHORTEST: Final = 1 / 500
"""Share of the width that a note has at least: about two pixels."""
_GAP: Final = 1 / 900
"""Share of the width between a note and the next one of its pitch: about a pixel."""
_CLOSEST: Final = 1 / 150
"""Share of the width between two lines of changes; those in between are not drawn."""
_LABEL: Final = 0.09
"""Share of the width that the words at a change need."""
_MOST_NAMES: Final = 8
_LONGEST_NAME: Final = 20


@dataclass(frozen=True, slots=True)
class Roll:
    """What is drawn; ``notes`` by their start, ``changes`` and ``signatures`` with those at 0."""

    notes: Sequence[Note]
    parts: Sequence[MidiPart]
    duration_s: float
    changes: Sequence[Tempo]
    signatures: Sequence[TimeSignature]


def pitch_name(pitch: int) -> str:
    """A MIDI pitch in words, 60 being C4."""
    return f"{PITCH_CLASSES[pitch % 12]}{pitch // 12 - 1}".replace("-", "−")


def draw(roll: Roll) -> Image:
    """A picture of *roll*: the same bytes for the same notes."""
    pitches = [note.pitch for note in roll.notes] or [60]
    low, high = shown_range(min(pitches), max(pitches))
    height = max(320, 150 + _ROW_PX * (high - low + 1))
    drawn, (axis,) = plots.figure(_title(roll), _WIDTH_PX, height)
    plots.time_axis(axis, roll.duration_s)
    _keyboard(axis, low, high)
    _marks(axis, roll)
    if roll.notes:
        _notes(axis, roll)
        plots.legend(axis)
    else:
        plots.remark(axis, "no notes")
    return plots.to_image(drawn)


def _title(roll: Roll) -> str:
    told = f"Piano roll: {roll.changes[0].bpm:g} bpm, {roll.signatures[0].signature}"
    if not roll.notes:
        return told
    struck = [note.velocity for note in roll.notes]
    softest, hardest = min(struck), max(struck)
    shade = f"{softest}" if softest == hardest else f"{softest} (dark) to {hardest} (bright)"
    return f"{told}; velocity {shade}"


def shown_range(lowest: int, highest: int) -> tuple[int, int]:
    """The lowest and the highest pitch of the axis."""
    spare = max(0, _LEAST_RANGE - (highest - lowest) - 2 * _MARGIN)
    low = max(0, lowest - _MARGIN - spare // 2)
    return low, min(127, max(highest + _MARGIN, low + _LEAST_RANGE))


def _keyboard(axis: Axes, low: int, high: int) -> None:
    """Rows as dark as a keyboard's black keys, a name at each C (and, on a short range, each G)."""
    named = [0, 7] if high - low <= 36 else [0]
    ticks = [pitch for pitch in range(low, high + 1) if pitch % 12 in named]
    axis.set_yticks(ticks, [pitch_name(pitch) for pitch in ticks])
    axis.set_ylim(low - 0.5, high + 0.5)
    axis.set_ylabel("pitch [C4 = MIDI 60]")
    axis.grid(visible=False, axis="y")
    for pitch in range(low, high + 1):
        if pitch % 12 in _BLACK:
            colour = plots.BACKGROUND
            axis.axhspan(pitch - 0.5, pitch + 0.5, color=colour, alpha=0.6, linewidth=0, zorder=0)
        if pitch % 12 == 0:
            axis.axhline(pitch - 0.5, color=plots.GRID, linewidth=0.7, zorder=0.5)


def _notes(axis: Axes, roll: Roll) -> None:
    from matplotlib.collections import PolyCollection

    played = [(part.track - 1, part.channel - 1) for part in roll.parts if part.channel is not None]
    places = {part: place for place, part in enumerate(played)}
    span = roll.duration_s or 1.0
    start, end, pitch = np.array([(n.start_s, n.end_s, n.pitch) for n in roll.notes]).T
    end = np.maximum(end - span * _GAP, start + span * _SHORTEST)
    low, high = pitch - 0.42, pitch + 0.42
    across = np.stack([start, end, end, start], axis=1)  # [notes, 4]
    upwards = np.stack([low, low, high, high], axis=1)
    part = np.array([places[note.track, note.channel] for note in roll.notes])
    velocity = np.array([note.velocity for note in roll.notes])
    corners: Any = np.stack([across, upwards], axis=2)  # [notes, 4, 2]
    axis.add_collection(
        PolyCollection(corners, facecolors=_shades(part, velocity), linewidths=0, zorder=2)
    )
    for label, colour in _names(roll.parts):
        axis.plot([], [], "s", color=colour, label=label)


def _shades(part: NDArray[np.int64], velocity: NDArray[np.int64]) -> NDArray[np.float64]:
    """RGB of each note [notes, 3]: the colour of its part, mixed into the background."""
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(colour) for colour in plots.COLOURS])[part % len(plots.COLOURS)]
    share = (_FAINTEST + (1 - _FAINTEST) * velocity / 127)[:, np.newaxis]
    shades: NDArray[np.float64] = share * colours + (1 - share) * np.array(to_rgb(plots.PANEL))
    return shades


def _names(parts: Sequence[MidiPart]) -> Iterator[tuple[str, str]]:
    """What the first parts are called, and their colours."""
    played = [part for part in parts if part.channel is not None]
    for place, part in enumerate(played[:_MOST_NAMES]):
        name = part.name or part.instrument or f"track {part.track}"
        short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        colour = plots.COLOURS[place % len(plots.COLOURS)]
        yield plots.words(f"{short} (ch. {part.channel})"), colour
    if len(played) > _MOST_NAMES:
        yield f"and {len(played) - _MOST_NAMES} more", plots.FAINT


def _marks(axis: Axes, roll: Roll) -> None:
    """A line at each change of tempo (dashed) and metre, with its words where there is room."""
    at: dict[float, list[str]] = {}
    for change in roll.changes[1:]:
        at.setdefault(change.time_s, []).append(f"{change.bpm:.4g} bpm")
    dashed = set(at)
    for signature in roll.signatures[1:]:
        at.setdefault(signature.time_s, []).append(signature.signature)
    span = roll.duration_s or 1.0
    line_s = label_s = 0.0
    for time_s, words in sorted(at.items()):
        if time_s >= line_s:
            line_s = time_s + span * _CLOSEST
            style = "--" if time_s in dashed else ":"
            axis.axvline(time_s, color=plots.FAINT, linewidth=0.9, linestyle=style, zorder=1)
        if label_s <= time_s <= span * (1 - _LABEL):
            label_s = time_s + span * _LABEL * len(words)
            axis.annotate(
                ", ".join(words), (time_s, 0.99), xycoords=axis.get_xaxis_transform(), va="top",
                color=plots.TEXT, fontsize=8, zorder=3,
                bbox={"facecolor": plots.PANEL, "edgecolor": "none", "pad": 1},
            )  # fmt: skip
