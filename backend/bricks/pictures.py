"""Pictures between verbs: scaled, laid over one another, made larger by a model.

Knows: IMAGE and MASK, as nodes hand them on, and where they come from in a recorded graph.
Does not know: what is in a picture.
"""

from __future__ import annotations

from typing import Any

from backend.bricks import sockets
from backend.bricks.direct import verb
from backend.bricks.recording import record
from backend.media.image import Image, Mask


def given(image: Image, name: str) -> Any:
    """A picture as IMAGE ``[1, H, W, 3]``, its transparency left out. A recorded graph loads it
    from the input file *name*."""
    pixels = sockets.image_to_socket(image)[..., :3].contiguous()
    record("LoadImage", {"image": name}, (pixels,))
    return pixels


def given_mask(mask: Mask, name: str) -> Any:
    """A mask as MASK ``[1, H, W]``; a recorded graph loads it from the input file *name*."""
    values = sockets.mask_to_socket(mask)
    record("LoadImageMask", {"image": name, "channel": "red"}, (values,))
    return values


def scale(image: Any, width: int, height: int, method: str = "lanczos") -> Any:
    """The picture at another size; what does not fit the new shape is cut off evenly."""
    made = verb(
        "ImageScale",
        image=image,
        upscale_method=method,
        width=width,
        height=height,
        crop="center",
    )
    return made[0]


def lay_over(below: Any, above: Any, mask: Any) -> Any:
    """*above* where *mask* is 1, *below* where it is 0 (bit for bit), a mixture in between.

    A batch *above* is laid over as many copies of *below*.
    """
    count = above.shape[0]
    if below.shape[0] != count:
        below = verb("RepeatImageBatch", image=below, amount=count)[0]
    made = verb(
        "ImageCompositeMasked",
        destination=below,
        source=above,
        x=0,
        y=0,
        resize_source=False,
        mask=mask,
    )
    return made[0]


def enlarge(upscaler: Any, image: Any) -> Any:
    """The picture made larger by an upscaling model, in tiles that shrink if memory runs out."""
    return verb("ImageUpscaleWithModel", upscale_model=upscaler, image=image)[0]
