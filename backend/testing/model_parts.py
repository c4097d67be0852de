"""Model files that hold one part each, and the four that make a tiny Flux.

Knows: names and shapes of a diffusion model, text encoders, a VAE, an image encoder; needs neither
torch nor ComfyUI.
Does not know: how they are put together.

Of Flux's network ComfyUI reads every width and depth from the file. Those of its larger text
encoder (T5 v1.1 XXL: 24 layers, 4096 wide, 9.5 GB) are fixed in ComfyUI: a loader of ours tells it
others (`TINY_T5`), and ``DualCLIPLoader`` cannot. An image encoder is CLIP ViT-L/14, whole: its
widths are fixed as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from backend.testing.checkpoints import UNET, add_text, add_unet_sd15
from backend.testing.sparse_weights import Weights
from backend.testing.vae_weights import add_vae

TINY_T5: Final[dict[str, Any]] = {
    "t5xxl_model_config": {"num_layers": 1, "d_model": 64, "d_ff": 128, "num_heads": 1},
}
"""What a loader must be told of the file of `write_t5`."""

_WIDTH: Final = 128
"""One head of Flux's, whose positions have 16 + 56 + 56 parts."""


def write_all(folder: Path) -> None:
    """Every part, in the folder of its kind: SD 1.5's as ``sd``, Flux's as ``flux`` (network),
    ``ae`` (VAE), ``clip_l`` and ``t5`` (text encoders), an image encoder as ``vit``."""
    write_diffusion_model(folder / "diffusion_models" / "sd.safetensors")
    write_vae(folder / "vae" / "sd.safetensors")
    write_clip_vision(folder / "clip_vision" / "vit.safetensors")
    write_flux(folder / "diffusion_models" / "flux.safetensors")
    write_vae(folder / "vae" / "ae.safetensors", channels=16)
    write_clip(folder / "text_encoders" / "clip_l.safetensors")
    write_t5(folder / "text_encoders" / "t5.safetensors")


def write_diffusion_model(path: Path, seed: int = 0) -> Path:
    """SD 1.5's network alone."""
    weights = Weights()
    add_unet_sd15(weights, "")
    weights.randomise("", UNET, 0.7)
    return weights.write(path, seed)


def write_vae(path: Path, seed: int = 0, channels: int = 4) -> Path:
    """A VAE alone: SD's, or with 16 *channels* Flux's."""
    weights = Weights()
    add_vae(weights, "", channels)
    return weights.write(path, seed)


def write_clip(path: Path, seed: int = 0) -> Path:
    """CLIP ViT-L/14's text encoder alone, which SD 1.5, SDXL and Flux share."""
    weights = Weights()
    add_text(weights, "text_model.", 768, 12)
    weights.randomise("", ("token_embedding", "position_embedding", "10.self_attn"), 1.0)
    return weights.write(path, seed)


def write_clip_vision(path: Path, seed: int = 0) -> Path:
    """CLIP ViT-L/14's image encoder: 24 layers, 607 MB long, of which one does something."""
    weights, width = Weights(), 1024
    embeddings = "vision_model.embeddings"
    weights.add(f"{embeddings}.class_embedding", width)
    weights.add(f"{embeddings}.patch_embedding.weight", width, 3, 14, 14)
    weights.add(f"{embeddings}.position_embedding.weight", 257, width)
    for number in range(24):
        layer = f"vision_model.encoder.layers.{number}"
        for norm in ("layer_norm1", "layer_norm2"):
            weights.norm(f"{layer}.{norm}", width)
        weights.linear(f"{layer}.mlp.fc1", 4 * width, width)
        weights.linear(f"{layer}.mlp.fc2", width, 4 * width)
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            weights.linear(f"{layer}.self_attn.{part}", width, width)
    for norm in ("pre_layrnorm", "post_layernorm"):
        weights.norm(f"vision_model.{norm}", width)
    weights.linear("visual_projection", 768, width, bias=False)
    weights.randomise("vis", ("patch_embedding", "position", ".10.self_attn", "projection"), 1.0)
    return weights.write(path, seed)


def write_flux(path: Path, seed: int = 0) -> Path:
    """Flux's network with one block of each sort, one head wide, for texts of 64 numbers."""
    weights, width = Weights(), _WIDTH
    for name, inputs in (("time_in", 256), ("guidance_in", 256), ("vector_in", 768)):
        weights.linear(f"{name}.in_layer", width, inputs)
        weights.linear(f"{name}.out_layer", width, width)
    weights.linear("img_in", width, 64)
    weights.linear("txt_in", width, 64)
    for side in ("img", "txt"):
        block = f"double_blocks.0.{side}"
        weights.linear(f"{block}_mod.lin", 6 * width, width)
        weights.linear(f"{block}_attn.qkv", 3 * width, width)
        weights.linear(f"{block}_attn.proj", width, width)
        weights.add(f"{block}_attn.norm.query_norm.scale", width)
        weights.add(f"{block}_attn.norm.key_norm.scale", width)
        weights.linear(f"{block}_mlp.0", 4 * width, width)
        weights.linear(f"{block}_mlp.2", width, 4 * width)
    weights.linear("single_blocks.0.linear1", 7 * width, width)
    weights.linear("single_blocks.0.linear2", width, 5 * width)
    weights.add("single_blocks.0.norm.query_norm.scale", width)
    weights.add("single_blocks.0.norm.key_norm.scale", width)
    weights.linear("single_blocks.0.modulation.lin", 3 * width, width)
    weights.linear("final_layer.linear", 64, width)
    weights.linear("final_layer.adaLN_modulation.1", 2 * width, width)
    weights.randomise("", ("",), 1.0)
    return weights.write(path, seed)


def write_t5(path: Path, seed: int = 0) -> Path:
    """Flux's other text encoder, for a loader that is told `TINY_T5`."""
    weights, width = Weights(), 64
    weights.add("shared.weight", 32128, width)
    block = "encoder.block.0.layer"
    for part in ("q", "k", "v", "o"):
        weights.linear(f"{block}.0.SelfAttention.{part}", width, width, bias=False)
    weights.add(f"{block}.0.SelfAttention.relative_attention_bias.weight", 32, 1)
    weights.add(f"{block}.0.layer_norm.weight", width)
    for part in ("wi_0", "wi_1"):
        weights.linear(f"{block}.1.DenseReluDense.{part}", 128, width, bias=False)
    weights.linear(f"{block}.1.DenseReluDense.wo", width, 128, bias=False)
    weights.add(f"{block}.1.layer_norm.weight", width)
    weights.add("encoder.final_layer_norm.weight", width)
    weights.randomise("", ("",), 1.0)
    return weights.write(path, seed)
