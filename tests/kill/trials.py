"""Homes in which a run is killed and started again, and what must hold of it afterwards."""

import shutil
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from durable_rlm.graph.wiring import BLOBS, DATABASE
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.db.connection import connect
from durable_rlm.state.maintenance.verify import verify
from tests.kill import scenario
from tests.kill.scenario import THREAD, read_log
from tests.kill.spawn import Ended, Job, Spawner


@dataclass(frozen=True)
class Undisturbed:
    """The run that nobody killed."""

    report: dict[str, Any]
    received: Counter[str]
    points: list[str]


@dataclass(frozen=True)
class Journalled:
    """What a home knows of requests, by prompt: which have an outcome, and how often each may have been billed."""

    settled: Counter[str]
    attempts: Counter[str]


# A call that a sub-RLM answers is no request; those of the sub-RLM are.
_CALLS = """
SELECT thread_id, (SELECT question FROM threads WHERE threads.thread_id = calls.thread_id), status, kind, turn,
attempts, (SELECT body FROM texts WHERE hash = prompt) FROM calls WHERE child_thread IS NULL
"""


class Trial:
    """One home. `folder` must not exist yet."""

    def __init__(self, folder: Path, spawn: Spawner, *, real: bool = False, played: ModuleType = scenario) -> None:
        """`played`: the scenario, a module."""
        folder.mkdir()
        self.folder = folder
        self._nursery = spawn
        self._real = real
        self._scenario = played.__name__
        self._model = played.write_model(folder, own_process=real)
        self._paid: Counter[str] = Counter()
        self._settled: Counter[str] = Counter()

    def keep(self, copy: Path) -> None:
        """Remember in `copy` how all of it is now, after a kill."""
        shutil.copytree(self.folder, copy)

    def go_back(self, copy: Path) -> None:
        """Make all of it as it was when it was kept."""
        shutil.rmtree(self.folder)
        shutil.copytree(copy, self.folder)
        self._paid, self._settled = self.received, self.journalled().settled

    def execute(self, **how: Any) -> Ended:
        """Start the run, or go on with it, in a process of its own; `how` are fields of the job."""
        return self._nursery.run(self._job(**how))

    def sit_together(self, number: int) -> list[Ended]:
        """So many processes at once."""
        return self._nursery.run_together([self._job()] * number)

    def _job(self, **how: Any) -> Job:
        return Job(str(self.folder), self._model, real=self._real, scenario=self._scenario, **how)

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    @property
    def points(self) -> list[str]:
        """Those that were passed so far, in all sittings."""
        return read_log(self.folder / "points")

    @property
    def received(self) -> Counter[str]:
        """What the model was asked so far, by its own record."""
        return Counter(read_log(self.folder / "asked"))

    def journalled(self) -> Journalled:
        """What is on disk, read from a copy: looking must not mend anything. All it needs must be there, and whole."""
        if not (self.folder / "home").exists():
            return Journalled(Counter(), Counter())
        copy = Path(shutil.copytree(self.folder / "home", self.folder / "copy"))
        settled, attempts = Counter[str](), Counter[str]()
        try:
            with closing(connect(copy / DATABASE)) as connection:
                tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
                rows = connection.execute(_CALLS) if "calls" in tables else ()
                for thread, question, status, kind, turn, tried, prompt in rows:
                    of_run = "" if thread == THREAD else f"{question}: "
                    name = f"{of_run}turn {turn}" if kind == "root" else prompt.decode()
                    attempts[name] += tried
                    settled[name] += status != "asked"
                threads = connection.execute("SELECT thread_id FROM threads").fetchall() if "threads" in tables else []
            for (thread,) in threads:
                problems = verify(copy / DATABASE, Blobs(copy / BLOBS), thread).problems
                assert problems == [], f"{self.where}: {problems}"
        finally:
            shutil.rmtree(copy)
        return Journalled(+settled, attempts)

    def in_flight(self) -> Counter[str]:
        """What the sitting that was killed had asked and not recorded. To be looked at after each kill."""
        known, received = self.journalled(), self.received
        asked = received - self._paid
        assert received <= known.attempts, f"{self.where}: asked without a word in the journal"
        assert not asked & self._settled, f"{self.where}: asked for recorded answers"
        in_flight = asked - (known.settled - self._settled)
        self._paid, self._settled = received, known.settled
        return in_flight

    def under_way(self) -> int:
        """How many requests of a first sitting had led to nothing when it was killed, as its points say."""
        passed = Counter(self.points)
        return passed["request-before"] - passed["deliver-before"] - passed["plan-end"]

    @property
    def where(self) -> str:
        """The place of the last kill, for whoever reads of a failure."""
        return f"after {len(self.points)} points, at {self.points[-1]}"


def check_as_undisturbed(ended: Ended, undisturbed: Undisturbed, where: str) -> None:
    """The same answer, the same output of every cell, the same variables; nothing is said to be lost or damaged."""
    run, expected = ended.report["run"], undisturbed.report
    assert (run["status"], run["answer"]) == ("answered", expected["run"]["answer"]), f"{where}: {run}"
    assert ended.report["outputs"] == expected["outputs"], f"{where}: the last cell tells of every variable"
    assert ended.report["variables"] == expected["variables"], where
    assert ended.report["problems"] == [], where
    restored = run["restore"]
    assert restored is None or not (restored["lost"] or restored["notes"] or restored["diverged"]), f"{where}: {run}"


def check_paid_once(trial: Trial, ended: Ended, in_flight: Counter[str], undisturbed: Undisturbed, where: str) -> None:
    """The model was asked what the undisturbed run asks, and again what was in flight; all of it was counted."""
    received = trial.received
    assert undisturbed.received <= received, f"{where}: nobody was asked for an answer of the run"
    assert received <= undisturbed.received + in_flight, f"{where}: paid twice: {received - undisturbed.received}"
    assert ended.report["run"]["usage"]["model_calls"] >= received.total(), f"{where}: not counted as spent"
