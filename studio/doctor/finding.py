"""What a check found."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "note", "warning", "problem"]
"""`problem`: no run could work. `warning`: it could, but read this. `note`: something optional is not there."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    level: Level
    value: str
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object that `rlm doctor --json` prints."""
        return asdict(self)
