"""Faults of a scripted server, and the requests that they apply to."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from tests.servers.received import Body, Seen

FaultKind = Literal[
    "status",  # `status`, `headers`, and `text` as the error's message
    "garbage",  # 200, JSON content type, not JSON
    "html",  # 200, a web page
    "nothing",  # 200, JSON content type, no body
    "empty",  # a proper reply without text
    "refusal",  # a proper reply that refuses, in the words of `text`
    "length",  # the usual reply, cut: finish_reason "length"
    "no_usage",  # the usual reply without token counts
    "reset",  # the connection is reset after `after` bytes of the reply; 0: before it begins
    "stall",  # `after` bytes of the reply, and the rest after `release()`
    "endless",  # a stream of `text` over and over, until the client hangs up
    "hang",  # nothing until `release()`; then the usual reply
    "drip",  # the usual reply in `pieces`, with `pause` seconds between them
    "raw",  # 200, JSON content type, `text` as the body
]


@dataclass
class Fault:
    """A fault: for the requests of these numbers (from 1), or where `when` returns true, or for all."""

    kind: FaultKind
    requests: Collection[int] | None = None
    when: Callable[[Body], bool] | None = None
    times: int | None = None
    """The most times that it happens; None: always."""
    share: float = 1.0
    """The share of those requests that it happens to. The server's seed and the prompt choose them, not the order of
    arrival, so that a run meets the same faults however it is scheduled."""
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    text: str = "injected fault"
    after: int = 0
    pieces: int = 8
    pause: float = 0.01

    def applies(self, seen: Seen, seed: int) -> bool:
        """Return true if it happens to this request, which then counts against `times`."""
        hit = (self.requests is None or seen.number in self.requests) and (self.when is None or self.when(seen.body))
        if not hit or self.times == 0 or not self._falls_on(seen, seed):
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def _falls_on(self, seen: Seen, seed: int) -> bool:
        return self.share >= 1 or chance(seed, self.kind, self.status, seen.nth, seen.prompt) < self.share


def chance(*drawn_by: object) -> float:
    """Return a number from 0 up to 1, always the same for the same arguments."""
    return int.from_bytes(blake2b(repr(drawn_by).encode(), digest_size=8).digest()) / 2**64
