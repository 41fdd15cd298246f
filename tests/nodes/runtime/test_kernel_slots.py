"""Kernel slots of a tree: never more kernels than allowed, and no deadlock of runs that wait for their children."""

import asyncio

import pytest

from durable_rlm.nodes.runtime.concurrency import KernelSlots


async def test_a_run_leaves_as_many_slots_as_there_are_levels_below_it() -> None:
    slots = KernelSlots(2)
    async with slots.taken(1):
        second = asyncio.ensure_future(slots.taken(1).__aenter__())
        await asyncio.sleep(0)
        assert not second.done()
        async with slots.taken(0):
            assert slots.free == 0
    await second
    assert slots.free == 1


@pytest.mark.parametrize("kernels", [3, 4, 7])
async def test_a_tree_of_any_width_ends_with_few_kernels(kernels: int) -> None:
    slots, alive, most, ended = KernelSlots(kernels - 1), 1, 1, 0

    async def run(level: int) -> None:
        nonlocal alive, most, ended
        async with slots.taken(3 - level):
            alive += 1
            most = max(most, alive)
            await asyncio.sleep(0)
            if level < 3:
                await asyncio.gather(*(run(level + 1) for _ in range(4)))
            alive -= 1
            ended += 1

    await asyncio.wait_for(asyncio.gather(*(run(2) for _ in range(5))), 20)
    assert (ended, alive) == (25, 1) and most <= kernels


async def test_a_cancelled_wait_for_a_slot_keeps_none() -> None:
    slots = KernelSlots(1)
    async with slots.taken(0):
        waiting = asyncio.ensure_future(slots.taken(0).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert slots.free == 1
    late = asyncio.ensure_future(slots.taken(0).__aenter__())
    await asyncio.sleep(0)
    assert late.done()
    late.cancel()
