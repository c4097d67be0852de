"""The second path: how graphs run and end, and that the lane keeps jobs apart.

Knows: steps 7 and 8 of the contract, by nodes that need no models.
Does not know: models.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, Final

from backend.bricks import engine, lane
from backend.bricks._comfy import module
from backend.bricks.engine import GraphResult
from backend.context import LOCAL, Cancelled, Context
from backend.errors import InvalidParameters, OperationFailed
from backend.testing.contract import nodes_for_tests
from backend.testing.contract.booting import boot
from backend.testing.contract.steps import Bench, Broken, Step, require

Graph = dict[str, dict[str, Any]]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """One node of a graph in API format."""
    return {"class_type": class_type, "inputs": inputs}


def run(bench: Bench, graph: Graph, ctx: Context = LOCAL, job: str = "contract") -> GraphResult:
    """Run a graph as a job of its own."""
    folder = bench.folder(job)
    return lane.current().run(
        lambda: engine.current().run(graph, assets={}, ctx=ctx, folder=folder), job, ctx
    )


PICTURE: Final[Graph] = {
    "1": node("EmptyImage", width=64, height=32, batch_size=1, color=255),
    "2": node("ContractCount", image=["1", 0]),
    "3": node(
        "ImageScale",
        image=["2", 0],
        upscale_method="nearest-exact",
        width=32,
        height=16,
        crop="disabled",
    ),
    "4": node("SaveImage", images=["3", 0], filename_prefix="x"),
}
SLEEP: Final[Graph] = {"1": node("ContractSleep", seconds=30.0)}


def boots(bench: Bench) -> str:
    """2, again: each path starts from nothing."""
    return f"ComfyUI {boot(bench).version}"


def succeeds(bench: Bench) -> str:
    """A graph of stock nodes gives its picture."""
    (image,) = run(bench, PICTURE).of("image")
    require((image.width, image.height) == (32, 16), f"the picture is {image.width} wide")
    return "32 x 16"


def remembers(bench: Bench) -> str:
    """What did not change is not computed again, and its result comes all the same."""
    before = nodes_for_tests.Count.runs
    found = run(bench, PICTURE).of("image")
    require(nodes_for_tests.Count.runs == before, "a cached node ran again")
    require(len(found) == 1, "the cached graph gave nothing")
    changed = {**PICTURE, "1": node("EmptyImage", width=64, height=32, batch_size=1, color=7)}
    run(bench, changed)
    require(nodes_for_tests.Count.runs == before + 1, "a changed node did not run")
    return "cached, and run again when changed"


def refuses(bench: Bench) -> str:
    """A wrong value is named with its node and input."""
    wrong = {**PICTURE, "1": node("EmptyImage", width=-1, height=8, batch_size=1, color=0)}
    try:
        run(bench, wrong)
    except InvalidParameters as error:
        found = [(each.pointer, each.rule) for each in error.errors]
        want = [("/graph/1/inputs/width", "value_smaller_than_min")]
        require(found == want, f"it was refused with {found}")
        return "value_smaller_than_min"
    raise Broken("a negative width was accepted")


def fails(bench: Bench) -> str:
    """A node that raises is named."""
    try:
        run(bench, {"7": node("ContractFail")})
    except OperationFailed as error:
        require(error.extra.get("node_id") == "7", f"the node is {error.extra}")
        require("asked to fail" in str(error.detail), f"it says {error.detail}")
        return "node 7"
    raise Broken("a node that raises did not fail the graph")


def stops(bench: Bench) -> str:
    """An interruption ends the graph that runs, and the next one is whole."""
    started = threading.Event()

    def heard(done: float, total: float, node_id: str | None) -> None:
        if node_id is not None:
            started.set()

    stopper = threading.Thread(
        target=lambda: started.wait(20) and lane.current().interrupt("stopped"), daemon=True
    )
    stopper.start()
    try:
        run(bench, SLEEP, Context(on_progress=heard), "stopped")
    except Cancelled:
        stopper.join(5)
        require(run(bench, PICTURE).of("image"), "the next graph gave nothing")
        return "within a step"
    raise Broken("an interrupted graph went on to its end")


def previews(bench: Bench) -> str:
    """A picture that a node shows on the way arrives."""
    seen: list[Any] = []
    run(bench, {"1": node("ContractPreview")}, Context(on_preview=seen.append))
    require(seen, "no preview came")
    require((seen[0].width, seen[0].height) == (6, 4), "the preview has another size")
    return "6 x 4"


def reports(bench: Bench) -> str:
    """Pictures, sounds, films and texts are found in what the executor reports."""
    empty = node("EmptyImage", width=64, height=64, batch_size=2, color=0)
    graph = {
        "i": empty,
        "image": node("SaveImage", images=["i", 0], filename_prefix="x"),
        "temp": node("PreviewImage", images=["i", 0]),
        "a": node("EmptyAudio", duration=0.1, sample_rate=8000, channels=1),
        "audio": node("SaveAudio", audio=["a", 0], filename_prefix="x"),
        "v": node("CreateVideo", images=["i", 0], fps=8.0),
        "video": node("SaveVideo", video=["v", 0], filename_prefix="x", format="mp4", codec="h264"),
        "text": node("PreviewAny", source="seen"),
    }
    found = [item.kind for item in run(bench, graph).produced]
    want = ["image", "image", "image", "image", "audio", "video", "text"]
    require(found == want, f"found {found}")
    return "images, audio, video, text"


def in_order(bench: Bench) -> str:
    """One job after the other, none inside another."""
    ended: list[str] = []
    for name in ("first", "second"):
        lane.current().run(partial(ended.append, name), name, LOCAL)
    require(ended == ["first", "second"], f"they ended as {ended}")
    try:
        lane.current().run(lambda: run(bench, PICTURE), "outer", LOCAL)
    except RuntimeError:
        return "one at a time"
    raise Broken("a job ran inside another")


def alone(bench: Bench) -> str:
    """An interruption for another job does not reach the one that runs."""
    answers: list[bool] = []

    def heard(done: float, total: float, node_id: str | None) -> None:
        answers.append(lane.current().interrupt("another"))

    short = {"1": node("ContractSleep", seconds=0.1)}
    run(bench, short, Context(on_progress=heard))
    require(answers and not any(answers), "an interruption hit the wrong job")
    return f"{len(answers)} interruptions passed by"


def forgets(bench: Bench) -> str:
    """An interruption that nobody saw does not end the next job."""
    module("comfy.model_management").interrupt_current_processing(True)
    require(run(bench, PICTURE).of("image"), "the graph gave nothing")
    return "a stale flag is cleared"


STEPS: Final = (
    Step(2, "clean boot", boots),
    Step(7, "a graph succeeds", succeeds),
    Step(7, "unchanged nodes are cached", remembers),
    Step(7, "wrong values are refused", refuses),
    Step(7, "a failing node is named", fails),
    Step(7, "interruption", stops),
    Step(7, "previews", previews),
    Step(7, "history keys", reports),
    Step(8, "the lane keeps the order", in_order),
    Step(8, "interruptions hit one job", alone),
    Step(8, "stale interruptions", forgets),
)
