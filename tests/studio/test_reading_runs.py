"""Reading saved runs: list, show, steps, calls and completion, over a home with a run in it."""

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import typer

from durable_rlm import Runner
from durable_rlm.studio.cli.options import complete_threads
from durable_rlm.studio.terminal.tables import Column, ago, print_table
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script
from tests.studio.conftest import HOSTILE, Rlm
from tests.studio.test_safe_text import hostile

CALL_DETAILS = {"input_tokens", "output_tokens", "cached_tokens", "thought_tokens", "cost_usd"} | {
    *("start", "queue", "attempts", "line", "thoughts", "schema")
}
"""The keys of `rlm calls --json` about what a call took, and when."""

NASTY = "".join(HOSTILE.values()).encode(errors="ignore").decode()
CELLS = [
    "x = [1, 2]\nprint('many\\nlines')",
    f"r = llm_query_batched(['one', 'two', {NASTY!r}])\nprint(r[2])",
    "raise ValueError('broken')",
    "FINAL({'done': r})",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the runs `nasty`, answered, and `short`, out of turns."""
    folder = tmp_path_factory.mktemp("home")
    model = write_script(folder / "m.py", [repl(cell) for cell in CELLS])

    async def fill() -> None:
        async with Runner.open(folder, kernels=MemoryKernels()) as runner:
            answered = await runner.run(f"What?{NASTY}", "the text", thread="nasty", model=model)
            assert answered.status == "answered"
            spent = await runner.run("Why?", thread="short", model=model, max_turns=1)
            assert spent.status == "budget"

    asyncio.run(fill())
    return folder


def test_list_prints_the_runs_with_their_status(rlm: Rlm, home: Path) -> None:
    listed = json.loads(rlm("list", "--json", "--home", str(home)).out)
    keys = {"thread_id", "status", "question", "parent", "model", "turns", "model_calls", "cost_usd", "updated"} | {
        *("held_calls", "held_cost_usd")
    }
    assert [set(run) for run in listed] == [keys, keys]
    lines = rlm("list", "--home", str(home)).out.splitlines()
    assert lines[0].split() == ["THREAD", "STATUS", "TURNS", "CALLS", "COST", "UPDATED", "QUESTION"]
    assert re.match(r"short +budget +1 +1 +\$0\.00 .* ago +Why\?$", lines[1])
    assert re.match(r"nasty +answered +4 +7 ", lines[2]) and hostile("".join(lines)) == []


def test_steps_prints_the_steps_of_a_run(rlm: Rlm, home: Path) -> None:
    steps = json.loads(rlm("steps", "nast", "--json", "--home", str(home)).out)
    assert {frozenset(step) for step in steps} == {
        frozenset({"step", "kind", "turn", "created", "checkpoint_id", "summary"})
    }
    table = rlm("steps", "nast", "--home", str(home)).out.splitlines()
    assert len(table) == len(steps) + 1 and "finalize" in table[-1]


def test_calls_prints_the_calls_of_a_run(rlm: Rlm, home: Path) -> None:
    calls = json.loads(rlm("calls", "nasty", "--json", "--home", str(home)).out)
    keys = {"key", "turn", "depth", "kind", "model", "prompt", "answer", "error", "tokens", "seconds", "reused"}
    assert [set(call) for call in calls] == [keys | {"child_thread"} | CALL_DETAILS] * 3 and calls[2]["prompt"] == NASTY
    table = rlm("calls", "nasty", "--home", str(home)).out
    assert re.search(r"2 +scripted:\S+ +\d+ +0\.\d s +two +TWO", table) and hostile(table) == []


def test_a_run_is_shown_with_its_turns_and_answer(rlm: Rlm, home: Path) -> None:
    shown = rlm("show", "nasty", "--home", str(home)).out
    assert hostile(shown) == []
    for part in ("Thread    nasty", "answered", "one text, 8 characters", "30 turns", "── turn 1 · ok", "  x = [1, 2]"):
        assert part in shown, part
    assert "  many\n  lines" in shown and "── turn 3 · error" in shown and "ValueError: broken" in shown
    assert '"done": [' in shown.partition("── answer")[2]
    document = json.loads(rlm("show", "nasty", "--json", "--home", str(home)).out)
    assert [turn["turn"] for turn in document["turns"]] == [1, 2, 3, 4] and document["step"] is None
    assert document["answer"]["done"][:2] == ["ONE", "TWO"] and document["limits"]["max_turns"] == 30


def test_show_says_why_a_run_ended(rlm: Rlm, home: Path) -> None:
    assert re.search(r"Status +budget: .*--max-turns", rlm("show", "short", "--home", str(home)).out)


def test_a_step_is_shown_with_the_state_after_it(rlm: Rlm, home: Path) -> None:
    steps = json.loads(rlm("steps", "nasty", "--json", "--home", str(home)).out)
    number = next(step["step"] for step in steps if step["kind"] == "execute_code" and step["turn"] == 1)
    shown = rlm("show", "nasty", "--step", str(number), "--home", str(home)).out
    assert "── turn 1" in shown and "── turn 2" not in shown and "── answer" not in shown
    assert "running" in shown and re.search(r"── variables\n(.*\n)*  x: list, size 2 = \[1, 2\]", shown)
    document = json.loads(rlm("show", "nasty", "--step", str(number), "--json", "--home", str(home)).out)
    assert document["step"]["step"] == number and document["answer"] is None and document["usage"]["model_calls"] == 1
    assert rlm("show", "nasty", "--step", "999", "--home", str(home)).code == 2


def test_long_code_and_output_are_clipped_without_the_flag_full(rlm: Rlm, tmp_path: Path) -> None:
    code = [*(f"n{line} = {line}" for line in range(100)), "print('\\n'.join(map(str, range(100))))", "FINAL('x')"]
    model = write_script(tmp_path / "m.py", [repl("\n".join(code))])

    async def fill() -> None:
        async with Runner.open(tmp_path / ".rlm", kernels=MemoryKernels()) as runner:
            await runner.run("Q?", thread="long", model=model)

    asyncio.run(fill())
    clipped, full = rlm("show", "long").out, rlm("show", "long", "--full").out
    assert "… 78 more lines" in clipped and "… 88 more lines" in clipped and "n99 = 99" not in clipped
    assert "n99 = 99" in full and "  99\n" in full and "more lines" not in full


def damage(home: Path, copy: Path, text: str) -> None:
    """Copy `home` to `copy`, with one stored text changed behind the product's back."""
    copy.mkdir()
    with (
        closing(sqlite3.connect(home / "checkpoints.sqlite")) as source,
        closing(sqlite3.connect(copy / "checkpoints.sqlite")) as target,
    ):
        source.backup(target)
        changed = target.execute("UPDATE texts SET body = 'x' WHERE CAST(body AS TEXT) GLOB ?", (text,))
        assert changed.rowcount == 1
        target.commit()


def test_a_damaged_text_does_not_hide_the_rest(rlm: Rlm, home: Path, tmp_path: Path) -> None:
    damage(home, tmp_path / ".rlm", "many*")
    shown = rlm("show", "nasty").out
    assert "has changed on disk" in shown and "── turn 4" in shown and "── answer" in shown


def test_a_damaged_call_does_not_hide_the_others(rlm: Rlm, home: Path, tmp_path: Path) -> None:
    damage(home, tmp_path / ".rlm", "two")
    damaged = json.loads(rlm("calls", "nasty", "--json").out)
    assert [call["answer"] for call in damaged][:2] == ["ONE", "TWO"]
    assert damaged[1]["prompt"].startswith("[The stored text") and "has changed on disk" in damaged[1]["error"]
    assert damaged[0]["error"] is None and rlm("calls", "nasty").code == 0


def completed(home: Path, incomplete: str) -> list[str]:
    root = SimpleNamespace(params={"home": None})
    context = SimpleNamespace(params={"home": home}, find_root=lambda: root)
    return [name for name, _ in complete_threads(cast(typer.Context, context), incomplete)]


def test_the_shell_completes_thread_names(home: Path) -> None:
    assert completed(home, "") == ["short", "nasty"] and completed(home, "na") == ["nasty"]
    assert completed(home, "x") == [] and completed(home, "%") == []


def test_completion_is_silent_about_errors(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert completed(tmp_path / "nowhere", "") == []
    (tmp_path / "checkpoints.sqlite").write_text("not a database")
    assert completed(tmp_path, "") == []
    assert capfd.readouterr() == ("", "") and [one.name for one in tmp_path.iterdir()] == ["checkpoints.sqlite"]


def test_tables_align_wide_characters_and_cut_long_cells(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [Column("A", limit=5), Column("N", right=True), Column("TEXT", wide=True)]
    rows = [("漢字", "1", "x" * 1000), ("longer than five", "1,000", "é\nü")]
    print_table(columns, rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A          N  TEXT" and lines[2] == "long…  1,000  é ü"
    assert lines[1].startswith("漢字       1  xxx") and lines[1].endswith("…") and len(lines[1]) < 310


def test_times_are_shown_as_ages() -> None:
    now = datetime.fromisoformat("2026-01-10T12:00:00Z")
    times = ["2026-01-10T11:59:48.100Z", "2026-01-10T11:12:00Z", "2026-01-09T12:30:00Z", "2026-01-02T00:00:00Z"]
    assert [ago(time, now) for time in times] == ["11 s ago", "48 min ago", "23 h ago", "2026-01-02"]
    assert ago("2026-01-10T12:00:05Z", now) == "0 s ago"


def test_calls_shows_schemas_where_there_are_any(rlm: Rlm, tmp_path: Path) -> None:
    model = write_script(
        tmp_path / "m.py",
        [repl("x = llm_query('typed', schema={'description': '\\x1b[31m'})\ny = llm_query('plain')\nFINAL(1)")],
        sub="return '1'",
    )

    async def fill() -> None:
        async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
            await runner.run("What?", thread="t", model=model)

    asyncio.run(fill())
    table = rlm("calls", "t", "--home", str(tmp_path / "home")).out
    assert "SCHEMA" in table.splitlines()[0] and '29 characters: {"desc' in table and hostile(table) == []
    calls = json.loads(rlm("calls", "t", "--json", "--home", str(tmp_path / "home")).out)
    assert [call["schema"] for call in calls] == [{"description": "\x1b[31m"}, None]


def test_calls_lists_those_that_are_meant_in_the_order_that_is_asked_for(rlm: Rlm, home: Path) -> None:
    def listed(*flags: str) -> list[str]:
        return [call["prompt"] for call in json.loads(rlm("calls", "nasty", *flags, "--json", "--home", str(home)).out)]

    assert listed("--turn", "2", "--model", "nobody") == listed("--failed") == listed("--line", "9") == []
    assert listed("--turn", "2", "--most", "2") == ["one", "two"]
    assert listed("--sort", "tokens")[0] == NASTY, "the longest"
    assert rlm("calls", "nasty", "--sort", "cost", "--tree", "--home", str(home)).code == 2
    assert rlm("calls", "nasty", "--search", "one", "--failed", "--home", str(home)).code == 2
    table = rlm("calls", "nasty", "--sort", "queue", "--most", "1", "--home", str(home)).out
    assert len(table.splitlines()) == 2
