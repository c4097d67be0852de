"""How a picture is made larger.

Knows: which brick comes after which.
Does not know: ComfyUI.
"""

from __future__ import annotations

from backend.bricks import checkpoints, direct, folders, pictures, recording
from backend.media.image import Image
from backend.media.weights import fingerprint
from backend.plugins import Context

from .results import Generated, UsedModel
from .telling import finished


def enlarged(model: str, image: Image, ctx: Context, *, embed_graph: bool) -> Generated:
    """See ``operations.upscale``."""

    def work() -> Generated:
        with recording.recording() as done:
            upscaler = checkpoints.load_upscaler(model)
            pixels = pictures.enlarge(upscaler, pictures.given(image, "image.png"))
            architecture = str(getattr(upscaler.architecture, "name", "upscaler"))
            mark = fingerprint(
                folders.model_file("upscale_models", model, also=checkpoints.UPSCALERS)
            )
            used = UsedModel(name=model, architecture=architecture, fingerprint=mark)
            factor = {"model": model, "scale": pixels.shape[2] / image.width}
            return finished(
                *("sdxl.upscale", factor, used, pixels, done),
                embed=embed_graph,
                inputs={"/image": image},
            )

    return direct.run(work, ctx)
