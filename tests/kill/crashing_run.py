"""A run that SIGKILLs itself at the n-th failpoint: `python crashing_run.py HOME MODEL LOG POINT QUESTION`.

With POINT 0 it runs to its end. It prints the run as JSON.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from durable_rlm import Runner


async def main(home: str, model: str, log: str, point: int) -> None:
    passed = 0

    def failpoint(name: str) -> None:
        nonlocal passed
        passed += 1
        with Path(log).open("a") as file:
            file.write(name + "\n")
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    async with Runner.open(home, failpoint=failpoint) as runner:
        run = await runner.run("What?", "alpha\nbeta\ngamma\ndelta", model=model, thread="crashing")
        sys.stdout.write(json.dumps(run.to_json()))


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
