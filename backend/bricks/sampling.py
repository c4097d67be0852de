"""Sampling: samplers and schedulers by names that we check, and the samplers at work.

Knows: the lists, asked of ComfyUI at run time, and how to refuse a name that is not on them.
Does not know: what a sampler does. (ComfyUI silently takes the first one for an unknown name.)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from backend.bricks._comfy import module
from backend.bricks.direct import verb
from backend.errors import FieldError, InvalidParameters, refused
from backend.media.dependence import no_name


def samplers() -> tuple[str, ...]:
    """Names of the samplers of this ComfyUI."""
    return tuple(module("comfy.samplers").KSampler.SAMPLERS)


def schedulers() -> tuple[str, ...]:
    """Names of the schedulers of this ComfyUI."""
    return tuple(module("comfy.samplers").KSampler.SCHEDULERS)


def check(sampler: str, scheduler: str) -> None:
    """Raises `InvalidParameters` unless both names are known; near ones are suggested."""
    pairs = (("sampler", sampler, samplers()), ("scheduler", scheduler, schedulers()))
    errors = [
        FieldError(f"/{kind}", f"unknown_{kind}", no_name(kind, name, known))
        for kind, name, known in pairs
        if name not in known
    ]
    if errors:
        raise InvalidParameters(errors[0].message, errors=errors)


def sample(
    model: Any,
    positive: Any,
    negative: Any,
    latent: Any,
    *,
    seed: int,
    steps: int = 20,
    guidance: float = 7.0,
    sampler: str = "euler",
    scheduler: str = "normal",
    denoise: float = 1.0,
) -> Any:
    """The latent after *steps* steps; with *denoise* below 1 it begins that far from the end, at
    *latent* with so much noise. Equal arguments, equal latents.

    Raises `InvalidParameters` for unknown names, `OutOfMemory` after one more attempt.
    """
    check(sampler, scheduler)
    made = verb(
        "KSampler",
        model=model,
        seed=seed,
        steps=steps,
        cfg=guidance,
        sampler_name=sampler,
        scheduler=scheduler,
        positive=positive,
        negative=negative,
        latent_image=latent,
        denoise=denoise,
    )
    return made[0]


def sigmas(model: Any, scheduler: str, steps: int, denoise: float = 1.0) -> Any:
    """The noise levels of a scheduler, ``[steps + 1]``, falling. Raises `InvalidParameters`."""
    check(samplers()[0], scheduler)
    made = verb("BasicScheduler", model=model, scheduler=scheduler, steps=steps, denoise=denoise)
    return made[0]


def sigmas_of(values: Sequence[float]) -> Any:
    """Noise levels of one's own, for `sample_custom`. Raises `InvalidParameters` unless there are
    two or more, not negative, falling all the way."""
    falling = all(high > low for high, low in pairwise(values))
    if len(values) < 2 or not falling or not values[-1] >= 0 or values[0] == float("inf"):
        raise refused("/sigmas", "sigmas", "two or more noise levels, falling all the way to >= 0")
    return module("torch").tensor(list(values), dtype=module("torch").float32)


def sample_custom(
    model: Any,
    positive: Any,
    negative: Any,
    latent: Any,
    *,
    seed: int,
    sigmas: Any,
    guidance: float = 7.0,
    sampler: str = "euler",
) -> Any:
    """The latent after the steps between the given noise levels. Raises as `sample` does."""
    check(sampler, schedulers()[0])
    chosen = verb("KSamplerSelect", sampler_name=sampler)[0]
    made = verb(
        "SamplerCustom",
        model=model,
        add_noise=True,
        noise_seed=seed,
        cfg=guidance,
        positive=positive,
        negative=negative,
        sampler=chosen,
        sigmas=sigmas,
        latent_image=latent,
    )
    return made[0]
