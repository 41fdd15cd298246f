"""Pools of reader processes for tests: in one tier, with the readers of `hostile_readers.py`, and what they leave."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil

from durable_rlm.kernel.confined import ProgramSpec
from durable_rlm.kernel.host.confined_programs import ForkedPrograms, environment_of
from durable_rlm.kernel.host.python_env import KernelEnvironment
from durable_rlm.kernel.host.sandbox_tiers import Tier
from durable_rlm.nodes.input.extraction import Extraction
from durable_rlm.nodes.input.facts import ExtractedDocument
from durable_rlm.nodes.input.reader_pool import ReaderPool

READERS = Path(__file__).with_name("hostile_readers.py")
ALL_TIERS: tuple[Tier, ...] = ("bubblewrap", "namespaces", "landlock", "none")


def environment_with_readers(spec: ProgramSpec) -> KernelEnvironment:
    """Return the environment of readers, with the test's own readers in it."""
    found = environment_of(spec)
    folder = str(READERS.parent)
    return replace(found, packages=[*found.packages, folder], visible=[*found.visible, str(READERS)])


def pool_in(tier: Tier, *, processes: int = 1) -> ReaderPool:
    """Return a pool in one tier that finds the test's readers."""

    def opened(spec: ProgramSpec, sandboxed: bool) -> ForkedPrograms:
        assert sandboxed == (tier != "none")
        return ForkedPrograms(spec, environment_with_readers(spec), [tier])

    return ReaderPool(opened, sandboxed=tier != "none", processes=processes)


def text_of(extraction: Extraction) -> str:
    """Return the text of its only document."""
    [one] = extraction.found
    assert isinstance(one, ExtractedDocument)
    return b"".join(data for data, _ in extraction.chunks(one)).decode()


def open_files() -> int:
    """Return the number of this process's descriptors."""
    return psutil.Process().num_fds()


def group_exists(group: int) -> bool:
    """Return whether a process group has processes."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def below() -> set[int]:
    """Return the processes that descend from this one."""
    return {one.pid for one in psutil.Process().children(recursive=True)}


def kill_readers() -> None:
    """Kill the processes that are readers: the last ones below this one."""
    leaves = [one for one in psutil.Process().children(recursive=True) if not one.children()]
    for one in leaves:
        one.send_signal(signal.SIGKILL)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait up to ten seconds."""
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)
