"""The home folder, the kernel and the sandbox."""

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path

from ...kernel.jupyter import JupyterKernels
from ...kernel.session import Cell, KernelSpec
from ..display.wording import duration, megabytes
from ..safe_text import safe_line
from .finding import Finding

_ROOM = 1 << 30
_PATIENCE = 60.0
_EXPECTED = "42"


def home_folder(home: Path) -> list[Finding]:
    """Whether runs can be saved there. Makes nothing that stays."""
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


def kernel() -> Finding:
    """Whether a kernel starts, runs code and answers."""
    began = time.monotonic()
    try:
        printed = asyncio.run(_try_kernel())
    except Exception as error:
        reason = safe_line(str(error), 300) or type(error).__name__
        return Finding("Kernel", "problem", f"did not work: {reason}", "Is ipykernel installed in this environment?")
    took = duration(time.monotonic() - began)
    if printed != _EXPECTED:
        return Finding("Kernel", "problem", f"answered {safe_line(printed, 80)!r} instead of {_EXPECTED}")
    return Finding("Kernel", "ok", f"started, ran a cell and ended in {took}")


async def _try_kernel() -> str:
    kernels = JupyterKernels()
    try:
        async with asyncio.timeout(_PATIENCE):
            session = await kernels.start(KernelSpec(thread_id="doctor", sub_calls=False))
            await session.begin(Cell(1, ("print(6 * 7)",)))
            await session.peek()
            result = await session.result()
            await session.close()
            return result.output.strip()
    except TimeoutError:
        raise TimeoutError(f"no answer within {_PATIENCE:.0f} s") from None
    finally:
        await kernels.close()


def sandbox() -> Finding:
    """What confines the model's code: nothing yet."""
    user = "root" if os.geteuid() == 0 else f"your user ({os.geteuid()})"
    hint = "Use only models and documents that you trust, or a container or machine of its own."
    return Finding("Sandbox", "warning", f"none yet: the model's code runs as {user}, NOT SANDBOXED", hint)


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:
                continue
    return total
