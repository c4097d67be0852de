"""Batches over HTTP: known work is finished at once, a huge one holds nobody up, many are ended."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.testing.service import Service, until

TRIAL_PLUGINS = Path(__file__).parent.parent / "services" / "trial_plugins"
LIMITS = {"limits__disk_floor_bytes": 0, "limits__cancel_grace_s": 60}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the cache, for all tests of this file."""
    folder = tmp_path_factory.mktemp("desk")
    made = Service.start(folder, workers=["cpu"], plugins_dir=TRIAL_PLUGINS, cache=True, **LIMITS)
    try:
        made.wait_ready()
        yield made
    finally:
        made.kill()


def submit(desk: Service, operation: str, **request: Any) -> Any:
    answer = desk.ask("POST", "/v1/batches", {"operation": operation, **request})
    assert answer.status == 201, answer.body
    return answer.json()


def ended(desk: Service, path: str) -> Any:
    def end() -> Any:
        said = desk.get(path)
        return said if said["state"] in ("succeeded", "failed", "cancelled") else None

    return until("it has ended", end, seconds=300)


def test_a_batch_of_known_work_is_finished_when_it_is_answered(
    desk: Service, tmp_path: Path
) -> None:
    """The first answer says that it has ended and when, as every later one does."""
    params = {"counter": str(tmp_path / "counter")}
    desk.run("test.work", params)
    batch = submit(desk, "test.work", params=params, items=[{}, {}, {}])
    assert (batch["state"], batch["cached"], batch["progress"]) == ("succeeded", 3, 1.0)
    assert batch["finished"] is not None
    assert batch["created"] <= batch["finished"]
    again = desk.get(batch["links"]["self"])
    assert again == batch
    events = desk.ask("GET", batch["links"]["events"]).body.decode()
    assert events.rstrip().rpartition("event: ")[2].startswith("succeeded")


def test_a_batch_that_says_it_has_ended_says_when(desk: Service) -> None:
    """There is no moment in which the end is told without its time."""
    for _ in range(10):
        batch = submit(desk, "test.sleep", items=[{}, {}])
        done = ended(desk, batch["links"]["self"])
        assert done["finished"] is not None
        assert done["finished"] == desk.get(batch["links"]["self"])["finished"]


def test_a_cancelled_leader_that_is_tried_again_holds_nobody_up(
    desk: Service, tmp_path: Path
) -> None:
    """Its attempt goes on as its follower's; its own next one is begun right behind it, without
    the queue having to be put right."""
    go = tmp_path / "go"
    params = {"counter": str(tmp_path / "counter"), "until": str(go)}
    path = "/v1/operations/test.work"
    leader = desk.ask("POST", path, params).json()
    until("it runs", Path(params["counter"]).exists, seconds=300)
    followers = [desk.ask("POST", path, params).json() for _ in range(2)]
    assert {each["leader"] for each in followers} == {leader["id"]}
    assert desk.ask("POST", leader["links"]["cancel"]).status == 200
    assert desk.ask("POST", f"/v1/jobs/{leader['id']}/retry").status == 202
    assert desk.get(f"/v1/jobs/{leader['id']}")["state"] == "queued"
    go.touch()
    done = [ended(desk, f"/v1/jobs/{each['id']}") for each in (*followers, leader)]
    assert [each["state"] for each in done] == ["succeeded"] * 3
    assert done[0]["started"] < done[2]["started"]
    assert Path(params["counter"]).stat().st_size == 2
    assert "the queue was put right" not in desk.log.read_text()


def test_a_job_is_tried_again_the_moment_it_has_failed(desk: Service, tmp_path: Path) -> None:
    """However fast the retry comes, the job is in the queue."""
    for number in range(5):
        params = {"counter": str(tmp_path / str(number)), "times": 3}
        answer = desk.ask("POST", "/v1/operations/test.fail?wait=120", params)
        assert answer.status == 502
        job_id = answer.json()["job"]
        assert desk.ask("POST", f"/v1/jobs/{job_id}/retry").status == 202
        assert ended(desk, f"/v1/jobs/{job_id}")["state"] == "succeeded"
    assert "the queue was put right" not in desk.log.read_text()


def worst_wait(desk: Service, body: bytes) -> float:
    """The longest time that /healthz took while a batch was taken, as a part of that time."""
    answers: list[Any] = []

    def send() -> None:
        json = {"Content-Type": "application/json"}
        answers.append(desk.ask("POST", "/v1/batches", body, headers=json, seconds=300))

    sender, waits = threading.Thread(target=send), [0.0]
    begun = time.monotonic()
    sender.start()
    while sender.is_alive():
        asked = time.monotonic()
        assert desk.ask("GET", "/healthz").status == 200
        waits.append(time.monotonic() - asked)
    taken = time.monotonic() - begun
    assert answers[0].status == 201, answers[0].body
    batch = answers[0].json()
    assert desk.get(batch["links"]["self"])["count"] == 32
    cancelled = desk.ask("POST", batch["links"]["cancel"], seconds=300).json()
    assert cancelled["counts"]["cancelled"] == 32
    return max(waits) / taken


def test_a_huge_batch_does_not_hold_the_others_up(desk: Service) -> None:
    """32 jobs of a MiB each: while they are checked and kept, others are answered in between. A
    slow machine is slow in both, and once in three tries is enough."""
    params = {"lines": ["y" * 20] * 42_000}
    body = json.dumps({"operation": "test.say", "params": params, "items": [{}] * 32}).encode()
    assert 900_000 < len(body) < 2**20
    assert desk.ask("POST", "/v1/queue/pause").status == 200
    try:
        parts: list[float] = []
        while len(parts) < 3 and min(parts, default=1.0) > 0.2:
            parts.append(worst_wait(desk, body))
        assert min(parts) < 0.2
    finally:
        desk.ask("POST", "/v1/queue/resume")


def test_assets_in_a_batch_are_looked_up(desk: Service, make_wav: Any) -> None:
    """Each item's references are checked, and what is not there is named where it stands."""
    tone = desk.upload(make_wav(0.5), "tone.wav")["id"]
    batch = submit(desk, "test.measure", sweep={"audio": [tone, tone]})
    assert ended(desk, batch["links"]["self"])["state"] == "succeeded"
    sweep = {"audio": [tone, "ast_" + "0" * 26]}
    answer = desk.ask("POST", "/v1/batches", {"operation": "test.measure", "sweep": sweep})
    assert answer.status == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/sweep/audio/1"]


def figures(desk: Service) -> dict[str, float]:
    """Every figure that /metrics has now, by its name and labels."""
    lines = desk.ask("GET", "/metrics").body.decode().splitlines()
    parts = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in parts}


def test_the_metrics_tell_of_the_cache_the_pause_and_the_queue(
    desk: Service, tmp_path: Path
) -> None:
    """One job of each sort is counted as what it is; those that wait are seen by their priority."""
    before, path = figures(desk), "/v1/operations/test.work"
    assert before["kino_queue_paused"] == 0
    known = {"counter": str(tmp_path / "known")}
    desk.run("test.work", known)
    desk.run("test.work", known)
    desk.ask("POST", "/v1/queue/pause")
    try:
        new = {"counter": str(tmp_path / "new")}
        for priority in ("0", "5", "-1"):
            params = {**new, "seed": int(priority) + 1}
            answer = desk.ask("POST", path, params, headers={"Kino-Priority": priority})
            assert answer.status == 202
        attached = desk.ask("POST", path, {**new, "seed": 1}).json()
        assert attached["leader"] is not None
        desk.ask("POST", path + "?cache=false", known)
        after = figures(desk)
        for sort, count in {"miss": 4, "hit": 1, "attached": 1, "off": 1}.items():
            name = f'kino_submitted_jobs_total{{cache="{sort}"}}'
            assert after[name] - before[name] == count, sort
        assert after["kino_queue_paused"] == 1
        for level, count in {"high": 1, "normal": 2, "low": 1}.items():
            assert after[f'kino_queued_jobs{{capability="cpu",priority="{level}"}}'] == count
        assert after['kino_queued_jobs{capability="loop",priority="high"}'] == 0
    finally:
        desk.ask("POST", "/v1/queue/resume")


def test_many_jobs_are_cancelled_by_a_filter(desk: Service, tmp_path: Path) -> None:
    """Those that wait or run and fit all filters end; how many is told. Others stay, and without a
    filter nothing happens."""
    go = tmp_path / "go"
    desk.ask("POST", "/v1/operations/test.hold", {"until": str(go)})
    until("it runs", lambda: desk.get("/v1/jobs?state=running")["items"], seconds=300)
    mine = submit(desk, "test.work", params={"counter": str(tmp_path / "n")},
                  sweep={"seed": [1, 1, 2]}, metadata={"shot": 12})  # fmt: skip
    other = desk.ask("POST", "/v1/operations/test.sleep", {}).json()
    assert desk.ask("POST", "/v1/jobs/cancel").json()["errors"][0]["rule"] == "filter"
    wrong = desk.ask("POST", "/v1/jobs/cancel?state=succeeded")
    assert wrong.json()["errors"][0]["pointer"] == "/query/state"
    none = desk.ask("POST", "/v1/jobs/cancel?operation=test.work&batch=bat_" + "0" * 26)
    assert none.json() == {"cancelled": 0, "stopping": 0, "ended": 0}
    fitting = desk.ask("POST", '/v1/jobs/cancel?metadata={"shot":12}&state=queued')
    assert (fitting.status, fitting.json()["cancelled"]) == (200, 3)
    batch = ended(desk, mine["links"]["self"])
    assert (batch["state"], batch["counts"]["cancelled"]) == ("cancelled", 3)
    assert desk.get(f"/v1/jobs/{other['id']}")["state"] == "queued"
    stopped = desk.ask("POST", "/v1/jobs/cancel?operation=test.hold").json()
    assert stopped["cancelled"] + stopped["stopping"] == 1
    assert ended(desk, f"/v1/jobs/{other['id']}")["state"] == "succeeded"
