"""Processes that die at a point, as far as a test in the same process can make it so."""


class Crash(BaseException):
    """The process dies."""


class CrashAt:
    """A probe at which the process dies, the n-th time that it passes the point."""

    def __init__(self, point: str, times: int = 1) -> None:
        self._point = point
        self._left = times

    def __call__(self, point: str) -> None:
        # One transaction may commit several things: it passes the points of each.
        whats, _, when = point.rpartition("-")
        passed = [f"{what}-{when}" for what in whats.split("+")].count(self._point)
        if passed and self._left > 0:
            self._left -= passed
            if self._left <= 0:
                raise Crash
