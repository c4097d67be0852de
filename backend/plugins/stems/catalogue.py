"""The separation models that people know by name, and the files that they are made of.

Knows: names, the files of each, what each separates, and where it is published.
Does not know: how a model is loaded (``loading``).

The names, and which files are one model, are Demucs's own (Rouard, Massa, Défossez, "Hybrid
transformers for music source separation", ICASSP 2023; Défossez, "Hybrid spectrogram and waveform
source separation", MDX 2021).
"""

from __future__ import annotations

from typing import Final

from backend.plugins import ModelFile

FOLDER: Final = "stems"
"""Below the folder of models; each model has a folder of its own name in it."""

LICENCE: Final = "MIT"

SIGNATURES: Final[dict[str, tuple[str, ...]]] = {
    "htdemucs": ("955717e8",),
    "htdemucs_ft": ("f7e0c4bc", "d12395a8", "92cfc3b6", "04573f0d"),
    "htdemucs_6s": ("5c90dfd2",),
    "hdemucs_mmi": ("75fc33f5",),
    "mdx_extra": ("e51eebcc", "a1d90b5c", "5d2d6c55", "cfa93e08"),
}
"""Model → the files (without ``.safetensors``) that it averages."""

_PUBLISHED: Final = {
    "htdemucs": "HTDemucs",
    "htdemucs_ft": "HTDemucs-ft",
    "htdemucs_6s": "HTDemucs-6s",
    "hdemucs_mmi": "Demucs-hdemucs_mmi",
    "mdx_extra": "Demucs-mdx_extra",
}


def model_files() -> list[ModelFile]:
    """Every file of every known model, for ``register_models``."""
    return [
        ModelFile(
            id=f"{name}/{signature}",
            folder=f"{FOLDER}/{name}",
            file_name=f"{signature}.safetensors",
            licence=LICENCE,
            source=(
                f"https://huggingface.co/adefossez/{_PUBLISHED[name]}/resolve/main/"
                f"{signature}.safetensors"
            ),
        )
        for name, signatures in SIGNATURES.items()
        for signature in signatures
    ]
