"""Whether the values that a document has for a node fit the widgets that the node has now.

Knows: which values a widget of each type takes, and that there may be more values than widgets.
Does not know: what becomes of those that do not fit (they are sent as they are, as the editor
does it).

Values are saved by their order (``widgets``), so those of a node that had other widgets then fall
to the wrong ones, and nothing but their types and their number tells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from backend.plugins import FieldError, InvalidParameters, json_pointer

from .flattening import Place
from .widgets import Read, Widget

OLDER: Final = ("InternodeAudioMixer", "InternodeAudioMixer8")
"""Nodes that had a widget for each knob once, under the same name. In which order a document has
them, nothing tells: as they stand, one could not tell a volume from a balance."""

_OF_OLDER: Final = (
    "it was saved by the older mixer: open it where it was made and use Export (API), or open it in"
    " the editor here, turn the knobs anew on the console, and save it"
)
_ANEW: Final = "look at the node in the editor, and save the workflow again"

_LONGEST: Final = 60


class Misfit(NamedTuple):
    """What does not fit, as a sentence, and at which input; ``None``: at none of them."""

    input: str | None
    sentence: str


def misfits(read: Read, linked: Collection[str]) -> Iterator[Misfit]:
    """What does not fit of a node's saved values. The values of inputs that are *linked* are not
    sent, and may be anything."""
    for name, (widget, value) in read.values.items():
        wanted = None if name in linked else _wanted(widget, value)
        if wanted is not None:
            yield Misfit(name, f"the document has {_shown(value)} for it, which is no {wanted}")
    left = [value for value in read.left if value not in (None, "")]
    if left and read.values:  # else they are what the node showed, and nothing is sent
        more = "values" if len(left) > 1 else "value"
        first = _shown(left[0])
        told = f"the document has {len(left)} {more} more than the node has widgets, from {first}"
        yield Misfit(None, told)


def told(place: Place, title: str, read: Read, linked: Collection[str]) -> list[str]:
    """A sentence for each misfit of a node. Raises `InvalidParameters` for a node that would do
    something else altogether."""
    named = f', "{title}"' if title != place.node.type else ""
    start = f"node {place.id} ({place.node.type}{named})"
    sentences = []
    for found in misfits(read, linked):
        at = f", input {found.input}" if found.input else ""
        if found.input and place.node.type in OLDER:
            where = json_pointer("workflow", place.id, "inputs", found.input)
            sentence = f"{start}{at}: {found.sentence}; {_OF_OLDER}"
            raise InvalidParameters(sentence, errors=[FieldError(where, "older_node", sentence)])
        sentences.append(f"{start}{at}: {found.sentence}; {_ANEW}")
    return sentences


def _wanted(widget: Widget, value: Any) -> str | None:
    """What the widget takes, if *value* is none of that. Nothing is known of most types, and a
    value that was never set is none."""
    type_ = widget.type
    if type_ not in _TAKEN or value is None:
        return None
    if type_ == "COMBO":
        # a name that is not on the list may be a file that is not here
        choices = widget.options.get("options")
        texts = isinstance(choices, list) and choices and all(isinstance(c, str) for c in choices)
        is_several = widget.options.get("multiselect") and isinstance(value, list)
        return "choice" if texts and not (is_several or isinstance(value, str)) else None
    told, takes = _TAKEN[type_]
    return None if takes(value) else told


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float) and not isinstance(value, bool)


_TAKEN: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "INT": ("number", _is_number),
    "FLOAT": ("number", _is_number),
    "BOOLEAN": ("switch", lambda value: value in (0, 1)),
    "STRING": ("text", lambda value: isinstance(value, str)),
    "COMBO": ("choice", lambda value: True),
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
