"""Real model files, as small as ComfyUI's own detection allows, written within two seconds.

Knows: names and shapes of SD 1.5, SDXL, ControlNet, LoRA and ESRGAN files; needs neither torch nor
ComfyUI. Networks are thin where a loader reads the width from the file, and full where it does not.
Does not know: what is made with them. Their pictures are noise that depends on every parameter.

A file is sparse: weights that would only cost time are holes, which read as zeros. Scales of
normalisations are 1; what carries the signal is random, the same for the same seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from backend.testing.sparse_weights import Weights
from backend.testing.vae_weights import add_vae

WIDTH: Final = 320
"""Channels of the UNet: both architectures are told by it, among other things."""

TINY_TEXT: Final[dict[str, Any]] = {
    "clip_l_model_config": {"num_hidden_layers": 3},
    "clip_g_model_config": {"num_hidden_layers": 3},
}
"""What a loader must be told of the text encoders of `write_sdxl` with ``tiny_text``."""

UNET: Final = (
    "transformer_blocks.0.attn2", "proj_in", "proj_out", ".op.", "skip_connection", "time_embed",
    "label_emb", ".conv.", "emb_layers", "input_blocks.0.", "out.2", "zero_convs", "hint_block",
    "middle_block_out",
)  # fmt: skip
_TEXT: Final = (
    "token_embedding", "position_embedding", "text_projection",
    "10.self_attn.v_proj", "10.self_attn.out_proj", "30.self_attn.v_proj", "30.self_attn.out_proj",
)  # fmt: skip
"""One layer that does something, so that it matters where an encoder stops."""


def _residual(weights: Weights, name: str, inputs: int, outputs: int) -> None:
    weights.norm(f"{name}.in_layers.0", inputs)
    weights.conv(f"{name}.in_layers.2", outputs, inputs)
    weights.linear(f"{name}.emb_layers.1", outputs, 4 * WIDTH)
    weights.norm(f"{name}.out_layers.0", outputs)
    weights.conv(f"{name}.out_layers.3", outputs, outputs)
    if inputs != outputs:
        weights.conv(f"{name}.skip_connection", outputs, inputs, 1)


def _transformer(
    weights: Weights, name: str, depth: int, context: int, *, linear: bool, width: int = WIDTH
) -> None:
    weights.norm(f"{name}.norm", width)
    for side in ("proj_in", "proj_out"):
        if linear:
            weights.linear(f"{name}.{side}", width, width)
        else:
            weights.conv(f"{name}.{side}", width, width, 1)
    for number in range(depth):
        block = f"{name}.transformer_blocks.{number}"
        for attention, source in (("attn1", width), ("attn2", context)):
            weights.linear(f"{block}.{attention}.to_q", width, width, bias=False)
            weights.linear(f"{block}.{attention}.to_k", width, source, bias=False)
            weights.linear(f"{block}.{attention}.to_v", width, source, bias=False)
            weights.linear(f"{block}.{attention}.to_out.0", width, width)
        for norm in ("norm1", "norm2", "norm3"):
            weights.norm(f"{block}.{norm}", width)
        weights.linear(f"{block}.ff.net.0.proj", 8 * width, width)
        weights.linear(f"{block}.ff.net.2", width, 4 * width)


def _beginning(weights: Weights, name: str, adm: int | None) -> None:
    weights.linear(f"{name}time_embed.0", 4 * WIDTH, WIDTH)
    weights.linear(f"{name}time_embed.2", 4 * WIDTH, 4 * WIDTH)
    if adm is not None:
        weights.linear(f"{name}label_emb.0.0", 4 * WIDTH, adm)
        weights.linear(f"{name}label_emb.0.2", 4 * WIDTH, 4 * WIDTH)
    weights.conv(f"{name}input_blocks.0.0", WIDTH, 4)


def add_unet_sd15(weights: Weights, name: str) -> None:
    """One level with one residual block; a transformer of depth 1 everywhere."""
    _beginning(weights, name, None)
    _middle_sd15(weights, name)
    for number in range(2):
        _residual(weights, f"{name}output_blocks.{number}.0", 2 * WIDTH, WIDTH)
        _transformer(weights, f"{name}output_blocks.{number}.1", 1, 768, linear=False)
    _end(weights, name)


def _middle_sd15(weights: Weights, name: str, context: int = 768) -> None:
    _residual(weights, f"{name}input_blocks.1.0", WIDTH, WIDTH)
    _transformer(weights, f"{name}input_blocks.1.1", 1, context, linear=False)
    _residual(weights, f"{name}middle_block.0", WIDTH, WIDTH)
    _transformer(weights, f"{name}middle_block.1", 1, context, linear=False)
    _residual(weights, f"{name}middle_block.2", WIDTH, WIDTH)


def _unet_sdxl(weights: Weights, name: str) -> None:
    """Three levels of equal width, transformers as deep as SDXL's on the way down, none up."""
    _beginning(weights, name, 2816)
    number = 1
    for level, depth in enumerate((0, 2, 10)):
        for _ in range(2):
            _residual(weights, f"{name}input_blocks.{number}.0", WIDTH, WIDTH)
            if depth:
                block = f"{name}input_blocks.{number}.1"
                _transformer(weights, block, depth, 2048, linear=True)
            number += 1
        if level < 2:
            weights.conv(f"{name}input_blocks.{number}.0.op", WIDTH, WIDTH)
            number += 1
    _residual(weights, f"{name}middle_block.0", WIDTH, WIDTH)
    for number in range(9):
        _residual(weights, f"{name}output_blocks.{number}.0", 2 * WIDTH, WIDTH)
        if number in (2, 5):
            weights.conv(f"{name}output_blocks.{number}.1.conv", WIDTH, WIDTH)
    _end(weights, name)


def _unet_whole_sdxl(weights: Weights, name: str) -> None:
    """SDXL's own widths and depths: 2.6 billion parameters."""
    _beginning(weights, name, 2816)

    def level(block: str, inputs: int, width: int, depth: int) -> None:
        _residual(weights, f"{block}.0", inputs, width)
        if depth:
            _transformer(weights, f"{block}.1", depth, 2048, linear=True, width=width)

    for number, inputs, width, depth in (
        (1, 320, 320, 0), (2, 320, 320, 0), (4, 320, 640, 2), (5, 640, 640, 2),
        (7, 640, 1280, 10), (8, 1280, 1280, 10),
    ):  # fmt: skip
        level(f"{name}input_blocks.{number}", inputs, width, depth)
    for number, width in ((3, 320), (6, 640)):
        weights.conv(f"{name}input_blocks.{number}.0.op", width, width)
    _residual(weights, f"{name}middle_block.0", 1280, 1280)
    _transformer(weights, f"{name}middle_block.1", 10, 2048, linear=True, width=1280)
    _residual(weights, f"{name}middle_block.2", 1280, 1280)
    for number, (inputs, width, depth) in enumerate((
        (2560, 1280, 10), (2560, 1280, 10), (1920, 1280, 10), (1920, 640, 2), (1280, 640, 2),
        (960, 640, 2), (960, 320, 0), (640, 320, 0), (640, 320, 0),
    )):  # fmt: skip
        level(f"{name}output_blocks.{number}", inputs, width, depth)
    for number, width in ((2, 1280), (5, 640)):
        weights.conv(f"{name}output_blocks.{number}.2.conv", width, width)
    _end(weights, name)


def _end(weights: Weights, name: str) -> None:
    weights.norm(f"{name}out.0", WIDTH)
    weights.conv(f"{name}out.2", 4, WIDTH)


def add_text(weights: Weights, name: str, width: int, layers: int) -> None:
    """A text encoder of CLIP's, which has a word for each of 49408 tokens."""
    weights.add(f"{name}embeddings.token_embedding.weight", 49408, width)
    weights.add(f"{name}embeddings.position_embedding.weight", 77, width)
    for number in range(layers):
        layer = f"{name}encoder.layers.{number}"
        for norm in ("layer_norm1", "layer_norm2"):
            weights.norm(f"{layer}.{norm}", width)
        weights.linear(f"{layer}.mlp.fc1", 4 * width, width)
        weights.linear(f"{layer}.mlp.fc2", width, 4 * width)
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            weights.linear(f"{layer}.self_attn.{part}", width, width)
    weights.norm(f"{name}final_layer_norm", width)


def write_sd15(path: Path, seed: int = 0) -> Path:
    """An SD 1.5 checkpoint: 444 MB long, 57 MB of them on the disk."""
    weights = Weights()
    add_unet_sd15(weights, "model.diffusion_model.")
    add_vae(weights, "first_stage_model.")
    add_text(weights, "cond_stage_model.transformer.text_model.", 768, 12)
    return _checkpoint(weights, path, seed)


def write_sdxl(path: Path, seed: int = 0, *, tiny_text: bool = False, whole: bool = False) -> Path:
    """An SDXL checkpoint, 2 GB long, 107 MB on the disk; with *tiny_text* 765 MB long, but only
    for a loader that is told `TINY_TEXT`; *whole* has SDXL's own size, 6.9 GB, for a GPU."""
    weights = Weights()
    (_unet_whole_sdxl if whole else _unet_sdxl)(weights, "model.diffusion_model.")
    add_vae(weights, "first_stage_model.")
    first, second = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
    add_text(weights, f"{first}text_model.", 768, 3 if tiny_text else 12)
    add_text(weights, f"{second}transformer.text_model.", 1280, 3 if tiny_text else 32)
    weights.linear(f"{second}transformer.text_projection", 1280, 1280, bias=False)
    if tiny_text:  # by this name the larger encoder is recognised
        weights.add(f"{second}transformer.text_model.encoder.layers.30.mlp.fc1.weight", 1, 1)
    return _checkpoint(weights, path, seed)


def _checkpoint(weights: Weights, path: Path, seed: int) -> Path:
    weights.randomise("model.", UNET, 0.7)
    weights.randomise("cond", _TEXT, 1.0)
    return weights.write(path, seed)


def write_controlnet(path: Path, seed: int = 0, context: int = 768) -> Path:
    """A ControlNet for `write_sd15`'s network; *context* is the width of the texts it expects."""
    weights = Weights()
    _beginning(weights, "", None)
    _middle_sd15(weights, "", context)
    for number in range(2):
        weights.conv(f"zero_convs.{number}.0", WIDTH, WIDTH, 1)
    inputs = 3
    for place, width in enumerate((16, 16, 32, 32, 96, 96, 256, WIDTH)):
        weights.conv(f"input_hint_block.{2 * place}", width, inputs)
        inputs = width
    weights.conv("middle_block_out.0", WIDTH, WIDTH, 1)
    weights.randomise("", UNET, 0.7)
    return weights.write(path, seed)


def write_lora(
    path: Path,
    seed: int = 0,
    *,
    sdxl: bool = False,
    context: int | None = None,
    blocks: Sequence[str] | None = None,
) -> Path:
    """A LoRA of rank 2 on cross-attentions of SD 1.5's (or SDXL's) UNet: those of the input
    *blocks* (``1_1``); *context* is the width of the texts it was made for."""
    weights, width = Weights(), context or (2048 if sdxl else 768)
    for block in blocks or (("4_1",) if sdxl else ("1_1",)):
        for part, inputs in (("to_q", WIDTH), ("to_v", width)):
            name = f"lora_unet_input_blocks_{block}_transformer_blocks_0_attn2_{part}"
            weights.add(f"{name}.lora_up.weight", WIDTH, 2)
            weights.add(f"{name}.lora_down.weight", 2, inputs)
    weights.randomise("lora", ("lora_up", "lora_down"), 2.0)
    return weights.write(path, seed)


def write_upscaler(path: Path, seed: int = 0) -> Path:
    """An ESRGAN of 8 filters and one block that makes pictures 4 times as large."""
    weights, width, grown = Weights(), 8, 32  # the growth is not read from the file
    weights.conv("conv_first", width, 3)
    for dense in (1, 2, 3):
        for number in range(1, 6):
            outputs = width if number == 5 else grown
            name = f"body.0.rdb{dense}.conv{number}"
            weights.conv(name, outputs, width + (number - 1) * grown)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        weights.conv(name, width, width)
    weights.conv("conv_last", 3, width)
    weights.randomise("", ("conv",), 1.0)
    return weights.write(path, seed)
