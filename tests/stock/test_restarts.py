"""Prompts survive kill -9 of the worker and of the whole service."""

from __future__ import annotations

import os
import signal

import pytest

from backend.testing.service import Service, until
from backend.testing.stock_client import StockClient


def worker_pid(service: Service) -> int:
    return int(service.get("/v1/system")["workers"][0]["pid"])


def test_prompts_survive_their_worker_and_their_service(tmp_path_factory, graphs):
    """The worker dies mid-prompt: the WebSocket stays open, queue and history are answered, other
    paths say when to come again, and the prompt runs anew. Then the service dies mid-prompt: its
    successor runs what was left, and knows what had ended."""
    folder = tmp_path_factory.mktemp("restarts")
    pack = {"comfyui__custom_nodes_dir": graphs.pack, "comfyui__custom_nodes": ["gate.py"]}
    go, on = folder / "go", folder / "on"
    service = Service.start(folder, workers=["comfy"], **pack)
    try:
        service.wait_ready()
        client = StockClient(service.url + "/comfy").connect()
        ended = client.post(graphs.picture(1))["prompt_id"]
        client.until_done(ended)
        first = client.post(graphs.held(2, go))["prompt_id"]
        second = client.post(graphs.picture(3))["prompt_id"]
        client.until("executing", first)
        os.kill(worker_pid(service), signal.SIGKILL)
        until("it is gone", lambda: client.ask("GET", "/users").status == 503, seconds=300)
        away = client.ask("GET", "/system_stats")
        assert (away.status, away.headers["retry-after"]) == (503, "3")
        assert client.ask("POST", "/prompt", {"prompt": graphs.picture(4)}).status == 503
        live = client.get("/queue")
        assert [item[1] for kind in live.values() for item in kind] == [first, second]
        assert list(client.get("/history")) == [ended]
        other = StockClient(service.url + "/comfy").connect()
        assert other.until("status")["status"]["exec_info"]["queue_remaining"] == 2
        other.close()
        client.heard.clear()
        go.touch()
        assert client.until_done(first, seconds=300)["status"]["completed"] is True
        assert client.until_done(second)["status"]["completed"] is True
        starts = [m for m in client.heard if m["type"] == "execution_start"]
        assert [m["data"]["prompt_id"] for m in starts] == [first, second]
        newest = client.post(graphs.held(5, on))["prompt_id"]
        last = client.post(graphs.picture(6))["prompt_id"]
        client.until("executing", newest)
        service.kill()
        client.close()
        service = Service.start(folder, workers=["comfy"], **pack)
        client = StockClient(service.url + "/comfy", client.client_id).connect()
        live = client.get("/queue")
        assert [item[1] for kind in live.values() for item in kind] == [newest, last]
        assert list(client.get("/history")) == [ended, first, second]
        on.touch()
        entry = client.until_done(newest, seconds=300)
        assert entry["status"]["completed"] is True
        (item,) = entry["outputs"]["2"]["images"]
        assert client.view(item).status == 200
        assert client.until_done(last)["status"]["completed"] is True
        following = client.post(graphs.picture(7))
        assert following["number"] > client.history(last)["prompt"][0]
        client.until_done(following["prompt_id"])
        jobs = service.get("/v1/jobs?operation=comfyui.prompt")["items"]
        assert {job["state"] for job in jobs} == {"succeeded"}
        assert len(jobs) == 6
        client.close()
    finally:
        service.kill()


@pytest.mark.contract
def test_a_prompt_that_kills_its_worker_ends_in_an_error(tmp_path_factory, graphs):
    """After its last attempt the client is told in ComfyUI's words; history and job say why."""
    folder = tmp_path_factory.mktemp("crash")
    pack = {"comfyui__custom_nodes_dir": graphs.pack, "comfyui__custom_nodes": ["gate.py"]}
    service = Service.start(folder, workers=["comfy"], limits__job_attempts=1, **pack)
    try:
        service.wait_ready()
        client = StockClient(service.url + "/comfy").connect()
        doomed = client.post(graphs.held(1, folder / "never"))["prompt_id"]
        client.until("executing", doomed)
        os.kill(worker_pid(service), signal.SIGKILL)
        error = client.until("execution_error", doomed, seconds=300)
        assert error["exception_type"] == "worker-crashed"
        status = client.until_done(doomed, seconds=300)["status"]
        assert (status["status_str"], status["messages"][-1][0]) == ("error", "execution_error")
        client.close()
    finally:
        service.kill()
