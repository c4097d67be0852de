"""A pack of one node that works until a test says so, by a file: however slow the machine is, the
test finds it at work, and it is over soon after.

Knows: ComfyUI's interruption, and its bar of progress, which soon stands at 99 of 100.
Does not know: which test waits. Named by ``comfyui__custom_nodes_dir`` and ``…custom_nodes``.
"""

import time
from pathlib import Path

from comfy import model_management
from comfy.utils import ProgressBar


class TestGate:
    """Passes an image on as soon as there is a file *until*."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "tests"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
        return {"required": {"image": ("IMAGE",), "until": ("STRING", {"default": ""})}}

    def run(self, image, until):
        bar, done = ProgressBar(100), 0
        while not Path(until).exists():
            model_management.throw_exception_if_processing_interrupted()
            done = min(done + 1, 99)
            bar.update_absolute(done)
            time.sleep(0.03)
        return (image,)


NODE_CLASS_MAPPINGS = {"TestGate": TestGate}
