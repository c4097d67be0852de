"""The operation that takes a mix apart.

Knows: names, parameters, units and ranges; imports nothing heavy.
Does not know: how it works, which is imported inside the run.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field

from backend.media.audio import Audio
from backend.media.dependence import ModelIn
from backend.plugins import LOCAL, Context, Needs, models_folder, operation

from .catalogue import FOLDER
from .results import Residual, Separated

ModelName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,60}$",
        validate_default=True,
        description="htdemucs, htdemucs_ft, htdemucs_6s, hdemucs_mmi, mdx_extra, or the name of "
        "a folder of your own in models/stems.",
    ),
    ModelIn("stems"),
]


@operation(
    "stems.separate",
    needs=Needs(runs_on="comfy", modules=("demucs", "torch"), memory_gib=1.5, model_kind=FOLDER),
    timeout_s=4 * 3600.0,
)
def separate(
    audio: Audio,
    model: ModelName = "htdemucs",
    two_stems: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")] | None = None,
    residual: Residual = "leave",
    shifts: Annotated[int, Ge(0), Le(20)] = 0,
    overlap: Annotated[float, Ge(0.0), Le(0.9)] = 0.25,
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0,
    device: Literal["auto", "cpu"] = "auto",
    *,
    ctx: Context = LOCAL,
) -> Separated:
    """Take a mix apart into its stems with Demucs.

    *two_stems* names one source: it comes with everything else as ``no_…``, and both add up to
    the mix. *residual* says what becomes of what no stem has: it is left out, returned, or
    distributed over the stems, which then add up to the mix. *shifts* averages over so many
    random shifts in time (drawn from *seed*), which costs as many times the work and gains up to
    0.2 dB. *overlap* is the part of a segment that it shares with the next one.

    Models are never downloaded unasked: ``kino models download htdemucs`` does it.
    """
    from .loading import load
    from .separating import Settings, separated

    settings = Settings(two_stems, residual, shifts, overlap, seed, device)
    return separated(audio, load(model, models_folder(f"{FOLDER}/{model}")), settings, ctx)
