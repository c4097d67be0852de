"""Stored workflows over HTTP, with the fake engine: PUT a graph, call it as an operation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from backend.media.image import Image
from backend.testing.service import Answer, Service, until

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 4, "color": 255},
          "_meta": {"title": "Background"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}},
}  # fmt: skip
PHOTO = {
    "5": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "6": {"class_type": "ImageInvert", "inputs": {"image": ["5", 0]}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0]}},
}
EDITOR = {
    "nodes": [
        {"id": 1, "type": "EmptyImage", "inputs": [], "widgets_values": [8, 4, 1, 255],
         "outputs": [{"name": "IMAGE", "type": "IMAGE"}]},
        {"id": 2, "type": "SaveImage", "widgets_values": ["a"], "outputs": [],
         "inputs": [{"name": "images", "type": "IMAGE", "link": 1}]},
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"]],
}  # fmt: skip
SLOW = {
    "1": {"class_type": "KinoTestSleep", "inputs": {"seconds": 0.0, "steps": 1},
          "_meta": {"title": "Nap"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose comfy worker has the fake engine."""
    service = Service.start(tmp_path_factory.mktemp("fake"), workers=["comfy"], engine="fake")
    try:
        service.wait_ready()
        yield service
    finally:
        service.kill()


def put(service: Service, name: str, document: object) -> Answer:
    headers = {"Content-Type": "application/json"}
    return service.ask("PUT", f"/v1/workflows/{quote(name, safe='?=')}", document, headers=headers)


def stored(service: Service, name: str, document: object) -> dict[str, Any]:
    answer = put(service, name, document)
    assert answer.status in (200, 201), answer.body
    found: dict[str, Any] = answer.json()
    return found


def errors(answer: Answer, status: int = 422) -> list[dict[str, str]]:
    assert answer.status == status, answer.body
    found: list[dict[str, str]] = answer.json()["errors"]
    return found


def test_a_stored_graph_is_an_operation(fake: Service) -> None:
    """PUT a graph, POST typed parameters, get a picture; the job says what was asked."""
    answer = put(fake, "plain", GRAPH)
    assert answer.status == 201, answer.body
    assert answer.headers["location"] == "/v1/workflows/plain"
    job = fake.run("workflow.plain", {"width": 16, "background_color": 7})
    assert job["state"] == "succeeded", job["error"]
    (image,) = job["result"]["images"]
    assert (image["width"], image["height"]) == (16, 4)
    assert (job["operation"], job["version"]) == ("workflow.plain", 1)
    assert job["params"] == {
        "width": 16, "height": 4, "batch_size": 1,
        "background_color": 7, "save_image_filename_prefix": "a",
    }  # fmt: skip
    assert fake.get("/v1/jobs?operation=workflow.plain")["items"][0]["id"] == job["id"]
    # describing it left no job behind
    assert fake.get("/v1/jobs?operation=workflows.describe")["items"] == []


def test_every_door_shows_its_schema(fake: Service) -> None:
    """The list, OpenAPI and MCP describe it as they describe an operation of a plugin, and what
    they show follows a new version and a deletion."""
    stored(fake, "doors", GRAPH)
    shown = fake.get("/v1/operations/workflow.doors")
    width = shown["schema"]["properties"]["width"]
    assert (width["type"], width["minimum"], width["maximum"], width["default"]) == (
        "integer", 1, 16384, 8,
    )  # fmt: skip
    assert width["description"] == "width of node 1 (Background)."
    assert shown["outputs"][0]["name"] == "images"
    assert (shown["needs"]["runs_on"], shown["node"]) == ("comfy", None)
    document = fake.get("/openapi.json")
    path = document["paths"]["/v1/operations/workflow.doors"]["post"]
    schema = path["requestBody"]["content"]["application/json"]["schema"]
    named = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    assert named["properties"].keys() == shown["schema"]["properties"].keys()
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    call["params"] = {"name": "workflow_doors", "arguments": {"height": 2}}
    told = fake.ask("POST", "/mcp", call).json()["result"]
    assert told["structuredContent"]["images"][0]["height"] == 2
    stored(fake, "doors", {**GRAPH, "3": {"class_type": "KinoTestSleep", "inputs": {"steps": 1}}})
    assert (
        "kino_test_sleep_steps" in fake.get("/v1/operations/workflow.doors")["schema"]["properties"]
    )
    assert fake.ask("DELETE", "/v1/workflows/doors").status == 204
    assert fake.ask("GET", "/v1/operations/workflow.doors").status == 404
    assert "/v1/operations/workflow.doors" not in fake.get("/openapi.json")["paths"]


def test_an_upload_goes_where_a_file_was_loaded(fake: Service, tmp_path: Any) -> None:
    """LoadImage becomes an asset parameter: needed, checked for its kind, found by `inputs`."""
    stored(fake, "photo", PHOTO)
    grey = Image.from_array(np.full((3, 5, 3), 51 / 255, np.float32), bit_depth=8)
    grey.save(tmp_path / "grey.png")
    asset = fake.upload((tmp_path / "grey.png").read_bytes(), "grey.png")
    job = fake.run("workflow.photo", {"image": asset["id"]})
    assert job["state"] == "succeeded", job["error"]
    assert job["inputs"] == [asset["reference"]]
    href = job["result"]["images"][0]["href"]
    (tmp_path / "made.png").write_bytes(fake.ask("GET", href).body)
    made = Image.open(tmp_path / "made.png").pixels
    assert made.shape == (3, 5, 3)
    assert np.unique(np.round(made * 255)).tolist() == [204]
    (missing,) = errors(fake.ask("POST", "/v1/operations/workflow.photo", {}))
    assert (missing["pointer"], missing["rule"]) == ("/image", "missing")
    unknown = {"image": "blake3:" + "0" * 64}
    (unknown_,) = errors(fake.ask("POST", "/v1/operations/workflow.photo", unknown))
    assert (unknown_["pointer"], unknown_["rule"]) == ("/image", "asset")


def test_wrong_values_point_to_the_parameter(fake: Service) -> None:
    """Type and range are checked at the door; what only the engine can say has the same pointer,
    and names node, title and input."""
    stored(fake, "nap", SLOW)
    path = "/v1/operations/workflow.nap?wait=120"
    for value, rule in ((0, "greater_than_equal"), ("1", "int_type"), (1.5, "int_type")):
        (error,) = errors(fake.ask("POST", path, {"nap_steps": value}))
        assert (error["pointer"], error["rule"]) == ("/nap_steps", rule)
    (extra,) = errors(fake.ask("POST", path, {"nap_stepz": 1}))
    assert (extra["pointer"], extra["rule"]) == ("/nap_stepz", "extra_forbidden")
    # a number out of its range is no default: the schema does not contradict itself
    bad = stored(fake, "bad", {"1": {"class_type": "KinoTestSleep", "inputs": {"seconds": 1e6},
                                     "_meta": {"title": "Nap"}}})  # fmt: skip
    assert bad["warnings"] == [
        "node 1, input seconds: 1000000.0 is not within 0.0 to 600.0; every run must give"
        " nap_seconds"
    ]
    (found,) = errors(fake.ask("POST", "/v1/operations/workflow.bad?wait=120", {}))
    assert (found["pointer"], found["rule"]) == ("/nap_seconds", "missing")
    assert fake.run("workflow.bad", {"nap_seconds": 0.0})["state"] == "succeeded"


def test_versions_stay_readable(fake: Service) -> None:
    """Changed content is a new version, equal content is not; the old graph and its document come
    back, and jobs say which version they ran."""
    first = json.dumps(GRAPH, indent=3).encode()
    assert stored(fake, "growing", first)["version"] == 1
    assert put(fake, "growing", first).status == 200
    changed = {**GRAPH, "1": {**GRAPH["1"], "inputs": {"width": 9, "height": 9}}}
    second = stored(fake, "growing", changed)
    assert (second["version"], second["versions"]) == (2, [1, 2])
    old = fake.get("/v1/workflows/growing?version=1")
    assert (old["version"], old["graph"]["1"]["inputs"]["width"]) == (1, 8)
    assert fake.ask("GET", "/v1/workflows/growing/original?version=1").body == first
    assert fake.run("workflow.growing", {})["version"] == 2
    assert fake.ask("GET", "/v1/workflows/growing?version=3").status == 404
    items = fake.get("/v1/workflows")["items"]
    assert [each["version"] for each in items if each["name"] == "growing"] == [2]


def test_a_job_runs_the_version_that_it_was_accepted_in(fake: Service) -> None:
    """A job that waits while a newer version is stored still runs the older graph."""
    stored(fake, "waiting", SLOW)
    path, nap = "/v1/operations/workflow.waiting", {"nap_seconds": 600.0}
    naps = [fake.ask("POST", path, nap).json()["id"] for _ in range(2)]
    job = fake.ask("POST", path, {}).json()
    describing = "/v1/jobs?operation=workflows.describe"
    with ThreadPoolExecutor(1) as pool:
        newer = pool.submit(stored, fake, "waiting", {**SLOW, "2": SLOW["1"]})
        until("it waits to be described", lambda: fake.get(describing)["items"], seconds=300)
        # describing goes before the second nap, so the newer version is there when the job runs
        fake.ask("POST", f"/v1/jobs/{naps[0]}/cancel")
        assert newer.result()["version"] == 2
    fake.ask("POST", f"/v1/jobs/{naps[1]}/cancel")
    done = fake.get(f"/v1/jobs/{job['id']}?wait=120")
    assert (done["version"], done["result"]["text"]) == (1, ["slept 0.0 s"])
    again = fake.run("workflow.waiting", {})
    assert (again["version"], len(again["result"]["text"])) == (2, 2)


def test_the_editors_document_is_converted_and_kept(fake: Service) -> None:
    """The editor's format is stored byte for byte and runs as a graph."""
    document = json.dumps(EDITOR, indent=1).encode()
    found = stored(fake, "drawn", document)
    assert found["format"] == "editor"
    assert found["graph"]["2"]["inputs"]["images"] == ["1", 0]
    assert fake.ask("GET", "/v1/workflows/drawn/original").body == document
    (image,) = fake.run("workflow.drawn", {"height": 6})["result"]["images"]
    assert (image["width"], image["height"]) == (8, 6)


def test_a_dry_run_says_where_each_value_goes(fake: Service) -> None:
    """The final graph, and for each value its parameter, node, input and rule; nothing runs."""
    stored(fake, "dry", GRAPH)
    before = fake.get("/v1/jobs")["items"][:1]
    found = fake.ask("POST", "/v1/workflows/dry/resolve", {"width": 33}).json()
    assert found["graph"]["1"]["inputs"] == {
        "width": 33, "height": 4, "color": 255, "batch_size": 1,
    }  # fmt: skip
    by_name = {each["parameter"]: each for each in found["values"]}
    assert by_name["width"] == {
        "parameter": "width", "value": 33, "given": True, "node": "1", "input": "width",
        "rule": "the only node with a width and a height", "class_type": "EmptyImage",
        "title": "Background",
    }  # fmt: skip
    assert by_name["batch_size"]["given"] is False
    assert fake.get("/v1/jobs")["items"][:1] == before
    broken = fake.ask("POST", "/v1/workflows/dry/resolve", {"width": 0})
    assert errors(broken)[0]["pointer"] == "/width"


@pytest.mark.parametrize(
    ("document", "status", "rule", "pointer"),
    [
        (b"{", 400, None, None),
        (b'{"1": {"class_type": "EmptyImage", "inputs": {"width": 1e400}}}', 400, None, None),
        ([1], 422, "dict_type", ""),
        ({}, 422, "graph_size", ""),
        ({"1": 3}, 422, "node", "/1"),
        ({"1": {"class_type": "Nope", "inputs": {}}}, 422, "unknown_node", "/1/class_type"),
        ({"1": {"class_type": "EmptyImage"}}, 422, "no_output", ""),
        ({"1": {"class_type": "SaveImage", "inputs": {"images": ["9", 0]}}},
         422, "unknown_link", "/1/inputs/images"),
        ({"nodes": [{"id": 1}]}, 422, "workflow", "/nodes/0"),
        pytest.param(b'{"a": "' + b"x" * 5_000_000 + b'"}', 413, None, None, id="5 MB"),
    ],
)  # fmt: skip
def test_what_is_no_workflow_is_told(
    fake: Service, document: Any, status: int, rule: str | None, pointer: str | None
) -> None:
    """Each with its place in the document; nothing is stored."""
    sent = document if isinstance(document, bytes) else json.dumps(document).encode()
    answer = put(fake, "broken", sent)
    assert answer.status == status, answer.body
    if rule is not None:
        (error,) = answer.json()["errors"]
        assert (error["rule"], error["pointer"]) == (rule, pointer)
    assert fake.ask("GET", "/v1/workflows/broken").status == 404


def test_missing_node_types_are_listed(fake: Service) -> None:
    """All of them, each with its nodes, also for the editor's format."""
    nodes = [{"id": n, "type": f"Gone{n % 2}", "outputs": [], "inputs": []} for n in range(3)]
    found = errors(put(fake, "gone", {"nodes": nodes, "links": []}))
    assert [each["message"].split(" is not")[0] for each in found] == [
        "the node type 'Gone0' (nodes 0, 2)", "the node type 'Gone1' (node 1)",
    ]  # fmt: skip


def test_missing_nodes_are_passed_by_on_request(fake: Service) -> None:
    """The picture goes on around the node, and the workflow says so for as long as it is kept."""
    graph = {
        **GRAPH,
        "2": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
        "3": {"class_type": "PackSharpen", "inputs": {"image": ["1", 0], "amount": 2}},
    }
    assert put(fake, "passed", graph).status == 422
    answer = put(fake, "passed?bypass_missing=true", graph)
    assert answer.status == 201, answer.body
    told = ["node 3: the node type 'PackSharpen' is not installed; the node is passed by"]
    assert fake.get("/v1/workflows/passed")["warnings"] == told
    assert fake.run("workflow.passed", {})["result"]["images"][0]["width"] == 8


@pytest.mark.parametrize("name", ["A", "1a", "a-b", "a" * 62, "é", "a.b"])
def test_names_are_plain(fake: Service, name: str) -> None:
    """A name is also the name of an operation, a tool and a command's argument."""
    (error,) = errors(put(fake, name, GRAPH))
    assert (error["pointer"], error["rule"]) == ("/name", "name")


def test_a_restart_keeps_workflows_and_their_jobs(launch: Any, tmp_path: Any) -> None:
    """After kill -9 a workflow is offered before any worker is ready, and a job that waited runs
    in the version in which it was accepted, even if the workflow was deleted."""
    settings = {"folder": tmp_path / "kept", "workers": ["comfy"], "engine": "fake"}
    service = launch(**settings)
    stored(service, "other", GRAPH)
    stored(service, "kept", SLOW)
    long = service.ask("POST", "/v1/operations/workflow.kept", {"nap_seconds": 600.0}).json()
    waits = service.ask("POST", "/v1/operations/workflow.kept", {"nap_seconds": 0.25}).json()
    assert service.ask("DELETE", "/v1/workflows/kept").status == 204
    service.kill()
    again = launch(**settings)
    assert [each["name"] for each in again.get("/v1/workflows")["items"]] == ["other"]
    assert again.ask("GET", "/v1/operations/workflow.other").status == 200
    again.ask("POST", f"/v1/jobs/{long['id']}/cancel")
    job = until(
        "the job has ended",
        lambda: (found := again.get(f"/v1/jobs/{waits['id']}"))["state"] == "succeeded" and found,
        seconds=300,
    )
    assert (job["version"], job["result"]["text"]) == (1, ["slept 0.25 s"])
    # a name that comes back goes on counting
    assert stored(again, "kept", GRAPH)["version"] == 2


def test_a_folder_of_workflows_is_stored_at_the_start(launch: Any, tmp_path: Any) -> None:
    """Each file under its name, once; what cannot be stored stops no other."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "a broken one.json").write_text("{")
    (shelf / "My Graph.json").write_text(json.dumps(GRAPH))
    settings = {"workers": ["comfy"], "engine": "fake", "workflows_dir": shelf}
    service = launch(folder=tmp_path / "service", **settings)

    def names(of: Service) -> list[tuple[str, int]]:
        return [(each["name"], each["version"]) for each in of.get("/v1/workflows")["items"]]

    until("the file is stored", lambda: names(service) == [("my_graph", 1)], seconds=300)
    service.stop()
    again = launch(folder=tmp_path / "service", **settings)
    again.wait_ready()
    assert names(again) == [("my_graph", 1)]


def test_without_comfyui_it_is_unavailable(cpu_service: Service) -> None:
    """Storing and running say what is missing and what helps."""
    answer = put(cpu_service, "nowhere", GRAPH)
    assert answer.status == 503
    assert "comfy" in answer.json()["detail"]
    assert answer.json()["remedy"]
    assert cpu_service.get("/v1/workflows") == {"items": []}


def test_a_job_is_retried_as_it_was_accepted(fake: Service) -> None:
    """A cancelled job of a workflow that was deleted meanwhile runs in its version; so does one
    whose workflow is another by now."""
    stored(fake, "gone_soon", SLOW)
    nap = fake.ask("POST", "/v1/operations/workflow.gone_soon", {"nap_seconds": 600.0}).json()
    job = fake.ask("POST", "/v1/operations/workflow.gone_soon", {"nap_seconds": 0.25}).json()
    for each in (job, nap):
        fake.ask("POST", f"/v1/jobs/{each['id']}/cancel")
    until("it is cancelled", lambda: _state(fake, job["id"]) == "cancelled", seconds=300)
    assert fake.ask("DELETE", "/v1/workflows/gone_soon").status == 204
    assert fake.ask("GET", "/v1/operations/workflow.gone_soon").status == 404
    again = fake.ask("POST", f"/v1/jobs/{job['id']}/retry")
    assert again.status in (200, 202), again.body
    until("it has run", lambda: _state(fake, job["id"]) == "succeeded", seconds=300)
    assert fake.get(f"/v1/jobs/{job['id']}")["result"]["text"] == ["slept 0.25 s"]


def _state(service: Service, job_id: str) -> str:
    return str(service.get(f"/v1/jobs/{job_id}")["state"])


def test_equal_documents_at_once_are_one_version(fake: Service) -> None:
    """Of eight equal PUTs at the same time one makes a version, the others find it."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: put(fake, "at_once", GRAPH), range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    assert {answer.json()["version"] for answer in answers} == {1}
    assert fake.get("/v1/jobs?operation=workflows.describe")["items"] == []


def test_a_put_that_is_abandoned_leaves_no_job(fake: Service) -> None:
    """Whoever hangs up while the document waits to be described leaves nothing in the queue."""
    stored(fake, "long_nap", SLOW)
    nap = fake.ask("POST", "/v1/operations/workflow.long_nap", {"nap_seconds": 600.0}).json()
    until("it naps", lambda: _state(fake, nap["id"]) == "running", seconds=300)
    with pytest.raises(TimeoutError):
        fake.ask("PUT", "/v1/workflows/abandoned", GRAPH, seconds=0.5)
    fake.ask("POST", f"/v1/jobs/{nap['id']}/cancel")
    describing = "/v1/jobs?operation=workflows.describe"
    until("no job is left", lambda: fake.get(describing)["items"] == [], seconds=300)
