"""Frame rates as parameters: exact fractions, however they are written.

Knows: 24, 29.97 and "24000/1001" as one annotation, and which decimals mean a broadcast rate.
Does not know: what is shown at that rate.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

SLOWEST: Final = Fraction(1, 10)
FASTEST: Final = Fraction(1000)
PATTERN: Final = r"^[0-9]{1,7}(\.[0-9]{1,6}|/[0-9]{1,7})?$"

_WRITTEN = re.compile(PATTERN)
_BROADCAST: Final = tuple(Fraction(1000 * whole, 1001) for whole in (24, 30, 48, 60, 120))


def read_rate(value: Any) -> Fraction:
    """The exact rate, in frames per second, that a number or a text means.

    Decimals that round one of the 1000/1001 rates (23.976, 23.98, 29.97, 59.94 …) mean that rate;
    any other decimal means what it says. Raises ``ValueError`` with a sentence.
    """
    if isinstance(value, Fraction):
        rate = value
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        rate = _decimal(repr(float(value)))
    elif isinstance(value, str) and _WRITTEN.fullmatch(value) and not value.endswith("/0"):
        rate = Fraction(value) if "/" in value else _decimal(value)
    else:
        raise ValueError('A frame rate is a number or a fraction such as "24000/1001"')
    if not SLOWEST <= rate <= FASTEST:
        raise ValueError(
            f"A frame rate lies between {float(SLOWEST)} and {FASTEST} frames per second"
        )
    return rate


def _decimal(text: str) -> Fraction:
    rate = Fraction(text)
    for exact in _BROADCAST:
        if rate in (round(exact, 2), round(exact, 3)):
            return exact
    return rate


class _Rate:
    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def validate(value: Any) -> Fraction:
            try:
                return read_rate(value)
            except (ValueError, ZeroDivisionError) as error:
                raise PydanticCustomError("frame_rate", "{why}", {"why": str(error)}) from error

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                str, return_schema=core_schema.str_schema()
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": ["string", "number"],
            "pattern": PATTERN,
            "minimum": float(SLOWEST),
            "maximum": float(FASTEST),
            "unit": "frames/s",
            "examples": [24, "24000/1001"],
        }


FrameRate = Annotated[Fraction, _Rate()]
"""A parameter in frames per second: a number, or a fraction in text. In Python a ``Fraction``."""
