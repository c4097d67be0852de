"""Tempo: from ticks to seconds.

Knows: the tempo changes of a MIDI file; until its first one, 120 quarter notes a minute (SMF 1.0).
Does not know: notes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from backend.media.smf import META, Event, NotMidi, Smf

DEFAULT: Final = 500_000
"""Microseconds a quarter note."""
TEMPO: Final = b"\x51"
"""What a meta event that sets the tempo begins with; three bytes of microseconds follow."""


class TempoChange(NamedTuple):
    """From ``tick`` on a quarter note has so many microseconds."""

    tick: int
    microseconds: int

    @property
    def bpm(self) -> float:
        """Quarter notes a minute, to a thousandth: files hold whole microseconds."""
        return round(60e6 / self.microseconds, 3)


def is_tempo(event: Event) -> bool:
    """Whether an event sets the tempo."""
    return event.status == META and event.data[:1] == TEMPO


class TempoMap:
    """The tempo of a whole file: changes in any of its tracks hold for all."""

    def __init__(self, file: Smf) -> None:
        """Raises `NotMidi` for a tempo that is none."""
        found = [_change(each) for track in file.tracks for each in track if is_tempo(each)]
        self.changes: Final = tuple(_distinct(sorted(found, key=lambda change: change.tick)))
        """By their ticks, the first at 0; each differs from the one before."""
        self._starts: Final = [change.tick for change in self.changes]
        self._scale: Final = 1e6 * file.ticks_per_beat
        # in microseconds times ticks a beat: whole numbers, which do not add up errors
        self._elapsed: Final = [0]
        for last, change in zip(self.changes, self.changes[1:], strict=False):
            self._elapsed.append(self._elapsed[-1] + (change.tick - last.tick) * last.microseconds)

    def seconds(self, tick: int) -> float:
        """When *tick* is, from the start."""
        place = bisect_right(self._starts, tick) - 1
        change = self.changes[place]
        beyond = (tick - change.tick) * change.microseconds
        return (self._elapsed[place] + beyond) / self._scale


def _change(event: Event) -> TempoChange:
    value = int.from_bytes(event.data[1:])
    if len(event.data) != 4 or value == 0:
        raise NotMidi("damaged", "a tempo in the MIDI file is none: a quarter note has no length")
    return TempoChange(event.tick, value)


def _distinct(changes: Iterable[TempoChange]) -> Iterator[TempoChange]:
    """What changes the tempo, in order; of several at one time the last one counts."""
    at_tick = {0: DEFAULT} | {change.tick: change.microseconds for change in changes}
    last = 0
    for tick, microseconds in at_tick.items():
        if microseconds != last:
            yield TempoChange(tick, microseconds)
        last = microseconds
