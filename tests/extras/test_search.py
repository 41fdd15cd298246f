"""`durable-rlm[search]` with no other extra: a real kernel searches an input that tantivy has the index of."""

from pathlib import Path

import pytest

from durable_rlm import Runner
from tests.scripts import repl, write_script

pytest.importorskip("tantivy", reason="needs the extra `search`: make test-extra NAME=search")
pytestmark = pytest.mark.processes


async def test_an_input_is_searched_with_the_index_of_tantivy(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    lines = "".join(f"line {number} of many lines\n" for number in range(60_000))
    (tmp_path / "in" / "a.txt").write_text(lines)
    (tmp_path / "in" / "b.txt").write_text("A Café here.\n双方同意在收到发票后付款\n")
    cell = "FINAL([[hit.name[-5:], hit.line] for words in ('cafe', '发票', '31415') for hit in context.search(words)])"
    model = write_script(tmp_path / "m.py", [repl(cell)])
    async with Runner.open(tmp_path / "home") as runner:
        run = await runner.run("Q?", tmp_path / "in", model=model, unsandboxed=True)
    assert run.answer == [["b.txt", 1], ["b.txt", 2], ["a.txt", 31416]]
    [index] = (tmp_path / "home" / "search").iterdir()
    assert index.suffix == ".tantivy" and (index / "meta.json").is_file()
