"""The parts of the input that models were shown, as a run records them: in prompts, in outputs, by sub-RLMs."""

import random
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from tests.graph.sub_rlms.conftest import tree_script
from tests.scripts import repl, write_script

DOCUMENTS = 8


def prose(seed: int, lines: int = 12) -> str:
    """Return lines of words that no other seed has."""
    chosen = random.Random(seed)
    return "".join(
        " ".join(f"{chosen.choice('bcdfglmnprst')}{chosen.randrange(10_000)}{chosen.choice('aeiou')}" for _ in range(9))
        + "\n"
        for _ in range(lines)
    )


@pytest.fixture
def given(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    for number in range(DOCUMENTS):
        (folder / f"{number}.txt").write_text(prose(number))
    return folder


async def coverage(runner: Runner, thread: str) -> dict[str, Any]:
    found = await runner.queries.coverage(thread)
    assert found is not None
    return found


def by_name(found: dict[str, Any], key: str) -> dict[str, Any]:
    return {Path(one["name"]).stem: one[key] for one in found["read"]}


async def test_documents_that_were_sent_are_read_and_no_others(runner: Runner, tmp_path: Path, given: Path) -> None:
    cell = "answers = llm_query_batched([f'Sum up {d.name}:\\n{d.text}' for d in context[3:6]])\nFINAL('done')"
    model = write_script(tmp_path / "m.py", [repl(cell)] * 2, sub="return 'short'")
    run = await runner.run("Q?", given, model=model, thread="t")
    found = await coverage(runner, "t")
    assert by_name(found, "sub_models") == {str(n): 1.0 if n in (3, 4, 5) else 0.0 for n in range(DOCUMENTS)}
    assert found["documents"]["whole"] == 3
    assert by_name(found, "lines")["4"] == [[1, 12]]
    assert run.usage.get("coverage") == found["coverage"]
    assert 3 / DOCUMENTS <= found["coverage"] < 4 / DOCUMENTS
    assert found["sub_models"]["requests"] == 3
    assert 0 < found["sub_models"]["not_placed"] < 0.2


async def test_lines_of_a_slice_are_named(runner: Runner, tmp_path: Path, given: Path) -> None:
    cell = "lines = context[4].text.splitlines(True)\nllm_query('Look: ' + ''.join(lines[3:8]))\nFINAL('done')"
    model = write_script(tmp_path / "m.py", [repl(cell)], sub="return 'short'")
    await runner.run("Q?", given, model=model, thread="t")
    found = await coverage(runner, "t")
    # The root model was shown the beginning of the first three documents.
    begun = {key: [[1, 3]] for key in "012"}
    assert by_name(found, "lines") == begun | {key: [] for key in "3567"} | {"4": [[4, 8]]}
    assert by_name(found, "sub_models")["4"] == pytest.approx(5 / 12, abs=0.02)


async def test_an_output_was_shown_to_the_root_model_once_it_was_sent(
    runner: Runner, tmp_path: Path, given: Path
) -> None:
    cells = ["print(context[6].text)", "print(context[7].text)\nFINAL('done')"]
    await runner.run("Q?", given, model=write_script(tmp_path / "m.py", list(map(repl, cells))), thread="t")
    found = by_name(await coverage(runner, "t"), "root_model")
    assert (found["6"], found["7"]) == (1.0, 0.0)


async def test_a_run_in_one_call_has_read_all_of_it(runner: Runner, tmp_path: Path, given: Path) -> None:
    model = write_script(tmp_path / "m.py", ["an answer"])
    run = await runner.run("Q?", given, model=model, mode="direct", thread="t")
    assert run.usage.get("coverage") == 1.0


async def test_text_that_code_has_changed_is_not_placed(runner: Runner, tmp_path: Path, given: Path) -> None:
    cell = "llm_query(context[4].text.replace('a', 'A').replace('e', 'E').replace(' ', ' _ '))\nFINAL('done')"
    model = write_script(tmp_path / "m.py", [repl(cell)], sub="return 'short'")
    await runner.run("Q?", given, model=model, thread="t")
    found = await coverage(runner, "t")
    assert by_name(found, "sub_models")["4"] == 0.0
    assert found["sub_models"]["not_placed"] == 1.0


async def test_a_call_that_failed_was_read_by_no_model(runner: Runner, tmp_path: Path, given: Path) -> None:
    model = write_script(
        tmp_path / "m.py",
        [repl("print(llm_query_batched([context[5].text]))\nFINAL('done')")],
        sub="raise ValueError('no')",
    )
    await runner.run("Q?", given, model=model, thread="t")
    assert by_name(await coverage(runner, "t"), "sub_models")["5"] == 0.0


async def test_prompts_of_sub_rlms_count_for_their_caller(runner: Runner, tmp_path: Path, given: Path) -> None:
    top = [
        "rlm_query('child: part', context=context[5])\n"
        "rlm_query('child: new', context='Header.\\n' + context[6].text)\n"
        "FINAL('done')"
    ]
    child = ["FINAL(llm_query('Sum up:\\n' + str(context)))"] * 2
    model = tree_script(tmp_path / "m.py", {"top": top, "child:": child})
    await runner.run("top", given, model=model, max_depth=2, thread="t")
    found = by_name(await coverage(runner, "t"), "sub_models")
    assert (found["5"], found["6"], found["7"]) == (1.0, 1.0, 0.0)


async def test_a_fork_has_read_what_was_read_before_it(runner: Runner, tmp_path: Path, given: Path) -> None:
    cells = [
        "a = llm_query(context[5].text)",
        "b = llm_query(context[6].text)",
        "FINAL('done')",
    ]
    model = write_script(tmp_path / "m.py", list(map(repl, cells)), sub="return 'short'")
    await runner.run("Q?", given, model=model, thread="t")
    steps = await runner.queries.steps("t")
    [first, *_] = [step["step"] for step in steps if step["turn"] == 1 and step["summary"].startswith("0 char")]
    await runner.fork("t", first, into="f")
    forked = by_name(await coverage(runner, "f"), "sub_models")
    assert (forked["5"], forked["6"]) == (1.0, 0.0)
    await runner.resume("f")
    assert by_name(await coverage(runner, "f"), "sub_models") == by_name(await coverage(runner, "t"), "sub_models")


async def test_short_documents_and_equal_passages_count_where_they_were_cut(runner: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "short"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text(f"Number {number}.\nThe tenant pays the costs of all repairs.\n")
    cells = ["print(context[5].text)", "llm_query('Look: ' + context[4].lines(2, 2))\nFINAL('done')"]
    model = write_script(tmp_path / "m.py", list(map(repl, cells)), sub="return 'short'")
    await runner.run("Q?", folder, model=model, thread="t")
    found = await coverage(runner, "t")
    assert by_name(found, "sub_models") == {str(n): 0.0 for n in range(6)} | {"4": pytest.approx(0.79, abs=0.05)}
    assert by_name(found, "lines")["4"] == [[2, 2]]
    assert by_name(found, "root_model")["5"] == 1.0


async def test_a_run_without_an_input_has_no_coverage(runner: Runner, tmp_path: Path) -> None:
    run = await runner.run("Q?", model=write_script(tmp_path / "m.py", [repl("FINAL('done')")]), thread="t")
    assert await runner.queries.coverage("t") is None
    assert run.usage.get("coverage", "absent") is None
