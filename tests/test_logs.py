"""The form of a log line, and what never stands in one."""

import io
import json
import logging

import pytest
import structlog

from backend import logs


@pytest.fixture
def lines():
    """A stream that takes the log; logging is as it was afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines(lines):
    """Our lines and those of libraries are JSON objects of one form."""
    logs.configure("info", "json", lines)
    structlog.get_logger("kino.test").info("started", port=1)
    logging.getLogger("library").warning("careful %s", "now")
    logging.getLogger("library").debug("not shown")
    ours, theirs = (json.loads(line) for line in lines.getvalue().splitlines())
    assert (ours["event"], ours["port"], ours["level"]) == ("started", 1, "info")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == (
        "careful now",
        "warning",
        "library",
    )
    assert ours["time"].endswith("Z")


def test_tracebacks_are_in_the_line(lines):
    """An exception is part of its line."""
    logs.configure("info", "json", lines)
    try:
        raise KeyError("lost")
    except KeyError as error:
        structlog.get_logger().error("broken", exc_info=error)
    line = json.loads(lines.getvalue())
    assert "KeyError: 'lost'" in line["exception"]


@pytest.mark.parametrize(
    "key", ["authorization", "Authorization", "api_key", "key", "token", "access_token", "password",
            "client_secret", "cookie", "Set-Cookie", "x-api-key"],
)  # fmt: skip
def test_secrets_are_hidden(lines, key):
    """The value of a key that names a secret is never shown, at any depth."""
    logs.configure("info", "json", lines)
    structlog.get_logger().info("request", **{key: "s3cret"}, headers=[{key: "s3cret"}])
    assert "s3cret" not in lines.getvalue()
    assert lines.getvalue().count(logs.HIDDEN) == 2


def test_what_only_sounds_secret_is_shown(lines):
    """Names that people need in a log stay readable."""
    logs.configure("info", "json", lines)
    structlog.get_logger().info("x", key_name="ci", idempotency_key="abc", keyboard=1, monkeys=2)
    assert logs.HIDDEN not in lines.getvalue()


def test_pretty_lines(lines):
    """``pretty`` is for people: no JSON; ``auto`` is JSON away from a terminal."""
    logs.configure("info", "pretty", lines)
    structlog.get_logger().info("hello", port=1)
    assert "hello" in lines.getvalue()
    assert not lines.getvalue().startswith("{")
    logs.configure("info", "auto", lines)
    structlog.get_logger().info("again")
    assert json.loads(lines.getvalue().splitlines()[-1])["event"] == "again"
