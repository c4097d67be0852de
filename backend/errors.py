"""Every error that Kino shows to a caller, as one tree.

Knows: each class's slug, title, HTTP status and whether trying again can help.
Does not know: how a problem travels (``handlers.problems`` writes RFC 9457, the command
line prints a sentence, a failed job carries the same object).

::

    KinoError                       problem     status
    ├── InvalidParameters           invalid-parameters 422
    ├── MalformedRequest            malformed-request 400
    ├── UnknownName                 unknown-name 404
    ├── AssetRejected               asset-rejected 415
    │   └── AssetTooLarge           asset-too-large 413
    ├── Conflict                    conflict 409
    ├── Forbidden                   forbidden 403
    │   └── Unauthorised            unauthorised 401
    ├── QueueFull                   queue-full 429
    ├── OperationUnavailable        operation-unavailable 503
    ├── OutOfMemory                 out-of-memory 503
    ├── StorageFull                 storage-full 507
    ├── DeadlineExceeded            deadline-exceeded 504
    ├── UpstreamFailed              upstream-failed 502
    ├── OperationFailed             operation-failed 500
    │   ├── WorkerCrashed           worker-crashed 500
    │   └── ComfyUIIncompatible     comfyui-incompatible 500
    └── RequestRefused              any other status that the HTTP layer itself answers

Each broken rule stands in ``errors`` with a JSON pointer. In an `InvalidParameters` it leads into
the parameters, or to the input of a graph's node; in an `OperationFailed` into the result that
could not be kept (rule ``finite``: it is beyond what 32-bit float holds), or to the node.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule: where (an RFC 6901 JSON pointer), which rule, and a sentence."""

    pointer: str
    rule: str
    message: str

    def as_json(self) -> dict[str, str]:
        return {"pointer": self.pointer, "rule": self.rule, "message": self.message}


class KinoError(Exception):
    """Root of the tree. ``detail`` is one sentence for people, without paths and secrets."""

    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong inside Kino"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        remedy: str | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.remedy = remedy
        self.extra = dict(extra or {})

    @property
    def http_status(self) -> int:
        """The status to answer with; the class's own, but for `RequestRefused`."""
        return self.status

    def as_problem(self) -> dict[str, Any]:
        """The RFC 9457 problem object: ``type, title, status, detail`` and our extensions."""
        problem: dict[str, Any] = {
            "type": f"/v1/problems/{self.slug}",
            "title": self.title,
            "status": self.http_status,
            "detail": self.detail,
            "retryable": self.retryable,
        }
        if self.remedy is not None:
            problem["remedy"] = self.remedy
        if self.errors:
            problem["errors"] = [error.as_json() for error in self.errors]
        return {**self.extra, **problem}


class InvalidParameters(KinoError):
    """A value breaks a rule of the operation's schema."""

    slug, title, status = "invalid-parameters", "A parameter breaks a rule", 422


class MalformedRequest(KinoError):
    """The request cannot be read at all: not JSON, duplicate keys, a null character."""

    slug, title, status = "malformed-request", "The request cannot be read", 400


class UnknownName(KinoError):
    """Nothing has this name: operation, job, asset, output, workflow."""

    slug, title, status = "unknown-name", "There is nothing of this name", 404


class AssetRejected(KinoError):
    """A file is not what it claims, is damaged, or is of a type that is not accepted.

    With a *rule* the problem points at ``/file``: ``format``, ``empty``, ``cut``, ``damaged``,
    ``finite``, ``deadline``, of MIDI also ``division``, ``tracks`` and ``running_status``, or the
    limit (``audio_seconds``) of an `AssetTooLarge`.
    """

    slug, title, status = "asset-rejected", "The file was not accepted", 415

    def __init__(self, detail: str, *, rule: str | None = None, **more: Any) -> None:
        if rule is not None:
            more["errors"] = [FieldError("/file", rule, detail)]
        super().__init__(detail, **more)


class AssetTooLarge(AssetRejected):
    """A file, or what it decodes to, is over a limit; the limit is named."""

    slug, title, status = "asset-too-large", "The file is too large", 413


class Conflict(KinoError):
    """The thing is not in a state that allows this."""

    slug, title, status = "conflict", "The request conflicts with the present state", 409


class Forbidden(KinoError):
    """The caller may not do this."""

    slug, title, status = "forbidden", "This is not allowed", 403


class Unauthorised(Forbidden):
    """A key is needed and none, or a wrong one, was given."""

    slug, title, status = "unauthorised", "A valid key is needed", 401


class QueueFull(KinoError):
    """The queue holds as many jobs as it may."""

    slug, title, status, retryable = "queue-full", "The queue is full", 429, True


class OperationUnavailable(KinoError):
    """The operation exists but cannot run now; the reason and the remedy are given."""

    slug, title, status = "operation-unavailable", "The operation is not available", 503


class OutOfMemory(KinoError):
    """The work did not fit into memory, even after everything else was freed."""

    slug, title, status, retryable = "out-of-memory", "There was not enough memory", 503, True


class StorageFull(KinoError):
    """The disk is full or below its floor."""

    slug, title, status, retryable = "storage-full", "The disk is full", 507, True


class DeadlineExceeded(KinoError):
    """The work did not end within its time limit."""

    slug, title, status = "deadline-exceeded", "The time limit was reached", 504


class UpstreamFailed(KinoError):
    """A server that Kino asked for help did not give it."""

    slug, title, status, retryable = "upstream-failed", "Another server failed", 502, True


class OperationFailed(KinoError):
    """The operation raised an error; ``extra`` holds node id and type if it came from a graph."""

    slug, title, status = "operation-failed", "The operation failed", 500


class WorkerCrashed(OperationFailed):
    """The process that ran the job died."""

    slug, title, retryable = "worker-crashed", "The worker process died", True


class ComfyUIIncompatible(OperationFailed):
    """The ComfyUI tree is not what the bricks need."""

    slug, title = "comfyui-incompatible", "This ComfyUI does not fit"


class RequestRefused(KinoError):
    """A status that the HTTP layer itself answers (405, 408, 411, 421 …), in the same form."""

    slug, title = "request-refused", "The request was refused"

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail, **more)
        self._status = status

    @property
    def http_status(self) -> int:
        return self._status


def said_by(error: BaseException) -> str:
    """What a foreign exception says; nothing, if asking it raises one more."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - foreign code, and nobody is left to ask
        return ""


def refused(pointer: str, rule: str, sentence: str) -> InvalidParameters:
    """The error for one broken rule of the parameter at *pointer*."""
    return InvalidParameters(sentence, errors=[FieldError(pointer, rule, sentence)])


def json_pointer(*parts: str | int) -> str:
    """The RFC 6901 pointer of a place: ``("graph", "3", "inputs")`` is ``/graph/3/inputs``."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def near_names(name: str, known: Collection[str], most: int = 3, cutoff: float = 0.6) -> str:
    """The *known* names that are like *name*, as words of a sentence; empty if there are none."""
    return " or ".join(difflib.get_close_matches(name, known, most, cutoff))


def did_you_mean(name: str, known: Collection[str], cutoff: float = 0.6) -> str:
    """The end of a sentence that says that *name* is unknown; empty if nothing is like it."""
    near = near_names(name, known, cutoff=cutoff)
    return f"; did you mean {near}?" if near else ""


def problem_classes() -> list[type[KinoError]]:
    """All classes of the tree, in the order of the drawing above."""
    found: list[type[KinoError]] = []

    def walk(cls: type[KinoError]) -> None:
        found.append(cls)
        for child in cls.__subclasses__():
            walk(child)

    walk(KinoError)
    return [cls for cls in found if cls.__module__ == __name__]


def from_problem(problem: dict[str, Any], *, above: str = "") -> KinoError:
    """The error that a problem object was made of, say one of a job that failed. Pointers that
    begin with *above* are shortened by it."""
    slug = str(problem.get("type", "")).rpartition("/")[2]
    found = [cls for cls in problem_classes() if cls.slug == slug and cls is not RequestRefused]
    known = ("type", "title", "status", "detail", "retryable", "remedy", "errors")
    return (found[0] if found else OperationFailed)(
        str(problem.get("detail", "")),
        errors=[
            FieldError(each["pointer"].removeprefix(above), each["rule"], each["message"])
            for each in problem.get("errors", ())
        ],
        remedy=problem.get("remedy"),
        extra={key: value for key, value in problem.items() if key not in known},
    )
