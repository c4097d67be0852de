"""The node pack for a plain ComfyUI: its files, its installer, and the pack inside a real one."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from backend.config import ROOT
from backend.testing.service import Service, until

PACK = ROOT / "integrations" / "comfyui" / "kino_nodes"
sys.path.append(str(ROOT / "scripts"))

from bench_rows import servers  # noqa: E402 - scripts are no package


def load(name: str) -> Any:
    """A module of the pack that needs neither ComfyUI nor the rest of the pack."""
    spec = importlib.util.spec_from_file_location(f"kino_pack_{name}", PACK / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pack_is_that_of_the_registry() -> None:
    """The generated file says what the registry says now; the editor's files are Kino's own."""
    asked = subprocess.run(
        [sys.executable, ROOT / "scripts" / "node_pack.py", "--check"],
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 0, asked.stdout


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_sound_travels_without_loss(channels) -> None:
    """A sound as WAV is read by others as it was, and comes back bit for bit."""
    media = load("media")
    import torch

    waveform = torch.randn(1, channels, 1001) * 3
    content = media.wav_of({"waveform": waveform, "sample_rate": 44_100})
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    assert rate == 44_100
    assert np.array_equal(samples.T, waveform[0].numpy())
    back = media.sound_of(content)
    assert torch.equal(back["waveform"], waveform)
    with pytest.raises(ValueError, match="no WAV"):
        media.sound_of(b"nothing")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_travel_with_sixteen_bits(channels) -> None:
    """A picture as PNG comes back within half a step of sixteen bits."""
    media = load("media")
    import torch

    pixels = torch.rand(13, 7, channels)
    back = media.pixels_of(media.png_of(pixels))
    assert back.shape == (13, 7, channels)
    assert float((back - pixels).abs().max()) <= 0.5001 / 65535


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_every_filter_of_a_png_is_read(mode) -> None:
    """What other programs compress, with every one of PNG's filters, is read exactly."""
    media = load("media")
    rows = np.add.outer(np.arange(40), np.arange(50)) % 256
    noise = np.random.default_rng(1).integers(0, 9, (40, 50, len(mode)))
    array = (rows[:, :, None] + noise).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(array[:, :, 0] if mode == "L" else array, mode).save(file, "PNG", optimize=True)
    back = media.pixels_of(file.getvalue()).numpy()
    assert np.array_equal(np.rint(back * 255).astype(np.uint8), array)


# --- the installer --------------------------------------------------------------------------------


def wheel(folder: Path, name: str, version: str, *needs: str) -> None:
    """A wheel with nothing in it but its name, version and needs."""
    info = f"{name}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    lines += [f"Requires-Dist: {need}" for need in needs]
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"version = {version!r}\n")
        file.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


class Machine:
    """A Python of its own, with torch, and an index of wheels that it can install."""

    def __init__(self, folder: Path) -> None:
        self.index = folder / "index"
        self.index.mkdir()
        venv.create(folder / "venv", with_pip=True)
        self.python = folder / "venv" / "bin" / "python"
        self.environment = {
            **{key: value for key, value in os.environ.items() if key in ("PATH", "HOME")},
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def call(self, *command: object) -> tuple[int, str]:
        ended = subprocess.run(
            [self.python, *map(str, command)],
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=600,
        )
        return ended.returncode, ended.stdout + ended.stderr

    def has(self) -> dict[str, str]:
        told = self.call("-m", "pip", "list", "--format=json")[1]
        return {each["name"]: each["version"] for each in json.loads(told.splitlines()[0])}


def kino_like(folder: Path, *needs: str) -> Path:
    """A folder that says of itself what Kino's does."""
    folder.mkdir()
    project = (
        f'[project]\nname = "kino"\nversion = "1.0"\ndependencies = {json.dumps(list(needs))}\n'
    )
    build = '[build-system]\nrequires = []\nbuild-backend = "backend_of"\nbackend-path = ["."]\n'
    (folder / "pyproject.toml").write_text(project + build)
    (folder / "backend_of.py").write_text(
        "import shutil\n"
        "def build_wheel(where, config=None, metadata=None):\n"
        "    name = 'kino-1.0-py3-none-any.whl'\n"
        "    shutil.copy(__file__.replace('backend_of.py', name), where)\n"
        "    return name\n"
    )
    wheel(folder, "kino", "1.0", *needs)
    return folder


def test_local_by_hand_never_becomes_remote() -> None:
    """Where there is no Kino, ``KINO_NODES=local`` is an error, and not a service over HTTP."""
    code = f"import sys; sys.path.insert(0, {str(PACK.parent)!r}); import kino_nodes"
    asked = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],  # without what is installed
        capture_output=True,
        text=True,
        env={**os.environ, "KINO_NODES": "local"},
    )
    assert asked.returncode != 0
    assert "Kino is not installed in this Python" in asked.stderr


def test_the_installer_never_touches_torch(tmp_path) -> None:
    """Needs are installed into the Python that runs it; torch and what is there keep their version,
    though Kino asks for another torch; and what cannot be had beside them changes nothing."""
    machine = Machine(tmp_path)
    for version in ("1.0", "2.0"):
        wheel(machine.index, "torch", version)
        wheel(machine.index, "torchaudio", version)
        wheel(machine.index, "shared", version)
    wheel(machine.index, "wanted", "3.0", "shared")
    wheel(machine.index, "greedy", "1.0", "torch>=2.0")
    source = kino_like(tmp_path / "kino", "torch==2.0", "wanted>=3")
    command = (PACK / "install.py", "--local", source)

    status, told = machine.call(*command)
    assert status != 0
    assert "has no torch and no torchaudio" in told
    assert (
        machine.call("-m", "pip", "install", "torch==1.0", "torchaudio==1.0", "shared==1.0")[0] == 0
    )

    before = machine.has()
    greedy = kino_like(tmp_path / "greedy", "greedy")
    status, told = machine.call(PACK / "install.py", "--local", greedy)
    assert status != 0
    assert "as it was" in told
    assert machine.has() == before

    status, told = machine.call(*command)
    assert status == 0, told
    assert machine.has() == {**before, "wanted": "3.0", "kino": "1.0"}
    status, told = machine.call(PACK / "install.py", "--local", tmp_path)
    assert status != 0
    assert "no folder of Kino" in told
    status, told = machine.call(PACK / "install.py")
    assert status == 0
    assert "nothing needs to be installed" in told


# --- inside a plain ComfyUI -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def kino(tmp_path_factory) -> Iterator[Service]:
    service = Service.start(tmp_path_factory.mktemp("kino"), workers=["comfy"])
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()


def plain_comfyui(folder: Path, **environment: str) -> Any:
    """ComfyUI's own server on its own tree, with the pack in its custom nodes."""
    port = servers.free_port()
    tree = servers.copy_tree(folder)
    flags = [flag for flag in servers.comfyui_flags(folder) if flag != "--disable-all-custom-nodes"]
    shutil.copytree(PACK, folder / "base" / "custom_nodes" / "kino_nodes")
    command = [sys.executable, tree / "main.py", "--listen", "127.0.0.1", "--port", str(port)]
    command += ["--disable-auto-launch", *flags]
    more = {"OMP_NUM_THREADS": "1", **environment}
    return servers.started("plain", command, folder, port, "/system_stats", more)


def post(url: str, body: Any) -> tuple[int, Any]:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url + "/prompt", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def outcome(url: str, graph: Any) -> Any:
    """The history of a graph that was run to its end."""
    status, told = post(url, {"prompt": graph})
    assert status == 200, told
    prompt = told["prompt_id"]
    return until(
        "the graph ends",
        lambda: servers.get_json(f"{url}/history/{prompt}").get(prompt),
        seconds=300,
    )


def console(folder: Path) -> dict[str, Any]:
    """A graph over ComfyUI's own sound and picture nodes and Kino's: files in, files out."""
    time_s = np.arange(24_000) / 48_000
    sound = (0.25 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
    inputs = folder / "base" / "input"
    inputs.mkdir(parents=True, exist_ok=True)
    soundfile.write(inputs / "tone.wav", np.stack([sound, -sound], 1), 48_000, "FLOAT")
    return {
        "1": {"class_type": "LoadAudio", "inputs": {"audio": "tone.wav"}},
        "2": {"class_type": "KinoAudioGain", "inputs": {"audio": ["1", 0], "gain_db": -6.0}},
        "3": {
            "class_type": "SaveAudio",
            "inputs": {"audio": ["2", 0], "filename_prefix": "quiet"},
        },
        "4": {
            "class_type": "InternodeLFO",
            "inputs": {},
        },
        "6": {"class_type": "KinoFilesMeasureLoudness", "inputs": {"audio": ["1", 0]}},
        "7": {"class_type": "PreviewAny", "inputs": {"source": ["6", 0]}},
    }


def check(url: str, folder: Path) -> None:
    """Run Kino's nodes there, and look at what they gave."""
    info = servers.get_json(f"{url}/object_info")
    assert {"KinoAudioGain", "InternodeAudioMixer", "KinoMixerDuck"} <= info.keys()
    shown = servers.get_json(f"{url}/extensions")
    assert "/extensions/kino_nodes/kino-mixer/mixer.js" in shown
    assert servers.answers(f"{url}/extensions/kino_nodes/kino/kino-mixer.mjs")
    graph = console(folder)
    lfo = info["InternodeLFO"]["input"]["required"]
    for name, (kind, *options) in lfo.items():
        default = (options[0] if options else {}).get("default")
        graph["4"]["inputs"][name] = kind[0] if isinstance(kind, list) else default
    graph["5"] = {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}}
    ended = outcome(url, graph)
    assert ended["status"]["status_str"] == "success", ended["status"]
    (saved,) = ended["outputs"]["3"]["audio"]
    samples, rate = soundfile.read(folder / "base" / "output" / saved["filename"])
    assert rate == 48_000
    assert abs(np.abs(samples).max() - 0.25 * 10 ** (-6 / 20)) < 1e-4
    assert ended["outputs"]["7"]["text"]
    assert ended["outputs"]["5"]["text"]


def test_a_plain_comfyui_runs_the_nodes_on_a_service(kino, tmp_path) -> None:
    """Copied into custom_nodes, the pack's nodes run on Kino over HTTP, with ComfyUI's own nodes
    before and behind them; what goes wrong there, and a service that is gone, is said."""
    with plain_comfyui(tmp_path, KINO_NODES="remote", KINO_URL=kino.url) as served:
        check(served.url, tmp_path)
        graph = console(tmp_path)
        graph["2"]["inputs"]["gain_db"] = 1e9
        status, told = post(served.url, {"prompt": graph})
        assert status == 400 or told["node_errors"]
        kino.stop()
        del graph["4"], graph["6"], graph["7"]
        graph["2"]["inputs"]["gain_db"] = -7.0
        ended = outcome(served.url, graph)
        assert ended["status"]["status_str"] == "error"
        said = json.dumps(ended["status"]["messages"])
        assert "there is no Kino at" in said
        assert "kino serve" in said


@pytest.mark.contract
def test_a_plain_comfyui_runs_the_nodes_itself(tmp_path) -> None:
    """Where Kino is installed in ComfyUI's Python, the same graph runs there, without a service."""
    with plain_comfyui(tmp_path, KINO_DATA_DIR=str(tmp_path / "data")) as served:
        check(served.url, tmp_path)
        assert "run in this process" in (tmp_path / "plain.log").read_text()
