"""The weights of a VAE: Stable Diffusion's, and Flux's.

Knows: names and shapes, and which of them carry the signal.
Does not know: what else is in the file.
"""

from __future__ import annotations

from typing import Final

from backend.testing.sparse_weights import Weights

_SIGNAL: Final = (
    "upsample", "downsample", "conv_in", "conv_out", "nin_shortcut", "quant", "mid.block_1",
)  # fmt: skip


def _vae_residual(weights: Weights, name: str, inputs: int, outputs: int) -> None:
    weights.norm(f"{name}.norm1", inputs)
    weights.conv(f"{name}.conv1", outputs, inputs)
    weights.norm(f"{name}.norm2", outputs)
    weights.conv(f"{name}.conv2", outputs, outputs)
    if inputs != outputs:
        weights.conv(f"{name}.nin_shortcut", outputs, inputs, 1)


def _vae_middle(weights: Weights, name: str) -> None:
    _vae_residual(weights, f"{name}.mid.block_1", 512, 512)
    weights.norm(f"{name}.mid.attn_1.norm", 512)
    for part in ("q", "k", "v", "proj_out"):
        weights.conv(f"{name}.mid.attn_1.{part}", 512, 512, 1)
    _vae_residual(weights, f"{name}.mid.block_2", 512, 512)


def add_vae(weights: Weights, name: str, channels: int = 4) -> None:
    """The whole one: its widths are not read from the file. Latents have so many *channels*; 16 are
    Flux's, whose VAE has no quantisation."""
    widths = (128, 256, 512, 512)
    encoder, decoder = f"{name}encoder", f"{name}decoder"
    weights.conv(f"{encoder}.conv_in", 128, 3)
    inputs = 128
    for level, width in enumerate(widths):
        for block in range(2):
            _vae_residual(weights, f"{encoder}.down.{level}.block.{block}", inputs, width)
            inputs = width
        if level < 3:
            weights.conv(f"{encoder}.down.{level}.downsample.conv", width, width)
    _vae_middle(weights, encoder)
    weights.norm(f"{encoder}.norm_out", 512)
    weights.conv(f"{encoder}.conv_out", 2 * channels, 512)
    weights.conv(f"{decoder}.conv_in", 512, channels)
    _vae_middle(weights, decoder)
    for level, width in reversed(list(enumerate(widths))):
        for block in range(3):
            _vae_residual(weights, f"{decoder}.up.{level}.block.{block}", inputs, width)
            inputs = width
        if level > 0:
            weights.conv(f"{decoder}.up.{level}.upsample.conv", width, width)
    weights.norm(f"{decoder}.norm_out", 128)
    weights.conv(f"{decoder}.conv_out", 3, 128)
    if channels == 4:
        weights.conv(f"{name}quant_conv", 8, 8, 1)
        weights.conv(f"{name}post_quant_conv", 4, 4, 1)
    weights.randomise(name, _SIGNAL, 0.7)
