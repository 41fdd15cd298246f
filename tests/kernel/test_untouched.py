"""Variables that a cell cannot have touched are not saved again."""

import threading
from collections.abc import Generator
from typing import Any

import pytest
from zmq.utils.garbage import GarbageCollector

from durable_rlm.kernel.inside.snapshot.snapshotter import Snapshotter


@pytest.fixture
def made() -> list[str]:
    """The names of the variables that were saved, in order."""
    return []


@pytest.fixture
def namespace(made: list[str]) -> dict[str, Any]:
    return {"kept": [1, 2], "other": 3}


@pytest.fixture
def snapshots(namespace: dict[str, Any], made: list[str]) -> Snapshotter:
    def describe(name: str, value: Any) -> None:
        del value
        made.append(name)

    snapshots = Snapshotter(namespace, hidden=[], given={}, describe=describe, own_process=False)
    snapshots.take(["kept = [1, 2]\nother = 3"])
    assert made == ["kept", "other"]
    made.clear()
    return snapshots


@pytest.fixture
def carrier(snapshots: Snapshotter) -> Generator[None]:
    """ZeroMQ's thread, as the first large message starts it in a kernel that has run for a while."""
    del snapshots
    collector = GarbageCollector()
    collector.start()
    yield
    collector.stop()


@pytest.mark.usefixtures("carrier")
def test_zeromqs_own_thread_does_not_cause_untouched_variables_to_be_saved(
    snapshots: Snapshotter, namespace: dict[str, Any], made: list[str]
) -> None:
    namespace["new"] = 1
    snapshots.take(["new = 1"])
    assert made == ["new"]


def test_with_a_thread_of_the_code_every_variable_is_saved(
    snapshots: Snapshotter, namespace: dict[str, Any], made: list[str]
) -> None:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        namespace["kept"].append(3)
        taken = snapshots.take(["new = 1"])
    finally:
        ended.set()
        thread.join()
    assert "kept" in made and ["kept"] in [group["names"] for group in taken.groups]
