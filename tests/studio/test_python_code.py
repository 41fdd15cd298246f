"""Code in a terminal: coloured where that takes no long time, and always exactly what it is."""

import time

import pytest

from durable_rlm.studio.approval.hidden_characters import marked
from durable_rlm.studio.approval.quoted import coloured
from durable_rlm.studio.terminal.python_code import LONGEST, python_text


def test_ordinary_code_is_coloured() -> None:
    assert len(python_text("if x:\n    print('y')\n").spans) > 3


@pytest.mark.parametrize("piece", [" \n", "\\N{", "'{a[", '"""\'', "x = 1\n"])
def test_hostile_code_takes_no_longer_for_its_colours(piece: str) -> None:
    for size in (LONGEST, 200_000):
        code = piece * (size // len(piece))
        began = time.process_time()
        assert coloured(marked(code, code=True)).plain == code
        assert time.process_time() - began < 5
