"""kino jobs, and the life of a job that a command follows: Ctrl-C, deadlines, a lost service."""

from __future__ import annotations

import errno
import os
import pty
import signal
from pathlib import Path

from backend.testing.service import until

GONE_S = 120.0


def known(service) -> set[str]:
    """The ids of all jobs; what an earlier test has cancelled may still be ending."""
    return {item["id"] for item in service.get("/v1/jobs?limit=200")["items"]}


def running(service, before=frozenset()) -> str | None:
    """The id of a job that runs and was not there *before*, if one does."""
    items = service.get("/v1/jobs?state=running")["items"]
    return next((item["id"] for item in items if item["id"] not in before), None)


def test_a_job_can_be_left_and_found_again(errand, errands, folder: Path) -> None:
    """--no-wait prints the id alone; show, wait, list and events all know the job."""
    job_id = errand.ok("run", "errand.takes", "--no-wait").out.strip()
    waited = errand.ok("jobs", "wait", job_id, "--output=later").out
    assert "audio_1" in waited
    assert len(list((folder / "later").iterdir())) == 2
    assert errand.ok("jobs", "show", job_id, "--json").json() == errands.get(f"/v1/jobs/{job_id}")
    assert "state: succeeded" in errand.ok("jobs", "show", job_id).out
    listed = errand.ok("jobs", "list", "--operation=errand.takes", "--json").json()
    assert job_id in [job["id"] for job in listed]
    assert job_id in errand.ok("jobs", "list", "--state=succeeded").out
    types = [line.split()[2] for line in errand.ok("jobs", "events", job_id).out.splitlines()]
    assert (types[0], types[-1]) == ("queued", "succeeded")


def test_events_are_one_json_object_a_line(errand) -> None:
    """--json gives lines that scripts can read, and --after leaves out what is known."""
    import json

    job_id = errand.ok("run", "errand.tell", "--no-wait").out.strip()
    errand.ok("jobs", "wait", job_id)
    lines = errand.ok("jobs", "events", job_id, "--json").out.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
    after = events[0]["seq"]
    rest = errand.ok("jobs", "events", job_id, "--json", f"--after={after}").out.splitlines()
    assert rest == lines[1:]


def test_lists_go_on_behind_a_page(errand) -> None:
    """--limit is the number of items shown."""
    for _ in range(3):
        errand.ok("run", "errand.tell")
    assert len(errand.ok("jobs", "list", "--limit=2", "--json").json()) == 2
    assert len(errand.ok("jobs", "list", "--limit=500", "--json").json()) >= 3


def test_cancel_and_retry(errand) -> None:
    """A running job is cancelled, a cancelled one is run again, a succeeded one is neither."""
    job_id = errand.ok("run", "errand.wait", "--no-wait").out.strip()
    assert job_id in errand.ok("jobs", "cancel", job_id).out
    ended = errand("jobs", "wait", job_id)
    assert ended.status == 1
    assert "was cancelled" in ended.err
    again = errand.ok("jobs", "retry", job_id, "--json").json()
    errand.ok("jobs", "cancel", again["id"])
    done = errand.ok("run", "errand.tell", "--json").json()["id"]
    for word in ("cancel", "retry"):
        refused = errand("jobs", word, done, "--json")
        assert (refused.status, refused.json()["status"]) == (1, 409)


def test_many_jobs_are_cancelled_by_what_they_have_in_common(errand) -> None:
    """All that fit the options end, and how many it were is said; it is either these or a job."""
    ids = [errand.ok("run", "errand.wait", "--no-wait").out.strip() for _ in range(2)]
    told = errand.ok("jobs", "cancel", "--operation=errand.wait", "--json").json()
    assert told["cancelled"] + told["stopping"] >= 2
    for job_id in ids:
        assert "was cancelled" in errand("jobs", "wait", job_id).err
    assert "0 cancelled" in errand.ok("jobs", "cancel", "--operation=errand.none").out
    for words in (["cancel"], ["cancel", ids[0], "--state=queued"]):
        refused = errand("jobs", *words)
        assert (refused.status, refused.out) == (2, "")
        assert "either a job or options" in refused.err


def test_unknown_jobs_and_states_are_refused(errand) -> None:
    """A job that does not exist ends with 1; so does a state that no job can have."""
    for words in (["show", "job_x"], ["wait", "job_x"], ["cancel", "a/b"], ["events", "job_x"]):
        ended = errand("jobs", *words)
        assert (ended.status, ended.out) == (1, "")
    assert "state" in errand("jobs", "list", "--state=lost").err


def test_ctrl_c_cancels_the_job(errand, errands) -> None:
    """After SIGINT the job is cancelled, the command says so and ends with 130."""
    before = known(errands)
    with errand.start("run", "errand.wait") as process:
        try:
            job_id = until("the job runs", lambda: running(errands, before), seconds=300)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=GONE_S)
        finally:
            process.kill()
    assert process.returncode == 130
    assert f"{job_id} cancelled" in err
    assert errands.get(f"/v1/jobs/{job_id}")["state"] == "cancelled"


def test_the_wait_has_a_deadline(errand, errands) -> None:
    """--timeout ends the command with 1 while the job goes on; the way back to it is said."""
    before = known(errands)
    ended = errand("run", "errand.wait", "--timeout=0.5")
    assert ended.status == 1
    job_id = until("the job runs", lambda: running(errands, before), seconds=300)
    assert f"kino jobs wait {job_id}" in ended.err
    errand.ok("jobs", "cancel", job_id)


def test_a_restart_of_the_service_does_not_end_the_wait(kino_at, launch, tmp_path: Path) -> None:
    """A command whose service is killed and comes back sees the same job to its end."""
    plugins = Path(__file__).with_name("plugins")
    first = launch(folder=tmp_path / "one", plugins_dir=plugins)
    port = first.url.rpartition(":")[2]
    first.wait_ready()
    go = tmp_path / "go"
    with kino_at(first.url).start("run", "errand.hold", f"--until={go}", "--json") as process:
        try:
            until("the job runs", lambda: running(first), seconds=300)
            first.kill()
            launch(folder=tmp_path / "one", plugins_dir=plugins, port=port)
            go.touch()
            out, err = process.communicate(timeout=600)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert '"state": "succeeded"' in out


def test_a_terminal_sees_a_bar(errand, tmp_path: Path) -> None:
    """On a terminal the progress is drawn on stderr, and stdout holds the result alone."""
    ours, theirs = pty.openpty()
    go, drawn = tmp_path / "go", b""
    try:
        with errand.start("run", "errand.hold", f"--until={go}", stderr=theirs) as process:
            try:
                os.close(theirs)
                while part := read_terminal(ours):
                    drawn += part
                    if b"50%" in drawn:
                        go.touch()
                out, _ = process.communicate(timeout=600)
            finally:
                process.kill()
    finally:
        os.close(ours)
    assert (process.returncode, out) == (0, "result: held\n")
    assert b"errand.hold" in drawn
    assert b"50%" in drawn


def read_terminal(descriptor: int) -> bytes:
    """What was drawn meanwhile; nothing when nobody draws any more, which Linux calls an error."""
    try:
        return os.read(descriptor, 1 << 16)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""
