"""durable-rlm, for a harness that measures RLM systems from outside: one run by the command line, as its users have it.

`run` prints `RESULT {"answer": …}` as its last line. A second `run` on the same `--state-dir` goes on with the first.
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import sys
import tempfile
import time

QUESTION = "Do the task."


def answer_of(options: argparse.Namespace, home: str) -> object:
    """What `rlm run` answers; None when it gives no answer."""
    from durable_rlm.studio.main import main as rlm

    said = io.StringIO()
    given = ["run", QUESTION, *([options.context_file] if options.context_file else [])]
    given += ["--model", f"openai:{options.model}", "--sub-model", "openai:child", "--base-url", options.base_url]
    given += ["--max-turns", str(options.max_turns), "--max-depth", str(options.depth), "--max-calls", "1000000"]
    given += ["--concurrency", str(options.concurrency)] if options.concurrency else []
    sys.argv = ["rlm", *given, "--home", home, "--thread", "bench", "--json"]
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        rlm()
    return json.loads(said.getvalue()).get("answer")


async def starts(times: int) -> list[float]:
    """Seconds from asking for a kernel to the end of its first cell."""
    from durable_rlm.kernel.jupyter import JupyterKernels
    from durable_rlm.kernel.session import Cell, KernelSpec

    kernels, took = JupyterKernels(), list[float]()
    try:
        for _ in range(times):
            began = time.perf_counter()
            session = await kernels.start(KernelSpec("bench", None))
            await session.begin(Cell(1, ("x = 1",)))
            await session.result()
            took.append(time.perf_counter() - began)
            await session.close()
    finally:
        await kernels.close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["run", "start-env"])
    parser.add_argument("--base-url")
    parser.add_argument("--model", default="root")
    parser.add_argument("--max-turns", type=int, default=60)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--context-file")
    parser.add_argument("--state-dir")
    parser.add_argument("--concurrency", type=int, help="sub-calls in flight; the default is the product's own")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    if options.verb == "start-env":
        result: dict[str, object] = {"start_env_s": asyncio.run(starts(options.repeat))}
    elif options.state_dir:
        result = {"answer": answer_of(options, options.state_dir)}
    else:
        # Where the disk is: nothing is bought by keeping it in memory.
        with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("TMPDIR")) as home:
            result = {"answer": answer_of(options, home)}
    sys.stdout.write(f"\nRESULT {json.dumps(result)}\n")


if __name__ == "__main__":
    main()
