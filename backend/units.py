"""The units that parameters are measured in.

Knows: the name of each unit, and how a unit shows itself in a JSON Schema.
Does not know: ranges (they belong to the parameter that has them).

A parameter is annotated with one of these types; its range goes beside it::

    threshold_db: Annotated[Decibels, Ge(-60), Le(0)] = -24.0
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure, published as the ``unit`` keyword of the JSON Schema."""

    symbol: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        published: dict[str, Any] = handler(schema)
        published["unit"] = self.symbol
        return published


Decibels = Annotated[float, Unit("dB")]
"""Level or gain in decibels; of a digital signal, relative to full scale (dBFS)."""

Milliseconds = Annotated[float, Unit("ms")]
Seconds = Annotated[float, Unit("s")]
Hertz = Annotated[float, Unit("Hz")]
SampleRate = Annotated[int, Unit("Hz")]
"""Samples per second; a whole number."""

Semitones = Annotated[float, Unit("st")]
Ratio = Annotated[float, Unit(":1")]
"""Compression ratio: 4 means that 4 dB over the threshold leave as 1 dB."""

Pan = Annotated[float, Unit("pan")]
"""Position between left (-1), centre (0) and right (+1)."""

Pixels = Annotated[int, Unit("px")]
Frames = Annotated[int, Unit("frames")]
