"""Named points that the work passes, before and after everything that lasts. In ordinary runs they mean nothing.

Tests kill the process at each of them, so a point is passed wherever the process runs: in threads too.
"""

from collections.abc import Callable

Failpoint = Callable[[str], None]
"""Called with the point's name, such as `checkpoint-before`."""


def no_failpoint(point: str) -> None:
    """The probe of ordinary runs."""
    del point
