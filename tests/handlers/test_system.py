"""The service about itself."""

import re

from backend.testing.service import until


def test_ready_with_each_worker(cpu_service):
    """Ready means every worker; without a comfy worker ComfyUI is off, which is no fault."""
    said = cpu_service.get("/readyz")
    assert said["state"] == "ready"
    assert [(w["kind"], w["state"]) for w in said["workers"]] == [("cpu", "ready")]
    assert said["comfyui"] == {"state": "off"}


def test_system(cpu_service):
    """Versions, workers, jobs, disk and limits in one report."""
    said = cpu_service.get("/v1/system")
    assert re.fullmatch(r"\d+\.\d+\.\d+", said["version"])
    assert said["process"]["pid"] == cpu_service.pid
    assert said["workers"][0]["pid"]
    assert set(said["jobs"]) == {"queued", "running", "succeeded", "failed", "cancelled"}
    assert said["disk"]["free_bytes"] > 0
    assert said["limits"]["json_bytes"] == 2**20


def test_plugins(cpu_service):
    """Every built-in plugin is listed and available."""
    items = cpu_service.get("/v1/plugins")["items"]
    names = {item["name"]: item for item in items}
    assert {"mixer", "files", "workflows"} <= names.keys()
    assert names["mixer"]["unavailable"] is None


def test_a_plugin_that_fails_in_a_worker_only(launch, tmp_path):
    """The worker and its reason are named, beside the view of the API process."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "moody.py").write_text(
        '"""Starts nowhere but in the API process."""\n'
        "from backend.plugins import hookimpl\n\n\n"
        "@hookimpl\ndef startup(host):\n"
        "    if host.role == 'cpu':\n        raise RuntimeError('no')\n"
    )
    service = launch(plugins_dir=tmp_path / "plugins")
    service.wait_ready()
    (moody,) = [p for p in service.get("/v1/plugins")["items"] if p["name"] == "moody"]
    assert moody["unavailable"] is None
    assert moody["unavailable_in"]["cpu"]["reason"]


def test_welcome(service):
    """The first page names the others, and each of them is there."""
    for link in service.get("/")["links"].values():
        method = "POST" if link == "/mcp" else "GET"
        assert service.ask(method, link).status in (200, 415), link


def test_metrics(cpu_service):
    """Requests by route template (never by id), jobs and workers by state."""
    cpu_service.ask("GET", "/v1/jobs/job_secret")
    cpu_service.ask("GET", "/nothing/here")
    answer = cpu_service.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answer.body.decode()
    assert 'route="/v1/jobs/{id}",status="404"' in text
    assert 'method="none",route="none",status="404"' in text
    assert "job_secret" not in text
    assert "nothing" not in text
    assert 'kino_workers{state="ready"} 1.0' in text
    assert re.search(r'kino_jobs\{state="queued"\} \d', text)


def test_the_access_log(cpu_service):
    """One JSON line for each request, with the number in the answer, without the query."""
    answer = cpu_service.ask("GET", "/v1/jobs?operation=top.secret")
    number = answer.headers["request-id"]

    def written() -> str | None:  # after the answer has gone out
        lines = cpu_service.log.read_text().splitlines()
        return next((line for line in lines if number in line), None)

    line = until("the line is written", written, seconds=300)
    assert '"path": "/v1/jobs"' in line
    assert "top.secret" not in line
