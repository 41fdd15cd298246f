"""Failpoints: named points before and after every durable change, which do nothing in ordinary runs.

Tests kill the process at each of them. A failpoint is passed on whatever thread runs the code.
"""

from collections.abc import Callable

Failpoint = Callable[[str], None]
"""Called with the failpoint's name, such as `checkpoint-before`."""


def no_failpoint(point: str) -> None:
    """Do nothing: the failpoint of ordinary runs."""
    del point
