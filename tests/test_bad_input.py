"""Bad input at every door: a problem that names the field and the rule, and nothing is lost.

Knows: what callers get wrong, and the status, slug, pointer and rule that each mistake is given.
Does not know: where in the service it is noticed.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcp import MCPError
from mcp.client.client import Client

from backend.config import ROOT
from backend.media.audio import Audio
from backend.media.image import Image
from backend.testing.service import Answer, Service, environment

DEADLINE_S = 300.0
DUCK = "/v1/operations/mixer.duck?wait=120"
MIX = "/v1/operations/mixer.mix?wait=120"
SAVE = "/v1/operations/files.save_audio?wait=120"
RUN = "/v1/operations/workflows.run?wait=120"
JSON = {"Content-Type": "application/json"}
INVALID = (422, "invalid-parameters")
MALFORMED = (400, "malformed-request")
UNKNOWN = (404, "unknown-name")
REJECTED = (415, "asset-rejected")
TOO_LARGE = (413, "asset-too-large")
REFUSED = "request-refused"
NOWHERE = "blake3:" + "0" * 64
PICTURE = "the picture"
"""Stands for the picture's reference, which is known only when the service runs."""


@dataclass(frozen=True)
class Stock:
    """Good assets, as references: two sounds (one of them over full scale) and a picture."""

    music: str
    voice: str
    loud: str
    picture: str

    def duck(self, **more: Any) -> dict[str, Any]:
        """Good parameters of ``mixer.duck``, but for what is given; None leaves one out."""
        given = {"music": self.music, "voice": self.voice, **more}
        return {name: value for name, value in given.items() if value is not None}

    def mix(self, *strips: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Parameters of ``mixer.mix`` with a good first strip."""
        numbered = [{"id": f"s{n}", **each} for n, each in enumerate(strips)]
        return {"mix": {"strips": [{"id": "good", "source": self.music}, *numbered], **more}}


def wav_of(audio: Audio, folder: Path) -> bytes:
    path = folder / "made.wav"
    audio.save(path)
    return path.read_bytes()


def png_of(folder: Path) -> bytes:
    path = folder / "made.png"
    Image.from_array(np.random.default_rng(3).random((40, 60, 3), np.float32)).save(path)
    return path.read_bytes()


def stock_of(service: Service, folder: Path, make_wav: Callable[..., bytes]) -> Stock:
    """Upload the good assets."""
    loud = Audio.from_samples(np.full((1, 800), 1.5, np.float32), 8000)
    contents = {
        "music.wav": make_wav(0.2),
        "voice.wav": make_wav(0.1, 880.0),
        "loud.wav": wav_of(loud, folder),
        "picture.png": png_of(folder),
    }
    return Stock(*(service.upload(c, name)["reference"] for name, c in contents.items()))


def problem_of(answer: Answer, expected: tuple[int, str]) -> dict[str, Any]:
    """The problem of an answer, after what every problem must be like was checked."""
    status, slug = expected
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"/v1/problems/{slug}"
    assert problem["status"] == status
    assert problem["detail"]
    silent(answer.body.decode())
    return problem


def silent(text: str, *secrets: Path) -> None:
    """No traceback, and no place on the server's disk."""
    for word in ("Traceback", ".py", "site-packages", "/tmp", "0x7f", *map(str, (ROOT, *secrets))):
        assert word not in text, f"{word} in {text}"


def names_rules(problem: dict[str, Any], expected: Iterable[tuple[str, str]]) -> None:
    """The problem names exactly these fields with these rules, a sentence each."""
    assert [(e["pointer"], e["rule"]) for e in problem.get("errors", ())] == list(expected)
    assert all(error["message"] for error in problem.get("errors", ()))


def still_good(service: Service, stock: Stock) -> None:
    """A good call is answered as ever."""
    assert service.run("mixer.duck", stock.duck())["state"] == "succeeded"


# --- JSON doors ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One bad request and its answer."""

    name: str
    path: str
    body: Callable[[Stock], Any]
    expected: tuple[int, str]
    rules: tuple[tuple[str, str], ...] = ()
    says: str = ""
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    method: str = "POST"


def raw(name: str, body: bytes, expected: tuple[int, str] = MALFORMED, says: str = "") -> Case:
    """A body that is sent as it is."""
    return Case(name, DUCK, lambda _: body, expected, says=says)


def broken(name: str, pointer: str, rule: str, says: str = "", **given: Any) -> Case:
    """A call of the ducker with one bad parameter."""
    return Case(name, DUCK, lambda s: s.duck(**given), INVALID, ((pointer, rule),), says)


def mixed(name: str, pointer: str, rule: str, body: Callable[[Stock], Any], says: str = "") -> Case:
    """A call of the mixer, whose parameters are nested."""
    return Case(name, MIX, body, INVALID, ((pointer, rule),), says)


def endless(stock: Stock) -> bytes:
    """Good parameters but for a number that is JSON and too large for a float."""
    return json.dumps(stock.duck(threshold_db=0.5)).replace("0.5", "-1e999").encode()


BODIES = [
    raw("cut JSON", b'{"music": "', says="JSON"),
    raw("empty body", b""),
    raw("not UTF-8", b'{"music": "\xff"}', says="UTF-8"),
    raw("NaN", b'{"threshold_db": NaN}', says="NaN"),
    raw("infinity", b'{"threshold_db": -Infinity}', says="Infinity"),
    raw("twice the same key", b'{"ratio": 2, "ratio": 3}', says="'ratio'"),
    raw("null character", b'{"music": "a\\u0000b"}', says="null"),
    raw("half a surrogate", b'{"music": "\\ud800"}', says="surrogate"),
    raw("deep nesting", b"[" * 100_000, says="nested"),
    raw("endless integer", b'{"ratio": ' + b"9" * 5000 + b"}", says="digits"),
    raw("over a mebibyte", b" " * (2**20 + 1), (413, REFUSED), says="1048576"),
    Case("a list", DUCK, lambda _: [1], INVALID, (("", "model_type"),)),
    Case("form", DUCK, lambda _: b"a=1", (415, REFUSED), headers={"Content-Type": "text/plain"}),
    Case(
        "packed body", DUCK, lambda _: b"{}", (415, REFUSED),
        headers={**JSON, "Content-Encoding": "gzip"},
    ),
]  # fmt: skip

VALUES = [
    Case("unknown operation", "/v1/operations/mixer.dukc", lambda s: s.duck(), UNKNOWN,
         says="mixer.duck"),
    broken("unit in the value", "/threshold_db", "float_type", threshold_db="-24 dB"),
    broken("over the range", "/threshold_db", "less_than_equal", threshold_db=6.0),
    broken("under the range", "/ratio", "greater_than_equal", ratio=0.5),
    Case("infinite", DUCK, endless, INVALID, (("/threshold_db", "finite_number"),)),
    broken("bool for a number", "/ratio", "float_type", ratio=True),
    broken("other unit's name", "/threshold", "extra_forbidden", threshold=0.1),
    broken("missing", "/voice", "missing", voice=None),
    mixed("nested range", "/mix/strips/1/pan", "less_than_equal",
          lambda s: s.mix({"source": s.voice, "pan": 2.0})),
    mixed("nested unknown field", "/mix/strips/1/level", "extra_forbidden",
          lambda s: s.mix({"source": s.voice, "level": 1.0})),
    mixed("nested foreign asset", "/mix/strips/1/source", "asset",
          lambda s: s.mix({"source": s.picture}), "an image, audio is needed"),
    mixed("too few", "/mix/strips", "too_short", lambda s: {"mix": {"strips": []}}),
    mixed("too many", "/mix/strips", "too_long", lambda s: s.mix(*[{"source": s.music}] * 32)),
    mixed("a doubled id", "/mix/strips/1/id", "doubled",
          lambda s: s.mix({"source": s.voice, "id": "good"}), "'good' stands twice"),
    mixed("an unknown bus", "/mix/strips/1/sends/0/bus", "unknown_bus",
          lambda s: s.mix({"source": s.voice, "sends": [{"bus": "hall"}]}), "no bus 'hall'"),
    mixed("an unknown key", "/mix/strips/1/compressor/key", "unknown_strip",
          lambda s: s.mix({"source": s.voice, "compressor": {"key": "strip:x"}}), "no strip 'x'"),
    mixed("a later version", "/mix/version", "literal_error", lambda s: s.mix(version=2)),
    mixed("a point out of range", "/mix/strips/1/fader_db/points/1/1", "range",
          lambda s: s.mix({"source": s.voice, "fader_db": {"points": [[0, 0], [1, 99]]}})),
    broken("missing asset", "/music", "asset", "there is no asset", music=NOWHERE),
    broken("missing id", "/music", "asset", "there is no asset", music="ast_" + "0" * 26),
    broken("foreign asset", "/voice", "asset", "an image, audio is needed", voice=PICTURE),
    broken("a path", "/music", "reference", music="../../etc/passwd"),
    broken("a newline after it", "/music", "reference", music=NOWHERE + "\n"),
    broken("no string", "/music", "reference", music=7),
    Case("over 0 dBFS in integers", SAVE, lambda s: {"audio": s.loud, "format": "wav_16bit"},
         INVALID, (("/format", "peak_over_full_scale"),), "normalize_db"),
    Case("wait is no number", DUCK.replace("120", "NaN"), lambda s: s.duck(), INVALID,
         (("/query/wait", "finite_number"),)),
    Case("wait for ever", DUCK.replace("120", "1e9"), lambda s: s.duck(), INVALID,
         (("/query/wait", "less_than_equal"),)),
    Case("unknown query", DUCK + "&sync=1", lambda s: s.duck(), INVALID,
         (("/query/sync", "extra_forbidden"),)),
    Case("priority in words", DUCK, lambda s: s.duck(), INVALID,
         (("/headers/Kino-Priority", "int_parsing"),), headers={**JSON, "Kino-Priority": "high"}),
    Case("metadata that are no object", DUCK, lambda s: s.duck(), INVALID,
         (("/headers/Kino-Metadata", "dict_type"),), headers={**JSON, "Kino-Metadata": "[1]"}),
    Case("unknown job", "/v1/jobs/job_" + "0" * 26, lambda _: None, UNKNOWN, method="GET"),
    Case("cursor of nothing", "/v1/jobs?cursor=x", lambda _: None, INVALID,
         (("/query/cursor", "cursor"),), method="GET"),
    Case("unknown state", "/v1/jobs?state=lost", lambda _: None, INVALID,
         (("/query/state", "literal_error"),), method="GET"),
    Case("unknown asset", "/v1/assets/ast_" + "0" * 26, lambda _: None, UNKNOWN, method="GET"),
    Case("a path for an asset", "/v1/assets/..%2f..%2fkino.db", lambda _: None, UNKNOWN,
         method="GET"),
    Case("unknown path", "/v2/operations", lambda _: None, UNKNOWN, method="GET"),
    Case("method that is none here", "/v1/operations", lambda _: {}, (405, REFUSED)),
]  # fmt: skip


# --- graphs ----------------------------------------------------------------------------------


def empty(**inputs: Any) -> dict[str, Any]:
    """A good ``EmptyImage`` node but for what is given."""
    return node("EmptyImage", **{"width": 64, "height": 64, "batch_size": 1, "color": 0, **inputs})


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def save(source: str = "1", slot: Any = 0) -> dict[str, Any]:
    return node("SaveImage", images=[source, slot], filename_prefix="bad")


def graph(name: str, nodes: Any, *rules: tuple[str, str], says: str = "") -> Case:
    """A graph that is refused with these rules; their pointers are relative to ``/graph``."""
    where = tuple((f"/graph{pointer}", rule) for pointer, rule in rules)
    return Case(name, RUN, lambda _: {"graph": nodes}, INVALID, where, says)


BLUR = {"blur_radius": 1, "sigma": 1.0}
GRAPHS = [
    graph("no graph", [], ("", "graph")),
    graph("no nodes", {}, ("", "graph_size")),
    graph("the editor's format", {"nodes": [], "links": []}, ("/nodes", "graph_format"),
          says="Export (API)"),
    graph("no class", {"1": {"inputs": {}}}, ("/1/class_type", "class_type")),
    graph("unknown key", {"1": {**empty(), "mode": 4}}, ("/1/mode", "extra_forbidden")),
    graph("unknown node", {"1": node("EmptyImagee"), "2": save()},
          ("/1/class_type", "unknown_node"), says="EmptyImage"),
    graph("cycle",
          {"1": node("ImageBlur", image=["2", 0], **BLUR),
           "2": node("ImageBlur", image=["1", 0], **BLUR), "3": save("2")},
          ("/2/inputs/image", "cycle"), says="cycle"),
    graph("itself", {"1": node("ImageBlur", image=["1", 0], **BLUR), "2": save()},
          ("/1/inputs/image", "cycle")),
    graph("dangling link", {"1": empty(), "2": save("9")}, ("/2/inputs/images", "unknown_link"),
          says="node 9"),
    graph("output that is none", {"1": empty(), "2": save("1", 3)},
          ("/2/inputs/images", "unknown_output")),
    graph("no output", {"1": empty()}, ("", "no_output"), says="SaveImage"),
    graph("wrong input type", {"1": empty(width="wide"), "2": save()},
          ("/1/inputs/width", "invalid_input_type"), says="width"),
    graph("wrong socket", {"1": node("SolidMask", value=1.0, width=8, height=8), "2": save()},
          ("/2/inputs/images", "return_type_mismatch")),
    graph("range of a node", {"1": empty(width=0), "2": save()},
          ("/1/inputs/width", "value_smaller_than_min")),
    graph("no such choice",
          {"1": empty(), "2": node("ImageScale", image=["1", 0], upscale_method="magic", width=8,
                                   height=8, crop="disabled"), "3": save("2")},
          ("/2/inputs/upscale_method", "value_not_in_list")),
    graph("missing link", {"1": node("SaveImage", filename_prefix="bad")},
          ("/1/inputs/images", "required_input_missing")),
    graph("missing asset", {"1": node("KinoLoadAsset", asset=NOWHERE), "2": save("1", 1)},
          ("/1/inputs/asset", "asset"), says="there is no asset"),
    graph("no reference", {"1": node("KinoLoadAsset", asset="music.wav"), "2": save("1", 1)},
          ("/1/inputs/asset", "reference")),
    Case("range of our own node", RUN, lambda s: {"graph": {
        "1": node("KinoLoadAsset", asset=s.music),
        "2": node("KinoMixerDuck", music=["1", 0], voice=["1", 0], threshold_db=6.0),
        "3": node("KinoSaveAsset", audio=["2", 0], name="bad")}},
        INVALID, (("/graph/2/inputs/threshold_db", "value_bigger_than_max"),)),
    Case("foreign asset", RUN, lambda s: {"graph": {
        "1": node("KinoLoadAsset", asset=s.picture),
        "2": node("KinoSaveAsset", audio=["1", 0], name="bad")}},
        INVALID, (("/graph/1/inputs/asset", "asset"),), "of kind image"),
]  # fmt: skip


@pytest.fixture(scope="module")
def stock(
    service: Service,
    make_wav: Callable[..., bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Stock:
    return stock_of(service, tmp_path_factory.mktemp("stock"), make_wav)


def send(service: Service, case: Case, stock: Stock) -> Answer:
    body = case.body(stock)
    if isinstance(body, dict) and body.get("voice") == PICTURE:
        body["voice"] = stock.picture
    return service.ask(case.method, case.path, body, headers=case.headers, seconds=DEADLINE_S)


@pytest.mark.xdist_group("comfy")
@pytest.mark.parametrize("case", [*BODIES, *VALUES, *GRAPHS], ids=lambda case: case.name)
def test_a_bad_call(service: Service, stock: Stock, case: Case) -> None:
    """Status, slug, pointer and rule are the mistake's own; the next call is answered as ever."""
    problem = problem_of(send(service, case, stock), case.expected)
    names_rules(problem, case.rules)
    assert case.says in json.dumps(problem, ensure_ascii=False)
    silent(json.dumps(problem), service.data_dir)
    still_good(service, stock)


@pytest.mark.xdist_group("comfy")
def test_a_misspelt_input_is_named(service: Service) -> None:
    """ComfyUI ignores an input that a node does not have; the result names it."""
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"widht": 64, "height": 8}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    }
    warnings = " ".join(service.run("workflows.run", {"graph": graph})["result"]["warnings"])
    assert "no input 'widht'" in warnings
    assert "did you mean width?" in warnings
    assert "filename_prefix was not given" in warnings


def counts(service: Service) -> dict[str, int]:
    """How many assets and jobs the ledger holds, and how many blobs lie on the disk."""
    with closing(sqlite3.connect(f"file:{service.data_dir / 'kino.db'}?mode=ro", uri=True)) as db:
        (assets,), (jobs,) = (
            db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("asset", "job")
        )
    blobs = sum(path.is_file() for path in (service.data_dir / "blobs").rglob("*"))
    return {"assets": assets, "jobs": jobs, "blobs": blobs}


def test_bad_calls_lose_nothing(
    launch: Callable[..., Service], make_wav: Callable[..., bytes], tmp_path: Path
) -> None:
    """A refused call leaves no row and no blob; one that failed in its run leaves its job."""
    own = launch()
    own.wait_ready()
    stock = stock_of(own, tmp_path, make_wav)
    still_good(own, stock)
    before = counts(own)
    answers = [send(own, case, stock) for case in (*BODIES, *VALUES)]
    assert all(answer.status >= 400 for answer in answers)
    failed = [answer.json()["job"] for answer in answers if "job" in answer.json()]
    assert len(failed) == 1
    assert own.get(f"/v1/jobs/{failed[0]}")["error"]["type"] == "/v1/problems/invalid-parameters"
    assert counts(own) == {**before, "jobs": before["jobs"] + 1}
    still_good(own, stock)
    assert counts(own) == {  # the same result: a new job and its row, the same blob
        "assets": before["assets"] + 1,
        "jobs": before["jobs"] + 2,
        "blobs": before["blobs"],
    }


# --- the other doors -------------------------------------------------------------------------


@pytest.mark.xdist_group("comfy")
async def test_mcp_names_the_rule(service: Service, stock: Stock) -> None:
    """A tool's mistakes come back as its result, with the problem; an unknown tool is an error of
    the protocol."""
    wanted = {
        "/ratio": stock.duck(ratio=0.5),
        "/music": stock.duck(music=NOWHERE),
        "/voice": stock.duck(voice=stock.picture),
    }
    async with Client(service.url + "/mcp") as client:
        for pointer, arguments in wanted.items():
            called = await client.call_tool("mixer_duck", arguments)
            assert called.is_error is True
            problem = called.structured_content
            assert problem is not None
            assert problem["type"] == "/v1/problems/invalid-parameters"
            assert [error["pointer"] for error in problem["errors"]] == [pointer]
            silent(json.dumps(problem), service.data_dir)
        with pytest.raises(MCPError, match="no tool of this name"):
            await client.call_tool("mixer_dukc", {})
        assert (await client.call_tool("mixer_duck", stock.duck())).is_error is False


@pytest.mark.xdist_group("comfy")
@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("run", "mixer.dukc"), 1, "mixer.duck"),
        (("run", "mixer.duck", "--ratio=0.5", "MUSIC", "VOICE"), 1, "/ratio"),
        (("run", "mixer.duck", f"--music={NOWHERE}", "VOICE"), 1, "/music"),
        (("run", "mixer.duck", "--music=@nowhere.wav", "VOICE"), 2, "nowhere.wav"),
        (("run", "mixer.duck", "--threshold=-24", "MUSIC", "VOICE"), 2, "threshold"),
        (("run", "mixer.duck", "--ratio=much", "MUSIC", "VOICE"), 1, "/ratio"),
        (("run", "mixer.duck", "MUSIC"), 1, "/voice"),
    ],
)
def test_the_command_line_names_the_rule(
    service: Service,
    stock: Stock,
    tmp_path: Path,
    words: tuple[str, ...],
    status: int,
    says: str,
) -> None:
    """One sentence on stderr that names the field, a status of its own, no traceback."""
    named = {"MUSIC": f"--music={stock.music}", "VOICE": f"--voice={stock.voice}"}
    ended = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "backend"),
            *(named.get(word, word) for word in words),
            *("--url", service.url),
        ],
        env=environment({}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert ended.returncode == status, ended.stderr
    assert says in ended.stderr
    silent(ended.stderr, service.data_dir)
