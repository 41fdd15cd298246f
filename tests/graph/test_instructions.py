"""A user's own instructions: read once, saved with the run, and sent with each of its requests as a root."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.state.settings import Mode
from tests.graph.sub_rlms.conftest import tree_script
from tests.scripts import Asked, repl, write_script

SAID = "# Instructions of the user"
RULE = "Dates are day/month."


async def test_a_run_keeps_the_instructions_that_it_was_started_with(runner: Runner, tmp_path: Path) -> None:
    file = tmp_path / "rules.md"
    file.write_text(RULE)
    model = write_script(tmp_path / "m.py", [repl("print(context[:5])"), repl("FINAL(llm_query('When?'))")])
    asked = Asked(model)
    run = await runner.run("When?", "1/2/2030", model=model, instructions=file, thread="t", max_turns=1)
    file.write_text("Something else.")
    assert (await runner.resume("t", max_turns=2)).answer == "WHEN?"
    assert all(RULE in request and SAID in request for request in asked.roots) and len(asked.roots) == 2
    assert asked.prompts == ["When?"]
    shown = await runner.queries.show(run.thread_id, runner.graph)
    assert shown["settings"]["instructions"] == RULE


@pytest.mark.parametrize("mode", ["auto", "direct"])
async def test_a_direct_request_has_the_instructions(runner: Runner, tmp_path: Path, mode: Mode) -> None:
    model = write_script(tmp_path / "m.py", ["1 February"])
    asked = Asked(model)
    run = await runner.run("When?", "1/2/2030", model=model, mode=mode, instructions=RULE)
    assert run.answer == "1 February"
    assert RULE in asked.roots[0]


async def test_sub_rlms_get_the_instructions(runner: Runner, tmp_path: Path) -> None:
    cells = {"top": ["FINAL(rlm_query('child: when?'))"], "child:": ["FINAL('1 February')"]}
    model = tree_script(tmp_path / "m.py", cells)
    asked = Asked(model)
    run = await runner.run("top", model=model, max_depth=2, instructions=RULE)
    assert run.answer == "1 February"
    assert [RULE in request for request in asked.roots] == [True, True]


@pytest.mark.parametrize("mode", ["rlm", "direct"])
async def test_only_instructions_that_are_given_enter_the_digest_of_a_request(
    runner: Runner, tmp_path: Path, mode: Mode
) -> None:
    model = write_script(tmp_path / "m.py", [repl("FINAL(context[:1])")])
    for number, instructions in enumerate((None, "", RULE, "Be brief.")):
        await runner.run("When?", "1/2", model=model, mode=mode, instructions=instructions, thread=f"t{number}")
    with closing(sqlite3.connect(tmp_path / "home" / "checkpoints.sqlite")) as database:
        keys = [key for (key,) in database.execute("SELECT key FROM calls ORDER BY thread_id")]
    assert len(keys) == 4
    assert keys[0] == keys[1] and len(set(keys)) == 3
