"""The two ComfyUI graphs of the first light, in API format.

Knows: stock nodes that need no weights, and Kino's own nodes.
Does not know: how a graph is run.
"""

from __future__ import annotations

from typing import Any, Final

Graph = dict[str, dict[str, Any]]

WIDTH: Final = 960
HORIZON: Final = 340
"""Rows of sky; the water below has as many, being the sky turned over."""

SKY: Final = (0x141A3C, 0x3B2A5E, 0x8A3B6B, 0xE0685A, 0xF7B267)
"""Colours from the top to the horizon."""

SUN: Final = ((3, 0x5A2A20), (7, 0xC8783C), (15, 0xFFF4D0))
"""(rows of the grid, colour) of each glow; fewer rows make a wider one."""

HILLS: Final = (4, 5, 4, 3, 3, 2, 3, 2, 2, 1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 4, 4, 3, 3, 2)
"""How high the hills are in each column, on a grid of twelve rows."""


class Sketch:
    """Collects nodes; `add` gives the reference to a node's first output."""

    def __init__(self) -> None:
        self.graph: Graph = {}

    def add(self, node: str, **inputs: Any) -> list[Any]:
        name = str(len(self.graph) + 1)
        self.graph[name] = {"class_type": node, "inputs": inputs}
        return [name, 0]

    def colour(self, width: int, height: int, colour: int) -> list[Any]:
        return self.add("EmptyImage", width=width, height=height, batch_size=1, color=colour)

    def enlarge(self, image: list[Any], width: int, height: int) -> list[Any]:
        return self.add(
            "ImageScale",
            image=image,
            upscale_method="bicubic",
            width=width,
            height=height,
            crop="disabled",
        )

    def below(self, upper: list[Any], lower: list[Any]) -> list[Any]:
        return self.add(
            "ImageStitch",
            image1=upper,
            image2=lower,
            direction="down",
            match_image_size=False,
            spacing_width=0,
            spacing_color="black",
        )

    def blend(self, one: list[Any], other: list[Any], mode: str, factor: float) -> list[Any]:
        return self.add(
            "ImageBlend", image1=one, image2=other, blend_factor=factor, blend_mode=mode
        )

    def paste(self, onto: list[Any], image: list[Any], x: int, y: int) -> list[Any]:
        return self.add(
            "ImageCompositeMasked",
            destination=onto,
            source=image,
            x=x,
            y=y,
            resize_source=False,
        )


def sunset() -> Graph:
    """A sunset over water: single pixels, enlarged smoothly, blended, turned over and stitched."""
    sketch = Sketch()
    column = sketch.colour(1, 1, SKY[0])
    for colour in SKY[1:]:
        column = sketch.below(column, sketch.colour(1, 1, colour))
    sky = sketch.enlarge(column, WIDTH, HORIZON)

    # one bright pixel among dark ones becomes a round glow when it is enlarged
    for rows, colour in SUN:
        dark = sketch.colour(rows * 3, rows, 0x000000)
        spot = sketch.paste(dark, sketch.colour(1, 1, colour), rows * 3 // 2, rows // 2)
        sky = sketch.blend(sky, sketch.enlarge(spot, WIDTH, HORIZON), "screen", 1.0)

    # a silhouette: steps, enlarged smoothly and cut at the middle
    steps = sketch.colour(len(HILLS), 12, 0x000000)
    for x, high in enumerate(HILLS):
        steps = sketch.paste(steps, sketch.colour(1, high, 0xFFFFFF), x, 12 - high)
    soft = sketch.add("ImageToMask", image=sketch.enlarge(steps, WIDTH, HORIZON), channel="red")
    cut = sketch.add("ThresholdMask", mask=soft, value=0.5)
    hills = sketch.add(
        "ImageCompositeMasked",
        destination=sky,
        source=sketch.colour(WIDTH, HORIZON, 0x120F24),
        x=0,
        y=0,
        resize_source=False,
        mask=cut,
    )

    mirrored = sketch.add("ImageFlip", image=hills, flip_method="x-axis: vertically")
    rippled = sketch.add("ImageBlur", image=mirrored, blur_radius=6, sigma=3.0)
    water = sketch.blend(rippled, sketch.colour(WIDTH, HORIZON, 0x7C8CC8), "multiply", 0.8)
    sketch.add("SaveImage", images=sketch.below(hills, water), filename_prefix="sunset")
    return sketch.graph


def sidechain(music: str, voice: str) -> Graph:
    """Two assets into Kino's ducker under its older name, and the result out again, exactly."""
    return {
        "1": {"class_type": "KinoLoadAsset", "inputs": {"asset": music}},
        "2": {"class_type": "KinoLoadAsset", "inputs": {"asset": voice}},
        "3": {
            "class_type": "InternodeSidechain",
            "inputs": {
                "music": ["1", 0],
                "voice": ["2", 0],
                "threshold": 0.03,
                "ratio": 4.0,
                "attack": 0.01,
                "release": 0.25,
                "makeup_gain": 1.0,
            },
        },
        "4": {
            "class_type": "KinoSaveAsset",
            "inputs": {"audio": ["3", 0], "name": "ducked"},
        },
    }
