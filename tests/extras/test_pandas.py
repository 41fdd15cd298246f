"""`durable-rlm[pandas]` with no other extra: a real kernel has pandas, and a data frame survives a restore."""

from pathlib import Path

import pytest

from durable_rlm import Runner
from tests.scripts import repl, write_script

pytest.importorskip("pandas", reason="needs the extra `pandas`: make test-extra NAME=pandas")
pytestmark = pytest.mark.processes


async def test_a_data_frame_survives_a_restore(tmp_path: Path) -> None:
    cells = ["import pandas\nframe = pandas.DataFrame({'a': [1, 2]})", "FINAL(int(frame.a.sum()))"]
    model = write_script(tmp_path / "m.py", [repl(cell) for cell in cells])
    async with Runner.open(tmp_path / "home") as runner:
        first = await runner.run("Q?", model=model, thread="t", max_turns=1, unsandboxed=True)
        assert first.status == "budget"
        run = await runner.resume("t", max_turns=3)
    assert (run.status, run.answer) == ("answered", 3)
    assert run.restore is not None and "frame" in run.restore["restored"]
