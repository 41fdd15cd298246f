"""This project beside the official RLM, case by case and in turn: `make bench`, `make bench-quick`."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.beside import cases, machine, systems
from bench.beside.environment import made
from bench.beside.model_server import model_server
from bench.beside.results import Measured, Results
from bench.beside.table import table
from bench.beside.verdict import TOLERANCE, report

_RESULTS = Path(__file__).parents[1] / ".results"
_RECORDED = Path(__file__).parents[2] / "docs" / "benchmarks" / "beside.json"
_ROUNDS = 5

CASES: dict[str, cases.Case] = {
    "help": cases.Help(),
    "turns": cases.Turns(),
    "loop": cases.Loop(),
    "fan-out": cases.FanOut(),
    "fan-out of 256": cases.FanOut(in_flight=256),
    "sub-RLMs": cases.SubRlms(),
    "100 MB": cases.Context(100),
    "tokens": cases.Tokens(),
    "habits": cases.Habits(),
    "killed": cases.Killed(),
    "saving": cases.Saving(),
    "session": cases.Session(),
    "1 GB": cases.Context(1000),
    "500 turns": cases.Turns(500),
}
_LONG = {"habits", "session", "saving", "1 GB", "500 turns"}
"""Left out when there are two minutes."""


def measure(names: Sequence[str], rounds: int, folder: Path) -> Results:
    """Run the cases, all systems of a round one after the other."""
    python = made()
    results = Results(machine.about(), machine.fsync_ms(folder))
    with model_server(python) as server:
        bench = cases.Bench(server, folder)
        for name in names:
            for number in range(min(rounds, 2) if name in _LONG else rounds):
                for system in (*systems.official(python), systems.ours()):
                    spin, began = machine.spin_ms(), time.monotonic()
                    values = CASES[name](bench, system)
                    results.runs.append(Measured(name, system.name, number, spin, values))
                    took = time.monotonic() - began
                    print(f"{name:15} {system.name:21} round {number + 1}: {took:5.1f} s", file=sys.stderr, flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.beside", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short cases once: about two minutes")
    parser.add_argument("--cases", help=f"some of them, with commas: {', '.join(CASES)}")
    parser.add_argument(
        "--rounds", type=int, default=_ROUNDS, help="how often each system runs each case (long ones: 2)"
    )
    parser.add_argument("--against", type=Path, default=_RECORDED, help="a recorded run, for the verdicts")
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, help="the share by which a line may be worse than recorded"
    )
    parser.add_argument("--results", type=Path, default=_RESULTS, help="the folder for table, numbers and picture")
    options = parser.parse_args()
    names = (
        options.cases.split(",") if options.cases else [name for name in CASES if not (options.quick and name in _LONG)]
    )
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"there is no case {unknown[0]!r}; there are {', '.join(CASES)}")
    # Homes are where TMPDIR says: a disk is wanted, or durability costs nothing.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("TMPDIR")) as folder:
        results = measure(names, 1 if options.quick else options.rounds, Path(folder))
    drawn = table(results)
    print(drawn)
    numbers, picture = options.results / "beside.json", options.results / "beside.svg"
    results.save(numbers)
    (options.results / "beside.md").write_text(drawn + "\n")
    draw = [str(made()), str(Path(__file__).with_name("plot.py")), str(numbers), str(picture)]
    subprocess.run(draw, check=True)
    print(f"\nEvery run: {numbers}\nThe picture: {picture}\n")
    verdict, worse = report(results, Results.load(options.against), options.tolerance)
    print(verdict)
    # A whole run is for looking at, wherever it is made; the quick one is for being told.
    sys.exit(1 if worse and options.quick else 0)


if __name__ == "__main__":
    main()
