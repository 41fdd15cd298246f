"""The reviewer of the kill tests: decides by a script, and logs the actions it decides and those that were saved."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from durable_rlm import Run, Runner

Decision = dict[str, Any]
APPROVE: Decision = {"type": "approve"}
_END_OF_MARK = "del log\n"


def edit(**args: Any) -> Decision:
    return {"type": "edit", "edited_action": {"name": "any", "args": args}}


def marked(code: str, folder: Path) -> str:
    """Return the code with a first statement that logs that it runs."""
    log = str(folder / "ran")
    return f"with open({log!r}, 'a') as log:\n    print({json.dumps(code)!r}, file=log)\n{_END_OF_MARK}{code}"


def about(action: dict[str, Any]) -> str:
    """Return a text that identifies an action, the same each time the action is requested."""
    args = action["args"]
    match action["name"]:
        case "execute_code":
            return args["code"].partition(_END_OF_MARK)[2]
        case "sub_calls":
            return "calls: " + ", ".join(sorted(call["prompt"] for call in args["calls"]))
        case "budget":
            return f"budget: {args['resource']}"
        case name:
            return f"{name}: {json.dumps(args)}"


class Reviewer:
    """A reviewer of one process's run. `decide`: the script; it gets an action and the text that identifies it."""

    def __init__(self, folder: Path, decide: Callable[[dict[str, Any], str], Decision]) -> None:
        self._folder = folder
        self._decide = decide
        self._unsaved: list[str] = []
        self.ran_before_review: list[str] = []
        """Code that had begun to run before its approval was requested."""

    def watching(self, failpoint: Callable[[str], None]) -> Callable[[str], None]:
        """Return the failpoint, extended to log decisions once they are saved, with the writes of the review node."""

        def watched(point: str) -> None:
            if self._unsaved and "writes" in point and point.endswith("-after"):
                saved, self._unsaved = self._unsaved, []
                note(self._folder / "saved", saved)
            failpoint(point)

        return watched

    async def decide_until_it_ends(self, runner: Runner, run: Run) -> Run:
        """Decide and resume until the run ends. Return it."""
        while run.status == "paused":
            [waiting] = run.interrupts
            actions = waiting["value"]["action_requests"]
            what = [about(action) for action in actions]
            ran = lines(self._folder / "ran")
            self.ran_before_review += [code for code in what if code in ran]
            note(self._folder / "reviewed", what)
            self._unsaved = what
            decisions = [self._decide(action, one) for action, one in zip(actions, what, strict=True)]
            shown = waiting["value"]["shown"]
            run = await runner.decide(run.thread_id, decisions, interrupt=waiting["id"], shown=shown)
            assert not self._unsaved, f"nothing was saved of {self._unsaved}"
        return run


def note(log: Path, what: list[str]) -> None:
    """Append to a log in one write, so that a kill leaves all of it or nothing."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, "".join(f"{json.dumps(one)}\n" for one in what).encode())
    os.close(file)


def lines(log: Path) -> list[str]:
    """Return the lines of a log, parsed."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def reviewed(folder: Path) -> Counter[str]:
    """Return the actions that the reviewer was asked to decide so far, in all executions."""
    return Counter(lines(folder / "reviewed"))


def unsaved(folder: Path) -> Counter[str]:
    """Return the actions whose decisions were lost, because the process was killed before they were saved."""
    return reviewed(folder) - Counter(lines(folder / "saved"))


async def decisions_done(runner: Runner, thread: str) -> list[str]:
    """Return the reviewer's decisions that the history of a run records, each once."""
    steps = [step["summary"] for step in await runner.queries.steps(thread) if step["kind"] == "review"]
    parts = [
        part for step in steps if step.startswith("a reviewer ") for part in step[len("a reviewer ") :].split(", ")
    ]
    found = [re.fullmatch(r"(.+?)(?: \((\d+)\))?", part) for part in parts]
    return sorted(one[1] for one in found if one for _ in range(int(one[2] or 1)))
