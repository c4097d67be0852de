"""A real third-party package: installed beside Kino, and found on every door."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.media.audio import Audio
from backend.operations import Operation
from backend.testing import DOORS, Service, assert_every_door, hosted
from backend.testing.doors import kino

PACKAGE = Path(__file__).parent / "example_plugin"
RATE = 44_100


def uv() -> str:
    """The uv of this environment, else the one on the path."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    assert found is not None, "scripts/test.py installs uv"
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the package installed, first on the path of this process and its children."""
    folder = tmp_path_factory.mktemp("site")
    command = [uv(), "pip", "install", "--no-deps", "--python", sys.executable]
    done = subprocess.run(
        [*command, "--target", str(folder), str(PACKAGE)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        old = os.environ.get("PYTHONPATH")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *([old] if old else [])]))
        yield folder
        for name in [name for name in sys.modules if name.startswith("kino_example")]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def tremolo(site: Path) -> Operation[..., Any]:
    """The operation, imported as the package's own."""
    found: Operation[..., Any] = importlib.import_module("kino_example.operations").tremolo
    return found


@pytest.fixture(scope="module")
def with_example(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own, with both workers and ComfyUI, that finds the package."""
    service = Service.start(tmp_path_factory.mktemp("service"), workers=["cpu", "comfy"])
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()


def sound() -> Audio:
    """A second of stereo noise."""
    noise = np.random.default_rng(7).standard_normal((2, RATE)) * 0.1
    return Audio.from_samples(noise.astype(np.float32), RATE)


def test_it_is_installed_in_its_folder(tremolo: Operation[..., Any], site: Path) -> None:
    """What is imported is the installed package, not the source next to this test."""
    assert Path(str(sys.modules["kino_example"].__file__)).is_relative_to(site)


def test_it_is_loaded_alone(site: Path, tmp_path: Path) -> None:
    """The host fixture for plugin authors loads it without any other plugin."""
    with hosted("kino_example", tmp_path) as host:
        assert list(host.operations) == ["example.tremolo"]
        assert [shape.node_id for shape in host.shapes] == ["ExampleTremolo"]


def test_the_first_sample_is_unchanged(tremolo: Operation[..., Any]) -> None:
    """The gain starts at 0 dB, and half a period later it is at minus the depth."""
    steady = Audio.from_samples(np.ones(RATE, np.float32), RATE)
    swelling = tremolo(steady, rate_hz=5.0, depth_db=20.0).samples[0]
    assert swelling[0] == 1.0
    assert swelling[RATE // 10] == pytest.approx(0.1, rel=1e-4)


def test_it_is_found_on_every_door(with_example: Service, tremolo: Operation[..., Any]) -> None:
    """The same call gives the same samples in Python, HTTP, CLI, MCP and inside ComfyUI."""
    passed = assert_every_door(with_example, tremolo, sound=sound(), rate_hz=3.0, depth_db=12.0)
    assert passed == DOORS


def test_its_node_under_a_name_of_its_own(
    with_example: Service, tremolo: Operation[..., Any], tmp_path: Path
) -> None:
    """ExampleTremolo turns its knobs into parameters: 15 % of depth are 6 dB."""
    noise = sound()
    noise.save(tmp_path / "in.wav")
    asset = with_example.upload((tmp_path / "in.wav").read_bytes(), "in.wav")
    graph = {
        "1": {"class_type": "KinoLoadAsset", "inputs": {"asset": asset["reference"]}},
        "2": {
            "class_type": "ExampleTremolo",
            "inputs": {"audio": ["1", 0], "speed": 5.0, "depth": 15.0},
        },
        "3": {"class_type": "KinoSaveAsset", "inputs": {"audio": ["2", 0], "name": "out"}},
    }
    job = with_example.run("workflows.run", {"graph": graph})
    (tmp_path / "out.wav").write_bytes(
        with_example.ask("GET", job["result"]["audio"][0]["href"]).body
    )
    expected = tremolo(noise, rate_hz=5.0, depth_db=6.0).samples
    np.testing.assert_array_equal(Audio.open(tmp_path / "out.wav").samples, expected)


def test_it_is_listed(with_example: Service) -> None:
    """The plugin is listed with its version; its operation is described like any other."""
    listed = {item["name"]: item for item in with_example.get("/v1/plugins")["items"]}
    example = listed["example"]
    assert (example["version"], example["source"]) == ("0.3.0", "package")
    assert example["available"] is True
    described = with_example.get("/v1/operations/example.tremolo")
    assert described["plugin"] == "example"
    assert described["schema"]["properties"]["rate_hz"]["unit"] == "Hz"
    assert "--rate-hz" in kino(with_example, "describe", "example.tremolo")
