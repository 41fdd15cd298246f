"""How time and memory of this project grow with the input, the calls, the sub-RLMs and the turns: `make bench-growth`."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.beside import cases, machine, systems
from bench.beside.environment import made
from bench.beside.model_server import model_server
from bench.beside.results import Measured, Results

_RESULTS = Path(__file__).parents[1] / ".results"
_ROUNDS = 3
_LARGE = 5_000
"""From here on, twice is enough."""


@dataclass(frozen=True)
class Series:
    """One thing that grows."""

    of: str
    cases: Mapping[int, cases.Case]
    """By how much there is of it."""
    shown: Mapping[str, tuple[str, float]]
    """Values of a case, by the heads of their columns, and what they are multiplied with."""


SERIES = (
    Series(
        "MB of context",
        {size: cases.Context(size) for size in (1, 10, 100, 1000)},
        {
            "first root call, s": ("first root call", 1),
            "first turn, ms": ("first turn", 1e3),
            "a turn, ms": ("turn", 1e3),
            "peak, MB": ("MB", 1),
        },
    ),
    Series(
        "calls of 100 ms at once",
        {calls: cases.FanOut(calls) for calls in (10, 100, 1_000, 10_000)},
        {"the cell, s": ("cell", 1), "peak, MB": ("MB", 1)},
    ),
    Series(
        "sub-RLMs",
        {children: cases.SubRlms(children) for children in (1, 10, 50, 200)},
        {"the cell, s": ("cell", 1), "right": ("right", 1), "peak, MB": ("MB", 1)},
    ),
    Series(
        "turns",
        {turns: cases.Turns(turns) for turns in (10, 100, 1_000)},
        {
            "a turn at the end, ms": ("last ten turns", 1e3),
            "peak, MB": ("MB", 1),
            "on disk, MB": ("MB on disk", 1),
        },
    ),
)


def measure(folder: Path) -> Results:
    """All series."""
    results = Results(machine.about(), machine.fsync_ms(folder))
    ours = systems.ours()
    with model_server(made()) as server:
        bench = cases.Bench(server, folder)
        for series in SERIES:
            for size, case in series.cases.items():
                for number in range(2 if size >= _LARGE else _ROUNDS):
                    values = case(bench, ours)
                    results.runs.append(Measured(f"{size} {series.of}", ours.name, number, machine.spin_ms(), values))
                print(f"{size:,} {series.of}", file=sys.stderr, flush=True)
    return results


def table(results: Results) -> str:
    """In Markdown: medians."""
    parts: list[str] = []
    for series in SERIES:
        rows = [[series.of, *series.shown], ["-:"] * (1 + len(series.shown))]
        for size in series.cases:
            values = [_value(results, f"{size} {series.of}", *one) for one in series.shown.values()]
            rows.append([f"{size:,}", *values])
        parts.append("\n".join("| " + " | ".join(row) + " |" for row in rows))
    about = results.about
    parts.append(f"Medians; {about['date']}; {about['machine']}; Python {about['python']}.")
    return "\n\n".join(parts)


def _value(results: Results, case: str, name: str, factor: float) -> str:
    found = results.spread(case, name, "durable-rlm")
    value = found[0] * factor if found else 0.0
    return f"{value:,.0f}" if value >= 100 or name == "right" else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.beside.growth", description=__doc__)
    parser.add_argument("--results", type=Path, default=_RESULTS, help="the folder for table, numbers and picture")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("TMPDIR")) as folder:
        results = measure(Path(folder))
    drawn = table(results)
    print(drawn)
    numbers, picture = options.results / "growth.json", options.results / "growth.svg"
    results.save(numbers)
    (options.results / "growth.md").write_text(drawn + "\n")
    subprocess.run([str(made()), str(Path(__file__).with_name("plot.py")), str(numbers), str(picture)], check=True)


if __name__ == "__main__":
    main()
