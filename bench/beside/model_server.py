"""The stub model server, from its client's side."""

import itertools
import json
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Asked:
    """What the server was asked since its last orders. Times by `time.monotonic()`."""

    roots: list[tuple[str, float, float]]
    """Root calls, in order: the model, when it was asked, when it had answered."""
    subs: int
    answered: int
    """Calls of both kinds that were answered to somebody who still waited: those are paid."""
    most_in_flight: int
    tokens: int
    """Tokens of all calls, four bytes of requests and replies each."""
    cpu: float

    def first(self) -> float:
        """When the first root call came."""
        return self.roots[0][1]

    def gaps(self, model: str = "root") -> list[float]:
        """Seconds from each answer to the root model's next call: all that a system does for a turn."""
        mine = [one for one in self.roots if one[0] == model]
        return [after[1] - before[2] for before, after in itertools.pairwise(mine)]


class ModelServer:
    """A server process that plays scripts."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        assert process.stdout is not None
        self.url = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"

    def play(
        self, scripts: Mapping[str, Sequence[str]], *, root_latency: float = 0.0, sub_latency: float = 0.0
    ) -> None:
        """From now on, and forget what was asked. Latencies in seconds."""
        self._order({"scripts": scripts, "root_latency": root_latency, "sub_latency": sub_latency})

    def asked(self) -> Asked:
        """Since then."""
        told: Any = self._order(None)
        return replace(Asked(**told), roots=[tuple(one) for one in told["roots"]])

    def _order(self, orders: dict[str, Any] | None) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(orders) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def model_server(python: Path) -> Generator[ModelServer]:
    """One that `python`, which has uvloop and httptools, runs while this lasts."""
    command = [str(python), str(Path(__file__).with_name("stub.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield ModelServer(process)
        process.terminate()
