"""Every setting of Kino, and the only module that reads the environment.

Knows: names, types, defaults and one-line explanations; ``.env.example`` is generated from here.
Does not know: who uses a setting.

A setting is read from ``KINO_<NAME>``, then ``.env``, then ``kino.toml``; nested ones with two
underscores (``KINO_COMFYUI__CPU``).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

MIB: Final = 2**20
GIB: Final = 2**30
ROOT: Final = Path(__file__).resolve().parent.parent
"""The folder that holds ``backend/`` (the clone, or site-packages)."""


class ComfyUISettings(BaseModel):
    """How ComfyUI is run inside the ``comfy`` worker."""

    model_config = ConfigDict(extra="forbid")
    path: Path | None = Field(None, description="Use the ComfyUI tree at this path instead of backend/ComfyUI.")
    enabled: bool = Field(True, description="Import ComfyUI at all.")
    cpu: bool | None = Field(None, description="Force the CPU; by default it is used when there is no GPU.")
    models_dir: Path | None = Field(None, description="Folder of model files; by default <data>/models.")
    flags: list[str] = Field([], description="Further ComfyUI flags, as a JSON list.")
    accept_modified: bool = Field(False, description="Start although the tree's digest differs from the lock.")


class Limits(BaseModel):
    """Limits that keep one caller from hurting the others."""

    model_config = ConfigDict(extra="forbid")
    json_bytes: Annotated[int, Ge(1024)] = Field(MIB, description="Largest JSON body, in bytes.")
    upload_bytes: Annotated[int, Ge(1024)] = Field(GIB, description="Largest upload, in bytes.")
    disk_floor_bytes: Annotated[int, Ge(0)] = Field(512 * MIB, description="Refuse uploads and jobs when less than this is free.")
    queued_jobs: Annotated[int, Ge(1)] = Field(1000, description="Jobs that may wait; more are answered 429.")
    image_pixels: Annotated[int, Ge(1)] = Field(50_000_000, description="Width x height x frames that an uploaded image may have.")
    audio_seconds: Annotated[float, Ge(1)] = Field(4 * 3600.0, description="Longest decoded audio, in seconds.")
    body_inactivity_s: Annotated[float, Ge(1)] = Field(30.0, description="An upload that sends nothing for so long is ended.")
    asset_grace_s: Annotated[float, Ge(0)] = Field(3600.0, description="Blobs that nobody names are kept for so long.")
    cancel_grace_s: Annotated[float, Ge(0)] = Field(5.0, description="Time between asking a job to stop and killing its worker.")
    drain_s: Annotated[float, Ge(0)] = Field(20.0, description="Time that running jobs get to finish when the service stops.")


class Settings(BaseSettings):
    """All settings. Construct with keyword arguments in tests; `load` reads the environment."""

    model_config = SettingsConfigDict(
        env_prefix="KINO_", env_nested_delimiter="__", env_file=".env", toml_file="kino.toml", extra="ignore"
    )
    host: str = Field("127.0.0.1", description="Address to listen on; anything but loopback needs an API key.")
    port: Annotated[int, Ge(0), Le(65535)] = Field(8190, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(ROOT / "data", description="Folder of the ledger, the assets and everything else that is kept.")
    output_dir: Path | None = Field(None, description="Results are also written here, under readable names.")
    plugins_dir: Path | None = Field(None, description="Folder of plugin files (*.py) to load.")
    api_keys: list[SecretStr] = Field([], description="Accepted API keys, as a JSON list of 'name:sha256-of-key'.")
    allowed_hosts: list[str] = Field([], description="Further Host names that requests may be addressed to.")
    cors_origins: list[str] = Field([], description="Exact origins that browsers may call from.")
    workers: list[Literal["cpu", "comfy"]] = Field(["cpu", "comfy"], description="Worker processes to run.")
    engine: Literal["real", "fake"] = Field("real", description="'fake' runs the torch-free test engine in every worker.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "pretty", "json"] = Field("auto", description="'auto' is pretty on a terminal, else JSON.")
    comfyui: ComfyUISettings = ComfyUISettings()
    limits: Limits = Limits()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls))

    @property
    def comfyui_path(self) -> Path:
        """The ComfyUI tree to import."""
        return self.comfyui.path or ROOT / "backend" / "ComfyUI"

    @property
    def models_dir(self) -> Path:
        return self.comfyui.models_dir or self.data_dir / "models"


def load(**overrides: Any) -> Settings:
    """Settings from the environment, ``.env`` and ``kino.toml``; *overrides* win."""
    return Settings(**overrides)


_WORKER_VARIABLES: Final = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "PYTHONPATH",
    "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "HF_HUB_OFFLINE", "PYTORCH_CUDA_ALLOC_CONF", "XDG_RUNTIME_DIR", "LD_PRELOAD", "FAKETIME",
)  # fmt: skip


def worker_environment() -> dict[str, str]:
    """The allow-listed environment of a worker process: no secrets, nothing of ``KINO_*``."""
    return {name: os.environ[name] for name in _WORKER_VARIABLES if name in os.environ}
