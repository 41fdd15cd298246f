"""The official RLM (`rlms` on PyPI), for a harness that measures RLM systems from outside. Its own environment runs this.

`run` prints `RESULT {"answer": …}` as its last line. It saves nothing, so `--state-dir` changes nothing.
"""

import argparse
import functools
import json
import os
import time
from pathlib import Path
from typing import Any

PLACES: dict[str, tuple[str, dict[str, str]]] = {
    "process": ("local", {}),
    "kernel": ("ipython", {"kernel_mode": "subprocess"}),
}
"""Where code runs: by `exec` in its own process, or in a Jupyter kernel."""


def answer_of(options: argparse.Namespace) -> object:
    """What it answers."""
    from rlm import RLM
    from rlm.core.lm_handler import LMHandler

    if options.concurrency:
        # It has no setting for this.
        LMHandler.__init__ = functools.partialmethod(LMHandler.__init__, batch_max_concurrent=options.concurrency)
    environment, arguments = PLACES[options.place]
    context = Path(options.context_file).read_text() if options.context_file else "Do the task."
    system: Any = RLM(
        backend="openai",
        backend_kwargs={"model_name": options.model, "base_url": options.base_url, "api_key": "no-key"},
        environment=environment,
        environment_kwargs=arguments,
        max_depth=options.depth,
        max_iterations=options.max_turns,
    )
    return system.completion(context, root_prompt="Do the task.").response


def starts(options: argparse.Namespace) -> list[float]:
    """Seconds until an environment has run its first cell."""
    from rlm.environments import get_environment

    environment, arguments = PLACES[options.place]
    took: list[float] = []
    for _ in range(options.repeat):
        began = time.perf_counter()
        place: Any = get_environment(environment, {**arguments, "lm_handler_address": ("127.0.0.1", 9), "depth": 1})
        place.execute_code("x = 1")
        took.append(time.perf_counter() - began)
        place.cleanup()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["run", "start-env"])
    parser.add_argument("--place", choices=PLACES, default="process")
    parser.add_argument("--base-url")
    parser.add_argument("--model", default="root")
    parser.add_argument("--max-turns", type=int, default=60)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--context-file")
    parser.add_argument("--state-dir")
    parser.add_argument("--concurrency", type=int, help="prompts of a batch in flight; the default is its own")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    result = {"start_env_s": starts(options)} if options.verb == "start-env" else {"answer": answer_of(options)}
    # Past sys.stdout, which its REPL may have replaced.
    os.write(1, f"\nRESULT {json.dumps(result)}\n".encode())


if __name__ == "__main__":
    main()
