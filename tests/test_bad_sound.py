"""Sound and pictures at the edges, over HTTP: each is a problem with a rule, or simply works.

Knows: what a caller may send that is a file like any other, and yet no ordinary sound: numbers that
are none or far too large, one sample, the lowest and the highest rate, hours.
Does not know: files that are refused when they are uploaded (``test_bad_uploads``), and parameters
that mean no sound at all (``test_bad_input``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.media.audio import Audio
from backend.testing.service import Service

pytestmark = pytest.mark.xdist_group("comfy")

DEADLINE_S = 300.0
INVALID, FAILED, TOO_LARGE = 422, 500, 413
SLUGS = {INVALID: "invalid-parameters", FAILED: "operation-failed", TOO_LARGE: "asset-too-large"}
HUGE = 3e38
"""Finite in 32 bits; twice as much is not."""

Sounds = dict[str, str]
Make = Callable[[Sounds], dict[str, Any]]


def sounds_of() -> dict[str, Audio]:
    """The sounds, by name, that the cases below speak of."""
    rng = np.random.default_rng(11)

    def noise(rate: int, seconds: float = 0.25) -> Audio:
        return Audio.from_samples(0.1 * rng.standard_normal((2, round(rate * seconds))), rate)

    return {
        "plain": noise(48_000),
        "lowest": noise(8_000),
        "highest": noise(384_000),
        "one": Audio.from_samples([[0.5]], 48_000),
        "huge": Audio.from_samples(np.full((2, 4_000), HUGE, np.float32), 48_000),
    }


@pytest.fixture(scope="module")
def sounds(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Sounds:
    """References of the sounds, uploaded as float WAV files."""
    folder = tmp_path_factory.mktemp("sounds")

    def uploaded(name: str, audio: Audio) -> str:
        path: Path = folder / f"{name}.wav"
        audio.save(path)
        return str(service.upload(path.read_bytes(), path.name)["reference"])

    return {name: uploaded(name, audio) for name, audio in sounds_of().items()}


def mix_of(*names: str) -> Make:
    """A mix of these sounds."""

    def make(sounds: Sounds) -> dict[str, Any]:
        strips = [{"id": f"s{n}", "source": sounds[name]} for n, name in enumerate(names)]
        return {"mix": {"strips": strips}}

    return make


def with_audio(name: str, **more: Any) -> Make:
    """Parameters with one sound."""
    return lambda sounds: {"audio": sounds[name], **more}


def after_volume(class_type: str, name: str = "audio", **more: Any) -> Make:
    """A graph: the huge sound 100 dB louder, which is infinite, into a node of this class."""

    def make(sounds: Sounds) -> dict[str, Any]:
        node: dict[str, Any] = {"class_type": class_type, "inputs": {name: ["2", 0], **more}}
        graph = {
            "1": {"class_type": "KinoLoadAsset", "inputs": {"asset": sounds["huge"]}},
            "2": {"class_type": "AudioAdjustVolume", "inputs": {"audio": ["1", 0], "volume": 100}},
            "3": node,
        }
        if class_type != "KinoSaveAsset":
            inputs = {"audio": ["3", 0], "name": "bad"}
            graph["4"] = {"class_type": "KinoSaveAsset", "inputs": inputs}
        return {"graph": graph}

    return make


def overflowing(sounds: Sounds) -> dict[str, Any]:
    """A graph in which a node of ours makes what 32-bit float does not hold."""
    return {
        "graph": {
            "1": {"class_type": "KinoLoadAsset", "inputs": {"asset": sounds["huge"]}},
            "2": {"class_type": "KinoAudioGain", "inputs": {"audio": ["1", 0], "gain_db": 60.0}},
            "3": {"class_type": "KinoSaveAsset", "inputs": {"audio": ["2", 0], "name": "bad"}},
        }
    }


REFUSED = {
    # what is no number, brought by a node of somebody else
    "infinity into an operation": (
        "workflows.run", after_volume("KinoMixerDuck", "music", voice=["1", 0]), INVALID,
        "/graph/3/inputs/music", "finite",
    ),
    "infinity into a list": (
        "workflows.run", after_volume("KinoAudioConcat", "sounds_1"), INVALID,
        "/graph/3/inputs/sounds_1", "finite",
    ),
    "infinity into an analysis": (
        "workflows.run", after_volume("KinoAudioReverse"), INVALID, "/graph/3/inputs/audio",
        "finite",
    ),
    "infinity to be kept": (
        "workflows.run", after_volume("KinoSaveAsset"), INVALID,
        "/graph/3/inputs/audio", "finite",
    ),
    # what becomes infinite inside
    "a gain beyond float": (
        "audio.gain", with_audio("huge", gain_db=60.0), FAILED, "/audio", "finite"
    ),
    "a gain beyond float in a graph": ("workflows.run", overflowing, FAILED, "/graph/2", "finite"),
    "a sum beyond float": ("mixer.mix", mix_of("huge", "huge"), FAILED, "/master", "finite"),
    "a sound that nobody could hear": (
        "reactive.keyframes", with_audio("huge"), INVALID, "/audio", "level"
    ),
    # lengths and settings
    "hours of silence": (
        "audio.pad", with_audio("plain", after_s=14_400.0), TOO_LARGE, "", "audio_seconds"
    ),
    "an odd window": (
        "spectral.spectrogram", with_audio("plain", n_fft=1001), INVALID, "/n_fft", "multiple_of"
    ),
    "a window larger than the sound": (
        "spectral.spectrogram", with_audio("one", n_fft=4096), INVALID, "/audio", "too_short"
    ),
    "no frames a second": (
        "reactive.keyframes", with_audio("plain", fps=0), INVALID, "/fps", "frame_rate"
    ),
    "10 000 frames a second": (
        "reactive.keyframes", with_audio("plain", fps=10_000), INVALID, "/fps", "frame_rate"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_is_told_with_its_rule(
    service: Service, sounds: Sounds, case: tuple[str, Make, int, str, str]
) -> None:
    """A problem object with status, slug, one pointer and one rule, and no traceback."""
    operation, make, status, pointer, rule = case
    path = f"/v1/operations/{operation}?wait=120"
    answer = service.ask("POST", path, make(sounds), seconds=DEADLINE_S)
    problem = answer.json()
    if answer.status == 200:  # the run ended with it
        problem = problem["problem"]
    assert problem["status"] == status, problem
    assert problem["type"] == f"/v1/problems/{SLUGS[status]}"
    assert [(e["pointer"], e["rule"]) for e in problem["errors"]] == [(pointer, rule)]
    assert "Traceback" not in answer.body.decode()


@pytest.mark.parametrize("name", ["lowest", "highest", "one", "huge"])
@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("files.probe_audio", {}),
        ("files.convert_audio", {"normalize_db": -1.0}),
        ("files.save_audio", {"format": "wav_24bit", "normalize_db": -1.0}),
        ("files.measure_loudness", {}),
        ("files.measure_waveform", {"picture": True}),
    ],
)
def test_what_is_a_sound_is_worked_with(
    service: Service, sounds: Sounds, name: str, operation: str, more: dict[str, Any]
) -> None:
    """8 kHz, 384 kHz, a single sample, samples of 3e38: measured, converted, saved, drawn."""
    job = service.run(operation, {"audio": sounds[name], **more})
    assert job["state"] == "succeeded", job


@pytest.mark.parametrize("name", ["lowest", "highest", "one"])
def test_every_rate_goes_through_the_console(service: Service, sounds: Sounds, name: str) -> None:
    """Beside a sound at 48 kHz in one mix."""
    job = service.run("mixer.mix", mix_of("plain", name)(sounds))
    assert job["state"] == "succeeded", job
