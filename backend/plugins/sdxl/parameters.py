"""The parameters that the operations share, with their units and ranges.

Knows: names, ranges and what they mean.
Does not know: which models, samplers and schedulers there are; that is asked when a job runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Le, MaxLen, MultipleOf
from pydantic import Field

from backend.media.dependence import ModelIn, NameOf, PromptText
from backend.media.image import Image
from backend.plugins import Model
from backend.units import Pixels

ModelName = Annotated[
    str,
    Field(min_length=1, max_length=300, description="File name below the folder of its kind."),
]
CheckpointName = Annotated[ModelName, ModelIn("checkpoints")]
UpscalerName = Annotated[ModelName, ModelIn("upscale_models")]
Prompt = Annotated[
    str,
    MaxLen(20_000),
    PromptText(),
    Field(description="(word:1.2) weighs a word, embedding:name brings in an embedding."),
]
Seed = Annotated[int, Ge(0), Le(2**63 - 1), Field(description="Equal seeds, equal pictures.")]
Steps = Annotated[int, Ge(1), Le(1000)]
Guidance = Annotated[
    float,
    Ge(0),
    Le(100),
    Field(description="How closely the prompt is followed; 1 leaves the negative prompt out."),
]
ProcessName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_+. -]+$")]
"""A sampler or a scheduler. Which there are depends on ComfyUI."""

SamplerName = Annotated[ProcessName, NameOf("sampler")]
SchedulerName = Annotated[ProcessName, NameOf("scheduler")]

Size = Annotated[Pixels, Ge(64), Le(8192), MultipleOf(8)]
Batch = Annotated[int, Ge(1), Le(64), Field(description="How many pictures at once.")]
ClipSkip = Annotated[
    int,
    Ge(1),
    Le(24),
    Field(description="Last layer of the text encoder that is used, counted from the end."),
]
Tile = Annotated[
    Pixels,
    Ge(128),
    Le(4096),
    MultipleOf(64),
    Field(description="The VAE works in tiles of this size: less memory, perhaps visible seams."),
]
Strength = Annotated[
    float,
    Ge(0.01),
    Le(1),
    Field(description="How much is made anew: near 0 keeps the picture, 1 keeps nothing."),
]


class Lora(Model):
    """A LoRA and how strongly it works on the model, and on the text encoder (the same, if not
    given)."""

    name: Annotated[ModelName, ModelIn("loras")]
    strength: Annotated[float, Ge(-10), Le(10)] = 1.0
    clip_strength: Annotated[float, Ge(-10), Le(10)] | None = None


class ControlNet(Model):
    """A ControlNet that guides from *start* to *end*, parts of the sampling, by a picture which is
    already what it was trained on (edges, depth, pose …)."""

    name: Annotated[ModelName, ModelIn("controlnet")]
    image: Image
    strength: Annotated[float, Ge(0), Le(10)] = 1.0
    start: Annotated[float, Ge(0), Le(1)] = 0.0
    end: Annotated[float, Ge(0), Le(1)] = 1.0


class HiresFix(Model):
    """A second pass: the latent is enlarged, and sampled again with some noise."""

    scale: Annotated[float, Ge(1.05), Le(4)] = 1.5
    strength: Strength = 0.5
    steps: Steps | None = None


Loras = Annotated[list[Lora], MaxLen(8), Field(description="Applied in this order.")]
ControlNets = Annotated[list[ControlNet], MaxLen(4)]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that the operations which sample have in common, checked."""

    model: str
    prompt: str
    negative_prompt: str = ""
    seed: int = 0
    steps: int = 20
    guidance: float = 7.0
    sampler: str = "euler"
    scheduler: str = "normal"
    batch: int = 1
    loras: list[Lora] = field(default_factory=list)
    controlnets: list[ControlNet] = field(default_factory=list)
    clip_skip: int | None = None
    tile_px: int | None = None
    embed_graph: bool = True
