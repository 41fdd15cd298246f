"""Homes in which a run is killed and started again, and the checks of the run afterwards."""

import shutil
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.db.connection import connect
from durable_rlm.state.home_access import BLOBS, DATABASE
from durable_rlm.state.maintenance.verify import verify
from tests.kill import scenario
from tests.kill.scenario import THREAD, read_log
from tests.kill.spawn import Ended, Job, Spawner
from tests.turn_rows import contradicting_rows


@dataclass(frozen=True)
class Undisturbed:
    """The run that was not killed."""

    report: dict[str, Any]
    received: Counter[str]
    points: list[str]


@dataclass(frozen=True)
class Journalled:
    """The requests in a home's journal, by prompt: which have an outcome, and how often each may have been billed."""

    settled: Counter[str]
    attempts: Counter[str]


# A call that a sub-RLM answers is not a request; the calls of the sub-RLM are.
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
        self._spawner = spawn
        self._real = real
        self._scenario = played.__name__
        self._model = played.write_model(folder, own_process=real)
        self._paid: Counter[str] = Counter()
        self._settled: Counter[str] = Counter()

    def save_to(self, copy: Path) -> None:
        """Copy the folder to `copy`, after a kill."""
        shutil.copytree(self.folder, copy)

    def restore_from(self, copy: Path) -> None:
        """Replace the folder by its copy."""
        shutil.rmtree(self.folder)
        shutil.copytree(copy, self.folder)
        self._paid, self._settled = self.received, self.journalled().settled

    def execute(self, **how: Any) -> Ended:
        """Start or resume the run in a process of its own; `how` are fields of the job."""
        return self._spawner.run(self._job(**how))

    def execute_together(self, number: int) -> list[Ended]:
        """Start or resume the run in `number` processes at once."""
        return self._spawner.run_together([self._job()] * number)

    def _job(self, **how: Any) -> Job:
        return Job(str(self.folder), self._model, real=self._real, scenario=self._scenario, **how)

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    @property
    def points(self) -> list[str]:
        """The failpoints that were passed so far, in all executions."""
        return read_log(self.folder / "points")

    @property
    def received(self) -> Counter[str]:
        """The prompts that the model has received so far, by its own log."""
        return Counter(read_log(self.folder / "asked"))

    def journalled(self) -> Journalled:
        """Return the journal on disk, read from a copy, because reading may repair the database. Verify all threads."""
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
                assert "turns" not in tables or contradicting_rows(connection) == [], self.where
            for (thread,) in threads:
                problems = verify(copy / DATABASE, Blobs(copy / BLOBS), thread).problems
                assert problems == [], f"{self.where}: {problems}"
        finally:
            shutil.rmtree(copy)
        return Journalled(+settled, attempts)

    def in_flight(self) -> Counter[str]:
        """Return the prompts that the killed execution sent without recording an answer. Call it after each kill."""
        known, received = self.journalled(), self.received
        asked = received - self._paid
        assert received <= known.attempts, f"{self.where}: sent without an entry in the journal"
        assert not asked & self._settled, f"{self.where}: sent although the answers are recorded"
        in_flight = asked - (known.settled - self._settled)
        self._paid, self._settled = received, known.settled
        return in_flight

    def under_way(self) -> int:
        """Return the number of requests of a first execution without a result at its kill, by its failpoints."""
        passed = Counter(self.points)
        return passed["request-before"] - passed["deliver-before"] - passed["plan-end"]

    @property
    def where(self) -> str:
        """The place of the last kill, for messages of failed assertions."""
        return f"after {len(self.points)} points, at {self.points[-1]}"


def check_as_undisturbed(ended: Ended, undisturbed: Undisturbed, where: str) -> None:
    """Check for the same answer, cell outputs and variables, and that nothing is reported as lost or damaged."""
    run, expected = ended.report["run"], undisturbed.report
    assert (run["status"], run["answer"]) == ("answered", expected["run"]["answer"]), f"{where}: {run}"
    assert ended.report["outputs"] == expected["outputs"], f"{where}: the last cell reports every variable"
    assert ended.report["variables"] == expected["variables"], where
    assert ended.report["problems"] == [], where
    restored = run["restore"]
    assert restored is None or not (restored["lost"] or restored["notes"] or restored["diverged"]), f"{where}: {run}"


def check_paid_once(trial: Trial, ended: Ended, in_flight: Counter[str], undisturbed: Undisturbed, where: str) -> None:
    """Check that the model received each request once, and again only if it was in flight; and that all are counted."""
    received = trial.received
    assert undisturbed.received <= received, f"{where}: a request was never sent"
    assert received <= undisturbed.received + in_flight, f"{where}: paid twice: {received - undisturbed.received}"
    assert ended.report["run"]["usage"]["model_calls"] >= received.total(), f"{where}: not counted as spent"
