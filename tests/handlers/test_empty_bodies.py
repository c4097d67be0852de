"""Routes that need no body: one that says something is refused, and nothing is done."""

from __future__ import annotations

from typing import Any

import pytest

from backend.testing.service import Service

NOBODY = "job_" + "0" * 26
PATHS = (
    *("/v1/queue/pause", "/v1/queue/resume", f"/v1/jobs/{NOBODY}/cancel", "/v1/batches/x/cancel"),
    *(f"/v1/jobs/{NOBODY}/retry", "/v1/models/checkpoints/x/hash"),
)


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_not_read_is_refused(cpu_service: Service, path: str) -> None:
    """A list, a field, no JSON, another type: each is told, with its place; the queue goes on."""
    answer = cpu_service.ask("POST", path, [])
    assert answer.status == 422, answer.body
    field = cpu_service.ask("POST", path, {"for_s": 60})
    assert field.status == 422
    assert [(e["pointer"], e["rule"]) for e in field.json()["errors"]] == [
        ("/for_s", "extra_forbidden")
    ]
    assert cpu_service.ask("POST", path, b"{").status == 415
    json_type = {"Content-Type": "application/json"}
    assert cpu_service.ask("POST", path, b"{", headers=json_type).status == 400
    assert cpu_service.get("/v1/queue")["paused"] is False


def test_no_body_and_an_empty_object_are_the_same(cpu_service: Service) -> None:
    """Both are what such a route asks for."""
    bodies: tuple[Any, ...] = (None, {}, b"")
    for given in bodies:
        assert cpu_service.ask("POST", "/v1/queue/resume", given).status == 200
        assert cpu_service.ask("POST", f"/v1/jobs/{NOBODY}/cancel", given).status == 404
