"""Makes every attempt from inside a kernel of one tier, through the real path.

As a program, `python -m tests.sandbox.attempts TIER FOLDER`: prints what came of it as JSON, for a test that wants it
done by another user or on a lesser machine.
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
from durable_rlm.kernel.session import CellResult, ContextFiles, Kernels, KernelSession, KernelSpec
from durable_rlm.state.errors import KernelLost
from tests.contract.session_contract import run
from tests.sandbox import hostile
from tests.sandbox.hostile import ATTEMPTS, CONTROLS, common
from tests.sandbox.outside import PROJECT, Outside

TIERS: tuple[Tier, ...] = ("bubblewrap", "namespaces", "landlock")
MEMORY = 1 << 30
_POWERS = sum(1 << capability for capability in (2, 7, 13, 17, 18, 19, 21, 27, 34))
"""Reading any file, being any user, raw sockets and memory, other roots, tracing, mounting, devices, and the log."""
_MODULES: tuple[ModuleType, ...] = (
    *(common, hostile.reading, hostile.writing, hostile.network, hostile.processes, hostile.system, hostile.resources),
)
_WORK = {
    "has its input": "print(context)",
    "computes": "import numpy, pandas\nprint(pandas.Series(numpy.arange(4)).sum())",
    "finds its input's descriptor": "print(common.own_input() > 2)",
    "starts threads": "import threading\nt = threading.Thread(target=print, args=('hi',))\nt.start()\nt.join()",
}
_WORK_OF_ITS_OWN = {
    "writes to its scratch folder": "open('made', 'w').write('text')\nprint(open('/tmp/made').read())",
    "starts programs": "!echo from a program",
    "has locks for processes": "import multiprocessing\nprint(multiprocessing.Lock().acquire())",
}
_PRINTED = ("INPUT of this run\n\n", "6\n", "True\n", "hi\n", "text\n", "from a program\n", "True\n")
EXPECTED = dict(zip([*_WORK, *_WORK_OF_ITS_OWN], _PRINTED, strict=True))
MAY_BE_MISSING = {"connect by TCP over IPv6", "send by UDP over IPv6"}
"""Some machines have no IPv6."""


@dataclass
class Came:
    """What came of all attempts in one tier."""

    tier: str
    user: int
    outcomes: dict[str, str] = field(default_factory=dict[str, str])
    """By the attempt's name: what `tried` says, or "lost: …" when the kernel was."""
    controls: dict[str, str] = field(default_factory=dict[str, str])
    """The same of the harmless ones, unconfined."""
    touched: list[str] = field(default_factory=list[str])
    work: dict[str, str] = field(default_factory=dict[str, str])
    """What ordinary work printed."""

    @property
    def escapes(self) -> dict[str, str]:
        """Attempts that were not refused, or not as they should be."""
        return {name: said for name, said in self.outcomes.items() if not _refused(name, said)}

    @property
    def failed_controls(self) -> dict[str, str]:
        """Attempts that did not succeed outside either, so that they prove nothing."""
        return {name: said for name, said in self.controls.items() if said != "could"}

    @property
    def work_undone(self) -> dict[str, str]:
        """Ordinary work that the tier kept from being done."""
        return {name: said for name, said in self.work.items() if said != EXPECTED[name]}


async def try_everything(tier: str, folder: Path) -> Came:
    """Every attempt, in a kernel of `tier` (none: the strongest) and outside."""
    folder = folder.resolve()
    kernels: JupyterKernels | None = None
    with Outside(folder / "confined") as outside, Outside(folder / "control", control=True) as reachable:
        try:
            kernels = JupyterKernels([outside.blobs], hidden=[outside.state], tiers=[tier] if tier else [])
            came = Came((await kernels.warm_up()).tier, os.geteuid())
            came.work = await _work(kernels, outside, own_view=came.tier != "landlock")
            await _attempts(came, kernels, outside)
            came.touched = outside.touched()
            came.controls = await asyncio.to_thread(_controls, reachable)
        finally:
            if kernels:
                await kernels.close()
    return came


def prelude(place: object) -> str:
    """Code that puts the attempts into a kernel."""
    texts = {module.__name__: Path(str(module.__file__)).read_text() for module in _MODULES}
    return (
        f"import sys, types\nfor name, text in {texts!r}.items():\n"
        "    module = sys.modules[name] = types.ModuleType(name)\n"
        "    exec(compile(text, name, 'exec'), module.__dict__)\n"
        f"common, place = sys.modules[{common.__name__!r}], {place!r}"
    )


async def confined(kernels: Kernels, outside: Outside) -> KernelSession:
    """A kernel that has the attempts."""
    session = await kernels.start(KernelSpec("escaping", ContextFiles(outside.pack), memory=MEMORY))
    result = await run(session, prelude(outside.place))
    assert result.status == "ok", result.error
    return session


async def _work(kernels: Kernels, outside: Outside, *, own_view: bool) -> dict[str, str]:
    session = await confined(kernels, outside)
    work = {**_WORK, **(_WORK_OF_ITS_OWN if own_view else {})}
    try:
        return {name: _told(await run(session, code)) for name, code in work.items()}
    finally:
        await session.close()


def _told(result: CellResult) -> str:
    return result.output if result.status == "ok" else f"{result.output}{result.error}"


async def _attempts(came: Came, kernels: Kernels, outside: Outside) -> None:
    session: KernelSession | None = None
    for name in ATTEMPTS:
        session = session or await confined(kernels, outside)
        try:
            result = await run(session, f"print(common.tried({name!r}, place))")
        except KernelLost as error:
            came.outcomes[name], session = f"lost: {error}", None
        else:
            came.outcomes[name] = _told(result).strip()
    if session:
        await session.close()


def _controls(outside: Outside) -> dict[str, str]:
    wanted = ("anyone", "root") if all_powerful() else ("anyone",)
    missing = MAY_BE_MISSING if outside.without_ipv6 else set[str]()
    names = [name for name, control in CONTROLS.items() if control in wanted and name not in missing]
    done = subprocess.run(
        [sys.executable, "-m", hostile.__name__],
        input=json.dumps({"names": names, "place": outside.place}),
        # Scratch, and the import path of a program that is run from there.
        cwd=outside.folder / "scratch",
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = dict(json.loads(line) for line in done.stdout.splitlines())
    return {name: said.get(name, "ended without a word") for name in names}


def _refused(name: str, said: str) -> bool:
    # The host ends a kernel that uses up too much; whatever else ends one may be a hole in it.
    used_up = ATTEMPTS[name].__module__ == hostile.resources.__name__ and "it used more than" in said
    return said.startswith("refused: ") or used_up


def is_there(tier: str) -> None:
    """Skip the test where a tier cannot be had; that it does not hold is no reason."""
    if tier == "bubblewrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")


def all_powerful() -> bool:
    """Whether this process is root, with the capabilities that a container's root may lack."""
    [held] = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "CapEff" in line]
    return os.geteuid() == 0 and int(held, 16) & _POWERS == _POWERS


if __name__ == "__main__":
    os.environ["HOME"] = sys.argv[2]
    print(json.dumps(asdict(asyncio.run(try_everything(sys.argv[1], Path(sys.argv[2]))))))  # noqa: T201
