"""The command itself: help, usage errors and exit statuses."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

HELP_S = 1.5  # a third of it on an idle machine; on a shared one the same work takes longer
COMMANDS = ("serve", "list", "describe", "run", "jobs", "assets", "plugins", "doctor")


def test_help_names_every_command(kino) -> None:
    """`kino --help` lists all commands and the exit statuses."""
    said = kino.ok("--help").out
    assert all(f" {command} " in said for command in COMMANDS)
    assert "Exit status: 0" in said


def test_help_is_quick(kino) -> None:
    """`kino --help` needs little processor time: torch alone would take more."""
    before = psutil.Process().cpu_times()
    kino.ok("--help")
    after = psutil.Process().cpu_times()
    spent = sum(
        getattr(after, name) - getattr(before, name)
        for name in ("children_user", "children_system")
    )
    assert spent < HELP_S


@pytest.mark.parametrize("module", ["pydantic", "aiohttp", "numpy", "rich", "torch", "backend.app"])
def test_the_command_line_imports_nothing_heavy(module: str) -> None:
    """Building all commands imports none of the heavy libraries."""
    code = f"import sys, backend.__main__ as m; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=600).returncode == 0


def test_every_command_has_help(kino) -> None:
    """Each command and each group explains itself and names its options."""
    for words in (
        *([command] for command in COMMANDS),
        *(["jobs", word] for word in ("list", "show", "wait", "cancel", "retry", "events")),
        *(["assets", word] for word in ("list", "put", "get")),
    ):
        said = kino.ok(*words, "--help").out
        assert "Usage: kino " + " ".join(words) in said


@pytest.mark.parametrize(
    "words",
    [
        ("lisst",),
        ("list", "--nothing"),
        ("describe",),
        ("run",),
        ("run", "mixer.mix", "music.wav"),
        ("jobs", "list", "--limit", "0"),
        ("serve", "--port", "70000"),
        ("list", "--url", "ftp://127.0.0.1"),
        ("list", "--url", "http://127.0.0.1:99999"),
        ("list", "--url", "http://[::1"),
        ("run", "mixer.mix", "--no-wait", "--output", "out"),
    ],
)
def test_wrong_usage_ends_with_2(kino, words: tuple[str, ...]) -> None:
    """A command line that cannot be meant ends with status 2, a sentence on stderr, no output."""
    ended = kino(*words)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.strip()
    assert "Traceback" not in ended.err


def test_a_wrong_setting_is_named(kino) -> None:
    """A setting that breaks a rule ends every command with 2 and its name."""
    for words in (["list"], ["serve"], ["doctor"]):
        ended = kino(*words, port="many")
        assert ended.status == 2
        assert "KINO_PORT" in ended.err
        assert "Traceback" not in ended.err


@pytest.mark.parametrize("words", [("list",), ("jobs", "list"), ("assets", "put", "music.wav")])
def test_without_a_service_the_status_is_3(kino_at, words: tuple[str, ...]) -> None:
    """When nobody listens, the address and the remedy are said."""
    ended = kino_at("http://127.0.0.1:9")(*words)
    assert ended.status == 3
    assert "http://127.0.0.1:9" in ended.err
    assert "kino serve" in ended.err


def test_the_address_may_stand_first(kino_at, cpu_service) -> None:
    """`kino --url` and `--url` behind the command both win over KINO_URL, the latter most."""
    lost = kino_at("http://127.0.0.1:9")
    assert "mixer.duck" in lost.ok("--url", cpu_service.url, "list").out
    assert "mixer.duck" in lost.ok("list", "--url", cpu_service.url).out
    assert lost("--url", cpu_service.url, "list", "--url", "http://127.0.0.1:9").status == 3


def test_the_address_follows_the_port(kino_at, cpu_service) -> None:
    """Without KINO_URL the command line asks where KINO_PORT says that Kino listens."""
    port = cpu_service.url.rpartition(":")[2]
    assert "mixer.duck" in kino_at("").ok("list", port=port).out


def test_a_key_is_shown(kino_at, launch) -> None:
    """With KINO_API_KEY the service lets the command in; without it the remedy is said."""
    import hashlib

    digest = hashlib.sha256(b"open sesame").hexdigest()
    service = launch(workers=[], api_keys=[f"me:{digest}"])
    kino = kino_at(service.url)
    assert "mixer.duck" in kino.ok("list", api_key="open sesame").out
    refused = kino("list")
    assert refused.status == 1
    assert "KINO_API_KEY" in refused.err


@pytest.mark.parametrize("key", ["ключ", "a\nX-Other: b"])
def test_a_key_that_can_be_none_is_never_sent(kino, key: str) -> None:
    """A key with a newline or foreign letters ends with 2 and the name of its setting."""
    ended = kino("list", api_key=key)
    assert ended.status == 2
    assert "KINO_API_KEY" in ended.err


def test_somebody_else_at_the_address_is_told_apart(kino_at, tmp_path) -> None:
    """A web server that is not Kino counts as not reachable."""
    import functools
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            ended = kino_at(f"http://127.0.0.1:{server.server_address[1]}")("list")
        finally:
            server.shutdown()
            thread.join(120)
    assert ended.status == 3
    assert "not Kino" in ended.err


def test_serve_serves_until_it_is_told_to_stop(kino, folder) -> None:
    """`kino serve` takes its options, prints where it listens, and ends with 0 after SIGTERM."""
    words = ("serve", "--host=127.0.0.1", "--port=0", "--data-dir=kept", "--debug")
    with kino.start(*words, stderr=subprocess.DEVNULL, workers=[]) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3]
            assert "mixer.duck" in kino.ok("list", "--url", url).out
            process.terminate()
            process.communicate(timeout=600)
        finally:
            process.kill()
    assert process.returncode == 0
    assert (folder / "kept" / "kino.db").exists()
