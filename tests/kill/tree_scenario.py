"""The scenario of a tree: a run with two concurrent sub-RLMs, of which one calls models and one has another below it.

The question of each run identifies it. As in `scenario`, the last cell reports all variables; cells of concurrent runs
print nothing, because in-memory kernels share one standard output.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from durable_rlm import Runner
from durable_rlm.kernel.session import Kernels
from tests.kill.scenario import MODEL_HEAD, THREAD
from tests.scripts import repl

QUESTION = "top"
TEXT = "alpha beta gamma"

CELLS = {
    QUESTION: [
        "tally = []\nwords = context.split()\nshared = {'got': tally}\n"
        "tally += rlm_query_batched(['calls', 'nests'], context=[context[:10], context[6:]])",
        "print(tally, shared['got'] is tally, words, len(history))\nFINAL([tally, words])",
    ],
    "calls": [
        "first = llm_query(context)\nboth = alias = [first]\nboth += llm_query_batched([first + ' 1', first + ' 2'])",
        "told = [alias is both, len(history)]\nFINAL(llm_query(' '.join(both)))",
    ],
    "nests": ["deep = rlm_query('deep', context=context)", "FINAL(f'{context}: {deep}')"],
    "deep": ["FINAL(llm_query(context + ' deep'))"],
}
REQUESTS = sum(map(len, CELLS.values())) + 5
"""Root turns and plain calls."""
MOST_AT_ONCE = 3
"""The most requests that may be in flight at once: two of a batch, and one of the other branch."""
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
    replies = {question: [repl(cell) for cell in cells] for question, cells in CELLS.items()}
    script = folder / "m.py"
    script.write_text((MODEL_HEAD + _MODEL).format(replies=replies, asked=str(folder / "asked"), question=QUESTION))
    return f"scripted:{script}"


async def execute(
    home: Path, model: str, failpoint: Callable[[str], None], kernels: Kernels | None, *, max_calls: int
) -> dict[str, Any]:
    """Start or resume the tree. Return its final state as a report: the top run, and by question the output of each."""
    async with Runner.open(home, kernels=kernels, failpoint=failpoint) as runner:
        settings: dict[str, Any] = {"model": model, "max_calls": max_calls, "concurrency": 4, "unsandboxed": True}
        run = await runner.run(QUESTION, TEXT, thread=THREAD, max_depth=3, kernels=6, **settings)
        shown = {
            row["question"]: await runner.queries.show(row["thread_id"], runner.graph)
            for row in await runner.queries.runs()
        }
        turns = [(question, turn) for question, of_run in sorted(shown.items()) for turn in of_run["turns"]]
        problems = [await runner.verify(of_run["thread_id"]) for of_run in shown.values()]
        return {
            "run": run.to_json(),
            "outputs": [[question, turn["output"]] for question, turn in turns],
            "statuses": sorted(f"{question}: {of_run['status']}" for question, of_run in shown.items()),
            "variables": {
                f"{question}.{one['name']}": one for question, turn in turns for one in turn.get("variables", [])
            },
            "problems": [problem for report in problems for problem in report.to_json()["problems"]],
        }
