"""The verdict on each line: this run against one that was recorded.

Ratios are compared, not times: what ours takes to what the official RLM takes on the same machine at the same time.
A line that the official RLM has not is compared to a fixed loop of Python. Counts are compared as they are.
"""

from dataclasses import dataclass
from statistics import median
from typing import Literal

from bench.beside.lines import LINES, Line
from bench.beside.results import Results
from bench.beside.table import OURS

TOLERANCE = 0.30
"""The share by which a line may be worse than recorded: rounds of one run differ by up to a quarter."""
_SPIN = "a loop of Python"

Outcome = Literal["as before", "better", "worse", "new"]


@dataclass(frozen=True)
class Verdict:
    """A line's outcome, and the sentence about it."""

    title: str
    outcome: Outcome
    text: str


def verdicts(now: Results, recorded: Results, tolerance: float = TOLERANCE) -> list[Verdict]:
    """Return a verdict for each line that was measured now."""
    found = [_verdict(line, now, recorded, tolerance) for line in LINES if now.spread(line.case, line.value, OURS)]
    return [one for one in found if one]


def report(now: Results, recorded: Results, tolerance: float = TOLERANCE) -> tuple[str, bool]:
    """Return the verdicts as text, the last line saying what is worse, and whether anything is."""
    found = verdicts(now, recorded, tolerance)
    lines = [f"Against the run of {recorded.about['date']} ({recorded.about['ours'].partition(',')[0]}):"]
    lines += [f"  {one.text}" for one in found]
    lines += _circumstances(now, recorded)
    if worse := [one.title for one in found if one.outcome == "worse"]:
        lines.append(f"WORSE than recorded by more than {_percent(tolerance)}: {', '.join(worse)}.")
    else:
        lines.append(f"Nothing is worse than recorded by more than {_percent(tolerance)}.")
    return "\n".join(lines), bool(worse)


def _verdict(line: Line, now: Results, recorded: Results, tolerance: float) -> Verdict | None:
    if not line.unit:
        return _count(line, now, recorded)
    ratios = {name: (_ratio(line, now, name), _ratio(line, recorded, name)) for name in (*_others(now), _SPIN)}
    measured = {name: (is_, was) for name, (is_, was) in ratios.items() if is_ and was}
    if len(measured) > 1:
        # The loop is for what nothing else is measured beside: it tells little of disks and memory.
        measured.pop(_SPIN, None)
    if not measured:
        return Verdict(line.title, "new", f"{line.title}: not recorded before")
    # What has changed beside one system alone, is a change of that one's.
    other, (is_, was) = min(measured.items(), key=lambda one: abs(one[1][0] / one[1][1] - 1))
    change = round(is_ / was - 1, 3)
    outcome, said = _judged(change, tolerance, "MORE" if line.unit in ("MB", "tokens") else "SLOWER")
    return Verdict(
        line.title, outcome, f"{line.title}: ours ÷ {other} {_ratio_text(is_)}, recorded {_ratio_text(was)}: {said}"
    )


def _judged(change: float, tolerance: float, worse: str) -> tuple[Outcome, str]:
    if change > tolerance:
        return "worse", f"{worse} by {_percent(change)}"
    # As many times better as would be worse.
    if 1 / (1 + change) > 1 + tolerance:
        return "better", f"better by {_percent(-change)}"
    return "as before", "as before"


def _count(line: Line, now: Results, recorded: Results) -> Verdict | None:
    """None for a count that is no measure of ours: how much there was to do."""
    if not line.goal:
        return None
    is_, was = now.spread(line.case, line.value, OURS), recorded.spread(line.case, line.value, OURS)
    if is_ is None or was is None:
        return Verdict(line.title, "new", f"{line.title}: not recorded before")
    gain = (is_[0] - was[0]) * (1 if line.more_is_better else -1)
    outcome: Outcome = "as before" if not gain else "better" if gain > 0 else "worse"
    said = outcome.upper() if outcome == "worse" else outcome
    return Verdict(line.title, outcome, f"{line.title}: {is_[0]:.0f}, recorded {was[0]:.0f}: {said}")


def _others(results: Results) -> list[str]:
    return [name for name in results.systems() if name != OURS]


def _ratio(line: Line, results: Results, other: str) -> float | None:
    """What ours takes to what `other` takes, of medians; None where either was not measured."""
    ours = results.spread(line.case, line.value, OURS)
    if other == _SPIN:
        spins = [run.spin / 1e3 for run in results.runs if run.case == line.case and run.system == OURS]
        theirs = median(spins) if spins else None
    else:
        found = results.spread(line.case, line.value, other)
        theirs = found[0] if found else None
    return ours[0] / theirs if ours and theirs else None


def _circumstances(now: Results, recorded: Results) -> list[str]:
    """What may be the reason instead, where the machine is another or busy."""
    said: list[str] = []
    if now.fsync > 2 * recorded.fsync:
        said.append(
            f"An fsync takes {now.fsync:.2f} ms here and took {recorded.fsync:.2f} ms there; only ours waits for them."
        )
    is_, was = (median([run.spin for run in one.runs]) for one in (now, recorded))
    if is_ > (1 + TOLERANCE) * was:
        said.append(f"The machine is slower or busy: {_SPIN} takes {is_:.0f} ms here and took {was:.0f} ms there.")
    return said


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _ratio_text(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"
