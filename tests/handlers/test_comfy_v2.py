"""The Comfy API v2, asked by its own client library against the real service and ComfyUI."""

from __future__ import annotations

import asyncio
import io
import json
import select
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import comfy_low.models
import numpy as np
import pytest
from blake3 import blake3
from comfy_sdk import AsyncComfy, Comfy
from comfy_sdk.events import OutputReady, Progress, StatusChange
from comfy_sdk.exceptions import ComfyError, JobFailed, NotFound
from PIL import Image

from backend.testing.service import Service, until

TERMINAL = {"succeeded", "canceled", "failed", "expired"}


@pytest.fixture(scope="module")
def v2(tmp_path_factory) -> Iterator[Service]:
    """A service of this file's own, with ComfyUI."""
    service = Service.start(tmp_path_factory.mktemp("v2"), workers=["comfy"])
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()


@pytest.fixture
def client(v2, monkeypatch) -> Iterator[Comfy]:
    """The official client, told of Kino by the environment and by nothing else."""
    monkeypatch.setenv("COMFY_BASE_URL", v2.url)
    monkeypatch.delenv("COMFY_API_KEY", raising=False)
    with Comfy(timeout=300) as comfy:
        yield comfy


def picture(colour: int, side: int = 32) -> dict[str, Any]:
    """A graph that saves a picture of one colour."""
    size = {"width": side, "height": side, "batch_size": 1, "color": colour}
    return {
        "1": {"class_type": "EmptyImage", "inputs": size},
        "9": {
            "class_type": "SaveImage",
            "inputs": {"images": ["1", 0], "filename_prefix": "v2"},
        },
    }


def png(seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 24, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def error(service: Service, method: str, path: str, body: object = None, **headers: str) -> Any:
    """The answer's status and its error, which is the whole body."""
    answer = service.ask(method, path, body, headers=headers)
    told = answer.json()
    assert set(told) == {"error"}
    assert answer.headers["content-type"].startswith("application/json")
    return answer.status, told["error"]


def test_a_graph_runs_and_everything_is_filled_in(client) -> None:
    """A run gives its picture, and the job says times, progress, sizes and hashes."""
    graph = client.workflows.from_json(picture(0x102030))
    job = client.submit(graph, metadata={"for": "a test"}).result()
    assert job.status == "succeeded"
    assert job.metadata == {"for": "a test"}
    (output,) = job.get_outputs("9")
    data = output.to_bytes()
    assert np.asarray(Image.open(io.BytesIO(data)))[0, 0].tolist() == [0x10, 0x20, 0x30]
    assert (output.type, output.content_type, output.size_bytes) == (
        "image",
        "image/png",
        len(data),
    )
    assert output.name == "v2_00001_.png"
    model = job._model
    assert model.outputs[0].hash.startswith("blake3:")
    assert model.created_at <= model.started_at <= model.completed_at < model.expires_at
    assert model.progress.value == 1
    assert model.progress.nodes_done == model.progress.nodes_total == 2
    assert set(model.metrics) == {"queue_ms", "execution_ms"}
    assert output.to_bytes(range=(0, 7)) == b"\x89PNG\r\n\x1a\n"
    assert client.jobs.get(job.id).get_workflow().graph == picture(0x102030)
    assert job.id in [summary.id for summary in client.list_jobs(metadata={"for": "a test"})]
    assert list(client.list_jobs(metadata={"for": "nothing"})) == []


def test_texts_are_outputs_too(client) -> None:
    """A text that a node shows is an output of its own, with its bytes."""
    graph = {"1": {"class_type": "PreviewAny", "inputs": {"source": "grüße"}}}
    (output,) = client.run(client.workflows.from_json(graph)).outputs
    assert (output.type, output.node_id) == ("text", "1")
    assert output.to_bytes().decode() == "grüße"
    assert output.size_bytes == len("grüße".encode())


def test_an_uploaded_picture_stands_where_a_file_name_would(client, tmp_path) -> None:
    """An asset handle in LoadImage is uploaded once, found by its hash, and comes out exactly."""
    (tmp_path / "in.png").write_bytes(png(1))
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "out"}},
    }
    seen = []
    for _ in range(2):
        handle = client.assets.from_file(tmp_path / "in.png")
        workflow = client.workflows.from_json(json.loads(json.dumps(graph)))
        workflow.set_input("1", "image", handle)
        (output,) = client.run(workflow).outputs
        seen.append(np.asarray(Image.open(io.BytesIO(output.to_bytes()))))
        assert client.assets.from_file(tmp_path / "in.png").commit() == handle.id
    assert np.array_equal(seen[0], np.asarray(Image.open(tmp_path / "in.png")))
    assert np.array_equal(seen[0], seen[1])
    asset = client.assets.from_file(tmp_path / "in.png")
    asset.commit()
    asset.delete()
    with pytest.raises(RuntimeError):
        asset.delete()


def test_events_end_with_the_end(client, v2) -> None:
    """The stream tells progress and outputs as they come, and ends with the last state."""
    graph = picture(7) | {"5": {"class_type": "PreviewAny", "inputs": {"source": "x"}}}
    job = client.submit(client.workflows.from_json(graph))
    seen = list(job.events())
    assert isinstance(seen[-1], StatusChange)
    assert seen[-1].status == "succeeded"
    assert {event.output.type for event in seen if isinstance(event, OutputReady)} == {
        "image",
        "text",
    }
    again = list(client.jobs.get(job.id).events())
    assert again[-1] == seen[-1]
    for event in (*seen, *again):
        if isinstance(event, Progress):
            assert 0 <= event.value <= 1


def test_a_failed_node_is_named(client) -> None:
    """A job whose node fails says which node and of which class, and shows no traceback."""
    graph: dict[str, Any] = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1}},
        "2": {
            "class_type": "ImageCrop",
            "inputs": {"image": ["1", 0], "width": 8, "height": 8, "x": 8, "y": 0},
        },
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    }
    graph["4"] = {"class_type": "KinoNothing", "inputs": {}}
    with pytest.raises(ComfyError) as refused:
        client.submit(client.workflows.from_json(graph))
    assert (refused.value.code, refused.value.http_status) == ("invalid_workflow", 422)
    del graph["4"]
    graph["3"]["inputs"]["images"] = ["2", 7]
    with pytest.raises(JobFailed) as failed:
        client.run(client.workflows.from_json(graph))
    told = failed.value.error
    assert told is not None
    assert told.message
    assert told.traceback is None


def test_a_job_is_cancelled(client, v2) -> None:
    """Cancel ends a job that waits, and a second cancel changes nothing."""
    blockers = [client.submit(client.workflows.from_json(picture(n, 2048))) for n in range(4)]
    job = client.submit(client.workflows.from_json(picture(99, 2048)))
    job.cancel()
    assert job.wait(300).status in ("canceled", "succeeded")
    assert job.cancel().status == job.status
    for blocker in blockers:
        blocker.cancel()
        blocker.wait(300)
    with pytest.raises(NotFound):
        client.jobs.get("job_nothing")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"workflow": {"nodes": [], "links": []}}, 422, "workflow_format_ui"),
        ({"workflow": {}}, 422, "invalid_workflow"),
        ({"workflow": {"1": {"class_type": "NoSuchNode", "inputs": {}}}}, 422, "invalid_workflow"),
        ({"workflow": picture(1), "webhook_url": "http://x"}, 422, "invalid_request"),
        ({"workflow": picture(1), "inputs": {}}, 422, "invalid_request"),
        ({"workflow": picture(1), "extra_data": {"other": 1}}, 422, "invalid_request"),
        ({"workflow": picture(1), "metadata": {"n": 1}}, 422, "metadata_invalid"),
        (
            {"workflow": picture(1), "metadata": {str(n): "" for n in range(17)}},
            422,
            "metadata_inv",
        ),
        ({"workflow": 7}, 422, "invalid_request"),
        ([], 422, "invalid_request"),
        (b"{", 400, "invalid_request"),
        (b'{"workflow": {"1": NaN}}', 400, "invalid_request"),
    ],
)
def test_a_bad_submit_has_its_code(v2, body, status, code) -> None:
    """Whatever is wrong with a body has the contract's envelope and a code."""
    headers = {"Content-Type": "application/json"}
    answer = error(v2, "POST", "/api/v2/jobs", body, **headers)
    assert answer[0] == status
    assert answer[1]["code"].startswith(code)


@pytest.mark.parametrize("asset", ["ast_nothing", "", None, "blake3:" + "0" * 64])
def test_an_asset_that_is_not_there_is_missing(v2, asset) -> None:
    """A graph that names no existing asset is refused, and its node is named."""
    info = {"__type": "core/ASSET", "info": {"id": asset}}
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": info}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    }
    status, told = error(v2, "POST", "/api/v2/jobs", {"workflow": graph})
    assert (status, told["code"]) == (422, "missing_asset")
    assert "1" in told["details"]["node_errors"]


def test_an_idempotency_key_is_used_once(v2) -> None:
    """A second request with a key is refused, and one that was refused has not used it."""
    headers = {"Idempotency-Key": "one"}
    bad = {"workflow": {"1": {"class_type": "NoSuchNode", "inputs": {}}}}
    assert v2.ask("POST", "/api/v2/jobs", bad, headers=headers).status == 422
    body = {"workflow": picture(5)}
    assert v2.ask("POST", "/api/v2/jobs", body, headers=headers).status == 201
    for again in (body, {"workflow": picture(6)}):
        status, told = error(v2, "POST", "/api/v2/jobs", again, **headers)
        assert (status, told["code"]) == (422, "idempotency_key_reuse")


def test_errors_have_the_envelope_everywhere(v2) -> None:
    """Unknown paths, methods, jobs and hashes are answered in the contract's form."""
    assert error(v2, "GET", "/api/v2/nothing")[1]["code"] == "not_found"
    assert error(v2, "DELETE", "/api/v2/jobs")[0] == 405
    assert error(v2, "GET", "/api/v2/jobs/job_x")[1]["code"] == "not_found"
    assert error(v2, "GET", "/api/v2/assets/ast_x")[1]["code"] == "not_found"
    assert error(v2, "GET", "/api/v2/assets/text_job_0_1/content")[1]["code"] == "not_found"
    assert error(v2, "GET", "/api/v2/jobs?limit=0")[1]["code"] == "invalid_request"
    status, told = error(v2, "POST", "/api/v2/assets/from-hash", {"hash": "blake3:" + "0" * 64})
    assert (status, told["code"]) == (404, "blob_not_found")
    assert v2.ask("HEAD", "/api/v2/assets/by-hash/blake3:zz").status == 404
    assert error(v2, "GET", "/api/v2/jobs", Origin="http://evil.example")[1]["code"] == "forbidden"


def form(*fields: tuple[str, str], file: bytes | None = png(3)) -> tuple[bytes, dict[str, str]]:
    """A multipart body and its header; *fields* stand before the file."""
    parts = [f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields]
    body = "".join(parts).encode()
    if file is not None:
        body += b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n'
        body += file + b"\r\n"
    return body + b"--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("fields", "file", "status", "code"),
    [
        ([("expected_hash", "blake3:" + "0" * 64)], png(4), 409, "hash_mismatch"),
        ([("expected_hash", "sha256:0")], png(4), 422, "invalid_request"),
        ([("file_path", "x" * 5000)], png(4), 422, "invalid_request"),
        ([("file_path", "a.png")], None, 422, "invalid_request"),
        ([], b"no picture at all", 415, "asset_rejected"),
        ([(f"f{n}", "") for n in range(70)], png(4), 422, "invalid_request"),
    ],
    ids=["other bytes", "other hash", "long field", "no file", "no picture", "many fields"],
)
def test_a_bad_upload_has_its_code(v2, fields, file, status, code) -> None:
    """A form that breaks a rule is refused in the contract's form, and nothing is kept."""
    body, headers = form(*fields, file=file)
    told = error(v2, "POST", "/api/v2/assets", body, **headers)
    assert (told[0], told[1]["code"]) == (status, code)
    sent = blake3(file or b"").hexdigest()
    assert v2.ask("HEAD", f"/api/v2/assets/by-hash/blake3:{sent}").status == 404


def test_the_fields_before_a_file_have_one_deadline(launch) -> None:
    """A client that sends one small field after the other, each in time, is not awaited for ever:
    408 comes before its last one, and the file is not wanted any more."""
    service = launch(workers=["cpu"], limits__body_inactivity_s=2)
    address = urlsplit(service.url)
    whole, headers = form(*((f"f{number}", "x") for number in range(60)))
    fields = [b"--b\r\n" + each for each in whole.split(b"--b\r\n")[1:]]
    head = f"POST /api/v2/assets HTTP/1.1\r\nHost: {address.netloc}\r\n"
    head += f"Content-Type: {headers['Content-Type']}\r\nContent-Length: {len(whole)}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=300) as client:
        client.sendall(head.encode())
        sent = 0
        while not select.select([client], [], [], 0.5)[0]:
            assert sent < 60, "every field was awaited anew"
            client.sendall(fields[sent])
            sent += 1
        assert client.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_an_upload_is_named_by_the_end_of_its_path(v2) -> None:
    """A placement path with folders or dots gives a label, never a path."""
    body, headers = form(("content_type", "image/png"), ("file_path", "../../etc/a b.png"))
    answer = v2.ask("POST", "/api/v2/assets", body, headers=headers)
    assert answer.status in (200, 201)
    assert answer.json()["file_path"] == "a b.png"
    assert comfy_low.models.Asset.model_validate(answer.json()).created_new is not None


async def _one(client: AsyncComfy, number: int, jobs: dict[str, str]) -> str:
    job = await client.submit(client.workflows.from_json(picture(number, 16)))
    jobs[job.id] = job.status
    await job.wait(600)
    del jobs[job.id]
    assert len(job.outputs) == 1
    assert job.outputs[0].size_bytes > 0
    return job.status


async def _poll(url: str, jobs: dict[str, str], seen: set[str], ended: asyncio.Event) -> int:
    """Ask for every job that is under way, each every 2 ms, and note what it is said to be."""
    polls = 0
    order = ["queued", "running", "succeeded"]
    async with aiohttp.ClientSession(url) as session:
        while not ended.is_set():
            for job_id, before in list(jobs.items()):
                async with session.get(f"/api/v2/jobs/{job_id}") as answer:
                    assert answer.status == 200
                    told = await answer.json()
                polls += 1
                seen.add(told["status"])
                assert order.index(told["status"]) >= order.index(before)
                if told["status"] == "succeeded":
                    assert told["completed_at"] is not None
                    assert len(told["outputs"]) == 1
                if job_id in jobs:
                    jobs[job_id] = told["status"]
            await asyncio.sleep(0.002)
    return polls


async def _many(v2: Service, count: int, at_once: int) -> tuple[list[str], set[str], int]:
    jobs: dict[str, str] = {}
    seen: set[str] = set()
    ended = asyncio.Event()
    gate = asyncio.Semaphore(at_once)
    async with AsyncComfy(timeout=300) as client:
        poller = asyncio.create_task(_poll(v2.url, jobs, seen, ended))

        async def one(number: int) -> str:
            async with gate:
                return await _one(client, number, jobs)

        states = await asyncio.gather(*(one(number) for number in range(count)))
        ended.set()
        return states, seen, await poller


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.contract)])
def test_many_runs_are_told_truly(v2, monkeypatch, count) -> None:
    """Fifty at once, polled without mercy: every run succeeds, and no poll ever says otherwise,
    goes back, or shows an end without its output."""
    monkeypatch.setenv("COMFY_BASE_URL", v2.url)
    states, seen, polls = asyncio.run(_many(v2, count, 50))
    assert states == ["succeeded"] * count
    assert seen <= {"queued", "running", "succeeded"}
    assert polls > count / 2


def test_a_job_in_the_middle_says_where_it_is(v2) -> None:
    """While a job waits it has a place in the queue; all of it fits the contract's models."""
    assert v2.ask("POST", "/v1/queue/pause").status == 200  # however slow we are, they wait
    jobs = [v2.ask("POST", "/api/v2/jobs", {"workflow": picture(n, 64)}).json() for n in range(5)]
    assert all(job["queue_position"] is not None for job in jobs)
    assert v2.ask("POST", "/v1/queue/resume").status == 200
    for job in jobs:
        comfy_low.models.Job.model_validate(job)

    def ended(job: dict[str, Any]) -> bool:
        told = v2.get(f"/api/v2/jobs/{job['id']}")
        comfy_low.models.Job.model_validate(told)
        return told["status"] in TERMINAL

    for job in jobs:
        until("the job ends", partial(ended, job), seconds=300)
