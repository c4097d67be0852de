"""kill -9 of the real ComfyUI worker in the middle of a job."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from backend.testing.service import until


def blurred(size: int, times: int) -> dict:
    """A graph of stock nodes that keeps a CPU busy for a while."""
    graph: dict = {
        "0": {
            "class_type": "EmptyImage",
            "inputs": {"width": size, "height": size, "batch_size": 1, "color": 255},
        }
    }
    for n in range(1, times + 1):
        inputs = {"image": [str(n - 1), 0], "blur_radius": 20, "sigma": 5.0}
        graph[str(n)] = {"class_type": "ImageBlur", "inputs": inputs}
    saved = {"images": [str(times), 0], "filename_prefix": "survivor"}
    return {**graph, "save": {"class_type": "SaveImage", "inputs": saved}}


@pytest.mark.timeout(170)
def test_the_job_survives_its_comfyui(launch) -> None:
    """The job is run again and finishes; meanwhile /healthz answers within half a second."""
    service = launch(workers=["comfy"])
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
    graph = blurred(1024, 6)
    job = service.ask("POST", "/v1/operations/workflows.run", {"graph": graph}).json()
    here = f"/v1/jobs/{job['id']}"

    def in_the_middle() -> bool:
        return service.get(here)["state"] == "running" and (service.get(here)["progress"] or 0) > 0

    until("the job is in the middle", in_the_middle, seconds=30, every=0.005)
    (worker,) = service.get("/v1/system")["workers"]
    os.kill(worker["pid"], signal.SIGKILL)
    killed = time.monotonic()
    ended = until(
        "the job has ended",
        lambda: (found := service.get(here))["state"] in ("succeeded", "failed") and found,
        seconds=100,
    )
    stop.set()
    watcher.join(5)
    assert (ended["state"], ended["attempt"]) == ("succeeded", 2), ended
    assert time.monotonic() - killed < 60
    (image,) = ended["result"]["images"]
    assert (image["width"], image["height"]) == (1024, 1024)
    assert late
    assert max(late) < 0.5
