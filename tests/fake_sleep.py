"""Sleeping that is recorded instead of waited."""

from dataclasses import dataclass, field


@dataclass
class FakeSleep:
    """What a client would have waited between attempts, in seconds."""

    seconds: list[float] = field(default_factory=list[float])

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
