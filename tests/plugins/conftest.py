"""A service with real models, as small as they can be.

Knows: one service for all tests of plugins that make pictures; its models are written when the
first test asks.
Does not know: what is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.testing import checkpoints, model_parts
from backend.testing.service import Service


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: checkpoints, LoRAs, a ControlNet, an upscaler, a Flux, and bad files."""
    folder = tmp_path_factory.mktemp("models")
    checkpoints.write_sd15(folder / "checkpoints" / "mini.safetensors")
    checkpoints.write_lora(folder / "loras" / "style.safetensors")
    checkpoints.write_lora(folder / "loras" / "for_sdxl.safetensors", sdxl=True)
    checkpoints.write_controlnet(folder / "controlnet" / "guide.safetensors")
    checkpoints.write_controlnet(folder / "controlnet" / "foreign.safetensors", context=1024)
    checkpoints.write_upscaler(folder / "upscale_models" / "x4.safetensors")
    (folder / "checkpoints" / "old.ckpt").write_bytes(b"\x80\x04K\x01.")
    (folder / "checkpoints" / "damaged.safetensors").write_bytes(b"\xff" * 100)
    model_parts.write_all(folder)
    return folder


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Service]:
    """A service with these models and the real ComfyUI."""
    folder = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch:
        # threads that wait for one another take many times as long on a busy machine
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Service.start(folder, workers=["cpu", "comfy"], comfyui__models_dir=models)
    try:
        made.wait_ready()
        yield made
    finally:
        made.kill()
