"""A home with finished runs, created once and copied for every test that damages it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from durable_rlm import Runner
from durable_rlm.state.db.checksums import register_function
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import DATABASE
from tests.scripts import repl, write_script

CELLS = [
    "words = str(context).split()\nfirst = llm_query_batched(words)\nkept = [1, 2, 3]\nprint(words[0] * 60_000)",
    "import random\nnoise = random.Random(words[0]).randbytes(100_000)\nprint('noise of', words[0])",
    "FINAL(first)",
]
"""Prompts, outputs and variables depend on the input, so that two runs share only what is equal in all runs."""


# A run that several have called belongs to the first of them.
_CHILD = "INSERT OR IGNORE INTO children (thread_id, caller, call, depth) VALUES (?, ?, ?, 1)"


def make_home(folder: Path) -> Path:
    """Create a home with the runs `hurt` and `other`, each over two documents of its own. Return its folder."""
    home = folder / "home"
    model = write_script(folder / "m.py", [repl(cell) for cell in CELLS])

    async def fill() -> None:
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            for thread, words in (("hurt", ("alpha", "beta")), ("other", ("gamma", "delta"))):
                for word in words:
                    (folder / thread).mkdir(exist_ok=True)
                    (folder / thread / f"{word}.txt").write_text(word)
                paths = sorted((folder / thread).iterdir())
                run = await runner.run(f"What of {thread}?", paths, model=model, thread=thread)
                assert run.answer == sorted(word.upper() for word in words), run

    asyncio.run(fill())
    return home


def adopt(home: Path, parent: str, child: str) -> None:
    """Change the rows to those of a run `child` that a call of `parent`'s code started."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        register_function(connection)
        [key] = connection.execute(
            "SELECT min(key) FROM calls WHERE thread_id = ? AND kind = 'llm'", (parent,)
        ).fetchone()
        row = (child, parent, key)
        connection.execute("UPDATE calls SET kind = 'rlm', child_thread = ? WHERE thread_id = ? AND key = ?", row)
        connection.execute(_CHILD, row)
        connection.commit()


def insert_child(home: Path, child: str, *, caller: str) -> None:
    """Insert a row that names `caller`, which need not exist, as the caller of the run `child`."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        register_function(connection)
        connection.execute(_CHILD, (child, caller, "1:a:1"))
        connection.commit()
