"""The ledger's tables, as numbered migrations.

Knows: the SQL of each step; a ledger at ``PRAGMA user_version = n`` has had the first *n* steps.
Does not know: who reads and writes the tables.

A step is never edited once released; a change is a further step.
"""

from __future__ import annotations

from typing import Final

JOBS: Final = """
CREATE TABLE job (
    id               TEXT PRIMARY KEY,
    operation        TEXT NOT NULL,
    version          INTEGER NOT NULL,
    params           TEXT NOT NULL,            -- JSON, canonical, every default filled in
    inputs           TEXT NOT NULL,            -- JSON list of content references
    metadata         TEXT NOT NULL,            -- JSON object of the caller's
    capability       TEXT NOT NULL,            -- loop, cpu or comfy
    priority         INTEGER NOT NULL,
    state            TEXT NOT NULL
        CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    attempt          INTEGER NOT NULL DEFAULT 0,
    max_attempts     INTEGER NOT NULL,
    token            TEXT,                     -- proves who owns the running attempt
    owner            TEXT,                     -- name of the worker that has it
    idempotency_key  TEXT,
    body_hash        TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    timeout_s        REAL NOT NULL,
    error            TEXT,                     -- JSON problem
    result           TEXT,                     -- JSON
    created          REAL NOT NULL,            -- unix seconds
    started          REAL,
    finished         REAL,
    execution_s      REAL
);
CREATE INDEX job_by_state ON job (state, id);
CREATE INDEX job_by_operation ON job (operation, id);
CREATE UNIQUE INDEX job_by_idempotency_key ON job (idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE job_event (
    job_id TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    time   REAL NOT NULL,
    type   TEXT NOT NULL,
    data   TEXT NOT NULL,                      -- JSON object
    PRIMARY KEY (job_id, seq)
) WITHOUT ROWID;
"""

ASSETS: Final = """
CREATE TABLE asset (
    id         TEXT PRIMARY KEY,
    reference  TEXT NOT NULL,                  -- blake3:…, names the blob; rows may share one
    kind       TEXT NOT NULL,
    media_type TEXT NOT NULL,
    file_name  TEXT NOT NULL,                  -- a label, never a path
    size       INTEGER NOT NULL,
    details    TEXT NOT NULL,                  -- JSON object: duration_s, width …
    created    REAL NOT NULL
);
CREATE INDEX asset_by_reference ON asset (reference);
CREATE INDEX asset_by_kind ON asset (kind, id);
"""

SMALL_BLOBS: Final = """
CREATE TABLE small_blob (                      -- the content of small results; others are files
    digest  TEXT PRIMARY KEY,                  -- 64 hex digits, as in asset.reference
    content BLOB NOT NULL
);
"""

WORKFLOWS: Final = """
CREATE TABLE workflow (                        -- stored graphs; every version stays, for its jobs
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL,               -- 1, 2, 3 …
    original   BLOB NOT NULL,                  -- what was given, byte for byte
    format     TEXT NOT NULL,                  -- editor or api
    graph      TEXT NOT NULL,                  -- JSON, the template in the API format
    parameters TEXT NOT NULL,                  -- JSON list
    warnings   TEXT NOT NULL,                  -- JSON list of sentences
    created    REAL NOT NULL,                  -- unix seconds
    deleted    REAL,                           -- set: only its jobs know it any more
    PRIMARY KEY (name, version)
);
"""

MIGRATIONS: Final[tuple[str, ...]] = (JOBS + ASSETS, SMALL_BLOBS, WORKFLOWS)
