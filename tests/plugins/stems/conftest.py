"""A real separation model, as small as one can be, made for the tests.

Knows: Demucs's file layout; 95 000 random parameters, segments of 2 s.
Does not know: what is tested with it.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

SOURCES = ["drums", "bass", "other", "vocals"]


def write_model(
    folder: Path,
    signature: str,
    seed: int,
    sources: list[str] = SOURCES,
    segment_s: Fraction = Fraction(2),
) -> Path:
    """A tiny HTDemucs with random weights as a safetensors file with Demucs's metadata."""
    import torch
    from demucs.htdemucs import HTDemucs
    from safetensors.torch import save_file

    made_with = {
        "sources": sources, "channels": 8, "nfft": 512, "depth": 3, "dconv_comp": 4,
        "t_layers": 1, "t_heads": 2, "bottom_channels": 0, "samplerate": 44100,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = HTDemucs(**made_with, segment=segment_s)
    numerator, denominator = segment_s.as_integer_ratio()
    segment = {"_type": "fraction", "numerator": numerator, "denominator": denominator}
    metadata = {
        "klass": "demucs.htdemucs.HTDemucs",
        "args": "[]",
        "kwargs": json.dumps({**made_with, "segment": segment}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{signature}.safetensors"
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, str(path), metadata=metadata)
    return path


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models in which ``htdemucs`` and ``htdemucs_6s`` are tiny real ones."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "stems" / "htdemucs", "955717e8", 0)
    write_model(folder / "stems" / "htdemucs_6s", "5c90dfd2", 1, [*SOURCES, "guitar", "piano"])
    for number, signature in enumerate(("one", "two")):
        write_model(folder / "stems" / "own", signature, number)
        length = Fraction(9, 10) if number else Fraction(2)
        write_model(folder / "stems" / "unlike", signature, number, segment_s=length)
    return folder
