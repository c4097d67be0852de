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
