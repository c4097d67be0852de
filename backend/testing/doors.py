"""One call through every door: what comes out must be the same, bit for bit.

Knows: how to make the same call in Python, over HTTP, on the command line, by MCP and as a node.
Does not know: what the operation does. A door that this service lacks is left out and not named
in the answer, so that a test can say which doors it means.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from backend.config import inherited_environment
from backend.media import codecs
from backend.media.reference import MediaValue
from backend.operations import Operation
from backend.services import invocation
from backend.testing.service import Service

DOORS: Final = ("python", "http", "openapi", "cli", "mcp", "node")
PATIENCE_S: Final = 300.0
SLOT: Final = {
    name: slot
    for slot, name in enumerate(("audio", "image", "mask", "midi", "automation", "file", "video"))
}
"""Which output of the node ``KinoLoadAsset`` gives a kind."""

Upload = Callable[[MediaValue], str]


def assert_every_door(
    service: Service, operation: Operation[..., Any], **arguments: Any
) -> tuple[str, ...]:
    """Call *operation* in this process and through every door of *service*; compare the results.

    Media outputs are compared by the hash of their canonical file, other values as JSON. Returns
    the names of the doors that were compared, out of `DOORS`; ``node`` needs a comfy worker with
    ComfyUI. Raises ``AssertionError`` naming the first door that differs.
    """
    with tempfile.TemporaryDirectory(prefix="kino-doors-") as name:
        folder = Path(name)
        returned = operation(**arguments)
        expected = written(invocation.result_of(operation, returned, _made(folder / "python")))
        call = Call(service, operation, as_json(arguments, uploader(service, folder)))
        doors: dict[str, Callable[[], Any]] = {
            "http": call.over_http,
            "openapi": call.as_published,
            "cli": call.on_the_command_line,
            "mcp": call.by_mcp,
        }
        if service.get("/v1/system")["comfyui"]["state"] == "ready":
            doors["node"] = call.as_a_node
        for door, through in doors.items():
            compare(f"{operation.name} by {door}", through(), expected, door)
        return ("python", *doors)


def compare(what: str, came: dict[str, Any], expected: dict[str, Any], door: str) -> None:
    """Raise ``AssertionError`` if what *came* through *door* is not what was *expected*."""
    if door == "openapi":  # a promise: names without values
        came, expected = dict.fromkeys(came), dict.fromkeys(expected)
    if door == "node":  # plain values stay inside the graph
        expected = {name: expected[name] for name in came}
    if came != expected:
        raise AssertionError(f"{what}: {came!r} is not {expected!r}")


@dataclass
class Call:
    """One call of an operation with JSON parameters; each method gives the result as JSON, with
    a content reference in the place of each media value."""

    service: Service
    operation: Operation[..., Any]
    params: dict[str, Any]

    def over_http(self) -> dict[str, Any]:
        job = self.service.run(self.operation.name, self.params, seconds=PATIENCE_S)
        return written(_succeeded(job))

    def as_published(self) -> dict[str, Any]:
        """The outputs that OpenAPI promises."""
        document = self.service.get("/openapi.json")
        post = document["paths"][f"/v1/operations/{self.operation.name}"]["post"]
        answer = post["responses"]["200"]["content"]["application/json"]["schema"]
        outputs: dict[str, Any] = answer["allOf"][1]["properties"]["result"]["properties"]
        return outputs

    def on_the_command_line(self) -> dict[str, Any]:
        done = kino(self.service, "run", self.operation.name, "--params", "-", "--json",
                    given=json.dumps(self.params))  # fmt: skip
        return written(_succeeded(json.loads(done)))

    def by_mcp(self) -> dict[str, Any]:
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": self.operation.slug, "arguments": self.params},
        }
        answer = self.service.ask("POST", "/mcp", message, seconds=PATIENCE_S).json()["result"]
        if answer["isError"]:
            raise AssertionError(f"{self.operation.slug} by mcp: {answer['content']}")
        return written({k: v for k, v in answer["structuredContent"].items() if k != "job"})

    def as_a_node(self) -> dict[str, Any]:
        """The media outputs of the derived node, run inside ComfyUI's executor."""
        job = self.service.run("workflows.run", {"graph": self.graph()}, seconds=PATIENCE_S)
        result = _succeeded(job)
        leaves = {
            invocation.flat_name(field, number): leaf
            for field, items in result.items()
            if isinstance(items, list)
            for number, leaf in enumerate(items, 1)
        }
        return {given: leaves[flat]["reference"] for flat, given in result["names"].items()}

    def graph(self) -> dict[str, Any]:
        """The call as a graph: assets in, the node, its media outputs out."""
        slots = dict(slots_of(self.params, documents=self._documents()))
        media = self._media_slots(slots)
        loaders = {
            f"load {slot}": {"class_type": "KinoLoadAsset", "inputs": {"asset": slots[slot]}}
            for slot in media
        }
        linked = {slot: [f"load {slot}", SLOT[kind]] for slot, kind in media.items()}
        node = {"class_type": self.operation.node_id, "inputs": {**slots, **linked}}
        savers = {
            f"save {output.name}": {
                "class_type": "KinoSaveAsset",
                "inputs": {"name": output.name, output.kind: ["node", index]},
            }
            for index, output in enumerate(self.operation.outputs)
            if output.kind != "value" and output.arity == "one"
        }
        return {**loaders, "node": node, **savers}

    def _documents(self) -> list[str]:
        """Parameters that a node takes as one text."""
        schema = self.operation.json_schema()
        known = schema.get("$defs", {})
        names = {
            name: str(each.get("$ref", "")).rpartition("/")[2]
            for name, each in schema.get("properties", {}).items()
        }
        return [name for name, ref in names.items() if "x-kino-document" in known.get(ref, {})]

    def _media_slots(self, slots: Mapping[str, Any]) -> dict[str, str]:
        """Slot → kind, for the values that are references."""
        kinds = {}
        for slot, value in slots.items():
            if isinstance(value, str) and value.startswith("blake3:"):
                kinds[slot] = str(self.service.get(f"/v1/assets/{quote(value)}")["kind"])
        return kinds


def slots_of(
    params: Mapping[str, Any], before: str = "", documents: Collection[str] = ()
) -> Iterator[tuple[str, Any]]:
    """Parameters by a node's flat names: ``field_1`` in a list, ``parent_field`` in a model; each
    of the *documents* is one text."""
    for key, value in params.items():
        if key in documents:
            yield f"{before}{key}", json.dumps(value)
        else:
            yield from _slots(f"{before}{key}", value)


def _slots(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from slots_of(value, f"{name}_")
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _slots(invocation.flat_name(name, number), item)
    elif value is not None:
        yield name, value


def kino(service: Service, *words: str, given: str = "") -> str:
    """Run ``kino`` against *service*; return what it prints.

    Raises ``AssertionError`` with its own words if it fails.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "backend", *words],
        env={**inherited_environment(), "KINO_URL": service.url},
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"kino {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def uploader(service: Service, folder: Path) -> Upload:
    """Gives each media value to *service*; returns its content reference."""

    def upload(value: MediaValue) -> str:
        codec = codecs.CODECS[value.kind]
        path = folder / f"input{codec.suffix}"
        codec.save(value, path)
        asset = service.upload(path.read_bytes(), path.name)
        path.unlink()
        return str(asset["reference"])

    return upload


def as_json(value: Any, upload: Upload) -> Any:
    """Arguments as a caller from outside writes them: media as references, models as objects."""
    if isinstance(value, MediaValue):
        return upload(value)
    if isinstance(value, BaseModel):
        return {name: as_json(getattr(value, name), upload) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: as_json(item, upload) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item, upload) for item in value]
    return to_jsonable_python(value)


def written(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result with a content reference in the place of each media value."""
    return {name: _written(value) for name, value in result.items()}


def _written(value: Any) -> Any:
    if isinstance(value, Mapping):
        leaf = value.get(invocation.LEAF)
        if isinstance(leaf, Mapping):
            return f"blake3:{str(leaf['blake3']).removeprefix('blake3:')}"
        if {"reference", "asset"} <= value.keys():
            return value["reference"]
        return {key: _written(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_written(item) for item in value]
    return value


def _succeeded(job: Mapping[str, Any]) -> dict[str, Any]:
    if job["state"] != "succeeded":
        raise AssertionError(f"{job['operation']} {job['state']}: {job['error']}")
    result: dict[str, Any] = job["result"]
    return result


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
