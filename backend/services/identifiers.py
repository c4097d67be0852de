"""Identifiers of jobs and assets: opaque, unique, and in the order of their making.

Knows: the form ``<prefix>_`` + 26 characters of Crockford's base 32 in lower case (a ULID).
Does not know: what is behind an identifier.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS: Final = 80

JOB_ID: Final = re.compile(r"job_[0-9a-z]{26}")
BATCH_ID: Final = re.compile(r"bat_[0-9a-z]{26}")
ASSET_ID: Final = re.compile(r"ast_[0-9a-z]{26}")

_lock = threading.Lock()
_last = 0


def _next() -> int:
    """48 bits of milliseconds and 80 random bits; always more than the one before.

    Within one millisecond, and while the clock is set back, the number before is counted up.
    """
    global _last  # noqa: PLW0603 - the order of identifiers is a property of the process
    made = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    with _lock:
        if made <= _last or made >> _RANDOM_BITS == _last >> _RANDOM_BITS:
            made = _last + 1 + secrets.randbits(32)
        _last = made
        return made


def _text(number: int) -> str:
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def job_id() -> str:
    """A new job's identifier: ``job_`` and 26 characters; later ones sort after earlier ones."""
    return "job_" + _text(_next())


def batch_id() -> str:
    """A new batch's identifier: ``bat_`` and 26 characters."""
    return "bat_" + _text(_next())


def asset_id() -> str:
    """A new asset's identifier: ``ast_`` and 26 characters."""
    return "ast_" + _text(_next())


def token() -> str:
    """A secret that proves the ownership of one attempt at a job."""
    return secrets.token_hex(16)


def incident_id() -> str:
    """A short name under which a traceback stands in the log."""
    return secrets.token_hex(6)
