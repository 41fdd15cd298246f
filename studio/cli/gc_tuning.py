"""Settings of Python's garbage collector for a program that imports a lot and then mostly waits.

Without them a quarter of the startup time goes into scanning what has just been imported, and as much time into
scanning it at the end (`docs/performance.md`).
"""

import gc

_NEW, _YOUNG, _OLD = 50_000, 20, 50
"""The collector's thresholds. Python's own are 700, 10, 10; these leave some megabytes uncollected."""


def seldom() -> None:
    """Collect garbage less often from now on. For a process that runs this program and nothing else."""
    gc.set_threshold(_NEW, _YOUNG, _OLD)


def keep() -> None:
    """Exempt all current objects from collection, also when Python ends.

    Does nothing unless `seldom` was called: another program's process may need its garbage collected.
    """
    if gc.get_threshold() == (_NEW, _YOUNG, _OLD):
        gc.freeze()
