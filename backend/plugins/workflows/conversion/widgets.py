"""The values in a node's widgets, by name.

Knows: which inputs of a node class are widgets, in which order the editor saves their values, and
the widgets that it adds of its own.
Does not know: links (``flattening``), which win over a widget's value.

The editor saves values without names, in the order of its widgets. The order follows from the
node's definition, so an old document read with a newer definition may be read wrongly; the
editor reads it wrongly in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple

from . import prompts

Json = Mapping[str, Any]

CONTROLLED: Final = ("seed", "noise_seed")
_DYNAMIC: Final = "COMFY_DYNAMICCOMBO_V3"
_WIDGETS: Final = frozenset(
    (
        *("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR", "CURVE", "MARKDOWN", "TEXTAREA"),
        *("BOUNDING_BOX", "RANGE", "COLORS", "IMAGECOMPARE", "GALLERIA", "CHART", "WEBCAM"),
        *("AUDIO_RECORD", "LOAD_3D", "LOAD_3D_ANIMATION", "PAINTER"),
    )
)
_UPLOADS: Final = ("image_upload", "animated_image_upload", "video_upload", "audio_upload")
_FIRST: Final = {
    "INT": 0, "FLOAT": 0, "STRING": "", "BOOLEAN": False, "IMAGECOMPARE": ["", ""],
}  # fmt: skip
_SCENE: Final = "LOAD_3D"
_SCENE_BUTTONS: Final = ("upload 3d model", "upload extra resources", "clear")
"""What the editor puts before a scene that is loaded from a file, and saves with the values."""
_WITH_PICTURE: Final = frozenset(("Preview3D", "Preview3DAnimation", "SaveGLB"))
_UNSET: Final = object()
_END: Final = object()
"""Default of a widget that is not there unless a value was saved for it; so is each after it."""


@dataclass(frozen=True, slots=True)
class Widget:
    """One widget; those that the editor adds of its own are saved but not sent."""

    name: str
    type: str
    options: Json
    sent: bool = True

    def default(self) -> Any:
        """The value that it has before anybody sets one."""
        if "default" in self.options:
            return self.options["default"]
        if self.type == "COMBO":
            choices = self.options.get("options") or ()
            return choices[0] if choices else _UNSET
        return _FIRST.get(self.type, _UNSET)

    def to_send(self, value: Any) -> Any:
        """What the executor gets for a value: prompts are resolved, lists are wrapped, since a bare
        list means a link."""
        if self.type == "IMAGECOMPARE":  # it shows pictures and takes none
            value = ["", ""]
        if isinstance(value, str) and self.options.get("dynamicPrompts"):
            value = prompts.resolved(value)
        if isinstance(value, list) and self.type == "CURVE":
            return {"__type__": "CURVE", "__value__": value}
        return wrapped(value)


def wrapped(value: Any) -> Any:
    """A value that is not mistaken for a link."""
    return {"__value__": value} if isinstance(value, list) else value


class Read(NamedTuple):
    """The saved values of a node: name → widget and value, of those that are sent and have one; and
    what was left over of a list that is longer than the node has widgets."""

    values: dict[str, tuple[Widget, Any]]
    left: list[Any]


def read_values(node_type: str, definition: Json, saved: Any) -> Read:
    """What a node's saved ``widgets_values`` are, *saved* by their order or by name.

    *definition* is the node class's part of ``/object_info``.
    """
    definition = {**definition, "name": node_type}
    named: dict[str, Any] = {}
    by_name = isinstance(saved, Mapping)  # some packs save names
    values = iter([] if by_name else _without_sockets(definition, list(saved or ())))
    widgets = list(_all(definition, values, named))
    if by_name:
        named.update({key: value for key, value in saved.items() if key in named})
    found = {
        widget.name: (widget, named[widget.name])
        for widget in widgets
        if widget.sent and named[widget.name] is not _UNSET
    }
    return Read(found, list(values))


def _all(definition: Json, values: Iterator[Any], named: dict[str, Any]) -> Iterator[Widget]:
    """All widgets in the editor's order; each takes its value from *values* into *named* before
    the next is named, since a value may bring widgets of its own."""
    for section in ("required", "optional"):
        for widget in _section(definition, section, ""):
            yield from _taken(widget, values, named)
        if section == "required":
            for widget in _added(definition):
                taken = list(_taken(widget, values, named))
                if named[widget.name] is _END:
                    del named[widget.name]
                    break
                yield from taken


def _taken(widget: Widget, values: Iterator[Any], named: dict[str, Any]) -> Iterator[Widget]:
    value = next(values, _UNSET)
    named[widget.name] = widget.default() if value is _UNSET else value
    chosen = named[widget.name]
    yield widget
    if widget.type == _DYNAMIC:
        for option in widget.options.get("options") or ():
            if option.get("key") == chosen:
                for section in ("required", "optional"):
                    inner = {"input": option.get("inputs") or {}}
                    for each in _section(inner, section, f"{widget.name}."):
                        yield from _taken(each, values, named)


def _section(definition: Json, section: str, prefix: str) -> Iterator[Widget]:
    inputs = (definition.get("input") or {}).get(section) or {}
    order = (definition.get("input_order") or {}).get(section) or list(inputs)
    for name in order:
        if name in inputs:
            if _read(inputs[name])[0] == _SCENE and "model_file" in inputs:
                yield from (Widget(each, "BUTTON", {}, sent=False) for each in _SCENE_BUTTONS)
            yield from _of_input(prefix + name, inputs[name])


def _of_input(name: str, spec: Sequence[Any]) -> Iterator[Widget]:
    """The widgets of one input: none for a socket, two or three where a value is controlled."""
    type_, options = _read(spec)
    if options.get("forceInput") or (type_ not in _WIDGETS and type_ != _DYNAMIC):
        return
    if type_ == _DYNAMIC:
        choices = options.get("options") or ()
        first = choices[0].get("key") if choices else ""
        yield Widget(name, type_, {"default": first, **options})
        return
    yield Widget(name, type_, options)
    if _is_controlled(name, type_, options):
        yield Widget("control_after_generate", "COMBO", {"default": "randomize"}, sent=False)
        if type_ == "COMBO":
            yield Widget("control_filter_list", "STRING", {"default": ""}, sent=False)


def _read(spec: Sequence[Any]) -> tuple[str, Json]:
    """Type and options of an input, the older form of a choice included."""
    options = dict(spec[1]) if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
    if isinstance(spec[0], list):
        return "COMBO", {"options": spec[0], **options}
    return str(options.get("widgetType") or spec[0]), options


def _is_controlled(name: str, type_: str, options: Json) -> bool:
    asked = options.get("control_after_generate")
    return bool(asked) if asked is not None else type_ == "INT" and name in CONTROLLED


def _added(definition: Json) -> Iterator[Widget]:
    """The widgets that the editor adds of its own: buttons of nodes that load files, a picture of
    what is shown, as many options as there are."""
    if definition["name"] in _WITH_PICTURE:
        yield Widget("image", "STRING", {})
    if definition["name"] == "CustomCombo":
        yield Widget("index", "INT", {})
        for number in count(1):
            yield Widget(f"option{number}", "STRING", {"default": _END})
    inputs = (definition.get("input") or {}).get("required") or {}
    for spec in inputs.values():
        if any(_read(spec)[1].get(upload) for upload in _UPLOADS):
            yield Widget("upload", "BUTTON", {}, sent=False)
            return


def _without_sockets(definition: Json, saved: list[Any]) -> list[Any]:
    """The saved values without those of inputs that were widgets once and are only sockets now."""
    was: list[bool] = []
    for section in ("required", "optional"):
        inputs = (definition.get("input") or {}).get(section) or {}
        for name, spec in inputs.items():
            options = _read(spec)[1]
            forced = bool(options.get("forceInput"))
            if forced or any(_of_input(name, spec)):
                was.append(forced)
                if options.get("control_after_generate"):
                    was.append(False)
    if any(was) and len(was) == len(saved):
        return [value for value, forced in zip(saved, was, strict=True) if not forced]
    return saved
