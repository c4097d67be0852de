"""One thing that `kino doctor` looked at.

Knows: its states, and that only some things are essential.
Does not know: what is looked at.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found; ``remedy`` says how to get what is missing.

    ``essential`` things keep Kino from working when they are missing; without the others it works,
    though not everything can be used. A ``note`` is neither good nor bad.
    """

    name: str
    state: State
    text: str
    remedy: str = ""
    essential: bool = False

    @property
    def is_fatal(self) -> bool:
        return self.essential and self.state == "missing"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
