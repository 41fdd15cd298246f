"""The scenario of a run whose variables share objects, count, are random, cannot be saved, and depend on answers.

The last cell reports all of them, so that one comparison with the undisturbed run shows any difference.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from durable_rlm import Runner
from durable_rlm.kernel.session import Kernels
from tests.scripts import repl

THREAD = "killed"
QUESTION = "What do the words say?"
TEXT = "alpha\nbeta"

_BEGIN = """
import random
from concurrent.futures import ThreadPoolExecutor
rng = random.Random(7)
tally = {"asked": 0}
shared = alias = []
def ask(prompt):
    tally["asked"] += 1
    return llm_query(prompt)
words = context.split()
first = llm_query_batched(words)
shared.extend(first)
"""
_DRAW = """
drawn = DRAW()
told = ask(f"{drawn:.6f} {first[0]}")
alias.append(told)
pair = (shared, {"same": alias})
squares = (n * n for n in range(10))
print(next(squares), next(squares), "x" * 300_000)
with ThreadPoolExecutor(2) as pool:
    both = sorted(pool.map(ask, [f"both {text}" for text in first]))
later = ask(f"{DRAW():.6f} {next(squares)} {both}")
raise ValueError("what was set before stays")
"""
_REPORT = """
print(words, first, told, both, later, tally)
print(shared is alias, pair[0] is shared, pair[1]["same"] is alias, len(shared))
print(DRAW(), next(squares), len(history))
FINAL({"told": told, "both": both, "later": later, "tally": tally, "shared": shared, "drawn": DRAW()})
"""
REPLIES = [repl(code) for code in (_BEGIN, _DRAW, _REPORT)]
MODEL_HEAD = """
import os
import re

REPLIES = {replies!r}

def received(prompt):
    log = os.open({asked!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, (prompt + "\\n").encode())
    os.close(log)
"""
"""The beginning of the scenarios' scripted models: they log each prompt before they answer."""
_MODEL = """
def root(messages):
    text = "".join(message["content"] for message in messages)
    done = max(map(int, re.findall(r"\\[Turn (\\d+)\\]", text)), default=0)
    received(f"turn {{done + 1}}")
    # A cell that died with its kernel is sent again.
    return REPLIES[done - text.count("The REPL died")]

def sub(prompt):
    received(prompt)
    return prompt.upper() + "!"
"""


def write_model(folder: Path, *, own_process: bool = False) -> str:
    """Write the scripted model, which logs each prompt in `folder/asked` before it answers, as a server would.

    `own_process`: the kernel has a process of its own, so code may use the global random generator.
    """
    draw = "random.random" if own_process else "rng.random"
    return written(folder, _MODEL, [text.replace("DRAW", draw) for text in REPLIES])


def written(folder: Path, model: str, replies: Sequence[str]) -> str:
    """Write a scripted model, whose `root` and `sub` are in `model`, and return its name."""
    script = folder / "m.py"
    script.write_text((MODEL_HEAD + model).format(replies=list(replies), asked=str(folder / "asked")))
    return f"scripted:{script}"


async def execute(
    home: Path, model: str, failpoint: Callable[[str], None], kernels: Kernels | None, *, max_calls: int
) -> dict[str, Any]:
    """Start or resume the run. Return its final state as a report: the run, its variables, the output of each turn."""
    async with Runner.open(home, kernels=kernels, failpoint=failpoint) as runner:
        settings: dict[str, Any] = {"model": model, "max_calls": max_calls, "concurrency": 4, "unsandboxed": True}
        run = await runner.run(QUESTION, TEXT, thread=THREAD, **settings)
        shown = await runner.queries.show(THREAD, runner.graph)
        last = shown["turns"][-1] if shown["turns"] else {}
        verified = await runner.verify(THREAD)
        return {
            "run": run.to_json(),
            "outputs": [turn["output"] for turn in shown["turns"]],
            "statuses": [turn["status"] for turn in shown["turns"]],
            "variables": {one["name"]: one for one in last.get("variables", [])},
            "problems": verified.to_json()["problems"],
        }


def read_log(path: Path) -> list[str]:
    """Return the lines of a log that a killed process may have written."""
    return path.read_text().splitlines() if path.exists() else []
