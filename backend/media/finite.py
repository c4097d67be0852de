"""Values that are numbers: what holds NaN or infinity is noticed where it is read or written.

Knows: the test of a block, and the error that names the value at fault.
Does not know: which parameter or output that value is; ``operations`` finds it and points at it.

Nothing is read twice for this: sound is tested block by block as an operation reads or writes it,
a picture when its pixels are asked for. A finite number may be too large as well: what an operation
makes of it (a gain, a filter) may be beyond 32-bit float, and is noticed in the same places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from backend.errors import FieldError, KinoError, OperationFailed, json_pointer, refused

if TYPE_CHECKING:
    from backend.media.reference import MediaValue

RULE: Final = "finite"


class Unfit(OperationFailed):
    """A media value that cannot be worked with, found while it was read or made.

    It is of *kind* (``audio``); ``value`` is the value, if there is one already. Leaving an
    operation the error becomes `InvalidParameters` at the parameter that brought the value, or
    points at the output.
    """

    def __init__(
        self, sentence: str, kind: str, value: MediaValue | None = None, rule: str = RULE
    ) -> None:
        super().__init__(sentence, errors=[FieldError("", rule, sentence)])
        self.kind, self.value, self.rule = kind, value, rule

    def point_at(self, output: str) -> None:
        """Name the output, by its pointer, that could not be made."""
        self.errors = (FieldError(output, self.rule, self.detail),)


def check_finite(
    values: NDArray[Any],
    kind: str,
    value: MediaValue | None = None,
    span_s: tuple[float, float] | None = None,
) -> None:
    """Raises `Unfit` for values, of any shape, that are not all finite; *kind* is that of what
    holds them, *span_s* where in it they lie."""
    if not np.isfinite(values).all():
        told = f"the {kind} holds values that are NaN or infinite (beyond 32-bit float)"
        if span_s is not None:
            told += f", between {span_s[0]:.1f} s and {span_s[1]:.1f} s"
        raise Unfit(told, kind, value)


def blamed(error: Unfit, given: Mapping[str, Any]) -> KinoError:
    """*error* as it leaves an operation: `InvalidParameters` with a pointer if the value is one of
    the arguments *given*, itself if it was made on the way."""
    place = find(error.value, given)
    return error if place is None else refused(place, error.rule, error.detail)


def find(value: object, tree: Any) -> str | None:
    """The JSON pointer of this very *value* within arguments or results; None if it is none."""
    if value is None:
        return None
    if value is tree:
        return ""
    for name, part in _parts(tree):
        below = find(value, part)
        if below is not None:
            return json_pointer(name) + below
    return None


def _parts(tree: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(tree, BaseModel):
        return [(name, getattr(tree, name)) for name in type(tree).model_fields]
    if isinstance(tree, Mapping):
        return [(str(name), part) for name, part in tree.items()]
    if isinstance(tree, tuple) and hasattr(tree, "_asdict"):
        return list(tree._asdict().items())
    return enumerate(tree) if isinstance(tree, list | tuple) else ()
