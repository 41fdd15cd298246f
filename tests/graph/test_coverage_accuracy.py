"""Coverage is true: of whatever form prompts are, the documents that were sent count, with the parts that were sent.

Each cell says itself what it sends (`sent`), and what the run has recorded of its turn is compared with that: the
documents exactly, and their bytes within 5 %.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Run, Runner
from durable_rlm.kernel.inside import cuts
from tests.graph.prompt_shapes import ANSWER, CLAUSE, FIRST_CELL, GROUPS, PARTS, TEXTS
from tests.graph.sent_parts import difference, recorded, truth
from tests.graph.sub_rlms.conftest import tree_script
from tests.nodes.input.pdf_files import Pdf
from tests.scripts import repl, write_script


@pytest.fixture(autouse=True)
def no_older_cuts() -> None:
    # A kernel is a process of its own, except in tests.
    cuts._cuts.clear()  # pyright: ignore[reportPrivateUsage]


@pytest.fixture
def given(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_bytes(text.encode())
    return folder


async def run_cells(runner: Runner, folder: Path, given: Path, *cells: str, **settings: Any) -> Run:
    model = write_script(folder / "m.py", list(map(repl, cells)), sub=f"return {ANSWER!r}")
    return await runner.run("Q?", given, model=model, thread="t", max_turns=len(cells) + 3, **settings)


async def wrong_ones(runner: Runner, shapes: Mapping[str, str], kind: str, first: int) -> dict[str, str]:
    """Return how what was recorded of shapes differs from what they sent. `first`: the turn of the first of them."""
    found = await recorded(runner, "t")
    wrong = {
        name: difference(truth(name, TEXTS), found.get((kind, turn), {})) for turn, name in enumerate(shapes, first)
    }
    return {name: words for name, words in wrong.items() if words}


@pytest.mark.parametrize("group", GROUPS)
async def test_all_that_was_sent_counts_and_nothing_else(
    runner: Runner, tmp_path: Path, given: Path, group: str
) -> None:
    shapes = GROUPS[group]
    cells = [FIRST_CELL, *(f"begin({name!r})\n{code}" for name, code in shapes.items()), "FINAL('done')"]
    await run_cells(runner, tmp_path, given, *cells)
    turns = (await runner.queries.show("t", runner.graph))["turns"]
    assert len(turns) == len(cells), [turn["output"] for turn in turns]
    assert not [turn["output"] for turn in turns if "Traceback" in turn["output"]]
    kind, first = ("root", 3) if group == "shown" else ("sub", 2)
    wrong = await wrong_ones(runner, shapes, kind, first)
    assert not wrong, "\n".join(f"{name}: {words}" for name, words in wrong.items())
    if group == "changed":
        found = await runner.queries.coverage("t")
        assert found is not None and found["sub_models"]["not_placed"] == 1.0


CHILDREN = {
    "a part of the input that the child sends on": (
        "begin('children')\nfor d in leases[:2]: sent(d, *clause(d))\n"
        "rlm_query_batched(['part of it'] * 2, context=leases[:2])"
    ),
    "a new text with passages of the input": (
        "d = leases[4]; sent(d, 20, 700); rlm_query('new text', context='Read this:\\n' + d[20:700])"
    ),
    "a question with a passage": "d = leases[5]; sent(d, 100, 500); rlm_query('nothing of ' + d[100:500])",
    "chunks of documents": (
        "some = chunks(leases[6:], max_chars=600)[1:4]\nfor c in some: sent(c.document, c.start, c.end)\n"
        "rlm_query('whole of it', context=some)"
    ),
}
CHILD = {
    "part": [f"at = context.find({CLAUSE[:60]!r})\nFINAL(llm_query('Q ' + context[at : at + {len(CLAUSE)}]))"],
    "new": ["FINAL(llm_query(str(context)))"],
    "nothing": ["FINAL('yes')"],
    "whole": ["FINAL(llm_query_batched([f'Q {d}' for d in context]))"],
}


async def test_prompts_of_sub_rlms_count_for_their_caller(runner: Runner, tmp_path: Path, given: Path) -> None:
    cells = "\n".join([FIRST_CELL, *CHILDREN.values(), "FINAL('done')"])
    model = tree_script(tmp_path / "m.py", {"top": [cells], **CHILD})
    await runner.run("top", given, model=model, max_depth=2, thread="t")
    found = await recorded(runner, "t")
    # A child is shown the beginning of its input, which is more than it sends on.
    begun = {f"lease {at}.txt": set(range(2000)) for at in (0, 1, 4, 6, 7)}
    wanted = truth("children", TEXTS)
    assert found["sub", 1].keys() == wanted.keys()
    for name, sent in wanted.items():
        assert len(sent - found["sub", 1][name]) <= 0.05 * len(sent), name
        assert found["sub", 1][name] <= sent | begun.get(name, set()), name


async def test_a_run_in_one_call_has_read_each_document_and_each_copy(
    runner: Runner, tmp_path: Path, given: Path
) -> None:
    model = write_script(tmp_path / "m.py", ["an answer"])
    run = await runner.run("Q?", given, model=model, mode="direct", thread="t")
    assert run.usage.get("coverage") == 1.0


async def test_resumed_and_forked_runs_have_read_what_was_sent_before_and_after(
    runner: Runner, tmp_path: Path, given: Path
) -> None:
    shapes = {name: PARTS[name] for name in ("chunks", "records' texts", "sections")}
    cells = [FIRST_CELL, *(f"begin({name!r})\n{code}" for name, code in shapes.items()), "FINAL('done')"]
    model = write_script(tmp_path / "m.py", list(map(repl, cells)), sub=f"return {ANSWER!r}")
    stopped = await runner.run("Q?", given, model=model, thread="t", max_turns=3)
    assert stopped.status != "answered", stopped
    await runner.resume("t", max_turns=9)
    assert not await wrong_ones(runner, shapes, "sub", 2)
    steps = [step["step"] for step in await runner.queries.steps("t") if step["turn"] == 3]
    await runner.fork("t", steps[-1], into="f")
    await runner.resume("f")
    assert await recorded(runner, "f") == await recorded(runner, "t")


ONE = {
    "crlf.txt": [
        "llm_query('Q ' + context[40:600])",
        "llm_query(json.dumps({'t': context[40:600]}))",
        "llm_query('\\n'.join(context[40:600].splitlines()))",
        "llm_query('\\n'.join(f'{n}: {t}' for n, t in enumerate(context[40:600].splitlines())))",
        "[c] = chunks(context[40:600], max_chars=9000); llm_query(f'Q: {c}')",
    ],
    "cyrillic.txt": ["llm_query(json.dumps([context[40:600]]))", "print(context[40:600])"],
    "emoji.txt": ["llm_query('Q ' + context[40:600])", "llm_query('Q', context=context[40:600])"],
}


@pytest.mark.parametrize("name", ONE)
async def test_parts_of_a_single_text_are_found(runner: Runner, tmp_path: Path, given: Path, name: str) -> None:
    await run_cells(runner, tmp_path, given / name, "import json", *ONE[name], "FINAL('done')")
    found = await recorded(runner, "t")
    text = TEXTS[name]
    first = len(text[:40].encode())
    wanted = {name: set(range(first, first + len(text[40:600].encode())))}
    for turn, code in enumerate(ONE[name], 2):
        key = ("root", turn + 1) if code.startswith("print") else ("sub", turn)
        assert not difference(wanted, found[key]), code


@pytest.mark.processes
async def test_pages_and_hits_of_a_search_count_for_their_document(runner: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    for number in range(3):
        made = Pdf()
        for page in (f"Cover of volume {number} with the word quokka{number}", "The same clause of all volumes " * 2):
            made.page(f"BT /F 12 Tf 50 700 Td ({page}) Tj ET")
        (folder / f"{number}.pdf").write_bytes(made.bytes())
    cells = [
        "llm_query(f'Q {context[1].page(2)}')",
        "llm_query('Q\\n' + '\\n'.join(hit.text for hit in context.search('quokka2')))",
        "print(context[0].page(2))",
        "FINAL('done')",
    ]
    model = write_script(tmp_path / "m.py", list(map(repl, cells)))
    await runner.run("Q?", folder, model=model, thread="t")
    found = await recorded(runner, "t")
    assert [list(found[key]) for key in (("sub", 1), ("sub", 2), ("root", 4))] == [["1.pdf"], ["2.pdf"], ["0.pdf"]]
