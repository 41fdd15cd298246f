"""Escapes: no attempt of hostile code succeeds in any tier, for any user; unconfined, the same attempts succeed."""

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
from tests.sandbox.attempts import (
    EXPECTED,
    MAY_BE_MISSING,
    TIERS,
    Outcomes,
    has_root_capabilities,
    skip_without,
    try_everything,
)
from tests.sandbox.hostile import ATTEMPTS, CONTROLS


@pytest.fixture
def others_folder() -> Generator[Path]:
    """Yield a folder of another user, who cannot open pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, weaker_tiers.OTHER, weaker_tiers.OTHER)
        yield Path(folder)


def check_holds(outcomes: Outcomes, tier: str) -> None:
    assert outcomes.tier == tier
    assert outcomes.escapes == {}
    assert outcomes.touched == []
    assert set(outcomes.confined) == set(ATTEMPTS)
    assert outcomes.failed_work == {}
    assert outcomes.failed_controls == {}
    # Attempts that succeed for any user, without those that need a feature of some machines.
    assert set(outcomes.controls) >= {name for name, who in CONTROLS.items() if who == "anyone"} - MAY_BE_MISSING


@pytest.mark.parametrize("tier", TIERS)
async def test_no_attempt_to_escape_succeeds(tier: str, tmp_path: Path) -> None:
    skip_without(tier)
    outcomes = await try_everything(tier, tmp_path)
    check_holds(outcomes, tier)
    assert len(outcomes.work) == (5 if tier == "landlock" else len(EXPECTED))


@pytest.mark.parametrize("tier", TIERS)
def test_no_attempt_to_escape_succeeds_for_a_user_who_is_not_root(tier: str, others_folder: Path) -> None:
    skip_without(tier)
    outcomes = as_another_user(tier, others_folder)
    assert outcomes.user == weaker_tiers.OTHER
    check_holds(outcomes, tier)


def test_without_user_namespaces_the_tier_landlock_is_chosen_and_holds(others_folder: Path) -> None:
    outcomes = as_another_user("", others_folder, namespaces=False)
    check_holds(outcomes, "landlock")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="no other kind of system calls")
@pytest.mark.parametrize("tier", TIERS)
async def test_a_32_bit_system_call_ends_the_kernel(tier: str) -> None:
    skip_without(tier)
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
    # A system without such calls ends a process that makes one.
    assert unconfined.stdout == b"True\n" or unconfined.returncode == -signal.SIGSEGV


def as_another_user(tier: str, folder: Path, *, namespaces: bool = True) -> Outcomes:
    if not has_root_capabilities():
        pytest.skip("only root can become another user; without root, the other tests check the same")
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
    return Outcomes(**json.loads(done.stdout))
