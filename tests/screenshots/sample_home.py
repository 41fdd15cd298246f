"""A sample home: runs over made-up contracts, with real kernels and a model server on loopback."""

import os
import subprocess
import sys
from pathlib import Path

from tests.servers.openai_server import ScriptedServer
from tests.servers.received import Body

from . import model
from .contracts import write_contracts

QUESTION = "Which contracts can be ended without notice?"
_PRICED = ["--model", "openai:root", "--sub-model", "openai:sub", "--price", "2,8", "--max-cost", "2"]


def make_home(folder: Path) -> Path:
    """Make the home below a folder, and return it. It takes about half a minute.

    Its runs: `contracts` (answered), `two-contracts` (a fork of it with other variables), `duties` (with sub-RLMs) and
    `asks-first` (waits for a reviewer).
    """
    home = folder / ".rlm"
    write_contracts(folder / "contracts")
    with ScriptedServer(model.root, model.sub) as server:
        run(folder, "run", QUESTION, "contracts", *_PRICED, "--thread", "contracts", base_url=server.base_url)
        edit = ["--step", "11", "--set", 'clauses={"it/001-halcyon.txt": "none"}', "--thread", "two-contracts"]
        run(folder, "fork", "contracts", *edit, base_url=server.base_url)
        gated = ["--approve", "calls>10", "--thread", "asks-first"]
        run(
            folder,
            "run",
            f"{QUESTION} Ask me before many calls.",
            "contracts",
            *_PRICED,
            *gated,
            base_url=server.base_url,
        )
    with ScriptedServer(model.root_of_halves, model.summary, is_root=_writes_code) as server:
        deep = ["--max-depth", "2", "--thread", "duties"]
        run(folder, "run", "Which duties recur?", "contracts", *_PRICED, *deep, base_url=server.base_url)
    return home


def _writes_code(body: Body) -> bool:
    """Return whether a request is one for code: sub-RLMs are asked of the sub-model, too."""
    return "FINAL" in body["messages"][0]["content"]


def run(folder: Path, *words: str, base_url: str) -> None:
    """Run a command of the program in a folder, whatever its exit status."""
    environment = {**os.environ, "OPENAI_API_KEY": "none", "RLM_HOME": str(folder / ".rlm")}
    subprocess.run(
        [sys.executable, "-m", "durable_rlm", *words, "--base-url", base_url],
        cwd=folder,
        env=environment,
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
