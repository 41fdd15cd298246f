"""`rlm view` and `--view` as programs: what they print, how they end, and what they refuse. No browser is needed."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.program import CLEAN, RLM, rlm
from tests.scripts import repl, write_script

TOKEN = "a-token-of-the-user-0123"


@contextmanager
def program(*words: str, folder: Path, **environment: str) -> Generator["subprocess.Popen[str]"]:
    """Run the program beside the block, and end it with that."""
    process = subprocess.Popen(
        [str(RLM), *words],
        cwd=folder,
        env={**CLEAN, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def waiting_model(folder: Path) -> str:
    """Return a model whose sub-call waits until something is written into the file `gate` of the folder."""
    os.mkfifo(folder / "gate")
    gate = f"open({str(folder / 'gate')!r}).read()"
    return write_script(folder / "m.py", [repl("FINAL(llm_query('x'))")], sub=f"return {gate}")


def printed(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_one_line_of_json_says_where_it_is_and_a_signal_ends_it_while_somebody_follows(
    saved_home: Path, tmp_path: Path
) -> None:
    took: list[float] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        flags = ("--home", str(saved_home), "view", "tree", "--json", "--no-open", "--port", "0")
        with program(*flags, folder=tmp_path, RLM_SERVER_TOKEN=TOKEN) as process:
            said = json.loads(printed(process))
            assert said == {"url": said["url"], "token": TOKEN, "pid": process.pid}
            assert TOKEN not in " ".join(psutil.Process(process.pid).cmdline())
            key = {"x-api-key": TOKEN}
            assert httpx.get(said["url"], headers=key, trust_env=False, timeout=30).status_code == 200
            assert httpx.get(said["url"], trust_env=False, timeout=30).status_code == 401
            with httpx.stream("GET", f"{said['url']}/events", headers=key, trust_env=False, timeout=30) as events:
                lines = events.iter_lines()
                assert next(lines) == "retry: 1000"
                begun = time.monotonic()
                process.send_signal(number)
                assert process.wait(timeout=30) == 130
                took.append(time.monotonic() - begun)
    # The quicker one counts, because this machine may have other things to do.
    assert min(took) < 1


def test_the_default_port_is_left_to_who_has_it_and_a_named_one_is_asked_for_in_vain(
    saved_home: Path, tmp_path: Path
) -> None:
    flags = ("--home", str(saved_home), "view", "--no-open")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Another program may have it, which is as good.
        if taken.connect_ex(("127.0.0.1", 8717)) != 0:
            taken.close()
            taken = socket.create_server(("127.0.0.1", 8717))
        with program(*flags, "--json", folder=tmp_path) as process:
            assert not json.loads(printed(process))["url"].endswith(":8717")
        taken.close()
    with socket.create_server(("127.0.0.1", 0)) as busy:
        refused = rlm(tmp_path, *flags, "--port", str(busy.getsockname()[1]))
    assert refused.returncode == 2 and refused.stdout == ""
    assert "is taken: another program listens there" in refused.stderr and "--port 0" in refused.stderr


def test_an_unknown_run_is_refused_before_anything_is_served(saved_home: Path, tmp_path: Path) -> None:
    refused = rlm(tmp_path, "--home", str(saved_home), "view", "nobody")
    assert refused.returncode == 2 and "There is no run named nobody here" in refused.stderr


@pytest.mark.parametrize("browser", ["true", "no-such-browser %s"])
def test_a_browser_is_opened_with_a_ticket_that_lets_in_once_and_without_one_the_address_is_enough(
    saved_home: Path, tmp_path: Path, browser: str
) -> None:
    opened = tmp_path / "opened"
    if browser == "true":
        os.mkfifo(opened)
        script = tmp_path / "browser"
        script.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
        script.chmod(0o755)
        browser = f"{script} %s"
    flags = ("--home", str(saved_home), "view", "tree", "--port", "0")
    with program(*flags, folder=tmp_path, BROWSER=browser) as process:
        assert printed(process).endswith("Ctrl-C stops it; runs go on.\n")
        address = printed(process).strip()
        assert "/runs/tree?token=" in address
        if opened.exists():
            ticket = opened.read_text().strip()
            assert "/runs/tree?ticket=" in ticket and "token" not in ticket
            first, second = (httpx.get(ticket, trust_env=False, timeout=30) for _ in range(2))
            assert (first.status_code, first.headers["location"]) == (303, "/runs/tree")
            assert second.status_code == 401
        else:
            assert process.stderr is not None
            assert process.stderr.readline() == "No browser could be opened: open the address yourself.\n"
        assert httpx.get(address, trust_env=False, timeout=30).status_code == 303


def test_a_home_of_others_is_shown_as_a_copy_that_cannot_be_changed(saved_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".rlm").symlink_to(saved_home)
    with program("view", "--json", "--no-open", "--port", "0", folder=folder, XDG_STATE_HOME=str(tmp_path)) as process:
        said = json.loads(printed(process))
        page = httpx.get(said["url"], headers={"x-api-key": said["token"]}, trust_env=False, timeout=30)
    assert "This home is only read" in page.text and ">New run<" not in page.text


def test_a_run_with_its_page_prints_the_address_and_ends_both(tmp_path: Path) -> None:
    model = waiting_model(tmp_path)
    with program("run", "Q?", "--model", model, "--thread", "t", "--view", folder=tmp_path) as process:
        assert process.stderr is not None
        address = next(line for line in process.stderr if line.startswith("Page: ")).split()[1]
        assert httpx.get(address, trust_env=False, timeout=30).headers["location"] == "/runs/t"
        [page] = [one for one in psutil.Process(process.pid).children(recursive=True) if "view" in one.cmdline()]
        (tmp_path / "gate").write_text("late")
        assert process.wait(timeout=60) == 0
        assert printed(process) == "late\n"
        # Not at a terminal, nobody could end it.
        assert psutil.wait_procs([page], timeout=30)[1] == []


def test_the_page_of_a_run_that_is_killed_ends_by_itself(tmp_path: Path) -> None:
    model = waiting_model(tmp_path)
    with program("run", "Q?", "--model", model, "--thread", "t", "--view", folder=tmp_path) as process:
        assert process.stderr is not None
        assert any(line.startswith("Page: ") for line in process.stderr)
        [page] = [one for one in psutil.Process(process.pid).children(recursive=True) if "view" in one.cmdline()]
        process.kill()
        assert psutil.wait_procs([page], timeout=30)[1] == []


def test_a_detached_run_with_its_page_goes_on_when_the_page_is_ended(tmp_path: Path) -> None:
    model = waiting_model(tmp_path)
    with program("run", "Q?", "--model", model, "--thread", "t", "--view", "--detach", folder=tmp_path) as process:
        assert process.stderr is not None
        address = next(line for line in process.stderr if "/runs/t?token=" in line).strip()
        assert httpx.get(address, trust_env=False, timeout=30).status_code == 303
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        assert printed(process) == "t\n"
    (tmp_path / "gate").write_text("late")
    assert rlm(tmp_path, "wait", "t").stdout == "late\n"


def test_questions_have_no_page_of_one_run(tmp_path: Path) -> None:
    refused = rlm(tmp_path, "run", "--questions", "q.jsonl", "--view")
    assert refused.returncode == 2 and "--view opens the page on one run" in refused.stderr
