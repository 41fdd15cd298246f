"""The checks of `rlm doctor` on the home folder, the kernel and the sandbox."""

import asyncio
import json
import os
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ...kernel.host.python_env import OFFERED
from ...kernel.jupyter import JupyterKernels
from ...kernel.session import Cell, KernelSpec, Sandbox
from ...state.errors import NoSandbox
from ...state.wording import duration, megabytes
from ..terminal.escape import safe_line

Level = Literal["ok", "note", "warning", "problem"]
"""`problem`: no run could work. `warning`: it could, but read this. `note`: something optional is missing."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    level: Level
    value: str
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `rlm doctor --json` prints."""
        return asdict(self)


_ROOM = 1 << 30
_PATIENCE = 60.0
_EXPECTED = "42"
_LOOK = f"""
import importlib, json
found = {{}}
for name in {OFFERED!r}:
    try:
        found[name] = str(getattr(importlib.import_module(name), "__version__", ""))
    except Exception:
        pass
print(json.dumps(found))
"""


def home_folder(home: Path) -> list[Finding]:
    """Check whether runs can be saved in the home, and the free space. Creates nothing that stays."""
    there = home.absolute()
    existing = next(folder for folder in (there, *there.parents) if folder.exists())
    shown = safe_line(str(there))
    if not existing.is_dir():
        return [Finding("Home", "problem", f"{shown}: {safe_line(str(existing))} is no folder", "Name another --home.")]
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        hint = "Fix its permissions or name another --home."
        return [Finding("Home", "problem", f"{shown} cannot be written: {error.strerror}", hint)]
    what = f"{megabytes(_size(there))} used" if there.exists() else "made by the first run"
    free = shutil.disk_usage(existing).free
    room = Finding("Disk", "ok", f"{megabytes(free)} free")
    if free < _ROOM:
        room = Finding("Disk", "warning", f"{megabytes(free)} free", "Runs keep their whole input and every answer.")
    return [Finding("Home", "ok", f"{shown} ({what})"), room]


def kernels() -> list[Finding]:
    """Check whether a kernel starts, runs code and answers, and what confines it, which is tested at the same time."""
    began = time.monotonic()
    try:
        held, printed = asyncio.run(_try_kernel(sandboxed=True))
        found = _confined(held)
    except NoSandbox as error:
        found = [Finding("Sandbox", "problem", safe_line(error.message, 600), error.hint)]
        try:
            _, printed = asyncio.run(_try_kernel(sandboxed=False))
        except Exception as failure:
            return [*found, _no_kernel(failure)]
    except Exception as error:
        return [_no_kernel(error)]
    took = duration(time.monotonic() - began)
    answer, _, imported = printed.partition("\n")
    if answer != _EXPECTED:
        return [*found, Finding("Kernel", "problem", f"answered {safe_line(printed, 80)!r} instead of {_EXPECTED}")]
    return [*found, Finding("Kernel", "ok", f"started, ran a cell and ended in {took}"), imports(json.loads(imported))]


def imports(versions: dict[str, str]) -> Finding:
    """Return a finding with the modules that code can import in a kernel besides the standard library."""
    named = ", ".join(f"{name} {version}".strip() for name, version in versions.items())
    missing = [name for name in OFFERED if name not in versions]
    hint = f"For {', '.join(missing)}: pip install 'durable-rlm[all]'" if missing else ""
    return Finding("Imports", "note" if missing else "ok", named, hint)


def _no_kernel(error: Exception) -> Finding:
    reason = safe_line(str(error), 300) or type(error).__name__
    return Finding("Kernel", "problem", f"did not work: {reason}", "Is ipykernel installed in this environment?")


def _confined(held: Sandbox) -> list[Finding]:
    weaker = [f"{tier}: {safe_line(', '.join(why), 200)}" for tier, why in held.refused.items()]
    what = f"{held.tier}: {_WHAT[held.tier]}"
    found = [Finding("Sandbox", "ok" if held.tier != "landlock" else "note", what, _LESS.get(held.tier, ""))]
    return found + [Finding("Sandbox", "note", f"not {one}") for one in weaker]


_WHAT = {
    "bubblewrap": "its own files, processes and network (proven just now)",
    "namespaces": "its own files, processes and network, without bubblewrap (proven just now)",
    "landlock": "no files but Python's, no network, no programs (proven just now)",
}
_LESS = {
    "landlock": "Code has no scratch folder here and can start no programs. With user namespaces it could have both.",
}


async def _try_kernel(*, sandboxed: bool) -> tuple[Sandbox, str]:
    kernels = JupyterKernels()
    try:
        async with asyncio.timeout(_PATIENCE):
            held = await kernels.warm_up(sandboxed=sandboxed)
            session = await kernels.start(KernelSpec(thread_id="doctor", sub_calls=False, sandboxed=sandboxed))
            await session.begin(Cell(1, ("print(6 * 7)", _LOOK)))
            await session.peek()
            result = await session.result()
            await session.close()
            return held, result.output.strip()
    except TimeoutError:
        raise TimeoutError(f"no answer within {_PATIENCE:.0f} s") from None
    finally:
        await kernels.close()


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:
                continue
    return total
