"""A pack whose names are taken: by ComfyUI, by Kino, by another pack."""

from aiohttp import web
from server import PromptServer

WEB_DIRECTORY = "../.."


class Clash:
    """A node under many names."""

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    CATEGORY = "clash"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
        return {"required": {"text": ("STRING", {"default": "clash"})}}

    def run(self, text):
        return (text,)


class Broken(Clash):
    """A node that cannot be described."""

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
        raise KeyError("no such folder")


@PromptServer.instance.routes.get("/good/hello")
async def hello(request):
    return web.json_response({"hello": "clash"})


NODE_CLASS_MAPPINGS = {
    "ClashOwn": Clash,
    "ClashBroken": Broken,
    "SaveImage": type("Save", (Clash,), {}),
    "KinoLoadAsset": type("Load", (Clash,), {}),
    "KinoMixerDuck": type("Duck", (Clash,), {}),
    "GoodShout": type("Shout", (Clash,), {}),
}
NODE_DISPLAY_NAME_MAPPINGS = {"KSampler": "Not a sampler", "ClashOwn": "Clash"}
