"""The fifth path: music by ACE-Step 1.5, from tags and lyrics to a FLAC file.

Knows: step 12 of the contract.
Does not know: pictures and films.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from backend.bricks import node_classes
from backend.bricks._comfy import module
from backend.testing.contract import tiny_models
from backend.testing.contract.booting import boot
from backend.testing.contract.graphs import Graph, node, run
from backend.testing.contract.steps import Bench, NotApplicable, Step, require

SECONDS: Final = 1.0


def boots(bench: Bench) -> str:
    """2, again."""
    return f"ComfyUI {boot(bench).version}"


def graph() -> Graph:
    """One second of music, with codes of the language model, two steps."""
    return {
        "1": node("ContractCheckpoint", name="song.safetensors", kind="music"),
        "2": node("TextEncodeAceStepAudio1.5", clip=["1", 1], tags="lofi", lyrics="la la", seed=3,
                  bpm=120, duration=SECONDS, timesignature="4", language="en", keyscale="C major",
                  generate_audio_codes=True, cfg_scale=2.0, temperature=0.85, top_p=0.9, top_k=0,
                  min_p=0.0),
        "3": node("ConditioningZeroOut", conditioning=["2", 0]),
        "4": node("EmptyAceStep1.5LatentAudio", seconds=SECONDS, batch_size=1),
        "5": node("KSampler", model=["1", 0], positive=["2", 0], negative=["3", 0],
                  latent_image=["4", 0], seed=1, steps=2, cfg=1.0, sampler_name="euler",
                  scheduler="simple", denoise=1.0),
        "6": node("VAEDecodeAudio", samples=["5", 0], vae=["1", 2]),
        "7": node("SaveAudio", audio=["6", 0], filename_prefix="x"),
    }  # fmt: skip


def sounds(bench: Bench) -> str:
    """The sound has its length and is not silent."""
    known = set(node_classes.names())
    if "TextEncodeAceStepAudio1.5" not in known or not _sizes_are_read():
        raise NotApplicable("this release has ACE-Step 1.5 in one size only")
    tiny_models.write_music(bench.models / "checkpoints" / "song.safetensors")
    (sound,) = run(bench, graph()).of("audio")
    length = sound.frames / sound.sample_rate
    require(abs(length - SECONDS) < 0.5, f"the sound lasts {length:.2f} s")
    level = float(np.sqrt((np.asarray(sound.samples, np.float64) ** 2).mean()))
    require(np.isfinite(level) and level > 1e-4, f"the sound's level is {level}")
    return f"{length:.2f} s at {sound.sample_rate} Hz"


def _sizes_are_read() -> bool:
    """Whether ACE-Step's sizes come from the file."""
    return module("comfy.model_detection") is not None and tiny_models.music_is_sized()


STEPS: Final = (Step(2, "clean boot", boots), Step(12, "ACE-Step to FLAC", sounds))
