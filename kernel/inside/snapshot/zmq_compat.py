"""The undocumented part of pyzmq that is known: its thread, which it starts with the first large message.

It has no name that says so and no function that returns it.
"""

from threading import Thread

_MODULE = "zmq.utils.garbage"


def is_of_zmq(thread: Thread) -> bool:
    """Return whether a thread is pyzmq's, which runs no code of cells. pyzmq itself is not imported."""
    return type(thread).__module__ == _MODULE
