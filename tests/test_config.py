"""Settings come from the environment, .env and kino.toml; secrets go no further than they must."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from backend import config
from backend.config import Settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    kept = config.inherited_environment()
    for name in list(os.environ):
        if name not in kept:
            monkeypatch.delenv(name)
    return tmp_path


def test_the_environment_wins_over_the_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kino.toml gives way to .env, .env to the environment, all to keyword arguments."""
    (folder / "kino.toml").write_text('port = 1\nlog_level = "error"\nhost = "toml"\n')
    (folder / ".env").write_text("KINO_PORT=2\nKINO_HOST=dotenv\n")
    monkeypatch.setenv("KINO_PORT", "3")
    found = config.load()
    assert (found.port, found.host, found.log_level) == (3, "dotenv", "error")
    assert config.load(port=4).port == 4


def test_a_value_outside_its_range_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that does not exist is no setting."""
    monkeypatch.setenv("KINO_PORT", "65536")
    with pytest.raises(ValidationError):
        config.load()


def test_plugin_settings_are_collected_from_every_source(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KINO_<PLUGIN>__<NAME> is kept for the plugin; a group of our own is none."""
    (folder / "kino.toml").write_text("[echo]\ndepth = 1\nwide = true\n")
    (folder / ".env").write_text("KINO_ECHO__DEPTH=2\n")
    monkeypatch.setenv("KINO_ECHO__DEPTH", "3")
    monkeypatch.setenv("KINO_ECHO__TAPS", "[1, 2]")
    monkeypatch.setenv("KINO_COMFYUI__CPU", "true")
    found = config.load()
    assert found.plugin_settings == {"echo": {"depth": "3", "wide": True, "taps": [1, 2]}}
    assert found.comfyui.cpu is True


def test_secrets_are_not_written_down(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker is sent holds no plugin's key, and a worker adds nothing of its own."""
    monkeypatch.setenv("KINO_ECHO__API_KEY", "very-secret")
    monkeypatch.setenv("KINO_ECHO__DEPTH", "3")
    found = config.load()
    assert found.plugin_settings["echo"]["api_key"] == "very-secret"
    sent = found.model_dump(mode="json")
    assert "very-secret" not in str(sent) + repr(found)
    assert Settings(**sent).plugin_settings == {"echo": {"depth": "3"}}


def test_a_worker_inherits_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a worker is an allow-list without anything of KINO_*."""
    monkeypatch.setenv("KINO_API_KEYS", '["a:b"]')
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    given = config.worker_environment()
    assert "PATH" in given
    assert not [name for name in given if name.startswith(("KINO_", "AWS_"))]


def test_paths_do_not_depend_on_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is one of the folder in which Kino was started, in its workers too."""
    monkeypatch.setenv("KINO_DATA_DIR", "kept")
    found = config.load(plugins_dir="mine", comfyui={"path": "tree", "models_dir": "models"})
    assert (found.data_dir, found.plugins_dir) == (folder / "kept", folder / "mine")
    assert (found.comfyui_path, found.models_dir) == (folder / "tree", folder / "models")


def test_every_setting_is_used() -> None:
    """What no module reads would be a promise that is not kept."""
    backend = Path(config.__file__).parent
    texts = [
        path.read_text("utf-8")
        for path in backend.rglob("*.py")
        if path != Path(config.__file__) and "ComfyUI" not in path.parts
    ]
    read = set(re.findall(r"\.([a-z][a-z0-9_]*)\b", "\n".join(texts)))
    models = (config.Settings, config.ComfyUISettings, config.Limits)
    names = {name for model in models for name in model.model_fields}
    derived = {"url": "service_url", "path": "comfyui_path"}
    assert {name for name in names if derived.get(name, name) not in read} == set()


def test_older_variables_are_read_behind_all_of_ours(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the predecessors called their settings is read from the environment, else from .env;
    each is told with its new name, also where ours wins, cannot be read, or means nothing."""
    (folder / ".env").write_text("API_PORT=7000\nCOMFYUI_WORKFLOW_DIR=flows\nAPI_HOST=from-file\n")
    monkeypatch.setenv("API_HOST", "127.0.0.2")
    monkeypatch.setenv("COMFYUI_LOG_LEVEL", "WARN")
    monkeypatch.setenv("WORKER_POLL_INTERVAL", "5")
    monkeypatch.setenv("COMFYUI_PORT", "8188")
    monkeypatch.setenv("JOB_TIMEOUT", "")
    found = config.load()
    assert (found.host, found.port, found.log_level) == ("127.0.0.2", 7000, "warning")
    assert found.workflows_dir == folder / "flows"
    assert found.comfyui.port is None
    told = {each.name: each for each in config.older_variables()}
    assert set(told) == {
        "API_HOST", "API_PORT", "COMFYUI_LOG_LEVEL", "COMFYUI_WORKFLOW_DIR", "COMFYUI_PORT",
        "WORKER_POLL_INTERVAL",
    }  # fmt: skip
    assert told["API_PORT"].outcome == "it is an older name, read as KINO_PORT"
    assert told["API_PORT"].remedy == "Write KINO_PORT instead."
    assert "needless" in told["WORKER_POLL_INTERVAL"].outcome
    assert "KINO_COMFYUI__PORT" in told["COMFYUI_PORT"].outcome
    (folder / "kino.toml").write_text("port = 1\n")
    monkeypatch.setenv("KINO_HOST", "::1")
    monkeypatch.setenv("COMFYUI_LOG_LEVEL", "loud")
    found = config.load()
    assert (found.host, found.port, found.log_level) == ("::1", 1, "info")
    told = {each.name: each for each in config.older_variables()}
    assert told["API_HOST"].outcome == "it is not read, as KINO_HOST is set"
    assert told["API_PORT"].outcome == "it is not read, as KINO_PORT is set"
    assert "cannot be a value of KINO_LOG_LEVEL" in told["COMFYUI_LOG_LEVEL"].outcome


def test_older_variables_reach_no_worker_and_no_test_service(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker gets all of its settings from its parent; a service of a test has its own."""
    monkeypatch.setenv("API_PORT", "7000")
    assert "API_PORT" not in config.inherited_environment()
    assert Settings(plugin_settings={}).port == 8190
