"""Equal work, batches, priorities and the pause, through the doors of a real service."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.testing.service import Service, environment, until

TRIAL_PLUGINS = Path(__file__).parent / "services" / "trial_plugins"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the cache, for all tests of this file."""
    folder = tmp_path_factory.mktemp("desk")
    made = Service.start(folder, workers=["cpu"], plugins_dir=TRIAL_PLUGINS, cache=True)
    try:
        made.wait_ready()
        yield made
    finally:
        made.kill()


@pytest.fixture
def work(tmp_path: Path) -> dict[str, Any]:
    """Parameters that nobody else has; how often they were worked for stands in their file."""
    return {"counter": str(tmp_path / "counter")}


def made(work: dict[str, Any]) -> int:
    counter = Path(work["counter"])
    return counter.stat().st_size if counter.exists() else 0


def submit(desk: Service, params: dict[str, Any], query: str = "", **headers: str) -> Any:
    names = {f"Kino-{name.capitalize()}": value for name, value in headers.items()}
    return desk.ask("POST", f"/v1/operations/test.work{query}", params, headers=names)


def ended(desk: Service, path: str) -> Any:
    def end() -> Any:
        said = desk.get(path)
        return said if said["state"] in ("succeeded", "failed", "cancelled") else None

    return until("it has ended", end, seconds=300)


def kino(desk: Service, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("kino")), *map(str, words)],
        env=environment({"url": desk.url}),
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )


def test_equal_work_is_answered_at_once_on_every_door(desk: Service, work: dict[str, Any]) -> None:
    """HTTP, MCP and the command line give the result of the one run there was."""
    first = desk.run("test.work", work)
    answer = submit(desk, work)
    job = answer.json()
    assert (answer.status, job["state"], job["cached"]) == (200, "succeeded", True)
    assert (job["leader"], job["execution_s"], job["progress"]) == (first["id"], 0.0, 1.0)
    assert job["id"] != first["id"]
    picture = desk.ask("GET", job["result"]["image"]["href"])
    assert picture.body == desk.ask("GET", first["result"]["image"]["href"]).body
    call = {"name": "test_work", "arguments": work}
    rpc = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    told = desk.ask("POST", "/mcp", rpc).json()["result"]["structuredContent"]
    assert told["image"]["reference"] == job["result"]["image"]["reference"]
    said = kino(desk, "run", "test.work", f"--counter={work['counter']}", "--json")
    assert json.loads(said.stdout)["cached"] is True
    assert made(work) == 1


def test_work_is_wanted_on_every_door(desk: Service, work: dict[str, Any]) -> None:
    """A header, a query and an option each make the service work again."""
    desk.run("test.work", work)
    assert submit(desk, work, "?cache=false&wait=30").json()["cached"] is False
    assert submit(desk, work, "?wait=120", cache="no").json()["cached"] is False
    said = kino(desk, "run", "test.work", f"--counter={work['counter']}", "--no-cache", "--json")
    assert json.loads(said.stdout)["cached"] is False
    assert made(work) == 4
    bad = submit(desk, work, cache="perhaps")
    assert (bad.status, bad.json()["errors"][0]["pointer"]) == (422, "/headers/Kino-Cache")


def test_an_equal_job_attaches_over_http(
    desk: Service, work: dict[str, Any], tmp_path: Path
) -> None:
    """The second of two equal jobs is told whom it follows, and ends with it."""
    go = tmp_path / "go"
    slow = {**work, "until": str(go)}
    first = submit(desk, slow).json()
    second = submit(desk, slow)
    assert (second.status, second.json()["leader"]) == (202, first["id"])
    go.touch()
    done = ended(desk, f"/v1/jobs/{second.json()['id']}")
    assert (done["state"], done["cached"], made(work)) == ("succeeded", True, 1)
    stream = desk.ask("GET", f"/v1/jobs/{done['id']}/events").body.decode()
    assert "event: started" in stream
    assert "event: progress" in stream


def test_a_batch_over_http(desk: Service, work: dict[str, Any]) -> None:
    """Submit, status, jobs, events; and what is wrong with it is named where it stands."""
    body = {
        "operation": "test.work", "params": work, "sweep": {"seed": [1, 2], "steps": [1, 2]},
        "metadata": {"take": 9},
    }  # fmt: skip
    answer = desk.ask("POST", "/v1/batches", body, headers={"Idempotency-Key": "batch"})
    assert answer.status == 201
    batch = ended(desk, answer.headers["location"])
    assert (batch["count"], batch["counts"]["succeeded"], batch["progress"]) == (4, 4, 1.0)
    again = desk.ask("POST", "/v1/batches", body, headers={"Idempotency-Key": "batch"})
    assert (again.status, again.json()["id"]) == (200, batch["id"])
    jobs = desk.get(batch["links"]["jobs"])["items"]
    assert len(jobs) == 4
    assert all(job["batch"] == batch["id"] for job in jobs)
    lines = desk.ask("GET", batch["links"]["events"]).body.decode().splitlines()
    types = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert (types[0], types[-1]) == ("queued", "succeeded")
    assert batch["id"] in [item["id"] for item in desk.get("/v1/batches")["items"]]
    bad = desk.ask("POST", "/v1/batches", {**body, "sweep": {"seed": [1, "x"]}})
    assert (bad.status, bad.json()["errors"][0]["pointer"]) == (422, "/sweep/seed/1")
    assert desk.ask("GET", "/v1/batches/bat_nothing").status == 404
    assert desk.ask("POST", "/v1/batches", b"[]").status == 415


def test_a_sweep_on_the_command_line(desk: Service, work: dict[str, Any], tmp_path: Path) -> None:
    """``kino run --sweep`` makes a batch, waits for it and downloads every job's files."""
    run = ("run", "test.work", f"--counter={work['counter']}", "--sweep=seed=1,2,3")
    out = tmp_path / "out"
    said = kino(desk, *run, f"--output={out}", "--json")
    assert said.returncode == 0, said.stderr
    batch = json.loads(said.stdout)
    assert [job["params"]["seed"] for job in batch["jobs"]] == [1, 2, 3]
    assert sorted(path.parent.name for path in out.rglob("*.png")) == ["001", "002", "003"]
    shown = kino(desk, "batches", "show", batch["id"])
    assert "succeeded" in shown.stdout
    assert kino(desk, "batches", "wait", batch["id"]).returncode == 0
    assert batch["id"] in kino(desk, "batches", "list").stdout
    listed = kino(desk, "jobs", "list", "--batch", batch["id"], "--json")
    assert len(json.loads(listed.stdout)) == 3
    failing = kino(desk, *run, "--fails", "--no-cache")
    assert failing.returncode == 1
    assert "of 3 jobs 3 failed" in failing.stderr


def test_the_queue_is_paused_and_resumed(desk: Service, work: dict[str, Any]) -> None:
    """Nothing is begun while it is paused, which is told; priorities decide what comes first."""
    work = {**work, "duration_ms": 20.0}  # so that no two begin in one millisecond
    assert desk.ask("POST", "/v1/queue/pause").json()["paused"] is True
    try:
        jobs = [submit(desk, {**work, "seed": n}, priority="0").json()["id"] for n in (1, 2, 3)]
        urgent = submit(desk, {**work, "seed": 4}, priority="5").json()
        assert urgent["priority"] == 5
        told = desk.get(f"/v1/jobs/{jobs[2]}")["waiting_for"]
        assert (told["paused"], told["position"]) == (True, 4)
        assert desk.get("/v1/system")["queue"]["paused"] is True
        changed = desk.ask("PATCH", f"/v1/jobs/{jobs[2]}", {"priority": 9})
        assert (changed.status, changed.json()["waiting_for"]["position"]) == (200, 1)
        assert kino(desk, "jobs", "priority", jobs[0], "--", "-3").returncode == 0
        assert "paused since" in kino(desk, "queue", "show").stdout
        assert made(work) == 0
    finally:
        assert kino(desk, "queue", "resume").returncode == 0
    order = [*jobs, urgent["id"]]
    done = {job: ended(desk, f"/v1/jobs/{job}")["started"] for job in order}
    assert sorted(order, key=lambda job: done[job]) == [jobs[2], urgent["id"], jobs[1], jobs[0]]
    late = desk.ask("PATCH", f"/v1/jobs/{jobs[0]}", {"priority": 1})
    assert (late.status, late.json()["type"]) == (409, "/v1/problems/conflict")
    for body, pointer in (({"priority": 101}, "/priority"), ({"state": "x"}, "/priority")):
        bad = desk.ask("PATCH", f"/v1/jobs/{jobs[0]}", body)
        assert (bad.status, bad.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_pause_outlives_a_restart(launch) -> None:
    """An operator's pause is not forgotten by a crash."""
    first = launch(workers=["cpu"], plugins_dir=TRIAL_PLUGINS)
    first.ask("POST", "/v1/queue/pause")
    first.kill()
    second = launch(folder=first.data_dir.parent, workers=["cpu"], plugins_dir=TRIAL_PLUGINS)
    assert second.get("/v1/queue")["paused"] is True
    second.ask("POST", "/v1/queue/resume")
    assert second.run("test.sleep", {})["state"] == "succeeded"
