"""`langgraph dev` as a process on loopback with a home of its own, and models that signal when they receive a call."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from tests.scripts import Asked, repl, write_script

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
TOKEN = "a token that only tests know".replace(" ", "-")
_NOT_OURS = ("RLM_", "OPENAI_", "LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_")
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
_STARTS_WITHIN = 60.0


class Server:
    """A server that can be killed and started again, over one folder with `.rlm` and `langgraph.json` in it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self._environment = {**_CLEAN, **environment, "RLM_SERVER_TOKEN": TOKEN, "LANGGRAPH_NO_VERSION_CHECK": "true"}
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        shutil.copy(ROOT / "langgraph.json", folder)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Start the process. Returns once it answers."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [str(BIN / "langgraph"), "dev", "--no-browser", "--no-reload", "--port", str(port)],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + _STARTS_WITHIN
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < until, self.log

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ok", headers={"x-api-key": TOKEN}, timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def end(self, sign: int = signal.SIGTERM) -> None:
        """Send the signal and wait until the process has ended."""
        if self._process is not None:
            self._process.send_signal(sign)
            self._process.wait(30)
            self._process = None

    def client(self) -> LangGraphClient:
        return get_client(url=self.url, api_key=TOKEN)

    def rlm(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start the command line in the same folder, hence over the same home."""
        return subprocess.Popen(
            [str(BIN / "rlm"), *arguments],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rlm_output(self, *arguments: str) -> str:
        """Return the output of the command line, which must succeed."""
        process = self.rlm(*arguments)
        said, complaints = process.communicate(timeout=60)
        assert process.returncode == 0, f"{said}\n{complaints}"
        return said


@contextmanager
def served(folder: Path, **environment: str) -> Generator[Server]:
    """A server that is ended with the block."""
    server = Server(folder, **environment)
    server.start()
    try:
        yield server
    finally:
        server.end()


class Waiting:
    """A model whose second sub-call is not answered until `answer_from_now_on`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._asked = folder / f"{name}.fifo"
        self._open = folder / f"{name}.open"
        os.mkfifo(self._asked)
        sub = f"""import asyncio, os
        if prompt == 'a' or os.path.exists({str(self._open)!r}):
            return prompt.upper()
        open({str(self._asked)!r}, 'w').close()
        return asyncio.sleep(3600)"""
        replies = [repl("first = llm_query('a')"), repl("FINAL(first + llm_query('b'))")]
        self.name = write_script(folder / f"{name}.py", replies, sub=sub)
        self.asked = Asked(self.name)

    async def until_asked(self) -> None:
        """Return once the second call has been received."""
        await asyncio.to_thread(self._asked.read_bytes)

    def answer_from_now_on(self) -> None:
        """Answer every later call."""
        self._open.touch()
