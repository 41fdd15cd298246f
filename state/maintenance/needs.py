"""What a run's records refer to, noted while they are checked; and who needs what turned out to be damaged."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from ..blobs.snapshots import Groups, groups_of
from .references import Reference
from .report import Kind, Part, Problem, Report, ranges

Manifest = dict[str, Any]
_MOST_NEEDS = 20


class Needs:
    """Kept in a file of its own, which nobody else sees. Turns and calls are those of the thread itself."""

    def __init__(self) -> None:
        # Not a temporary table: SQLite writes nothing more in a transaction that has come upon damage.
        self._connection = sqlite3.connect("", isolation_level=None)
        self._damaged: dict[tuple[str, str], Problem] = {}
        self._connection.execute(
            "CREATE TABLE needs (kind TEXT, hash TEXT, what TEXT, turn INTEGER, call TEXT, place TEXT, "
            "PRIMARY KEY (kind, hash, what, place)) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Forget all of it."""
        self._connection.close()

    def add(self, reference: Reference, *, call: str | None = None, place: str = "") -> None:
        """Note a reference. `place` is empty for the thread itself, else says whose it is."""
        turn = None if place else reference.turn
        row = (reference.kind, reference.name, reference.what, turn, call, place)
        self._connection.execute("INSERT OR IGNORE INTO needs VALUES (?, ?, ?, ?, ?, ?)", row)

    def add_part(self, kind: Kind, name: str) -> None:
        """Note what another record is made of."""
        self._connection.execute("INSERT OR IGNORE INTO needs VALUES (?, ?, '', NULL, NULL, '')", (kind, name))

    def names(self, kind: Kind) -> Iterator[str]:
        """Everything of a kind, once; what is added meanwhile too, if it comes later in the order of names."""
        last = ""
        following = "SELECT min(hash) FROM needs WHERE kind = ? AND hash > ?"
        while (name := self._connection.execute(following, (kind, last)).fetchone()[0]) is not None:
            yield name
            last = name

    def damaged(self, problem: Problem) -> None:
        """Something that is needed is damaged."""
        self._damaged[problem.kind, problem.name] = problem

    def settle(
        self, report: Report, calls: set[str], lost_calls: set[str], manifest: Callable[[str], Manifest | None]
    ) -> None:
        """Enter into the problems what is lost with them, and into the report how much is whole.

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
        """Follow every snapshot to the damaged ones and the damaged pieces that it is made of."""
        snapshots = self._select(
            # The last one first: what is set after a cell comes after the cell.
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
            after = f" after turn{'s' if len(turns) > 1 else ''} {ranges(turns)}" if any(turns) else ""
            self._damaged["piece", piece].needed_by.append(f"{names}{after}{place}")
        for problem in self._damaged.values():
            problem.needed_by = _few(problem.needed_by)

    def _resolved(self, name: str, manifest: Callable[[str], Manifest | None]) -> tuple[str | None, Groups]:
        """The damaged snapshot that this one builds on, if any; else all its groups."""
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
