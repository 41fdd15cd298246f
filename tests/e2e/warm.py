"""A fast `rlm` program for tests that call it often: its second of imports is paid once, and each call is a fork.

`warm_program(folder)` makes `folder/.venv/bin/rlm`, a script that a shell can start like the real one: it passes its
arguments, folder, environment and standard streams to a process that has imported everything, and ends with the exit
status of the fork that does the work there. As `python -m tests.e2e.warm SOCKET` this is that process.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
_SCRIPT = """#!{python} -SEs
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as there:
    there.connect({place!r})
    given = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(there, [len(given).to_bytes(8, "big")], [0, 1, 2])
    there.sendall(given)
    sys.exit(int(there.makefile().read() or 1))
"""


@contextmanager
def warm_program(folder: Path) -> Generator[Path]:
    """Provide `.venv/bin/rlm` in a folder for the length of the block."""
    script = folder / ".venv" / "bin" / "rlm"
    script.parent.mkdir(parents=True)
    # A short path, because sockets allow no longer one, and not in the folder, which may be copied.
    with tempfile.TemporaryDirectory() as aside:
        place = f"{aside}/warm"
        script.write_text(_SCRIPT.format(python=sys.executable, place=place))
        script.chmod(0o755)
        process = subprocess.Popen([sys.executable, "-m", "tests.e2e.warm", place], cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield script
        finally:
            process.kill()
            process.communicate()


def _serve(place: str) -> None:
    # Import the modules that commands import when they run.
    import durable_rlm.graph.runner
    import durable_rlm.studio.cli.run_loop
    import durable_rlm.studio.main
    import durable_rlm.studio.render.run

    assert durable_rlm.graph.runner and durable_rlm.studio.main and durable_rlm.studio.render.run
    assert durable_rlm.studio.cli.run_loop
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            caller, _ = listening.accept()
            with caller:
                if os.fork() == 0:
                    listening.close()
                    _answer(caller)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _answer(caller: socket.socket) -> NoReturn:
    """Do the work in another fork, and send its exit status in any case."""
    size, streams, _, _ = socket.recv_fds(caller, 8, 3)
    with caller.makefile("rb") as given:
        arguments, folder, environment = json.loads(given.read(int.from_bytes(size, "big")))
    worker = os.fork()
    if worker == 0:
        caller.close()
        _work(arguments, folder, environment, streams)
    status = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    with contextlib.suppress(OSError):
        caller.sendall(str(status if status >= 0 else 128 - status).encode())
    os._exit(0)


def _work(arguments: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> NoReturn:
    from durable_rlm.studio.main import main

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # New ones: those of this process have seen whether the files that they had could be sought in.
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, closefd=False) for number, mode in enumerate("rww"))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 1
    try:
        main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve(sys.argv[1])
