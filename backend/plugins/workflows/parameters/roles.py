"""What the values in a graph are for: prompts, seeds, steps, sizes.

Knows: what samplers, guiders, noises and schedulers call their inputs.
Does not know: names and types of parameters (``finding``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .tracing import Place, Tracer, linked

SETTINGS: Final = {
    "seed": "seed",
    "noise_seed": "seed",
    "steps": "steps",
    "cfg": "guidance",
    "cfg_conds": "guidance",
    "sampler_name": "sampler",
    "scheduler": "scheduler",
    "denoise": "denoise",
}
"""Input of a sampler, or of what is attached to it → role."""

ORDER: Final = (
    *(
        "prompt",
        "lyrics",
        "negative_prompt",
        "seed",
        "steps",
        "guidance",
        "cfg",
        "sampler",
        "scheduler",
    ),
    *("denoise", "width", "height", "batch_size"),
)
_ATTACHED: Final = ("NOISE", "GUIDER", "SAMPLER", "SIGMAS")
_POSITIVE: Final = ("positive", "conditioning", "cond1", "cond2")
_LATENTS: Final = ("latent_image", "latent", "samples", "optional_latent_image", "latents")
_SIZE: Final = ("width", "height", "batch_size")


@dataclass(frozen=True, slots=True)
class Found:
    """A value's place, what it is for, and the rule that says so."""

    place: Place
    role: str
    rule: str


def find(tracer: Tracer) -> list[Found]:
    """Every value that has a role, each place once, roles in their order."""
    found: dict[Place, Found] = {}
    roots = [node for node in tracer.graph if _is_sampler(tracer, node)]
    for root in roots:
        for each in _of_sampler(tracer, root):
            found.setdefault(each.place, each)
    if not roots:
        for each in _only_size(tracer):
            found.setdefault(each.place, each)
    return sorted(found.values(), key=lambda each: ORDER.index(each.role))


def _is_sampler(tracer: Tracer, node: str) -> bool:
    names = tracer.names(node)
    seeded = bool(names & {"seed", "noise_seed"})
    return {"noise", "guider"} <= names or ({"positive", "negative"} <= names and seeded)


def _of_sampler(tracer: Tracer, root: str) -> Iterator[Found]:
    group = [root, *_attached(tracer, root)]
    guided = False
    for node in group:
        for name in _POSITIVE:
            if linked(tracer.given(node).get(name)) is None:
                continue
            path = tracer.conditioning(node, name, negative=False)
            for place in path.texts:
                role = "lyrics" if place[1] == "lyrics" else "prompt"
                yield Found(place, role, f"text behind {name!r} of {_named(tracer, node)}")
            for passed in path.nodes:
                place_of = tracer.value(passed, "guidance")
                if "guidance" in tracer.names(passed) and place_of is not None:
                    guided = True
                    rule = f"guidance of {_named(tracer, passed)}, on the way of the prompt"
                    yield Found(place_of, "guidance", rule)
    for node in group:
        for place in tracer.conditioning(node, "negative", negative=True).texts:
            rule = f"text behind 'negative' of {_named(tracer, node)}"
            yield Found(place, "negative_prompt", rule)
    for node in group:
        yield from _settings(tracer, node, guided=guided)
    yield from _size(tracer, root)


def _attached(tracer: Tracer, root: str) -> list[str]:
    """Noise, guider, sampler and sigmas of a custom sampler, and what those are made of."""
    found: dict[str, None] = {}
    stack = [root]
    while stack:
        for _, source, slot in tracer.behind(stack.pop(), *_ATTACHED):
            kind = tracer.definitions.output(tracer.class_of(source), slot)[0]
            if kind in _ATTACHED and source not in found:
                found[source] = None
                stack.append(source)
    return list(found)


def _settings(tracer: Tracer, node: str, *, guided: bool) -> Iterator[Found]:
    names = tracer.names(node)
    for name, role in SETTINGS.items():
        if name not in names:
            continue
        if role == "seed" and tracer.given(node).get("add_noise") == "disable":
            continue  # a second stage, which draws nothing
        place = tracer.value(node, name)
        if place is not None:
            # a model that is guided by its prompt has this as a second knob
            shown = "cfg" if guided and role == "guidance" else role
            yield Found(place, shown, f"input {name!r} of {_named(tracer, node)}")


def _size(tracer: Tracer, root: str) -> Iterator[Found]:
    """Width and height of the latent that a sampler starts from."""
    stack = [link for name in _LATENTS if (link := linked(tracer.given(root).get(name)))]
    seen = set()
    while stack:
        node, _ = stack.pop()
        if node in seen or node not in tracer.graph:
            continue
        seen.add(node)
        if {"width", "height"} <= tracer.names(node):
            yield from _of_size(tracer, node, f"size of the latent of {_named(tracer, root)}")
            return
        stack += [(source, slot) for _, source, slot in tracer.behind(node, "LATENT")]


def _only_size(tracer: Tracer) -> Iterator[Found]:
    sized = [
        node
        for node in tracer.graph
        if all(tracer.is_value(node, name) for name in ("width", "height"))
    ]
    if len(sized) == 1:
        yield from _of_size(tracer, sized[0], "the only node with a width and a height")


def _of_size(tracer: Tracer, node: str, rule: str) -> Iterator[Found]:
    for name in _SIZE:
        place = tracer.value(node, name) if name in tracer.names(node) else None
        if place is not None:
            yield Found(place, name, rule)


def _named(tracer: Tracer, node: str) -> str:
    return f"node {node} ({tracer.class_of(node)})"
