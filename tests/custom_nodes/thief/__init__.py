"""A pack that puts a module of its own in the place of ComfyUI's."""

import sys
import types

sys.modules["folder_paths"] = types.ModuleType("folder_paths")
NODE_CLASS_MAPPINGS: dict[str, type] = {}
