"""The scripted server as a program, for trials in a terminal and for tests that need it in a process of its own."""

import argparse
import json
import runpy
import signal
import sys
from typing import Any

from tests.servers.openai_server import ScriptedServer

_ENDING = {signal.SIGINT, signal.SIGTERM}
_EXAMPLES = """\
examples:
  python -m tests.servers --script model.py --port 8000 --latency 0.5
  rlm run "How long is it?" file.txt --model openai:root --sub-model openai:sub --base-url http://127.0.0.1:8000/v1
"""


def main() -> None:
    """Serve a script's `root` and `sub`, with its `faults`, until Ctrl-C; then print a summary of the requests."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers",
        description="A scripted OpenAI-compatible server, on 127.0.0.1. The address is printed first.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    script_help = "a Python file that defines root(messages) and sub(prompt), and may define faults, a list"
    parser.add_argument("--script", required=True, help=script_help)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--jitter", type=float, default=0.0, help="seconds at most that are added to it")
    parser.add_argument("--seed", type=int, default=0, help="chooses the jitter, and whom faults by share meet")
    options = parser.parse_args()
    # Blocked before any thread starts: else a signal may end the program by an exception instead.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    script = runpy.run_path(options.script)
    with ScriptedServer(
        script["root"],
        script["sub"],
        latency=options.latency,
        jitter=options.jitter,
        seed=options.seed,
        faults=script.get("faults", ()),
        port=options.port,
    ) as server:
        _say(server.base_url)
        signal.sigwait(_ENDING)
    _say(json.dumps(summary(server)))


def summary(server: ScriptedServer) -> dict[str, Any]:
    """Summarize the requests in one line: `asked` counts the prompts that were received so many times."""
    times = sorted(server.asked.values())
    return {
        "requests": len(server.requests),
        "input_tokens": server.billed.input,
        "output_tokens": server.billed.output,
        "peak": server.peak,
        "asked": {str(n): times.count(n) for n in sorted(set(times))},
    }


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
