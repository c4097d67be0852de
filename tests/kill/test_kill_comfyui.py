"""kill -9 of the real ComfyUI worker in the middle of a job."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from backend.testing.service import until

PACK = Path(__file__).parents[1] / "gate_pack"


def blurred(size: int, times: int, go: Path) -> dict:
    """A graph that keeps a CPU busy for a while, and then waits for *go*."""
    graph: dict = {
        "0": {
            "class_type": "EmptyImage",
            "inputs": {"width": size, "height": size, "batch_size": 1, "color": 255},
        }
    }
    for n in range(1, times + 1):
        inputs = {"image": [str(n - 1), 0], "blur_radius": 20, "sigma": 5.0}
        graph[str(n)] = {"class_type": "ImageBlur", "inputs": inputs}
    graph["gate"] = {
        "class_type": "TestGate",
        "inputs": {"image": [str(times), 0], "until": str(go)},
    }
    saved = {"images": ["gate", 0], "filename_prefix": "survivor"}
    return {**graph, "save": {"class_type": "SaveImage", "inputs": saved}}


def test_the_job_survives_its_comfyui(launch, tmp_path) -> None:
    """The job is run again and finishes; meanwhile /healthz answers as ever: the worker's start
    holds nobody up."""
    service = launch(
        workers=["comfy"], comfyui__custom_nodes_dir=PACK, comfyui__custom_nodes=["gate.py"]
    )
    service.wait_ready()
    late: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            began = time.monotonic()
            assert service.ask("GET", "/healthz").status == 200
            late.append(time.monotonic() - began)
            time.sleep(0.02)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    graph = blurred(1024, 6, tmp_path / "go")
    job = service.ask("POST", "/v1/operations/workflows.run", {"graph": graph}).json()
    here = f"/v1/jobs/{job['id']}"

    def in_the_middle() -> bool:
        return service.get(here)["state"] == "running" and (service.get(here)["progress"] or 0) > 0

    until("the job is in the middle", in_the_middle, seconds=300, every=0.005)
    (worker,) = service.get("/v1/system")["workers"]
    os.kill(worker["pid"], signal.SIGKILL)
    killed = time.monotonic()
    (tmp_path / "go").touch()
    ended = until(
        "the job has ended",
        lambda: (found := service.get(here))["state"] in ("succeeded", "failed") and found,
        seconds=300,
    )
    away = time.monotonic() - killed
    stop.set()
    watcher.join(120)
    assert (ended["state"], ended["attempt"]) == ("succeeded", 2), ended
    (image,) = ended["result"]["images"]
    assert (image["width"], image["height"]) == (1024, 1024)
    # of its own time the machine decides, which may stand still for seconds
    assert late
    assert max(late) < away / 2, (max(late), away)
