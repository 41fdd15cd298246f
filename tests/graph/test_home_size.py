"""`--max-home-size`: nothing is begun that has no room, what is paid is kept, and nothing is paid twice."""

import os
from collections import Counter
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.graph.run import Run
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.errors import HomeFull
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import Asked, repl, write_script

MB = 1 << 20
ANSWERS = [
    repl("got = llm_query_batched([f'part {number}' for number in range(12)])"),
    repl("FINAL([' '.join(text.split()[:2]) for text in got])"),
]
LONG = "return prompt.upper() + ' ' + __import__('random').Random(prompt).randbytes(250_000).hex()"
"""Answers of half a megabyte each."""
RIGHT = [f"PART {number}" for number in range(12)]


def files_under(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def check_full(run: Run) -> None:
    assert (run.status, run.exit_code, run.answer) == ("budget", 4, None), run.error
    assert run.error is not None and run.error["type"] == "HomeFull"
    assert all(words in run.error["hint"] for words in ("`rlm gc`", "--older-than", "--max-home-size")), run.error


async def size_of(runner: Runner) -> int:
    return await runner.stores.size.count()


async def test_an_input_that_does_not_fit_leaves_nothing(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", ANSWERS)
    await runner.run("What?", "a first input", model=model, thread="first", max_turns=1)
    before, size = files_under(runner.stores.home), await size_of(runner)
    (tmp_path / "large.txt").write_bytes(os.urandom(3 * MB).hex().encode())
    with pytest.raises(HomeFull, match=r"The input does not fit in the home .* on disk, of the .* may have") as full:
        await runner.run("What?", tmp_path / "large.txt", model=model, thread="t", max_home_size=size + 4 * MB)
    assert full.value.exit_code == 2 and "`rlm gc`" in full.value.hint
    assert files_under(runner.stores.home) == before
    assert [run["thread_id"] for run in await runner.queries.runs()] == ["first"]
    assert runner.stores.size.now() < size + MB


async def test_a_home_at_its_limit_begins_no_run(runner: Runner, tmp_path: Path) -> None:
    asked = Asked(model := write_script(tmp_path / "m.py", ANSWERS))
    runner.stores.blobs.put(os.urandom(2 * MB))
    with pytest.raises(HomeFull, match=r"The home .* on disk, of the 1.0 MB that it may have"):
        await runner.run("What?", "input", model=model, max_home_size=MB)
    assert await runner.queries.runs() == [] and not len(asked)


@pytest.mark.parametrize("raised", [True, False])
async def test_calls_that_fill_the_home_end_the_run_which_pays_nothing_twice(
    runner: Runner, tmp_path: Path, raised: bool
) -> None:
    """The run continues with a higher limit, and also once room was made."""
    asked = Asked(model := write_script(tmp_path / "m.py", ANSWERS, sub=LONG))
    other = runner.stores.blobs.put(os.urandom(20 * MB))
    limit = await size_of(runner) + 3 * MB
    run = await runner.run("What?", "input", model=model, thread="t", concurrency=2, max_home_size=limit)
    check_full(run)
    paid = len(asked.prompts)
    assert 3 <= paid <= 10 and run.usage["model_calls"] == paid + 1 and run.usage.get("uncertain_calls") == 0
    assert await size_of(runner) <= limit + 2 * 2 * MB, "what was in flight is kept"
    # The write-ahead log has been emptied by then, which made a little room.
    more = runner.stores.blobs.put(os.urandom(5 * MB))
    check_full(await runner.resume("t"))
    assert len(asked.prompts) == paid
    if raised:
        suggested = await runner.suggested_limits("t")
        assert list(suggested) == ["max_home_size"] and suggested["max_home_size"] > limit
        run = await runner.resume("t", max_home_size="80M")
    else:
        for name in (other, more):
            runner.stores.blobs.remove(name, runner.stores.blobs.path(name).stat().st_mtime_ns)
        await size_of(runner)
        run = await runner.resume("t")
    assert (run.status, run.answer) == ("answered", RIGHT), run.error
    assert Counter(asked.prompts) == Counter(f"part {number}" for number in range(12))
    assert run.usage["model_calls"] == 14 and run.usage.get("uncertain_calls") == 0


async def test_variables_that_do_not_fit_end_the_run_and_their_cell_is_run_again_for_nothing(
    runner: Runner, tmp_path: Path
) -> None:
    replies = [
        repl("kept = [llm_query('a')]\nnoise = __import__('random').Random(1).randbytes(6_000_000)"),
        repl("FINAL([kept, len(noise)])"),
    ]
    asked = Asked(model := write_script(tmp_path / "m.py", replies))
    limit = await size_of(runner) + 4 * MB
    run = await runner.run("What?", "input", model=model, thread="t", max_home_size=limit)
    check_full(run)
    assert run.error is not None and "What turn 1 leaves to be saved (6.0 MB) does not fit" in run.error["message"]
    assert await size_of(runner) < limit
    run = await runner.resume("t", max_home_size=limit + 20 * MB)
    assert (run.status, run.answer, asked.prompts, len(asked.roots)) == ("answered", [["A"], 6_000_000], ["a"], 2)
    assert (await runner.verify("t")).ok


async def test_an_answer_that_does_not_fit_is_given_once_there_is_room(runner: Runner, tmp_path: Path) -> None:
    code = "FINAL([{'a': __import__('random').Random(row).randbytes(3_000).hex()} for row in range(1_500)])"
    asked = Asked(model := write_script(tmp_path / "m.py", [repl(code)]))
    limit = await size_of(runner) + 4 * MB
    check_full(await runner.run("What?", model=model, thread="t", max_home_size=limit))
    run = await runner.resume("t", max_home_size=limit + 30 * MB)
    assert (run.status, len(asked)) == ("answered", 1)


async def test_a_sub_rlm_that_fills_the_home_ends_its_tree_and_goes_on_where_it_was(
    runner: Runner, tmp_path: Path
) -> None:
    top = [repl("both = rlm_query_batched(['one', 'two'])"), repl("FINAL(both)")]
    below = [
        repl(
            "got = [llm_query(f'{number}') for number in range(4)]\nnoise = __import__('random').randbytes(3_000_000)"
        ),
        repl("FINAL(str(len(noise)))"),
    ]
    model = write_script(tmp_path / "m.py", top)
    script = tmp_path / "m.py"
    script.write_text(
        script.read_text()
        + f"\nBELOW = {below!r}\n_top = root\n"
        + "def root(messages):\n"
        + "    text = ' '.join(m['content'] for m in messages)\n"
        + "    global REPLIES\n"
        + "    REPLIES = TOP if 'What is it all?' in text else BELOW\n"
        + "    return _top(messages)\n"
        + "TOP = REPLIES\n"
    )
    asked = Asked(model)
    limit = await size_of(runner) + 5 * MB
    run = await runner.run("What is it all?", "input", model=model, thread="t", max_depth=2, max_home_size=limit)
    check_full(run)
    paid = Counter(asked.prompts)
    assert run.usage.get("uncertain_calls") == 0
    run = await runner.resume("t", max_home_size=limit + 40 * MB)
    assert (run.status, run.answer) == ("answered", ["3000000", "3000000"])
    assert Counter(asked.prompts) == Counter([str(number) for number in range(4)] * 2) >= paid
    assert len(asked.roots) == 6


async def test_bytes_of_another_process_count(tmp_path: Path) -> None:
    """It is seen at the next turn, once the files are counted again."""
    home = tmp_path / "home"
    replies = [repl("llm_query('a')"), repl("llm_query('b')"), repl("FINAL(1)")]
    model = write_script(tmp_path / "m.py", replies)
    asked = Asked(model)
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        limit = await size_of(runner) + 4 * MB
        other = Blobs(home / "blobs")

        def written(event: object) -> None:
            if isinstance(event, dict) and event.get("event") == "output":
                other.put(os.urandom(5 * MB))
                runner.stores.size._count()

        check_full(await runner.run("What?", "i", model=model, thread="t", on_event=written, max_home_size=limit))
        assert (asked.prompts, len(asked.roots)) == (["a"], 1)


async def test_a_home_without_a_limit_is_never_counted(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner.stores.size, "_count", lambda: pytest.fail("the files were counted"))
    run = await runner.run("What?", "input", model=write_script(tmp_path / "m.py", ANSWERS), thread="t")
    assert run.status == "answered"
