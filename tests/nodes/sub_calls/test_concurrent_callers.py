"""Calls from threads, pools and coroutines of one cell at once, and from threads that outlive their cell."""

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.nodes.runtime.dependencies import OpenModels
from tests import rendezvous
from tests.nodes.sub_calls.conftest import cells, models
from tests.scripts import repl
from tests.servers.faults import Fault
from tests.servers.openai_server import ScriptedServer

ALL_CALLERS = """
import asyncio, threading
from concurrent.futures import ThreadPoolExecutor

in_threads = {}
def ask(n):
    in_threads[n] = llm_query(f'thread {n}')
threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
for thread in threads:
    thread.start()
with ThreadPoolExecutor(20) as pool:
    in_pool = pool.map(lambda n: llm_query(f'pool {n}'), range(40))
    batch = pool.submit(llm_query_batched, [f'batch {n}' for n in range(100)])
    async def gathered():
        return await asyncio.gather(*(allm_query(f'gather {n}') for n in range(40)))
    in_gather = await gathered()
    in_pool, batch = list(in_pool), batch.result()
for thread in threads:
    thread.join()
FINAL([[in_threads[n] for n in range(20)], in_pool, in_gather, batch])
"""
FAULTS = [Fault("status", status=500, share=0.1), Fault("reset", share=0.1)]


def expected() -> list[list[str]]:
    counts = {"THREAD": 20, "POOL": 40, "GATHER": 40, "BATCH": 100}
    return [[f"{name} {n}" for n in range(count)] for name, count in counts.items()]


@pytest.fixture(autouse=True)
def clean() -> Generator[None]:
    rendezvous.forget()
    yield
    rendezvous.forget()


async def test_threads_pools_coroutines_and_batches_of_one_cell_each_get_their_own_answers(runner: Runner) -> None:
    with ScriptedServer(cells(ALL_CALLERS), str.upper, jitter=0.02, faults=FAULTS) as server:
        run = await runner.run("Q?", concurrency=64, **models(server))
    assert run.answer == expected(), run.error
    assert len(server.asked) == 200 and run.usage["model_calls"] == len(server.requests)


async def test_concurrent_callers_in_a_real_kernel_each_get_their_own_answers(
    tmp_path: Path, open_model: OpenModels
) -> None:
    async with Runner.open(tmp_path / "home", open_model=open_model) as runner:
        with ScriptedServer(cells(ALL_CALLERS), str.upper, jitter=0.02, faults=FAULTS) as server:
            run = await runner.run("Q?", concurrency=64, **models(server))
    assert run.answer == expected(), run.error
    assert len(server.asked) == 200 and run.usage["model_calls"] == len(server.requests)


LEFT_OVER = """
import threading
from tests import rendezvous
said = []
def left_over():
    rendezvous.wait_at('first cell ended')
    try:
        llm_query('between two cells')
    except SubCallError as error:
        said.append(str(error))
    rendezvous.pass_('refused')
    rendezvous.wait_at('second cell began')
    said.append(llm_query('in the second cell'))
    rendezvous.pass_('answered')
threading.Thread(target=left_over, daemon=True).start()
"""
SECOND = """
rendezvous.pass_('second cell began')
rendezvous.wait_at('answered')
FINAL(said)
"""


async def test_a_leftover_thread_is_refused_between_cells_and_later_calls_for_the_running_cell(runner: Runner) -> None:
    turns = iter((repl(LEFT_OVER), repl(SECOND)))

    async def root(messages: list[dict[str, str]]) -> str:
        if any("[Turn 1]" in message["content"] for message in messages):
            rendezvous.pass_("first cell ended")
            await asyncio.to_thread(rendezvous.wait_at, "refused")
        return next(turns)

    with ScriptedServer(root, str.upper) as server:
        run = await runner.run("Q?", **models(server))
    assert isinstance(run.answer, list) and len(run.answer) == 2, run
    refused, answered = run.answer
    assert "no cell is running" in refused and answered == "IN THE SECOND CELL"
    assert server.asked == {"in the second cell": 1}
    [call] = [call.to_json() for call in await runner.queries.calls(run.thread_id)]
    assert (call["turn"], call["prompt"]) == (2, "in the second cell")


async def test_a_call_that_its_cell_does_not_wait_for_is_given_up_at_the_cells_end(runner: Runner) -> None:
    code = (
        "import threading\n"
        "from tests import rendezvous\n"
        "said = []\n"
        "def forgotten():\n"
        "    try:\n"
        "        said.append(llm_query('never answered'))\n"
        "    except SubCallError as error:\n"
        "        said.append(str(error))\n"
        "    rendezvous.pass_('given up')\n"
        "threading.Thread(target=forgotten, daemon=True).start()\n"
        "rendezvous.wait_at('sent')"
    )
    second = "rendezvous.wait_at('given up')\nFINAL(said)"
    hanging = Fault("hang", when=lambda body: rendezvous.pass_("sent") or True, requests=[2])
    with ScriptedServer(cells(code, second), str.upper, faults=[hanging]) as server:
        async with asyncio.timeout(60):
            run = await runner.run("Q?", **models(server))
    assert run.answer == ["the cell that asked has ended"]
    assert run.usage["model_calls"] == 3, "it may have been billed, so it counts"
