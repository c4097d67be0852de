"""Which graphs may be answered from the cache, as the door notes it while it checks them."""

from __future__ import annotations

import pytest

from backend.plugins.workflows.operations import run


def noted(*nodes):
    graph = {
        str(n): {"class_type": name, "inputs": inputs} for n, (name, inputs) in enumerate(nodes)
    }
    checked = run.check({"graph": graph}, lambda reference, kind: reference)
    return checked.varies, checked.models


def test_steady_nodes_and_named_files_are_noted() -> None:
    """A graph of known nodes does not vary; its model files are told in order, each once."""
    assert noted(
        ("CheckpointLoaderSimple", {"ckpt_name": "a.safetensors"}),
        ("DualCLIPLoader", {"clip_name1": "l", "clip_name2": "g", "type": "flux"}),
        ("CheckpointLoaderSimple", {"ckpt_name": "a.safetensors"}),
        ("KSampler", {"seed": 1}),
        ("KinoLoadAsset", {"asset": "blake3:" + "0" * 64}),
    ) == (False, (("checkpoints", "a.safetensors"), ("text_encoders", "l"), ("text_encoders", "g")))


@pytest.mark.parametrize(
    "node",
    [
        ("SomebodysNode", {}),
        ("LoadImage", {"image": "a.png"}),
        ("KinoMixerMix", {}),
        ("VAELoader", {"vae_name": ["7", 0]}),
        ("VAELoader", {}),
        ("CLIPTextEncode", {"text": "a cat, Embedding:style"}),
        ("CLIPTextEncode", {"text": {"__value__": "embedding:style"}}),
    ],
)
def test_anything_else_varies(node) -> None:
    """An unknown node, a file that another node names or nobody, an embedding in a text."""
    assert noted(("EmptyImage", {}), node)[0]
