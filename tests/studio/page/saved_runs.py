"""A home with runs of every kind for the page's tests, made once by in-memory kernels and scripted models."""

import asyncio
import contextlib
from pathlib import Path

from durable_rlm import Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>\"'>`${x}{{7*7}}{% x %} "
    "\u202etxt.exe\u202c \u200bpass\u200bword \x1b[2Jgone \x07 &lt;b&gt; javascript:alert(1) "
    "</style></textarea></title>"
)
"""A text that breaks out of HTML, templates and terminals wherever one of them lets it."""
CLAUSES = {
    "one.txt": "1. The term is two years.\n2. The Customer may end this Agreement without notice.\n3. English law.\n",
    "two.txt": "1. The term is one year.\n2. Ninety days of notice are needed.\n3. French law.\n",
    "three.txt": "1. The term is three years.\n",
    "never.txt": "Nobody reads this document.\n",
}
"""The documents of `contracts`. The root model is shown the beginnings of the first three."""
SUB = """
        if "fail" in prompt:
            raise ValueError("this one fails")
        return "yes" if "without notice" in prompt else "no"
"""
CONTRACTS = [
    "I look at what there is.\n" + repl("names = [d.name for d in context]\nprint(names)"),
    "Each contract is judged by a call of its own.\n"
    + repl(
        """
        texts = {d.name: d.text for d in context if d.name in ('one.txt', 'two.txt')}
        prompts = [f'Can it be ended without notice?\\n{text}' for text in texts.values()]
        verdicts = dict(zip(texts, llm_query_batched(prompts)))
        verdicts['extra'] = [llm_query_batched(['please fail'])[0].error, *range(40)]
        del names
        print(verdicts)
        """
    ),
    repl("1 / 0"),
    repl("rows = [{'name': n, 'verdict': str(v)} for n, v in verdicts.items() if n != 'extra']"),
    repl(
        "FINAL('**one.txt** can be ended: \"The Customer may end this Agreement without notice.\"', "
        "citations=[cite('one.txt', 'The Customer may end this Agreement without notice.')])"
    ),
]
HOSTILE_CELLS = [
    f"{HOSTILE}\n" + repl(f"bad = {HOSTILE!r}\nprint(bad)\nllm_query(bad)"),
    repl("raise ValueError(bad)"),
    repl("FINAL(bad)"),
]
TREE = [repl("parts = rlm_query_batched(['first half', 'second half'], context='some text')"), repl("FINAL(parts)")]


def make_home(folder: Path) -> Path:
    """Create the home, and return its folder.

    Its runs: `contracts` (answered; its fork is `stricter`), `tree` (with sub-RLMs), `hostile`, `out-of-budget`,
    `failed`, `waits-for-code` and `waits-for-calls`.
    """
    home, given = folder / "home", folder / "given"
    given.mkdir()
    for name, text in CLAUSES.items():
        (given / name).write_text(text)
    evil = folder / "evil"
    evil.mkdir()
    (evil / "<b onclick=alert(1)>.txt").write_text(HOSTILE)

    def script(name: str, replies: list[str], sub: str = SUB) -> str:
        return write_script(folder / f"{name}.py", replies, sub)

    contracts, last = script("contracts", CONTRACTS), repl("FINAL('done')")

    async def fill() -> None:
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            paths = [Path(name) for name in CLAUSES]
            await runner.run("Which contracts can be ended without notice?", paths, model=contracts, thread="contracts")
            steps = await runner.queries.steps("contracts")
            step = max(one["step"] for one in steps if (one["kind"], one["turn"]) == ("execute_code", 4))
            await runner.fork("contracts", step, set={"verdicts": {"one.txt": "no"}}, into="stricter")
            await runner.resume("stricter")
            await runner.run("Two halves?", model=script("tree", TREE), thread="tree", max_depth=2)
            evil_paths = list(evil.iterdir())
            await runner.run(
                HOSTILE, evil_paths, model=script("hostile", HOSTILE_CELLS, "return prompt"), thread="hostile"
            )
            many = script("many", [repl("llm_query_batched([f'{n}' for n in range(9)])"), repl("print(1)")])
            await runner.run("Too much?", model=many, thread="out-of-budget", max_calls=4)
            await runner.run("Why?", model=script("failed", []), thread="failed")
            waits = script("waits", [repl("llm_query_batched([f'read {n}' for n in range(42)])"), last])
            await runner.run("May it run?", model=waits, thread="waits-for-code", approve=["code"])
            await runner.run("May it ask?", model=waits, thread="waits-for-calls", approve=["calls>10"])

    # Documents are named by their paths from the current folder.
    with contextlib.chdir(given):
        asyncio.run(fill())
    return home
