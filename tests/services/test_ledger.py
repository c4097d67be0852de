"""The ledger: transactions, group commit, durability over kill -9, migrations."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.errors import OperationUnavailable, StorageFull
from backend.services import ledger as module
from backend.services.ledger import Ledger, migrate
from backend.services.schema import MIGRATIONS

INSERT = (
    "INSERT INTO job_event (job_id, seq, time, type, data) VALUES (?, ?, 0, 'log', '{}')"
    " RETURNING seq"
)


async def test_a_write_is_one_transaction(ledger) -> None:
    """If one statement of a write fails, none of them stays."""
    with pytest.raises(sqlite3.IntegrityError):
        await ledger.write((INSERT, ("a", 1)), (INSERT, ("a", 1)))
    assert ledger.read("SELECT * FROM job_event") == []


async def test_a_write_returns_what_returning_gives(ledger) -> None:
    """Each statement's rows come back, in order, after the commit."""
    rows = await ledger.write((INSERT, ("a", 1)), (INSERT, ("a", 2)))
    assert rows == [[{"seq": 1}], [{"seq": 2}]]
    assert [r["seq"] for r in ledger.read("SELECT seq FROM job_event ORDER BY seq")] == [1, 2]


async def test_a_fenced_write_stops_when_its_first_statement_matches_nothing(ledger) -> None:
    """The rest of a fenced write runs only if the condition held."""
    condition = "UPDATE job_event SET seq = 9 WHERE job_id = ? RETURNING seq"
    assert await ledger.write((condition, ("a",)), (INSERT, ("b", 1)), fenced=True) == [[]]
    assert ledger.read("SELECT * FROM job_event") == []
    await ledger.write((INSERT, ("a", 1)))
    assert len(await ledger.write((condition, ("a",)), (INSERT, ("b", 1)), fenced=True)) == 2


async def test_an_unfenced_write_runs_to_its_end(ledger) -> None:
    """A first statement that matches nothing stops only a write that asked to be fenced."""
    nothing = "UPDATE job_event SET seq = 9 WHERE job_id = ? RETURNING seq"
    assert await ledger.write((nothing, ("a",)), (INSERT, ("b", 1))) == [[], [{"seq": 1}]]
    assert [row["job_id"] for row in ledger.read("SELECT job_id FROM job_event")] == ["b"]


async def test_writes_that_wait_are_committed_together(ledger, monkeypatch) -> None:
    """Many concurrent durable writes need far fewer commits, and a bad one fails alone."""
    commits: list[int] = []
    original = module._Writer.commit

    def counting(self, batch) -> None:
        commits.append(len(batch))
        original(self, batch)

    monkeypatch.setattr(module._Writer, "commit", counting)
    writes = [ledger.write((INSERT, ("a", n % 199))) for n in range(200)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(commits) == 200
    assert len(commits) < 100
    assert [type(r) for r in results if not isinstance(r, list)] == [sqlite3.IntegrityError]
    assert ledger.read("SELECT count(*) AS n FROM job_event")[0]["n"] == 199


CHILD = """
import asyncio, sys
from pathlib import Path
from typing import Any
from backend.services.ledger import Ledger
from backend.services import ledger
async def main():
    made = Ledger(Path(sys.argv[1])); await made.start()
    for n in range(100000):
        await made.write(("INSERT INTO job_event (job_id, seq, time, type, data)"
                          " VALUES ('a', ?, 0, 'log', '{}')", (n,)), durable=n % 3 == 0)
        print(n, flush=True)
asyncio.run(main())
"""


async def test_what_was_committed_outlives_kill_9(tmp_path) -> None:
    """A process killed at a random moment loses no write that it was told of."""
    path = tmp_path / "ledger.sqlite3"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) > 150:
                os.kill(child.pid, signal.SIGKILL)
                break
        told = int((child.stdout.read().split() or [line])[-1])
    survivor = Ledger(path)
    await survivor.start()
    kept = {row["seq"] for row in survivor.read("SELECT seq FROM job_event")}
    assert survivor.check() == "ok"
    await survivor.close()
    assert kept >= set(range(told + 1))


async def test_durable_batches_reach_the_disk(ledger) -> None:
    """A batch that holds a durable write is committed with synchronous=FULL, others are not."""
    seen: list[str] = []

    class Spy:
        """The writer's connection, listened to."""

        in_transaction = False

        def __init__(self, real: sqlite3.Connection) -> None:
            self.real = real

        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            seen.append(sql)
            return self.real.execute(sql, *args)

    real = sqlite3.connect(ledger.path, isolation_level=None)
    writer = module._Writer(Spy(real))  # type: ignore[arg-type]
    for number, durable in enumerate((True, True, False, True)):
        done = asyncio.get_running_loop().create_future()
        writer.commit([module._Write(((INSERT, ("s", number)),), durable, False, done)])
    real.close()
    assert [sql for sql in seen if "synchronous" in sql] == [
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = NORMAL",
        "PRAGMA synchronous = FULL",
    ]


async def test_what_nobody_waits_for_comes_first(ledger) -> None:
    """A write without an answer is done before any later one, and says only if it was refused."""
    refused: list[str] = []
    update = "UPDATE job_event SET time = time + 1 WHERE job_id = ? RETURNING seq"
    await ledger.write((INSERT, ("a", 1)))
    ledger.write_soon((update, ("a",)), lambda: refused.append("a"))
    ledger.write_soon((update, ("nobody",)), lambda: refused.append("nobody"))
    double = "UPDATE job_event SET time = time * 10 WHERE job_id = ? RETURNING time"
    assert await ledger.write((double, ("a",))) == [[{"time": 10.0}]]
    assert refused == ["nobody"]
    ledger.write_soon((update, ("a",)), lambda: refused.append("a"))
    async with asyncio.timeout(120):
        while ledger.read("SELECT time FROM job_event")[0]["time"] != 11.0:
            await asyncio.sleep(0.005)


async def test_closing_commits_what_nobody_waits_for(tmp_path) -> None:
    """The end of the service loses no write that it was given."""
    made = Ledger(tmp_path / "ledger.sqlite3")
    await made.start()
    made.write_soon((INSERT, ("a", 1)), lambda: None)
    await made.close()
    again = Ledger(tmp_path / "ledger.sqlite3")
    await again.start()
    assert [row["seq"] for row in again.read("SELECT seq FROM job_event")] == [1]
    await again.close()


async def test_a_full_disk_is_said_and_leaves_nothing(ledger, tmp_path) -> None:
    """When the database cannot grow, the write fails as StorageFull and later ones work again."""
    limited = sqlite3.connect(ledger.path, isolation_level=None)
    pages = limited.execute("PRAGMA page_count").fetchone()[0]
    limited.execute(f"PRAGMA max_page_count = {pages + 1}")
    done = asyncio.get_running_loop().create_future()
    insert = "INSERT INTO job_event (job_id, seq, time, type, data) VALUES ('a', 1, 0, 'log', ?)"
    write = module._Write(((insert, ("x" * 100_000,)),), True, False, done)
    module._Writer(limited).commit([write])
    assert isinstance(write.error, StorageFull)
    assert not limited.in_transaction
    limited.close()
    await ledger.write((insert, ("x" * 100_000,)))


async def test_a_newer_ledger_is_refused(tmp_path) -> None:
    """A ledger written by a later Kino is left alone, with a remedy."""
    path = tmp_path / "ledger.sqlite3"
    made = sqlite3.connect(path)
    made.execute("PRAGMA user_version = 999")
    made.close()
    with pytest.raises(OperationUnavailable, match="schema 999"):
        await Ledger(path).start()


async def test_a_damaged_ledger_is_refused(tmp_path) -> None:
    """A file that is no database is named as such, and not overwritten."""
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"this is not a database, it is a letter" * 100)
    before = path.read_bytes()
    with pytest.raises(OperationUnavailable, match="cannot be used"):
        await Ledger(path).start()
    assert path.read_bytes() == before


def test_migrations_run_once_and_in_order(tmp_path) -> None:
    """Each step runs once; a step that fails leaves the version before it."""
    connection = sqlite3.connect(tmp_path / "m", isolation_level=None)
    steps = ("CREATE TABLE one (a);", "CREATE TABLE two (a);")
    migrate(connection, steps[:1])
    migrate(connection, steps)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 2
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, (*steps, "CREATE TABLE three (a); CREATE TABLE one (a);"))
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert tables == {"one", "two"}
    connection.close()


def test_the_schema_is_what_the_steps_make() -> None:
    """The steps run on an empty database and give the tables that the services use."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert {"job", "job_event", "asset"} <= names
    connection.close()


async def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    """Reading and writing after the end raise, they do not hang."""
    made = Ledger(tmp_path / "ledger.sqlite3")
    await made.start()
    await made.close()
    with pytest.raises(OperationUnavailable):
        made.read("SELECT 1")
    with pytest.raises(OperationUnavailable):
        await made.write(("SELECT 1", ()))


@pytest.mark.parametrize("company", [0, 1], ids=["alone", "in a batch"])
@pytest.mark.parametrize("bad", ["half \ud800", 2**70, object()], ids=["text", "number", "thing"])
async def test_a_value_that_no_row_can_hold_harms_nobody_else(ledger, bad, company) -> None:
    """Its write fails alone; the writer lives on, and whoever was committed with it is."""
    found = await asyncio.wait_for(
        asyncio.gather(
            ledger.write((INSERT, (bad, 1))),
            *(ledger.write((INSERT, (f"job_{n}", 1))) for n in range(company)),
            return_exceptions=True,
        ),
        120,
    )
    assert isinstance(found[0], Exception)
    assert found[1:] == [[[{"seq": 1}]]] * company
    assert await asyncio.wait_for(ledger.write((INSERT, ("job_z", 1))), 120) == [[{"seq": 1}]]


async def test_what_cannot_be_read_is_a_problem(ledger, monkeypatch) -> None:
    """An error of the database is ours, so that whoever works in the background goes on."""
    with pytest.raises(OperationUnavailable):
        ledger.read("SELECT * FROM nowhere")
