"""The bench's own arithmetic and its clients; what it measures is not for a test to judge."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import wave
from io import BytesIO
from pathlib import Path

import psutil
import pytest

from bench_rows.clients import first_href, graph
from bench_rows.figures import Figure, as_json, median, quantile, table, write_page
from bench_rows.long_mix import RATE, write_programme
from bench_rows.servers import NotMeasured, Served, free_port, started
from bench_rows.service import wav

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench.py"
FIGURES = [
    Figure("row", "under its limit", 0.8, "×", at_most=1.0),
    Figure("row", "over its limit", 1.2, "×", at_most=1.0),
    Figure("row", "without a limit", 1234.5, "ms"),
]


def test_targets_are_judged() -> None:
    """A figure meets its target, misses it, or has none."""
    assert [figure.met for figure in FIGURES] == [True, False, None]
    assert Figure("row", "speed", 2.0, "×", at_least=3.0).met is False


def test_quantiles_take_the_nearest_rank() -> None:
    """The median of an odd number of values is the middle one; p99 of a hundred the hundredth."""
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert quantile([float(n) for n in range(100)], 0.99) == 99.0


def test_the_table_and_the_json_say_the_same(tmp_path: Path) -> None:
    """Every figure stands in the table, in the JSON and on the page, with its verdict."""
    lines = table(FIGURES).splitlines()
    assert lines[2] == "| row | under its limit | 0.8 | × | ≤ 1 | yes |"
    assert lines[3] == "| row | over its limit | 1.2 | × | ≤ 1 | NO |"
    assert lines[4] == "| row | without a limit | 1234 | ms |  |  |"
    figures = json.loads(as_json(FIGURES))["figures"]
    assert [figure["met"] for figure in figures] == [True, False, None]
    write_page(FIGURES, [("row", "what it is")], tmp_path / "bench.md")
    page = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert table(FIGURES) in page
    assert "- **row**: what it is" in page


def test_each_colour_is_another_graph() -> None:
    """No two requests of the bench are equal, so that no cache can answer one."""
    assert graph(1) != graph(2)


def test_the_first_link_of_a_result_is_found() -> None:
    """However outputs are nested, the first file's link is what a client fetches."""
    result = {"text": ["a"], "images": [{"kind": "image", "href": "/one"}, {"href": "/two"}]}
    assert first_href(result) == "/one"
    assert first_href({"text": []}) == ""


def test_the_bench_writes_true_wav() -> None:
    """Python's own reader finds the rate, channels and frames that were meant."""
    with wave.open(BytesIO(wav(bytes(400), 48000, 2))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (48000, 2, 100)


def test_the_programme_lasts_as_long_as_it_says(tmp_path: Path, monkeypatch) -> None:
    """The long programme is whole: its header and its samples agree."""
    monkeypatch.setattr("bench_rows.long_mix.HOURS", 1)
    path = tmp_path / "programme.wav"
    write_programme(path)
    with wave.open(str(path)) as file:
        assert file.getnframes() == 3600 * RATE
    assert path.stat().st_size == 44 + 2 * 3600 * RATE


def test_cpu_time_of_a_whole_tree_is_counted() -> None:
    """A child that works, and has ended, is counted to the process that was started."""
    code = (
        "import subprocess, sys; work = 'n = 0\\nfor i in range(3000000): n += i'\n"
        "subprocess.run([sys.executable, '-c', work], check=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    with process:
        served = Served("tree", "", psutil.Process(process.pid), Path())
        seen = threading.Event()
        for _ in range(6000):
            if served.cpu_s() > 0.05 and not served.root.children():
                break
            seen.wait(0.05)
        assert served.cpu_s() > 0.05
        assert process.stdin is not None
        process.stdin.close()


def test_a_server_that_does_not_start_is_said_not_measured(tmp_path: Path) -> None:
    """The row is left out with the server's last words, instead of a figure made up."""
    command = [sys.executable, "-c", "raise SystemExit('no engine here')"]
    with (
        pytest.raises(NotMeasured, match="no engine here"),
        started("stub", command, tmp_path, free_port(), "/"),
    ):
        pytest.fail("it never started")


def test_a_server_is_waited_for_and_stopped(tmp_path: Path) -> None:
    """`started` returns once the path answers, and leaves no process behind."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with started("files", command, tmp_path, port, "/") as served:
        assert served.root.is_running()
    assert not served.root.is_running()


def test_an_unknown_row_is_refused_in_words() -> None:
    """A mistyped row is named, and the rows that exist are too."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "pictuers"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 2
    assert "there is no row pictuers" in done.stderr
