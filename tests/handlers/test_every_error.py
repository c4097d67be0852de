"""Each class of the error tree, made to happen behind a real service and seen over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.errors import problem_classes
from backend.testing.service import Service

FAULTS = '''
"""Operations that fail, each in its own way."""

import os
import time
from collections.abc import Sequence

from backend.plugins import (
    LOCAL, Context, Needs, Operation, OperationFailed, OutOfMemory, UpstreamFailed, hookimpl,
    operation,
)


@operation("faults.memory")
def memory() -> str:
    """Not enough memory."""
    raise OutOfMemory("the picture did not fit")


@operation("faults.python_memory")
def python_memory() -> str:
    """Python's own way to say the same."""
    raise MemoryError


@operation("faults.late", timeout_s=1.0)
def late(*, ctx: Context = LOCAL) -> str:
    """Longer than its limit."""
    while True:
        ctx.checkpoint()
        time.sleep(0.02)


@operation("faults.failing")
def failing() -> str:
    """A bug of the plugin, with a path in it."""
    raise RuntimeError("could not read /home/somebody/secret.txt")


@operation("faults.refusing")
def refusing() -> str:
    """A failure that the plugin explains."""
    raise OperationFailed("the spring is broken", remedy="Wind it up.")


@operation("faults.crashing")
def crashing() -> str:
    """The process is gone."""
    os._exit(9)


@operation("faults.upstream", needs=Needs(runs_on="loop"))
async def upstream() -> str:
    """Another server failed."""
    raise UpstreamFailed("the other server is on fire")


@hookimpl
def register_operations() -> Sequence[Operation]:
    return [memory, python_memory, late, failing, refusing, crashing, upstream]
'''

ELSEWHERE = {
    "internal-error": "test_problems.py",
    "malformed-request": "test_body.py",
    "unknown-name": "test_operations.py",
    "invalid-parameters": "test_operations.py",
    "asset-rejected": "test_assets.py",
    "asset-too-large": "test_assets.py",
    "conflict": "test_jobs.py",
    "forbidden": "test_access.py",
    "unauthorised": "test_access.py",
    "queue-full": "test_operations.py",
    "operation-unavailable": "test_operations.py",
    "request-refused": "test_body.py",
}
FAILURES = {
    "memory": "out-of-memory",
    "python_memory": "out-of-memory",
    "late": "deadline-exceeded",
    "failing": "operation-failed",
    "refusing": "operation-failed",
    "crashing": "worker-crashed",
    "upstream": "upstream-failed",
}


@pytest.fixture(scope="module")
def faulty_plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "faults.py").write_text(FAULTS)
    return folder


@pytest.fixture(scope="module")
def faults(faulty_plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a plugin whose operations fail."""
    service = Service.start(
        tmp_path_factory.mktemp("faults"),
        workers=["cpu"],
        plugins_dir=faulty_plugins,
        limits__retry_backoff_s=0.05,
        limits__cancel_grace_s=1.0,
    )
    service.wait_ready()
    yield service
    service.kill()


@pytest.mark.parametrize(("name", "slug"), list(FAILURES.items()))
def test_failed_jobs_carry_the_problem(faults, name, slug):
    """A failed job carries the problem of its class, which is also the answer to who waits: no
    path, no traceback, retries counted."""
    job = faults.run(f"faults.{name}", {})
    assert job["state"] == "failed"
    error = job["error"]
    assert error["type"] == f"/v1/problems/{slug}"
    known = faults.get(error["type"])
    assert (error["status"], error["retryable"]) == (known["status"], known["retryable"])
    assert job["attempt"] == (job["max_attempts"] if error["retryable"] else 1)
    answer = faults.ask("POST", f"/v1/operations/faults.{name}?wait=120", {})
    assert answer.status == error["status"]
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["type"] == error["type"]
    assert answer.headers["location"] == f"/v1/jobs/{problem['job']}"
    assert "/home" not in str(job)
    assert "Traceback" not in str(job)
    assert faults.get("/healthz") == {"status": "ok"}


def test_the_plugins_own_words_arrive(faults):
    """What a plugin explains reaches the caller, remedy included."""
    error = faults.run("faults.refusing", {})["error"]
    assert (error["detail"], error["remedy"]) == ("the spring is broken", "Wind it up.")


def test_a_full_disk(launch, make_wav, faulty_plugins):
    """Below the floor of free disk space uploads and jobs are refused with 507."""
    service = launch(limits__disk_floor_bytes=2**60, plugins_dir=faulty_plugins)
    for answer in (
        service.ask("POST", "/v1/assets", make_wav()),
        service.ask("POST", "/v1/operations/faults.failing", {}),
    ):
        assert answer.status == 507
        assert answer.json()["type"] == "/v1/problems/storage-full"
    assert service.get("/v1/jobs")["items"] == []


def test_a_wrong_comfyui(launch, tmp_path):
    """A tree that is no ComfyUI: the service is degraded, says why, and does everything else."""
    (tmp_path / "tree").mkdir()
    service = launch(workers=["cpu", "comfy"], comfyui__path=tmp_path / "tree")
    said = service.wait_ready()
    assert said["state"] == "degraded"
    assert said["comfyui"]["state"] == "unavailable"
    assert said["comfyui"]["type"] == "/v1/problems/comfyui-incompatible"
    assert said["comfyui"]["remedy"]
    assert service.get("/v1/system")["comfyui"]["reason"]
    answer = service.ask("POST", "/v1/operations/workflows.run", {"graph": {}})
    assert answer.status == 503
    assert answer.json()["type"] == "/v1/problems/operation-unavailable"
    assert answer.json()["remedy"] == said["comfyui"]["remedy"]
    assert str(tmp_path) not in str(answer.json())


def test_every_class_is_produced():
    """No class of the tree is only on paper."""
    produced = {*ELSEWHERE, *FAILURES.values(), "storage-full", "comfyui-incompatible"}
    assert {cls.slug for cls in problem_classes()} == produced
