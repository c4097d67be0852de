"""Types and architectures are read from headers: of tiny real files, and of made-up ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.media.weights import Header, Tensor, read_header
from backend.services.model_architecture import Kind, architecture_of
from backend.testing import checkpoints

Shapes = dict[str, tuple[int, ...]]
UNET = "model.diffusion_model."


def told(shapes: Shapes, metadata: dict[str, str] | None = None) -> Kind:
    tensors = {name: Tensor("F16", shape) for name, shape in shapes.items()}
    return architecture_of(Header(tensors, metadata or {}))


def test_tiny_real_files(tmp_path: Path) -> None:
    """What ComfyUI loads as SD 1.5, SDXL, ControlNet, LoRA and ESRGAN is told as that."""
    path = tmp_path / "a.safetensors"
    parts = ("text_encoder", "vae")
    assert architecture_of(read_header(checkpoints.write_sd15(path))) == Kind(
        "checkpoint", "sd15", None, parts
    )
    assert architecture_of(read_header(checkpoints.write_sdxl(path))) == Kind(
        "checkpoint", "sdxl", None, parts
    )
    assert architecture_of(read_header(checkpoints.write_controlnet(path))) == Kind(
        "controlnet", "sd15"
    )
    assert architecture_of(read_header(checkpoints.write_lora(path))) == Kind(
        "lora", "sd15", naming="kohya"
    )
    assert architecture_of(read_header(checkpoints.write_lora(path, sdxl=True))) == Kind(
        "lora", "sdxl", naming="kohya"
    )
    assert architecture_of(read_header(checkpoints.write_upscaler(path))) == Kind(
        "upscaler", "esrgan"
    )


def unet(width: int, channels: int = 4, **more: tuple[int, ...]) -> Shapes:
    """An LDM UNet that attends to texts of this width."""
    block = f"{UNET}input_blocks.1.1.transformer_blocks.0."
    return {
        f"{UNET}input_blocks.0.0.weight": (320, channels, 3, 3),
        f"{block}attn2.to_k.weight": (320, width),
        **{f"{UNET}time_embed.{n}.weight": (1280, 320) for n in range(4)},
        "first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3),
        **more,
    }


@pytest.mark.parametrize(
    ("width", "channels", "architecture", "variant"),
    [
        (768, 4, "sd15", None),
        (768, 9, "sd15", "inpainting"),
        (768, 8, "sd15", "edit"),
        (1024, 4, "sd2", None),
        (2048, 4, "sdxl", None),
        (2048, 9, "sdxl", "inpainting"),
        (1280, 4, "sdxl-refiner", None),
        (999, 4, None, None),
    ],
)
def test_unets(width: int, channels: int, architecture: str | None, variant: str | None) -> None:
    """The width of the text tells the generation, the channels what it is for."""
    assert told(unet(width, channels)) == Kind("checkpoint", architecture, variant, ("vae",))


@pytest.mark.parametrize(
    ("names", "architecture", "variant"),
    [
        (["joint_blocks.0.context_block.attn.qkv.weight"], "sd3", None),
        (
            [
                "joint_blocks.0.context_block.attn.qkv.weight",
                "joint_blocks.0.context_block.attn.ln_q.weight",
            ],
            "sd3.5",
            None,
        ),
        (["double_blocks.0.img_attn.norm.key_norm.scale", "img_in.weight"], "flux-schnell", None),
        (
            [
                "double_blocks.0.img_attn.norm.key_norm.scale",
                "img_in.weight",
                "guidance_in.in_layer.weight",
            ],
            "flux-dev",
            None,
        ),
        (
            ["single_transformer_blocks.0.attn.to_q.weight", "x_embedder.weight"],
            "flux-schnell",
            None,
        ),
        (["adaln_single.emb.timestep_embedder.linear_1.bias"], "ltxv", None),
        (["genre_embedder.weight"], "ace-step-1", None),
        (["encoder.lyric_encoder.layers.0.input_layernorm.weight"], "ace-step-1.5", None),
        (["head.modulation"], "wan", "t2v"),
        (["head.modulation", "img_emb.proj.0.bias"], "wan", "i2v"),
        (["txt_norm.weight", "proj_out.weight"], "qwen-image", None),
        (["txt_in.individual_token_refiner.blocks.0.norm1.weight"], "hunyuan-video", None),
        (["cap_embedder.1.weight", "cap_pad_token"], "z-image", None),
    ],
)
@pytest.mark.parametrize("prefix", ["", UNET])
def test_transformers(prefix: str, names: list[str], architecture: str, variant: str) -> None:
    """Bare and with the prefix of a checkpoint, each by names that only it has."""
    shapes: Shapes = {f"{prefix}{name}": (8, 8) for name in names}
    shapes |= {f"{prefix}blocks.{n}.x.weight": (8, 8) for n in range(6)}
    assert told(shapes) == Kind("diffusion_model", architecture, variant)


@pytest.mark.parametrize(
    ("shapes", "kind"),
    [
        ({"text_model.encoder.layers.0.mlp.fc1.weight": (1, 1)}, ("text_encoder", "clip-l")),
        ({"text_model.encoder.layers.30.mlp.fc1.weight": (1, 1)}, ("text_encoder", "clip-g")),
        (
            {"encoder.block.23.layer.1.DenseReluDense.wi_1.weight": (10240, 4096)},
            ("text_encoder", "t5-xxl"),
        ),
        (
            {
                "encoder.block.23.layer.1.DenseReluDense.wi_1.weight": (10240, 4096),
                "shared.weight": (256384, 4096),
            },
            ("text_encoder", "umt5-xxl"),
        ),
        ({"model.layers.0.self_attn.k_proj.bias": (512,)}, ("text_encoder", "qwen2.5-7b")),
        (
            {
                "model.layers.0.post_attention_layernorm.weight": (2560,),
                "model.layers.0.self_attn.q_norm.weight": (128,),
            },
            ("text_encoder", "qwen3-4b"),
        ),
        ({"decoder.conv_in.weight": (512, 4, 3, 3)}, ("vae", "sd")),
        ({"decoder.conv_in.weight": (512, 16, 3, 3)}, ("vae", "sd3-flux")),
        ({"decoder.middle.0.residual.0.gamma": (1,)}, ("vae", "wan")),
        (
            {"vision_model.encoder.layers.30.layer_norm1.weight": (1280,)},
            ("clip_vision", "clip-vision-h"),
        ),
        ({"model.0.weight": (1,), "model.1.sub.0.RDB1.conv1.0.weight": (1,)},
         ("upscaler", "esrgan")),
        ({"emb_params": (3, 768)}, ("embedding", "sd15")),
        ({"clip_l": (3, 768), "clip_g": (3, 1280)}, ("embedding", "sdxl")),
        ({"controlnet_blocks.0.weight": (1,), "controlnet_x_embedder.weight": (1,)},
         ("controlnet", "flux")),
        ({"anything.weight": (3, 3)}, ("unknown", None)),
        ({}, ("unknown", None)),
    ],
)  # fmt: skip
def test_other_parts(shapes: Shapes, kind: tuple[str, str | None]) -> None:
    """Text encoders, autoencoders, image encoders, upscalers, embeddings, and what nobody knows."""
    found = told(shapes)
    assert (found.type, found.architecture) == kind


@pytest.mark.parametrize(
    ("name", "shape", "metadata", "architecture", "naming"),
    [
        ("lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight",
         (4, 768), {}, "sd15", "kohya"),
        ("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight",
         (4, 2048), {}, "sdxl", "diffusers"),
        ("unet.up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora.down.weight",
         (4, 1024), {}, "sd2", "diffusers"),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", (4, 8), {}, "sdxl",
         "kohya"),
        ("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", (4, 8), {}, "flux-dev",
         "diffusers"),
        ("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", (4, 8), {}, "flux-dev",
         "kohya"),
        ("diffusion_model.blocks.0.cross_attn.k.lora_A.weight", (4, 8), {}, "wan", "diffusers"),
        ("transformer_blocks.0.img_mlp.net.2.lora_A.weight", (4, 8), {}, "qwen-image",
         "diffusers"),
        ("lora_unet_x.lora_down.weight", (4, 8), {"ss_base_model_version": "sdxl_base_v1-0"},
         "sdxl", "kohya"),
        ("x.lora_A.weight", (4, 8), {"modelspec.architecture": "flux-1-dev/lora"}, "flux-dev",
         "diffusers"),
        ("x.lora_A.weight", (4, 8), {"ss_base_model_version": "sd_v1"}, "sd15", "diffusers"),
        ("lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight",
         (4, 768), {"ss_base_model_version": "sdxl_base_v1-0"}, "sd15", "kohya"),
        ("x.hada_w1_a", (4, 8), {}, None, None),
    ],
)  # fmt: skip
def test_loras(
    name: str,
    shape: tuple[int, ...],
    metadata: dict[str, str],
    architecture: str | None,
    naming: str | None,
) -> None:
    """By shapes, then by blocks, then by metadata, which are not believed against the shapes."""
    found = told({name: shape}, metadata)
    assert (found.type, found.architecture, found.naming) == ("lora", architecture, naming)
