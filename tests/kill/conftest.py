"""One nursery and one undisturbed run for all kill tests of a worker."""

import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.kill.nursery import Nursery
from tests.kill.trials import Trial, Undisturbed


@pytest.fixture(scope="session")
def nursery() -> Generator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="session")
def folder() -> Generator[Path]:
    """Where syncing costs nothing, if there is such a place: what a kill leaves behind is the same there."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def undisturbed(nursery: Nursery, folder: Path) -> Undisturbed:
    trial = Trial(folder / "undisturbed", nursery)
    return Undisturbed(trial.sit().report, trial.received, trial.points)
