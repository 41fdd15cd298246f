"""Kernels whose code attacks their host: only the kernel itself is lost, and other kernels of the host keep working."""

import asyncio
import os
from collections.abc import AsyncGenerator

import psutil
import pytest

from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import Cell, Failed, Kernels, KernelSession, KernelSpec
from durable_rlm.state.errors import KernelLost
from tests.contract.session_contract import run

FORGE = """
import json, os, socket, struct, threading, time
from rlm_inside.protocol import Message
kernel = get_ipython().kernel
# The host attaches by another channel than it sends cells.
while kernel._asker is None:
    time.sleep(0.001)
stream, ident, parent = kernel._asker
def send(kind, payload, content={}):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    def go():
        kernel.session.send(stream, kind, content, parent, ident=ident, buffers=[body])
    kernel.control_thread.io_loop.add_callback(go)
def call(number, **more):
    return {"id": number, "kind": "llm", "prompt": "q", **more}
RESULT = {"output": "forged", "snapshot": {}}
def connections():
    for name in os.listdir("/proc/self/fd"):
        try:
            one = socket.socket(fileno=os.dup(int(name)))
            one.getsockname()
        except OSError:
            continue
        if one.family == socket.AF_UNIX and one.type == socket.SOCK_STREAM:
            if not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                yield one
def raw(*pieces):
    for one in connections():
        try:
            one.setblocking(False)
            # Some connections have no reader.
            end = time.monotonic() + 2
            for piece in pieces:
                while piece and time.monotonic() < end:
                    try:
                        piece = piece[one.send(piece):]
                    except BlockingIOError:
                        time.sleep(0.001)
        except OSError:
            pass
"""
STAY = "\ntime.sleep(60)"


@pytest.fixture
async def kernels() -> AsyncGenerator[Kernels]:
    kernels = JupyterKernels()
    yield kernels
    await kernels.close()


async def neighbour(kernels: Kernels) -> KernelSession:
    session = await kernels.start(KernelSpec("neighbour"))
    await run(session, "kept = 1")
    return session


async def hostile(kernels: Kernels, code: str, **spec: float) -> CellResult:
    """Run code to its end, refuse each of its calls at once, and return its result."""
    session = await kernels.start(KernelSpec("hostile", **spec))  # type: ignore[arg-type]
    await session.begin(Cell(1, (FORGE + code,)))
    while (call := await session.next_call()) is not None:
        await session.deliver(call.id, Failed("budget", "spent"))
    return await session.result()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("send(Message.CALLS, b'[' * 1_000_000)", "sub-calls that are none"),
        ("send(Message.CALLS, b'\\xff' * 1000)", "sub-calls that are none"),
        ("send(Message.CALLS, [])", "sub-calls that are none"),
        ("send(Message.CALLS, [call(-1)])", "sub-calls that are none"),
        ("send(Message.CALLS, [call(1 << 60)])", "sub-calls that are none"),
        ("send(Message.CALLS, [call(5), call(5)])", "out of order"),
        ("send(Message.CALLS, [call(5)])\nsend(Message.CALLS, [call(4)])", "a sub-call twice"),
        ("send(Message.CALLS, [call(1 << 53)])\nllm_query('q')", "a sub-call twice"),
        ("send(Message.CALLS, b'[' + b'[],' * 9_000_000 + b'[]]')", "more values than anybody needs"),
        ("send(Message.CELL_REPLY, {**RESULT, 'seconds': float('nan')})", "a result that is none"),
        ("send(Message.CELL_REPLY, {**RESULT, 'seconds': float('inf')})", "a result that is none"),
        ("send(Message.CELL_REPLY, {**RESULT, 'variables': [{'name': 'n' * 1_000_000}]})", "a result that is none"),
        ("send(Message.CHUNKS, b'x', {'sizes': [2]})", "pieces of other sizes"),
        ("for _ in range(100):\n    send(Message.SETUP_REPLY, b'', {'status': 'ok'})", "messages that are none"),
        ("for _ in range(100):\n    send(Message.RESTORE_REPLY, {'names': [], 'lost': {}})", "messages that are none"),
        ("for _ in range(100):\n    send(Message.CHUNKS, b'', {'sizes': [[]]})", "messages that are none"),
        ("for _ in range(100):\n    send('x' * 99_999, b'')", "messages that are none"),
        ("for _ in range(100):\n    send([Message.CALLS], b'')", "messages that are none"),
        ("raw(b'\\x00\\x00' * 1000)", "messages that are none"),
        ("raw(b'\\x01\\x00' * 1000)", "a message of great size"),
        ("raw(b'\\x02' + struct.pack('>Q', 1 << 62))", "a message of great size"),
        ("block = bytes(4 << 20)\nraw(*[b'\\x03' + struct.pack('>Q', len(block)) + block] * 9)", "of great size"),
        ("raw(b'\\x04\\x00')", "what is no message"),
        ("for one in connections():\n    one.shutdown(socket.SHUT_RDWR)", "it closed its connection"),
    ],
)
async def test_a_kernel_that_forges_messages_is_lost_and_its_neighbour_keeps_working(
    kernels: Kernels, code: str, why: str
) -> None:
    other = await neighbour(kernels)
    with pytest.raises(KernelLost, match=why):
        result = await asyncio.wait_for(hostile(kernels, f"{code}{STAY}"), 30)
        pytest.fail(f"its cell ended: {result}")
    assert (await asyncio.wait_for(run(other, "kept + 1"), 10)).output == "2\n"


async def test_a_forged_result_is_taken_for_the_result_of_its_own_cell(kernels: Kernels) -> None:
    assert (await hostile(kernels, "send(Message.CELL_REPLY, RESULT)" + STAY)).output == "forged"


async def test_a_hundred_thousand_calls_arrive_a_window_at_a_time(kernels: Kernels) -> None:
    other = await neighbour(kernels)
    session = await kernels.start(KernelSpec("many"))
    await session.begin(Cell(1, ("answers = llm_query_batched(['q' * 40] * 100_000)\nprint(len(answers))",)))
    most = taken = 0
    while (call := await session.next_call()) is not None:
        taken += 1
        most = max(most, session.waiting)
        await session.deliver(call.id, Failed("model", "no"))
        if taken == 50_000:
            assert (await asyncio.wait_for(run(other, "kept"), 10)).output == "1\n"
    assert taken == 100_000 and most < 10_000
    assert "100000" in (await session.result()).output


async def test_a_kernel_that_posts_beyond_its_window_is_lost_and_its_neighbour_keeps_working(
    kernels: Kernels,
) -> None:
    other = await neighbour(kernels)
    session = await kernels.start(KernelSpec("flood"))
    flood = "for start in range(1, 2_000_000, 500):\n    send(Message.CALLS, [call(start + i) for i in range(500)])"
    await session.begin(Cell(1, (FORGE + flood + STAY,)))
    with pytest.raises(KernelLost, match="more sub-calls than it may"):
        await asyncio.wait_for(session.result(), 60)
    assert (await asyncio.wait_for(run(other, "kept"), 10)).output == "1\n"


async def test_huge_prompts_do_not_fill_the_memory_of_the_host_or_the_run(kernels: Kernels) -> None:
    other = await neighbour(kernels)
    session = await kernels.start(KernelSpec("bombs"))
    bombs = "bomb = 'x' * (64 << 20)\nfor number in range(1, 40):\n    send(Message.CALLS, [call(number, prompt=bomb)])"
    await session.begin(Cell(1, (FORGE + bombs + STAY,)))
    lost = asyncio.create_task(session.result())
    [host] = [one for one in psutil.Process().children() if "durable_rlm.kernel.host" in one.cmdline()]
    before, most = psutil.Process().memory_info().rss, 0
    while not lost.done():
        assert (await asyncio.wait_for(run(other, "kept"), 20)).output == "1\n"
        most = max(most, host.memory_info().rss, psutil.Process().memory_info().rss - before)
    with pytest.raises(KernelLost, match="more sub-calls than it may"):
        await lost
    assert most < 1 << 30


async def test_a_kernel_that_reads_no_answers_does_not_block_another(kernels: Kernels) -> None:
    other = await neighbour(kernels)
    stuck = "kernel.control_thread.io_loop.add_callback(time.sleep, 60)\n"
    session = await kernels.start(KernelSpec("stuck"))
    flood = "for number in range(1, 20):\n    send(Message.CALLS, [call(number)])\ntime.sleep(0.2)\n"
    await session.begin(Cell(1, (FORGE + flood + stuck + STAY,)))
    for _ in range(19):
        call = await session.next_call()
        assert call is not None
        await session.deliver(call.id, Failed("model", "x" * (8 << 20)))
    assert (await asyncio.wait_for(run(other, "kept"), 20)).output == "1\n"
    await session.close()


_PRIORITY = "import os, threading\nnice = lambda: print(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))\n"


async def test_a_kernel_its_threads_and_its_programs_are_ranked_below_the_host(kernels: Kernels) -> None:
    session = await kernels.start(KernelSpec("ranked"))
    here = os.getpriority(os.PRIO_PROCESS, 0)
    code = "nice()\nthread = threading.Thread(target=nice)\nthread.start()\nthread.join()\n!nice"
    ranks = (await run(session, _PRIORITY + code)).output.split()
    assert len(ranks) == 3 and set(map(int, ranks)) == {max(here, 5)}
    control = "[int(line) for line in os.listdir('/proc/self/task')]"
    every = f"print({{os.getpriority(os.PRIO_PROCESS, one) for one in {control}}})"
    assert (await run(session, every)).output == f"{{{max(here, 5)}}}\n"


_CHILDREN = """
import os, signal, threading, time
threading.Thread(target=llm_query, args=("wait",)).start()
time.sleep(0.2)
try:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("could")
except OSError as error:
    print("refused")
while True:
    if not os.fork():
        # Shorter than the time between two looks of the host.
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        os._exit(0)
    os.wait()
"""


@pytest.mark.slow
async def test_cpu_time_of_short_lived_children_counts_while_a_call_is_pending(kernels: Kernels) -> None:
    session = await kernels.start(KernelSpec("burning", cell_timeout=1))
    await session.begin(Cell(1, (_CHILDREN,)))
    call = await session.next_call()
    assert call is not None and call.prompt == "wait", await session.result()
    with pytest.raises(KernelLost, match=r"its cell used more than \d+ s of CPU time"):
        await asyncio.wait_for(session.result(), 120)
