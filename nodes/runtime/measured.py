"""The part of a turn's record about the run of its cell: when, for how long, and each of its blocks."""

from ...kernel.results import BlockResult, CellResult
from ...state.records import BlockRecord, TurnRecord

_DIGITS = 6
"""Digits after the point of seconds: microseconds."""


def measured(result: CellResult, observed: str, now: float) -> TurnRecord:
    """Return the times and blocks of a cell that has just ended, at `now` (seconds since 1970).

    `observed` is the output as the turn keeps it: without the blank ends of what was printed, and with the traceback.
    """
    record: TurnRecord = {
        "began": round(now - result.elapsed, _DIGITS),
        "ended": round(now, _DIGITS),
        "computed": round(result.computed, _DIGITS),
    }
    if result.blocks:
        kept, begins = len(observed), 0
        if result.error is not None:
            kept = len(result.output.strip())
            begins = len(result.output) - len(result.output.lstrip()) if kept else len(result.output)
        record["parts"] = [_part(block, begins, kept) for block in result.blocks]
        last = record["parts"][-1]
        if last["error"] is not None:
            # The traceback belongs to the block that failed.
            last["output"] = (last["output"][0], len(observed))
    return record


def _part(block: BlockResult, begins: int, kept: int) -> BlockRecord:
    start, end = (min(max(0, place - begins), kept) for place in (block.start, block.end))
    return {
        "output": (start, end),
        "error": block.error,
        "seconds": round(block.seconds, _DIGITS),
        "computed": round(block.computed, _DIGITS),
    }
