"""`rlm show --coverage`: what models were shown of the input, in words and as a document."""

import asyncio
import json
from pathlib import Path

import pytest

from durable_rlm import Run, Runner
from durable_rlm.studio.cli.summary import ended
from durable_rlm.studio.render.coverage import percent, read_of
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script
from tests.studio.conftest import Rlm


@pytest.fixture
def asked(rlm: Rlm, tmp_path: Path) -> Rlm:
    """Return the command in a folder with a run over six documents, of which one was sent, and a part of another."""
    folder = tmp_path / "given"
    folder.mkdir()
    for number in range(6):
        text = "".join(f"line {line} of document {number} says {line * number + 7}\n" for line in range(20))
        (folder / f"{number}.txt").write_text(text)
    cell = "llm_query(context[3].text)\nllm_query(''.join(context[4].text.splitlines(True)[5:15]))\nFINAL('done')"
    model = write_script(tmp_path / "m.py", [repl(cell)] * 2, sub="return 'short'")

    async def run() -> None:
        async with Runner.open(tmp_path / ".rlm", kernels=MemoryKernels()) as runner:
            await runner.run("Q?", folder, model=model, thread="thread")

    asyncio.run(run())
    return rlm


def test_documents_never_read_are_printed_first_then_the_others_with_their_lines(asked: Rlm) -> None:
    done = asked("show", "thread", "--coverage")
    rows = {Path(line.split()[0]).stem: line for line in done.out.splitlines() if ".txt" in line and "%" in line}
    assert "100 %" in rows["3"] and "1-20" in rows["3"] and "sub-models" in rows["3"]
    assert "6-15" in rows["4"]
    first, second, *_ = done.out.splitlines()
    assert (first, Path(second).name) == ("Never read (1):", "5.txt")
    assert "of 6 documents, 1 whole, 4 in part, 1 never" in done.err


def test_json_says_the_same(asked: Rlm) -> None:
    found = json.loads(asked("show", "thread", "--coverage", "--json").out)
    assert found["documents"] == {"count": 6, "whole": 1, "part": 4, "never": 1}
    [third] = [one for one in found["read"] if one["name"].endswith("3.txt")]
    assert (third["coverage"], third["lines"], third["sub_models"]) == (1.0, [[1, 20]], 1.0)
    shown = json.loads(asked("show", "thread", "--json").out)
    assert shown["usage"]["coverage"] == found["coverage"]
    earlier = json.loads(asked("show", "thread", "--step", "1", "--json").out)
    assert earlier["usage"]["coverage"] is None


def test_coverage_goes_with_no_other_view(asked: Rlm) -> None:
    assert asked("show", "thread", "--coverage", "--input").code == 2


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.004, "< 1 %"), (0.5, "50 %"), (0.999, "99 %"), (1.0, "100 %")]
)
def test_all_and_nothing_are_exact_in_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_the_summary_says_how_many_documents_were_read() -> None:
    found = {"coverage": 0.7, "documents": {"count": 61, "whole": 40, "part": 7, "never": 14}}
    assert " · read 47 of 61 documents · thread t" in ended(Run("t", "answered"), 1.0, read=read_of(found))


def test_an_unknown_coverage_is_not_in_the_summary() -> None:
    assert read_of(None) == ""
    assert " · read " not in ended(Run("t", "answered"), 1.0)
