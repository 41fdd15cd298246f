"""The scenario of a run with gates: a reviewer rejects, edits, approves, responds, raises budgets and takes the answer.

As in `scenario`, the last cell reports all variables. Each cell logs that it begins to run, so that code that ran
before it was reviewed, or although it was rejected, is detected.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from durable_rlm import Runner
from durable_rlm.kernel.session import Kernels
from tests.kill.reviewing import APPROVE, Decision, Reviewer, decisions_done, edit, marked
from tests.kill.scenario import THREAD, written
from tests.scripts import repl

GATES = ["code", "calls>1", "final", "budget"]
MAX_CALLS, MAX_TURNS = 12, 4

_REJECTED = "# rejected\nFINAL(llm_query('never asked'))"
_SWAPPED = "# edited away\nllm_query('never asked')"
_EDITED = """
tally = alias = []
tally.append(llm_query("one"))
tally += llm_query_batched(["a", "b", "c"])
tally += llm_query_batched(["d", "e to be edited"])
try:
    llm_query_batched(["never f", "never g"])
except CallsRejected as no:
    told = str(no)
tally += llm_query_batched(["who?", "where?"])
print(tally, told)
""".strip()
_SPENDING = """
more = llm_query_batched(["h", "i", "j"])
print(more, alias is tally)
""".strip()
_REFUSED = "FINAL('no answer')"
_LAST = "print(len(history))\nFINAL({'tally': tally, 'told': told, 'more': more})"
CELLS = [_REJECTED, _SWAPPED, _SPENDING, _REFUSED, _LAST]
NEVER = ["never asked", "e to be edited", "never f", "never g", "who?", "where?"]
"""Prompts that may not be sent to a model."""
NEVER_RUN = [_REJECTED, _SWAPPED]
_MODEL = """
def root(messages):
    text = "".join(message["content"] for message in messages)
    done = max(map(int, re.findall(r"\\[Turn (\\d+)\\]", text)), default=0)
    received(f"turn {{done + 1}}")
    return REPLIES[done]

def sub(prompt):
    received(prompt)
    return prompt.upper() + "!"
"""


def write_model(folder: Path, *, own_process: bool = False) -> str:
    """Write the scripted model, which logs each prompt in `folder/asked` before it answers, as a server would."""
    del own_process
    return written(folder, _MODEL, [repl(marked(cell, folder)) for cell in CELLS])


def decider(folder: Path) -> Callable[[dict[str, Any], str], Decision]:
    """Return the reviewer's script: its decision about each action."""
    decisions = {
        _REJECTED: {"type": "reject", "message": "not that"},
        _SWAPPED: edit(code=marked(_EDITED, folder)),
        "calls: never f, never g": {"type": "reject", "message": "not these"},
        "calls: where?, who?": {"type": "respond", "message": "Ada, here"},
        "budget: calls": edit(limit=100),
        "budget: turns": edit(limit=20),
        'final_answer: {"answer": "no answer"}': {"type": "reject", "message": "say more"},
    }

    def decide(action: dict[str, Any], about: str) -> Decision:
        if about == "calls: d, e to be edited":
            [key] = [call["key"] for call in action["args"]["calls"] if call["prompt"].startswith("e ")]
            return edit(calls=[{"key": key, "prompt": "e"}])
        return decisions.get(about, APPROVE)

    return decide


async def execute(
    home: Path, model: str, failpoint: Callable[[str], None], kernels: Kernels | None, *, max_calls: int
) -> dict[str, Any]:
    """Start or resume the run and decide everything it waits for. Return its final state as a report."""
    del max_calls
    folder = home.parent
    reviewer = Reviewer(folder, decider(folder))
    async with Runner.open(home, kernels=kernels, failpoint=reviewer.watching(failpoint)) as runner:
        settings: dict[str, Any] = {"model": model, "max_calls": MAX_CALLS, "max_turns": MAX_TURNS, "approve": GATES}
        run = await runner.run("What?", "the input", thread=THREAD, concurrency=4, unsandboxed=True, **settings)
        run = await reviewer.decide_until_it_ends(runner, run)
        shown = await runner.queries.show(THREAD, runner.graph)
        last = shown["turns"][-1] if shown["turns"] else {}
        return {
            "run": run.to_json(),
            "outputs": [[turn["output"], turn["notes"]] for turn in shown["turns"]],
            "statuses": [turn["status"] for turn in shown["turns"]],
            "variables": {one["name"]: one for one in last.get("variables", [])},
            "problems": (await runner.verify(THREAD)).to_json()["problems"],
            "decisions": await decisions_done(runner, THREAD),
            "limits": (await runner.queries.about(THREAD))["limits"],
            "too early": reviewer.ran_before_review,
        }
