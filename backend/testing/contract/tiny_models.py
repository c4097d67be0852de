"""Model files of LTX-Video and ACE-Step 1.5 as small as their loaders allow, written in seconds.

Knows: the sizes that the loaders read from the files, and where a network must not be empty. Names
and shapes come from ComfyUI's own classes on torch's meta device: call in a process with a booted
ComfyUI.
Does not know: what is made with them.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, Final

from backend.bricks._comfy import module
from backend.testing.sparse_weights import Weights

T5: Final = {"num_layers": 2, "d_model": 64, "d_ff": 64, "num_heads": 1}
MUSIC_TEXT: Final = {
    "_model_config": {"num_hidden_layers": 1, "intermediate_size": 64, "vocab_size": 152000}
}
_TRANSFORMER: Final = {
    "num_attention_heads": 4, "attention_head_dim": 16, "cross_attention_dim": 64,
    "caption_channels": 64, "num_layers": 2,
}  # fmt: skip
_UP: Final = ["compress_all", {"residual": True, "multiplier": 2}]
_VIDEO_VAE: Final = {
    "_class_name": "CausalVideoAutoencoder", "dims": 3, "in_channels": 3, "out_channels": 3,
    "latent_channels": 128, "encoder_base_channels": 32, "decoder_base_channels": 16,
    "encoder_blocks": [["res_x", {"num_layers": 1}], *[["compress_all", {}]] * 3,
                       ["res_x", {"num_layers": 1}]],
    "decoder_blocks": [["res_x", {"num_layers": 1}], _UP, _UP, _UP, ["res_x", {"num_layers": 1}]],
    "norm_layer": "pixel_norm", "patch_size": 4, "latent_log_var": "uniform",
    "use_quant_conv": False, "causal_decoder": False, "timestep_conditioning": False,
}  # fmt: skip
_LARGE: Final = 1_000_000
"""Elements; of larger matrices only those are filled that carry the signal."""

_MUSIC: Final = ("project_", "condition_embedder", "proj_in", "proj_out", "embed_tokens")


def write_video(checkpoint: Path, text_encoder: Path) -> None:
    """An LTX-Video checkpoint (20 MB) and its text encoder."""
    torch, operations = module("torch"), module("comfy.ops").disable_weight_init
    with torch.device("meta"):
        transformer = module("comfy.ldm.lightricks.model").LTXVModel(
            **_TRANSFORMER, dtype=torch.bfloat16, device="meta", operations=operations
        )
        vae = module("comfy.ldm.lightricks.vae.causal_video_autoencoder").VideoVAE(
            config=_VIDEO_VAE
        )
        text = module("comfy.text_encoders.genmo").mochi_te()(
            device="meta", dtype=torch.float16, model_options={"t5xxl_model_config": T5}
        )
    weights = Weights()
    _add(weights, transformer, "model.diffusion_model.")
    _add(weights, vae, "vae.")
    for name in weights.shapes:
        if "of-means" in name:  # statistics of latents
            weights.even(name, 1.0 if "std-of-means" in name else 0.0)
    weights.randomise("", ("",), 0.7)
    config = json.dumps({"transformer": _TRANSFORMER, "vae": _VIDEO_VAE})
    weights.write(checkpoint, 1, {"config": config})
    weights = Weights()
    _add(weights, text.t5xxl.transformer, "")
    weights.randomise("", ("",), 1.0)
    # by this name the encoder is recognised
    weights.add("encoder.block.23.layer.1.DenseReluDense.wi_1.weight", 10240, 1)
    weights.write(text_encoder, 3)


def write_music(checkpoint: Path) -> None:
    """An ACE-Step 1.5 checkpoint, 1.9 GB long, some 130 MB on the disk."""
    torch, operations = module("torch"), module("comfy.ops").disable_weight_init
    model = module("comfy.ldm.ace.ace_step15").AceStepConditionGenerationModel
    sizes = {
        "hidden_size": 128, "intermediate_size": 128, "num_heads": 8, "num_dit_layers": 2,
        "encoder_hidden_size": 2048, "encoder_intermediate_size": 64, "encoder_num_heads": 8,
    }  # fmt: skip
    # small enough to be real; it computes constants, which the meta device cannot
    network = model(**sizes, dtype=torch.float16, device="cpu", operations=operations)
    with torch.device("meta"):
        vae = module("comfy.ldm.audio.autoencoder").AudioOobleckVAE(strides=[2, 4, 4, 6, 10])
        text = module("comfy.text_encoders.ace15").te(lm_model="qwen3_2b")(
            device="meta", dtype=torch.bfloat16, model_options=MUSIC_TEXT
        )
    weights = Weights()
    _add(weights, network, "model.diffusion_model.")
    _add(weights, vae, "vae.")
    for name in ("qwen3_06b", "qwen3_2b"):
        _add(weights, getattr(text, name).transformer, f"text_encoders.{name}.transformer.")
    _fill_music(weights)
    weights.write(checkpoint, 1)


def music_is_sized() -> bool:
    """Whether this ComfyUI reads ACE-Step's sizes from the file; older ones have them fixed."""
    ace = module("comfy.ldm.ace.ace_step15").AceStepConditionGenerationModel
    detection = inspect.getsource(module("comfy.model_detection"))
    return "encoder_hidden_size" in inspect.signature(ace).parameters and (
        "encoder_hidden_size" in detection
    )


def _fill_music(weights: Weights) -> None:
    for name, shape in weights.shapes.items():
        size = 1
        for each in shape:
            size *= each
        if name.startswith("vae."):
            if name.endswith(("alpha", "beta")):
                weights.even(name, 0.0)
            elif name.endswith("weight_g") or "original0" in name:
                weights.even(name, 0.7)
            elif len(shape) > 1 and size > _LARGE // 3:
                weights.units(name)  # an empty row would be divided by its length
            else:
                weights.randomise(name, ("",), 10.0)
        elif len(shape) > 1 and size <= _LARGE // 3:
            weights.randomise(name, ("",), 1.0)
        elif name.startswith("model.") and any(part in name for part in _MUSIC):
            weights.randomise(name, ("",), 0.7)


def _add(weights: Weights, network: Any, prefix: str) -> None:
    for name, tensor in network.state_dict().items():
        weights.add(prefix + name, *tensor.shape)
