"""Operations over HTTP, in front of a real cpu worker."""

import json
import uuid
from urllib.parse import quote

import psutil
import pytest

from backend.handlers import shapes
from backend.testing.service import until

MIX = "/v1/operations/mixer.mix"
DUCK = "/v1/operations/mixer.duck"
JSON = {"Content-Type": "application/json"}
MISSING = "blake3:" + "0" * 64


def mix_of(asset, **more):
    return {"mix": {"strips": [{"id": "a", "source": asset["reference"], **more}]}}


def problem_of(answer, status, slug):
    """The answer is a problem of this status and kind; return it."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["type"] == f"/v1/problems/{slug}"
    shapes.Problem.model_validate(problem)
    return problem


def test_the_list_describes_every_operation(cpu_service):
    """Each operation is listed with schema, units and availability, and is found by name."""
    items = cpu_service.get("/v1/operations")["items"]
    names = [item["name"] for item in items]
    assert names == sorted(names)
    assert {"mixer.mix", "mixer.duck"} <= set(names)
    for item in items:
        shapes.OperationDescription.model_validate(item)
        assert cpu_service.get(item["links"]["self"]) == item
    duck = next(item for item in items if item["name"] == "mixer.duck")
    threshold = duck["schema"]["properties"]["threshold_db"]
    assert (threshold["unit"], threshold["minimum"], threshold["maximum"]) == ("dB", -60, 0)
    assert duck["schema"]["properties"]["music"]["x-kino-media"] == "audio"
    assert duck["available"] is True


def test_waiting_gives_the_result(cpu_service, tone):
    """With ``wait`` the answer is the ended job, its result inside, and the file can be fetched."""
    answer = cpu_service.ask("POST", MIX + "?wait=120", mix_of(tone))
    assert answer.status == 200, answer.body
    job = answer.json()
    shapes.Job.model_validate(job)
    assert job["state"] == "succeeded"
    master = shapes.Media.model_validate(job["result"]["master"])
    assert cpu_service.ask("GET", master.href).body[:4] == b"RIFF"
    assert job["result"]["peak_db"] < 0
    assert job["inputs"] == [tone["reference"]]


def test_not_waiting_gives_a_place(cpu_service, tone):
    """Without ``wait`` the answer is 202 with the job's place; the job then ends by itself."""
    answer = cpu_service.ask("POST", MIX, mix_of(tone))
    assert answer.status == 202
    place = answer.headers["location"]
    assert place == answer.json()["links"]["self"]
    ended = cpu_service.get(place + "?wait=120")
    assert ended["state"] == "succeeded"


def test_asset_ids_are_references_too(cpu_service, tone):
    """An asset's id stands for its content; the job keeps the content reference."""
    job = cpu_service.run("mixer.mix", {"mix": {"strips": [{"id": "a", "source": tone["id"]}]}})
    assert job["inputs"] == [tone["reference"]]


def test_idempotency_key(cpu_service, tone):
    """The same key and body give the same job; the same key with another body is a conflict."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first = cpu_service.ask("POST", MIX, mix_of(tone), headers=headers)
    again = cpu_service.ask("POST", MIX, mix_of(tone), headers=headers)
    assert first.json()["id"] == again.json()["id"]
    other = cpu_service.ask("POST", MIX, mix_of(tone, fader_db=-1.0), headers=headers)
    problem_of(other, 409, "conflict")


def test_priority_and_metadata(cpu_service, tone):
    """Both are echoed on the job, and metadata are a filter of the list."""
    mark = uuid.uuid4().hex
    headers = {"Kino-Priority": "7", "Kino-Metadata": json.dumps({"shot": mark, "take": 2})}
    job = cpu_service.ask("POST", MIX, mix_of(tone), headers=headers).json()
    assert job["priority"] == 7
    assert job["metadata"] == {"shot": mark, "take": 2}
    asked = json.dumps({"shot": mark}).replace('"', "%22").replace(" ", "%20")
    found = cpu_service.get(f"/v1/jobs?metadata={asked}")
    assert [item["id"] for item in found["items"]] == [job["id"]]


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("Kino-Priority", "high", "int_parsing"),
        ("Kino-Priority", "101", "less_than_equal"),
        ("Kino-Priority", "-101", "greater_than_equal"),
        ("Kino-Priority", "1.5", "int_parsing"),
        ("Kino-Metadata", "[1]", "dict_type"),
        ("Kino-Metadata", "{", "json_invalid"),
        ("Idempotency-Key", "x" * 256, "string_too_long"),
        ("Idempotency-Key", "", "string_too_short"),
    ],
)
def test_bad_headers(cpu_service, tone, name, value, rule):
    """A header that breaks a rule is named by a pointer."""
    answer = cpu_service.ask("POST", MIX, mix_of(tone), headers={name: value})
    (error,) = problem_of(answer, 422, "invalid-parameters")["errors"]
    assert (error["pointer"], error["rule"]) == (f"/headers/{name}", rule)


@pytest.mark.parametrize(
    ("query", "pointer", "rule"),
    [
        ("wait=-1", "/query/wait", "greater_than_equal"),
        ("wait=601", "/query/wait", "less_than_equal"),
        ("wait=nan", "/query/wait", "finite_number"),
        ("wait=soon", "/query/wait", "float_parsing"),
        ("wait=1&wait=2", "/query/wait", "duplicate"),
        ("wiat=1", "/query/wiat", "extra_forbidden"),
    ],
)
def test_bad_query(cpu_service, tone, query, pointer, rule):
    """A query that breaks a rule, or that nobody reads, is named by a pointer."""
    answer = cpu_service.ask("POST", f"{MIX}?{query}", mix_of(tone))
    (error,) = problem_of(answer, 422, "invalid-parameters")["errors"]
    assert (error["pointer"], error["rule"]) == (pointer, rule)


def params_of(tone, **more):
    return {"music": tone["reference"], "voice": tone["reference"], **more}


@pytest.mark.parametrize(
    ("more", "pointer", "rule"),
    [
        ({"threshold_db": -61}, "/threshold_db", "greater_than_equal"),
        ({"threshold_db": 0.1}, "/threshold_db", "less_than_equal"),
        ({"threshold_db": "-24 dB"}, "/threshold_db", "float_type"),
        ({"ratio": None}, "/ratio", "float_type"),
        ({"ratio": True}, "/ratio", "float_type"),
        ({"thresold_db": -24}, "/thresold_db", "extra_forbidden"),
        ({"music": MISSING}, "/music", "asset"),
        ({"music": "ast_" + "0" * 26}, "/music", "asset"),
        ({"music": "../../etc/passwd"}, "/music", "reference"),
        ({"music": "blake3:" + "0" * 64 + "\n"}, "/music", "reference"),
        ({"music": 7}, "/music", "reference"),
        ({"music": None}, "/music", "reference"),
    ],
)
def test_bad_parameters(cpu_service, tone, more, pointer, rule):
    """Wrong unit, range, type, name or asset: 422 that names the field and the rule."""
    answer = cpu_service.ask("POST", DUCK, params_of(tone, **more))
    problem = problem_of(answer, 422, "invalid-parameters")
    assert (pointer, rule) in [(e["pointer"], e["rule"]) for e in problem["errors"]]


def test_pointers_go_deep(cpu_service, tone):
    """A rule broken inside a nested model is pointed at exactly."""
    good = {"id": "a", "source": tone["reference"]}
    body = {"mix": {"strips": [good, {**good, "id": "b", "pan": 2}]}}
    problem = problem_of(cpu_service.ask("POST", MIX, body), 422, "invalid-parameters")
    assert [error["pointer"] for error in problem["errors"]] == ["/mix/strips/1/pan"]


def test_an_asset_of_another_kind(cpu_service):
    """A picture where audio is wanted is refused at the door."""
    png = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
        "0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
    )
    picture = cpu_service.upload(png, "dot.png")
    answer = cpu_service.ask("POST", MIX, mix_of(picture))
    problem = problem_of(answer, 422, "invalid-parameters")
    assert problem["errors"][0]["rule"] == "asset"


@pytest.mark.parametrize(
    ("text", "status", "slug"),
    [
        (b"{", 400, "malformed-request"),
        (b"[]", 422, "invalid-parameters"),
        (b"null", 422, "invalid-parameters"),
        (b'{"mix": NaN}', 400, "malformed-request"),
        (b'{"mix": [], "mix": []}', 400, "malformed-request"),
        (b'{"mix": "\\u0000"}', 400, "malformed-request"),
        (b'{"mix": 1e999}', 422, "invalid-parameters"),
        (b'{"mix": []}', 422, "invalid-parameters"),
        (b"{}", 422, "invalid-parameters"),
    ],
)
def test_bad_bodies(cpu_service, text, status, slug):
    """Bodies that are no JSON object, or not one of this operation."""
    problem_of(cpu_service.ask("POST", MIX, text, headers=JSON), status, slug)


@pytest.mark.parametrize(
    "name", ["mixer.mxi", "nothing", "..", "mixer.mix%0a", "mixer.mix%00", "a" * 2000, "%2e%2e%2fx"]
)
def test_unknown_operations(cpu_service, name):
    """An unknown operation is a 404, for looking and for running."""
    for method, body in (("GET", None), ("POST", {})):
        answer = cpu_service.ask(method, f"/v1/operations/{name}", body)
        assert problem_of(answer, 404, "unknown-name")


def test_wrong_content_type(cpu_service, tone):
    """What is not declared as JSON is not read."""
    body = json.dumps(mix_of(tone)).encode()
    answer = cpu_service.ask("POST", MIX, body, headers={"Content-Type": "text/plain"})
    problem_of(answer, 415, "request-refused")


def test_nothing_bad_was_kept(cpu_service, tone):
    """After bad requests the service still works, and refused calls left no job behind."""
    mine = {"Kino-Metadata": '{"of": "a call that is refused"}'}  # others use the service, too
    cpu_service.ask("POST", DUCK, params_of(tone, ratio=-1.0), headers=mine)
    kept = "/v1/jobs?metadata=" + quote('{"of": "a call that is refused"}')
    assert cpu_service.get(kept)["items"] == []
    assert cpu_service.run("mixer.mix", mix_of(tone))["state"] == "succeeded"


def test_an_operation_of_a_worker_that_is_not_there(cpu_service):
    """An operation that needs the absent comfy worker is listed with its remedy and answers 503."""
    absent = [item for item in cpu_service.get("/v1/operations")["items"] if not item["available"]]
    assert "workflows.run" in [item["name"] for item in absent]
    for item in absent:
        assert item["unavailable"]["remedy"]
    answer = cpu_service.ask("POST", "/v1/operations/workflows.run", {"graph": {}})
    problem = problem_of(answer, 503, "operation-unavailable")
    assert problem["remedy"]
    assert "retry-after" in answer.headers


def test_the_queue_can_be_full(launch, make_wav):
    """Beyond the limit of waiting jobs the answer is 429 with Retry-After; the others run."""
    service = launch(limits__queued_jobs=1)
    service.wait_ready()
    tone = service.upload(make_wav(), "tone.wav")
    (worker,) = service.get("/v1/system")["workers"]
    stopped = psutil.Process(worker["pid"])
    stopped.suspend()
    running = service.ask("POST", MIX, mix_of(tone)).json()["id"]
    until(
        "the worker has the first",
        lambda: service.get(f"/v1/jobs/{running}")["state"] == "running",
        seconds=300,
    )
    waiting = service.ask("POST", MIX, mix_of(tone))
    assert waiting.status == 202
    full = service.ask("POST", MIX, mix_of(tone))
    assert problem_of(full, 429, "queue-full")["retryable"] is True
    assert int(full.headers["retry-after"]) > 0
    stopped.resume()
    for job in (running, waiting.json()["id"]):
        assert service.get(f"/v1/jobs/{job}?wait=120")["state"] == "succeeded"
