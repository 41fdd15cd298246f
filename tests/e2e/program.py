"""The `rlm` program without a terminal, and a run of it that is held in mid-cell for as long as a test needs."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.scripts import repl, write_script

RLM = Path(sys.executable).with_name("rlm")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("RLM_", "OPENAI_"))}


def rlm(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program in `folder`."""
    return subprocess.run(
        [str(RLM), *arguments],
        cwd=folder,
        env=CLEAN,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class WaitingRun:
    """A run of the thread `t` in mid-cell: its first sub-call was answered, its second one waits."""

    def __init__(self, folder: Path, model: str, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.model = model
        self.process = process

    def release(self) -> None:
        """Answer the second call, which has been sent, with `late`."""
        (self.folder / "gate").write_text("late")

    def answer_at_once(self) -> None:
        """Answer every later call at once."""
        write_script(self.folder / "m.py", [], sub="return {'b': 'B'}[prompt]")


_DEAF = """import asyncio
        async def deaf():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
        return deaf()"""


def waiting_model(folder: Path, *, deaf: bool = False) -> str:
    """Write a model whose second sub-call waits, once it has opened the pipe `asked`, for the pipe `gate`."""
    os.mkfifo(folder / "gate")
    os.mkfifo(folder / "asked")
    sub = f"""if prompt == 'a':
            return 'A'
        open({str(folder / "asked")!r}, 'w').close()
        {_DEAF if deaf else f"return open({str(folder / 'gate')!r}).read()"}"""
    return write_script(folder / "m.py", [repl("FINAL(llm_query('a') + llm_query('b'))")], sub=sub)


@contextmanager
def waiting_run(folder: Path, *more: str, deaf: bool = False) -> Generator[WaitingRun]:
    """Start `rlm run` in `folder`, with `more` arguments; return once its second sub-call waits.

    `deaf`: that sub-call cannot be cancelled.
    """
    model = waiting_model(folder, deaf=deaf)
    process = subprocess.Popen(
        [str(RLM), "run", "Q?", "--model", model, "--thread", "t", *more],
        cwd=folder,
        env=CLEAN,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # Opens once the model opens its side.
        (folder / "asked").read_bytes()
        yield WaitingRun(folder, model, process)
    finally:
        process.kill()
        process.communicate()
