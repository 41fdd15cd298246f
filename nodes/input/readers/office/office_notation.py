"""The notation in which texts of office documents show changes, comments, notes and hidden words.

- `[+inserted words+ by Ann, 2026-01-02]`, `[-struck words- by Ann, 2026-01-02]`; `¶` in them is the end of a paragraph.
- `[+words+ moved here by Ann, 2026-01-02]`, `[-words- moved away by Ann, 2026-01-02]`.
- `[^1]` is footnote 1 and `[^e1]` endnote 1; after the paragraph or table follows `[^1]: the note`.
- `[comment 1]` is the end of a commented place (in OpenDocument its beginning); after the paragraph or table follows
  `[comment 1 by Ann, 2026-01-02T10:00:00Z, on "the place"]: the comment`, then its replies.
- `[hidden: words]`, `[image: its description]`, `[text box: words]`, `[header: words]`, `[footer: words]`.
"""

from dataclasses import dataclass, field

_LONGEST_QUOTE = 200


def signed(who: str, when: str) -> str:
    """Return the author and the date behind a mark: ` by Ann, 2026-01-02`; empty where neither is known."""
    return (f" by {who}" if who else "") + (f"{',' if who else ''} {when}" if when else "")


def day(when: str) -> str:
    """Return the date of an ISO time."""
    return when.partition("T")[0]


@dataclass(frozen=True)
class Change:
    """A tracked change: the sign of its kind, its author, and its date."""

    sign: str
    """`+` for what was inserted, `-` for what was struck."""
    who: str = ""
    when: str = ""
    moved: bool = False

    @property
    def begin(self) -> str:
        """The mark before the words."""
        return f"[{self.sign}"

    @property
    def end(self) -> str:
        """The mark after the words."""
        moved = (" moved here" if self.sign == "+" else " moved away") if self.moved else ""
        return f"{self.sign}{moved}{signed(self.who, day(self.when))}]"


@dataclass
class Comment:
    """A comment as it is listed after the paragraph that it stands in."""

    label: str
    """`comment 1`, `reply to comment 1`."""
    who: str
    when: str
    text: str
    resolved: bool = False

    def line(self, place: str = "") -> str:
        """Return its line. `place`: the commented words."""
        words = f', on "{place}"' if place else ""
        resolved = ", resolved" if self.resolved else ""
        return f"[{self.label}{signed(self.who, self.when)}{words}{resolved}]: {self.text.strip()}\n"


@dataclass
class Ranges:
    """The words of commented places, each up to a limit, while they are being written."""

    _open: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _left: dict[str, int] = field(default_factory=dict[str, int])
    _closed: dict[str, str] = field(default_factory=dict[str, str])
    _ended: list[str] = field(default_factory=list[str])

    def begin(self, name: str) -> None:
        """Begin a place."""
        if name not in self._open and name not in self._closed:
            self._open[name] = []
            self._left[name] = _LONGEST_QUOTE

    def add(self, text: str) -> None:
        """Add words to every open place."""
        for name in list(self._left):
            self._open[name].append(text[: self._left[name]])
            self._left[name] -= len(text)
            if self._left[name] < 0:
                # Full: later words cost nothing, however many places are open.
                self._open[name].append("…")
                del self._left[name]

    def end(self, name: str) -> None:
        """End a place."""
        if name in self._open:
            self._closed[name] = " ".join("".join(self._open.pop(name)).split())
            self._left.pop(name, None)
            self._ended.append(name)

    def take_ended(self) -> list[str]:
        """Return the places that have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def is_open(self, name: str) -> bool:
        """Tell whether a place has begun and not ended."""
        return name in self._open

    def words(self, name: str) -> str:
        """Return the words of a place that has ended; empty for one that is not known."""
        self.end(name)
        return self._closed.get(name, "")
