"""Runs whose model writes hostile code: every attempt is refused, and nothing outside the sandbox changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from tests.sandbox import hostile
from tests.sandbox.attempts import prelude
from tests.sandbox.hostile import ATTEMPTS, CONTROLS
from tests.sandbox.hostile.common import Place
from tests.sandbox.outside import Outside
from tests.scripts import repl, write_script

_QUIET = tuple(name for name, one in ATTEMPTS.items() if one.__module__ != hostile.resources.__name__)
_READING = tuple(
    name
    for name, one in ATTEMPTS.items()
    if one.__module__ == hostile.reading.__name__ and CONTROLS[name] == "anyone" and "open descriptor" not in name
)


@pytest.fixture
def outside(tmp_path: Path) -> Any:
    with Outside(tmp_path / "outside") as outside:
        yield outside


async def test_hostile_code_of_a_run_reaches_nothing_outside(tmp_path: Path, outside: Outside) -> None:
    home = tmp_path / "home"
    async with Runner.open(home) as runner:
        place = await another_run(runner, tmp_path, outside)
        before = _files(home / "blobs")
        answer = await tried_in_a_run(runner, tmp_path, place, _QUIET)
        assert {name: outcome for name, outcome in answer.items() if not outcome.startswith("refused: ")} == {}
        assert set(answer) == set(_QUIET)
        assert outside.touched() == []
        after = _files(home / "blobs")
        assert {path: after.get(path) for path in before} == before


async def test_the_same_code_of_an_unsandboxed_run_reaches_files_outside(tmp_path: Path, outside: Outside) -> None:
    async with Runner.open(tmp_path / "home") as runner:
        place = await another_run(runner, tmp_path, outside)
        answer = await tried_in_a_run(runner, tmp_path, place, _READING, unsandboxed=True)
    assert answer == dict.fromkeys(_READING, "could")


async def another_run(runner: Runner, folder: Path, outside: Outside) -> Place:
    """Save another run in the same home. Return the addresses for attempts, with its blob."""
    model = write_script(folder / "other.py", [repl("FINAL(len(str(context)))")])
    other = await runner.run("How long?", "of another run", thread="other", model=model)
    assert other.answer == len("of another run")
    blobs = folder / "home" / "blobs"
    [blob] = [path for path, text in _files(blobs).items() if text == b"of another run"]
    return {**outside.place, "state": str(folder / "home"), "blobs": str(blobs), "blob": blob}


async def tried_in_a_run(
    runner: Runner, folder: Path, place: Place, names: tuple[str, ...], **settings: Any
) -> dict[str, str]:
    """Make the attempts of these names in a run's only cell. Return their outcomes."""
    code = f"{prelude(place)}\nFINAL({{name: common.tried(name, place) for name in {names!r}}})"
    model = write_script(folder / "hostile.py", [repl(code)])
    run = await runner.run("What can you do?", "INPUT of this run", thread="hostile", model=model, **settings)
    assert run.status == "answered", run
    return json.loads(json.dumps(run.answer))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
