"""The ledger: Kino's own database, one SQLite file, one writer with group commit.

Knows: connections, migrations, transactions, and when a commit must reach the disk.
Does not know: what a job or an asset is (``services.schema`` names the tables).

Every write is one transaction. Writes that wait while another is committed are committed
together. A batch that holds a durable write is committed with ``synchronous=FULL`` (the log is
fsynced, and with it everything before); the others cost no fsync: they outlive the death of
the process, but not of the machine. What nobody waits for (`Ledger.write_soon`) goes along with
the next write. Writes happen in the order in which they were asked for, whatever their kind.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from backend.errors import KinoError, OperationUnavailable, StorageFull
from backend.services.schema import MIGRATIONS

Row = dict[str, Any]
Statement = tuple[str, tuple[Any, ...]]

_BATCH: Final = 256
_BUSY_MS: Final = 5000
_SOON_S: Final = 0.02


@dataclass(slots=True)
class _Write:
    statements: tuple[Statement, ...]
    durable: bool
    fenced: bool
    done: asyncio.Future[list[list[Row]]] | None
    refused: Callable[[], None] | None = None
    rows: list[list[Row]] | None = None
    error: Exception | None = None


class Ledger:
    """One SQLite database. `read` at once on the calling thread; `write` in the writer's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: deque[_Write] = deque()
        self._bell: SimpleQueue[bool] = SimpleQueue()  # True: look; False: end
        self._soon: asyncio.TimerHandle | None = None
        self._reader: sqlite3.Connection | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Open, migrate, start the writer. Raises `OperationUnavailable` if the file is damaged or
        newer than this Kino, `StorageFull` if the disk is."""
        self._loop = asyncio.get_running_loop()
        try:
            writer = _connect(self.path)
            migrate(writer)
            self._reader = _connect(self.path)
            self._reader.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise _as_problem(error) from error
        self._thread = threading.Thread(
            target=self._write_all, args=(writer,), name="ledger", daemon=True
        )
        self._thread.start()

    async def close(self) -> None:
        """Commit what waits, then close. Writes after this fail."""
        if self._thread is not None:
            self._bell.put(False)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def read(self, sql: str, *args: Any) -> list[Row]:
        """Run one SELECT on the read connection, at once, on the event loop's thread.

        Raises `OperationUnavailable` if the file cannot be read.
        """
        if self._reader is None:
            raise OperationUnavailable("the ledger is closed", remedy="Start the service again.")
        try:
            return _rows(self._reader.execute(sql, args))
        except sqlite3.Error as error:
            raise _as_problem(error) from error

    async def write(
        self, *statements: Statement, durable: bool = True, fenced: bool = False
    ) -> list[list[Row]]:
        """Run the statements as one transaction; return what each one's RETURNING gave.

        *fenced*: if the first statement returns no row, the rest does not run and only one
        empty list comes back. Returns after the commit; raises `StorageFull` and leaves nothing
        behind if the disk is full, ``sqlite3.IntegrityError`` if a constraint is broken.
        """
        if self._thread is None or self._loop is None:
            raise OperationUnavailable("the ledger is closed", remedy="Start the service again.")
        done: asyncio.Future[list[list[Row]]] = self._loop.create_future()
        self._waiting.append(_Write(statements, durable, fenced, done))
        self._bell.put(True)
        return await done

    def write_soon(self, statement: Statement, refused: Callable[[], None]) -> None:
        """Run a statement without waiting for it, not durable, before any later write and within
        20 ms. *refused* is called if it returned no row (or failed)."""
        if self._thread is None or self._loop is None:
            raise OperationUnavailable("the ledger is closed", remedy="Start the service again.")
        self._waiting.append(_Write((statement,), False, False, None, refused))
        if self._soon is None:
            self._soon = self._loop.call_later(_SOON_S, self._ring)

    def check(self) -> str:
        """``ok``, or what ``PRAGMA integrity_check`` found."""
        return str(self.read("PRAGMA integrity_check")[0]["integrity_check"])

    def _ring(self) -> None:
        self._soon = None
        if self._waiting:
            self._bell.put(True)

    def _write_all(self, connection: sqlite3.Connection) -> None:
        """The writer thread: take what waits, commit it together, answer."""
        writer = _Writer(connection)
        open_ = True
        while open_ or self._waiting:
            if open_:
                open_ = self._bell.get()
            batch: list[_Write] = []
            while self._waiting and len(batch) < _BATCH:
                batch.append(self._waiting.popleft())
            if batch:
                writer.commit(batch)
                self._answer(batch)
        connection.close()

    def _answer(self, batch: list[_Write]) -> None:
        assert self._loop is not None
        told = [write for write in batch if write.done is not None or not _happened(write)]
        if not told:
            return
        try:
            self._loop.call_soon_threadsafe(_resolve, told)
        except RuntimeError:
            # the loop was closed while we committed: nobody is left to hear of it
            return


def _happened(write: _Write) -> bool:
    return write.error is None and bool(write.rows and write.rows[0])


def _resolve(told: list[_Write]) -> None:
    for write in told:
        if write.done is None:
            if write.refused is not None:
                write.refused()
        elif write.done.done():  # the caller was cancelled; the commit stands
            continue
        elif write.error is not None:
            write.done.set_exception(write.error)
        else:
            write.done.set_result(write.rows or [])


class _Writer:
    """Commits batches on the one connection that writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._synchronous: str | None = None

    def commit(self, batch: list[_Write]) -> None:
        """One transaction for the batch; a write that fails is undone alone."""
        wanted = "FULL" if any(write.durable for write in batch) else "NORMAL"
        connection = self._connection
        try:
            if self._synchronous != wanted:
                connection.execute(f"PRAGMA synchronous = {wanted}")
                self._synchronous = wanted
            connection.execute("BEGIN IMMEDIATE")
            for write in batch:
                _apply(connection, write, alone=len(batch) == 1)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            problem = _as_problem(error)
            for write in batch:
                write.error = write.error or problem


def _apply(connection: sqlite3.Connection, write: _Write, *, alone: bool) -> None:
    whole = len(write.statements) == 1  # SQLite itself undoes a statement that fails
    if not (alone or whole):
        connection.execute("SAVEPOINT one")
    try:
        write.rows = []
        for sql, args in write.statements:
            write.rows.append(_rows(connection.execute(sql, args)))
            if write.fenced and not write.rows[0]:
                break
    except sqlite3.OperationalError:  # the disk, the file: it concerns the whole batch
        raise
    except Exception as error:  # noqa: BLE001 - a value that cannot be bound concerns its write alone
        write.error = error
        if whole:
            return
        if alone:
            connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
        else:
            connection.execute("ROLLBACK TO one")
    if not (alone or whole):
        connection.execute("RELEASE one")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _rows(cursor: sqlite3.Cursor) -> list[Row]:
    if cursor.description is None:
        return []
    rows = cursor.fetchall()
    if not rows:
        return []
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def migrate(connection: sqlite3.Connection, steps: tuple[str, ...] = MIGRATIONS) -> None:
    """Bring the schema up to date, each step in a transaction of its own."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(steps):
        raise OperationUnavailable(
            f"the ledger has schema {version}, this Kino knows up to {len(steps)}",
            remedy="Start the newer Kino that wrote it, or choose another KINO_DATA_DIR.",
        )
    for number, step in enumerate(steps[version:], start=version + 1):
        connection.executescript(f"BEGIN;\n{step}\nPRAGMA user_version = {number};\nCOMMIT;")


def _as_problem(error: sqlite3.Error) -> KinoError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return StorageFull("the disk that holds the ledger is full", remedy="Free some space.")
    return OperationUnavailable(
        f"the ledger cannot be used: {error}",
        remedy="Check the disk and its permissions; if the file is damaged, restore a copy.",
    )
