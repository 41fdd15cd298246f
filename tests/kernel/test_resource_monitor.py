"""Kernels over their limits, their child processes included, are found, and no others."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from durable_rlm.kernel.host import resource_monitor
from durable_rlm.kernel.host.cpu_time import CpuTime
from durable_rlm.kernel.host.fork_server import ForkedKernel, ForkServer
from durable_rlm.kernel.host.python_env import KernelEnvironment
from durable_rlm.kernel.host.resource_monitor import ResourceMonitor, SystemProbe, Usage, family, machine_memory, usages
from durable_rlm.kernel.host.sandbox_tiers import SandboxSpec

GB = 1 << 30


class Seen:
    """A machine with the processes that a test lists."""

    def __init__(self) -> None:
        self.processes: dict[int, Usage] = {}
        self.scratch: dict[int, int] = {}

    def usages(self) -> Mapping[int, Usage]:
        return self.processes

    def own_memory(self, processes: list[int]) -> int:
        return sum(self.processes[process].memory for process in processes)

    def scratch_memory(self, process: int, scratch: str) -> int:
        assert scratch
        return self.scratch.get(process, 0)

    def process(
        self, number: int, *, parent: int = 1, cpu: float = 0, memory: int = 0, reaped: float = 0, threads: int = 1
    ) -> None:
        self.processes[number] = Usage(parent, cpu, memory, reaped, threads)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def watch(seen: Seen, tmp_path: Path) -> ResourceMonitor:
    server = ForkServer(tmp_path, SandboxSpec(KernelEnvironment("python", [], []), [], []))
    return ResourceMonitor(
        server, SystemProbe(seen.usages, seen.own_memory, seen.scratch_memory, memory=10 * GB, cores=2)
    )


def kernel(number: int, process: int, **limits: float) -> ForkedKernel:
    """Return a kernel in use."""
    status, other = socket.socketpair()
    status.close()
    other.close()
    forked = ForkedKernel(number, Path("/nowhere"), "key", status, None, process=process, own_scratch=True, going=True)  # type: ignore[arg-type]
    forked.memory, forked.cpu_seconds = int(limits.get("memory", GB)), limits.get("cpu_seconds", 100)
    return forked


def test_child_processes_count_towards_their_kernel_and_not_towards_its_siblings(
    seen: Seen, watch: ResourceMonitor
) -> None:
    greedy, modest = kernel(1, 10), kernel(2, 20)
    seen.process(10, memory=GB // 2)
    seen.process(11, parent=10, memory=GB // 4)
    seen.process(12, parent=11, memory=GB // 2)
    seen.process(20, memory=GB // 2)
    [(found, why)] = watch.over_limit([greedy, modest])
    assert found is greedy and "1.0 GB of memory" in why


def test_files_in_the_scratch_folder_count_as_memory(seen: Seen, watch: ResourceMonitor) -> None:
    seen.process(10, memory=GB // 2)
    assert watch.over_limit([kernel(1, 10)]) == []
    seen.scratch[10] = GB
    [(_, why)] = watch.over_limit([kernel(1, 10)])
    assert "files included" in why


def test_when_all_kernels_together_use_too_much_the_largest_is_ended_first(seen: Seen, watch: ResourceMonitor) -> None:
    many = [kernel(number, number * 10, memory=6 * GB) for number in (1, 2, 3)]
    for number, size in ((1, 2), (2, 4), (3, 3)):
        seen.process(number * 10, memory=size * GB)
    [(found, why)] = watch.over_limit(many)
    assert found.number == 2 and "together" in why


def test_cpu_time_is_counted_from_the_start_of_the_cell_on_all_cores(seen: Seen, watch: ResourceMonitor) -> None:
    busy = kernel(1, 10, cpu_seconds=100)
    seen.process(10, cpu=1000)
    assert watch.over_limit([busy]) == [], "CPU time before the cell"
    seen.process(10, cpu=1150)
    seen.process(11, parent=10, cpu=59)
    assert watch.over_limit([busy]) == []
    seen.process(11, parent=10, cpu=61)
    [(_, why)] = watch.over_limit([busy])
    assert "210 s of CPU" in why
    busy.cpu_before = None
    assert watch.over_limit([busy]) == [], "another cell has begun"


def test_cpu_time_of_a_child_that_was_waited_for_is_counted_once(seen: Seen, watch: ResourceMonitor) -> None:
    patient = kernel(1, 10, cpu_seconds=100)
    seen.process(10)
    assert watch.over_limit([patient]) == []
    for number in range(1, 21):
        seen.process(10 + number, parent=10, cpu=10)
        seen.process(10, reaped=10 * (number - 1))
        assert watch.over_limit([patient]) == [], number
        del seen.processes[10 + number]
    seen.process(10, reaped=200)
    assert watch.over_limit([patient]) == []
    assert patient.cpu_time.total == pytest.approx(200)
    seen.process(10, cpu=11, reaped=200)
    assert "210 s of CPU" in watch.over_limit([patient])[0][1]


def test_cpu_time_of_children_that_nobody_waits_for_is_counted(seen: Seen, watch: ResourceMonitor) -> None:
    forgetful = kernel(1, 10, cpu_seconds=100)
    seen.process(10, cpu=1)
    assert watch.over_limit([forgetful]) == []
    for number in range(11, 31):
        seen.process(number, parent=10, cpu=10)
        assert watch.over_limit([forgetful]) == [], number
        del seen.processes[number]
    seen.process(31, parent=10, cpu=11)
    assert "210 s of CPU" in watch.over_limit([forgetful])[0][1]


def test_a_process_id_that_is_used_again_is_another_process(seen: Seen, watch: ResourceMonitor) -> None:
    reused = kernel(1, 10, cpu_seconds=100)
    seen.process(10)
    watch.over_limit([reused])
    seen.process(11, parent=10, cpu=150)
    assert watch.over_limit([reused]) == []
    seen.process(11, parent=10, cpu=70)
    assert "210 s of CPU" in watch.over_limit([reused])[0][1]


def test_a_child_waited_for_between_two_reads_of_one_look_is_counted_once() -> None:
    count = CpuTime()
    count.look({10: Usage(1, 1, 0), 11: Usage(10, 50, 0)})
    # The parent was read before it waited for the child, and the child afterwards.
    count.look({10: Usage(1, 1, 0)})
    assert count.look({10: Usage(1, 1, 0, reaped=50)}) == pytest.approx(51)


def test_threads_of_all_processes_are_counted_together(seen: Seen, watch: ResourceMonitor) -> None:
    crowded = kernel(1, 10)
    seen.process(10, threads=500)
    seen.process(11, parent=10, threads=12)
    assert watch.over_limit([crowded]) == []
    seen.process(12, parent=11)
    assert watch.over_limit([crowded]) == [(crowded, "it used more than 512 processes and threads")]


def test_a_family_of_any_depth_and_with_a_circle_is_counted_once(seen: Seen, watch: ResourceMonitor) -> None:
    for number in range(10, 20_010):
        seen.process(number, parent=number - 1)
    seen.process(10, parent=20_009)
    assert len(family(10, seen.processes)) == 20_000
    assert "processes and threads" in watch.over_limit([kernel(1, 10)])[0][1]


def test_the_memory_of_a_family_with_a_circle_is_counted_once(seen: Seen, watch: ResourceMonitor) -> None:
    for number in range(10, 110):
        seen.process(number, parent=number - 1, memory=GB // 100)
    seen.process(10, parent=109, memory=GB // 100)
    assert watch.over_limit([kernel(1, 10)]) == []
    seen.process(110, parent=11, memory=GB)
    assert "memory" in watch.over_limit([kernel(1, 10)])[0][1]


async def test_a_check_that_fails_is_made_again_and_kernels_are_not_left_unchecked(
    seen: Seen, watch: ResourceMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalled: list[ForkedKernel] = []
    server, one = watch._server, kernel(1, 10, memory=GB)
    server._kernels[1] = one
    checks = iter([RuntimeError("odd entry"), PermissionError(), *[KeyError("again")] * 100])
    usual = seen.usages

    def usages() -> Mapping[int, Usage]:
        if (error := next(checks, None)) and failing:
            raise error
        return usual()

    failing = True
    watch._machine = replace(watch._machine, usages=usages)
    monkeypatch.setattr(resource_monitor, "_EVERY", 0)
    monkeypatch.setattr(server, "signal", lambda *_: signalled.append(one))  # pyright: ignore[reportUnknownLambdaType]

    async def until(why: str) -> None:
        while why not in (one.killed_because or "") or one not in signalled:
            await asyncio.sleep(0)

    watch.start()
    try:
        await asyncio.wait_for(until("could not be checked any more (KeyError)"), 20)
        failing = False
        seen.process(10, memory=2 * GB)
        # It still checks.
        await asyncio.wait_for(until("1.0 GB of memory"), 20)
    finally:
        await watch.close()


def test_a_kernel_that_has_just_ended_uses_nothing(seen: Seen, watch: ResourceMonitor) -> None:
    assert watch.over_limit([kernel(1, 10)]) == []


def test_a_process_family_is_found_on_this_machine() -> None:
    seen = usages()
    import os

    assert os.getpid() in family(os.getppid(), seen) and family(-1, seen) == []
    assert seen[os.getpid()].memory > 1 << 20 and seen[os.getpid()].cpu > 0
    assert machine_memory() > GB
