"""Sound operations behind every door: one answer, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.operations import Operation
from backend.plugins.files import operations
from backend.plugins.files.editing import operations as editing
from backend.plugins.files.tags import Tags
from backend.testing import assert_every_door
from backend.testing.service import Service

pytestmark = pytest.mark.xdist_group("comfy")

RNG = np.random.default_rng(53)
SOUND = Audio.from_samples(RNG.uniform(-0.4, 0.4, (2, 20_000)), 48_000)
MONO = Audio.from_samples(RNG.uniform(-0.4, 0.4, (1, 9_000)), 22_050)

CALLS: dict[str, tuple[Operation[..., Any], dict[str, Any]]] = {
    "save": (
        operations.save_audio,
        {"audio": SOUND, "format": "mp3_192", "tags": Tags(title="Ä", track="1/2")},
    ),
    "load": (operations.load_audio, {"audio": SOUND, "normalize_lufs": -23.0}),
    "waveform": (operations.measure_waveform, {"audio": SOUND, "picture": True}),
    "concat": (editing.concat, {"sounds": [SOUND, MONO, SOUND], "crossfade_s": 0.05}),
    "gain": (
        editing.gain,
        {"audio": SOUND, "gain_db": Automation.from_values([0.0, -12.0, -3.0], 10)},
    ),
    "stretch": (editing.time_stretch, {"audio": MONO, "speed": 1.3}),
    "convolve": (editing.convolve, {"audio": SOUND, "impulse_response": MONO, "mix": 0.4}),
    "reverb": (editing.reverb, {"audio": MONO, "pre_delay_ms": 12.0}),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_door_gives_the_same(service: Service, name: str) -> None:
    """Python, HTTP, as published, command line, MCP and node agree."""
    operation, arguments = CALLS[name]
    assert len(assert_every_door(service, operation, **arguments)) >= 5


def test_a_sound_too_long_is_413_with_its_limit(cpu_service: Service, make_wav: Any) -> None:
    """Over HTTP a silence of five hours is a problem that names the limit, not a full disk."""
    asset = cpu_service.upload(make_wav(0.1), "tone.wav")["reference"]
    params = {"audio": asset, "before_s": 9000.0, "after_s": 9000.0}
    answer = cpu_service.ask("POST", "/v1/operations/audio.pad?wait=120", params)
    problem = answer.json()
    assert (answer.status, problem["type"]) == (413, "/v1/problems/asset-too-large")
    assert "audio_seconds" in problem["detail"]
