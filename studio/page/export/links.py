"""Addresses within the file: links between screens become links to its sections."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class FileLinks:
    """Turns the addresses of screens into those of sections. What the file does not have leads to its summary."""

    thread_id: str
    turns: int
    calls: bool
    """True when the file has calls."""
    inputs: bool
    """True when it has the input."""

    def __call__(self, *parts: object, **query: object) -> str:
        """Return the address of a section: it takes what the page's `href` does."""
        match [str(part) for part in parts]:
            case ["runs", thread, *rest] if thread == self.thread_id:
                return f"#{self._section(rest, query)}"
            case ["runs", thread]:
                return f"#{section_name('run', thread)}"
            case _:
                return "#summary"

    def _section(self, rest: list[str], query: dict[str, object]) -> str:
        match rest:
            case ["turns", number, *_] if number.isdecimal() and int(number) <= self.turns:
                return f"turn-{number}"
            case ["calls", *_] if self.calls:
                return f"calls-of-{query['turn']}" if query.get("turn") else "calls"
            case ["input", *_]:
                if query.get("citation"):
                    return f"{'passage' if self.inputs else 'citation'}-{query['citation']}"
                return "input" if self.inputs else "summary"
            case _:
                return "summary"


def section_name(kind: str, name: str) -> str:
    """Return the id of a section of that kind about something of that name."""
    return f"{kind}-{quote(name, safe='')}"
