"""Attempts of hostile code: a table of them, in the order in which they are made."""

from tests.sandbox.hostile import network, numbered_objects, processes, reading, resources, system, writing
from tests.sandbox.hostile.common import ATTEMPTS, CONTROLS

__all__ = [
    "ATTEMPTS",
    "CONTROLS",
    "network",
    "numbered_objects",
    "processes",
    "reading",
    "resources",
    "system",
    "writing",
]
