"""Functions for texts of kernels, models, servers and clients take time in proportion to their length."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.growth.worker import TIMES, functions

ROOT = Path(__file__).parents[2]
QUICK = 0.4
"""Seconds of CPU up to which a time is not compared: it says little."""
MOST = 2.5 * TIMES
"""Growth of the time when the text is four times as long: sixteenfold where it is quadratic."""
LINEAR_AND_SLOW = frozenset({"coloured", "framed", "pasteable", "marked"})
"""Functions that draw what a user asked to see, at 10 µs a line, and end with Ctrl-C: their worker takes minutes."""


OFTEN = ("parse", "read_reply", "take_off_thoughts", "passages_in")
"""Functions with the most intricate expressions, whose growth every run of the tests looks at."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in OFTEN else pytest.mark.slow)
        for name in sorted(functions().keys() - LINEAR_AND_SLOW)
    ],
)
def test_no_text_takes_more_than_its_length(name: str) -> None:
    command = [sys.executable, "-m", "tests.growth.worker", name]
    # Killed when it takes too long: a regular expression that backtracks cannot be ended otherwise.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"it ended at {rows[-1:]}: {done.stderr[-500:]}"
    measured = [row for row in rows if len(row) == 3]
    assert len(measured) > 200
    slow = [row for row in measured if row[2] > QUICK and row[2] > MOST * row[1]]
    assert slow == [], "payload, seconds, seconds of one four times as long"


def test_growth_is_seen() -> None:
    """A function that is quadratic is found by the rule above."""
    from tests.growth.worker import SIZE, seconds

    def quadratic(text: str) -> int:
        return sum(text.count("b") for _ in range(0, len(text), 4))

    first, larger = (seconds(quadratic, "a" * size) for size in (SIZE, SIZE * TIMES))
    assert larger > MOST * first
