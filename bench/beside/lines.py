"""The lines of the table: what is shown of the cases, and what was aimed at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A value of a case."""

    title: str
    case: str
    value: str
    unit: str
    """`ms` of values in seconds, `s`, `MB`, `tokens`, or none for counts."""
    goal: str = ""
    more_is_better: bool = False

    def shown(self, value: float) -> str:
        """With a sensible number of digits, without its unit."""
        scaled = self.scaled(value)
        if not self.unit:
            return f"{scaled:.0f}"
        return f"{scaled:,.0f}" if scaled >= 100 else f"{scaled:.1f}" if scaled >= 10 else f"{scaled:.2f}"

    def scaled(self, value: float) -> float:
        """In the line's unit."""
        return value * 1e3 if self.unit == "ms" else value


LINES = [
    Line("`rlm --help`", "help", "whole", "s", "0.3"),
    Line("process start → first root call", "turns", "first root call", "s", "1.8"),
    Line("one turn, first ten of 50", "turns", "first ten turns", "ms", "8 + 3 fsyncs"),
    Line("one turn, last ten of 50", "turns", "last ten turns", "ms", "as the first ten"),
    Line("one turn, last ten of 500", "500 turns", "last ten turns", "ms", "as the first ten"),
    Line("`llm_query` in a loop, a call", "loop", "a call", "ms", "2 + 1 fsync"),
    Line("1,000 calls of 100 ms, as they come", "fan-out", "cell", "s", "4"),
    Line("1,000 calls of 100 ms, 256 in flight", "fan-out of 256", "cell", "s", "2.2"),
    Line("50 sub-RLMs of one turn", "sub-RLMs", "cell", "s", "3"),
    Line("of them with the right answer", "sub-RLMs", "right", "", "50", more_is_better=True),
    Line("tokens of an answer, mean of three tasks", "tokens", "an answer", "tokens", "0.7 × rlms"),
    Line("22 habits of servers and models: right answers", "habits", "right", "", "22", more_is_better=True),
    Line("tokens of them for each right answer", "habits", "a right answer", "tokens", "0.7 × rlms"),
    Line("100 MB of context → first root call", "100 MB", "first root call", "s", "2"),
    Line("100 MB of context: a turn", "100 MB", "turn", "ms"),
    Line("100 MB of context: peak of all processes", "100 MB", "MB", "MB", "450"),
    Line("1 GB of context → first root call", "1 GB", "first root call", "s", "3"),
    Line("1 GB of context: a turn", "1 GB", "turn", "ms", "as with 1 MB"),
    Line("1 GB of context: peak of all processes", "1 GB", "MB", "MB", "1,500"),
    Line("a turn of a session with 40 MB, last ten of 200", "session", "last ten turns", "ms"),
    Line("saving a session of 40 MB, 200 cells, a cell", "saving", "a cell", "ms", "5"),
    Line("killed half-way: answers paid before", "killed", "paid before", ""),
    Line("of them paid again", "killed", "paid twice", "", "0"),
]
