"""The choice of a sandbox tier: a tier is used only after its self-test has passed."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from pathlib import Path

import pytest

from durable_rlm.kernel.host.fork_server import ForkServer
from durable_rlm.kernel.host.fork_server import NoSandbox as Refused
from durable_rlm.kernel.host.python_env import own_environment
from durable_rlm.kernel.host.sandbox_tiers import SandboxSpec, Tier
from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import KernelSpec
from tests.contract.session_contract import run
from tests.e2e.program import CLEAN, RLM
from tests.sandbox import nested, weaker_tiers
from tests.sandbox.attempts import TIERS, skip_without
from tests.sandbox.outside import Outside
from tests.scripts import Asked, repl, write_script

_NOT_AS_A_USER = (
    *("write to the root folder", "read who may log in", "mount", "unmount", "become root", "raise its limits"),
    # Some machines allow these to root alone.
    *("trace a process", "make a user namespace"),
)
_PROBE = """
import json, os, subprocess, sys
from durable_rlm.kernel.inside.sandbox import confine, probes
with subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL) as process:
    canary = probes.Canary(*sys.argv[1:], process.pid)
    confinement = confine.Confinement("none", [], [], None, 0)
    tried = [name for name, _ in probes.forbidden(confinement, canary)]
    print(json.dumps([tried, probes.holes(confinement, canary)]))
    os.kill(process.pid, 9)  # Popen.kill takes a traced process for an ended one
"""
_REFUSE = """
import asyncio
from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.state.errors import NoSandbox
async def main():
    kernels = JupyterKernels(tiers=["namespaces"])
    for _ in range(2):
        try:
            print(await kernels.warm_up())
        except NoSandbox as error:
            print(error.message, error.hint)
    await kernels.close()
asyncio.run(main())
"""


@pytest.fixture
def folder() -> Generator[Path]:
    """Yield a folder of the user as whom `as_user` runs commands."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, weaker_tiers.OTHER, weaker_tiers.OTHER)
        yield Path(folder)


@pytest.fixture
async def kernels() -> AsyncGenerator[JupyterKernels]:
    kernels = JupyterKernels()
    yield kernels
    await kernels.close()


def as_user(
    folder: Path, *arguments: str, namespaces: bool = True, landlock: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder` as a user who is not root, on a machine without some features."""
    user = weaker_tiers.OTHER if os.geteuid() == 0 else None
    return subprocess.run(
        weaker_tiers.command(*arguments, user=user, namespaces=namespaces, landlock=landlock),
        cwd=folder,
        env={**CLEAN, "PYTHONPATH": str(weaker_tiers.PROJECT), "HOME": str(folder), "XDG_STATE_HOME": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_self_test_finds_every_hole_in_an_unconfined_process(folder: Path) -> None:
    with Outside(folder / "outside") as outside:
        place = outside.place
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", str(weaker_tiers.OTHER), str(folder)], check=True)
        done = as_user(folder, sys.executable, "-c", _PROBE, place["secret"], place["stream"])
    assert done.returncode == 0, done.stderr
    tried, found = json.loads(done.stdout)
    assert set(tried) - set(_NOT_AS_A_USER) <= set(found), "holes that were not found"
    assert len(set(tried) - set(_NOT_AS_A_USER)) >= 15


def test_a_missing_sandbox_is_reported_with_a_hint_each_time(folder: Path) -> None:
    done = as_user(folder, sys.executable, "-c", _REFUSE, namespaces=False)
    first, second = done.stdout.splitlines()
    assert first.startswith("No sandbox holds on this machine (namespaces: ") and "allow unprivileged user" in first
    assert second == first


def test_a_run_without_a_sandbox_is_refused_before_anything_is_paid_or_saved(folder: Path) -> None:
    model = write_script(folder / "m.py", [repl("FINAL(42)")])
    asked = Asked(model)
    run = (str(RLM), "run", "Q?", "--model", model, "--thread", "t")
    done = as_user(folder, *run, namespaces=False, landlock=False)
    assert done.returncode == 2, done.stderr
    assert "No sandbox holds on this machine" in " ".join(done.stderr.split())
    assert "user namespaces" in done.stderr and "--unsandboxed" in done.stderr
    assert len(asked) == 0
    listed = as_user(folder, str(RLM), "list", "--json")
    assert '"t"' not in listed.stdout
    done = as_user(folder, *run, "--unsandboxed", namespaces=False, landlock=False)
    assert (done.returncode, done.stdout.strip(), len(asked)) == (0, "42", 1), done.stderr
    assert "NOT SANDBOXED" in done.stderr


@pytest.mark.parametrize("tier", TIERS)
async def test_a_tier_with_a_hole_is_refused(tier: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without(tier)
    # As root, kernels would run as a user who may not read the folder.
    monkeypatch.setattr("durable_rlm.kernel.host.sandbox_tiers._other_user", lambda: None)
    environment = own_environment()
    # The folder is not below /tmp, where kernels have their own folder.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as shown:
        holed = replace(environment, visible=[*environment.visible, shown])
        server = ForkServer(Path(shown), SandboxSpec(holed, (), ()))
        try:
            with pytest.raises(Refused) as refused:
                await server.start([tier])
        finally:
            await server.close()
    assert list(refused.value.reasons) == [tier]
    found = refused.value.reasons[tier]
    assert {"read a file of the user's", "list a folder of the user's"} <= set(found), found


@pytest.mark.parametrize(
    "body",
    ["echo it broke >&2; exit 1", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'],
    ids=["fails", "does not confine"],
)
async def test_a_bubblewrap_that_does_not_confine_is_detected_and_the_next_tier_is_used(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernels: JupyterKernels
) -> None:
    program = tmp_path / "bwrap"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    held = await kernels.warm_up()
    assert held.tier == "namespaces"
    assert list(held.refused) == ["bubblewrap"] and held.refused["bubblewrap"]
    if "broke" in body:
        assert held.refused["bubblewrap"] == ["it broke"]


async def test_confined_and_unconfined_kernels_can_run_at_the_same_time(kernels: JupyterKernels) -> None:
    confined = await kernels.start(KernelSpec("confined"))
    free = await kernels.start(KernelSpec("free", sandboxed=False))
    reading = f"print(len(open({__file__!r}).read()) > 0)"
    assert (await run(free, reading)).output == "True\n"
    result = await run(confined, reading)
    assert result.error is not None and result.error.name in ("FileNotFoundError", "PermissionError")


@pytest.mark.parametrize("tier", TIERS)
def test_kernels_of_an_installation_in_tmp_can_read_their_modules_and_not_the_home(tier: Tier) -> None:
    skip_without(tier)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        for name in (".package", "kernel", "matching", "state"):
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(weaker_tiers.PROJECT / name, Path(folder, name), symlinks=True, ignore=without)
        home = Path(folder, "kernel/inside/home")
        home.mkdir()
        (home / "secret").write_text("of the user's")
        files = (f"{folder}/kernel/inside/kernel_app.py", f"{home}/secret", f"{folder}/kernel/jupyter.py")
        done = subprocess.run(
            [sys.executable, nested.__file__, tier, str(home), *files],
            env={**CLEAN, "PYTHONPATH": f"{folder}/.package"},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stdout == "[true, false, false]\n", f"{done.stdout}{done.stderr}"
