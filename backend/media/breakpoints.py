"""Breakpoints, and parameters that may move: a number, breakpoints, or an automation.

Knows: the form of inline breakpoints, and one annotation for every parameter that can be automated.
Does not know: what is driven, nor how a curve is evaluated (``media.curves``).

A parameter that may move is annotated with the number that it would otherwise be::

    fader_db: Continuous[Annotated[Decibels, Ge(-120), Le(24)]] = 0.0

In JSON that is ``-6.0``, ``{"points": [[0, -60], [2.5, 0]]}`` (seconds, value) or the reference of
an automation. Numbers and breakpoints are held against the range at the door; an automation is
still a reference there, and its values are held against the range in the worker. In Python the
field holds ``float | Breakpoints | Automation``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, LiteralString, TypeVar, get_args

import numpy as np
from annotated_types import Ge, Gt, Le, Len, Lt
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from backend.media.automation import Automation
from backend.media.reference import resolve
from backend.units import Seconds

MOST_POINTS: Final = 10_000
LATEST_S: Final = 86_400.0
AUTOMATABLE: Final = "x-kino-automatable"
"""JSON Schema keyword of a parameter that may move; number, range and unit are its first branch."""

_NUMBER: Final = "kino.number"

Number = TypeVar("Number")
Limit = tuple[Callable[[Any, Any], Any], str, Any]
"""The comparison that a value has to stand, its words, and what it is compared with."""
Point = tuple[float, float]
"""A time in seconds and a value."""


def _broken(
    place: tuple[int | str, ...], rule: LiteralString, sentence: LiteralString, told: dict[str, Any]
) -> ValidationError:
    """A mistake at one *place* within a value; pydantic puts the way to the value before it."""
    mistake = PydanticCustomError(rule, sentence, told)
    line = InitErrorDetails(type=mistake, loc=place, input=None)
    return ValidationError.from_exception_data("Breakpoints", [line])


def _rising(points: Sequence[Point]) -> Sequence[Point]:
    for number in range(1, len(points)):
        before, time = points[number - 1][0], points[number][0]
        if time <= before:
            sentence = "Times rise strictly, but {time} s stands after {before} s"
            raise _broken((number, 0), "times", sentence, {"time": time, "before": before})
    return points


class Breakpoints(BaseModel):
    """A curve of straight lines through ``points``: pairs (time in s, value), times rising.

    Before the first point its value holds, after the last one its value.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    # a strict model takes only Python's tuples where JSON has lists: hence Strict(False), which
    # holds for the pair and not for the numbers in it
    points: Annotated[
        list[Annotated[tuple[Annotated[Seconds, Ge(0), Le(LATEST_S)], float], Strict(False)]],
        Len(1, MOST_POINTS),
        AfterValidator(_rising),
    ] = Field(description="Pairs of a time in seconds and a value; times rise strictly.")


class _Automatable:
    """The pydantic schema of a `Continuous` parameter."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        number = get_args(source)[0]
        limits = _limits_of(number)

        def validate(
            value: Any,
            of_number: core_schema.ValidatorFunctionWrapHandler,
            info: core_schema.ValidationInfo[Any],
        ) -> Any:
            if isinstance(value, dict):
                value = Breakpoints.model_validate(value)
            if isinstance(value, Breakpoints):
                _check_points(value, limits)
                return value
            # any other text was meant as a number ("-6 dB"), and is refused as one
            if isinstance(value, str) and value.startswith(("blake3:", "ast_")):
                value = resolve(value, Automation.kind, info.context)
                if isinstance(value, str):
                    return value  # at a door it stays a reference
            if isinstance(value, Automation):
                _check_automation(value, limits)
                return value
            return of_number(value)

        return core_schema.with_info_wrap_validator_function(
            validate,
            handler.generate_schema(number),
            serialization=core_schema.plain_serializer_function_ser_schema(_write),
            metadata={_NUMBER: number},
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        number = TypeAdapter(schema["metadata"][_NUMBER]).json_schema()
        points = TypeAdapter(Breakpoints).json_schema()
        # a point's value has the range and the unit of the number that it stands for
        points["properties"]["points"]["items"]["prefixItems"][1] = number
        automation = TypeAdapter(Automation).json_schema()
        # for whoever reads no further; JSON Schema holds the limits against numbers only
        beside = {key: each for key, each in number.items() if key != "type"}
        return {"anyOf": [number, points, automation], AUTOMATABLE: True, **beside}


Continuous = Annotated[Number | Breakpoints | Automation, _Automatable()]
"""A number of the given kind and range, or a curve of such numbers."""


def _limits_of(number: Any) -> tuple[Limit, ...]:
    """The range that stands beside the number in its annotation."""
    found: list[Limit] = []
    for rule in getattr(number, "__metadata__", ()):
        if isinstance(rule, Ge):
            found.append((np.greater_equal, f"at least {rule.ge}", rule.ge))
        elif isinstance(rule, Gt):
            found.append((np.greater, f"above {rule.gt}", rule.gt))
        elif isinstance(rule, Le):
            found.append((np.less_equal, f"at most {rule.le}", rule.le))
        elif isinstance(rule, Lt):
            found.append((np.less, f"below {rule.lt}", rule.lt))
    return tuple(found)


def _check_points(value: Breakpoints, limits: Sequence[Limit]) -> None:
    values = np.array([each for _, each in value.points])
    for keeps, words, limit in limits:
        kept = keeps(values, limit)
        if not kept.all():
            at = int(np.argmin(kept))
            told = {"value": float(values[at]), "words": words}
            raise _broken(("points", at, 1), "range", "{value} is not {words}", told)


def _check_automation(value: Automation, limits: Sequence[Limit]) -> None:
    if value.frames == 0:
        raise PydanticCustomError("empty", "The automation holds no value")
    for keeps, words, limit in limits:
        # in float32, as the values are: -0.1 must not break the rule "at least -0.1"
        kept = keeps(value.values, np.float32(limit))
        if not kept.all():
            at = int(np.argmin(kept))
            told = {"at": at, "value": float(value.values[at]), "words": words}
            sentence = "Value {at} of the automation is {value}, not {words}"
            raise PydanticCustomError("range", sentence, told)


def _write(value: Any) -> Any:
    if isinstance(value, Breakpoints):
        return value.model_dump(mode="json")
    if isinstance(value, Automation):
        raise TypeError("an automation in memory has no reference; upload it first")
    return value
