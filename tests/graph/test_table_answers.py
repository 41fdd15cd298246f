"""An answer that is a table is whole wherever it is read: every row, in every view, copy and check."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Run, Runner
from durable_rlm.nodes.runtime import answers
from durable_rlm.nodes.runtime.answers import open_table
from durable_rlm.state.answer_tables import Column
from durable_rlm.state.evidence.citations import answer_digest
from durable_rlm.studio.cli.delivery import Delivery
from tests.scripts import repl, write_script

FRAME = "import pandas as pd\ndf = pd.DataFrame({'n': range(200), 's': 'x'})\n"
ROWS = [{"n": number, "s": "x"} for number in range(200)]


async def finish(runner: Runner, tmp_path: Path, *codes: str, **settings: Any) -> Run:
    model = write_script(tmp_path / "m.py", [repl(code) for code in codes])
    return await runner.run("Which?", model=model, thread="t", **settings)


async def notes_of(runner: Runner, turn: int) -> str:
    return " ".join((await runner.queries.show("t", runner.graph))["turns"][turn - 1]["notes"])


async def test_a_table_is_the_answer_as_a_list_of_objects(runner: Runner, tmp_path: Path) -> None:
    run = await finish(runner, tmp_path, FRAME + "FINAL(df)")
    assert run.answer == ROWS and (await runner.read("t")).answer == ROWS
    assert (await runner.queries.show("t", runner.graph))["answer"] == ROWS
    await runner.fork("t", 3, into="fork")
    fork = await runner.resume("fork")
    assert fork.answer == ROWS
    assert (await runner.verify("t")).ok and (await runner.verify("fork")).ok


async def test_the_rows_can_be_read_one_after_the_other(runner: Runner, tmp_path: Path) -> None:
    await finish(runner, tmp_path, FRAME + "FINAL(df)")
    state = (await runner.graph.aget_state({"configurable": {"thread_id": "t"}})).values
    table = await open_table(state["answer"], runner.stores)
    assert table is not None and table.columns == [Column("n", "integer"), Column("s", "text")]
    assert table.rows_count == 200 and list(table.rows()) == [[number, "x"] for number in range(200)]


async def test_a_batch_that_is_damaged_is_found_and_named(runner: Runner, tmp_path: Path) -> None:
    await finish(runner, tmp_path, FRAME + "FINAL(df)")
    state = (await runner.graph.aget_state({"configurable": {"thread_id": "t"}})).values
    [batch] = state["answer"]["table"]["batches"]
    path = runner.stores.blobs.path(batch)
    path.write_bytes(path.read_bytes()[:-1])
    [problem] = (await runner.verify("t")).problems
    assert problem.needed_by == ["rows of the answer"]
    runner.stores.texts._recent.clear()
    assert "changed" in (await runner.queries.show("t", runner.graph))["answer"]


async def test_a_schema_is_checked_against_the_objects(runner: Runner, tmp_path: Path) -> None:
    row = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    schema = {"type": "array", "items": row, "minItems": 200}
    run = await finish(runner, tmp_path, FRAME + "FINAL(df[['s']])", FRAME + "FINAL(df)", schema=schema)
    assert (run.answer, run.turns) == (ROWS, 2)
    assert "does not match the schema" in await notes_of(runner, 1)


async def test_a_table_that_is_too_large_to_check_is_refused_for_its_size(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_CHECKED", 100)
    await finish(runner, tmp_path, FRAME + "FINAL(df)", "FINAL([])", schema={"type": "array"})
    note = await notes_of(runner, 1)
    assert "too large to check" in note and "cannot be used" not in note


async def test_a_value_without_a_form_in_json_is_held_back_once(runner: Runner, tmp_path: Path) -> None:
    code = "FINAL({'found': [b'x']})"
    run = await finish(runner, tmp_path, code, code)
    assert (run.answer, run.turns) == ({"found": ["b'x'"]}, 2)
    assert "value['found'][0] is bytes, which have no JSON form: .decode()" in await notes_of(runner, 1)


async def test_the_same_table_counts_the_second_time_and_another_one_does_not(runner: Runner, tmp_path: Path) -> None:
    one, other = (f"{FRAME}df['blob'] = b'{number}'\nFINAL(df)" for number in (1, 2))
    run = await finish(runner, tmp_path, one, other, other)
    assert run.turns == 3 and run.answer[0] == {"n": 0, "s": "x", "blob": "b'2'"}


async def test_an_approval_of_a_table_is_of_its_rows(runner: Runner, tmp_path: Path) -> None:
    run = await finish(runner, tmp_path, FRAME + "FINAL(df)", approve="final")
    assert run.status == "paused"
    [waiting] = run.interrupts
    assert waiting["value"]["action_requests"][0]["args"]["answer"] == ROWS
    decided = await runner.decide("t", [{"type": "approve"}])
    assert decided.answer == ROWS


async def test_a_reviewer_is_shown_the_first_rows_of_a_large_table_and_approves_all(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_SHOWN", 100)
    run = await finish(runner, tmp_path, FRAME + "FINAL(df)", approve="final")
    [asked] = run.interrupts[0]["value"]["action_requests"]
    assert (asked["args"]["rows"], asked["args"]["answer"]) == (200, ROWS[:100]) and asked["args"]["digest"]
    assert "It has 200 rows, of which the first 100 are here." in asked["description"]
    assert (await runner.decide("t", [{"type": "approve"}])).answer == ROWS


async def test_an_edited_table_is_the_value_that_the_reviewer_wrote(runner: Runner, tmp_path: Path) -> None:
    await finish(runner, tmp_path, FRAME + "FINAL(df)", approve="final")
    edit = {"name": "final_answer", "args": {"answer": [{"n": 1}]}}
    decided = await runner.decide("t", [{"type": "edit", "edited_action": edit}])
    assert decided.answer == [{"n": 1}] and (await runner.verify("t")).ok


def test_an_approval_is_of_the_rows_and_the_files_too() -> None:
    said: list[dict[str, Any]] = [
        {},
        {"table": {"batches": ["1"]}},
        {"table": {"batches": ["2"]}},
        {"files": [{"name": "a", "size": 1, "hash": "1"}]},
        {"files": [{"name": "a", "size": 1, "hash": "2"}]},
        {"files": [{"name": "b", "size": 1, "hash": "1"}]},
        {"citations": "1"},
    ]
    answers_: list[Any] = [{"text": "x", "typed": True, **one} for one in said]
    assert len({answer_digest(one) for one in answers_}) == len(said)


async def test_a_table_that_is_too_large_for_memory_is_described_and_written_row_by_row(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_LOADED", 100)
    run = await finish(runner, tmp_path, FRAME + "FINAL(df)")
    assert run.status == "answered" and run.to_json()["answer"]["table"]["rows"] == 200
    printed = Delivery.to(None, None)
    await printed.deliver(runner, run)
    [problem] = printed.problems
    assert "a table of 200 rows, too large to print" in problem.message and "-o FILE" in problem.hint
    written = Delivery.to(tmp_path / "t.csv", None)
    await written.deliver(runner, run)
    assert written.problems == [] and len((tmp_path / "t.csv").read_text().splitlines()) == 201


@pytest.mark.parametrize("schema", ["None", "{'type': 'array'}"])
async def test_the_table_of_a_sub_rlm_reaches_the_code_that_asked(runner: Runner, tmp_path: Path, schema: str) -> None:
    code = f"import json\nfound = rlm_query('sub', schema={schema})\nrows = found if {schema} else json.loads(found)\n"
    script = tmp_path / "m.py"
    model = write_script(script, [repl(code + "FINAL([len(rows), rows[1]])")])
    reply = repl(FRAME + "FINAL(df)")
    script.write_text(
        script.read_text()
        + "\n_root = root\ndef root(messages):\n    of_sub = 'Which?' not in str(messages)\n"
        + f"    return {reply!r} if of_sub else _root(messages)\n"
    )
    run = await runner.run("Which?", model=model, thread="t", max_depth=2)
    assert run.answer == [200, {"n": 1, "s": "x"}], run.error


async def test_files_that_code_leaves_are_part_of_the_answer(tmp_path: Path) -> None:
    """With a real kernel, which has a folder of its own, and a long table beside them."""
    leave = (
        "import os, pandas as pd\nos.makedirs('answer_files/d')\nopen('answer_files/d/x.csv', 'w').write('a,b')\n"
        "os.symlink('/etc/passwd', 'answer_files/link')\nFINAL(pd.DataFrame({'n': range(100_000)}))"
    )
    async with Runner.open(tmp_path / "home") as runner:
        run = await finish(runner, tmp_path, leave, "FINAL(pd.DataFrame({'n': range(100_000)}))")
        assert "answer_files/link is a link" in await notes_of(runner, 1)
        assert len(run.answer) == 100_000 and run.answer[-1] == {"n": 99_999}
        [file] = run.to_json()["files"]
        assert (file["name"], file["size"]) == ("d/x.csv", 3)
        assert runner.stores.blobs.read(file["hash"]) == b"a,b"
        assert (await runner.verify("t")).ok
