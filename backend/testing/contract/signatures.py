"""The functions of ComfyUI that bricks call, and with what; they must take it.

Knows: names, how many positional arguments, which keywords.
Does not know: what the functions do.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Final

from backend.bricks._comfy import module

CALLS: Final[dict[str, tuple[int, tuple[str, ...]]]] = {
    "comfy.sd:load_checkpoint_guess_config": (1, ("embedding_directory", "te_model_options")),
    "comfy.sd:load_clip": (1, ("embedding_directory", "clip_type", "model_options")),
    "comfy.sd:load_lora_for_models": (5, ()),
    "comfy.utils:load_torch_file": (1, ("safe_load",)),
    "comfy.utils:set_progress_bar_global_hook": (1, ()),
    "comfy.utils:ProgressBar": (1, ()),
    "comfy.utils:ProgressBar.update_absolute": (4, ()),
    "comfy.lora:model_lora_keys_unet": (2, ()),
    "comfy.lora:model_lora_keys_clip": (2, ()),
    "comfy.lora:load_lora": (2, ()),
    "comfy.lora_convert:convert_lora": (1, ()),
    "comfy.model_management:get_torch_device": (0, ()),
    "comfy.model_management:get_torch_device_name": (1, ()),
    "comfy.model_management:get_total_memory": (1, ()),
    "comfy.model_management:get_free_memory": (1, ()),
    "comfy.model_management:free_memory": (2, ()),
    "comfy.model_management:soft_empty_cache": (0, ()),
    "comfy.model_management:unload_all_models": (0, ()),
    "comfy.model_management:interrupt_current_processing": (1, ()),
    "comfy.model_management:processing_interrupted": (0, ()),
    "comfy.model_management:throw_exception_if_processing_interrupted": (0, ()),
    "comfy_execution.graph_utils:ExecutionBlocker": (1, ()),
    "comfy_api.input_impl:VideoFromFile": (1, ()),
    "execution:PromptExecutor.reset": (1, ()),
    "folder_paths:get_filename_list": (1, ()),
    "folder_paths:get_full_path": (2, ()),
    "folder_paths:get_folder_paths": (1, ()),
    "folder_paths:get_input_directory": (0, ()),
    "folder_paths:get_output_directory": (0, ()),
    "folder_paths:get_temp_directory": (0, ()),
    "folder_paths:set_output_directory": (1, ()),
    "folder_paths:set_temp_directory": (1, ()),
    "folder_paths:add_model_folder_path": (2, ("is_default",)),
    "server:PromptServer": (1, ()),
}


def misfits() -> list[str]:
    """A sentence for each function that is gone or does not take what bricks give it."""
    found = []
    for place, (count, keywords) in CALLS.items():
        name, _, inside = place.partition(":")
        try:
            target: Any = functools.reduce(getattr, inside.split("."), module(name))
            inspect.signature(target).bind(*range(count), **dict.fromkeys(keywords))
        except (ImportError, AttributeError):
            found.append(f"{name}.{inside} is gone")
        except TypeError as error:
            found.append(f"{name}.{inside}: {error}")
    return found
