"""Node classes that run on a Kino service: each call is a graph of one node, sent as a job.

Knows: ``nodes.json``, what every node takes and gives, and how values travel.
Does not know: what any node does; the service has the same one.
"""

import json
from pathlib import Path

from . import media, service
from .service import service_url

__all__ = ["node_classes", "service_url"]

KINDS = ("audio", "image", "mask", "midi", "automation", "file", "video")
"""The outputs of KinoLoadAsset, in order."""

SOCKETS = {kind.upper(): kind for kind in KINDS}


class Asset:
    """A value that stays with the service: MIDI, a file. ``reference`` names its content."""

    def __init__(self, kind, reference):
        self.kind, self.reference = kind, reference


class Curve(list):
    """An automation: the numbers that other nodes read, and its reference."""

    def __init__(self, values, reference):
        super().__init__(values)
        self.reference = reference


class Inputs(dict):
    """A node's inputs, which also answers for older names that it does not list."""

    def __init__(self, listed, answered):
        super().__init__(listed)
        self._answered = answered

    def __contains__(self, name):
        return super().__contains__(name) or name in self._answered

    def __missing__(self, name):
        return tuple(self._answered[name])


def node_classes():
    """``NODE_CLASS_MAPPINGS`` and ``NODE_DISPLAY_NAME_MAPPINGS``."""
    told = json.loads(Path(__file__).with_name("nodes.json").read_text(encoding="utf-8"))
    classes = {name: _build(name, described) for name, described in told.items()}
    return classes, {name: described["display_name"] for name, described in told.items()}


def _build(name, told):
    listed = {
        group: {key: tuple(spec) for key, spec in inputs.items()}
        for group, inputs in told["input"].items()
    }

    def input_types(cls):
        optional = Inputs(listed["optional"], told["answered"])
        return {"required": dict(listed["required"]), "optional": optional}

    def run(self, **given):
        return _run(name, told, given)

    changed = {} if told["lasting"] else {"IS_CHANGED": classmethod(lambda cls, **_: float("nan"))}
    return type(
        name,
        (),
        {
            **changed,
            "INPUT_TYPES": classmethod(input_types),
            "RETURN_TYPES": tuple(told["output"]),
            "RETURN_NAMES": tuple(told["output_name"]),
            "OUTPUT_IS_LIST": tuple(told["output_is_list"]),
            "OUTPUT_NODE": told["output_node"],
            "CATEGORY": told["category"],
            "DESCRIPTION": told["description"],
            "FUNCTION": "run",
            "run": run,
        },
    )


def _run(name, told, given):
    graph = {"node": {"class_type": name, "inputs": {}}}
    types = {**told["answered"], **told["input"]["optional"], **told["input"]["required"]}
    for key, value in given.items():
        if value is not None:
            graph["node"]["inputs"][key] = _input(graph, key, types[key][0], value)
    for number, socket in enumerate(told["output"]):
        graph[f"out_{number}"] = _taker(socket, ["node", number])
    job = service.run("workflows.run", {"graph": graph}, _bar(), _interrupted)
    if job is None:
        from comfy.model_management import InterruptProcessingException

        raise InterruptProcessingException
    result = job["result"]
    if told["output_node"]:
        _keep(result)
    return tuple(
        _output(result, f"out_{number}", socket, told["output_is_list"][number])
        for number, socket in enumerate(told["output"])
    )


def _input(graph, key, wanted, value):
    """What goes into the node's input: a link to what loads the value, or the value itself."""
    reference, kind = _kept(value), None
    if reference is not None:
        kind = value.kind if isinstance(value, Asset) else "automation"
        return _load(graph, key, reference, kind)
    if isinstance(value, dict) and "waveform" in value:
        return _load(graph, key, service.upload(media.wav_of(value), f"{key}.wav"), "audio")
    if hasattr(value, "ndim"):
        kind = "mask" if wanted == "MASK" else "image"
        items = value[None] if value.ndim == (2 if kind == "mask" else 3) else value
        return _batch(graph, key, items, kind)
    if hasattr(value, "get_stream_source"):
        source = value.get_stream_source()
        content = Path(source).read_bytes() if isinstance(source, str) else source.getvalue()
        return _load(graph, key, service.upload(content, f"{key}.mp4"), "video")
    if isinstance(value, list):
        return {"__value__": value}  # a list alone would be read as a link
    return value


def _kept(value):
    return getattr(value, "reference", None) if isinstance(value, Asset | Curve) else None


def _load(graph, name, reference, kind):
    graph[f"in_{name}"] = {"class_type": "KinoLoadAsset", "inputs": {"asset": reference}}
    return [f"in_{name}", KINDS.index(kind)]


def _batch(graph, key, items, kind):
    """The pictures of a batch, put together again on the other side."""
    link = None
    for number, item in enumerate(items):
        reference = service.upload(media.png_of(item), f"{key}_{number}.png")
        one = _load(graph, f"{key}_{number}", reference, kind)
        if link is None:
            link = one
        else:
            inputs = {"image1": link, "image2": one}
            if kind == "mask":
                raise ValueError("one mask is taken at a time")
            graph[f"batch_{key}_{number}"] = {"class_type": "ImageBatch", "inputs": inputs}
            link = [f"batch_{key}_{number}", 0]
    if link is None:
        raise ValueError(f"{key}: the batch is empty")
    return link


def _taker(socket, link):
    """The node that takes an output of ours and keeps it."""
    kind = SOCKETS.get(socket.split(",")[0])
    if kind is None:
        return {"class_type": "PreviewAny", "inputs": {"source": link}}
    inputs = {"name": "out", kind: link, "bit_depth": "16"}
    return {"class_type": "KinoSaveAsset", "inputs": inputs}


def _output(result, node, socket, is_list):
    """What an output slot gives; nothing behind it runs where the service gave nothing."""
    found = [_value(result, name, socket) for name in result["nodes"].get(node, [])]
    if is_list:
        return found
    if not found:
        from comfy_execution.graph_utils import ExecutionBlocker

        return ExecutionBlocker(None)
    if socket in ("IMAGE", "MASK") and len(found) > 1:
        import torch

        return torch.cat(found)
    return found[0]


def _value(result, name, socket):
    """The output of this flat name, as what a socket of this type carries."""
    field, _, number = name.rpartition("_")
    item = result[field][int(number) - 1]
    if field == "text":
        return _read(item, socket)
    if field in ("midi", "files"):
        return Asset(item["kind"], item["reference"])
    content = service.ask("GET", f"/v1/assets/{item['asset']}/content")
    if field == "audio":
        return media.sound_of(content)
    if field == "automation":
        return Curve(json.loads(content)["values"], item["reference"])
    if field == "videos":
        return _video(content)
    pixels = media.pixels_of(content)[None]  # [1, H, W, C]
    if field == "masks":
        return pixels[..., 0]
    return pixels.repeat(1, 1, 1, 3) if pixels.shape[3] == 1 else pixels


def _read(text, socket):
    if socket == "STRING":
        return text
    if socket == "BOOLEAN":
        return text.strip().lower() == "true"
    return json.loads(text)


def _video(content):
    import io

    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(io.BytesIO(content))


def _keep(result):
    """Write what a saving node gave into ComfyUI's own output folder, under its name."""
    import folder_paths

    folder = Path(folder_paths.get_output_directory())
    for item in result["files"]:
        name = Path(item["file_name"]).name
        content = service.ask("GET", f"/v1/assets/{item['asset']}/content")
        (folder / _free(folder, name)).write_bytes(content)


def _free(folder, name):
    stem, suffix, number = Path(name).stem, Path(name).suffix, 1
    while (folder / name).exists():
        number += 1
        name = f"{stem}_{number}{suffix}"
    return name


def _bar():
    from comfy.utils import ProgressBar

    bar = ProgressBar(1000)
    return lambda fraction: bar.update_absolute(round(1000 * fraction), 1000)


def _interrupted():
    from comfy.model_management import processing_interrupted

    return processing_interrupted()
