"""The scenario of a tree of runs with the gate `code`: approval requests of sub-RLMs are decided at the top run.

The reviewer approves, replaces the code of a run two levels down, and rejects a cell of one below the top.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from durable_rlm import Runner
from durable_rlm.kernel.session import Kernels
from tests.kill.reviewing import APPROVE, Decision, Reviewer, decisions_done, edit, marked
from tests.kill.scenario import MODEL_HEAD, THREAD
from tests.scripts import repl

QUESTION = "top"
REJECTED = "FINAL(llm_query('never asked'))"
REPLACED = "FINAL(llm_query('never asked below'))"
NEVER = ["never asked", "never asked below"]
"""Prompts that may not be sent to a model."""
CELLS = {
    QUESTION: ["x = rlm_query_batched(['calls', 'nests'], context=['one', 'two'])", "FINAL([x, len(history)])"],
    "calls": [REJECTED, "FINAL(llm_query(context))"],
    "nests": ["deep = rlm_query('deep', context=context)\nFINAL(f'{context}: {deep}')"],
    "deep": [REPLACED],
}
_MODEL = """
def root(messages):
    text = "\\n".join(message["content"] for message in messages)
    question = re.search("# Question\\n(.*)", text)[1]
    done = max(map(int, re.findall(r"\\[Turn (\\d+)\\]", text)), default=0)
    received(f"turn {{done + 1}}" if question == {question!r} else f"{{question}}: turn {{done + 1}}")
    return REPLIES[question][done]

def sub(prompt):
    received(prompt)
    return prompt.upper() + "!"
"""


def write_model(folder: Path, *, own_process: bool = False) -> str:
    """Write the scripted model, which logs each prompt in `folder/asked` before it answers, as a server would."""
    del own_process
    replies = {question: [repl(marked(cell, folder)) for cell in cells] for question, cells in CELLS.items()}
    script = folder / "m.py"
    script.write_text((MODEL_HEAD + _MODEL).format(replies=replies, asked=str(folder / "asked"), question=QUESTION))
    return f"scripted:{script}"


def decider(folder: Path) -> Callable[[dict[str, Any], str], Decision]:
    """Return the reviewer's script: its decision about each action."""
    decisions = {
        REJECTED: {"type": "reject", "message": "not that"},
        REPLACED: edit(code=marked("FINAL(llm_query(context + ' deep'))", folder)),
    }
    return lambda _, about: decisions.get(about, APPROVE)


async def execute(
    home: Path, model: str, failpoint: Callable[[str], None], kernels: Kernels | None, *, max_calls: int
) -> dict[str, Any]:
    """Start or resume the tree and decide everything it waits for. Return its final state as a report, by question."""
    folder = home.parent
    reviewer = Reviewer(folder, decider(folder))
    async with Runner.open(home, kernels=kernels, failpoint=reviewer.watching(failpoint)) as runner:
        settings: dict[str, Any] = {"model": model, "max_calls": max_calls, "max_depth": 3, "approve": ["code"]}
        run = await runner.run(QUESTION, thread=THREAD, concurrency=4, kernels=6, unsandboxed=True, **settings)
        run = await reviewer.decide_until_it_ends(runner, run)
        shown = {
            row["question"]: await runner.queries.show(row["thread_id"], runner.graph)
            for row in await runner.queries.runs()
        }
        turns = [(question, turn) for question, of_run in sorted(shown.items()) for turn in of_run["turns"]]
        problems = [await runner.verify(of_run["thread_id"]) for of_run in shown.values()]
        return {
            "run": run.to_json(),
            "outputs": [[question, turn["output"], turn["notes"]] for question, turn in turns],
            "statuses": sorted(f"{question}: {of_run['status']}" for question, of_run in shown.items()),
            "variables": {
                f"{question}.{one['name']}": one for question, turn in turns for one in turn.get("variables", [])
            },
            "problems": [problem for report in problems for problem in report.to_json()["problems"]],
            "decisions": {
                question: await decisions_done(runner, of_run["thread_id"]) for question, of_run in shown.items()
            },
            "too early": reviewer.ran_before_review,
        }
