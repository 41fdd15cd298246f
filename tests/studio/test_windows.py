"""Windows: one sentence says that it needs WSL, however the program is started. Its missing modules are simulated."""

import json
import subprocess
import sys

import pytest

_MISSING = ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog")
_WINDOWS = f"""
import sys
sys.platform = "win32"
sys.modules.update(dict.fromkeys({_MISSING!r}))
"""
_SAID = "durable-rlm does not run on Windows itself: install it in WSL, the Windows Subsystem for Linux."


def on_windows(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run code as if on Windows."""
    program = [sys.executable, "-c", _WINDOWS + code, *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", [["--help"], ["run", "What?"], ["doctor"], []], ids=lambda words: " ".join(words))
@pytest.mark.parametrize(
    "start",
    [
        "from durable_rlm.studio.main import main\nmain()",
        "import runpy\nrunpy.run_module('durable_rlm', alter_sys=True)",
    ],
    ids=["script", "module"],
)
def test_the_program_says_that_it_needs_wsl(start: str, command: list[str]) -> None:
    done = on_windows(start, *command)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"Error: {_SAID}\n")


def test_with_json_it_says_so_in_one_document() -> None:
    done = on_windows("from durable_rlm.studio.main import main\nmain()", "run", "--json", "What?")
    assert (done.returncode, json.loads(done.stdout)["error"]["message"], done.stderr) == (2, _SAID, "")


def test_a_program_that_imports_the_library_gets_an_import_error() -> None:
    code = (
        "import durable_rlm\ntry:\n    from durable_rlm import Runner\nexcept ImportError as error:\n    print(error)"
    )
    done = on_windows(code)
    assert (done.returncode, done.stdout) == (0, f"{_SAID}\n"), done.stderr
