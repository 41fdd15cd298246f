"""The table, in Markdown: it is printed, and kept beside the numbers."""

from bench.beside.lines import LINES, Line
from bench.beside.results import Results

OURS = "durable-rlm"


def table(results: Results) -> str:
    """All that was measured, medians, and how many times what ours takes."""
    systems = results.systems()
    others = [name for name in systems if name != OURS]
    head = ["", *others, OURS, *(f"ours ÷ {name}" for name in others), "goal"]
    rows = [_row(line, results, others) for line in LINES]
    shown = [head, *(row for row in rows if row)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    drawn = [_drawn(row, widths) for row in shown]
    drawn.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    about, dill = results.about, results.spread("saving", "dill", OURS)
    beside = f"dill takes {dill[0] * 1e3:.0f} ms to save the session of 40 MB.  " if dill and dill[0] else ""
    return "\n".join(
        [
            *drawn,
            "",
            *([beside] if beside else []),
            f"Medians; {about['date']}; {about['machine']}; Python {about['python']}; one fsync {results.fsync:.2f} ms.  ",
            f"Ours: {about['ours']}.  ",
            f"Theirs: {about['theirs']}.",
        ]
    )


def _row(line: Line, results: Results, others: list[str]) -> list[str] | None:
    ours = results.spread(line.case, line.value, OURS)
    if ours is None:
        return None
    title = f"{line.title}, {line.unit}" if line.unit else line.title
    theirs = [results.spread(line.case, line.value, name) for name in others]
    cells = [line.shown(found[0]) if found else "–" for found in [*theirs, ours]]
    ratios = [f"{ours[0] / found[0]:.2f}" if found and found[0] and line.unit else "" for found in theirs]
    return [title, *cells, *ratios, line.goal]


def _drawn(row: list[str], widths: list[int]) -> str:
    first, *rest = [
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "| " + " | ".join([first, *rest]) + " |"
