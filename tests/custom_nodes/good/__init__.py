"""A pack that behaves as many do: it prints, reads the command line, changes the search path."""

import argparse
import os
import sys
from pathlib import Path

from aiohttp import web
from server import PromptServer

from .words import TONES, shout

HERE = Path(__file__).parent
WEB_DIRECTORY = "./web"
print("good: hello")
argparse.ArgumentParser().parse_args()
sys.path.insert(0, str(HERE / "later"))
sys.argv.append("--good")
os.chdir("/")


@PromptServer.instance.routes.get("/good/hello")
async def hello(request):
    return web.json_response({"hello": "good"})


class GoodShout:
    """Gives a text, louder."""

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    OUTPUT_NODE = True
    CATEGORY = "good"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
        return {
            "required": {
                "text": ("STRING", {"default": "hello", "multiline": True}),
                "times": ("INT", {"default": 1, "min": 1, "max": 5}),
                "gap": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.1}),
                "tone": (TONES,),
                "loud": ("BOOLEAN", {"default": False}),
            }
        }

    def run(self, text, times, gap, tone, loud):
        # found in this pack's own folder, long after it was loaded
        import good_ending  # type: ignore[import-not-found]

        said = shout(text, times, loud) + good_ending.ENDING
        return {"ui": {"text": [said]}, "result": (said,)}


NODE_CLASS_MAPPINGS = {"GoodShout": GoodShout}
NODE_DISPLAY_NAME_MAPPINGS = {"GoodShout": "Shout"}
