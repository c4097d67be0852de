"""Options that several commands share, and the settings behind them.

Knows: their names and help.
Does not know: the commands.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from backend.cli.failure import Misused

if TYPE_CHECKING:
    from backend.cli.client import Client
    from backend.config import Settings

DAY_S: Final = 86400.0

Url: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Kino's address; by default KINO_URL, else http://127.0.0.1:8190."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON document for scripts.")]
Output: TypeAlias = Annotated[
    Path | None, typer.Option(help="Download the files into this folder; nothing is overwritten.")
]
Timeout: TypeAlias = Annotated[
    float, typer.Option(min=0.1, help="Seconds to wait for the end; the job goes on after them.")
]


def settings(**overrides: Any) -> Settings:
    """The settings. Raises `Misused` naming the setting that cannot be read."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from backend import config

    try:
        return config.load(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = "KINO_" + "__".join(str(part) for part in first["loc"]).upper()
        raise Misused(
            f"the setting {name} breaks a rule: {first['msg']}",
            "Mend it on the command line, in the environment, in .env or in kino.toml.",
        ) from error
    except (SettingsError, ValueError) as error:  # ValueError: a kino.toml that is no TOML
        raise Misused(f"the settings cannot be read: {error}") from error


def client(context: typer.Context, url: str | None) -> Client:
    """The service that *url*, ``kino --url`` or the settings name."""
    from backend.cli.client import Client

    wanted = settings()
    key = wanted.api_key.get_secret_value() if wanted.api_key else None
    root = context.find_root().params.get("url")
    return Client(url or root or wanted.service_url, key)
