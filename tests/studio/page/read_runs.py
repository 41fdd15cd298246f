"""A home with runs over documents of every kind, for tests of the input's screens."""

import asyncio
import os
import random
from pathlib import Path

from durable_rlm import Runner
from tests.contract.citing_kernel import CitingKernels
from tests.graph.sub_rlms.conftest import tree_script
from tests.scripts import repl, write_script

from .saved_runs import HOSTILE

EVIL = "<b onclick=alert(1)>\u202e'\"&?#%\n.txt"
"""A document's name that breaks out of HTML and of addresses wherever one of them lets it."""
LONG = "".join(f"{number} " for number in range(12_000))


def prose(seed: int, lines: int) -> str:
    """Return lines of words that no other seed has."""
    chosen = random.Random(seed)
    return "".join(
        " ".join(f"{chosen.choice('bcdfglmnprst')}{chosen.randrange(10_000)}" for _ in range(8)) + "\n"
        for _ in range(lines)
    )


TEXTS = {
    "alpha.txt": prose(1, 30),
    "beta.txt": prose(2, 30),
    "delta.txt": prose(3, 30),
    EVIL: f"{HOSTILE}\x00\n",
    "lines.txt": "".join(f"line {number} of the größer file\n" for number in range(1, 1_001)),
    "long.txt": f"short\n{LONG}\nlast\n",
}
"""The documents, in their order: models are shown the beginnings of the first three."""
TRUE = TEXTS["alpha.txt"].splitlines()[9]


def make_home(folder: Path) -> Path:
    """Create the home, and return its folder.

    Its runs: `read` (answered, cites), `one` (one text), `bare` (none), `top` (its sub-RLM has a text of its own).
    """
    home, given = folder / "home", folder / "given"
    given.mkdir()
    for name, text in TEXTS.items():
        (given / name).write_text(text)
    (given / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    def named(name: str) -> str:
        return str(given / name)

    start = TEXTS["alpha.txt"].index(TRUE)
    posted = [
        (1, named("alpha.txt"), start, start + len(TRUE), TRUE),
        (2, named("beta.txt"), 0, 9, "not there"),
        (3, "nowhere.txt", 0, 5, "words"),
    ]
    said = "First. Alpha says so [^1]. Beta does <b>not</b> [^2]! None [^3]"
    cells = [
        """
        alpha, beta = context[0].text, context[1].text
        answers = llm_query_batched([f'Sum up:\\n{alpha}', f'Once more:\\n{alpha}',
            'Of these lines:\\n' + ''.join(beta.splitlines(True)[4:15])])
        print(''.join(beta.splitlines(True)[20:25]))
        """,
        f"_posted = {posted!r}\nFINAL({said!r})",
    ]
    model = write_script(folder / "m.py", [repl(cell) for cell in cells], "return 'short'")
    last = write_script(folder / "last.py", [repl("FINAL('done')")] * 2, "return 'short'")

    handing = ["rlm_query('below?', context='A text that the code has made.')", "FINAL('done')"]
    tree = tree_script(folder / "tree.py", {"top?": handing, "below?": ["print(context)", "FINAL('done')"]})

    async def fill() -> None:
        async with Runner.open(home, kernels=CitingKernels()) as runner:
            paths = [given / name for name in (*TEXTS, "picture.png")]
            run = await runner.run("What do they say?", paths, model=model, thread="read")
            assert run.status == "answered", run
            await runner.run("What is it?", "one text\nof two lines", model=last, thread="one")
            await runner.run("What?", model=last, thread="bare")
            await runner.run("top?", paths[:2], model=tree, thread="top", max_depth=2)

    asyncio.run(fill())
    return home


def name_of(home: Path, name: str) -> str:
    """Return the name of a document in the run."""
    return os.fspath(home.parent / "given" / name)
