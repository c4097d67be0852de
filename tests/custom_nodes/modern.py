"""A pack in a single file, with ComfyUI's newer kind of node."""

from comfy_api.latest import ComfyExtension, io


class ModernGreeting(io.ComfyNode):  # type: ignore[misc]
    """Greets somebody."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ModernGreeting",
            display_name="Greeting",
            category="modern",
            inputs=[io.String.Input("name", default="you")],
            outputs=[io.String.Output()],
        )

    @classmethod
    def execute(cls, name):
        return io.NodeOutput(f"hello {name}")


class Modern(ComfyExtension):  # type: ignore[misc]
    """The extension."""

    async def get_node_list(self):
        return [ModernGreeting]


async def comfy_entrypoint():
    return Modern()
