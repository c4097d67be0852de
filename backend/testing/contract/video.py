"""The fourth path: a picture turned into a film by LTX-Video, saved as H.264.

Knows: step 11 of the contract.
Does not know: pictures and sounds.
"""

from __future__ import annotations

from typing import Any, Final

from backend.testing.contract import tiny_models
from backend.testing.contract.booting import boot
from backend.testing.contract.graphs import Graph, node, run
from backend.testing.contract.steps import Bench, Step, require

FRAMES: Final = 17


def boots(bench: Bench) -> str:
    """2, again; and the model files."""
    version = boot(bench).version
    tiny_models.write_video(
        bench.models / "checkpoints" / "film.safetensors",
        bench.models / "text_encoders" / "film.safetensors",
    )
    return f"ComfyUI {version}"


def graph() -> Graph:
    """Image to video, 17 frames of 256 x 160, three steps."""
    both: dict[str, Any] = {"positive": ["4", 0], "negative": ["4", 1]}
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name="film.safetensors"),
        "c": node("ContractVideoText", name="film.safetensors"),
        "2": node("CLIPTextEncode", clip=["c", 0], text="a dog runs"),
        "3": node("CLIPTextEncode", clip=["c", 0], text=""),
        "i": node("EmptyImage", width=256, height=160, batch_size=1, color=0x4080C0),
        "4": node("LTXVImgToVideo", positive=["2", 0], negative=["3", 0], vae=["1", 2],
                  image=["i", 0], width=256, height=160, length=FRAMES, batch_size=1,
                  strength=1.0),
        "5": node("LTXVConditioning", **both, frame_rate=24.0),
        "6": node("LTXVScheduler", steps=3, max_shift=2.05, base_shift=0.95, stretch=True,
                  terminal=0.1, latent=["4", 2]),
        "7": node("KSamplerSelect", sampler_name="euler"),
        "8": node("SamplerCustom", model=["1", 0], add_noise=True, noise_seed=1, cfg=3.0,
                  positive=["5", 0], negative=["5", 1], sampler=["7", 0], sigmas=["6", 0],
                  latent_image=["4", 2]),
        "9": node("VAEDecode", samples=["8", 0], vae=["1", 2]),
        "10": node("CreateVideo", images=["9", 0], fps=24.0),
        "11": node("SaveVideo", video=["10", 0], filename_prefix="x", format="mp4", codec="h264"),
    }  # fmt: skip


def films(bench: Bench) -> str:
    """The film has its frames, its rate and its size."""
    (film,) = run(bench, graph()).of("video")
    found = (film.frame_count, str(film.frame_rate), film.width, film.height)
    require(found == (FRAMES, "24", 256, 160), f"the film is {found}")
    return f"{FRAMES} frames of 256 x 160"


STEPS: Final = (Step(2, "clean boot", boots), Step(11, "LTX-Video to mp4", films))
