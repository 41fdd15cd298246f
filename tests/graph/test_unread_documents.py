"""Documents that no model was shown are named while the run can still ask about them."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Run, Runner
from durable_rlm.nodes.runtime.unread import selects
from tests.graph.test_coverage import prose
from tests.scripts import repl, write_script

ASK = "a = llm_query_batched(['Sum up:\\n' + d.text for d in {docs}])"
FINISH = "FINAL('done')"
HELD = "FINAL was held back: 2 of 10 documents were in no prompt or output"
NOTE = "2 of 10 documents were in no prompt or output so far."


@pytest.fixture
def given(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.txt").write_text(prose(number))
    return folder


async def run_cells(runner: Runner, folder: Path, given: Path, *cells: str, **settings: Any) -> Run:
    model = write_script(folder / "m.py", list(map(repl, cells)), sub="return 'short'")
    return await runner.run("Q?", given, model=model, thread="t", **settings)


async def notes_of(runner: Runner, thread: str = "t") -> list[str]:
    turns = (await runner.queries.show(thread, runner.graph))["turns"]
    return [note for turn in turns for note in turn["notes"] if "in no prompt" in note]


async def test_an_answer_is_held_back_once_where_a_loop_left_documents_out(
    runner: Runner, tmp_path: Path, given: Path
) -> None:
    run = await run_cells(runner, tmp_path, given, f"{ASK.format(docs='context[:8]')}\n{FINISH}", FINISH)
    assert (run.answer, run.turns) == ("done", 2)
    [note] = await notes_of(runner)
    assert note.startswith(HELD) and "8.txt" in note and "9.txt" in note


async def test_nothing_is_held_back_that_the_model_was_given_a_note_on(
    runner: Runner, tmp_path: Path, given: Path
) -> None:
    run = await run_cells(runner, tmp_path, given, ASK.format(docs="context[:8]"), FINISH)
    assert (run.turns, await notes_of(runner)) == (2, [NOTE])


async def test_nothing_is_said_where_all_were_asked_about(runner: Runner, tmp_path: Path, given: Path) -> None:
    run = await run_cells(runner, tmp_path, given, f"{ASK.format(docs='context')}\n{FINISH}")
    assert (run.turns, await notes_of(runner)) == (1, [])


@pytest.mark.parametrize(
    "code",
    [
        "n = sum(d.text.count('x') for d in context)",
        "found = [d for d in context if 'x1' in d.text]\na = llm_query('Which? ' + str(len(found)))",
        ASK.format(docs="[d for d in context if d.name < context[8].name]"),
        ASK.format(docs="context[:3]"),
        "a = llm_query(''.join(d.text for d in context[:8]))",
    ],
)
async def test_other_ways_of_reading_are_not_held_back(runner: Runner, tmp_path: Path, given: Path, code: str) -> None:
    run = await run_cells(runner, tmp_path, given, f"{code}\n{FINISH}")
    assert (run.status, run.turns) == ("answered", 1)


async def test_the_last_turn_is_not_held_back(runner: Runner, tmp_path: Path, given: Path) -> None:
    run = await run_cells(runner, tmp_path, given, f"{ASK.format(docs='context[:8]')}\n{FINISH}", max_turns=1)
    assert run.status == "answered"


async def test_the_output_of_a_cell_counts_for_its_own_note(runner: Runner, tmp_path: Path, given: Path) -> None:
    cell = f"{ASK.format(docs='context[:8]')}\nprint(context[8].text, context[9].text)"
    await run_cells(runner, tmp_path, given, cell, FINISH)
    assert await notes_of(runner) == []


async def test_a_note_is_not_repeated_in_the_next_turns(runner: Runner, tmp_path: Path, given: Path) -> None:
    cells = [ASK.format(docs=f"context[{n}:{n + 1}]") for n in (3, 4, 5)]
    await run_cells(runner, tmp_path, given, *cells, FINISH)
    assert len(await notes_of(runner)) == 1


async def test_a_fork_has_the_same_notes_and_reuses_the_answers_after_them(
    runner: Runner, tmp_path: Path, given: Path
) -> None:
    run = await run_cells(
        runner, tmp_path, given, ASK.format(docs="context[:8]"), "b = llm_query(context[8].text)", FINISH
    )
    steps = await runner.queries.steps("t")
    [first, *_] = [step["step"] for step in steps if step["kind"] == "plan"]
    await runner.fork("t", first, into="f")
    forked = await runner.resume("f")
    assert (forked.answer, forked.usage["model_calls"]) == (run.answer, 0)
    assert await notes_of(runner, "f") == await notes_of(runner) == [NOTE]


@pytest.mark.parametrize(
    ("code", "chooses"),
    [
        ("for d in context[:5]:\n    llm_query(d.text)", False),
        ("kept = [r for r in results if r]", False),
        ("kept = [r for r in results if r is not None]", False),
        ("kept = [d for d in context if len(d.text) > 9]", True),
        ("for d in context:\n    if 'lease' in d.text:\n        llm_query(d.text)", True),
        ("import re\nfound = re.findall('x', str(context))", True),
        ("def broken(", True),
    ],
)
def test_code_that_may_have_chosen_documents_is_known(code: str, chooses: bool) -> None:
    assert selects([code]) == chooses
