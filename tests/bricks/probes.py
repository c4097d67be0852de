"""Probes: functions that `host.py` calls inside a process with a booted ComfyUI.

Each takes a folder that it may write into and returns JSON; ``test_comfyui.py`` says what must come
back, and why.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Le, Len
from pydantic import Field

from backend.bricks import (
    _imports,
    devices,
    engine,
    folders,
    lane,
    nodes,
    sampling,
    session,
    sockets,
)
from backend.bricks._comfy import module
from backend.context import LOCAL, Context, scratch_folder, scratch_in
from backend.errors import KinoError
from backend.hookspecs import NodeInput, NodeShape
from backend.media import video_writing
from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.file import File
from backend.media.image import Image, Mask
from backend.media.midi import Midi
from backend.media.video import Video
from backend.operations import Model, Needs, Unavailable, operation
from backend.plugins.files import video_nodes, video_operations
from backend.units import Decibels

ODD = np.array([[0.0, -0.0, 1.5, -2.25, 1e-7, 1e-42], [1.0, -1.0, 1 / 3, 2**-24, 0.1, 3e38]], "f4")


def on_lane(work: Any) -> Any:
    return lane.current().run(work, "probe", LOCAL)


def raised(work: Any) -> list[str]:
    """Class and text of what *work* raises."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 (told to the test)
        return [type(error).__name__, str(error)]
    return ["nothing", ""]


def run(graph: dict[str, Any], folder: Path, assets: Any = None, ctx: Context = LOCAL) -> Any:
    return engine.current().run(graph, assets=assets or {}, ctx=ctx, folder=folder)


def failure(graph: dict[str, Any], folder: Path, assets: Any = None) -> dict[str, Any]:
    """The problem that a graph ends with."""
    try:
        run(graph, folder, assets)
    except KinoError as error:
        return {"class": type(error).__name__, **error.as_problem()}
    return {"class": "nothing"}


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def same(one: Any, other: Any) -> bool:
    """Bit for bit, signs of zeros included."""
    return bool(one.shape == other.shape and one.tobytes() == other.tobytes())


# --- sockets ------------------------------------------------------------------------------------


def sockets_are_exact(folder: Path) -> dict[str, bool]:
    audio = Audio.from_samples(ODD, 44100)
    socket = sockets.audio_to_socket(audio)
    picture = Image.from_array(np.linspace(0, 1, 4 * 5 * 3, dtype="f4").reshape(4, 5, 3))
    rgba = Image.from_array(np.linspace(0, 1, 4 * 5 * 4, dtype="f4").reshape(4, 5, 4))
    grey = Image.from_array(np.linspace(0, 1, 4 * 5, dtype="f4").reshape(4, 5, 1))
    mask = Mask.from_array(np.linspace(0, 1, 20, dtype="f4").reshape(4, 5))
    waveform = socket["waveform"]
    found = {
        "audio": same(sockets.audio_from_socket(socket)[0].samples, ODD),
        "audio shape": tuple(waveform.shape) == (1, 2, 6) and waveform.dtype == torch.float32,
        "rate": sockets.audio_from_socket(socket)[0].sample_rate == 44100,
        "image": same(
            sockets.image_from_socket(sockets.image_to_socket(picture))[0].pixels, picture.pixels
        ),
        "rgba": same(
            sockets.image_from_socket(sockets.image_to_socket(rgba))[0].pixels, rgba.pixels
        ),
        "grey": same(
            sockets.image_from_socket(sockets.image_to_socket(grey))[0].pixels,
            np.repeat(grey.pixels, 3, axis=2),
        ),
        "mask": same(sockets.mask_from_socket(sockets.mask_to_socket(mask))[0].values, mask.values),
    }
    waveform += 1.0  # what a node does to its tensor must not reach the value
    found["copied"] = same(audio.samples, ODD)
    return found


def sockets_take_batches(folder: Path) -> dict[str, Any]:
    batch = torch.arange(2 * 3 * 4, dtype=torch.float32).reshape(2, 3, 4)
    return {
        "audio": [
            same(item.samples, batch[place].numpy())
            for place, item in enumerate(
                sockets.audio_from_socket({"waveform": batch, "sample_rate": 8000})
            )
        ],
        "masks": len(sockets.mask_from_socket(batch / 24)),
        "flat mask": len(sockets.mask_from_socket(batch[0])),
        "half": str(sockets.image_from_socket(torch.ones(1, 2, 2, 3).half())[0].pixels.dtype),
        "nothing": raised(lambda: sockets.audio_from_socket(None)),
        "no rate": raised(lambda: sockets.audio_from_socket({"waveform": batch})),
        "wrong": raised(
            lambda: sockets.audio_from_socket({"waveform": batch[0], "sample_rate": 1})
        ),
        "no tensor": raised(lambda: sockets.image_from_socket("x")),
    }


# --- nodes --------------------------------------------------------------------------------------


def nodes_are_called(folder: Path) -> dict[str, Any]:
    def call(name: str, **inputs: Any) -> Any:
        return on_lane(lambda: nodes.call_node(name, **inputs))

    (image,) = call("EmptyImage", width=8, height=4, color=255)
    (audio,) = call("EmptyAudio", duration=0.5, sample_rate=8000)
    return {
        "V1": list(image.shape),
        "V3": list(audio["waveform"].shape),
        "inference": call("ImageInvert", image=image)[0].is_inference(),
        "off the lane": raised(lambda: nodes.call_node("EmptyImage")),
        "hidden": raised(lambda: call("SaveImage", images=image)),
        "unknown": raised(lambda: call("EmptyImag")),
    }


def nodes_are_described(folder: Path) -> dict[str, Any]:
    every = nodes.node_info()
    return {
        "count": len(every) == len(nodes.names()),
        "V1": [every["EmptyImage"]["input"]["required"]["width"][0], every["EmptyImage"]["output"]],
        "V3": every["EmptyAudio"]["output_name"],
        "output": [every["SaveImage"]["output_node"], every["EmptyImage"]["output_node"]],
        "same keys": sorted(
            {"name", "input", "output", "output_node"} - every["EmptyAudio"].keys()
        ),
    }


class Mine:
    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
        return {"required": {}}

    def run(self):
        return (7,)


class Replaced(Mine):
    def run(self):
        return (8,)


def nodes_are_registered(folder: Path) -> dict[str, Any]:
    nodes.register_node("ProbeMine", Mine)
    first = on_lane(lambda: nodes.call_node("ProbeMine"))
    nodes.register_node("ProbeMine", Replaced)
    return {
        "first": first,
        "second": on_lane(lambda: nodes.call_node("ProbeMine")),
        "taken": raised(lambda: nodes.register_node("SaveImage", Mine)),
    }


# --- what ComfyUI offers ------------------------------------------------------------------------


def samplers_are_checked(folder: Path) -> dict[str, Any]:
    sampling.check("euler", "normal")
    return {
        "samplers": list(sampling.samplers()),
        "schedulers": list(sampling.schedulers()),
        "wrong": raised(lambda: sampling.check("eulr", "karass")),
    }


def models_are_listed(folder: Path) -> dict[str, Any]:
    models = folder / "models"
    _imports.add_models([models])
    (models / "loras" / "soft").mkdir(parents=True)
    (models / "loras" / "soft" / "light.safetensors").write_bytes(b"")
    return {
        "kinds": list(folders.model_kinds()),
        "loras": list(folders.list_models("loras")),
        "unknown": raised(lambda: folders.list_models("lora")),
    }


def devices_are_listed(folder: Path) -> dict[str, Any]:
    before = devices.memory()
    return {
        "devices": list(devices.devices()),
        "memory": 0 < before.free <= before.total,
        "loaded": devices.unload_all().loaded_models,
        "freed": devices.free(1).free > 0,
    }


def names_are_not_mixed_up(folder: Path) -> dict[str, Any]:
    tests, utils = module("tests"), module("utils")
    root = session.booted().finder.root
    return {
        "tests": getattr(tests, "HOSTILE", False),
        "utils": Path(next(iter(utils.__path__))).is_relative_to(root),
        "strangers": session.booted().finder.strangers(),
        "on the path": [entry for entry in sys.path if entry and str(root) in entry],
    }


# --- graphs -------------------------------------------------------------------------------------


class Preview:
    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
        return {"required": {}}

    def run(self):
        from PIL import Image as Pillow

        bar = module("comfy.utils").ProgressBar(3)
        for step in range(3):
            picture = Pillow.new("RGB", (6, 4), (255, 0, 0))
            bar.update_absolute(step + 1, 3, ("JPEG", picture, 512))
        # what a node sends to ComfyUI's web clients must not pile up
        module("server").PromptServer.instance.send_sync("probe", {})
        return {"ui": {"text": ["done"]}}


def previews_reach_the_job(folder: Path) -> dict[str, Any]:
    nodes.register_node("ProbePreview", Preview)
    seen: list[Image] = []
    before = module("folder_paths").get_output_directory()
    run({"1": node("ProbePreview")}, folder, ctx=Context(on_preview=seen.append))
    return {
        "shapes": [list(image.pixels.shape) for image in seen],
        "colour": seen[0].pixels[0, 0].tolist(),
        "queue": session.booted().server.messages.qsize(),
        "folder": module("folder_paths").get_output_directory() == before,
    }


class Stop(Preview):
    def run(self):
        raise module("comfy.model_management").InterruptProcessingException


class Full(Preview):
    def run(self):
        raise torch.OutOfMemoryError("CUDA out of memory")


class Nested(Preview):
    def run(self):
        run({"1": node("ProbePreview")}, Path())


def graphs_end_badly(folder: Path) -> dict[str, Any]:
    for name, cls in (("ProbeStop", Stop), ("ProbeFull", Full), ("ProbeNested", Nested)):
        nodes.register_node(name, cls)
    picture = Image.from_array(np.zeros((2, 2, 3), "f4"))
    blocked = {
        "1": node("KinoLoadAsset", asset="one"),
        "2": node("KinoSaveAsset", audio=["1", 0], name="x"),
    }
    through = {
        "1": node("KinoLoadAsset", asset="one"),
        "2": node("InvertMask", mask=["1", 2]),
        "3": node("KinoSaveAsset", mask=["2", 0], name="x"),
    }
    outside = {
        "1": node("EmptyImage", width=8, height=8),
        "2": node("SaveImage", images=["1", 0], filename_prefix="../../../out"),
    }
    return {
        "stopped": failure({"1": node("ProbeStop")}, folder),
        "memory": failure({"1": node("ProbeFull")}, folder),
        "nested": failure({"1": node("ProbeNested")}, folder),
        "blocked": failure(blocked, folder, {"one": picture}),
        "blocked again": [failure(through, folder, {"one": picture})["class"] for _ in range(2)],
        "nothing": failure({"1": node("KinoSaveAsset", name="x")}, folder),
        "outside": failure(outside, folder),
        "partly": list(
            run(
                {**blocked, "3": node("PreviewImage", images=["1", 1])}, folder, {"one": picture}
            ).warnings
        ),
    }


class Background(Preview):
    async def run(self):
        LEFT.append(asyncio.create_task(asyncio.sleep(60)))
        await asyncio.sleep(0.01)
        if len(LEFT) == 1:
            raise RuntimeError("the first time")
        return {"ui": {"text": ["done"]}}


LEFT: list[asyncio.Task[None]] = []


def a_failed_graph_leaves_nothing(folder: Path) -> dict[str, Any]:
    nodes.register_node("ProbeBackground", Background)
    own = folder / "failed"
    own.mkdir()
    image = {"1": node("EmptyImage", width=8, height=8), "2": node("SaveImage", images=["1", 0])}
    ended = failure({**image, "3": node("ProbeBackground")}, own)
    left = [path.name for path in own.iterdir()]
    texts = run({"3": node("ProbeBackground")}, own).of("text")
    return {
        "ended": ended["detail"],
        "left": left,
        "texts": texts,
        "tasks": [task.cancelled() for task in LEFT],
    }


def history_of_every_kind(folder: Path) -> dict[str, Any]:
    images = {"images": ["1", 0], "filename_prefix": "sub/x"}
    graph = {
        "1": node("EmptyImage", width=16, height=16, batch_size=3, color=255),
        "2": node("EmptyAudio", duration=0.5, sample_rate=44100, channels=2),
        "3": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "10": node("SaveImage", **images),
        "11": node(
            "SaveAnimatedWEBP", **images, fps=6.0, lossless=True, quality=80, method="default"
        ),
        "12": node("SaveAudio", audio=["2", 0], filename_prefix="audio/x"),
        "13": node("SaveAudioMP3", audio=["2", 0], filename_prefix="x", quality="V0"),
        "14": node("SaveLatent", samples=["3", 0], filename_prefix="x"),
        "15": node("PreviewAny", source=["3", 0]),
        "16": node("PreviewAudio", audio=["2", 0]),
        # its format is a choice that brings inputs of its own; all of it is left to the defaults
        "17": node("SaveAudioAdvanced", audio=["2", 0]),
    }
    result = run(graph, folder)
    audio = result.of("audio")[0]
    return {
        "nodes": result.by_node(),
        "files": [[item.media_type, item.path.suffix] for item in result.of("file")],
        "audio": [audio.sample_rate, audio.channels, audio.frames],
        "filled": [note for note in result.warnings if "format was not given" in note],
        "below": all(item.path.is_relative_to(folder.resolve()) for item in result.of("file")),
    }


def assets_of_every_kind(folder: Path) -> dict[str, Any]:
    rgba = Image.from_array(np.linspace(0, 1, 4 * 5 * 4, dtype="f4").reshape(4, 5, 4))
    mask = Mask.from_array(np.linspace(0, 1, 20, dtype="f4").reshape(4, 5))
    midi = Midi(b"MThd\0\0\0\6\0\0\0\1\0`MTrk\0\0\0\4\0\xff\x2f\0")
    curve = Automation.from_values(np.array([0.0, 1 / 3, 1.0], "f4"), Fraction(24000, 1001))
    given = {"image": rgba, "mask": mask, "midi": midi, "automation": curve}
    slots = {"audio": 0, "image": 1, "mask": 2, "midi": 3, "automation": 4, "file": 5}
    graph: dict[str, Any] = {}
    for kind in given:
        graph[kind] = node("KinoLoadAsset", asset=kind)
        graph[f"save {kind}"] = node("KinoSaveAsset", name=kind, **{kind: [kind, slots[kind]]})
    graph["alpha"] = node("KinoSaveAsset", name="alpha", mask=["image", 2])
    graph["grey"] = node("KinoLoadAsset", asset="grey")
    graph["as mask"] = node("KinoSaveAsset", name="as mask", mask=["grey", 2])
    graph["as image"] = node("KinoSaveAsset", name="as image", image=["mask", 1], bit_depth="16")
    grey = Image.from_array(mask.values[:, :, None])
    result = run(graph, folder, {**given, "grey": grey})
    back = {item.name: item.value for item in result.produced}
    return {
        "image": same(back["image"].pixels, rgba.pixels),
        "mask": same(back["mask"].values, mask.values),
        "midi": back["midi"].data == midi.data,
        "automation": same(back["automation"].values, curve.values),
        "rate": str(back["automation"].frame_rate),
        "alpha": same(back["alpha"].values, 1.0 - rgba.pixels[:, :, 3]),
        "grey as mask": same(back["as mask"].values, mask.values),
        "mask as image": same(back["as image"].pixels[:, :, 2], mask.values),
        "warnings": list(result.warnings),
    }


# --- operations as nodes ------------------------------------------------------------------------


class Strip(Model):
    source: Audio
    gain_db: Annotated[Decibels, Ge(-60), Le(24)] = 0.0


class Master(Model):
    ceiling_db: Annotated[Decibels, Ge(-12), Le(0)] = -1.0
    notes: list[str] = Field(default_factory=list)


class Sums(NamedTuple):
    total: Audio
    peaks: list[Audio]
    stems: dict[str, Audio]
    loudest: float
    report: dict[str, Any]


@operation("probe.sum", needs=Needs())
def probe_sum(
    strips: Annotated[list[Strip], Len(1, 4)],
    more: list[Audio] | None = None,
    master: Master = Master(),  # noqa: B008 (frozen)
    mode: Literal["add", "average"] = "add",
    limit_db: Annotated[Decibels, Le(0)] | None = None,
    *,
    ctx: Context = LOCAL,
) -> Sums:
    """Sum sounds, and say what was asked."""
    ctx.progress(1, 2)
    total = sum(strip.source.samples * np.float32(10 ** (strip.gain_db / 20)) for strip in strips)
    rate = strips[0].source.sample_rate
    asked = {
        "strips": len(strips), "more": None if more is None else len(more),
        "ceiling": master.ceiling_db, "notes": master.notes, "mode": mode, "limit": limit_db,
    }  # fmt: skip
    audio = Audio.from_samples(total, rate)
    return Sums(audio, [audio, audio], {"a": audio}, float(np.abs(total).max()), asked)


@operation("probe.gone", needs=Needs())
def probe_gone(level_db: Decibels = 0.0) -> float:
    """Not there."""
    return level_db


@operation("probe.later")
async def probe_later(text: str = "x") -> str:
    """Runs on the loop."""
    return text


CALLS: list[int] = []


@operation("probe.count", pure=False)
def probe_count(step: int = 1) -> int:
    """Counts its calls."""
    CALLS.append(step)
    return len(CALLS)


@operation("probe.level")
def probe_level(level_db: Annotated[Decibels, Ge(-60), Le(0)]) -> float:
    """A level within a range."""
    return level_db


SHAPE = NodeShape(
    "ProbeLevel",
    "probe.level",
    "Level",
    "Kino/probe",
    (
        NodeInput(
            "level", "level_db", "FLOAT", {"default": 0.5}, lambda gain: 20 * float(np.log10(gain))
        ),
    ),
    (("decibels", "result"),),
)


def operations_are_nodes(folder: Path) -> dict[str, Any]:
    known = {each.name: each for each in (probe_sum, probe_gone, probe_later, probe_level)}
    lost = NodeShape("ProbeLost", "probe.unknown", "Lost", "Kino", (), ())
    names = nodes.register_operations(
        known, [SHAPE, lost], {"probe.gone": Unavailable("a file is missing", "Put it there")}
    )
    rng = np.random.default_rng(1)
    sounds = {
        name: Audio.from_samples(rng.standard_normal((2, 100)).astype("f4"), 48000) for name in "ab"
    }
    graph = {
        "a": node("KinoLoadAsset", asset="a"),
        "b": node("KinoLoadAsset", asset="b"),
        "sum": node(
            "KinoProbeSum",
            strips_1_source=["a", 0],
            strips_3_source=["b", 0],
            strips_3_gain_db=-6.0,
            strips_2_gain_db=3.0,
            more_1=["a", 0],
            more_2=["b", 0],
            master_ceiling_db=-2.0,
            master_notes='["loud"]',
            mode="average",
        ),
        "total": node("KinoSaveAsset", name="total", audio=["sum", 0]),
        "peaks": node("KinoSaveAsset", name="peaks", audio=["sum", 1]),
        "stems": node("KinoSaveAsset", name="stems", audio=["sum", 2]),
        "loudest": node("PreviewAny", source=["sum", 3]),
        "report": node("PreviewAny", source=["sum", 4]),
        "shape": node("ProbeLevel", level=0.5),
        "level": node("PreviewAny", source=["shape", 0]),
    }
    result = run(graph, folder, sounds)
    direct = probe_sum(
        strips=[Strip(source=sounds["a"]), Strip(source=sounds["b"], gain_db=-6.0)]
    ).total
    info = nodes.node_info("KinoProbeSum")
    return {
        "names": names,
        "exact": same(result.of("audio")[0].samples, direct.samples),
        "nodes": result.by_node(),
        "texts": result.of("text"),
        "category": info["category"],
        "types": [info["output"], info["output_name"], info["output_is_list"]],
        "slots": {kind: sorted(group) for kind, group in info["input"].items()},
        "limit": info["input"]["optional"]["limit_db"],
    }


def impure_operations_run_every_time(folder: Path) -> list[int]:
    nodes.register_operations({"probe.count": probe_count, "probe.level": probe_level})
    graph = {
        "1": node("KinoProbeCount"),
        "2": node("PreviewAny", source=["1", 0]),
        "3": node("KinoProbeLevel", level_db=-1.0),
        "4": node("PreviewAny", source=["3", 0]),
    }
    return [int(run(graph, folder).of("text")[0]) for _ in range(3)]


@operation("probe.file")
def probe_file() -> File:
    """Writes a file into the run's folder, and counts its calls."""
    CALLS.append(0)
    path = scratch_folder() / "kept.txt"
    path.write_text(f"kept {len(CALLS)}", "utf-8")
    return File(path, "text/plain", "kept.txt")


def files_are_written_anew(folder: Path) -> list[Any]:
    nodes.register_operations({"probe.file": probe_file})
    graph = {
        "1": node("KinoProbeFile"),
        "2": node("KinoSaveAsset", file=["1", 0], name="kept"),
    }
    CALLS.clear()
    found = []
    for place in (folder / "one", folder / "two"):
        place.mkdir()
        with scratch_in(place):
            (file,) = run(graph, place).of("file")
        found.append([file.path.read_text("utf-8"), file.path.parent == place])
        shutil.rmtree(place)  # as a worker does when its job has ended
    return found


def nodes_of_operations_refuse(folder: Path) -> dict[str, Any]:
    operations_are_nodes(folder)
    stereo = Audio.from_samples(np.zeros((2, 10), "f4"), 48000)
    load = {"a": node("KinoLoadAsset", asset="a")}

    def ends(graph: dict[str, Any]) -> dict[str, Any]:
        (name,) = graph
        return failure(
            {**load, **graph, "end": node("PreviewAny", source=[name, 0])}, folder, {"a": stereo}
        )

    batch = {
        "e": node("EmptyAudio", duration=0.1, sample_rate=8000),
        "n": node("KinoProbeSum", strips_1_source=["j", 0]),
        "j": node("ProbeBatch"),
        "end": node("PreviewAny", source=["n", 3]),
    }
    nodes.register_node("ProbeBatch", Batch)
    return {
        "gone": ends({"n": node("KinoProbeGone")}),
        "later": ends({"n": node("KinoProbeLater")}),
        "range": ends({"n": node("ProbeLevel", level=0.0001)}),
        "json": ends({"n": node("KinoProbeSum", strips_1_source=["a", 0], master_notes="[")}),
        "empty": ends({"n": node("KinoProbeSum", mode="add")}),
        "batch": failure(batch, folder),
        "described": nodes.node_info("KinoProbeGone")["description"],
    }


class Batch(Mine):
    RETURN_TYPES = ("AUDIO",)

    def run(self):
        return ({"waveform": torch.zeros(3, 1, 10), "sample_rate": 8000},)


# --- video --------------------------------------------------------------------------------------


def videos_pass_through(folder: Path) -> dict[str, Any]:
    """A video asset through Kino's bridge, ComfyUI's own video nodes and Kino's loader."""
    rate = Fraction(30000, 1001)
    with scratch_in(folder):
        film = _film(rate)
        original = film.path.read_bytes()
        graph = {
            "load": node("KinoLoadAsset", asset="film"),
            "same": node("KinoSaveAsset", name="same", video=["load", 6]),
            "parts": node("GetVideoComponents", video=["load", 6]),
            "made": node("CreateVideo", images=["parts", 0], audio=["parts", 1], fps=["parts", 2]),
            "kept": node("KinoSaveAsset", name="made", video=["made", 0]),
            "stock": node(
                "SaveVideo", video=["load", 6], filename_prefix="x", format="auto", codec="auto"
            ),
            "slice": node(
                "Video Slice", video=["load", 6], start_time=0.2, duration=0.2,
                strict_duration=False,
            ),
            "part": node("KinoSaveAsset", name="part", video=["slice", 0]),
        }  # fmt: skip
        result = run(graph, folder, {"film": film})
        named = {item.name or item.node_id: item.value for item in result.produced}
        made, part, stock = named["made"], named["part"], named["stock"]
        click = made.audio
        return {
            "same": named["same"].path.read_bytes() == original,
            "made": [str(made.frame_rate), made.frame_count, made.width, made.height],
            "click": abs(int(np.abs(click.samples[0]).argmax()) - round(10 / rate * 48_000)) < 100,
            "frames": _numbers(made),
            "part": _numbers(part),
            "stock": [stock.kind, str(stock.frame_rate), stock.frame_count],
            "fields": result.by_node(),
            "moved": _moved(film, folder),
        }


def _film(rate: Fraction) -> Video:
    samples = np.zeros((1, 48_000), np.float32)
    samples[0, round(10 / rate * 48_000)] = 0.9
    frames = (np.full((48, 64, 3), 8 * n / 255, np.float32) for n in range(20))
    return video_writing.write(frames, rate, Audio.from_samples(samples, 48_000))


def _numbers(video: Video) -> list[int]:
    return [round(float(frame.mean()) * 255 / 8) for frame in video.frames()]


def _moved(film: Video, folder: Path) -> bool:
    """Whether an equal graph finds an asset that lies elsewhere now."""
    graph = {
        "load": node("KinoLoadAsset", asset="film"),
        "parts": node("GetVideoComponents", video=["load", 6]),
        "size": node("GetImageSize", image=["parts", 0]),
        "shown": node("PreviewAny", source=["size", 2]),
        "same": node("KinoSaveAsset", name="same", video=["load", 6]),
    }
    texts = []
    for name in ("one", "two"):
        path = folder / name
        shutil.copy(film.path, path)
        result = run(graph, folder, {"film": Video.open(path)})
        texts += [*result.of("text"), result.of("video")[0].path.name]
        path.unlink()
    return texts == ["20", "one", "20", "two"]


def videos_load_as_one_batch(folder: Path) -> dict[str, Any]:
    """The loader under its older name, and the derived nodes, inside ComfyUI."""
    nodes.register_operations(
        {each.name: each for each in video_operations.OPERATIONS}, [video_nodes.VIDEO_LOADER]
    )
    film = _film(Fraction(24000, 1001))
    graph = {
        "old": node("InternodeVideoLoader", video_file="blake3:" + "f" * 64, load_audio=True,
                    frame_load_cap=4, start_frame=8, frame_step=2, resize_mode="512x512"),
        "size": node("GetImageSize", image=["old", 0]),
        **{f"text {n}": node("PreviewAny", source=["old", n]) for n in (2, 3, 4, 5)},
        "batch": node("PreviewAny", source=["size", 2]),
        "sound": node("KinoSaveAsset", name="sound", audio=["old", 1]),
        "load": node("KinoLoadAsset", asset="blake3:" + "f" * 64),
        "saved": node("KinoFilesSaveVideo", images_1=["old", 0], fps="24000/1001",
                      audio=["old", 1], format="mp4_h264", crf=17.0),
        "video": node("KinoSaveAsset", name="video", video=["saved", 0]),
    }  # fmt: skip
    refused = {**graph, "old": node("InternodeVideoLoader", **{
        **graph["old"]["inputs"], "start_frame": 99})}  # fmt: skip
    with scratch_in(folder):
        assets = {"blake3:" + "f" * 64: film}
        result = run(graph, folder, assets)
        sound, (video,) = result.of("audio")[0], result.of("video")
        wrong = failure(refused, folder, assets)
        return {
            "texts": result.of("text"),
            "sound": sound.frames == round(8 / film.frame_rate * 48_000),
            "video": [str(video.frame_rate), video.frame_count, video.width, video.height],
            "refused": [(each["pointer"], each["rule"]) for each in wrong["errors"]],
            "slots": nodes.node_info("InternodeVideoLoader")["output_name"],
        }
