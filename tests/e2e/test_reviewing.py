"""Review on a terminal with real kernels: only approved code runs."""

import json
import os
import signal
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.graph.executor import config_of
from durable_rlm.nodes.approval.edited_code import replaced
from tests.contract.in_memory_kernel import MemoryKernels
from tests.e2e.program import rlm
from tests.e2e.terminal import Terminal
from tests.scripts import Asked, repl, write_script

AtTerminal = Callable[..., Terminal]
FIRST, SECOND = "x = 1\nopen('ran', 'a').write('first ')", "y = x + 1\nFINAL(llm_query(f'y is {y}'))"


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Two cells; the second one makes a sub-call."""
    return write_script(tmp_path / "m.py", [repl(FIRST), repl(SECOND), repl(SECOND)])


@pytest.fixture
def at_terminal(tmp_path: Path) -> Generator[AtTerminal]:
    """Run the program on a terminal with `at_terminal(…)`, and end it with the test."""
    terminals: list[Terminal] = []

    def start(*arguments: str, **environ: str) -> Terminal:
        terminals.append(Terminal(tmp_path, *arguments, **environ))
        return terminals[-1]

    yield start
    for one in terminals:
        one.process.kill()
        one.process.wait()


def running(model: str, *more: str) -> list[str]:
    return ["run", "Q?", "--model", model, "--thread", "t", "--approve", "code", *more]


def waiting(folder: Path, model: str, *gates: str) -> None:
    """Start a run of the thread `t` that waits for approval."""
    flags = [word for gate in gates or ("code",) for word in ("--approve", gate)]
    done = rlm(folder, "run", "Q?", "--model", model, "--thread", "t", *flags)
    assert done.returncode == 3 and "rlm review t" in done.stderr, done.stderr


def test_a_run_asks_on_its_terminal_and_runs_the_approved_or_edited_code(
    tmp_path: Path, model: str, at_terminal: AtTerminal
) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text("import sys, pathlib; p = pathlib.Path(sys.argv[1]); p.write_text(p.read_text() + '  # edited')")
    terminal = at_terminal(*running(model), EDITOR=f"{sys.executable} {editor}")
    terminal.asks()
    assert "t asks to run the code of turn 1" in terminal.words and "  1 │ x = 1" in terminal.words
    # The panel is gone, and the cursor is visible again.
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")
    terminal.type("a\n")
    terminal.asks(2)
    assert "turn 2" in terminal.words and "── no line in common with the cell of turn 1" in terminal.words
    terminal.type("e\n")
    assert terminal.ended() == 0 and "Y IS 2" in terminal.words
    shown = json.loads(rlm(tmp_path, "show", "t", "--json").stdout)
    assert [turn["code"] for turn in shown["turns"]] == [[FIRST], [f"{SECOND}  # edited"]]


def test_rejected_code_does_not_run_and_the_model_receives_the_reason(
    tmp_path: Path, model: str, at_terminal: AtTerminal
) -> None:
    asked = Asked(model)
    terminal = at_terminal(*running(model))
    terminal.asks()
    terminal.type("r\n")
    terminal.shows("The model gets this > ")
    terminal.type("Write no files.\n")
    terminal.asks(2)
    assert "Write no files." in asked.roots[1]
    terminal.type("s\n")
    assert terminal.ended() == 3 and "Nothing was decided: the run waits." in terminal.words
    assert "rlm review t" in terminal.words
    turns = json.loads(rlm(tmp_path, "show", "t", "--json").stdout)["turns"]
    assert turns[0]["output"] is None or "first" not in turns[0]["output"]
    listed, steps = rlm(tmp_path, "list"), rlm(tmp_path, "steps", "t")
    assert (
        "One run waits for approval. Decide: " in listed.stderr
        and "rlm review t" in listed.stderr
        and "rlm review t" in steps.stderr
    )
    assert "Waits for approval to run the code of turn 2" in rlm(tmp_path, "show", "t").stdout
    again = rlm(tmp_path, "resume", "t")
    assert again.returncode == 3 and "rlm review t" in again.stderr and len(asked.roots) == 2


@pytest.mark.kill
def test_quitting_the_prompt_leaves_the_run_waiting(tmp_path: Path, model: str, at_terminal: AtTerminal) -> None:
    waiting(tmp_path, model)
    for how in (signal.SIGINT, signal.SIGTERM, "\x04"):
        terminal = at_terminal("review", "t")
        terminal.asks()
        if isinstance(how, signal.Signals):
            os.kill(terminal.process.pid, how)
        else:
            terminal.type(how)
        assert terminal.ended() == 3 and "rlm review t" in terminal.words, how
    assert json.loads(rlm(tmp_path, "list", "--json").stdout)[0]["status"] == "paused"


def test_input_typed_before_the_prompt_is_not_a_decision(tmp_path: Path, at_terminal: AtTerminal) -> None:
    gate, script = tmp_path / "gate", tmp_path / "m.py"
    os.mkfifo(gate)
    model = write_script(script, [repl("FINAL(1)")])
    waits = f"def root(messages):\n    open({str(gate)!r}).read()"
    script.write_text(script.read_text().replace("def root(messages):", waits))
    terminal = at_terminal(*running(model))
    terminal.shows("asking the root model")
    terminal.type("a\na\na\n")
    gate.write_text("now")
    terminal.asks()
    terminal.type("s\n")
    assert terminal.ended() == 3 and terminal.words.count("[s]kip > ") == 1


def test_each_kind_of_request_can_be_decided_by_flags(tmp_path: Path, model: str) -> None:
    asked = Asked(model)
    waiting(tmp_path, model, "all")
    looked = rlm(tmp_path, "review", "t")
    assert looked.returncode == 3 and "  2 │ open('ran', 'a')" in looked.stdout
    (tmp_path / "better.py").write_text("x = 41\n")
    assert rlm(tmp_path, "review", "t", "--edit", "better.py").returncode == 3
    calls = rlm(tmp_path, "review", "t", "--approve", "--json")
    [request] = json.loads(calls.stdout)["interrupts"][0]["value"]["action_requests"]
    assert request["name"] == "sub_calls" and request["args"]["calls"][0]["prompt"] == "y is 42"
    final = rlm(tmp_path, "review", "t", "--respond", "forty-two", "--json")
    [request] = json.loads(final.stdout)["interrupts"][0]["value"]["action_requests"]
    assert request == {**request, "name": "final_answer", "args": {"answer": "forty-two"}} and asked.prompts == []
    done = rlm(tmp_path, "review", "t", "--approve", "-o", "answer.txt")
    assert (done.returncode, (tmp_path / "answer.txt").read_text()) == (0, "forty-two\n")
    once_more = rlm(tmp_path, "review", "t", "--approve")
    assert once_more.returncode == 2 and "is answered" in once_more.stderr
    assert rlm(tmp_path, "review", "nosuch", "--approve").returncode == 2


def test_requests_of_sub_rlms_are_shown_together_at_the_top_run(tmp_path: Path, at_terminal: AtTerminal) -> None:
    root = repl("FINAL(' '.join(rlm_query_batched(['one?', 'two?'])))")
    model = write_script(tmp_path / "m.py", [root])
    script = tmp_path / "m.py"
    # A sub-RLM's request contains its question.
    script.write_text(
        script.read_text().replace(
            "    return REPLIES[done]",
            "    text = messages[-1]['content'] + messages[0]['content'] + str(messages)\n"
            "    child = [word for word in ('one?', 'two?') if word in text and 'Q?' not in text]\n"
            '    return f"```repl\\nFINAL({child[0]!r}.upper())\\n```" if child else REPLIES[done]',
        )
    )
    terminal = at_terminal(*running(model, "--max-depth", "2"))
    terminal.asks()
    terminal.type("a\n")
    terminal.asks(2)
    assert "1 of 2 · t asks to run the code of turn 1 · sub-RLM " in terminal.words
    terminal.type("all\n")
    assert terminal.ended() == 0 and "ONE? TWO?" in terminal.words


def test_a_decision_of_another_reviewer_is_not_overruled(tmp_path: Path, model: str, at_terminal: AtTerminal) -> None:
    waiting(tmp_path, model)
    terminal = at_terminal("review", "t")
    terminal.asks()
    assert rlm(tmp_path, "review", "t", "--reject", "No.").returncode == 3
    terminal.type("a\n")
    terminal.asks(2)
    assert "Nothing was decided." in terminal.words and "Something else waits" in terminal.words
    assert "t asks to run the code of turn 2" in terminal.words
    terminal.type("s\n")
    assert terminal.ended() == 3


async def test_code_replaced_while_its_review_is_open_does_not_run(
    tmp_path: Path, model: str, at_terminal: AtTerminal
) -> None:
    waiting(tmp_path, model)
    terminal = at_terminal("review", "t")
    terminal.asks()
    async with Runner.open(tmp_path / ".rlm", kernels=MemoryKernels()) as runner:
        evil = f"open({str(tmp_path / 'evil')!r}, 'w')"
        cell, turn = await replaced(1, evil, runner.stores.texts, note="swapped")
        # An edit by `runner.graph` is refused.
        await runner._graph.aupdate_state(config_of("t"), {"cell": cell, "turns": [turn]}, as_node="plan")
    terminal.type("a\n")
    terminal.asks(2)
    assert "Nothing was decided." in terminal.words and "Something else waits" in terminal.words
    assert "  1 │ open('" in terminal.words and not (tmp_path / "evil").exists()
    terminal.type("s\n")
    assert terminal.ended() == 3 and not (tmp_path / "evil").exists()
