"""Searches in runs: over the input of a run, and over the part of it that a sub-RLM gets."""

from pathlib import Path

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.graph.sub_rlms.conftest import tree_script
from tests.scripts import repl, write_script


def folder_of(tmp_path: Path) -> Path:
    folder = tmp_path / "input"
    folder.mkdir()
    for name, text in {"a": "first: the quokka clause", "b": "second: the wombat clause", "c": "third"}.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


async def test_a_run_searches_its_input_without_sub_calls(runner: Runner, tmp_path: Path) -> None:
    model = write_script(
        tmp_path / "m.py",
        [
            repl("found = context.search('quokka wombat')"),
            repl("FINAL([str(hit).rpartition('/')[2] for hit in found])"),
        ],
    )
    run = await runner.run("What?", folder_of(tmp_path), model=model, max_depth=0)
    assert sorted(run.answer) == [
        "a.txt line 1: first: the quokka clause",
        "b.txt line 1: second: the wombat clause",
    ]
    assert await runner.queries.calls(run.thread_id) == []


async def test_a_single_file_is_searched_too(runner: Runner, tmp_path: Path) -> None:
    model = write_script(
        tmp_path / "m.py",
        [
            repl("found = context.search('quokka')\nline = next(context.grep('clause'))"),
            repl("FINAL([str(found[0]).rpartition('/')[2], line.start])"),
        ],
    )
    run = await runner.run("What?", folder_of(tmp_path) / "a.txt", model=model)
    assert run.answer == ["a.txt line 1: first: the quokka clause", 0]


async def test_a_sub_rlm_searches_the_part_of_the_input_that_it_was_given(runner: Runner, tmp_path: Path) -> None:
    top = ["FINAL(rlm_query('child: find', context=context[1:]) + [len(context.search('clause'))])"]
    child = ["found = context.search('clause quokka')", "FINAL([hit.name[-5:] for hit in found])"]
    schema = "schema={'type': 'array'}, context=context[1:]"
    top = [cell.replace("context=context[1:]", schema) for cell in top]
    model = tree_script(tmp_path / "m.py", {"top": top, "child:": child})
    run = await runner.run("top", folder_of(tmp_path), model=model, max_depth=2)
    assert (run.status, run.answer) == ("answered", ["b.txt", 2])


async def test_a_cell_that_searched_finds_the_same_when_it_is_run_again(tmp_path: Path) -> None:
    cells = [
        "found = context.search('clause')",
        "answers = llm_query_batched([hit.text for hit in found])\nFINAL([answers, found[0].name[-5:]])",
    ]
    folder = folder_of(tmp_path)
    model = write_script(tmp_path / "m.py", [repl(cell) for cell in cells])
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        run = await runner.run("What?", folder, model=model, thread="t")
        [first, *_] = await runner.queries.steps("t")
    assert run.answer == [["FIRST: THE QUOKKA CLAUSE", "SECOND: THE WOMBAT CLAUSE"], "a.txt"]
    # From here on, any request to the model fails.
    (tmp_path / "m.py").write_text("def root(messages): raise SystemError\ndef sub(prompt): raise SystemError\n")
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.fork("t", first["step"], into="again")
        again = await runner.resume("again")
    assert (again.status, again.answer) == ("answered", run.answer), again.error
    assert again.usage["model_calls"] == 0
