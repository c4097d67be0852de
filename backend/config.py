"""Every setting of Kino, and the only module that reads the environment.

Knows: names, types, defaults and one-line explanations; ``.env.example`` is generated from here.
Does not know: who uses a setting.

A setting is read from ``KINO_<NAME>``, then ``.env``, then ``kino.toml``; nested ones with two
underscores (``KINO_COMFYUI__CPU``). Some older variables are read too, behind all of these.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
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
    path: Path | None = Field(
        None, description="Use the ComfyUI tree at this path instead of backend/ComfyUI."
    )
    enabled: bool = Field(True, description="Import ComfyUI at all.")
    cpu: bool | None = Field(
        None, description="Force the CPU; by default it is used when there is no GPU."
    )
    models_dir: Path | None = Field(
        None, description="Folder of model files; by default <data>/models."
    )
    model_roots: list[Path] = Field(
        [], description="Further folders of model files, as a JSON list; each has one per kind."
    )
    extra_model_paths: Path | None = Field(
        None, description="A YAML file of further folders, as ComfyUI's extra_model_paths.yaml."
    )
    custom_nodes_dir: Path | None = Field(
        None, description="Folder of custom-node packs; by default <data>/custom_nodes."
    )
    custom_nodes: list[str] = Field(
        [], description="The packs in it that are loaded, by name, as a JSON list; others are not."
    )
    custom_nodes_s: Annotated[float, Ge(1), Le(100)] = Field(
        60.0, description="Longest time that loading one pack may take, in seconds."
    )
    port: Annotated[int, Ge(0), Le(65535)] | None = Field(
        None,
        description="Serve ComfyUI's own API at the root of this port too; 0 takes a free one.",
    )
    local_only: bool = Field(
        True, description="Keep the graph editor's pages from calling any other host."
    )
    flags: list[str] = Field([], description="Further ComfyUI flags, as a JSON list.")
    accept_modified: bool = Field(
        False, description="Start although the tree's digest differs from the lock."
    )

    @field_validator("path", "models_dir", "extra_model_paths", "custom_nodes_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        """Workers run in another folder, so a path must mean the same everywhere."""
        return None if value is None else value.absolute()

    @field_validator("model_roots")
    @classmethod
    def _all_absolute(cls, values: list[Path]) -> list[Path]:
        return [value.absolute() for value in values]

    @field_validator("custom_nodes")
    @classmethod
    def _plain_names(cls, values: list[str]) -> list[str]:
        """A pack is looked up among those of one folder, never opened as a path."""
        for value in values:
            if not value.strip() or value.startswith(".") or {"/", "\\", "\0"} & set(value):
                raise ValueError(f"{value!r} is not the name of a folder or file of the packs")
        return list(dict.fromkeys(values))


class Limits(BaseModel):
    """Limits that keep one caller from hurting the others."""

    model_config = ConfigDict(extra="forbid")
    json_bytes: Annotated[int, Ge(1024)] = Field(MIB, description="Largest JSON body, in bytes.")
    upload_bytes: Annotated[int, Ge(1024)] = Field(GIB, description="Largest upload, in bytes.")
    disk_floor_bytes: Annotated[int, Ge(0)] = Field(
        512 * MIB, description="Refuse uploads and jobs when less than this is free."
    )
    queued_jobs: Annotated[int, Ge(1)] = Field(
        1000, description="Jobs that may wait; more are answered 429."
    )
    image_pixels: Annotated[int, Ge(1)] = Field(
        50_000_000, description="Width x height x frames that an uploaded image may have."
    )
    audio_seconds: Annotated[float, Ge(1)] = Field(
        4 * 3600.0, description="Longest decoded audio, in seconds."
    )
    video_seconds: Annotated[float, Ge(1)] = Field(
        4 * 3600.0, description="Longest uploaded video, in seconds."
    )
    video_pixels: Annotated[int, Ge(1)] = Field(
        36_000_000, description="Width x height that an uploaded video may have."
    )
    body_inactivity_s: Annotated[float, Ge(1)] = Field(
        30.0, description="An upload that sends nothing for so long is ended."
    )
    batch_jobs: Annotated[int, Ge(1)] = Field(500, description="Most jobs in one batch.")
    batch_bytes: Annotated[int, Ge(1024)] = Field(
        32 * MIB, description="Most that the parameters of all jobs of a batch may have, in bytes."
    )
    ageing_s: Annotated[float, Ge(0.001)] = Field(
        60.0,
        description="One point of priority is worth so much waiting, in seconds; nothing starves.",
    )
    same_model_run: Annotated[int, Ge(0)] = Field(
        8, description="So many jobs for the loaded model may pass one that needs another model."
    )
    job_attempts: Annotated[int, Ge(1)] = Field(
        2, description="Attempts at a job whose worker dies or that fails in a way that may pass."
    )
    retry_backoff_s: Annotated[float, Ge(0)] = Field(
        0.5, description="Pause before the second attempt; doubled before each further one."
    )
    asset_grace_s: Annotated[float, Ge(0)] = Field(
        3600.0, description="Blobs that nobody names are kept for so long."
    )
    cancel_grace_s: Annotated[float, Ge(0)] = Field(
        5.0, description="Time between asking a job to stop and killing its worker."
    )
    drain_s: Annotated[float, Ge(0)] = Field(
        20.0, description="Time that running jobs get to finish when the service stops."
    )


_SECRET_NAME: Final = re.compile(r"(^|_)(key|password|secret|token)s?$")


class PluginValues(PydanticBaseSettingsSource):
    """``KINO_<PLUGIN>__<NAME>``: whatever is named like a setting of none of our own groups.

    Only the plugins know their names and rules, so values are collected as they are.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource
    ) -> None:
        super().__init__(settings_cls)
        self._sources = sources

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Nothing: this source fills one field, as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, dict[str, Any]] = {}
        for source in self._sources:  # the last one wins
            if isinstance(source, TomlConfigSettingsSource):
                tables = source.toml_data.items()
                pairs = [(p, k, v) for p, t in tables if isinstance(t, dict) for k, v in t.items()]
            else:
                assert isinstance(source, EnvSettingsSource)
                names = [(n.removeprefix("kino_").split("__", 1), v) for n, v in _own(source)]
                pairs = [(parts[0], parts[1], _parsed(v)) for parts, v in names if parts[1:]]
            for plugin, name, value in pairs:
                if plugin not in self.settings_cls.model_fields:
                    found.setdefault(plugin, {})[name] = value
        return {"plugin_settings": found} if found else {}


def _own(source: EnvSettingsSource) -> list[tuple[str, str]]:
    """The variables of ours that a source has; their names are in lower case."""
    return [(n, v) for n, v in source.env_vars.items() if n.startswith("kino_") and v is not None]


def _parsed(value: str) -> Any:
    """Lists and objects are written as JSON; everything else is a string."""
    if value[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


_OLDER_NAMES: Final = {
    "API_HOST": "host",
    "API_PORT": "port",
    "COMFYUI_LOG_LEVEL": "log_level",
    "COMFYUI_WORKFLOW_DIR": "workflows_dir",
}
"""Variables of the systems that Kino replaces, and the settings that they are read as."""

_INSIDE: Final = (
    "ComfyUI is inside Kino: see KINO_COMFYUI__PORT if other programs want a port of it"
)
_OLDER_WORDS: Final = {
    "COMFYUI_BACKUP_DIR": "copy the folder of KINO_DATA_DIR instead",
    "COMFYUI_CLIENT_ID": "each client chooses its own",
    "COMFYUI_HOST": _INSIDE,
    "COMFYUI_OUTPUT_DIR": "files lie below KINO_DATA_DIR",
    "COMFYUI_PORT": _INSIDE,
    "COMFYUI_SERVER_ADDRESS": _INSIDE,
    "COMFYUI_SERVER_URL": _INSIDE,
    "COMFYUI_TEMP_DIR": "files lie below KINO_DATA_DIR",
    "DEFAULT_WORKFLOW": "a workflow is called by its name",
    "JOB_TIMEOUT": "say it with each job: the header Kino-Timeout",
    "WORKER_POLL_INTERVAL": "it is needless: nothing is polled",
}
"""Those that mean nothing here, and what to do instead."""

_LEVELS: Final = {"warn": "warning", "critical": "error", "fatal": "error"}


class OlderNames(PydanticBaseSettingsSource):
    """Variables of the systems that Kino replaces: read where no name of ours says otherwise."""

    def __init__(self, settings_cls: type[BaseSettings], *sources: Any) -> None:
        super().__init__(settings_cls)
        self._sources: tuple[EnvSettingsSource, ...] = sources

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Nothing: `__call__` knows all of them."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {field: self.value(name) for name, field in _OLDER_NAMES.items()}
        return {field: value for field, value in found.items() if value is not None}

    def given(self, name: str) -> str | None:
        """What stands in the environment, or else in ``.env``; an empty value is none."""
        values = (source.env_vars.get(name.lower()) for source in self._sources)
        return next((value for value in values if value), None)

    def value(self, name: str) -> str | None:
        """The value as we write it, if it can be one."""
        given = self.given(name)
        if given is None or _OLDER_NAMES[name] not in ("port", "log_level"):
            return given
        if _OLDER_NAMES[name] == "port":
            return given if re.fullmatch("[0-9]{1,5}", given) and int(given) < 2**16 else None
        level = _LEVELS.get(given.lower(), given.lower())
        return level if level in ("debug", "info", "warning", "error") else None


@dataclass(frozen=True, slots=True)
class OlderVariable:
    """A variable of a system that Kino replaces, which is set here: what becomes of it, and what
    to write instead."""

    name: str
    outcome: str
    remedy: str


def older_variables() -> list[OlderVariable]:
    """Each that is set in the environment or in ``.env``."""
    ours = (EnvSettingsSource(Settings), DotEnvSettingsSource(Settings))
    older, toml = OlderNames(Settings, *ours), TomlConfigSettingsSource(Settings).toml_data
    found: list[OlderVariable] = []
    for name, field in _OLDER_NAMES.items():
        new = f"KINO_{field.upper()}"
        if older.given(name) is None:
            continue
        if field in toml or any(new.lower() in source.env_vars for source in ours):
            outcome = f"it is not read, as {new} is set"
        elif older.value(name) is None:
            outcome = f"it is not read: it cannot be a value of {new}"
        else:
            outcome = f"it is an older name, read as {new}"
        found.append(OlderVariable(name, outcome, f"Write {new} instead."))
    for name, words in _OLDER_WORDS.items():
        if older.given(name) is not None:
            found.append(OlderVariable(name, f"it is not read: {words}", "Remove it."))
    return found


class Settings(BaseSettings):
    """All settings. Construct with keyword arguments in tests; `load` reads the environment."""

    model_config = SettingsConfigDict(
        env_prefix="KINO_",
        env_nested_delimiter="__",
        env_file=".env",
        toml_file="kino.toml",
        extra="ignore",
    )
    host: str = Field(
        "127.0.0.1", description="Address to listen on; anything but loopback needs an API key."
    )
    port: Annotated[int, Ge(0), Le(65535)] = Field(
        8190, description="Port to listen on; 0 takes a free one."
    )
    data_dir: Path = Field(
        ROOT / "data",
        description="Folder of the ledger, the assets and everything else that is kept.",
    )
    plugins_dir: Path | None = Field(None, description="Folder of plugin files (*.py) to load.")
    workflows_dir: Path | None = Field(
        None, description="Folder of workflows (*.json) to store when the service starts."
    )
    api_keys: list[SecretStr] = Field(
        [], description="Accepted API keys, as a JSON list of 'name:sha256-of-key'."
    )
    url: str | None = Field(
        None, description="Where the command line finds Kino; by default at host and port."
    )
    api_key: SecretStr | None = Field(
        None, description="The API key that the command line shows to the service."
    )
    allowed_hosts: list[str] = Field(
        [], description="Further Host names that requests may be addressed to."
    )
    cors_origins: list[str] = Field([], description="Exact origins that browsers may call from.")
    workers: list[Literal["cpu", "comfy"]] = Field(
        ["cpu", "comfy"], description="Worker processes to run."
    )
    cache: bool = Field(
        True, description="Give the result of an equal, earlier job instead of working again."
    )
    engine: Literal["real", "fake"] = Field(
        "real", description="'fake' runs the torch-free test engine in every worker."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["auto", "pretty", "json"] = Field(
        "auto", description="'auto' is pretty on a terminal, else JSON."
    )
    comfyui: ComfyUISettings = ComfyUISettings()
    limits: Limits = Limits()
    plugin_settings: dict[str, dict[str, Any]] = Field(
        {}, description="What plugins are set to, from KINO_<PLUGIN>__<NAME>.", repr=False
    )

    @field_validator("data_dir", "plugins_dir", "workflows_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        """Workers run in another folder, so a path must mean the same everywhere."""
        return None if value is None else value.absolute()

    @field_serializer("plugin_settings")
    def _without_secrets(self, values: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Keys and passwords are not written down; workers never get them."""
        return {
            plugin: {name: v for name, v in fields.items() if not _SECRET_NAME.search(name)}
            for plugin, fields in values.items()
        }

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls)
        own = (init_settings, env_settings, dotenv_settings, toml)
        assert isinstance(init_settings, InitSettingsSource)
        if "plugin_settings" in init_settings.init_kwargs:
            return own  # a worker: what its parent sent is all there is
        return (
            *own,
            PluginValues(settings_cls, toml, dotenv_settings, env_settings),
            OlderNames(settings_cls, env_settings, dotenv_settings),
        )

    @property
    def service_url(self) -> str:
        """Where the command line finds the service."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.url or f"http://{everywhere.get(self.host, host)}:{self.port or 8190}"

    @property
    def comfyui_path(self) -> Path:
        """The ComfyUI tree to import."""
        return self.comfyui.path or ROOT / "backend" / "ComfyUI"

    @property
    def comfyui_base(self) -> Path:
        """The folder below which ComfyUI writes."""
        return self.data_dir / "comfyui"

    @property
    def custom_nodes_dir(self) -> Path:
        """The folder of custom-node packs."""
        return self.comfyui.custom_nodes_dir or self.data_dir / "custom_nodes"

    @property
    def models_dir(self) -> Path:
        return self.comfyui.models_dir or self.data_dir / "models"


def load(**overrides: Any) -> Settings:
    """Settings from the environment, ``.env`` and ``kino.toml``; *overrides* win."""
    return Settings(**overrides)


_WORKER_VARIABLES: Final = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "PYTHONPATH",
    "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    # other kernels add up in another order: a worker is to give what Python gives, to the last bit
    "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE",
    "HF_HUB_OFFLINE", "PYTORCH_CUDA_ALLOC_CONF", "XDG_RUNTIME_DIR", "LD_PRELOAD", "FAKETIME",
)  # fmt: skip


def worker_environment(more: Iterable[str] = ()) -> dict[str, str]:
    """The allow-listed environment of a worker process: no secrets, nothing of ``KINO_*``.

    *more* are names that a file of the operator's uses, for the worker to read it as we do.
    """
    theirs = (name for name in more if not name.startswith("KINO_"))
    return {name: os.environ[name] for name in (*_WORKER_VARIABLES, *theirs) if name in os.environ}


def expanded(text: str) -> str:
    """*text* with ``~`` and the environment's variables put in."""
    return os.path.expandvars(Path(text).expanduser())


def inherited_environment() -> dict[str, str]:
    """Our whole environment without settings, also by older names: for a service that a test or a
    benchmark starts."""
    older = {*_OLDER_NAMES, *_OLDER_WORDS}
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KINO_") and name not in older
    }
