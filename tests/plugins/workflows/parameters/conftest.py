"""Node classes as ``/object_info`` tells them, and graphs written shortly."""

from __future__ import annotations

from typing import Any

import pytest

from backend.plugins.workflows.parameters import finding
from backend.plugins.workflows.parameters.definitions import Definitions

INT = ("INT", {"default": 20, "min": 1, "max": 10000})
SEED = ("INT", {"default": 0, "min": 0, "max": 2**64 - 1})
CFG = ("FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0})
ONE = ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0})
TEXT = ("STRING", {"multiline": True, "dynamicPrompts": True})
SIZE = ("INT", {"default": 512, "min": 16, "max": 16384, "step": 8})
SAMPLER: Any = (["euler", "dpmpp_2m"], {})
SCHEDULER = ("COMBO", {"options": ["normal", "karras"]})
ANY: Any = ("*", {})


def of(outputs: str, names: str = "", /, **inputs: Any) -> dict[str, Any]:
    """A node class: its outputs by a blank, its inputs as ``(type, options)`` or a bare type."""
    specs = {name: (spec, {}) if isinstance(spec, str) else spec for name, spec in inputs.items()}
    kinds = outputs.split()
    return {
        "input": {"required": specs},
        "output": kinds,
        "output_name": names.split() or kinds,
        "output_node": not kinds,
    }


COND = {"positive": "CONDITIONING", "negative": "CONDITIONING"}
SCHEDULING = {"scheduler": SCHEDULER, "steps": INT, "denoise": ONE}
INFO: dict[str, Any] = {
    "CheckpointLoaderSimple": of("MODEL CLIP VAE", ckpt_name=(["a.safetensors"], {})),
    "CLIPTextEncode": of("CONDITIONING", text=TEXT, clip="CLIP"),
    "CLIPTextEncodeSDXL": of("CONDITIONING", text_g=TEXT, text_l=TEXT, width=SIZE, height=SIZE),
    "CLIPTextEncodeFlux": of(
        "CONDITIONING", clip="CLIP", clip_l=TEXT, t5xxl=TEXT, guidance=("FLOAT", {"default": 3.5})
    ),
    "KSampler": of(
        "LATENT", model="MODEL", seed=SEED, steps=INT, cfg=CFG, sampler_name=SAMPLER,
        scheduler=SCHEDULER, latent_image="LATENT", denoise=ONE, **COND,
    ),
    "KSamplerAdvanced": of(
        "LATENT", add_noise=(["enable", "disable"], {}), noise_seed=SEED, steps=INT, cfg=CFG,
        sampler_name=SAMPLER, scheduler=SCHEDULER, latent_image="LATENT", start_at_step=INT, **COND,
    ),
    "SamplerCustom": of(
        "LATENT LATENT", add_noise=("BOOLEAN", {"default": True}), noise_seed=SEED, cfg=CFG,
        sampler="SAMPLER", sigmas="SIGMAS", latent_image="LATENT", **COND,
    ),
    "SamplerCustomAdvanced": of(
        "LATENT LATENT", noise="NOISE", guider="GUIDER", sampler="SAMPLER", sigmas="SIGMAS",
        latent_image="LATENT",
    ),
    "RandomNoise": of("NOISE", noise_seed=SEED),
    "BasicGuider": of("GUIDER", model="MODEL", conditioning="CONDITIONING"),
    "CFGGuider": of("GUIDER", model="MODEL", cfg=CFG, **COND),
    "DualCFGGuider": of(
        "GUIDER", cond1="CONDITIONING", cond2="CONDITIONING", negative="CONDITIONING",
        cfg_conds=CFG, cfg_cond2_negative=CFG,
    ),
    "KSamplerSelect": of("SAMPLER", sampler_name=SAMPLER),
    "BasicScheduler": of("SIGMAS", model="MODEL", **SCHEDULING),
    "SplitSigmas": of("SIGMAS SIGMAS", "high_sigmas low_sigmas", sigmas="SIGMAS", step=INT),
    "FluxGuidance": of(
        "CONDITIONING", conditioning="CONDITIONING", guidance=("FLOAT", {"default": 3.5})
    ),
    "ConditioningZeroOut": of("CONDITIONING", conditioning="CONDITIONING"),
    "ConditioningCombine": of(
        "CONDITIONING", conditioning_1="CONDITIONING", conditioning_2="CONDITIONING"
    ),
    "ControlNetApplyAdvanced": of(
        "CONDITIONING CONDITIONING", "positive negative", strength=ONE, image="IMAGE", **COND
    ),
    "EmptyLatentImage": of("LATENT", width=SIZE, height=SIZE, batch_size=INT),
    "RepeatLatentBatch": of("LATENT", samples="LATENT", amount=INT),
    "VAEEncode": of("LATENT", pixels="IMAGE", vae="VAE"),
    "VAEDecode": of("IMAGE", samples="LATENT", vae="VAE"),
    "SaveImage": of("", images="IMAGE", filename_prefix=("STRING", {"default": "ComfyUI"})),
    "LoadImage": of("IMAGE MASK", image=(["example.png"], {"image_upload": True})),
    "LoadImageMask": of(
        "MASK", image=(["example.png"], {}), channel=(["alpha", "red", "green", "blue"], {})
    ),
    "LoadAudio": of("AUDIO", audio=(["a.wav"], {})),
    "ImageToMask": of("MASK", image="IMAGE", channel=(["red", "green", "blue"], {})),
    "KinoLoadAsset": of(
        "AUDIO IMAGE MASK MIDI AUTOMATION FILE VIDEO",
        asset=("STRING", {"tooltip": "A reference."}),
    ),
    "Reroute": of("*", **{"": "*"}),
    "Any Switch (rgthree)": of("*", any_01=ANY, any_02=ANY, any_03=ANY),
    "ComfySwitchNode": of("*", switch=("BOOLEAN", {}), on_false=ANY, on_true=ANY),
    "PrimitiveInt": of("INT", value=SEED),
    "PrimitiveBoolean": of("BOOLEAN", value=("BOOLEAN", {})),
    "PrimitiveStringMultiline": of("STRING", value=TEXT),
    "StringConcatenate": of("STRING", string_a=TEXT, string_b=TEXT, delimiter=("STRING", {})),
    "Qwen2_VQA": of(
        "STRING", text=TEXT, image="IMAGE", temperature=ONE, max_new_tokens=INT, seed=SEED
    ),
}  # fmt: skip


def node(class_type: str, title: str | None = None, /, **inputs: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"class_type": class_type, "inputs": inputs}
    return {**made, "_meta": {"title": title}} if title else made


def sampled(**changes: Any) -> dict[str, Any]:
    """A text-to-image graph; *changes* replace nodes (``_3`` is node 3) or add some."""
    graph = {
        "1": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
        "2": node("CLIPTextEncode", text="a cat", clip=["1", 1]),
        "3": node("CLIPTextEncode", text="blurry", clip=["1", 1]),
        "4": node("EmptyLatentImage", width=64, height=32, batch_size=1),
        "5": node(
            "KSampler", model=["1", 0], seed=7, steps=4, cfg=2.5, sampler_name="euler",
            scheduler="karras", denoise=1.0, positive=["2", 0], negative=["3", 0],
            latent_image=["4", 0],
        ),
        "6": node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": node("SaveImage", images=["6", 0], filename_prefix="out"),
    }  # fmt: skip
    return graph | {name.removeprefix("_"): each for name, each in changes.items()}


class Known:
    """What was found: parameters by name, and their places as ``node.input``."""

    def __init__(self, graph: dict[str, Any]) -> None:
        self.template, found = finding.find(graph, Definitions(INFO))
        self.parameters = {each["name"]: each for each in found}
        assert len(self.parameters) == len(found)

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self.parameters[name]

    def places(self, name: str) -> list[str]:
        if name not in self.parameters:
            return []
        return [f"{each['node']}.{each['input']}" for each in self.parameters[name]["places"]]


@pytest.fixture(scope="session")
def known():
    return Known


@pytest.fixture(scope="session")
def a_node():
    return node


@pytest.fixture(scope="session")
def a_graph():
    return sampled
