"""The tensor names by which the parts of models are told apart, as tables.

Knows: one name, or a few, that only this architecture has; the first row that fits wins.
Does not know: files (``services.model_architecture`` asks with a file's names).

The names are those that ComfyUI itself goes by (``comfy/model_detection.py``, ``comfy/sd.py``); a
test holds the rows against checkpoints that it detects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from backend.media.weights import Tensor

Row = tuple[str, tuple[str, ...]]


class Names:
    """Tensors below one prefix, by the rest of their names."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str = "") -> None:
        self.tensors = {
            name[len(prefix) :]: tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def __len__(self) -> int:
        return len(self.tensors)

    def any(self, *parts: str) -> bool:
        """Whether some name begins with, or somewhere holds, one of *parts*."""
        return any(part in name for name in self.tensors for part in parts)

    def size(self, name: str, axis: int) -> int | None:
        """The length of one axis; None without the tensor or the axis."""
        tensor = self.tensors.get(name)
        return None if tensor is None or len(tensor.shape) <= axis else tensor.shape[axis]

    def size_of_first(self, endings: Iterable[str], axis: int) -> int | None:
        """The same of the first name that ends so."""
        wanted = tuple(endings)
        name = next((name for name in self.tensors if name.endswith(wanted)), None)
        return None if name is None else self.size(name, axis)

    def first(self, rows: Iterable[Row]) -> str | None:
        """What the first row is called of which every name is there."""
        return next((told for told, names in rows if all(name in self for name in names)), None)


TRANSFORMERS: Final[tuple[Row, ...]] = (
    ("sd3", ("joint_blocks.0.context_block.attn.qkv.weight",)),
    ("stable-cascade", ("clf.1.weight",)),
    ("stable-audio", ("transformer.rotary_pos_emb.inv_freq",)),
    ("auraflow", ("double_layers.0.attn.w1q.weight",)),
    ("hunyuan-dit", ("mlp_t5.0.weight",)),
    ("hunyuan-video-1.5", ("txt_in.individual_token_refiner.blocks.0.norm1.weight",
                           "cond_type_embedding.weight")),
    ("hunyuan-video", ("txt_in.individual_token_refiner.blocks.0.norm1.weight",)),
    ("chroma", ("distilled_guidance_layer.in_proj.weight",)),
    ("flux2", ("double_stream_modulation_img.lin.weight",)),
    ("flux-dev", ("double_blocks.0.img_attn.norm.key_norm.scale", "guidance_in.in_layer.weight")),
    ("flux-dev", ("double_blocks.0.img_attn.norm.key_norm.weight", "guidance_in.in_layer.weight")),
    ("flux-schnell", ("double_blocks.0.img_attn.norm.key_norm.scale", "img_in.weight")),
    ("flux-schnell", ("double_blocks.0.img_attn.norm.key_norm.weight", "img_in.weight")),
    ("flux-dev", ("single_transformer_blocks.0.attn.to_q.weight", "x_embedder.weight",
                  "time_text_embed.guidance_embedder.linear_1.weight")),
    ("flux-schnell", ("single_transformer_blocks.0.attn.to_q.weight", "x_embedder.weight")),
    ("sd3", ("transformer_blocks.0.attn.add_q_proj.weight", "pos_embed.proj.weight")),
    ("mochi", ("t5_yproj.weight",)),
    ("pixart", ("adaln_single.emb.timestep_embedder.linear_1.bias", "pos_embed.proj.bias")),
    ("ltx-2", ("adaln_single.emb.timestep_embedder.linear_1.bias",
               "audio_adaln_single.linear.weight")),
    ("ltxv", ("adaln_single.emb.timestep_embedder.linear_1.bias",)),
    ("minimax-h3", ("video_patch_proj.weight", "audio_patch_proj.weight")),
    ("ace-step-1", ("genre_embedder.weight",)),
    ("pixart", ("t_block.1.weight",)),
    ("cosmos", ("blocks.block0.blocks.0.block.attn.to_q.0.weight",)),
    ("z-image", ("cap_embedder.1.weight", "cap_pad_token")),
    ("lumina-2", ("cap_embedder.1.weight", "noise_refiner.0.attention.k_norm.weight")),
    ("cogvideox", ("blocks.0.norm1.linear.weight",)),
    ("wan", ("head.modulation",)),
    ("hunyuan-3d-2", ("latent_in.weight",)),
    ("hunyuan-3d-2.1", ("t_embedder.mlp.2.weight", "blocks.0.attn1.k_norm.weight")),
    ("hidream", ("caption_projection.0.linear.weight",)),
    ("anima", ("blocks.0.mlp.layer1.weight", "llm_adapter.blocks.0.cross_attn.q_proj.weight")),
    ("cosmos-predict2", ("blocks.0.mlp.layer1.weight",)),
    ("omnigen2", ("time_caption_embed.timestep_embedder.linear_1.bias",)),
    ("qwen-image", ("txt_norm.weight",)),
    ("krea-2", ("txtfusion.projector.weight",)),
    ("kandinsky-5", ("visual_transformer_blocks.0.cross_attention.key_norm.weight",)),
    ("ace-step-1.5", ("encoder.lyric_encoder.layers.0.input_layernorm.weight",)),
)  # fmt: skip
"""Diffusion models that are transformers."""

WAN_VARIANTS: Final[tuple[Row, ...]] = (
    ("vace", ("vace_patch_embedding.weight",)),
    ("camera", ("control_adapter.conv.weight",)),
    ("s2v", ("casual_audio_encoder.encoder.final_linear.weight",)),
    ("humo", ("audio_proj.audio_proj_glob_1.layer.bias",)),
    ("animate", ("face_adapter.fuser_blocks.0.k_norm.weight",)),
    ("i2v", ("img_emb.proj.0.bias",)),
)

VAES: Final[tuple[Row, ...]] = (
    ("taesd", ("taesd_decoder.1.weight",)),
    ("svd", ("decoder.mid.block_1.mix_factor", "decoder.conv_in.weight")),
    ("flux2", ("decoder.conv_in.weight", "bn.running_mean")),
    ("oobleck", ("decoder.layers.1.layers.0.beta",)),
    ("mochi", ("blocks.2.blocks.3.stack.5.weight",)),
    ("mochi", ("decoder.blocks.2.blocks.3.stack.5.weight",)),
    ("ltxv", ("decoder.up_blocks.0.res_blocks.0.conv1.conv.weight",)),
    ("cogvideox", ("decoder.conv_in.conv.weight",
                   "decoder.mid_block.resnets.0.norm1.norm_layer.weight")),
    ("hunyuan-video", ("decoder.conv_in.conv.weight",)),
    ("cosmos", ("decoder.unpatcher3d.wavelets",)),
    ("wan-2.2", ("decoder.middle.0.residual.0.gamma",
                 "decoder.upsamples.0.upsamples.0.residual.2.weight")),
    ("wan", ("decoder.middle.0.residual.0.gamma",)),
    ("hunyuan-3d", ("geo_decoder.cross_attn_decoder.ln_1.bias",)),
    ("ace-step-1", ("vocoder.backbone.channel_layers.0.0.bias",)),
    ("ltx-audio", ("vocoder.resblocks.0.convs1.0.weight",)),
)  # fmt: skip
"""Autoencoders that have a name of their own; the others are told by their latent channels."""

LATENTS: Final[Mapping[int, str]] = {4: "sd", 16: "sd3-flux", 32: "flux2"}
"""Latent channels → what has such a latent. Those of SD 1.5 and SDXL look the same from here."""

UNETS: Final[Mapping[int, str]] = {768: "sd15", 1024: "sd2", 2048: "sdxl", 1280: "sdxl-refiner"}
"""Width of the text that a UNet attends to → its architecture."""

CONTROLNETS: Final[tuple[Row, ...]] = (
    ("flux", ("controlnet_blocks.0.weight", "double_blocks.0.img_attn.norm.key_norm.scale")),
    ("flux", ("controlnet_blocks.0.weight", "controlnet_x_embedder.weight")),
    ("flux", ("controlnet_blocks.0.linear.weight",)),
    ("sd3", ("controlnet_blocks.0.weight", "pos_embed_input.proj.weight")),
    ("qwen-image", ("controlnet_blocks.0.weight",
                    "transformer_blocks.0.img_mlp.net.0.proj.weight")),
    ("hunyuan-dit", ("after_proj_list.18.bias",)),
)  # fmt: skip

UPSCALERS: Final[tuple[Row, ...]] = (
    ("esrgan", ("conv_first.weight", "body.0.rdb1.conv1.weight")),
    ("esrgan", ("conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight")),
    ("esrgan", ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight")),
    ("swinir", ("conv_first.weight", "layers.0.residual_group.blocks.0.attn.qkv.weight")),
    ("realesrgan-compact", ("body.0.weight", "body.1.weight", "body.2.weight")),
)

METADATA: Final[tuple[tuple[str, str], ...]] = (
    ("sdxl_refiner", "sdxl-refiner"), ("stable-diffusion-xl-v1-refiner", "sdxl-refiner"),
    ("stable-diffusion-xl", "sdxl"), ("sdxl", "sdxl"),
    ("stable-diffusion-v1", "sd15"), ("sd_v1", "sd15"), ("sd_1.5", "sd15"),
    ("stable-diffusion-v2", "sd2"), ("sd_v2", "sd2"),
    ("stable-diffusion-3", "sd3"), ("stable-diffusion-v3", "sd3"), ("sd3", "sd3"),
    ("flux-1-schnell", "flux-schnell"), ("flux2", "flux2"), ("flux-2", "flux2"),
    ("flux", "flux-dev"), ("qwen", "qwen-image"), ("wan", "wan"),
    ("hunyuan", "hunyuan-video"), ("ltx-2", "ltx-2"), ("ltx", "ltxv"), ("z-image", "z-image"),
    ("zimage", "z-image"), ("chroma", "chroma"), ("hidream", "hidream"), ("lumina", "lumina-2"),
    ("ace-step", "ace-step-1.5"), ("pony", "sdxl"), ("illustrious", "sdxl"),
)  # fmt: skip
"""How ``ss_base_model_version`` and ``modelspec.architecture`` begin, or what they hold."""
