"""`rlm` in an untrusted folder, such as a clone: it receives no key, and none of its programs runs."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.program import CLEAN, RLM
from tests.scripts import repl, write_script
from tests.servers.openai_server import ScriptedServer

KEY = "sk-live-REALKEY-1234567890"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    (folder / "a.py").write_text("x = 1\n")
    return folder


def ask(clone: Path, *flags: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Execute `rlm run` in the clone, over one of its files, with a home elsewhere and a key in the environment."""
    return subprocess.run(
        [str(RLM), "run", "What does this do?", "a.py", "--home", str(clone.parent / "home"), *flags],
        cwd=clone,
        env={**CLEAN, "OPENAI_API_KEY": KEY, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_server_named_only_by_the_folder_receives_no_key(clone: Path) -> None:
    with ScriptedServer(root=lambda messages: repl("FINAL(1)")) as server:
        (clone / "rlm.toml").write_text(f'base_url = "{server.base_url}"\n')
        done = ask(clone, "--model", "openai:gpt-root")
        assert done.returncode == 2 and server.requests == []
        assert "./rlm.toml sets base_url" in done.stderr and "Traceback" not in done.stderr
        # The user repeats it as a flag, as printed: now it is the user's setting.
        flag = f"--base-url {server.base_url}"
        assert flag in done.stderr
        again = ask(clone, "--model", "openai:gpt-root", *shlex.split(flag))
        assert (again.returncode, again.stdout) == (0, "1\n") and server.requests


@pytest.mark.parametrize("setting", ['kernel_env = "venv"', 'model = "scripted:theirs.py"'])
def test_a_program_named_only_by_the_folder_does_not_run(setting: str, clone: Path) -> None:
    ran = clone.parent / "ran"
    python = clone / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\ntouch {ran}\n")
    python.chmod(0o755)
    (clone / "theirs.py").write_text(f"open({str(ran)!r}, 'w')\n")
    (clone / "rlm.toml").write_text(setting)
    model = [] if setting.startswith("model") else ["--model", write_script(clone.parent / "m.py", [repl("FINAL(1)")])]
    done = ask(clone, *model)
    assert done.returncode == 2 and "which programs run as you" in done.stderr
    assert not ran.exists()
    # The test would notice: named by the user, it runs.
    ask(clone, *(model or ["--model", "scripted:theirs.py"]), *(["--kernel-env", "venv"] if model else []))
    assert ran.exists()


@pytest.mark.parametrize("flags", [[], ["--unsandboxed"]])
def test_no_module_of_the_folder_is_imported(flags: list[str], clone: Path) -> None:
    """Python's `-m` and `-c` look for modules in the current folder first."""
    imported = clone.parent / "imported"
    names = {*sys.stdlib_module_names, "durable_rlm", "sitecustomize", "jupyter_client", "psutil", "zmq", "ipykernel"}
    for name in names:
        (clone / f"{name}.py").write_text(f"with open({str(imported)!r}, 'a') as log:\n    log.write({name!r})\n")
    model = write_script(clone.parent / "m.py", [repl("import json\nFINAL(context and llm_query('done'))")])
    done = ask(clone, "--model", model, *flags)
    assert not imported.exists(), imported.read_text()
    assert (done.returncode, done.stdout) == (0, "DONE\n"), done.stderr


def test_a_home_of_the_folder_is_not_obeyed_until_the_user_agrees(clone: Path) -> None:
    """Its run names the user's key in a header, and a program as its model."""
    ran = clone.parent / "ran"
    (clone.parent / "m.py").write_text(
        f"open({str(ran)!r}, 'a').write('ran ')\ndef root(messages): raise OSError\ndef sub(prompt): return ''\n"
    )

    def rlm(*words: str, state: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(RLM), *words],
            cwd=clone,
            env={"HOME": str(clone.parent / state), "PATH": CLEAN["PATH"], "OPENAI_API_KEY": KEY},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    model = f"scripted:{clone.parent / 'm.py'}"
    # Its maker needs no agreement, in an environment that has nothing but a home folder.
    assert rlm("run", "Q?", "--model", model, "--thread", "t", "--unsandboxed", state="theirs").returncode == 1
    assert rlm("resume", "t", state="theirs").returncode == 1
    before = ran.read_text()
    done = rlm("resume", "t", state="mine")
    assert done.returncode == 2 and "home trust" in done.stderr and ran.read_text() == before, done
    assert rlm("show", "t", state="mine").returncode == 0 and ran.read_text() == before
    # The test would notice.
    assert rlm("home", "trust", state="mine").returncode == 0
    assert rlm("resume", "t", state="mine").returncode == 1 and ran.read_text() != before


def test_the_folder_cannot_turn_tracing_on(clone: Path) -> None:
    (clone / "rlm.toml").write_text("tracing = true\n")
    done = ask(clone, "--model", write_script(clone.parent / "m.py", [repl("FINAL(1)")]))
    assert done.returncode == 2 and "./rlm.toml sets tracing" in done.stderr and "--tracing" in done.stderr
