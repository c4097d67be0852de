"""A pack whose exception cannot even say what is wrong."""


class Speechless(Exception):
    def __str__(self) -> str:
        raise Speechless


class Mute:
    """A node that cannot be described, and cannot say why."""

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - ComfyUI's name
        raise Speechless


NODE_CLASS_MAPPINGS = {"SpeechlessMute": Mute}
raise Speechless
