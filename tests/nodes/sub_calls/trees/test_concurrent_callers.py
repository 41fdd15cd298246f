"""Sub-RLMs and plain calls from threads, pools, coroutines and batches of one cell at once, on every level."""

from pathlib import Path

from durable_rlm import Runner
from durable_rlm.graph.run import Run
from durable_rlm.nodes.runtime.dependencies import OpenModels
from tests.nodes.sub_calls.trees.conftest import model, tree
from tests.servers.faults import Fault
from tests.servers.openai_server import ScriptedServer

ALL_CALLERS = """
import asyncio, threading
from concurrent.futures import ThreadPoolExecutor

in_threads = {}
def ask(n):
    in_threads[n] = rlm_query('child', context=f'{CALLER} thread {n}')
threads = [threading.Thread(target=ask, args=(n,)) for n in range(N)]
for thread in threads:
    thread.start()
async def gathered():
    asked = [arlm_query('child', context=f'{CALLER} gather {n}') for n in range(N)]
    plain = [allm_query(f'{CALLER} plain {n}') for n in range(N)]
    return await asyncio.gather(*asked, *plain)
with ThreadPoolExecutor(N) as pool:
    in_pool = pool.map(lambda n: rlm_query('child', context=f'{CALLER} pool {n}'), range(N))
    batch = pool.submit(rlm_query_batched, ['child'] * N, [f'{CALLER} batch {n}' for n in range(N)])
    plain = pool.submit(llm_query_batched, [f'{CALLER} batched plain {n}' for n in range(N)])
    in_gather = await gathered()
    got = [*in_pool, *batch.result(), *plain.result(), *in_gather]
for thread in threads:
    thread.join()
FINAL('/'.join([in_threads[n] for n in range(N)] + got))
"""
KINDS = ("THREAD", "POOL", "BATCH", "BATCHED PLAIN", "GATHER", "PLAIN")
FAULTS = [Fault("status", status=500, share=0.1), Fault("reset", share=0.1)]


def cell(number: int, caller: str) -> str:
    """Return a cell that sends `number` calls of each kind; `caller` is an expression with the name of the caller."""
    return f"N, CALLER = {number}, {caller}\n{ALL_CALLERS}"


def expected(number: int, caller: str) -> str:
    return "/".join(f"{caller} {kind} {n}" for kind in KINDS for n in range(number))


def check(run: Run, server: ScriptedServer, number: int) -> None:
    assert run.answer == expected(number, "TOP"), run.error
    assert server.asked.total() >= 6 * number and run.usage["model_calls"] == len(server.requests)


async def test_each_concurrent_call_gets_its_own_answer(runner: Runner) -> None:
    cells = {"top": [cell(8, "'top'")], "child": ["FINAL(llm_query(context))"]}
    with ScriptedServer(tree(cells), str.upper, jitter=0.02, faults=FAULTS) as server:
        check(await runner.run("top", max_depth=2, kernels=6, **model(server)), server, 8)


async def test_each_concurrent_call_of_sub_rlms_gets_its_own_answer(runner: Runner) -> None:
    cells = {
        "top": ["FINAL('+'.join(rlm_query_batched(['middle'] * 3, ['a', 'b', 'c'])))"],
        "middle": [cell(3, "context")],
        "child": ["FINAL(llm_query(context))"],
    }
    with ScriptedServer(tree(cells), str.upper, jitter=0.02, faults=FAULTS) as server:
        run = await runner.run("top", max_depth=3, kernels=6, **model(server))
    assert run.answer == "+".join(expected(3, caller) for caller in "ABC"), run.error
    assert run.usage["model_calls"] == len(server.requests)


async def test_each_concurrent_call_in_real_kernels_gets_its_own_answer(tmp_path: Path, open_model: OpenModels) -> None:
    cells = {"top": [cell(4, "'top'")], "child": ["FINAL(llm_query(context))"]}
    async with Runner.open(tmp_path / "home", open_model=open_model) as runner:
        with ScriptedServer(tree(cells), str.upper, jitter=0.02, faults=FAULTS) as server:
            run = await runner.run("top", max_depth=2, kernels=6, unsandboxed=True, **model(server))
    check(run, server, 4)
