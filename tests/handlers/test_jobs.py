"""Jobs and their events over HTTP."""

import http.client
import json
import socket
from urllib.parse import urlsplit

import psutil
import pytest

from backend.handlers import shapes
from backend.testing.service import until

MIX = "/v1/operations/mixer.mix"
NOBODY = "job_" + "0" * 26


def problem_of(answer, status, slug):
    assert answer.status == status, answer.body
    problem = answer.json()
    assert problem["type"] == f"/v1/problems/{slug}"
    return problem


def mix_of(asset, **more):
    return {"mix": {"strips": [{"id": "a", "source": asset["reference"], **more}]}}


def events_of(service, job_id, *, query="", headers=None):
    """All events of a stream that ends by itself: [(id, type, data)]."""
    answer = service.ask("GET", f"/v1/jobs/{job_id}/events{query}", headers=headers or {})
    if answer.status == 204:
        return []
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


@pytest.fixture
def stopped(launch, make_wav):
    """A service whose only worker is stopped, so that jobs stay where they are: (service, tone)."""
    service = launch()
    service.wait_ready()
    tone = service.upload(make_wav(), "tone.wav")
    (worker,) = service.get("/v1/system")["workers"]
    psutil.Process(worker["pid"]).suspend()
    return service, tone


def test_a_job_is_found_again(cpu_service, tone):
    """A job is shown alone and in the list, filtered by state and operation."""
    job = cpu_service.run("mixer.mix", mix_of(tone))
    assert cpu_service.get(f"/v1/jobs/{job['id']}") == job
    page = cpu_service.get("/v1/jobs?state=succeeded&operation=mixer.mix&limit=200")
    shapes.JobPage.model_validate(page)
    assert job["id"] in [item["id"] for item in page["items"]]
    assert cpu_service.get("/v1/jobs?operation=mixer.duck&state=failed")["items"] == []


def test_pages_of_jobs(cpu_service, tone):
    """Cursors lead through all jobs, newest first, each once."""
    mine = {cpu_service.run("mixer.mix", mix_of(tone, fader_db=-float(n)))["id"] for n in range(3)}
    seen, cursor = [], ""
    while True:
        page = cpu_service.get(f"/v1/jobs?limit=2{cursor}")
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sorted(set(seen), reverse=True)
    assert mine <= set(seen)


@pytest.mark.parametrize(
    "query", ["state=done", "limit=0", "limit=1.5", "cursor=x", "metadata=[]", "metadata=1", "x=y"]
)
def test_bad_filters(cpu_service, query):
    """A filter that means nothing is refused, not ignored."""
    problem_of(cpu_service.ask("GET", f"/v1/jobs?{query}"), 422, "invalid-parameters")


@pytest.mark.parametrize("name", [NOBODY, "x", "%2e%2e", "job_%00", "job_" + "A" * 3000])
def test_unknown_jobs(cpu_service, name):
    """There is no such job: for every verb the same answer."""
    for method, tail in (
        ("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry"),
        ("GET", "/events"), ("GET", "/preview"), ("GET", "/outputs/master"),
    ):  # fmt: skip
        answer = cpu_service.ask(method, f"/v1/jobs/{name}{tail}")
        problem_of(answer, 404, "unknown-name")


def test_outputs(cpu_service, tone):
    """Every output is fetched by its flat name; others are unknown."""
    job = cpu_service.run("mixer.mix", mix_of(tone))
    for name in ("master", "pre_master"):
        media = job["result"][name]
        answer = cpu_service.ask("GET", media["href"])
        assert len(answer.body) == media["size"]
        assert "attachment" in answer.headers["content-disposition"]
    for name in ("peak_db", "nothing", "%2e%2e%2fkino.db"):
        answer = cpu_service.ask("GET", f"/v1/jobs/{job['id']}/outputs/{name}")
        problem_of(answer, 404, "unknown-name")


def test_deleting(cpu_service, tone):
    """A job that has ended can be forgotten; its files stay."""
    job = cpu_service.run("mixer.mix", mix_of(tone))
    assert cpu_service.ask("DELETE", f"/v1/jobs/{job['id']}").status == 204
    problem_of(cpu_service.ask("GET", f"/v1/jobs/{job['id']}"), 404, "unknown-name")
    assert cpu_service.get(f"/v1/assets/{job['result']['master']['asset']}")


def test_ended_jobs_cannot_be_changed(cpu_service, tone):
    """What has succeeded can be neither cancelled nor run again."""
    job = cpu_service.run("mixer.mix", mix_of(tone))
    for verb in ("cancel", "retry"):
        answer = cpu_service.ask("POST", f"/v1/jobs/{job['id']}/{verb}")
        problem_of(answer, 409, "conflict")


def test_cancel_and_retry(stopped):
    """A waiting job is cancelled at once, cannot be deleted before, and can be run again."""
    service, tone = stopped
    running = service.ask("POST", MIX, mix_of(tone)).json()["id"]
    until(
        "the worker has the first",
        lambda: service.get(f"/v1/jobs/{running}")["state"] == "running",
        seconds=300,
    )
    job = service.ask("POST", MIX, mix_of(tone)).json()
    assert service.get(job["links"]["self"])["waiting_for"]["position"] == 1
    problem_of(service.ask("DELETE", f"/v1/jobs/{job['id']}"), 409, "conflict")
    cancelled = service.ask("POST", job["links"]["cancel"])
    assert (cancelled.status, cancelled.json()["state"]) == (200, "cancelled")
    again = service.ask("POST", f"/v1/jobs/{job['id']}/retry")
    assert (again.status, again.json()["state"]) == (202, "queued")
    assert again.headers["location"] == job["links"]["self"]
    types = [type_ for _, type_, _ in follow_until(service, job["id"], "queued", 2)]
    assert types == ["queued", "cancelled", "queued"]


def follow_until(service, job_id, type_, count):
    """Follow a live stream until the n-th event of a type."""
    parts = urlsplit(service.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=600)
    found, seen = [], 0
    try:
        connection.request("GET", f"/v1/jobs/{job_id}/events")
        answer = connection.getresponse()
        fields = {}
        while seen < count:
            line = answer.readline().decode().rstrip("\n")
            if line and line[0] != ":":
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
                seen += fields["event"] == type_
                fields = {}
    finally:
        connection.close()
    return found


def test_events_replay_from_any_number(cpu_service, tone):
    """The stream of an ended job is its whole log; it can be resumed after any number."""
    job = cpu_service.run("mixer.mix", mix_of(tone))
    log = events_of(cpu_service, job["id"])
    numbers = [number for number, _, _ in log]
    assert numbers == sorted(set(numbers))
    types = [type_ for _, type_, _ in log]
    assert (types[0], types[1], types[-1]) == ("queued", "started", "succeeded")
    for number, type_, data in log:
        assert (data["seq"], data["type"]) == (number, type_)
        assert data["time"].endswith("Z")
    for n in range(len(log)):
        rest = log[n + 1 :]
        assert events_of(cpu_service, job["id"], query=f"?after={numbers[n]}") == rest
        headers = {"Last-Event-ID": str(numbers[n])}
        assert events_of(cpu_service, job["id"], headers=headers) == rest


def test_nothing_left_to_replay(cpu_service, tone):
    """204 tells a browser to stop reconnecting."""
    job = cpu_service.run("mixer.mix", mix_of(tone))
    last = events_of(cpu_service, job["id"])[-1][0]
    answer = cpu_service.ask("GET", f"/v1/jobs/{job['id']}/events?after={last}")
    assert answer.status == 204


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        *(("?after=-1", {}), ("?after=x", {}), ("", {"Last-Event-ID": "x"}), ("?from=1", {})),
        *((f"?after={2**64}", {}), ("", {"Last-Event-ID": str(2**64)})),
    ],
)
def test_bad_places_to_resume(cpu_service, tone, query, headers):
    """A place that is no number is refused."""
    job = cpu_service.run("mixer.mix", mix_of(tone))
    answer = cpu_service.ask("GET", f"/v1/jobs/{job['id']}/events{query}", headers=headers)
    problem_of(answer, 422, "invalid-parameters")


def test_live_events(stopped):
    """A stream opened while the job waits goes on to its end when the worker wakes."""
    service, tone = stopped
    job = service.ask("POST", MIX, mix_of(tone)).json()
    assert [t for _, t, _ in follow_until(service, job["id"], "started", 1)] == [
        "queued",
        "started",
    ]
    (worker,) = service.get("/v1/system")["workers"]
    psutil.Process(worker["pid"]).resume()
    assert events_of(service, job["id"])[-1][1] == "succeeded"


def test_a_client_that_leaves_harms_nobody(stopped):
    """Fifty streams that are opened and dropped leave the service answering."""
    service, tone = stopped
    job = service.ask("POST", MIX, mix_of(tone)).json()
    parts = urlsplit(service.url)
    for _ in range(50):
        with socket.create_connection((parts.hostname, parts.port), timeout=600) as connection:
            head = f"GET /v1/jobs/{job['id']}/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
            connection.sendall(head.encode())
    assert service.get("/healthz") == {"status": "ok"}
