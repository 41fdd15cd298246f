"""Ctrl-C and SIGTERM end the server within two seconds; its runs are saved, and resume only on request."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.server_safety.served import CLEAN, JSON, RLM, Served, served
from tests.scripts import repl, write_script

pytestmark = pytest.mark.kill


@dataclass
class UnderWay:
    """A run started by a client, in mid-cell: its first sub-call was answered, its second one waits."""

    server: Served
    thread: str
    processes: list[psutil.Process]
    """The server's child processes: kernels and their host."""
    model: Path


def posted(server: Served, path: str, document: dict[str, Any]) -> Any:
    answer = server.ask("POST", path, {**JSON, **server.key}, json.dumps(document))
    assert answer.status_code == 200, answer.text
    return answer.json()


@contextmanager
def under_way(folder: Path) -> Generator[UnderWay]:
    folder.mkdir()
    os.mkfifo(folder / "asked")
    sub = f"""if prompt == 'a':
            return 'A'
        import asyncio
        async def waits():
            open({str(folder / "asked")!r}, 'w').close()
            await asyncio.sleep(3600)
        return waits()"""
    model = write_script(folder / "m.py", [repl("FINAL(llm_query('a') + llm_query('b'))")], sub=sub)
    with served(folder, RLM_MODEL=model) as server:
        thread = posted(server, "/threads", {})["thread_id"]
        posted(server, f"/threads/{thread}/runs", {"assistant_id": "rlm", "input": {"question": "Q?"}})
        (folder / "asked").read_bytes()
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert children, "there is a kernel"
        yield UnderWay(server, thread, children, folder / "m.py")


def rlm(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(RLM), *arguments], cwd=folder, env=CLEAN, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_signal_stops_the_server_within_two_seconds_and_its_run_resumes_later(tmp_path: Path) -> None:
    took: list[float] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        folder = tmp_path / number.name
        with under_way(folder) as run:
            begun = time.monotonic()
            run.server.process.send_signal(number)
            assert run.server.process.wait(timeout=30) == 130
            took.append(time.monotonic() - begun)
            assert psutil.wait_procs(run.processes, timeout=30)[1] == []
        log = run.server.log.read_text()
        assert "Traceback" not in log and log.splitlines()[-1].startswith("Stopping.")
        (listed,) = json.loads(rlm(folder, "list", "--json").stdout)
        assert (listed["thread_id"], listed["status"]) == (run.thread, "stopped")
        saved = [file for file in (folder / ".rlm").rglob("*") if file.is_file()]
        assert saved and not [file for file in saved if run.server.token.encode() in file.read_bytes()]
        write_script(run.model, [], sub="return {'b': 'B'}[prompt]")
        resumed = json.loads(rlm(folder, "resume", run.thread, "--json").stdout)
        assert (resumed["status"], resumed["answer"]) == ("answered", "AB")
    # The quicker one counts, because this machine may have other things to do.
    assert min(took) < 2


def test_a_restarted_server_does_not_resume_a_stopped_run_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with under_way(folder) as run:
        run.server.process.send_signal(signal.SIGINT)
        run.server.process.wait(timeout=30)
    write_script(run.model, [], sub="return {'b': 'B'}[prompt]")
    with served(folder) as server:
        runs = server.ask("GET", f"/threads/{run.thread}/runs", server.key).json()
        assert [one["status"] for one in runs] == ["interrupted"]
        (listed,) = json.loads(rlm(folder, "list", "--json").stdout)
        assert listed["status"] == "stopped"


def test_a_second_signal_ends_the_server_at_once_and_leaves_no_process(tmp_path: Path) -> None:
    with under_way(tmp_path / "folder") as run:
        run.server.process.send_signal(signal.SIGINT)
        while "Stopping." not in run.server.log.read_text():
            assert run.server.process.poll() is None
        run.server.process.send_signal(signal.SIGINT)
        assert run.server.process.wait(timeout=30) == 130
        assert psutil.wait_procs(run.processes, timeout=30)[1] == []


def test_a_killed_server_leaves_no_process(tmp_path: Path) -> None:
    with under_way(tmp_path / "folder") as run:
        run.server.process.kill()
        run.server.process.wait(timeout=30)
        assert psutil.wait_procs(run.processes, timeout=30)[1] == []
