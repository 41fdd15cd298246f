"""The command line's flags, help, errors, JSON and exit status, over a fake runner."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from durable_rlm.graph.exit_status import EXIT_CODES
from durable_rlm.graph.run import Run
from durable_rlm.nodes.runtime.answers import LargeTable
from durable_rlm.state.errors import RlmError, StoreError, UnknownThread
from durable_rlm.state.model_specs import MODEL_SETTINGS
from durable_rlm.state.settings import RunSettings
from durable_rlm.studio.main import app
from tests.studio.conftest import HOSTILE, Fake, Rlm
from tests.studio.test_safe_text import hostile

DOCS = Path(__file__).parents[2] / "docs" / "command-line.md"
EVERYWHERE = {"--home", "--json", "--debug", "--help"}
NO_SETTING = {"--tracing", "--thread", "--output", "--files", "--trust", "--detach", "--view", "--questions"}


def flags_of(name: str) -> dict[str, str]:
    """Return the long flags of a command, each with its help."""
    command: Any = typer.main.get_command(app)
    if name:
        command = command.commands[name]
    flags: dict[str, str] = {}
    for parameter in command.params:
        for option in parameter.opts:
            if option.startswith("--"):
                flags[option] = parameter.help or ""
    return flags


def test_every_flag_of_run_is_a_setting_and_every_setting_is_a_flag() -> None:
    settings = {"--" + (info.alias or name).replace("_", "-") for name, info in RunSettings.model_fields.items()}
    assert set(flags_of("run")) - EVERYWHERE - NO_SETTING == settings


def test_help_states_the_defaults_that_the_settings_have() -> None:
    helps = flags_of("run")
    for name, info in RunSettings.model_fields.items():
        default = re.search(r"Default: (.+?)\.?$", helps["--" + (info.alias or name).replace("_", "-")])
        if name == "memory":
            assert default and default[1] == "4G" and info.default == 4 << 30
        elif isinstance(info.default, int | float) and not isinstance(info.default, bool):
            assert default and float(default[1]) == info.default, name
        elif name != "model":
            assert default, name


def test_every_flag_and_command_is_in_the_documentation() -> None:
    page = DOCS.read_text()
    commands: Any = typer.main.get_command(app)
    assert [name for name in commands.commands if f"rlm {name}" not in page] == []
    for name in ("run", "resume", "review", "fork", "list", "wait", "stop", "vars", "export", "diff", "delete", "gc"):
        assert [flag for flag in set(flags_of(name)) - EVERYWHERE if f"`{flag}" not in page] == []


@pytest.mark.parametrize(
    "name",
    [
        *(
            "run",
            "resume",
            "review",
            "fork",
            "list",
            "show",
            "steps",
            "calls",
            "vars",
            "diff",
            "verify",
            "delete",
            "gc",
        ),
        *("demo", "doctor", "wait", "stop"),
    ],
)
def test_every_help_has_examples(rlm: Rlm, name: str) -> None:
    done = rlm(name, "--help")
    assert done.code == 0 and "Examples" in done.out and f"rlm {name}" in done.out.partition("Examples")[2]
    assert set(flags_of(name)) >= EVERYWHERE - {"--help"}


def test_help_lists_at_most_twenty_commands_and_all_of_them_when_asked(rlm: Rlm) -> None:
    commands: Any = typer.main.get_command(app)
    names = list(commands.commands)

    def listed(text: str) -> list[str]:
        return [name for name in names if re.search(rf"^│ {name} ", text, re.MULTILINE)]

    first = rlm("--help").out
    assert 15 < len(listed(first)) <= 20 and "rlm --help --all" in first
    assert len(listed(first.partition("Start here")[2].partition("╰")[0])) == 8
    assert listed(rlm("--help", "--all").out) == names == listed(rlm("--all", "-h").out)
    assert rlm("--all").code == 2


def test_help_version_and_a_missing_command_print_usage(rlm: Rlm) -> None:
    assert "Usage: rlm" in rlm("--help").out and rlm("-h").code == 0
    assert re.fullmatch(r"durable-rlm \d+\.\d+\.\d+\S*\n", rlm("--version").out)
    nothing = rlm()
    assert nothing.code == 2 and "Usage: rlm" in nothing.out
    assert json.loads(rlm("--json").out)["error"]["type"] == "UsageError"


@pytest.mark.parametrize("where", ["before", "after"])
def test_common_flags_work_before_and_after_the_command(rlm: Rlm, fake: Fake, where: str) -> None:
    runner = fake(Run("t", "answered", answer="A"))
    common, command = ["--home", "there", "--json"], ["run", "Q?", "--model", "scripted:x"]
    done = rlm(*common, *command) if where == "before" else rlm(*command, *common)
    assert json.loads(done.out)["answer"] == "A" and runner.homes == [Path("there")]
    assert "--home there" in done.err


def test_the_home_is_set_by_flag_then_environment_then_the_working_folder(
    rlm: Rlm, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = fake(Run("t", "answered", answer="A"))
    rlm("run", "Q?", "--model", "scripted:x")
    monkeypatch.setenv("RLM_HOME", "env")
    rlm("run", "Q?", "--model", "scripted:x")
    rlm("--home", "early", "run", "Q?", "--model", "scripted:x", "--home", "late")
    assert runner.homes == [Path(".rlm"), Path("env"), Path("late")]


def test_the_runner_receives_the_given_settings_and_no_others(rlm: Rlm, fake: Fake) -> None:
    runner = fake(Run("t", "answered", answer="A"))
    rlm("run", "Q?", "a.txt", "b/", "--model", "scripted:x", "--max-turns", "7", "--thread", "t", "--price", "1,2")
    rlm("run", "Q?", "--model", "scripted:x")
    (_, given, named), (_, no_paths, _) = runner.asked
    assert given == ("Q?", ["a.txt", "b/"]) and no_paths == ("Q?", None)
    assert {name: value for name, value in named.items() if value is not None} == {
        **{"thread": "t", "model": "scripted:x", "max_turns": 7, "price": "1,2"}
    }


def test_limits_are_raised_on_resume(rlm: Rlm, fake: Fake, tmp_path: Path) -> None:
    (tmp_path / ".rlm").mkdir()
    (tmp_path / ".rlm" / "checkpoints.sqlite").touch()
    runner = fake(Run("t", "answered", answer="A"))
    assert rlm("resume", "t", "--max-cost", "2.5", "--max-calls", "9").out == "A\n"
    limits = {"max_turns": None, "max_calls": 9, "max_tokens": None, "max_cost": 2.5, "max_time": None}
    limits |= {"strict_budget": None, "max_home_size": None, **dict.fromkeys(MODEL_SETTINGS)}
    assert runner.asked == [("resume", ("t",), {"strict": False, "unsandboxed": False, **limits})]


def test_models_are_changed_on_resume(rlm: Rlm, fake: Fake, tmp_path: Path) -> None:
    (tmp_path / ".rlm").mkdir()
    (tmp_path / ".rlm" / "checkpoints.sqlite").touch()
    runner = fake(Run("t", "answered", answer="A"))
    given = ["--sub-model", "openai:b", "--sub-base-url", "http://127.0.0.1:9/v1", "--option", "seed=1", "--option"]
    assert rlm("resume", "t", *given, "body.stop=[1,2]", "--then", "openai:c@2").code == 0
    [(_, _, options)] = runner.asked
    assert {name: options[name] for name in MODEL_SETTINGS if options[name] is not None} == {
        **{"sub_model": "openai:b", "sub_base_url": "http://127.0.0.1:9/v1", "then": "openai:c@2"},
        "option": ["seed=1", "body.stop=[1,2]"],
    }


@pytest.mark.parametrize("status", EXIT_CODES)
def test_the_exit_status_follows_the_runs_status_and_json_is_the_run(rlm: Rlm, fake: Fake, status: Any) -> None:
    error = None if status == "answered" else {"type": "X", "message": "why --max-turns", "hint": "do"}
    run = Run("t", status, answer={"a": 1} if status == "answered" else None, error=error)
    fake(run)
    plain, document = rlm("run", "Q?", "--model", "scripted:x"), rlm("run", "Q?", "--model", "scripted:x", "--json")
    assert plain.code == document.code == EXIT_CODES[status]
    printed = json.loads(document.out)
    if error:
        printed["error"]["hint"] = printed["error"]["hint"].partition(".")[0]
    assert printed == json.loads(json.dumps(run.to_json()))
    assert plain.out == ('{\n  "a": 1\n}\n' if status == "answered" else "")
    assert status in plain.err and (error is None or "why --max-turns.\ndo.\n" in plain.err)


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("failed", "Go on: rlm resume openai"),
        ("budget", "Go on: rlm resume openai --max-calls 40"),
        ("busy", "Follow it: rlm show openai --follow"),
    ],
)
@pytest.mark.parametrize("message", ["openai:m was not found", "notes/a.txt is damaged", "named is being run"])
def test_a_failure_is_one_sentence_and_one_command_printed_once_with_names_unchanged(
    rlm: Rlm, fake: Fake, message: str, status: Any, command: str
) -> None:
    runner = fake(Run("openai", status, error={"type": "X", "message": f"{message} (see --max-calls).", "hint": ""}))
    runner.suggested = {"max_calls": 40} if status == "budget" else {}
    said = rlm("run", "Q?", "--model", "m").err.splitlines()
    ended = next(at for at, line in enumerate(said) if line.startswith(status))
    assert [*said[ended - 1 : ended], *said[ended + 1 :]] == [f"{message} (see --max-calls).", command]
    document = rlm("run", "Q?", "--model", "m", "--json")
    assert json.loads(document.out)["error"] == {
        **{"type": "X", "message": f"{message} (see --max-calls).", "hint": command}
    }


def test_an_answer_that_could_not_be_written_is_reported_with_the_command_that_prints_it(rlm: Rlm, fake: Fake) -> None:
    fake(Run("t", "answered", answer="A"))
    said = rlm("run", "Q?", "--model", "m", "-o", "/dev/full").err.splitlines()
    assert said[-1] == "Print it: rlm resume t" and "No space left on device." in said[-3]
    assert sum("resume" in line for line in said) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(UnknownThread("no such run", hint="look"), 2), (StoreError("the disk is full"), 1), (RlmError("bad"), 1)],
)
def test_an_error_before_a_run_starts_has_its_own_exit_status(rlm: Rlm, fake: Fake, error: RlmError, code: int) -> None:
    fake(error)
    plain, document = rlm("run", "Q?", "--model", "scripted:x"), rlm("--json", "run", "Q?", "--model", "scripted:x")
    assert plain.code == document.code == code and plain.out == ""
    assert error.message in plain.err and error.hint in plain.err
    expected = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
    assert json.loads(document.out) == {"error": expected}


def test_an_unexpected_error_is_a_sentence_without_debug(rlm: Rlm, fake: Fake) -> None:
    fake(ZeroDivisionError("division by zero\x1b"))
    plain = rlm("run", "Q?", "--model", "scripted:x")
    assert plain.code == 1 and "ZeroDivisionError" in plain.err and "--debug" in plain.err
    assert "Traceback" not in plain.err and hostile(plain.err) == []
    assert "Traceback" in rlm("--debug", "run", "Q?", "--model", "scripted:x").err
    document = rlm("run", "Q?", "--model", "scripted:x", "--json", "--debug")
    assert "Traceback" in document.err and json.loads(document.out)["error"]["type"] == "ZeroDivisionError"


@pytest.mark.parametrize(
    "arguments",
    [["run"], ["nosuch"], ["list", "--nosuch"], ["run", "Q?", "--max-turns", "many"], ["show", "t", "--step", "x"]],
)
def test_bad_usage_exits_with_2_and_names_the_help(rlm: Rlm, arguments: list[str]) -> None:
    plain = rlm(*arguments)
    assert (plain.code, plain.out) == (2, "") and "--help" in plain.err
    error = json.loads(rlm(*arguments, "--json").out)["error"]
    assert error["type"] == "UsageError" and set(error) == {"type", "message", "hint"}


def test_a_bad_setting_from_any_source_exits_with_2(
    rlm: Rlm, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = fake(Run("t", "answered"))
    assert rlm("run", "Q?", "--model", "m", "--concurrency", "0").code == 2
    monkeypatch.setenv("RLM_MEMORY", "lots")
    assert "RLM_MEMORY: 'lots' is not a size" in rlm("run", "Q?", "--model", "m").err
    assert "--memory: 'more' is not a size" in rlm("run", "Q?", "--model", "m", "--memory", "more").err
    monkeypatch.delenv("RLM_MEMORY")
    (tmp_path / "rlm.toml").write_text('memory = "some"')
    assert "memory in rlm.toml: 'some' is not a size" in rlm("run", "Q?", "--model", "m").err
    (tmp_path / "rlm.toml").write_text("max_turns = ")
    assert "rlm.toml" in rlm("run", "Q?", "--model", "m").err
    assert runner.asked == []


def test_a_run_without_a_sandbox_gives_a_warning(rlm: Rlm, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(Run("t", "answered", answer="A"))
    assert "NOT SANDBOXED" not in rlm("run", "Q?", "--model", "m").err
    for asked_for in (rlm("run", "Q?", "--model", "m", "--unsandboxed"), _in_env(rlm, monkeypatch)):
        assert "NOT SANDBOXED" in asked_for.err


def _in_env(rlm: Rlm, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RLM_UNSANDBOXED", "1")
    return rlm("run", "Q?", "--model", "m")


def test_the_path_of_the_answer_is_checked_before_the_run(rlm: Rlm, fake: Fake, tmp_path: Path) -> None:
    runner = fake(Run("t", "answered", answer="A"))
    assert rlm("run", "Q?", "--model", "m", "-o", str(tmp_path)).code == 2 and runner.asked == []
    done = rlm("run", "Q?", "--model", "m", "--output", "answer.txt", "--json")
    assert (tmp_path / "answer.txt").read_text() == "A\n" and json.loads(done.out)["answer"] == "A"
    assert rlm("run", "Q?", "--model", "m", "-o", "-").out == "A\n"


def test_a_table_that_is_too_large_to_print_is_named_with_the_command_that_writes_it(rlm: Rlm, fake: Fake) -> None:
    fake(Run("t", "answered", answer=LargeTable({"table": {"columns": [], "rows": 5, "bytes": 6, "note": ""}})))
    done = rlm("run", "Q?", "--model", "m")
    assert (done.code, done.out) == (1, "") and "resume t -o FILE.csv" in done.err and "Print it" not in done.err
    assert json.loads(rlm("run", "Q?", "--model", "m", "--json").out)["answer"]["table"]["rows"] == 5


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_is_escaped_on_a_terminal_and_unchanged_in_a_pipe(
    rlm: Rlm, fake: Fake, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = text.encode(errors="replace").decode()
    fake(Run("t", "answered", answer=sent))
    assert rlm("run", "Q?", "--model", "m").out.removesuffix("\n") == sent
    document = rlm("run", "Q?", "--model", "m", "--json")
    assert hostile(document.out) == [] and json.loads(document.out)["answer"] == sent
    monkeypatch.setattr("durable_rlm.studio.cli.shown_answer._on_terminal", lambda: True)
    assert hostile(rlm("run", "Q?", "--model", "m").out) == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_failures_and_names_are_escaped(rlm: Rlm, fake: Fake, text: str) -> None:
    error = {"type": "X", "message": text, "hint": text}
    fake(Run(f"thread{text}", "failed", error=error))
    assert hostile(rlm("run", "Q?", "--model", "m").err) == []
    fake(StoreError(text, hint=text))
    assert hostile(rlm("run", "Q?", "--model", "m").err) == []
    assert hostile(rlm("show", text).err + rlm(text).err) == []


def test_reading_commands_without_a_home_create_nothing(rlm: Rlm, tmp_path: Path) -> None:
    assert rlm("list", "--json").out == "[]\n" and "rlm demo" in rlm("list").err
    for name in ("show", "steps", "calls", "resume", "review", "vars", "fork --step 1", "diff 1 2"):
        command, *rest = name.split()
        done = rlm(command, "t", *rest)
        assert done.code == 2 and "nothing is saved" in done.err
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_imports_no_heavy_modules() -> None:
    heavy = "{'langgraph', 'langchain_core', 'openai', 'jupyter_client', 'zmq', 'pydantic_settings', 'aiosqlite'}"
    code = f"import sys, durable_rlm.studio.main; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
