"""The places of what the blocks of a cell printed, in the text that is kept of it."""

from itertools import pairwise
from typing import Any

import pytest

from durable_rlm.kernel.inside.blocks import Blocks
from durable_rlm.kernel.inside.output import Capture
from durable_rlm.kernel.inside.protocol import MOST_BLOCKS


def run(output: Capture, *printed: str) -> list[dict[str, Any]]:
    blocks = Blocks(output, lambda: 0.0)
    for text in printed:
        blocks.begin()
        output.write(text)
        blocks.end(None)
    return blocks.said()


@pytest.mark.parametrize("tail", [4, 6])
def test_of_output_that_is_not_kept_whole_every_block_has_what_is_kept_of_it(tail: int) -> None:
    output = Capture(head=6, tail=tail)
    printed = ["head", "", "is cut here", "and gone", "end"]
    said = run(output, *printed)
    text = output.text()
    kept = [text[slice(*block["output"])] for block in said]
    assert kept[:2] == ["head", ""] and kept[2].startswith("is") and kept[4] == "end"
    assert all(one["output"][1] == other["output"][0] for one, other in pairwise(said))
    assert said[-1]["output"][1] == len(text)


def test_more_blocks_than_the_host_takes_are_not_said() -> None:
    assert len(run(Capture(), *"x" * (MOST_BLOCKS + 5))) == MOST_BLOCKS
