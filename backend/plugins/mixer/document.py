"""`MixDoc`: a whole mix as one document, which HTTP, the graph editor and the Studio share.

Knows: strips, sends, buses and the master with their ranges, and the rules between them.
Does not know: what inserts do (``inserts``), how signals flow (``console``).

A document's neutral form is neutral: no section works unless it is given, every gain is 0 dB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from annotated_types import Ge, Le, Len
from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from backend.media.audio import Audio
from backend.media.breakpoints import Continuous
from backend.plugins import Model
from backend.units import Decibels, Pan, SampleRate

from .inserts import (
    HIGH_PASS,
    LOW_PASS,
    STRIP_KEY,
    Compressor,
    Delay,
    Equalizer,
    Frequency,
    Gate,
    Limiter,
)

VERSION: Final = 1
SILENT_DB: Final = -120
"""A fader at its bottom: here gain is 0, not a millionth."""
STRIPS: Final = 32
BUSES: Final = 4

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Name = Annotated[str, Field(max_length=80)]
Fader = Continuous[Annotated[Decibels, Ge(SILENT_DB), Le(24)]]
Position = Continuous[Annotated[Pan, Ge(-1), Le(1)]]
NEUTRAL: Final = Equalizer()


class Send(Model):
    """A part of a strip's signal that goes to a bus as well."""

    bus: Id = Field(description="The id of a bus.")
    gain_db: Fader = Field(0.0, description="0 sends it as loud as it is; -120 sends nothing.")
    pre_fader: bool = Field(
        False, description="Taken before the fader, so that only mute and solo silence it."
    )


class Strip(Model):
    """One channel strip: gate, compressor, EQ, delay, pan, fader, in this order."""

    id: Id = Field(description="Names the strip in stems, meters and keys.")
    name: Name = Field("", description="What people call it.")
    source: Audio = Field(description="What is heard; 1 to 8 channels, any sample rate.")
    gate: Gate | None = None
    compressor: Compressor | None = None
    eq: Equalizer = NEUTRAL
    delay: Delay | None = None
    sends: Annotated[list[Send], Len(0, BUSES)] = Field([], description="To buses.")
    pan: Position = Field(
        0.0, description="Constant power for mono (-3 dB at the centre), balance for the rest."
    )
    fader_db: Fader = Field(0.0, description="0 passes the signal unchanged; -120 is silence.")
    mute: bool = Field(False, description="Leave the strip out, soloed or not.")
    solo: bool = Field(False, description="While any strip is soloed, only soloed ones are heard.")


class Bus(Model):
    """A sub-bus: what strips send to it, through EQ, delay and fader, into the master."""

    id: Id = Field(description="Names the bus in sends, stems and meters.")
    name: Name = Field("", description="What people call it.")
    eq: Equalizer = NEUTRAL
    delay: Delay | None = None
    fader_db: Fader = Field(0.0, description="0 passes the signal unchanged; -120 is silence.")


class Master(Model):
    """The master bus: high-pass, drive, low-pass, gate, compressor, EQ, width, balance, volume and
    limiter, in this order."""

    high_pass_hz: Frequency | None = Field(None, description=HIGH_PASS)
    drive: Continuous[Annotated[float, Ge(0), Le(3)]] | None = Field(
        None, description="Saturation: tanh(k x) / k (1 + drive / 2), k = 1 + 3 drive."
    )
    low_pass_hz: Frequency | None = Field(None, description=LOW_PASS)
    gate: Gate | None = None
    compressor: Compressor | None = None
    eq: Equalizer = NEUTRAL
    width: Continuous[Annotated[float, Ge(0), Le(2)]] = Field(
        1.0, description="0 is mono, 1 as it came, 2 twice the sides."
    )
    balance: Position = Field(0.0, description="Lowers the far side.")
    volume_db: Fader = Field(0.0, description="0 passes the signal unchanged; -120 is silence.")
    limiter: Limiter | None = None


class MixDoc(Model):
    """A mix: strips, sub-buses and the master."""

    model_config = ConfigDict(json_schema_extra={"x-kino-document": True})

    version: Literal[1] = Field(VERSION, description="The version of this form.")
    sample_rate: Annotated[SampleRate, Ge(8000), Le(384000)] | None = Field(
        None, description="The rate of the buses; by default the highest of the sources."
    )
    strips: Annotated[list[Strip], Len(1, STRIPS)] = Field(description="What is mixed.")
    buses: Annotated[list[Bus], Len(0, BUSES)] = Field([], description="What strips send to.")
    master: Master = Master()

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> Self:
        errors = [*_doubled(self), *_unknown(self)]
        if errors:
            raise ValidationError.from_exception_data("MixDoc", errors)
        return self


Place = tuple[str | int, ...]


def _doubled(mix: MixDoc) -> Iterator[InitErrorDetails]:
    """Ids that stand twice: stems and meters are named by them."""
    seen: set[str] = set()
    named: list[tuple[Place, str]] = [(("strips", n, "id"), s.id) for n, s in enumerate(mix.strips)]
    named += [(("buses", n, "id"), bus.id) for n, bus in enumerate(mix.buses)]
    for place, name in named:
        if name in seen:
            yield _error("doubled", "The id '{name}' stands twice", name, place)
        seen.add(name)


def _unknown(mix: MixDoc) -> Iterator[InitErrorDetails]:
    """Sends to buses, and keys of strips, that are not there."""
    buses, strips = {bus.id for bus in mix.buses}, {strip.id for strip in mix.strips}
    for number, strip in enumerate(mix.strips):
        for place, send in enumerate(strip.sends):
            if send.bus not in buses:
                where = ("strips", number, "sends", place, "bus")
                yield _error("unknown_bus", "There is no bus '{name}'", send.bus, where)
        yield from _key(strip.compressor, strips, ("strips", number))
    yield from _key(mix.master.compressor, strips, ("master",))


def _key(
    compressor: Compressor | None, strips: set[str], before: Place
) -> Iterator[InitErrorDetails]:
    if compressor is None or compressor.key is None:
        return
    name = compressor.key.removeprefix(STRIP_KEY)
    if name not in strips:
        where = (*before, "compressor", "key")
        yield _error("unknown_strip", "There is no strip '{name}'", name, where)


def _error(rule: str, sentence: str, name: str, place: Place) -> InitErrorDetails:
    told = PydanticCustomError(rule, sentence, {"name": name})
    return InitErrorDetails(type=told, loc=place, input=name)
