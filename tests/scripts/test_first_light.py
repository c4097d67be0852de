"""The first start shows a mix, a picture and a graph; the second one is quick."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

import first_light
import first_light_graphs
import first_light_piece
import service_child

ROOT = Path(__file__).resolve().parents[2]


def test_the_piece_is_music_and_always_the_same(tmp_path: Path) -> None:
    """Four stereo tracks of eight seconds, none silent or clipped, equal byte for byte."""
    first = first_light_piece.write_tracks(tmp_path / "1")
    second = first_light_piece.write_tracks(tmp_path / "2")
    assert list(first) == ["drums", "bass", "keys", "voice"]
    for name, path in first.items():
        assert path.read_bytes() == second[name].read_bytes()
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getframerate()) == (2, 48_000)
            assert file.getnframes() == 8 * 48_000
        samples, _ = soundfile.read(path)
        assert 0.1 < np.max(np.abs(samples)) < 0.95
    keys, _ = soundfile.read(first["keys"])
    assert not np.array_equal(keys[:, 0], keys[:, 1])  # stereo, not mono twice


def test_the_picture_is_made_of_many_stock_nodes() -> None:
    """The graph is acyclic by construction, of several node types, and ends in one picture."""
    graph = first_light_graphs.sunset()
    types = {node["class_type"] for node in graph.values()}
    assert len(types) >= 8
    assert not any(name.startswith("Kino") for name in types)
    assert [n["class_type"] for n in graph.values()].count("SaveImage") == 1


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ({"state": "running", "waiting_for": None}, "running"),
        (
            {"state": "queued", "waiting_for": {"capability": "comfy", "engine": "loading"}},
            "waits: the comfy worker is loading",
        ),
        ({"state": "queued", "waiting_for": {"capability": "cpu", "engine": "ready"}}, "queued"),
    ],
)
def test_the_bar_says_in_words_what_a_job_waits_for(job: dict[str, Any], told: str) -> None:
    """No JSON is shown to people."""
    assert first_light._state(job) == told


def _command(*words: str | Path) -> list[str]:
    return [sys.executable, str(ROOT / "scripts" / "start.py"), *map(str, words)]


@pytest.mark.heavy
@pytest.mark.xdist_group("heavy")
def test_first_and_second_start(tmp_path: Path) -> None:
    """The first start leaves a master, a picture and a ducked track; the second shows none anew."""
    port = service_child.free_port()
    where = ["--port", str(port), "--data-dir", str(tmp_path)]
    said = subprocess.run(
        _command("--once", *where), capture_output=True, text=True, timeout=800, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr
    folder = tmp_path / "first-light"
    _check_master(folder / "master.wav")
    _check_picture(folder / "sunset.png")
    _check_ducked(folder / "ducked-in-comfyui.wav", tmp_path)
    for name in ("master.wav", "sunset.png", "ducked-in-comfyui.wav"):
        assert str(folder / name) in said.stdout
    service_child.require_free_port("127.0.0.1", port)  # it has stopped
    _check_second_start(where, port)


def _check_master(path: Path) -> None:
    samples, rate = soundfile.read(path)
    # eight seconds, and three of echoes down to -60 dB
    assert (rate, samples.shape) == (48_000, (11 * 48_000, 2))
    assert 0.7 < np.max(np.abs(samples)) <= 10 ** (-1 / 20)
    assert not np.array_equal(samples[:, 0], samples[:, 1])


def _check_picture(path: Path) -> None:
    with Image.open(path) as image:
        assert image.size == (first_light_graphs.WIDTH, 2 * first_light_graphs.HORIZON)
        assert "prompt" in image.info  # the graph travels in the file
        colours = image.convert("RGB").getcolors(maxcolors=2**24)
    assert colours is not None
    assert len(colours) > 1_000


def _check_ducked(path: Path, folder: Path) -> None:
    """Where the voice sings the keys are lower than they were; before that they are not."""
    keys, _ = soundfile.read(first_light_piece.write_tracks(folder / "again")["keys"])
    ducked, rate = soundfile.read(path)
    assert ducked.shape == keys.shape
    before, sung = slice(0, rate // 8), slice(rate // 2, rate)
    np.testing.assert_allclose(ducked[before], keys[before], atol=1e-6)
    assert np.std(ducked[sung]) < 0.8 * np.std(keys[sung])


def _check_second_start(where: list[str], port: int) -> None:
    with subprocess.Popen(
        _command(*where), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        try:
            _second_start(child, port)
        finally:
            child.kill()
    service_child.require_free_port("127.0.0.1", port)


def _second_start(child: subprocess.Popen[str], port: int) -> None:
    assert child.stdout is not None
    lines = []
    for line in child.stdout:
        lines.append(line)
        if "first light was shown before" in line:
            break
    assert f"http://127.0.0.1:{port}/docs" in "".join(lines)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=600) as answer:
        assert answer.status == 200
    os.kill(child.pid, signal.SIGINT)
    assert child.wait(300) == 0
