"""The dispatcher: many workers, no call is lost, and none is delayed by a slow one."""

import asyncio

import pytest

from durable_rlm.kernel.session import Answered, Cell, KernelSession, KernelSpec, PostedCall
from durable_rlm.nodes.runtime.call_decisions import CallDecisions
from durable_rlm.nodes.runtime.dispatcher import CallDispatcher
from durable_rlm.nodes.runtime.parked_calls import QUIET, ParkedCalls
from durable_rlm.state.approval_policy import Gates
from tests.contract.in_memory_kernel import MemoryKernels


@pytest.fixture
async def session() -> KernelSession:
    return await MemoryKernels().start(KernelSpec("thread"))


class Answerer:
    """A function that answers calls, and slow ones only after `gate` is set."""

    def __init__(self, session: KernelSession) -> None:
        self.session = session
        self.gate = asyncio.Event()
        self.in_flight = self.peak = 0

    async def __call__(self, call: PostedCall) -> bool:
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        if "slow" in call.prompt:
            await self.gate.wait()
        await asyncio.sleep(0)
        self.in_flight -= 1
        await self.session.deliver(call.id, Answered(call.prompt))
        return True


async def workers(dispatcher: CallDispatcher, count: int, *, seconds: float = 60, most: int = 32) -> int:
    return sum(await asyncio.gather(*(dispatcher.serve(seconds=seconds, max_workers=most) for _ in range(count))))


async def test_one_worker_answers_a_loop_to_its_end(session: KernelSession) -> None:
    dispatcher = CallDispatcher(session, Answerer(session))
    await session.begin(Cell(1, ("print(len([llm_query(str(i)) for i in range(50)]))",)))
    assert await workers(dispatcher, 1, most=1) == 50
    assert (await session.result()).output == "50\n"


async def test_the_superstep_ends_for_more_workers_when_calls_outnumber_them(session: KernelSession) -> None:
    answerer = Answerer(session)
    dispatcher = CallDispatcher(session, answerer)
    await session.begin(Cell(1, ("llm_query('first')\nllm_query_batched(['slow'] * 20)\nprint('done')",)))
    await session.peek()
    assert await workers(dispatcher, 1) == 1
    assert dispatcher.open_calls == 20, "one under way, nineteen waiting"
    serving = asyncio.ensure_future(workers(dispatcher, dispatcher.open_calls))
    while answerer.in_flight < 20:
        await asyncio.sleep(0)
    answerer.gate.set()
    assert await serving == 20
    assert (await session.result()).output == "done\n"


async def test_a_slow_call_outlives_its_superstep_and_delays_no_other_call(session: KernelSession) -> None:
    answerer = Answerer(session)
    dispatcher = CallDispatcher(session, answerer)
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(2) as pool:\n"
        "    slow = pool.submit(llm_query, 'slow')\n"
        "    quick = [llm_query(str(i)) for i in range(30)]\n"
        "print(slow.result(), len(quick))"
    )
    await session.begin(Cell(1, (code,)))
    await session.peek()
    answered = 0
    while answered < 30:
        answered += await workers(dispatcher, 2, seconds=0.02, most=2)
    assert dispatcher.in_flight == 1 and dispatcher.open_calls == 1
    answerer.gate.set()
    assert await workers(dispatcher, 1) == 1
    assert (await session.result()).output == "slow 30\n"


async def test_closing_gives_up_the_calls_under_way(session: KernelSession) -> None:
    dispatcher = CallDispatcher(session, Answerer(session))
    await session.begin(Cell(1, ("llm_query('slow')",)))
    assert await workers(dispatcher, 1, seconds=0.01) == 0
    assert dispatcher.in_flight == 1
    await dispatcher.close()
    assert dispatcher.in_flight == 0 and dispatcher.open_calls == 0
    await session.close()


async def test_a_call_that_its_cell_does_not_wait_for_delays_nothing(session: KernelSession) -> None:
    dispatcher = CallDispatcher(session, Answerer(session))
    code = (
        "import threading\n"
        "def ask():\n"
        "    try: llm_query('slow')\n"
        "    except SubCallError: pass\n"
        "threading.Thread(target=ask, daemon=True).start()\n"
        "llm_query('q')"
    )
    await session.begin(Cell(1, (code,)))
    await asyncio.wait_for(workers(dispatcher, 2), 30)
    assert (await session.result()).status == "ok" and dispatcher.in_flight == 1
    await dispatcher.close()
    await session.close()


async def test_a_call_that_needs_no_worker_takes_none_from_the_others(session: KernelSession) -> None:
    answerer = Answerer(session)
    dispatcher = CallDispatcher(session, answerer, without_worker=lambda call: call.kind == "rlm")
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(5) as pool:\n"
        "    runs = [pool.submit(rlm_query, f'slow {i}') for i in range(5)]\n"
        "    quick = [llm_query(str(i)) for i in range(9)]\n"
        "print(len(quick), len([run.result() for run in runs]))\n"
        "del pool, runs"
    )
    await session.begin(Cell(1, (code,)))
    serving = asyncio.ensure_future(workers(dispatcher, 1, most=1))
    while dispatcher.tally.answered < 9:
        await asyncio.sleep(0)
    answerer.gate.set()
    assert await serving == 9
    result = await session.result()
    assert result.error is None and result.output == "9 5\n" and dispatcher.tally.answered == 14


async def test_an_exception_of_a_call_without_a_worker_stops_the_run_too(session: KernelSession) -> None:
    gate = asyncio.Event()

    async def broken(call: PostedCall) -> bool:
        await gate.wait()
        raise OSError("the disk is full")

    dispatcher = CallDispatcher(session, broken, without_worker=lambda _: True)
    await session.begin(Cell(1, ("rlm_query('q')",)))
    assert await workers(dispatcher, 1, seconds=0.01) == 0
    blocked = asyncio.ensure_future(dispatcher.wait_until_blocked())
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(OSError, match="full"):
        await blocked
    with pytest.raises(OSError, match="full"):
        await workers(dispatcher, 1)
    await session.close()


async def test_an_exception_that_must_stop_the_run_is_raised(session: KernelSession) -> None:
    async def broken(call: PostedCall) -> bool:
        raise OSError("the disk is full")

    dispatcher = CallDispatcher(session, broken)
    await session.begin(Cell(1, ("llm_query('q')",)))
    with pytest.raises(OSError, match="full"):
        await workers(dispatcher, 1)
    await session.close()


async def test_calls_without_a_worker_are_limited_by_their_weight(
    session: KernelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_rlm.nodes.runtime.dispatcher.MOST_ACTIVE_WEIGHT", 10 * 1_100)
    answerer = Answerer(session)
    dispatcher = CallDispatcher(
        session,
        answerer,
        without_worker=lambda _: True,
        parked_calls=ParkedCalls(Gates(), CallDecisions(), frozenset()),
    )
    await session.begin(Cell(1, ("print(len(llm_query_batched(['x' * 50] * 100)))",)))
    while await dispatcher.wait_until_blocked() == "calls":
        await workers(dispatcher, 4)
    assert (await session.result()).output == "100\n"
    assert answerer.peak <= 11


async def test_a_call_that_fails_beside_a_parked_one_stops_the_run_without_an_approval_request(
    session: KernelSession,
) -> None:
    parked = ParkedCalls(Gates(calls=0), CallDecisions(), frozenset())
    problems: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))

    async def answer(call: PostedCall) -> bool:
        if call.prompt == "parked":
            await parked.park(call.prompt, call)
        raise OSError("the disk is full")

    dispatcher = CallDispatcher(session, answer, without_worker=lambda _: True, parked_calls=parked)
    await session.begin(Cell(1, ("llm_query_batched(['parked', 'fails'])",)))
    with pytest.raises(OSError, match="full"):
        await workers(dispatcher, 1, seconds=10)
    # Longer than the time after which a cell counts as waiting for approval alone.
    await asyncio.sleep(2 * QUIET)
    with pytest.raises(OSError, match="full"):
        await dispatcher.wait_until_blocked()
    assert problems == []
    await dispatcher.close()
    await session.close()
