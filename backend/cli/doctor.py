"""`kino doctor`: what is missing, and how to get it.

Knows: the order of the looks, what is shown, and the exit status.
Does not know: what is looked at (``cli.machine``, ``cli.health``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backend.cli import display, health, machine
from backend.cli.failure import PROBLEM, Failure, Unreachable
from backend.cli.finding import Finding

if TYPE_CHECKING:
    from backend.cli.client import Client
    from backend.config import Settings

MARKS: Final = {"ok": "ok", "note": "-", "missing": "MISSING"}


def examine(client: Client, settings: Settings, json: bool) -> int:
    """Look at everything and show it; 0 when nothing essential is missing, else 1."""
    found = [*machine.findings(settings), *_service(client, settings)]
    fatal = [finding for finding in found if finding.is_fatal]
    if json:
        display.as_json({"ok": not fatal, "findings": [finding.as_json() for finding in found]})
        return PROBLEM if fatal else 0
    rows = [(MARKS[finding.state], finding.name, finding.text) for finding in found]
    display.table(("state", "what", "found"), rows)
    display.line()
    for finding in found:
        if finding.remedy:
            display.line(f"{finding.name}: {finding.remedy}")
    missing = [finding for finding in found if finding.state == "missing"]
    if fatal:
        display.line(f"Kino cannot work without: {', '.join(each.name for each in fatal)}.")
    elif missing:
        display.line("Nothing essential is missing; what is listed above cannot be used.")
    else:
        display.line("Nothing is missing.")
    return PROBLEM if fatal else 0


def _service(client: Client, settings: Settings) -> list[Finding]:
    """What the service says; without one, whether it could start here."""
    try:
        return list(health.findings(client))
    except Unreachable as failure:
        ours = settings.model_copy(update={"url": None}).service_url
        if client.url != ours:  # somebody else's, or on another machine: it ought to be there
            return [_unusable(failure)]
        down = f"no Kino answers at {client.url}"
        return [
            Finding("service", "note", down, "Start it with: kino serve"),
            machine.address(settings),
        ]
    except Failure as failure:
        return [_unusable(failure)]


def _unusable(failure: Failure) -> Finding:
    return Finding("service", "missing", failure.sentence, failure.remedy or "", essential=True)
