"""Run `scripted:PATH`, a deterministic model in a Python file, for tests, demos and rehearsals. No network, no cost.

The file defines `root(messages) -> str`, given a list of `{"role", "content"}`, and `sub(prompt) -> str`. Either may
raise, or be async. It is the user's own file and runs in this process, unsandboxed.
"""

import asyncio
import contextlib
import inspect
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, cast

from ...state.errors import ModelSetupError
from .errors import AttemptFailed, Failure
from .provider_protocol import ModelRequest, OnPiece, RawReply, Role, ignore_piece

_ARGUMENTS: dict[Role, str] = {"root": "messages", "sub": "prompt"}
_NEEDS = "It must define root(messages) -> str, and sub(prompt) -> str unless another model answers sub-calls."


class ScriptedSender:
    """A sender that answers with the functions of the file at `path`.

    Raises ModelSetupError, naming file and line, when the file is missing, does not run or lacks a function.
    """

    def __init__(self, path: str, roles: Collection[Role] = ("root", "sub")) -> None:
        """`roles`: those that it must answer in."""
        file = Path(path).expanduser()
        self._file = str(file)
        # At the end of the path: a helper beside the script is found, and cannot hide the standard library from this
        # program.
        self._folder = str(file.parent.resolve())
        sys.path.append(self._folder)
        try:
            defined = _run(file)
            self._functions = {
                name: _function(defined, name, file) for name in _ARGUMENTS if name in roles or name in defined
            }
        except ModelSetupError:
            self._forget_folder()
            raise

    async def send(self, request: ModelRequest, on_piece: OnPiece = ignore_piece) -> RawReply:
        """Return what the script answers. Raises AttemptFailed, never worth a retry, for any fault of the script."""
        del on_piece
        prompts = [message["content"] for message in request.messages if message["role"] == "user"]
        turns = [dict(message) for message in request.messages]
        argument = turns if request.role == "root" else "".join(prompts[-1:])
        if (function := self._functions.get(request.role)) is None:
            what = f"{request.role}({_ARGUMENTS[request.role]})"
            raise AttemptFailed(Failure("scripted", f"it does not define {what}"))
        answer, error = await _call(function, argument)
        if error is not None:
            line = _line_in(self._file, error)
            raise AttemptFailed(Failure("scripted", _name_and_text(error) + (f", line {line}" if line else "")))
        if not isinstance(answer, str):
            raise AttemptFailed(Failure("scripted", f"{request.role}() returned {type(answer).__name__}, not str"))
        if not answer.strip():
            raise AttemptFailed(Failure("empty", f"{request.role}() returned an empty text"))
        return RawReply(text=answer, finish="stop")

    async def aclose(self) -> None:
        """Remove the script's folder from the import path."""
        self._forget_folder()

    def _forget_folder(self) -> None:
        if self._folder:
            with contextlib.suppress(ValueError):
                sys.path.remove(self._folder)
        self._folder = ""


def _run(file: Path) -> dict[str, Any]:
    """Return the names that the script defines."""
    try:
        source = file.read_bytes()
    except OSError as error:
        raise ModelSetupError(f"The scripted model {file} cannot be read: {error.strerror}.", hint=_NEEDS) from None
    # Not registered in sys.modules; but dataclasses look their module up there, so it has the name of one that is.
    names: dict[str, Any] = {"__name__": __name__, "__file__": str(file)}
    try:
        exec(compile(source, str(file), "exec", dont_inherit=True), names)
    except (Exception, SystemExit) as error:
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(str(file), error)
        where = f", line {line}" if line else ""
        said = _name_and_text(error) if not isinstance(error, SyntaxError) else f"{type(error).__name__}: {error.msg}"
        raise ModelSetupError(f"The scripted model {file} does not run{where}: {said}.", hint=_NEEDS) from None
    return names


def _function(names: dict[str, Any], name: Role, file: Path) -> Callable[[Any], Any]:
    function = names.get(name)
    if not callable(function):
        raise ModelSetupError(f"The scripted model {file} does not define {name}({_ARGUMENTS[name]}).", hint=_NEEDS)
    return cast("Callable[[Any], Any]", function)


async def _call(function: Callable[[Any], Any], argument: Any) -> tuple[Any, BaseException | None]:
    """Return what the function returned and what it raised; a function that blocks runs in a thread of its own.

    A thread a call costs 0.08 ms, a pool half of that. But a pool bounds how many calls wait at once, and delays the
    program's end until its blocked threads are done; daemon threads do neither.
    """
    if inspect.iscoroutinefunction(function):
        return await _settled(function(argument))
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def work() -> None:
        outcome: tuple[Any, BaseException | None]
        try:
            outcome = function(argument), None
        except BaseException as error:
            # Passed as a value: a StopIteration, from a script that has no more answers, cannot pass through a
            # coroutine.
            outcome = None, error
        # The loop is closed if the program has ended meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: done.done() or done.set_result(outcome))

    threading.Thread(target=work, name="scripted model", daemon=True).start()
    answer, error = await done
    return await _settled(answer) if inspect.isawaitable(answer) else (answer, error)


async def _settled(answer: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    try:
        return await answer, None
    except (Exception, SystemExit) as error:
        return None, error


def _name_and_text(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line_in(file: str, error: BaseException) -> int | None:
    """Return the last line of the script that `error` passed through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None
