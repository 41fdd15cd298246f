"""Crashes at failpoints, simulated in the test's own process."""


class Crash(BaseException):
    """The process dies."""


class CrashAt:
    """A failpoint at which the process dies the n-th time that it is passed."""

    def __init__(self, point: str, times: int = 1) -> None:
        self._point = point
        self._left = times

    def __call__(self, point: str) -> None:
        # One transaction may commit several items: it passes the failpoints of each.
        whats, _, when = point.rpartition("-")
        passed = [f"{what}-{when}" for what in whats.split("+")].count(self._point)
        if passed and self._left > 0:
            self._left -= passed
            if self._left <= 0:
                raise Crash
