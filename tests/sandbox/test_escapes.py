"""Hostile code in a kernel gets nowhere, in every tier, whoever the user is; outside, the same attempts succeed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import KernelSpec
from durable_rlm.state.errors import KernelLost
from tests.contract.session_contract import run
from tests.sandbox import weaker_tiers
from tests.sandbox.attempts import EXPECTED, MAY_BE_MISSING, TIERS, Came, all_powerful, is_there, try_everything
from tests.sandbox.hostile import ATTEMPTS, CONTROLS


@pytest.fixture
def others_folder() -> Generator[Path]:
    """A folder of another user's, which pytest's own are not open to."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, weaker_tiers.OTHER, weaker_tiers.OTHER)
        yield Path(folder)


def holds(came: Came, tier: str) -> None:
    assert came.tier == tier
    assert came.escapes == {}
    assert came.touched == []
    assert set(came.outcomes) == set(ATTEMPTS)
    assert came.work_undone == {}
    assert came.failed_controls == {}
    # What everybody may do, less what only some machines have.
    assert set(came.controls) >= {name for name, who in CONTROLS.items() if who == "anyone"} - MAY_BE_MISSING


@pytest.mark.parametrize("tier", TIERS)
async def test_no_attempt_to_escape_succeeds(tier: str, tmp_path: Path) -> None:
    is_there(tier)
    came = await try_everything(tier, tmp_path)
    holds(came, tier)
    assert len(came.work) == (4 if tier == "landlock" else len(EXPECTED))


@pytest.mark.parametrize("tier", TIERS)
def test_no_attempt_succeeds_where_the_user_is_not_root(tier: str, others_folder: Path) -> None:
    is_there(tier)
    came = as_another_user(tier, others_folder)
    assert came.user == weaker_tiers.OTHER
    holds(came, tier)


def test_without_user_namespaces_the_tier_that_needs_none_is_taken_and_holds(others_folder: Path) -> None:
    came = as_another_user("", others_folder, namespaces=False)
    holds(came, "landlock")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="no other kind of system calls")
@pytest.mark.parametrize("tier", TIERS)
async def test_calls_of_another_kind_end_the_kernel(tier: str) -> None:
    is_there(tier)
    code = (
        "import ctypes, mmap\n"
        "page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
        # mov eax, 20 (getpid among those of 32 bits); int 0x80; ret
        "page.write(bytes.fromhex('b814000000cd80c3'))\n"
        "number = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()\n"
    )
    program = [sys.executable, "-c", f"{code}print(number > 0)"]
    unconfined = await asyncio.to_thread(subprocess.run, program, capture_output=True, check=False)
    kernels = JupyterKernels(tiers=[tier])
    try:
        session = await kernels.start(KernelSpec("thread"))
        with pytest.raises(KernelLost, match=f"signal {signal.SIGSYS.value}|signal {signal.SIGSEGV.value}"):
            await run(session, code)
    finally:
        await kernels.close()
    # A system without calls of that kind ends whoever makes one.
    assert unconfined.stdout == b"True\n" or unconfined.returncode == -signal.SIGSEGV


def as_another_user(tier: str, folder: Path, *, namespaces: bool = True) -> Came:
    if not all_powerful():
        pytest.skip("only root can be another user; not being root, the other tests say the same")
    program = [sys.executable, "-m", "tests.sandbox.attempts", tier, str(folder)]
    done = subprocess.run(
        weaker_tiers.command(*program, user=weaker_tiers.OTHER, namespaces=namespaces),
        cwd=weaker_tiers.PROJECT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Came(**json.loads(done.stdout))
