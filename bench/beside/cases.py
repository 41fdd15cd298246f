"""What is measured: each case runs a system once, in a process of its own, and says what it took.

The model takes no time unless a case says so, and times are taken at its server: a turn is what passes from the
answer to one root call until the next one comes. So they mean the same for every system.
"""

import shutil
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.beside.habits import with_habits
from bench.beside.model_server import Asked, ModelServer
from bench.beside.processes import Ran, run
from bench.beside.systems import System, asked_at_once, asked_one_by_one, sub_rlms

Values = dict[str, float]
"""What one run of a case measured, by name: seconds unless it says otherwise."""

_PROJECT = Path(__file__).parents[2]
_THINKING = 0.1
"""Of a model during which systems are killed."""


class WrongAnswer(Exception):
    """A system did not do what it was measured at."""


@dataclass(frozen=True)
class Bench:
    """Where it happens."""

    server: ModelServer
    folder: Path
    """For homes, inputs and what systems write on stderr. On the disk that durability is to be measured on."""

    def go(
        self, system: System, *arguments: str, turns: int = 60, kill_when: Callable[[], bool] | None = None
    ) -> tuple[Ran, Asked]:
        """One run of the system against the server."""
        command = [*system.command, "run", "--base-url", self.server.url, "--max-turns", str(turns), *arguments]
        ran = run(command, self.folder / "stderr", kill_when=kill_when)
        return ran, self.server.asked()

    def answered(self, system: System, expected: object, *arguments: str, turns: int = 60) -> tuple[Ran, Asked]:
        """The same. Raises WrongAnswer."""
        ran, asked = self.go(system, *arguments, turns=turns)
        if str(ran.result.get("answer")) != str(expected):
            said = (self.folder / "stderr").read_text()[-2000:]
            raise WrongAnswer(f"{system.name} answered {ran.result.get('answer')!r}, not {expected!r}. {said}")
        return ran, asked


Case = Callable[[Bench, System], Values]
"""Runs a system once and measures it; nothing where the system has nothing of the kind."""


@dataclass(frozen=True)
class Turns:
    """Turns that do next to nothing: what a turn costs, and whether it costs more as the run gets longer."""

    turns: int = 50

    def __call__(self, bench: Bench, system: System) -> Values:
        bench.server.play({"root": system.script(["x = 1"] * self.turns)})
        with tempfile.TemporaryDirectory(dir=bench.folder) as home:
            ran, asked = bench.answered(system, "done", "--state-dir", home, turns=self.turns + 10)
            saved = sum(file.stat().st_size for file in Path(home).rglob("*") if file.is_file())
        gaps = asked.gaps()
        return {
            "first root call": asked.first() - ran.began,
            "first ten turns": statistics.median(gaps[:10]),
            "last ten turns": statistics.median(gaps[-10:]),
            "whole": ran.seconds,
            "MB": ran.proportional,
            "MB on disk": saved / 1e6,
        }


@dataclass(frozen=True)
class Loop:
    """Sub-calls one after the other."""

    calls: int = 500

    def __call__(self, bench: Bench, system: System) -> Values:
        bench.server.play({"root": system.script([asked_one_by_one(self.calls)], "right")})
        _, asked = bench.answered(system, self.calls)
        return {"a call": asked.gaps()[0] / self.calls}


@dataclass(frozen=True)
class FanOut:
    """Sub-calls in one batch, each answered after a tenth of a second."""

    calls: int = 1_000
    latency: float = 0.1
    in_flight: int | None = None
    """None: what the system does by itself."""

    def __call__(self, bench: Bench, system: System) -> Values:
        bench.server.play({"root": system.script([asked_at_once(self.calls)], "right")}, sub_latency=self.latency)
        more = [] if self.in_flight is None else ["--concurrency", str(self.in_flight)]
        ran, asked = bench.answered(system, self.calls, *more)
        return {"cell": asked.gaps()[0], "in flight": asked.most_in_flight, "MB": ran.proportional}


@dataclass(frozen=True)
class Context:
    """A large input: until the model is asked, what a turn beside it costs, and how much memory."""

    megabytes: int

    def __call__(self, bench: Bench, system: System) -> Values:
        path = _text(bench.folder, self.megabytes)
        cells = ["x = 1", "found = context[-1000:]", *["x = 1"] * 3]
        bench.server.play({"root": system.script(cells, "len(context)")})
        ran, asked = bench.answered(system, self.megabytes * 1_000_000, "--context-file", str(path))
        first, *others = asked.gaps()
        return {
            "first root call": asked.first() - ran.began,
            "first turn": first,
            "turn": statistics.median(others),
            "MB": ran.proportional,
            "MB, shared counted by each": ran.resident,
        }


@dataclass(frozen=True)
class Tokens:
    """Tokens that an answer takes over tasks as models do them: a look, some work, a check, the answer.

    What differs between systems is what they say beside that: the system prompt, what is shown of outputs and of
    earlier turns, what is said about the budget.
    """

    def __call__(self, bench: Bench, system: System) -> Values:
        path = _text(bench.folder, 1)
        look = (
            "lines = context.splitlines()\nprint(type(context), len(context), len(lines))\nprint(lines[:5], lines[-5:])"
        )
        count = "found = [line for line in lines if line.endswith('7')]\nprint(len(found), found[:20])"
        part = "part = found[{0} * 100 : {0} * 100 + 100]\nprint(sum(int(line[:9]) for line in part), part[:10])"
        tasks = {
            "a regular expression": [look, count],
            "a batch": [look, count, asked_at_once(20)],
            "twelve turns": [look, count, *(part.format(number) for number in range(10))],
        }
        spent = 0
        for cells in tasks.values():
            bench.server.play({"root": system.script(cells)})
            _, asked = bench.answered(system, "done", "--context-file", str(path))
            spent += asked.tokens
        return {"an answer": spent / len(tasks)}


@dataclass(frozen=True)
class Habits:
    """What servers and models do that is not in their documentation: right answers, and tokens for each of them."""

    def __call__(self, bench: Bench, system: System) -> Values:
        return with_habits(bench.folder, system)


@dataclass(frozen=True)
class SubRlms:
    """Sub-RLMs of one turn, asked for at once."""

    children: int = 50

    def __call__(self, bench: Bench, system: System) -> Values:
        scripts = {"root": system.script([sub_rlms(system, self.children)], "right"), "child": system.script([])}
        bench.server.play(scripts)
        ran, asked = bench.go(system, "--depth", "2")
        # How many of them were right is measured, too: not all systems get them all.
        right = float(ran.result.get("answer") or 0)
        return {"cell": asked.gaps()[0], "right": right, "MB": ran.proportional}


@dataclass(frozen=True)
class Killed:
    """kill -9 of all its processes half-way, in a cell that waits for an answer, and started again: what is paid twice.

    The cells print random numbers and put them into prompts, so that no cache of equal calls has them. The call that
    was under way is not counted: nobody had its answer.
    """

    turns: int = 10
    calls: int = 5
    """In each turn."""

    def __call__(self, bench: Bench, system: System) -> Values:
        cell = "import random\nnoise = str(random.random())\nprint(noise)\nsteps.append(1)\n"
        cells = [cell + asked_one_by_one(self.calls, f"{turn}.", "noise") for turn in range(self.turns)]
        cells[0] = f"steps = []\n{cells[0]}"
        scripts = {"root": system.script(cells, "len(steps)")}
        home = tempfile.mkdtemp(dir=bench.folder)
        half = self.turns // 2

        def in_mid_cell() -> bool:
            asked = bench.server.asked()
            return len(asked.roots) >= half and asked.subs >= (half - 1) * self.calls + self.calls // 2

        try:
            bench.server.play(scripts, root_latency=_THINKING, sub_latency=_THINKING)
            _, before = bench.go(system, "--state-dir", home, kill_when=in_mid_cell)
            bench.server.play(scripts, root_latency=_THINKING, sub_latency=_THINKING)
            again, after = bench.answered(system, self.turns, "--state-dir", home)
        finally:
            shutil.rmtree(home)
        needed = self.turns + 1 + self.turns * self.calls
        return {
            "paid before": before.answered,
            "paid twice": before.answered + after.answered - needed,
            "whole": again.seconds,
        }


@dataclass(frozen=True)
class Saving:
    """What it takes to save a session of 40 MB after each of two hundred small cells, beside dill's dump of it.

    Of ours, the snapshot in the kernel and its commit with an fsync; who saves nothing has nothing to measure.
    """

    def __call__(self, bench: Bench, system: System) -> Values:
        if not system.saves:
            return {}
        with tempfile.TemporaryDirectory(dir=bench.folder) as home:
            ran = run([*system.saves, home], bench.folder / "stderr", folder=_PROJECT)
        return {name: float(value) for name, value in ran.result.items()}


@dataclass(frozen=True)
class Help:
    """What a user waits for who asks how it is used."""

    def __call__(self, bench: Bench, system: System) -> Values:
        return {"whole": run(system.help, bench.folder / "stderr").seconds} if system.help else {}


@dataclass(frozen=True)
class Session:
    """Two hundred cells over 20 MB of text and 20 MB made from it: what a turn costs when there is much to save."""

    cells: int = 200

    def __call__(self, bench: Bench, system: System) -> Values:
        path = _text(bench.folder, 20)
        bench.server.play({"root": system.script(session_cells(self.cells), "len(notes)")})
        _, asked = bench.answered(system, self.cells // 4, "--context-file", str(path), turns=self.cells + 10)
        gaps = asked.gaps()[4:]
        return {"first ten turns": statistics.median(gaps[:10]), "last ten turns": statistics.median(gaps[-10:])}


def session_cells(count: int) -> list[str]:
    """Cells as a model writes them: a large list, then small steps that read it and keep what they found."""
    made = "pages = [context[i : i + 2000] for i in range(0, len(context), 2000)]\nnotes, found = [], {}"
    steps = [
        "notes.append({{'step': {step}, 'text': pages[{step}][:200]}})",
        "found['page {step}'] = [len(page) for page in pages[:100]]",
        "def count_{step}(page):\n    return page.count('fox')\nhits_{step} = count_{step}(pages[{step}])",
        "total_{step} = len(context) + len(pages) + {step}",
    ]
    return [made, *(steps[step % 4].format(step=step) for step in range(count))]


def _text(folder: Path, megabytes: int) -> Path:
    """A file of so many million bytes of ASCII, in lines; made once."""
    path = folder / f"{megabytes}.txt"
    if not path.exists():
        line = "{:09} the quick brown fox jumps over the lazy dog and finds item {}\n"
        block = "".join(line.format(number, number * 7919 % 104729) for number in range(20_000)).encode()[:1_000_000]
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(block)
    return path
