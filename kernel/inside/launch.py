"""Starts the processes that run untrusted code: one kernel, or the fork server from which kernels are forked.

It is run as a script by its path. This folder becomes the package `rlm_inside`, so that nothing of the project is on
the import path; kernels also get the package `matching` (`shared_package.py`).

- `launch.py kernel -f connection.json …`: one kernel, confined by the program that starts it (such as a container).
- `launch.py fork-server FD`: the fork server (`fork/server.py`), which receives its plan over that socket.
"""

import importlib.util
import os
import sys
from pathlib import Path

PACKAGE = "rlm_inside"


def _name_package() -> None:
    here = Path(__file__).parent
    spec = importlib.util.spec_from_file_location(PACKAGE, here / "__init__.py", submodule_search_locations=[str(here)])
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


def _kernel(options: "list[str]") -> None:
    from rlm_inside.sandbox import limits  # type: ignore[import-not-found]

    if sys.platform == "linux":
        from rlm_inside.sandbox import syscalls  # type: ignore[import-not-found]

        syscalls.die_with_parent()
        if os.getppid() == 1:
            os._exit(1)
    if memory := int(os.environ.pop("RLM_MEMORY", "0")):
        limits.limit_memory(memory)
    # Only where the kernel works in the folder that was made for it: a provisioner may have started it elsewhere.
    scratch = os.environ.pop("RLM_SCRATCH", "")
    if scratch and os.path.realpath(scratch) != os.path.realpath("."):
        scratch = ""
    from rlm_inside.shared_package import provide  # type: ignore[import-not-found]

    provide()
    # ipykernel would import debugpy, a fifth of its start time, for a debugger that is never attached.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    from rlm_inside.kernel_app import RlmApp  # type: ignore[import-not-found]

    app = RlmApp.instance()
    app.set_up(options)
    app.kernel.scratch = scratch
    app.start()


def main() -> None:
    """Start the program that the first argument names."""
    _name_package()
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path(__file__).parent))]
    match sys.argv[1:]:
        case ["kernel", *options]:
            _kernel(options)
        case ["fork-server", descriptor]:
            from rlm_inside.fork.server import serve  # type: ignore[import-not-found]

            serve(int(descriptor))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
