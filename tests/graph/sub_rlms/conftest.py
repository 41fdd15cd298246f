"""Fixtures of trees of runs: one scripted model for all levels, which knows each run by its question."""

import textwrap
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncGenerator[Runner]:
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        yield runner


def tree_script(path: Path, cells: Mapping[str, list[str]], sub: str = "return prompt.upper()") -> str:
    """Write a scripted model and return its name; `cells`: a run's cells, by the first word of its question."""
    replies = {
        word: [f"```repl\n{textwrap.dedent(cell).strip()}\n```" for cell in turns] for word, turns in cells.items()
    }
    path.write_text(
        textwrap.dedent(
            f"""
            import re

            REPLIES = {replies!r}

            def root(messages):
                text = "\\n".join(message["content"] for message in messages)
                question = re.search(r"# Question\\n(.*)", text)[1]
                turns = REPLIES[question.split()[0]]
                marks = [int(n) for n in re.findall(r"\\[Turn (\\d+)\\]", text)]
                return turns[min(max(marks, default=0), len(turns) - 1)]

            def sub(prompt):
                {sub}
            """
        )
    )
    return f"scripted:{path}"
