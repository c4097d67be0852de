"""Which text encoder a file holds.

Knows: the names and widths by which ComfyUI tells them apart (``comfy/sd.py``, detect_te_model).
Does not know: files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backend.services.model_names import Names, Row

_ROWS: Final[tuple[Row, ...]] = (
    ("clip-g", ("text_model.encoder.layers.30.mlp.fc1.weight",)),
    ("clip-h", ("text_model.encoder.layers.22.mlp.fc1.weight",)),
    ("clip-l", ("text_model.encoder.layers.0.mlp.fc1.weight",)),
    ("clip-h", ("transformer.resblocks.22.mlp.c_fc.weight",)),
    ("jina-clip-2", ("model.encoder.layers.0.mixer.Wqkv.weight",)),
    ("t5-xxl-old", ("encoder.block.23.layer.1.DenseReluDense.wi.weight",)),
    ("t5-gemma", ("model.encoder.layers.0.pre_self_attn_layernorm.weight",)),
    ("gpt-oss-20b", ("layers.0.self_attn.sinks",)),
    ("qwen3-vl", ("visual.deepstack_merger_list.0.norm.weight",)),
    ("qwen3-vl", ("model.visual.deepstack_merger_list.0.norm.weight",)),
    ("qwen3.5", ("model.language_model.layers.0.linear_attn.A_log",)),
)
_GATE: Final = "encoder.block.23.layer.1.DenseReluDense.wi_1.weight"
_T5_KEY: Final = "encoder.block.0.layer.0.SelfAttention.k.weight"
_QWEN25: Final = "model.layers.0.self_attn.k_proj.bias"
_NORM: Final = "model.layers.0.post_attention_layernorm.weight"
_AFTER: Final = "model.layers.0.post_feedforward_layernorm.weight"
_QUERY: Final = "model.layers.{}.self_attn.q_norm.weight"
_QWEN3: Final[Mapping[int | None, str]] = {
    1024: "qwen3-0.6b", 2048: "qwen3-2b", 2560: "qwen3-4b", 4096: "qwen3-8b",
}  # fmt: skip


def text_encoder(names: Names) -> str | None:
    """What ComfyUI would take these tensors for, or None."""
    told = names.first(_ROWS)
    if told is not None:
        return told
    if _GATE in names:
        # UMT5 is T5 v1.1 with a vocabulary of its own
        vocabulary = names.size("shared.weight", 0) or 0
        wide = "umt5-xxl" if vocabulary > 200_000 else "t5-xxl"
        return "t5-xl" if names.size(_GATE, 0) == 5120 else wide
    if _T5_KEY in names:
        return "byt5-small" if names.size(_T5_KEY, 0) == 384 else "t5-base"
    if _AFTER in names:
        return _gemma(names)
    if _QWEN25 in names:
        return "qwen2.5-3b" if names.size(_QWEN25, 0) == 256 else "qwen2.5-7b"
    return _decoder(names) if _NORM in names else None


def _gemma(names: Names) -> str:
    if _QUERY.format(0) not in names:
        return "gemma-2-2b"
    return "gemma-3-12b" if _QUERY.format(47) in names else "gemma-3-4b"


def _decoder(names: Names) -> str | None:
    width = names.size(_NORM, 0)
    if _QUERY.format(0) in names:
        return _QWEN3.get(width)
    return {5120: "mistral-3-24b", 3072: "ministral-3-3b", 4096: "llama-3-8b"}.get(width or 0)
