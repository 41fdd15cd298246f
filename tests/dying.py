"""Processes that die at a point, as far as a test in the same process can make it so."""


class Crash(BaseException):
    """The process dies."""


class DiesAt:
    """A probe at which the process dies, the n-th time that it passes the point."""

    def __init__(self, point: str, times: int = 1) -> None:
        self._point = point
        self._left = times

    def __call__(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if not self._left:
                raise Crash
