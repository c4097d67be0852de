"""First light: a mix, a picture and a ducked graph, made by a running Kino through its HTTP API.

Knows: the requests, in the order in which a person would send them, and where results go.
Does not know: how the service is started (start.py), nor anything inside it.

Run by start.py; by hand: ``.venv/bin/python scripts/first_light.py --url http://127.0.0.1:8190``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import first_light_graphs as graphs
import first_light_piece as piece
import setup_steps as steps
from setup_steps import Stop

JOB_S: Final = 600.0
"""A job that takes longer has gone wrong; the first one waits for ComfyUI to be imported."""

ENDED: Final = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Bar:
    """One line with a progress bar; on anything but a terminal only its last state is printed."""

    label: str
    started: float

    @classmethod
    def start(cls, label: str) -> Bar:
        return cls(label, time.monotonic())

    def show(self, part: float, note: str = "") -> None:
        if sys.stdout.isatty():
            filled = round(24 * min(1.0, max(0.0, part)))
            line = f"  {'█' * filled}{'░' * (24 - filled)} {self.label} {note}"
            print(f"\r\x1b[2K{line[:110]}", end="", flush=True)

    def end(self) -> None:
        end = "\r\x1b[2K" if sys.stdout.isatty() else ""
        print(f"{end}  ✓ {self.label} ({time.monotonic() - self.started:.1f} s)", flush=True)


class Service:
    """A running Kino, reached over HTTP. Every method raises `Stop` if the answer is a problem."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.headers: dict[str, str] = {}
        if key := os.environ.get("KINO_API_KEY"):
            self.headers["Authorization"] = f"Bearer {key}"

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        media_type: str = "application/json",
        timeout_s: float = 60.0,
    ) -> bytes:
        """Send one request; *path* may be a whole link that an answer gave."""
        request = urllib.request.Request(
            urllib.parse.urljoin(self.url, path), data=body, method=method, headers=self.headers
        )
        if body is not None:
            request.add_header("Content-Type", media_type)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            raise Stop(f"{method} {path} was answered {_problem(error)}.") from error
        except OSError as error:
            raise Stop(f"{method} {path} was not answered ({error}): is Kino running?") from error

    def upload(self, path: Path, media_type: str) -> str:
        """Upload a file; returns its content reference."""
        where = "/v1/assets?" + urllib.parse.urlencode({"file_name": path.name})
        asset = json.loads(self.call("POST", where, path.read_bytes(), media_type=media_type))
        return str(asset["reference"])

    def run(self, operation: str, params: Mapping[str, Any], label: str) -> dict[str, Any]:
        """Run an operation as a job, show its progress, and return its result."""
        bar = Bar.start(label)
        body = json.dumps(params).encode()
        job = json.loads(self.call("POST", f"/v1/operations/{operation}", body))
        deadline = time.monotonic() + JOB_S
        while job["state"] not in ENDED:
            if time.monotonic() > deadline:
                raise Stop(f"{operation} did not end within {JOB_S:.0f} s: see {self.url}/readyz.")
            bar.show(job.get("progress") or 0.0, _state(job))
            time.sleep(0.1)
            job = json.loads(self.call("GET", f"/v1/jobs/{job['id']}"))
        if job["state"] != "succeeded":
            raise Stop(f"{operation} {job['state']}: {_detail(job.get('error') or {})}.")
        bar.end()
        result: dict[str, Any] = job["result"]
        return result

    def fetch(self, leaf: Mapping[str, Any], path: Path) -> Path:
        """Write a result to *path*; it appears whole or not at all."""
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(self.call("GET", leaf["href"]))
        partial.replace(path)
        return path


def _state(job: Mapping[str, Any]) -> str:
    """What a job does now, and what it waits for, in a few words."""
    waiting = job.get("waiting_for") or {}
    if waiting.get("engine") == "loading":
        return f"waits: the {waiting['capability']} worker is loading"
    return str(job["state"])


def _problem(error: urllib.error.HTTPError) -> str:
    body = error.read()
    try:
        return f"{error.code}: {_detail(json.loads(body))}"
    except ValueError:
        return f"{error.code} {error.reason}"


def _detail(problem: Mapping[str, Any]) -> str:
    said = str(problem.get("detail") or problem.get("title") or "no reason was given").rstrip(".")
    remedy = problem.get("remedy")
    return f"{said} (remedy: {remedy})" if remedy else said


def leaves(result: object) -> Iterator[Mapping[str, Any]]:
    """Every media result inside a job's result, in order."""
    if isinstance(result, Mapping):
        if "reference" in result and "href" in result:
            yield result
        else:
            for value in result.values():
                yield from leaves(value)
    elif isinstance(result, list):
        for value in result:
            yield from leaves(value)


def only(result: object, kind: str) -> Mapping[str, Any]:
    """The first media result of a kind. Raises `Stop` if there is none."""
    for leaf in leaves(result):
        if leaf["kind"] == kind:
            return leaf
    raise Stop(f"a result of kind {kind} was expected, and there is none.")


def make_master(service: Service, folder: Path, tracks: Mapping[str, str]) -> Path:
    """Mix four tracks on the console, write ``master.wav``; returns where it is."""
    mixed = service.run("mixer.mix", {"mix": console(tracks)}, "mixing on the console")
    saved = service.run(
        "files.save_audio",
        {"audio": mixed["master"]["reference"], "format": "wav_24bit", "file_name": "master"},
        "writing master.wav",
    )
    return service.fetch(next(leaves(saved)), folder / "master.wav")


def console(tracks: Mapping[str, str]) -> dict[str, Any]:
    """The mix as a document: keys that step back for the voice, an echo on a bus, a fade-in, and
    a master with drive, width and a limiter."""
    return {
        "version": 1,
        "strips": [
            {
                "id": "drums",
                "source": tracks["drums"],
                "compressor": {"threshold_db": -16, "ratio": 3, "attack_ms": 20, "makeup_db": 3},
                "eq": {"high": {"gain_db": 2}},
                "fader_db": -3,
            },
            {
                "id": "bass",
                "source": tracks["bass"],
                "eq": {"high_pass_hz": 35, "mid": {"gain_db": -2, "frequency_hz": 400}},
                "fader_db": -3,
            },
            {
                "id": "keys",
                "source": tracks["keys"],
                "compressor": {
                    "key": "strip:voice",
                    "threshold_db": -34,
                    "attack_ms": 15,
                    "release_ms": 250,
                    "range_db": 9,
                },
                "eq": {"low": {"gain_db": -3}},
                "pan": -0.2,
                "fader_db": {"points": [[0, -24], [2, 0]]},
                "sends": [{"bus": "echo", "gain_db": -12}],
            },
            {
                "id": "voice",
                "source": tracks["voice"],
                "gate": {"threshold_db": -55},
                "compressor": {"threshold_db": -20, "makeup_db": 4},
                "eq": {"high_pass_hz": 90, "high": {"gain_db": 3}},
                "sends": [{"bus": "echo", "gain_db": -9}],
            },
        ],
        "buses": [
            {
                "id": "echo",
                "eq": {"high_pass_hz": 250, "low_pass_hz": 5000},
                "delay": {"time_s": 0.375, "feedback": 0.35, "mix": 1},
            }
        ],
        "master": {"drive": 0.15, "width": 1.15, "volume_db": 3, "limiter": {"ceiling_db": -1}},
    }


def make_picture(service: Service, folder: Path) -> Path:
    """Run a graph of stock ComfyUI nodes, no weights, and keep its PNG."""
    result = service.run(
        "workflows.run", {"graph": graphs.sunset()}, "a picture from a ComfyUI graph"
    )
    return service.fetch(only(result, "image"), folder / "sunset.png")


def make_sidechain(service: Service, folder: Path, tracks: Mapping[str, str]) -> Path:
    """Run a graph in which Kino's ducker is a node inside ComfyUI's executor; keep its audio."""
    graph = graphs.sidechain(tracks["keys"], tracks["voice"])
    result = service.run("workflows.run", {"graph": graph}, "the ducker as a node inside ComfyUI")
    return service.fetch(only(result, "audio"), folder / "ducked-in-comfyui.wav")


def first_light(url: str, folder: Path) -> list[Path]:
    """All of it; returns the files. Raises `Stop`."""
    service = Service(url)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        bar = Bar.start("four tracks composed and uploaded")
        tracks: dict[str, str] = {}
        for name, path in piece.write_tracks(Path(scratch)).items():
            bar.show(len(tracks) / len(piece.TRACKS), name)
            tracks[name] = service.upload(path, "audio/wav")
        bar.end()
    return [
        make_master(service, folder, tracks),
        make_picture(service, folder),
        make_sidechain(service, folder, tracks),
    ]


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="A mix, a picture and a graph through Kino's API.")
    parser.add_argument("--url", default="http://127.0.0.1:8190")
    parser.add_argument("--into", type=Path, default=steps.ROOT / "data" / "first-light")
    given = parser.parse_args()
    for path in first_light(given.url, given.into):
        print(f"    {path}")
    return 0


if __name__ == "__main__":
    steps.main_guard(main)
