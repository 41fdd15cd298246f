"""The scenario of a run with notifications: it waits twice, uses most of its calls, has a sub-RLM, and is answered.

Its target and key are in variables, which are set from the file `target` beside the home.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from durable_rlm import Runner
from durable_rlm.kernel.session import Kernels
from tests.kill.scenario import THREAD, written
from tests.scripts import repl
from tests.servers.webhook_receiver import KEY

MAX_CALLS = 10
"""Eight calls are made, and one may be lost when the process is killed."""
REPLIES = [
    repl("a = [llm_query(word) for word in ('one', 'two', 'three')]\nprint(a)"),
    repl("b = rlm_query('the question below')\nprint(b)"),
    repl("FINAL([a, b])"),
]
_MODEL = """
def root(messages):
    text = "".join(message["content"] for message in messages)
    if "the question below" in messages[-1]["content"] and "What?" not in text:
        received("below")
        return "```repl\\nFINAL(llm_query('deep'))\\n```"
    done = max(map(int, re.findall(r"\\[Turn (\\d+)\\]", text)), default=0)
    received(f"turn {{done + 1}}")
    return REPLIES[done]

def sub(prompt):
    received(prompt)
    return prompt.upper()
"""


def write_model(folder: Path, *, own_process: bool = False) -> str:
    """Write the scripted model, which logs each prompt in `folder/asked` before it answers, as a server would."""
    del own_process
    return written(folder, _MODEL, REPLIES)


async def execute(
    home: Path, model: str, failpoint: Callable[[str], None], kernels: Kernels | None, *, max_calls: int
) -> dict[str, Any]:
    """Start or resume the run and approve what it asks about. Return the run and its outbox."""
    del max_calls
    os.environ |= {"HOOK": (home.parent / "target").read_text(), "HOOK_KEY": KEY}
    async with Runner.open(home, kernels=kernels, failpoint=failpoint) as runner:
        run = await runner.run(
            "What?", "the input", thread=THREAD, model=model, max_calls=MAX_CALLS, max_depth=2, unsandboxed=True,
            approve=["code", "final"], notify="env:HOOK", notify_key="env:HOOK_KEY",
        )  # fmt: skip
        while run.status == "paused":
            [request, *_] = run.interrupts
            approved = [{"type": "approve"} for _ in request["value"]["action_requests"]]
            run = await runner.decide(THREAD, approved, interrupt=request["id"])
    return {"run": run.to_json()}
