"""One spawner and one undisturbed run for all kill tests of a worker."""

import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.kill.spawn import Spawner
from tests.kill.trials import Trial, Undisturbed


@pytest.fixture(scope="session")
def spawn() -> Generator[Spawner]:
    with Spawner() as spawn:
        yield spawn


@pytest.fixture(scope="session")
def folder() -> Generator[Path]:
    """Return a folder in memory, where syncing costs nothing, if there is one. A kill leaves the same files there."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def undisturbed(spawn: Spawner, folder: Path) -> Undisturbed:
    trial = Trial(folder / "undisturbed", spawn)
    return Undisturbed(trial.execute().report, trial.received, trial.points)
