"""The scenario of a batch: questions over one input, each of two turns with two sub-calls, several at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from durable_rlm import Question, Run, Runner
from durable_rlm.kernel.session import Kernels
from tests.kill.scenario import written
from tests.scripts import repl

NUMBER = 20
AT_ONCE = 4
TEXT = "alpha beta"
REPLIES = [
    repl("words = context.split()\nbegun = llm_query_batched([f'NAME {word}' for word in words])"),
    repl("FINAL([begun, llm_query('NAME: ' + ' '.join(begun))])"),
]
REQUESTS = NUMBER * 5
_MODEL = """
def root(messages):
    text = "".join(message["content"] for message in messages)
    name = re.search(r"Question(\\d+)", text)[0]
    done = max(map(int, re.findall(r"\\[Turn (\\d+)\\]", text)), default=0)
    received(f"{{name}}?: turn {{done + 1}}")
    return REPLIES[done].replace("NAME", name)

def sub(prompt):
    received(prompt)
    return prompt.upper() + "!"
"""


def write_model(folder: Path, *, own_process: bool = False) -> str:
    """Write the scripted model, which logs each prompt in `folder/asked` before it answers."""
    del own_process
    return written(folder, _MODEL, REPLIES)


async def execute(
    home: Path, model: str, failpoint: Callable[[str], None], kernels: Kernels | None, *, max_calls: int
) -> dict[str, Any]:
    """Ask all questions, passing the failpoint `question-N` at the N-th that ends, and report their runs."""
    questions = [Question(f"q{number}", f"Question{number}?") for number in range(NUMBER)]
    runs: dict[str, Run] = {}
    async with Runner.open(home, kernels=kernels, failpoint=failpoint) as runner:
        settings: dict[str, Any] = {"model": model, "max_calls": max_calls, "concurrency": AT_ONCE, "unsandboxed": True}
        async for question, run in runner.ask_all(questions, TEXT, **settings):
            runs[question.id] = run
            failpoint(f"question-{len(runs)}")
    return {
        "answers": {name: runs[name].answer for name in sorted(runs)},
        "statuses": sorted({run.status for run in runs.values()}),
        "calls": sum(run.usage["model_calls"] for run in runs.values()),
    }
