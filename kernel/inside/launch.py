"""Starts the kernel process: limits first, then ipykernel with our kernel class.

Run as a script by path (`python launch.py -f connection.json`): this folder becomes the package
`rlm_inside`, so that nothing of the project lies on the kernel's import path.
"""

import contextlib
import importlib.util
import os
import resource
import sys
from pathlib import Path

PACKAGE = "rlm_inside"


def _limit_memory() -> None:
    limit = int(os.environ.pop("RLM_MEMORY", "0"))
    if limit:
        # macOS refuses this limit; a kernel without it is better than none.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _die_with_parent() -> None:
    """Linux: SIGKILL this process when the kernel host dies, even by SIGKILL itself."""
    if sys.platform == "linux":
        import ctypes
        import signal

        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == 1:
            os._exit(1)


def _name_package() -> None:
    here = Path(__file__).parent
    spec = importlib.util.spec_from_file_location(PACKAGE, here / "__init__.py", submodule_search_locations=[str(here)])
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


def main() -> None:
    _die_with_parent()
    _limit_memory()
    _name_package()
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path(__file__).parent))]
    # ipykernel would import debugpy, a fifth of its start, for a debugger nobody attaches.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    from ipykernel.kernelapp import IPKernelApp
    from rlm_inside.kernel import RlmKernel, captured  # type: ignore[import-not-found]

    app = IPKernelApp.instance(kernel_class=RlmKernel)
    app.initialize(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        stream.echo = captured  # type: ignore[union-attr]
    app.start()


if __name__ == "__main__":
    main()
