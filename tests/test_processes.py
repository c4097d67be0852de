"""The processes: each does its own work, none waits for another, and all end in good order.

Knows: the API process, its cpu and comfy workers, and what the system says of them.
Does not know: how they speak to each other. (Killing them at random is in ``tests/kill``.)
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.testing.service import Service, environment, until

MIX = "/v1/operations/mixer.mix"
RUN = "/v1/operations/workflows.run"
HOLD = "/v1/operations/test.hold"
TRIAL_PLUGINS = Path(__file__).parent / "services" / "trial_plugins"
PICTURE = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 255},
    },
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "late"}},
}


def long_graph(nodes: int) -> dict[str, Any]:
    """Stock nodes in a row that keep a CPU busy for many seconds; it can stop between them."""
    graph: dict[str, Any] = {
        "0": {
            "class_type": "EmptyImage",
            "inputs": {"width": 1024, "height": 1024, "batch_size": 1, "color": 255},
        }
    }
    for n in range(1, nodes + 1):
        inputs = {"image": [str(n - 1), 0], "blur_radius": 15, "sigma": 4.0 + n / 100}
        graph[str(n)] = {"class_type": "ImageBlur", "inputs": inputs}
    saved = {"images": [str(nodes), 0], "filename_prefix": "long"}
    return {**graph, "save": {"class_type": "SaveImage", "inputs": saved}}


def submit(service: Service, path: str, params: dict[str, Any]) -> str:
    """Submit a job; return its path."""
    answer = service.ask("POST", path, params)
    assert answer.status == 202, answer.body
    return answer.headers["location"]


def one_track(service: Service, sound: bytes) -> dict[str, Any]:
    source = service.upload(sound, "tone.wav")["reference"]
    return {"mix": {"strips": [{"id": "tone", "source": source}]}}


def worker(service: Service, kind: str) -> dict[str, Any]:
    (found,) = (each for each in service.get("/v1/system")["workers"] if each["kind"] == kind)
    return dict(found)


@pytest.mark.xdist_group("comfy")
def test_a_mix_beside_a_graph(service: Service, make_wav: Callable[..., bytes]) -> None:
    """A mix that is submitted while a graph runs starts and finishes while it still runs; then the
    graph is cancelled, between two nodes, without the end of its worker."""
    mix = one_track(service, make_wav())
    before = worker(service, "comfy")["pid"]
    graph = submit(service, RUN, {"graph": long_graph(400)})
    until(
        "the graph is in the middle",
        lambda: (job := service.get(graph))["state"] == "running" and (job["progress"] or 0) > 0,
        seconds=300,
    )
    mixed = service.run("mixer.mix", mix)
    assert mixed["state"] == "succeeded"
    during = service.get(graph)
    assert during["state"] == "running"
    assert during["started"] < mixed["created"] <= mixed["started"] < mixed["finished"]
    assert service.ask("POST", during["links"]["cancel"]).status in (200, 202)
    ended = until(
        "the graph has ended",
        lambda: (job := service.get(graph))["state"] not in ("queued", "running") and job,
        seconds=300,
    )
    assert (ended["state"], ended["attempt"]) == ("cancelled", 1)
    service.wait_ready("comfy")
    assert worker(service, "comfy")["pid"] == before


def test_a_mix_while_comfyui_loads(
    launch: Callable[..., Service],
    make_wav: Callable[..., bytes],
    slow_to_load: Callable[[Path], dict[str, object]],
    tmp_path: Path,
) -> None:
    """A mix needs no ComfyUI, so it does not wait until that is loaded; a graph does, and runs as
    soon as it can."""
    service = launch(workers=["cpu", "comfy"], **slow_to_load(tmp_path))
    graph = submit(service, RUN, {"graph": PICTURE})
    service.wait_ready("cpu")
    mixed = service.run("mixer.mix", one_track(service, make_wav()))
    assert mixed["state"] == "succeeded"
    assert worker(service, "comfy")["state"] in ("starting", "loading")
    waiting = service.get(graph)
    assert waiting["state"] == "queued"
    assert waiting["waiting_for"]
    (tmp_path / "slow" / "go").touch()
    ended = until(
        "the graph has ended",
        lambda: (job := service.get(graph))["state"] not in ("queued", "running") and job,
        seconds=300,
    )
    assert ended["state"] == "succeeded", ended["error"]
    assert ended["started"] > mixed["finished"]
    (image,) = ended["result"]["images"]
    assert (image["width"], image["height"]) == (64, 64)


@pytest.mark.xdist_group("comfy")
def test_only_one_process_has_torch(service: Service, make_wav: Callable[..., bytes]) -> None:
    """Neither the API nor the cpu worker maps torch's libraries, not even after work; the comfy
    worker does, so that the look would find them."""
    service.run("mixer.mix", one_track(service, make_wav()))

    def has_torch(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):  # decoders come and go
            return any("libtorch" in mapped.path for mapped in process.memory_maps())
        return False

    workers = {each["kind"]: each["pid"] for each in service.get("/v1/system")["workers"]}
    api = psutil.Process(service.pid)
    with_torch = [process.pid for process in (api, *api.children()) if has_torch(process)]
    assert with_torch == [workers["comfy"]]
    assert workers["cpu"] in [process.pid for process in api.children()]


# --- the end ---------------------------------------------------------------------------------


def running(service: Service, path: str) -> bool:
    return bool(service.get(path)["state"] == "running")


def end(service: Service, meanwhile: Callable[[], None] = lambda: None) -> None:
    """SIGTERM, exit status 0, no process left; *meanwhile* is done before that is awaited."""
    children = psutil.Process(service.pid).children(recursive=True)
    assert children
    assert service.process is not None
    service.process.send_signal(signal.SIGTERM)
    meanwhile()
    assert service.process.wait(300) == 0
    _, alive = psutil.wait_procs(children, timeout=600)
    assert alive == []


def test_the_running_job_finishes(
    launch: Callable[..., Service], make_wav: Callable[..., bytes], tmp_path: Path
) -> None:
    """SIGTERM: the running job ends well and is kept; what waited is run by the next service."""
    go = tmp_path / "go"
    service = launch(plugins_dir=TRIAL_PLUGINS, limits__drain_s=120)
    service.wait_ready()
    mix = one_track(service, make_wav())
    jobs = [submit(service, HOLD, {"until": str(go)}), *(submit(service, MIX, mix) for _ in "ab")]
    until("the first runs", lambda: running(service, jobs[0]), seconds=300)

    def meanwhile() -> None:
        def draining() -> bool:
            return bool(service.ask("GET", "/readyz").json()["state"] == "stopping")

        until("it drains", draining, seconds=300)
        go.touch()

    end(service, meanwhile)
    again = launch(data_dir=service.data_dir, workers=[])  # nobody here to run anything
    assert again.get(jobs[0])["state"] == "succeeded"
    assert [again.get(path)["state"] for path in jobs[1:]] == ["queued", "queued"]
    assert again.stop() == 0
    last = launch(data_dir=service.data_dir)
    for path in jobs:
        ended = last.get(f"{path}?wait=120")
        assert (ended["state"], ended["attempt"]) == ("succeeded", 1)
    references = {last.get(path)["result"]["master"]["reference"] for path in jobs[1:]}
    assert len(references) == 1


def test_a_job_longer_than_the_drain(launch: Callable[..., Service], tmp_path: Path) -> None:
    """A job that does not end within the drain time is put back, and is run by the next service;
    the end of the service does not wait for it, and is no attempt of the job's own fault."""
    go = tmp_path / "go"
    settings: dict[str, object] = {"plugins_dir": TRIAL_PLUGINS, "limits__job_attempts": 1}
    service = launch(limits__drain_s=0.2, **settings)
    service.wait_ready()
    job = submit(service, HOLD, {"until": str(go)})
    until("it runs", lambda: running(service, job), seconds=300)
    end(service)
    go.touch()
    again = launch(data_dir=service.data_dir, **settings)
    ended = until(
        "the job has ended",
        lambda: (found := again.get(job))["state"] not in ("queued", "running") and found,
        seconds=300,
    )
    assert ended["state"] == "succeeded", ended["error"]


def test_a_second_instance_is_refused(
    launch: Callable[..., Service], make_wav: Callable[..., bytes], tmp_path: Path
) -> None:
    """The data folder is one service's own: another ends in one sentence, and the first, which
    was at work, is not disturbed."""
    service = launch()
    service.wait_ready()
    mix = one_track(service, make_wav())
    pids = [service.pid, worker(service, "cpu")["pid"]]
    second = subprocess.run(
        [sys.executable, "-P", "-m", "backend", "serve"],
        env=environment({"port": 0, "data_dir": service.data_dir}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert second.returncode == 1
    assert second.stdout == ""
    (line,) = second.stderr.strip().splitlines()
    assert f"another Kino (process {service.pid}) already uses this data folder" in line
    assert "KINO_DATA_DIR" in line
    assert service.run("mixer.mix", mix)["state"] == "succeeded"
    assert [service.pid, worker(service, "cpu")["pid"]] == pids
