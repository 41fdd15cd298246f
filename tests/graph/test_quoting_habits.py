"""Habits of models that quote: each ends in an answer whose citations are found in the input.

Runs against servers on loopback, through the real client. A model mends its habit when it is sent what was wrong.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from durable_rlm import Run, Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.servers.habits import Body, HabitServer, Handle, Response, completion, habit_server, is_root

MINUTES = {
    f"minutes-{number}.txt": "".join(
        f"Item {line} of meeting {number}: “they agreed” on the well-known budget of item {line}.\n"
        for line in range(9)
    )
    for number in range(4)
}


@dataclass(frozen=True)
class QuotingHabit:
    """A model that quotes, the answer of a run with it, and the requests that the run takes."""

    name: str
    handle: Handle
    answer: object
    requests: int


def mending(habit: str, sent: str, mended: str) -> Handle:
    """A model that has the habit until what it is sent has these words in it."""

    def handle(body: Body, number: int) -> Response:
        del number
        if not is_root(body):
            return completion("agreed")
        said = "\n".join(str(message["content"]) for message in body["messages"][1:])
        return completion(f"```repl\n{mended if sent in said else habit}\n```")

    return handle


CITED = """c = cite("minutes-1.txt", "they agreed")
FINAL(f"They did {c}.")"""
INVENTED = """print(context[0][:80])
FINAL('It says "they never agreed on anything at all".')"""
RETYPED = """print(context[0][:80])
c = cite("minutes-1.txt", '"they  agreed" on the wellknown')
FINAL(f"{c}")"""
MISPLACED = """print(context[0][:80])
c = cite("minutes-0.txt", "Item 3 of meeting 1")"""
ASKED = """said = llm_query_batched([f"Did they agree? {document.text}" for document in context[FROM:TO]])
c = cite(context[0], "they agreed")
FINAL(f"{FROM + len(said)} {c}")"""
HALF, REST = (ASKED.replace("FROM", str(first)).replace("TO", str(last)) for first, last in ((0, 2), (2, 4)))
QUOTING_HABITS = [
    QuotingHabit("a quotation that is not there", mending(INVENTED, "they never agreed", CITED), "They did [^1].", 2),
    QuotingHabit("a quotation in other typography", mending(RETYPED, "Error", ""), "[^1]", 1),
    QuotingHabit("a quotation from another document", mending(MISPLACED, "QuoteNotFound:", CITED), "They did [^1].", 2),
    QuotingHabit("half of the documents forgotten", mending(HALF, "1 of 4 documents was in no", REST), "4 [^1]", 6),
]


@pytest.fixture
async def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Runner]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        yield runner


def written(folder: Path) -> Sequence[Path]:
    """Write the documents."""
    for name, text in MINUTES.items():
        (folder / name).write_text(text)
    return [folder / name for name in MINUTES]


async def ask(runner: Runner, server: HabitServer, files: Sequence[Path]) -> Run:
    return await runner.run(
        *("Did they agree?", list(files)),
        model="openai:m",
        base_url=server.base_url,
        max_turns=4,
        require_citations=True,
    )


@pytest.mark.parametrize("habit", QUOTING_HABITS, ids=lambda habit: habit.name)
async def test_a_run_ends_in_an_answer_whose_citations_are_found(
    runner: Runner, tmp_path: Path, habit: QuotingHabit
) -> None:
    with habit_server(habit.handle) as server:
        run = await ask(runner, server, written(tmp_path))
    assert (run.status, run.answer) == ("answered", habit.answer), run.error
    assert [one["verified"] for one in run.citations] == [True]
    assert len(server.requests) == habit.requests
