"""list, describe, plugins and run, through a real service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

DUCK = ("run", "mixer.duck", "--music=@music.wav", "--voice=@voice.wav")


def test_list_shows_every_operation(kino, cpu_service) -> None:
    """`kino list` has a line for each operation, and --json is what HTTP answers."""
    items = cpu_service.get("/v1/operations")["items"]
    lines = kino.ok("list").out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [item["name"] for item in items]
    assert kino.ok("list", "--json").json() == items


def test_describe_shows_ranges_units_and_nested_fields(kino, cpu_service) -> None:
    """`kino describe` tells option, unit, range and default, also inside of lists."""
    said = kino.ok("describe", "mixer.duck").out
    line = next(line for line in said.splitlines() if line.startswith("--threshold-db"))
    assert all(word in line for word in ("dB", "≥ -60", "≤ 0", "-24"))
    assert "mix.strips[].fader_db" in kino.ok("describe", "mixer.mix").out
    assert kino.ok("describe", "mixer.duck", "--json").json() == cpu_service.get(
        "/v1/operations/mixer.duck"
    )


def test_every_operation_can_be_described(kino, cpu_service) -> None:
    """No schema of a built-in operation is too strange to be shown."""
    for item in cpu_service.get("/v1/operations")["items"]:
        said = kino.ok("run", item["name"], "--help").out
        assert all(name.replace("_", "-") in said for name in item["schema"]["properties"])


def test_plugins_are_listed(kino, cpu_service) -> None:
    """`kino plugins` shows what /v1/plugins says."""
    items = cpu_service.get("/v1/plugins")["items"]
    assert kino.ok("plugins", "--json").json() == items
    said = kino.ok("plugins").out
    assert all(item["name"] in said for item in items)


def test_an_unknown_operation_has_a_near_match(kino) -> None:
    """A typing error in the name is answered with what may have been meant, status 1."""
    for words in (["describe", "mixer.dukc"], ["run", "mixer.dukc"]):
        ended = kino(*words)
        assert ended.status == 1
        assert "mixer.duck" in ended.err
    assert kino("describe", "mixer.dukc", "--json").json()["status"] == 404


def test_run_uploads_runs_and_downloads_equal_samples(kino, cpu_service, folder: Path) -> None:
    """What --output writes is byte for byte what the same call over HTTP gives."""
    job = kino.ok(*DUCK, "--threshold-db=-30", "--output=out", "--json").json()
    saved = (folder / job["files"]["audio"]).read_bytes()
    names = ("music", "voice")
    params = {
        name: cpu_service.upload((folder / f"{name}.wav").read_bytes(), f"{name}.wav")["reference"]
        for name in names
    }
    other = cpu_service.run("mixer.duck", {**params, "threshold_db": -30.0})
    assert other["params"] == job["params"]
    content = cpu_service.ask("GET", other["result"]["audio"]["href"]).body
    assert content == saved
    assert content.startswith(b"RIFF")


def test_options_may_be_written_in_both_ways(kino) -> None:
    """--threshold-db, --threshold_db and a value behind a space mean the same."""
    given = [["--threshold-db=-30"], ["--threshold_db=-30"], ["--threshold-db", "-30"]]
    found = [kino.ok(*DUCK, *words, "--json").json()["params"] for words in given]
    assert found[0] == found[1] == found[2]
    assert found[0]["threshold_db"] == -30.0


def test_files_inside_of_json_are_uploaded(kino) -> None:
    """@FILE works in nested JSON, on the command line, in a file and on standard input."""
    music = {"id": "music", "source": "@music.wav", "fader_db": -6}
    mix = {"strips": [music, {"id": "voice", "source": "@voice.wav"}]}
    (kino.folder / "mix.json").write_text(json.dumps(mix))
    (kino.folder / "params.json").write_text(json.dumps({"mix": mix}))
    text = json.dumps({"mix": mix})
    found = [
        kino.ok("run", "mixer.mix", f"--mix={json.dumps(mix)}", "--json").json(),
        kino.ok("run", "mixer.mix", "--mix=@mix.json", "--json").json(),
        kino.ok("run", "mixer.mix", "--params=params.json", "--json").json(),
        kino.ok("run", "mixer.mix", "--params", "-", "--json", stdin=text).json(),
    ]
    results = [job["result"]["master"]["reference"] for job in found]
    assert len(set(results)) == 1
    assert found[0]["params"]["mix"]["strips"][0]["fader_db"] == -6.0


def test_outputs_are_never_overwritten(kino, folder: Path) -> None:
    """A second run into the same folder gets another name, and the first file stays."""
    kino.ok(*DUCK, "--output=out")
    first = (folder / "out" / "audio.wav").read_bytes()
    said = kino.ok(*DUCK, "--ratio=20", "--output=out").out
    assert str(Path("out") / "audio_2.wav") in said
    assert (folder / "out" / "audio.wav").read_bytes() == first
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["audio.wav", "audio_2.wav"]


def test_without_output_references_are_printed(kino) -> None:
    """The result is shown by reference, size and name, and can be used as an input."""
    said = kino.ok(*DUCK).out
    reference = next(word for word in said.split() if word.startswith("blake3:"))
    job = kino.ok("run", "mixer.duck", f"--music={reference}", "--voice=@voice.wav", "--json")
    assert job.json()["params"]["music"] == reference


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--ratio=99"], ["/ratio", "less than or equal to 20", "less_than_equal"]),
        (["--ratio=NaN"], ["/ratio", "float_type"]),
        (["--ratio=loud"], ["/ratio", "valid number"]),
        (["--ratio=99", "--attack-ms=-1"], ["/ratio", "/attack_ms", "greater_than_equal"]),
        (["--music=ast_00000000000000000000000000"], ["/music", "no asset"]),
        (["--music=blake3:123"], ["/music", "reference"]),
    ],
)
def test_a_broken_rule_is_answered_with_field_and_rule(kino, words, expected) -> None:
    """The service's 422 reads as a sentence with the field and the rule, status 1."""
    given = [word for word in DUCK if not any(word.split("=")[0] in other for other in words)]
    ended = kino(*given, *words)
    assert (ended.status, ended.out) == (1, "")
    assert all(part in ended.err for part in expected), ended.err
    problem = kino(*given, *words, "--json").json()
    assert problem["type"] == "/v1/problems/invalid-parameters"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--voice=@nothing.wav"], "nothing.wav cannot be read"),
        (["--voice=@."], "cannot be read"),
        (["--voice=voice.wav"], "--voice=@voice.wav"),
        (["--treshold-db=-3"], "--threshold-db"),
        (["--ratio"], "needs a value"),
        (["--ratio=1", "--ratio=2"], "given 2 times"),
        (["--params=nothing.json"], "nothing.json cannot be read"),
        (["--params=music.wav"], "is not"),
    ],
)
def test_what_cannot_be_meant_is_never_sent(kino, words, expected: str) -> None:
    """Missing files, unknown options and half words end with 2 and a hint."""
    given = [word for word in DUCK if not any(word.split("=")[0] in other for other in words)]
    ended = kino(*given, *words)
    assert (ended.status, ended.out) == (2, "")
    assert expected in ended.err


def test_json_that_is_nested_too_deeply_is_refused(kino) -> None:
    """Brackets without end are wrong usage in a file and on the command line, not a crash."""
    for depth in (400, 900, 50_000):
        (kino.folder / "deep.json").write_text("[" * depth + "]" * depth)
        ended = kino("run", "mixer.mix", "--mix=@deep.json")
        assert ended.status in (1, 2)
        assert "Traceback" not in ended.err
    ended = kino("run", "mixer.mix", "--mix=" + "[" * 10_000)
    assert ended.status == 2
    assert "not JSON" in ended.err


def test_a_file_that_is_no_media_is_refused(kino, folder: Path) -> None:
    """An upload that the service does not accept ends with 1 and its reason."""
    (folder / "notes.wav").write_text("no sound at all")
    ended = kino("run", "mixer.duck", "--music=@notes.wav", "--voice=@voice.wav")
    assert ended.status == 1
    assert ended.err.startswith("kino: ")


# --- values of every sort -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--text=@home"], "text", "@home"),
        (["--text=12"], "text", "12"),
        (["--text=null"], "text", "null"),
        (["--text", "two words"], "text", "two words"),
        (["--text="], "text", ""),
        (["--mode=slow"], "mode", "slow"),
        (["--loud"], "loud", True),
        (["--loud=true"], "loud", True),
        (["--no-loud"], "loud", False),
        (["--count=7"], "count", 7),
        (["--level=-1.5"], "level", -1.5),
        (["--level", "-1.5"], "level", -1.5),
        (["--level=null"], "level", None),
        (["--words=one"], "words", ["one"]),
        (["--words=one", "--words=@two"], "words", ["one", "@two"]),
        (["--words=[\"1\", \"2\"]"], "words", ["1", "2"]),
        (["--words=null"], "words", None),
        (["--words=@one"], "words", ["@one"]),
        (["--", "--text=--output"], "text", "--output"),
    ],
)  # fmt: skip
def test_values_arrive_as_they_were_meant(errand, words, name: str, value: object) -> None:
    """Text, numbers, flags, choices and lists become the JSON that the schema wants."""
    job = errand.ok("run", "errand.tell", "--json", *words).json()
    assert job["result"]["result"][name] == value


def test_nested_media_may_be_null(errand) -> None:
    """An optional sound in a list of objects is uploaded where it is given."""
    places = '[{"name": "@hall", "sound": "@music.wav"}, {"name": "yard", "sound": null}]'
    told = errand.ok("run", "errand.tell", f"--places={places}", "--json").json()["result"]
    assert told["result"]["places"] == [
        {"name": "@hall", "heard": True},
        {"name": "yard", "heard": False},
    ]


def test_lists_of_files_have_numbered_names(errand, folder: Path) -> None:
    """Every file of a list is downloaded under the name that the service gives it."""
    job = errand.ok("run", "errand.takes", "--count=3", "--output=takes", "--json").json()
    assert list(job["files"]) == ["audio_1", "audio_2", "audio_3"]
    assert all((folder / path).stat().st_size > 100 for path in job["files"].values())


def test_a_failed_job_is_a_failed_command(errand) -> None:
    """The job's problem is said with its remedy; --json gives the whole job; status 1 both."""
    ended = errand("run", "errand.fail")
    assert ended.status == 1
    assert "the errand came to nothing" in ended.err.lower()
    assert "Do not run it." in ended.err
    job = errand("run", "errand.fail", "--json")
    assert (job.status, job.json()["state"]) == (1, "failed")


def test_an_unavailable_operation_says_what_would_help(errand) -> None:
    """Running what cannot run here ends with 1, the reason and the remedy; describe says so too."""
    ended = errand("run", "errand.absent")
    assert ended.status == 1
    assert "no_such_module_anywhere" in ended.err
    assert "Not available now" in errand.ok("describe", "errand.absent").out
    lines = errand.ok("list").out.splitlines()
    assert (
        next(line for line in lines if line.startswith("errand.absent")).split()[1] != "available"
    )
