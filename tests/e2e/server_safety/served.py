"""`rlm dev` as a process on loopback, and requests to it."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

RLM = Path(sys.executable).with_name("rlm")
_NOT_OURS = ("RLM_", "OPENAI_", "LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
JSON = {"content-type": "application/json"}
_TRANSPORT = httpx.HTTPTransport(verify=False)


@dataclass
class Served:
    """A running server and its token."""

    process: "subprocess.Popen[str]"
    url: str
    token: str
    folder: Path
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def key(self) -> dict[str, str]:
        return {"x-api-key": self.token}

    @property
    def cookie(self) -> dict[str, str]:
        """The cookie of a browser that has opened the printed URL."""
        entered = self.ask("GET", f"/rlm?token={self.token}")
        return {"cookie": entered.headers["set-cookie"].partition(";")[0]}

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: str = "") -> httpx.Response:
        """Return the response to exactly these headers and this body."""
        # A new client each time, so that there are no cookies; one transport, because making one takes long.
        client = httpx.Client(transport=_TRANSPORT, timeout=30)
        return client.request(method, f"{self.url}{path}", headers=headers, content=body or None)

    def search(self, headers: Mapping[str, str]) -> int:
        """Return the status of a request with a body, the kind that could start a run."""
        return self.ask("POST", "/threads/search", headers, "{}").status_code


def start(folder: Path, *flags: str, **environment: str) -> "subprocess.Popen[str]":
    """Start `rlm dev` in `folder`, with its log in `log` beside that folder."""
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        return subprocess.Popen(
            [str(RLM), "dev", "--port", "0", *flags],
            cwd=folder,
            env={**CLEAN, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def first_document(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the JSON document that a server prints on stdout: one line."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


@contextmanager
def served(folder: Path, *flags: str, **environment: str) -> Generator[Served]:
    """A server started in `folder`, and stopped with the block."""
    folder.mkdir(exist_ok=True)
    process = start(folder, "--json", *flags, **environment)
    try:
        document = first_document(process)
        log = folder.parent / f"{folder.name}.log"
        assert document.get("pid") == process.pid, f"{document}\n{log.read_text()}"
        yield Served(process, document["url"], document["token"], folder, log)
    finally:
        process.terminate()
        process.communicate(timeout=30)
