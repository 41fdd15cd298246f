"""Every example of every `--help`, pasted into a shell in a folder where it applies, works."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import typer

from durable_rlm.studio.main import app
from tests.e2e.printed import paste
from tests.e2e.program import CLEAN, RLM
from tests.e2e.warm import warm_program
from tests.nodes.input.corpus.archive import zipped
from tests.nodes.input.pdf_files import Pdf
from tests.scripts import repl
from tests.servers.openai_server import ScriptedServer

GROUP: Any = typer.main.get_command(app)
NAMED = "which-contracts-end-3f2a"
WAITS, STOPPED = 3, 130


def lease() -> bytes:
    """Return a PDF of eight pages."""
    document = Pdf()
    for number in range(1, 9):
        document.text_page([f"Clause {number}."])
    return document.bytes()


FILES = {
    "contracts/a.txt": "Contract A ends in 2027.",
    "contracts/b.txt": "Contract B ends early.",
    "letters/1.txt": "Dear all, it ends in May.",
    "server.log": "12:00 out of memory\n",
    "src/deep/one.py": "# TODO: more\n",
    "book.txt": "Once upon a time.",
    "letter.txt": "It ends in May.",
    "todos.json": '{"type": "array", "items": {"type": "string"}}',
    "questions.jsonl": '{"id": "q1", "question": "Which end early?"}\n{"id": "q2", "question": "Which end in 2027?"}\n',
    "better.py": "threshold = 0.9\nprint('better')\n",
    "corrected.txt": "corrected",
    "mail/2026/offer.eml": "Subject: Offer\n\nThe price is 4,200.\n",
}
DOCUMENTS = {"contracts/lease.pdf": lease(), "archive.zip": zipped({"a.txt": b"An offer."})}
CELLS = [
    "threshold = 0.5\na = llm_query('one')",
    "b = llm_query('two')",
    "c = threshold + 0.1\nprint(c)",
    "d = llm_query('three')\nFINAL([a, b, d])",
]
STEPS = 18
"""Three before the first turn; four of a turn with a sub-call, two of another one; and the last."""


def root(messages: list[dict[str, str]]) -> str:
    """Return the root model's reply, for the runs of all examples."""
    conversation = "\n".join(message["content"] for message in messages)
    if "TODO" in conversation:
        return repl("FINAL(['TODO: more'])")
    if "penalty" in conversation:
        return repl("FINAL('none')")
    turns = [int(number) for number in re.findall(r"\[Turn (\d+)\]", conversation)]
    return repl(CELLS[min(max(turns, default=0), len(CELLS) - 1)])


@pytest.fixture(scope="module")
def server() -> Generator[ScriptedServer]:
    with ScriptedServer(root=root, sub=str.upper) as server:
        yield server


@pytest.fixture(scope="module")
def environment(server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables for a model on loopback and a path with the programs that examples pipe into, or replacements."""
    programs = tmp_path_factory.mktemp("programs")
    for name in ("jq", "less"):
        if shutil.which(name) is None:
            (programs / name).write_text("#!/bin/sh\nexec cat\n")
            (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    return CLEAN | {
        "PATH": path,
        "RLM_MODEL": "openai:gpt-5-mini",
        "RLM_BASE_URL": server.base_url,
        "COLUMNS": "80",
        "CUSTOMER": "ends early",
    }


@pytest.fixture(scope="module")
def folders(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, Path]]:
    """Folders with the runs that examples name: two answered runs; the same and a fork; a run that waits."""
    answered = tmp_path_factory.mktemp("examples") / "answered"
    for name, text in FILES.items():
        (answered / name).parent.mkdir(parents=True, exist_ok=True)
        (answered / name).write_text(text)
    for name, data in DOCUMENTS.items():
        (answered / name).write_bytes(data)
    run = ".venv/bin/rlm run 'Which contracts end early?' contracts/ --thread"
    with warm_program(answered):
        waiting = Path(shutil.copytree(answered, answered.with_name("waiting")))
        assert paste(f"{run} contracts --approve code", waiting, environment).returncode == WAITS
        fork = f".venv/bin/rlm fork contracts --step {STEPS} --no-run --thread"
        for command in (f"{run} contracts", f"{fork} {NAMED}"):
            done = paste(command, answered, environment)
            assert done.returncode == 0, done.stderr
        forked = Path(shutil.copytree(answered, answered.with_name("forked")))
        done = paste(f"{fork} strict", forked, environment)
        assert done.returncode == 0, done.stderr
        yield {"answered": answered, "forked": forked, "waiting": waiting}


@pytest.fixture
def running(request: pytest.FixtureRequest, folders: dict[str, Path], environment: dict[str, str]) -> Generator[Path]:
    """A folder in which the run `contracts` is under way, for the examples of `rlm stop` alone."""
    folder = folders["answered"].with_name("running")
    if request.node.callspec.params["name"] != "stop":
        yield folder
        return
    shutil.copytree(folders["answered"], folder, ignore=shutil.ignore_patterns(".rlm"), symlinks=True)
    (folder / "m.py").write_text(
        "import asyncio\ndef root(messages): return asyncio.sleep(3600)\ndef sub(prompt): ...\n"
    )
    words = ["run", "Which contracts end early?", "contracts/", "--thread", "contracts", "--model", "scripted:m.py"]
    with subprocess.Popen([RLM, *words], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "asking the root model" not in process.stderr.readline():
            assert process.poll() is None
        yield folder
        assert process.wait(30) == STOPPED
    shutil.rmtree(folder)


def examples() -> list[tuple[str, str]]:
    """Return each example with its command, as the sources have it."""
    return [
        (name, line.strip())
        for name, command in COMMANDS.items()
        for line in (command.help or "").partition("Examples[/bold]")[2].splitlines()
        if line.strip()
    ]


def commands() -> dict[str, Any]:
    """Return the commands by name, those of groups too."""
    found: dict[str, Any] = {}
    for name, command in GROUP.commands.items():
        below = getattr(command, "commands", {})
        found |= {f"{name} {one}": inner for one, inner in below.items()} if below else {name: command}
    return found


COMMANDS = commands()
EXAMPLES = examples()
LONG = ("dev", "view", "demo")
"""Commands that go on until Ctrl-C, and one that takes long."""
LOOKING = ("list", "show", "steps", "calls", "vars", "diff", "verify", "doctor")


def test_every_command_has_examples() -> None:
    assert {name for name, _ in EXAMPLES} == set(COMMANDS) and len(EXAMPLES) > 45


@pytest.fixture(scope="module")
def printed(folders: dict[str, Path], environment: dict[str, str]) -> dict[str, list[str]]:
    """The examples of each command as its help prints them."""
    return {
        name: paste(f".venv/bin/rlm {name} --help", folders["answered"], environment)
        .stdout.partition("Examples\n")[2]
        .splitlines()
        for name in COMMANDS
    }


@pytest.mark.parametrize(("name", "example"), [one for one in EXAMPLES if one[0] not in LONG])
def test_an_example_works(
    folders: dict[str, Path],
    printed: dict[str, list[str]],
    environment: dict[str, str],
    server: ScriptedServer,
    running: Path,
    tmp_path: Path,
    name: str,
    example: str,
) -> None:
    folder = folders["forked"]
    if name == "stop":
        folder = running
    elif name not in LOOKING:
        folder = Path(shutil.copytree(folders["waiting" if name == "review" else "answered"], tmp_path / "here"))
    if "rlm.toml" in example:
        (folder / "rlm.toml").write_text("max_turns = 40\n")
    whole = re.sub(r"(?<![.\w])rlm ", ".venv/bin/rlm ", example)
    [shown] = [line for line in printed[name] if line.strip() == whole]
    done = paste(_placed(shown, folder, environment, server), folder, environment)
    said = f"{shown}\n{done.stdout}\n{done.stderr}"
    # A decided run resumes, and waits again before the next code.
    waits = name == "review" or (name == "run" and "--approve" in example)
    assert done.returncode == (WAITS if waits else 0), said
    assert "Error" not in done.stderr and "Usage" not in said, said
    if "-o " in example and not waits:
        assert (folder / example.rpartition("-o ")[2].split()[0]).read_text(), said


def _placed(example: str, folder: Path, environment: dict[str, str], server: ScriptedServer) -> str:
    """Return the example with the address of the test's server and the key of an existing call."""
    if "--answer" in example:
        calls = json.loads(paste(".venv/bin/rlm calls contracts --json", folder, environment).stdout)
        key = next(call["key"] for call in calls if call["turn"] == 2)
        example = re.sub(r"2:[0-9a-f]{8}(?==)", key[:10], example)
        assert key[:10] in example
    return example.replace("http://localhost:8000/v1", server.base_url)


@pytest.mark.parametrize(("name", "example"), [one for one in EXAMPLES if one[0] in LONG])
def test_an_example_of_a_long_command_has_valid_arguments(name: str, example: str) -> None:
    """The demo and the servers have tests of their own."""
    arguments = example.split()
    assert arguments[:2] == ["rlm", name]
    COMMANDS[name].make_context(name, arguments[2:])
