"""`make model`: one build for each lock, nothing of an interrupted one, and a server that stops with its program."""

import os
import signal
import socket
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from tools import small_model
from tools.sbom import ROOT, Pin, pins
from tools.small_model import LOCK, SERVER, SOURCES, Failed, Serving, build, cache_folder, free_port, server_command

FAKE_SERVER = f"""\
#!{sys.executable}
import http.server, sys
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Healthy).serve_forever()
"""

LINES = 5
"""Lines that are printed once the server answers."""


def test_the_lock_has_the_sources_and_tools_of_the_build() -> None:
    assert {*SOURCES, "cmake", "ninja", "setuptools"} <= {pin.name for pin in pins(LOCK.read_text())}


def test_the_requirements_for_pip_have_the_hashes_of_the_lock() -> None:
    pinned = list(pins(LOCK.read_text()))
    assert list(pins(small_model.requirements(pinned))) == pinned


@pytest.mark.parametrize(("given", "expected"), [("/there", "/there"), ("here", "/home/me/.cache"), ("", None)])
def test_models_are_built_in_the_users_cache(given: str, expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    environment = {"XDG_CACHE_HOME": given} if expected else {}
    assert cache_folder(environment) == Path(expected or "/home/me/.cache") / "durable-rlm" / "model"


def test_another_pin_is_another_build() -> None:
    lock = LOCK.read_text()
    assert small_model.key(lock) == small_model.key(lock) != small_model.key(lock.replace("0.1.2", "0.1.3"))


def test_an_interrupted_build_does_not_count_and_the_next_one_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(partial: Path, pinned: list[Pin]) -> None:
        (partial / "built").mkdir(parents=True)
        raise KeyboardInterrupt

    def finished(partial: Path, pinned: list[Pin]) -> None:
        (partial / "built" / SERVER).touch()

    lock = LOCK.read_text()
    monkeypatch.setattr(small_model, "_build_in", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, lock)
    assert not (tmp_path / small_model.key(lock)).exists()
    monkeypatch.setattr(small_model, "_build_in", finished)
    folder = build(tmp_path, lock)
    assert [file.name for file in folder.iterdir()] == [SERVER]
    assert {file.name for file in tmp_path.iterdir()} == {folder.name, "lock"}
    monkeypatch.setattr(small_model, "_build_in", interrupted)
    assert build(tmp_path, lock) == folder, "what is built is not built again"


def test_a_program_that_fails_names_the_log_with_its_output(tmp_path: Path) -> None:
    with (tmp_path / "build.log").open("wb") as log, pytest.raises(Failed, match=r"status 3.*build\.log"):
        small_model._run(log, sys.executable, "-c", "print('its output'); raise SystemExit(3)")
    assert (tmp_path / "build.log").read_text() == "its output\n"


def test_a_missing_compiler_is_named_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(Failed, match="apt-get install"):
        build(tmp_path / "cache", LOCK.read_text())
    assert not (tmp_path / "cache").exists()


def test_each_slot_has_the_whole_window() -> None:
    command = server_command(Path("built"), Serving(port=1, window=2048, slots=3))
    assert (command[command.index("-c") + 1], command[command.index("-np") + 1]) == ("6144", "3")


def test_a_port_in_use_is_an_error_when_it_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        used = other.getsockname()[1]
        with pytest.raises(Failed, match=f"Port {used}"):
            free_port(used)
        monkeypatch.setattr(small_model, "USUAL_PORT", used)
        assert free_port(None) not in (used, 0)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_server_stops_with_its_program(stop: signal.Signals, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    folder = cache_folder(environment) / small_model.key(LOCK.read_text())
    folder.mkdir(parents=True)
    (folder / SERVER).write_text(FAKE_SERVER)
    (folder / SERVER).chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tools.small_model", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        printed = list(islice(program.stdout, LINES))
        assert f"http://127.0.0.1:{port}/v1" in printed[0]
        program.send_signal(stop)
        assert program.wait() == 130
    assert free_port(port) == port, "nothing listens there any more"
