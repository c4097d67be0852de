"""Every refusal is a problem."""

import json
from typing import Any

import pytest
import structlog
from aiohttp import web

from backend.errors import InvalidParameters, KinoError, RequestRefused, problem_classes
from backend.handlers.problems import PROBLEM_TYPE, problem_response, refusal


def check(answer: Any, status: int) -> Any:
    """The answer is a whole problem of this status."""
    assert answer.status == status
    assert answer.headers["content-type"].partition(";")[0] == PROBLEM_TYPE
    problem = answer.json()
    assert problem["status"] == status
    assert {"type", "title", "detail", "retryable"} <= problem.keys()
    return problem


async def test_unknown_path(door):
    """404 says where the paths are listed, and not what was asked for."""
    problem = check(await door.ask("GET", "/no/such/secret"), 404)
    assert problem["type"] == "/v1/problems/unknown-name"
    assert "secret" not in json.dumps(problem)


async def test_wrong_method(door):
    """405 names the methods that there are."""
    answer = await door.ask("PATCH", "/v1/assets")
    check(answer, 405)
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(","))


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_not_http(door, request_):
    """Bytes that are no HTTP request get a problem that repeats nothing of them."""
    problem = check(await door.raw(request_), 400)
    assert problem["type"] == "/v1/problems/malformed-request"
    assert problem["detail"] == "the request is not HTTP as it should be"


async def test_endless_header(door):
    """A header over the limit is refused."""
    line = b"X: " + b"x" * 20_000 + b"\r\n"
    check(await door.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n"), 400)


@pytest.mark.parametrize("path", ["/mcp", "/nothing"])
async def test_other_expectations(door, path):
    """417 for any expectation but 100-continue, on known and on unknown paths."""
    check(await door.ask("POST", path, headers={"Expect": "200-ok"}), 417)


async def test_unexpected_error(door):
    """A bug is a 500 with an incident id; the exception stands in the log and nowhere else."""
    with structlog.testing.capture_logs() as lines:
        # the services are absent here, so this route runs into a KeyError
        problem = check(await door.ask("GET", "/v1/operations"), 500)
    assert problem["type"] == "/v1/problems/internal-error"
    assert "KeyError" not in json.dumps(problem)
    (line,) = [line for line in lines if line["log_level"] == "error"]
    assert line["incident"] == problem["incident"]
    assert isinstance(line["exc_info"], KeyError)


async def test_every_class_is_explained(door):
    """Each class of the tree has its page, under the type that its problems name."""
    listed = (await door.ask("GET", "/v1/problems")).json()["items"]
    assert [item["slug"] for item in listed] == [cls.slug for cls in problem_classes()]
    for item in listed:
        page = await door.ask("GET", item["type"])
        assert page.status == 200
        assert page.json() == item
        assert item["description"]
    check(await door.ask("GET", "/v1/problems/none"), 404)


@pytest.mark.parametrize("cls", problem_classes())
def test_every_class_as_a_response(cls):
    """Each class becomes a response of its own status, with the headers the status asks for."""
    error = RequestRefused(418, "no") if cls is RequestRefused else cls("no", remedy="yes")
    response = problem_response(error)
    assert response.status == error.http_status
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == error.as_problem()
    if response.status in (429, 503):
        assert int(response.headers["Retry-After"]) > 0


async def test_pointers_are_shown(open_door):
    """A broken rule names the field, the rule and says a sentence."""
    door = await open_door()
    problem = check(await door.ask("GET", "/v1/system?x=1"), 422)
    assert problem["type"] == f"/v1/problems/{InvalidParameters.slug}"
    assert problem["errors"] == [
        {
            "pointer": "/query/x",
            "rule": "extra_forbidden",
            "message": "Extra inputs are not permitted",
        }
    ]


def test_refusals_have_a_sentence():
    """Every status that aiohttp itself answers has a sentence."""
    for cls in web.HTTPError.__subclasses__():
        for status in {sub.status_code for sub in cls.__subclasses__()}:
            error = refusal(status)
            assert isinstance(error, KinoError)
            assert error.http_status == status
            assert error.detail
