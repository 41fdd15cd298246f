"""Trees of runs over a server on loopback: one model serves all runs and distinguishes them by their questions."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from durable_rlm import Runner
from durable_rlm.nodes.runtime.dependencies import OpenModels
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl
from tests.servers.openai_server import ScriptedServer
from tests.servers.received import Seen

_QUESTION = re.compile(r"# Question\n(.*)")
LAST_TURN = "This is your last turn"


def tree(cells: Mapping[str, list[str]]) -> Callable[[list[dict[str, str]]], str]:
    """Return a root model. `cells` maps the first word of a question to a cell for each turn; the last one repeats."""
    replies = {word: [repl(cell) for cell in turns] for word, turns in cells.items()}

    def root(messages: list[dict[str, str]]) -> str:
        turns = replies[question_of(messages).split()[0]]
        return turns[min(sum(message["role"] == "assistant" for message in messages), len(turns) - 1)]

    return root


def question_of(messages: list[dict[str, str]]) -> str:
    """Return the question of the run that sent this root request; an empty text for a plain call."""
    found = _QUESTION.search("\n".join(message["content"] for message in messages))
    return found[1] if found else ""


def of_run(question: str, server: ScriptedServer) -> list[Seen]:
    """Return the root requests that runs with this question have sent."""
    return [seen for seen in server.requests if question_of(seen.messages) == question]


def model(server: ScriptedServer) -> dict[str, Any]:
    """Return the settings that name the server's one model, which recognises root requests by their text."""
    return {"model": "openai:both", "base_url": server.base_url}


def open_home(folder: Path, open_model: OpenModels, **options: Any) -> AbstractAsyncContextManager[Runner]:
    """Open a runner over in-memory kernels, in a home below `folder`."""
    return Runner.open(folder / "home", kernels=MemoryKernels(), open_model=open_model, **options)
