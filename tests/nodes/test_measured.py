"""The blocks of a cell, placed in the output as its turn keeps it."""

from durable_rlm.kernel.results import BlockResult, CellError, CellResult
from durable_rlm.nodes.execute_code import _observed
from durable_rlm.nodes.runtime.measured import measured


def texts(result: CellResult) -> list[str]:
    observed = _observed(result)
    return [observed[slice(*part["output"])] for part in measured(result, observed, 100.0).get("parts", [])]


def failed(output: str, *blocks: BlockResult) -> CellResult:
    return CellResult("error", output, CellError("E", "no", "Traceback: E"), blocks=blocks)


def test_blocks_of_a_cell_that_went_well_have_what_they_printed() -> None:
    blocks = (BlockResult(0, 3), BlockResult(3, 3), BlockResult(3, 6))
    assert texts(CellResult("ok", "\na\nb \n", blocks=blocks)) == ["\na\n", "", "b \n"]


def test_the_traceback_belongs_to_the_block_that_failed() -> None:
    assert texts(failed("a\nb\n\n", BlockResult(0, 2), BlockResult(2, 5, "E: no"))) == ["a\n", "b\nTraceback: E"]


def test_blank_ends_that_the_turn_does_not_keep_move_no_place() -> None:
    assert texts(failed("\n\na\n", BlockResult(0, 1), BlockResult(1, 4, "E: no"))) == ["", "a\nTraceback: E"]
    assert texts(failed(" \n", BlockResult(0, 2, "E: no"))) == ["Traceback: E"]
    assert texts(failed("", BlockResult(0, 0, "E: no"))) == ["Traceback: E"]


def test_a_cell_began_as_long_before_its_end_as_it_ran() -> None:
    record = measured(CellResult("ok", elapsed=2.5, computed=1.0), "", 100.0)
    assert record == {"began": 97.5, "ended": 100.0, "computed": 1.0}
