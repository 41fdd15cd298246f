"""The habits of servers and models that the tests know, for systems that are measured from outside.

Their scripted replies finish with `FINAL`, which only this project has; here they set `answer`, which both have.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.beside.processes import run
from bench.beside.systems import System
from tests.graph.test_habits import CONTEXT, HABITS
from tests.servers.habits import Handle, Response, habit_server, stream
from tests.servers.received import Body

_OFFICIAL = "You are a Recursive Language Model"
_FINISH = "FINAL("
_SET = "answer.update(ready=True, content="
_MOST_TURNS = 4


@dataclass
class Counted:
    """A server's function, for any system, that counts the tokens of what it answers: four bytes each."""

    handle: Handle
    tokens: int = field(default=0, init=False)

    def __call__(self, body: Body, number: int) -> Response:
        response = _finishing(self.handle(_as_ours(body), number))
        if response.status == 200:
            self.tokens += (len(json.dumps(body["messages"])) + len(json.dumps(response.body))) // 4
        return response


def _as_ours(body: Body) -> Body:
    """Return a request in which habits recognise a root turn, and find an output limit."""
    first, *others = body["messages"]
    if str(first["content"]).startswith(_OFFICIAL):
        first = {**first, "content": f"{first['content']}\n{_FINISH}"}
    return {"max_tokens": 0, **body, "messages": [first, *others]}


def _finishing(response: Response) -> Response:
    """Return the response with code that sets `answer`."""
    if response.content_type == "text/event-stream":
        return stream(_streamed(response.body).replace(_FINISH, _SET))
    return Response(_replaced(response.body), response.status, response.content_type)


def _streamed(events: str) -> str:
    sent = [line.removeprefix("data: ") for line in events.splitlines() if line.startswith("data: {")]
    choices = [choice for event in sent for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def _replaced(value: Any) -> Any:
    match value:
        case str():
            return value.replace(_FINISH, _SET)
        case list():
            return [_replaced(one) for one in value]
        case Mapping():
            return {name: _replaced(one) for name, one in value.items()}
        case _:
            return value


def with_habits(folder: Path, system: System) -> dict[str, float]:
    """Run the system once with each habit. Return how many answers were right, and the tokens for each of these.

    Return nothing for the official RLM with a Jupyter kernel: it sends what it sends without one, in ten minutes.
    """
    if "kernel" in system.command:
        return {}
    (folder / "habits.txt").write_text(CONTEXT)
    right = tokens = 0
    for habit in HABITS:
        counted = Counted(habit.handle)
        with habit_server(counted) as server:
            arguments = ["--base-url", server.base_url, "--max-turns", str(_MOST_TURNS)]
            command = [*system.command, "run", *arguments, "--context-file", str(folder / "habits.txt")]
            ran = run(command, folder / "stderr", patience=60)
        right += str(ran.result.get("answer")) == str(habit.answer)
        tokens += counted.tokens
    return {"right": float(right), "a right answer": tokens / max(right, 1)}
