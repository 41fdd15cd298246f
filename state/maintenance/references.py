"""The texts, snapshots and inputs that a run's records refer to, by hash.

There are two ways to find them. `hashes_in` takes everything that looks like a hash, however it is stored: these are
kept by garbage collection. `references_in` knows the wire format and says what each reference is for: these are
reported by verification. `Needs` collects them while records are checked, and says what needs the damaged ones.
"""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ..blobs.snapshots import Groups, groups_of
from ..blobs.store import HASH_LENGTH
from ..wording import plural
from .report import Kind, Part, Problem, Report, ranges

# In msgpack as in JSON a hash is its 64 characters, preceded by a length or a quote.
_HASH = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}")
_WHOLE = re.compile(r"[0-9a-f]{64}")
_OPAQUE = {"settings", "short", "variables", "changed", "gone", "about", "restore"}
"""Keys of a user's or a model's own words, which contain no references."""
_TURN_TEXTS = (
    ("reply", "reply"),
    ("thoughts", "thoughts before the reply"),
    ("output", "output"),
    ("displays", "display forms of the variables"),
)
"""Keys of a turn's record that are hashes of texts, with what they are called."""
CITATIONS = "the citations of the answer"
"""The purpose of a list of citations."""


@dataclass(frozen=True)
class Reference:
    """One reference."""

    kind: Literal["text", "snapshot", "input"]
    name: str
    what: str
    """Its purpose, such as `the output of turn 3`."""
    turn: int | None = None


def hashes_in(data: bytes) -> set[str]:
    """Return everything in a stored value that could be a reference."""
    return {found.decode() for found in _HASH.findall(data)}


def references_in(value: Any) -> Iterator[Reference]:
    """Yield the references in a decoded part of a run's state: a checkpoint, a write, or a run's initial input."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from references_in(item)
    elif isinstance(value, dict):
        yield from _own(value)
        for key, item in value.items():
            if key not in _OPAQUE:
                yield from references_in(item)
    elif hasattr(value, "arg"):
        # LangGraph's Send: a task to be started.
        yield from references_in(value.arg)


def _own(record: dict[str, Any]) -> Iterator[Reference]:
    """Yield the references of a record itself, recognized by its shape (`run_state.py`, `records.py`)."""
    if "pack" in record and "index" in record:
        yield from _some(Reference("input", record["pack"], "the input"))
        yield from _some(Reference("input", record["index"], "the list of the input's documents"))
    elif "typed" in record and "text" in record:
        yield from _of_answer(record)
        yield from _some(Reference("text", record.get("citations") or "", CITATIONS))
    elif "asked" in record:
        yield from _some(Reference("text", record["asked"], "what waits for approval"))
        for name in record.get("listed") or ():
            yield from _some(Reference("text", name, "the sub-calls that wait for approval"))
    elif "decided" in record:
        yield from _some(Reference("text", record["decided"], "what a reviewer decided"))
    elif "values" in record and "position" in record:
        turn = record.get("turn")
        for name, value in record["values"].items():
            yield from _some(Reference("text", value, f"the value given to {name} after turn {turn}", turn))
        yield from _some(
            Reference("snapshot", record.get("snapshot") or "", f"variables as set after turn {turn}", turn)
        )
    elif "number" in record or ("blocks" in record and "digest" in record):
        turn = record.get("number", record.get("turn"))
        for part, name in _TURN_TEXTS:
            yield from _some(Reference("text", record.get(part) or "", f"the {name} of turn {turn}", turn))
        for block in record.get("blocks") or []:
            yield from _some(Reference("text", block, f"the code of turn {turn}", turn))
        yield from _some(Reference("snapshot", record.get("snapshot") or "", f"variables after turn {turn}", turn))


def _of_answer(answer: dict[str, Any]) -> Iterator[Reference]:
    yield from _some(Reference("text", answer["text"], "the answer"))
    for name in (answer.get("table") or {}).get("batches", ()):
        yield from _some(Reference("text", name, "rows of the answer"))
    for file in answer.get("files") or ():
        yield from _some(Reference("text", file["hash"], f"the file {file['name']} of the answer"))


def _some(reference: Reference) -> Iterator[Reference]:
    name: Any = reference.name
    if isinstance(name, str) and len(name) == HASH_LENGTH and _WHOLE.fullmatch(name):
        yield reference


Manifest = dict[str, Any]
_MOST_NEEDS = 20


class Needs:
    """The references found by a check, in a private temporary file. Turns and calls are those of the thread itself."""

    def __init__(self) -> None:
        # Not a temporary table: SQLite writes nothing more in a transaction that has met damage.
        self._connection = sqlite3.connect("", isolation_level=None)
        self._damaged: dict[tuple[str, str], Problem] = {}
        self._connection.execute(
            "CREATE TABLE needs (kind TEXT, hash TEXT, what TEXT, turn INTEGER, call TEXT, place TEXT, "
            "PRIMARY KEY (kind, hash, what, place)) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Discard all of it."""
        self._connection.close()

    def add(self, reference: Reference, *, call: str | None = None, place: str = "") -> None:
        """Add a reference. `place` is empty for the thread itself, else names the other thread."""
        turn = None if place else reference.turn
        row = (reference.kind, reference.name, reference.what, turn, call, place)
        self._connection.execute("INSERT OR IGNORE INTO needs VALUES (?, ?, ?, ?, ?, ?)", row)

    def add_part(self, kind: Kind, name: str) -> None:
        """Add a part of another record."""
        self._connection.execute("INSERT OR IGNORE INTO needs VALUES (?, ?, '', NULL, NULL, '')", (kind, name))

    def names(self, kind: Kind) -> Iterator[str]:
        """Yield every name of a kind once, including names added meanwhile that come later in order."""
        last = ""
        following = "SELECT min(hash) FROM needs WHERE kind = ? AND hash > ?"
        while (name := self._connection.execute(following, (kind, last)).fetchone()[0]) is not None:
            yield name
            last = name

    def damaged(self, problem: Problem) -> None:
        """Record that a needed record is damaged."""
        self._damaged[problem.kind, problem.name] = problem

    def settle(
        self, report: Report, calls: set[str], lost_calls: set[str], manifest: Callable[[str], Manifest | None]
    ) -> None:
        """Add to the problems what is lost because of them, and to the report how much is whole.

        `calls` are the keys of the thread's calls, `lost_calls` those whose own rows are damaged.
        """
        turns = {row[0] for row in self._select("SELECT DISTINCT turn FROM needs WHERE turn IS NOT NULL")}
        lost_turns: set[int] = set()
        for (kind, name), problem in self._damaged.items():
            if kind in ("text", "input"):
                rows = self._select("SELECT what, place, turn, call FROM needs WHERE kind = ? AND hash = ?", kind, name)
                problem.needed_by += _few([f"{what}{place}" for what, place, _, _ in rows])
                lost_turns |= {turn for _, _, turn, _ in rows if turn is not None}
                lost_calls = lost_calls | {call for _, _, _, call in rows if call is not None}
        self._variables(report, manifest)
        self._count(report, "turns", len(turns), len(lost_turns))
        self._count(report, "calls", len(calls), len(lost_calls & calls))

    def _variables(self, report: Report, manifest: Callable[[str], Manifest | None]) -> None:
        """Find the snapshots that depend on damaged snapshots or damaged chunks."""
        snapshots = self._select(
            # Latest first: variables set after a cell come after those of the cell.
            "SELECT hash, what, turn, place FROM needs WHERE kind = 'snapshot' AND what != '' "
            "ORDER BY place, turn DESC, what DESC"
        )
        if not snapshots:
            return
        pieces = {name for kind, name in self._damaged if kind == "piece"}
        lines = {kind for kind, _ in self._damaged} & {"snapshot", "piece"}
        needing: dict[tuple[str, str, str], set[int]] = defaultdict(set)
        for number, (name, what, turn, place) in enumerate(snapshots):
            if number and not lines:
                break
            broken, groups = self._resolved(name, manifest)
            if broken:
                self._damaged["snapshot", broken].needed_by.append(f"{what}{place}")
            lost: set[str] = set()
            for group in groups.values():
                for piece in pieces.intersection(group["chunks"]):
                    needing[piece, ", ".join(group["names"]), place].add(turn or 0)
                    lost |= set(group["names"])
            if not number and not place:
                names = {one for group in groups.values() for one in group["names"]}
                self._count(report, "variables", len(names), len(lost))
        for (piece, names, place), turns in sorted(needing.items()):
            after = f" after {plural(len(turns), 'turn')} {ranges(turns)}" if any(turns) else ""
            self._damaged["piece", piece].needed_by.append(f"{names}{after}{place}")
        for problem in self._damaged.values():
            problem.needed_by = _few(problem.needed_by)

    def _resolved(self, name: str, manifest: Callable[[str], Manifest | None]) -> tuple[str | None, Groups]:
        """Return the damaged snapshot that this one builds on, or None, and all groups if it is whole."""
        line: list[Manifest] = []
        base: str | None = name
        while base is not None:
            if ("snapshot", base) in self._damaged or (found := manifest(base)) is None:
                return (base if ("snapshot", base) in self._damaged else None), {}
            line.append(found)
            base = found["base"]
        return None, groups_of(line)

    def _select(self, query: str, *parameters: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, parameters).fetchall()

    def _count(self, report: Report, part: Part, of: int, lost: int) -> None:
        report.whole[part] = (of - lost, of)


def _few(items: list[str]) -> list[str]:
    unique = list(dict.fromkeys(items))
    more = len(unique) - _MOST_NEEDS
    return unique if more <= 0 else [*unique[:_MOST_NEEDS], f"and {more:,} more"]
