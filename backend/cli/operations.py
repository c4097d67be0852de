"""Operations and plugins on the command line: lists, and a run.

Knows: the order of a run: describe, upload, submit, follow, download.
Does not know: the options' syntax (``cli.parameters``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli import batches, display, following, saving
from backend.cli.client import segment
from backend.cli.parameters import Parameters
from backend.cli.progress import Bar
from backend.cli.schema import Schema

if TYPE_CHECKING:
    from backend.cli.client import Client


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `kino run` was asked for."""

    operation: str
    words: Sequence[str]
    params_file: str | None
    output: Path | None
    wait: bool
    timeout_s: float
    sweep: Sequence[str] = ()
    priority: int = 0
    cache: bool = True

    @property
    def headers(self) -> dict[str, str]:
        """What is said of the job besides its parameters."""
        said = {"Kino-Priority": str(self.priority)} if self.priority else {}
        return said if self.cache else {**said, "Kino-Cache": "no"}


def list_all(client: Client, json: bool) -> None:
    """Print the operations."""
    items = client.get("/v1/operations")["items"]
    if json:
        display.as_json(items)
        return
    rows = [(item["name"], _state(item), item["summary"]) for item in items]
    display.table(("operation", "state", "summary"), rows)


def list_plugins(client: Client, json: bool) -> None:
    """Print the plugins, with the remedies of those that cannot be used."""
    items = client.get("/v1/plugins")["items"]
    if json:
        display.as_json(items)
        return
    rows = [
        (item["name"], item["version"], item["source"], _state(item), item["summary"])
        for item in items
    ]
    display.table(("plugin", "version", "source", "state", "summary"), rows)
    for item in items:
        if why := item["unavailable"]:
            display.line(f"{item['name']}: {why['reason']} {why['remedy']}")


def _state(item: Mapping[str, Any]) -> str:
    return "available" if item["available"] else "unavailable"


def run(client: Client, wanted: Wanted, json: bool) -> None:
    """Run an operation and show its result. Raises `Failure` if the job does not succeed."""
    if wanted.output is not None:
        saving.folder(wanted.output)  # said before the work, not after it
    schema = Schema(client.get(f"/v1/operations/{segment(wanted.operation)}")["schema"])
    with Bar(not json) as bar:
        uploaded: dict[Path, str] = {}

        def upload(path: Path) -> str:
            if path not in uploaded:
                with bar.file(f"uploading {path.name}") as moved:
                    uploaded[path] = str(client.upload(path, moved)["reference"])
            return uploaded[path]

        reader = Parameters(wanted.operation, schema, upload)
        path = f"/v1/operations/{segment(wanted.operation)}"
        body = reader.read(wanted.words, wanted.params_file)
        headers = wanted.headers
        if wanted.sweep:
            path, headers = "/v1/batches", {}
            body = {
                "operation": wanted.operation,
                "params": body,
                "sweep": reader.sweep(wanted.sweep),
                "priority": wanted.priority,
                "cache": wanted.cache,
            }
        if wanted.wait:
            job = following.submit_and_follow(client, path, body, bar, wanted.timeout_s, headers)
        else:
            job = following.submit(client, path, body, headers)
    if wanted.wait and wanted.sweep:
        batches.show_results(client, job, wanted.output, json)
    elif wanted.wait:
        show_result(client, job, wanted.output, json)
    elif json:
        display.as_json(job)
    else:
        display.line(job["id"])


def show_result(client: Client, job: dict[str, Any], output: Path | None, json: bool) -> None:
    """Print an ended job, its files downloaded if *output* is given. Raises `Failure` if the job
    did not succeed."""
    files: dict[str, str] = {}
    if output is not None and job["state"] == "succeeded":
        files = saving.save_outputs(client, job, output)
    if json:
        display.as_json({**job, "files": files} if output is not None else job)
    following.require_success(job, shown=json)
    if json:
        return
    for name, path in files.items():
        display.line(f"{name}: {path}")
    leaves = {} if files else saving.outputs(job["result"])
    for name, leaf in leaves.items():
        about = f"{leaf['kind']}, {leaf['file_name']}, {display.size(leaf['size'])}"
        display.line(f"{name}: {leaf['reference']} ({about})")
    for name, value in (job["result"] or {}).items():
        if not saving.outputs({name: value}):
            display.line(f"{name}: {value if isinstance(value, str) else display.short(value)}")
