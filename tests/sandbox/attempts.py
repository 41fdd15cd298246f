"""All attempts of hostile code, made from inside a kernel of one tier that is started as in a run.

As a program, `python -m tests.sandbox.attempts TIER FOLDER` prints the outcomes as JSON, for tests that run it as
another user or on a machine with fewer features.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from durable_rlm.kernel.host.sandbox_tiers import Tier
from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.results import CellResult
from durable_rlm.kernel.session import ContextFiles, Kernels, KernelSession, KernelSpec
from durable_rlm.state.errors import KernelLost
from tests.contract.session_contract import run
from tests.sandbox import hostile
from tests.sandbox.hostile import ATTEMPTS, CONTROLS, common
from tests.sandbox.outside import PROJECT, Outside

TIERS: tuple[Tier, ...] = ("bubblewrap", "namespaces", "landlock")
MEMORY = 1 << 30
_POWERS = sum(1 << capability for capability in (2, 7, 13, 17, 18, 19, 21, 27, 34))
"""Capabilities: read any file, become any user, raw sockets and memory, chroot, tracing, mounting, devices, the log."""
_MODULES: tuple[ModuleType, ...] = (
    *(common, hostile.reading, hostile.writing, hostile.network, hostile.numbered_objects, hostile.processes),
    *(hostile.system, hostile.resources),
)
_SHARED = """
import durable_rlm, durable_rlm.matching
try:
    import durable_rlm.state
except ImportError:
    print([name for name in vars(durable_rlm) if not name.startswith("_")])
"""
_WORK = {
    "has its input": "print(context)",
    "computes": "import numpy, pandas\nprint(pandas.Series(numpy.arange(4)).sum())",
    "finds its input's descriptor": "print(common.own_input() > 2)",
    "imports what it shares with the host": _SHARED,
    "starts threads": "import threading\nt = threading.Thread(target=print, args=('hi',))\nt.start()\nt.join()",
}
_WORK_OF_ITS_OWN = {
    "writes to its scratch folder": "open('made', 'w').write('text')\nprint(open('/tmp/made').read())",
    "starts programs": "!echo from a program",
    "has locks for processes": "import multiprocessing\nprint(multiprocessing.Lock().acquire())",
}
_PRINTED = ("INPUT of this run\n\n", "6\n", "True\n", "['matching']\n", "hi\n", "text\n", "from a program\n", "True\n")
EXPECTED = dict(zip([*_WORK, *_WORK_OF_ITS_OWN], _PRINTED, strict=True))
MAY_BE_MISSING = {"connect by TCP over IPv6", "send by UDP over IPv6"}
"""Some machines have no IPv6."""


@dataclass
class Outcomes:
    """The outcomes of all attempts in one tier."""

    tier: str
    user: int
    confined: dict[str, str] = field(default_factory=dict[str, str])
    """By the attempt's name: the result of `tried`, or "lost: …" when the kernel was lost."""
    controls: dict[str, str] = field(default_factory=dict[str, str])
    """The same for the harmless attempts, unconfined."""
    touched: list[str] = field(default_factory=list[str])
    work: dict[str, str] = field(default_factory=dict[str, str])
    """The output of ordinary work, by its name."""

    @property
    def escapes(self) -> dict[str, str]:
        """Attempts that were not refused, or not in an expected way."""
        return {name: outcome for name, outcome in self.confined.items() if not _refused(name, outcome)}

    @property
    def failed_controls(self) -> dict[str, str]:
        """Attempts that did not succeed unconfined either, so that they prove nothing."""
        return {name: outcome for name, outcome in self.controls.items() if outcome != "could"}

    @property
    def failed_work(self) -> dict[str, str]:
        """Ordinary work that failed in the tier."""
        return {name: output for name, output in self.work.items() if output != EXPECTED[name]}


async def try_everything(tier: str, folder: Path) -> Outcomes:
    """Make every attempt in a kernel of `tier` (empty: the strongest) and unconfined. Return the outcomes."""
    folder = folder.resolve()
    kernels: JupyterKernels | None = None
    with Outside(folder / "confined") as outside, Outside(folder / "control", control=True) as reachable:
        try:
            kernels = JupyterKernels([outside.blobs], hidden=[outside.state], tiers=[tier] if tier else [])
            outcomes = Outcomes((await kernels.warm_up()).tier, os.geteuid())
            outcomes.work = await _work(kernels, outside, own_view=outcomes.tier != "landlock")
            await _attempts(outcomes, kernels, outside)
            outcomes.touched = outside.touched()
            outcomes.controls = await asyncio.to_thread(_controls, reachable)
        finally:
            if kernels:
                await kernels.close()
    return outcomes


def prelude(place: object) -> str:
    """Return code that defines the attempts in a kernel."""
    texts = {module.__name__: Path(str(module.__file__)).read_text() for module in _MODULES}
    return (
        f"import sys, types\nfor name, text in {texts!r}.items():\n"
        "    module = sys.modules[name] = types.ModuleType(name)\n"
        "    exec(compile(text, name, 'exec'), module.__dict__)\n"
        f"common, place = sys.modules[{common.__name__!r}], {place!r}"
    )


async def confined(kernels: Kernels, outside: Outside) -> KernelSession:
    """Start a kernel in which the attempts are defined."""
    session = await kernels.start(KernelSpec("escaping", ContextFiles(outside.pack), memory=MEMORY))
    result = await run(session, prelude(outside.place))
    assert result.status == "ok", result.error
    return session


async def _work(kernels: Kernels, outside: Outside, *, own_view: bool) -> dict[str, str]:
    session = await confined(kernels, outside)
    work = {**_WORK, **(_WORK_OF_ITS_OWN if own_view else {})}
    try:
        return {name: _output(await run(session, code)) for name, code in work.items()}
    finally:
        await session.close()


def _output(result: CellResult) -> str:
    return result.output if result.status == "ok" else f"{result.output}{result.error}"


async def _attempts(outcomes: Outcomes, kernels: Kernels, outside: Outside) -> None:
    session: KernelSession | None = None
    for name in ATTEMPTS:
        session = session or await confined(kernels, outside)
        try:
            result = await run(session, f"print(common.tried({name!r}, place))")
        except KernelLost as error:
            outcomes.confined[name], session = f"lost: {error}", None
        else:
            outcomes.confined[name] = _output(result).strip()
    if session:
        await session.close()


def _controls(outside: Outside) -> dict[str, str]:
    wanted = ("anyone", "root") if has_root_capabilities() else ("anyone",)
    missing = MAY_BE_MISSING if outside.without_ipv6 else set[str]()
    names = [name for name, control in CONTROLS.items() if control in wanted and name not in missing]
    done = subprocess.run(
        [sys.executable, "-m", hostile.__name__],
        input=json.dumps({"names": names, "place": outside.place}),
        # The attempts write to the current folder, so the import path is set.
        cwd=outside.folder / "scratch",
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    outcomes = dict(json.loads(line) for line in done.stdout.splitlines())
    return {name: outcomes.get(name, "ended without a result") for name in names}


def _refused(name: str, outcome: str) -> bool:
    # The host ends a kernel that uses too many resources; any other end may be a hole in the sandbox.
    over_limit = ATTEMPTS[name].__module__ == hostile.resources.__name__ and "it used more than" in outcome
    return outcome.startswith("refused: ") or over_limit


def skip_without(tier: str) -> None:
    """Skip the test where a tier's program is not installed; a tier that does not hold is no reason to skip."""
    if tier == "bubblewrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")


def has_root_capabilities() -> bool:
    """Return true if this process is root with the capabilities that a container's root may lack."""
    [held] = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "CapEff" in line]
    return os.geteuid() == 0 and int(held, 16) & _POWERS == _POWERS


if __name__ == "__main__":
    os.environ["HOME"] = sys.argv[2]
    print(json.dumps(asdict(asyncio.run(try_everything(sys.argv[1], Path(sys.argv[2]))))))  # noqa: T201
