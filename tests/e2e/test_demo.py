"""`rlm demo`: its proofs hold, its printed commands work, and the README shows its real output."""

import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.printed import commands_in, paste, paste_all
from tests.e2e.program import CLEAN, RLM
from tests.scripts import repl
from tests.servers.openai_server import ScriptedServer

ROOT = Path(__file__).parents[2]
ENV = CLEAN | {"PATH": "/usr/bin:/bin"}


@dataclass(frozen=True)
class Played:
    """A demo that was run in `folder`, and its output on both streams, in order."""

    folder: Path
    status: int
    said: str


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [str(RLM), "demo"],
        cwd=folder,
        env=ENV | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return Played(folder, done.returncode, done.stdout)


def test_each_act_ends_with_a_line_of_proof(played: Played) -> None:
    assert played.status == 0, played.said
    proofs = re.findall(r"^  => (.+)$", played.said, re.MULTILINE)
    expected = (
        r"\d+ model calls in .+, each of them saved .+ are in \.rlm/demo-answer\.txt",
        r"([1-9]\d+) answers reused, 0 recorded calls paid twice, the same answer",
        r"1 call paid of \d\d+, in .+",
        r"nothing is sent until somebody decides: .+ review demo-gate-\w+",
    )
    assert len(proofs) == len(expected)
    for proof, pattern in zip(proofs, expected, strict=True):
        assert re.fullmatch(pattern, proof), proof


def test_the_answer_has_at_most_eight_lines_and_names_three_places(played: Played) -> None:
    answer, _, rest = (played.folder / ".rlm" / "demo-answer.txt").read_text().partition("\n\n")
    assert answer in played.said and len(answer.splitlines()) <= 8
    assert "What replaces what:" in rest and rest not in played.said
    places = re.findall(r"^  (\S+\.py):(\d+): .+ \(removed in [\d.]+\)$", answer, re.MULTILINE)
    assert len(places) == 3
    for name, line in places:
        source = (Path(sysconfig.get_path("stdlib")) / name).read_text().splitlines()
        assert re.search(r"warn|_deprecated", source[int(line) - 1]), (name, line)


def test_every_printed_command_works_when_pasted(played: Played) -> None:
    found = commands_in(played.said)
    assert len(found) >= 7 and not any("--home" in one for one in found)
    [served] = [one for one in found if " view " in one]
    # That one goes on until Ctrl-C, and has tests of its own (`tests/e2e/page`).
    done = paste_all(played.said.replace(served, ""), played.folder, ENV)
    [(_, decided)] = [(one, ended) for one, ended in done.items() if one.endswith("--approve")]
    assert decided.returncode == 0 and "places in" in decided.stdout


def test_the_recorded_terminal_in_the_readme_matches_the_output(played: Played) -> None:
    [recorded] = re.findall(r"^```text\n\$ make demo\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.M)
    lines = [line for line in recorded.splitlines() if line]
    assert len(lines) > 10
    at = 0
    for line in lines:
        found = re.compile(_any_numbers(line)).search(played.said, at)
        assert found, line
        at = found.end() if "of 4 ·" in line else at


def _any_numbers(line: str) -> str:
    """Return a pattern for a recorded line whose numbers, thread names, places and text after `…` may differ."""
    if re.match(r"  \S+\.py:\d+: ", line):
        return r"(?m)^  \S+\.py:\d+: .+, use .+ \(removed in [\d.]+\)$"
    pattern = re.escape(line.replace("80ae", "@")).replace("…", ".*").replace(re.escape(".venv/bin/rlm"), r"\S+")
    numbers = re.sub(r"\d[\d,]*(?:\\\.\d+)?", r"\\d[\\d,.]*", pattern)
    return f"(?m)^{numbers}$".replace("@", r"\w{4}")


def test_plain_output_is_the_answer_alone(played: Played) -> None:
    done = paste(f"{RLM} demo --plain --home plain", played.folder, ENV)
    assert done.returncode == 0 and "of 4 ·" not in done.stderr
    # Modules by their names, wherever the library lies.
    assert ".lib.python" not in done.stdout
    assert done.stdout == (played.folder / ".rlm" / "demo-answer.txt").read_text()


def test_the_program_in_the_readme_runs(tmp_path: Path) -> None:
    [program] = re.findall(r"^```python\n(import asyncio\n.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.M)
    assert len([line for line in program.splitlines() if line]) <= 10
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "changelogs").mkdir()
    (tmp_path / "changelogs" / "1.md").write_text("Faster.")
    with ScriptedServer(
        lambda messages: repl("FINAL(llm_query(context[0].text) + context.names[0])"), str.upper
    ) as server:
        environment = CLEAN | {"RLM_BASE_URL": server.base_url}
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, "answered FASTER.changelogs/1.md 2\n"), done.stderr
