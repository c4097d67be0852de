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

SHIPPED_WORKFLOWS: Final = """
ALTER TABLE workflow ADD COLUMN shipped_for TEXT;   -- set: comes with Kino; which ComfyUI
"""

WORK: Final = """
ALTER TABLE job ADD COLUMN work TEXT;          -- hash of all that the result depends on
ALTER TABLE job ADD COLUMN leader TEXT;        -- the equal job whose work this one shares
ALTER TABLE job ADD COLUMN cached INTEGER NOT NULL DEFAULT 0;  -- the result is another job's
ALTER TABLE job ADD COLUMN batch TEXT;
ALTER TABLE job ADD COLUMN model TEXT;         -- kind/name of the first model file, for affinity
ALTER TABLE job ADD COLUMN queued REAL;        -- when its wait began, in steady unix seconds
CREATE INDEX job_by_work ON job (work, state, id) WHERE work IS NOT NULL;
CREATE INDEX job_by_leader ON job (leader) WHERE leader IS NOT NULL;
CREATE INDEX job_by_batch ON job (batch, id) WHERE batch IS NOT NULL;
CREATE TABLE batch (
    id              TEXT PRIMARY KEY,
    operation       TEXT NOT NULL,
    metadata        TEXT NOT NULL,             -- JSON object of the caller's
    priority        INTEGER NOT NULL,
    count           INTEGER NOT NULL,          -- jobs that it began with
    idempotency_key TEXT UNIQUE,
    body_hash       TEXT,
    created         REAL NOT NULL,             -- unix seconds
    finished        REAL
);
CREATE TABLE queue_pause (since REAL NOT NULL);  -- a row: no job is taken
"""

PROMPTS: Final = """
CREATE TABLE prompt (                          -- what was posted to ComfyUI's own API
    place     INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id    TEXT NOT NULL UNIQUE REFERENCES job (id) ON DELETE CASCADE,
    prompt_id TEXT NOT NULL,                   -- ComfyUI's id; a client may use one twice
    number    REAL NOT NULL,                   -- the lowest goes first
    client_id TEXT,                            -- whose WebSocket hears of it
    history   TEXT                             -- JSON {outputs, meta, status} of the last run
);
CREATE INDEX prompt_by_id ON prompt (prompt_id);
"""

RECEIVED: Final = """
CREATE TABLE received (                        -- what an upload was before it was made canonical
    digest    TEXT PRIMARY KEY,                -- BLAKE3 of the bytes as they came, 64 hex digits
    reference TEXT NOT NULL                    -- the content that is kept of them
);
"""

MODEL_HASHES: Final = """
CREATE TABLE model_hash (                      -- SHA-256 of model files, as far as anybody asked
    path     TEXT PRIMARY KEY,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,                 -- another size or time: the hash is out of date
    sha256   TEXT NOT NULL,
    created  REAL NOT NULL
);
"""

SESSIONS: Final = """
CREATE TABLE session (                         -- browsers that have signed in
    mark     TEXT PRIMARY KEY,                 -- HMAC of the token under the SHA-256 of its key
    key_name TEXT NOT NULL,
    created  REAL NOT NULL                     -- unix seconds
);
"""

NEWEST_ASSET: Final = """
-- one content may be that of thousands of assets (silence, black): the newest is found at once
DROP INDEX asset_by_reference;
CREATE INDEX asset_by_reference ON asset (reference, kind = 'file', id DESC);
"""

BATCH_COUNTS: Final = """
-- how far a batch is, without walking over the parameters of its jobs
CREATE INDEX job_in_batch ON job (batch, state, cached) WHERE batch IS NOT NULL;
"""

MIGRATIONS: Final[tuple[str, ...]] = (
    *(JOBS + ASSETS, SMALL_BLOBS, WORKFLOWS, SHIPPED_WORKFLOWS, WORK, PROMPTS, MODEL_HASHES),
    *(RECEIVED, SESSIONS, NEWEST_ASSET, BATCH_COUNTS),
)
