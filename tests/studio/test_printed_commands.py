"""Printed commands can be pasted: they have the program's name or path, the thread, and the home where needed."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_rlm.graph.run import Run
from durable_rlm.state.errors import StoreError, cli_command
from durable_rlm.studio.invocation import Invocation
from durable_rlm.studio.terminal import printed_commands as module
from durable_rlm.studio.terminal.printed_commands import command_line, pasteable, program
from tests.studio.conftest import Fake, Rlm

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
HERE = Invocation(Path(".rlm"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an environment in it, none of whose programs is on the PATH."""
    (tmp_path / ".venv").symlink_to(BIN.parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path


def called(monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    monkeypatch.setattr(sys, "argv", [name, "list"])
    return program()


# -- the program's name


def test_a_program_on_the_path_is_printed_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{folder / '.venv/bin'}:/usr/bin")
    assert called(monkeypatch, ".venv/bin/rlm") == called(monkeypatch, str(BIN / "rlm")) == "rlm"


@pytest.mark.parametrize("on_the_path", [False, True], ids=["not on the path", "another program on the path"])
def test_a_program_that_is_not_on_the_path_is_printed_by_its_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch, on_the_path: bool
) -> None:
    if on_the_path:
        (folder / "other").mkdir()
        (folder / "other/rlm").write_text("#!/bin/sh\n")
        (folder / "other/rlm").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder / 'other'}:/usr/bin")
    assert called(monkeypatch, ".venv/bin/rlm") == called(monkeypatch, str(folder / ".venv/bin/rlm")) == ".venv/bin/rlm"
    monkeypatch.chdir(folder / ".venv/bin")
    assert called(monkeypatch, "./rlm") in ("./rlm", str(BIN / "rlm"))
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    assert called(monkeypatch, "../.venv/bin/rlm") == str(folder / ".venv/bin/rlm")


def test_a_linked_program_is_printed_as_it_was_called(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "tools").mkdir()
    (folder / "tools/my rlm").symlink_to(BIN / "rlm")
    assert called(monkeypatch, "tools/my rlm") == "'tools/my rlm'"
    monkeypatch.setenv("PATH", f"{folder / 'tools'}:/usr/bin")
    assert called(monkeypatch, str(folder / "tools/my rlm")) == "'my rlm'"


def test_under_uv_run_the_path_is_not_the_shells(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{folder / '.venv/bin'}:/usr/bin")
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert called(monkeypatch, str(folder / ".venv/bin/rlm")) == ".venv/bin/rlm"


def test_the_module_is_printed_with_its_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(folder / ".venv/bin/python"))
    assert called(monkeypatch, "/anywhere/durable_rlm/__main__.py") == ".venv/bin/python -m durable_rlm"
    monkeypatch.setenv("PATH", f"{folder / '.venv/bin'}:/usr/bin")
    assert called(monkeypatch, "/anywhere/durable_rlm/__main__.py") == "python -m durable_rlm"


def test_called_from_another_program_the_script_beside_its_python_is_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert called(monkeypatch, "/usr/bin/pytest") == str(BIN / "rlm")
    assert called(monkeypatch, "") == called(monkeypatch, "/lib/pytest/__main__.py") == str(BIN / "rlm")


def test_the_module_runs_as_the_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "durable_rlm", "show", "x"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "There is no run named x" in done.stderr


# -- the home


def test_a_home_that_the_next_command_finds_is_not_repeated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "program", lambda: "rlm")
    for home in (".rlm", "./.rlm", str(folder / ".rlm"), "below/../.rlm"):
        assert command_line(Invocation(Path(home)), "list") == "rlm list", home
    assert command_line(Invocation(Path("my runs")), "list") == "rlm list --home 'my runs'"
    monkeypatch.setenv("RLM_HOME", str(folder / "env"))
    assert command_line(Invocation(Path("env")), "list") == "rlm list"
    assert command_line(Invocation(Path(".rlm")), "list") == "rlm list --home .rlm"


# -- commands that messages name


@pytest.mark.parametrize(
    ("named", "printed"),
    [
        ("`rlm list`", "`./x list --home h`"),
        ("`rlm resume`", "`./x resume t --home h`"),
        ("`rlm resume THREAD`", "`./x resume t --home h`"),
        ("`rlm fork --step 3`", "`./x fork t --step 3 --home h`"),
        ("`rlm resume other`", "`./x resume other --home h`"),
        ("`rlm resume 'a b' --max-calls 4`", "`./x resume 'a b' --max-calls 4 --home h`"),
        ("`rlm run --help`", "`./x run --help`"),
        ("`rlm --help`", "`./x --help`"),
        ("`cat x | rlm run Q -`", "`cat x | ./x run Q -`"),
        ("`rlmx list`, rlm list, `a rlm b`", "`rlmx list`, rlm list, `a rlm b`"),
        ("`rlm show 'open`", "`./x show 'open`"),
        ("one `rlm gc`, two `rlm list`.", "one `./x gc --home h`, two `./x list --home h`."),
    ],
)
def test_a_command_in_backquotes_is_completed_for_this_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch, named: str, printed: str
) -> None:
    monkeypatch.setattr(module, "program", lambda: "./x")
    invocation = Invocation(Path("h"), thread="t")
    assert pasteable(named, invocation) == printed
    assert pasteable(pasteable(named, invocation), invocation) == printed


def test_without_a_known_run_the_command_names_no_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "program", lambda: "rlm")
    assert pasteable("then `rlm resume THREAD`.", HERE) == "then `rlm resume`."


def test_thread_names_are_quoted() -> None:
    assert cli_command("resume", "a b; rm -rf .") == "`rlm resume 'a b; rm -rf .'`"
    words = shlex.split(pasteable(cli_command("resume", "$(x)"), HERE).strip("`"))
    assert words[-2:] == ["resume", "$(x)"]


def test_errors_name_the_home_and_the_program_also_in_json(rlm: Rlm, fake: Fake) -> None:
    fake(StoreError("the store is lost", hint="See `rlm verify THREAD`, or `rlm list`."))
    plain = rlm("run", "Q?", "--model", "scripted:x", "--home", "there")
    assert "See `rlm verify --home there`, or `rlm list --home there`." in plain.err
    document = rlm("run", "Q?", "--model", "scripted:x", "--home", "there", "--json")
    assert "`rlm list --home there`" in document.out
    error = {"type": "X", "message": "it failed; then `rlm resume`", "hint": "Go on: `rlm resume t`"}
    fake(Run("t", "failed", error=error))
    for more in ([], ["--json"]):
        done = rlm("run", "Q?", "--model", "scripted:x", "--home", "there", *more)
        said = done.out if more else done.err
        assert "then `rlm resume t --home there`" in said and "Go on: `rlm resume t --home there`" in said


# -- the convention for messages


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every text of a source file but its docstrings, with `…` for interpolated values."""
    tree = ast.parse(path.read_text())
    docs = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside.update(node.values)
            yield node.lineno, "".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {node} & (docs | inside):
            yield node.lineno, node.value


def test_every_message_names_commands_in_backquotes_with_no_placeholder_but_thread() -> None:
    commands = (
        "run|resume|review|fork|demo|list|show|steps|calls|vars|diff|verify|delete|gc|doctor|dev|wait|stop|export"
    )
    named = re.compile(rf"\brlm ({commands})\b")
    wrong: list[str] = []
    for folder in ("studio", "graph", "nodes", "kernel", "state"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for line, text in _texts(path):
                bare = re.sub(r"`[^`]*`", "", text)
                spans = re.findall(r"`([^`]*)`", text)
                placeholders = [
                    one for one in spans if named.match(one) and re.search(r"\b(?!THREAD)[A-Z]{3,}\b|…", one)
                ]
                if named.search(bare) or placeholders:
                    wrong.append(f"{path.relative_to(ROOT)}:{line}: {text}")
    assert wrong == []
