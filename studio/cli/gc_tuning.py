"""Python's search for garbage, in a program that imports a lot and then mostly waits.

A quarter of the start went into looking through what had just been imported, and as much time into doing so at the
end (`docs/performance.md`).
"""

import gc

_NEW, _YOUNG, _OLD = 50_000, 20, 50
"""Python's own: 700, 10, 10. What these let lie is some megabytes."""


def seldom() -> None:
    """From now on, look when much more has come together. For a process that is this program and nothing else."""
    gc.set_threshold(_NEW, _YOUNG, _OLD)


def keep() -> None:
    """What there is now stays to the end: it is not looked through again, nor when Python ends. Nothing in a process
    that is somebody else's, which may want its garbage found."""
    if gc.get_threshold() == (_NEW, _YOUNG, _OLD):
        gc.freeze()
