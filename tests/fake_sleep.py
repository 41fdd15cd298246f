"""Sleeping that is recorded instead of waited for."""

from dataclasses import dataclass, field


@dataclass
class FakeSleep:
    """The seconds that a client would have waited between attempts."""

    seconds: list[float] = field(default_factory=list[float])

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
