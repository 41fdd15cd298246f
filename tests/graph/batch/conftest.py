"""A scripted model for batches, and a short way to ask one."""

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Question, Run, Runner
from tests.contract.in_memory_kernel import MemoryKernels

_SCRIPT = """
import asyncio, json, re

IN_FLIGHT = [0, 0]

def question_in(messages):
    return re.search(r"(\\w+)\\?", messages[1]["content"])[1]

def note(what):
    with open({log!r}, "a") as log:
        log.write(json.dumps(what) + "\\n")

async def root(messages):
    asked = question_in(messages)
    note(asked)
    return await reply(asked)

async def reply(asked):
    return "```repl\\nprint(len(str(context)))\\nFINAL(llm_query(" + repr("about " + asked) + "))\\n```"

async def sub(prompt):
    note(prompt)
    IN_FLIGHT[0] += 1
    IN_FLIGHT[1] = max(IN_FLIGHT)
    await asyncio.sleep(0)
    IN_FLIGHT[0] -= 1
    return prompt.upper()
"""


class Model:
    """A scripted model that notes each request that it gets."""

    def __init__(self, folder: Path) -> None:
        self.script, self._log = folder / "model.py", folder / "asked"
        self.name = f"scripted:{self.script}"
        self.write("")

    def write(self, more: str) -> None:
        """Write the script, with functions that replace those above."""
        self.script.write_text(_SCRIPT.format(log=str(self._log)) + textwrap.dedent(more))

    @property
    def asked(self) -> list[Any]:
        """The requests so far: the word before the question mark for a turn, the prompt for a sub-call."""
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []


class CountingKernels(MemoryKernels):
    """Kernels that count how many are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.most = 0

    async def start(self, spec: Any) -> Any:
        session = await super().start(spec)
        self.alive += 1
        self.most = max(self.most, self.alive)
        close = session.close

        async def closed() -> None:
            self.alive -= 1
            await close()

        session.close = closed  # pyright: ignore[reportAttributeAccessIssue]
        return session


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


def questions(number: int) -> list[Question]:
    return [Question(f"q{one}", f"Word{one}?") for one in range(number)]


async def ask(runner: Runner, asked: Sequence[Question], context: Any = "the input", **settings: Any) -> dict[str, Run]:
    """Ask a batch and return the runs by the ids of their questions, in the order in which they ended."""
    return {question.id: run async for question, run in runner.ask_all(asked, context, **settings)}


def statuses(runs: dict[str, Run]) -> dict[str, str]:
    return {name: run.status for name, run in runs.items()}
