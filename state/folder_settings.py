"""The settings file of a folder, `./rlm.toml`, and what it may set before the user has agreed to it.

The folder may come from somebody else: a clone, an unpacked archive. Unasked, its file may set the mode, the schema of
the answer, and lower limits. For anything else (where requests go, which programs run, what the model is instructed to
do) the user must agree to the file as it is (`agreements.py`), or give the setting as a flag. Each setting declares
its rule in `RunSettings`.
"""

import difflib
import shlex
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource

from . import agreements
from .base_urls import hidden, without_provider_key
from .errors import NotAgreed, UsageError
from .model_options import ENV, headers_among

FILE = "rlm.toml"

FolderRule = Literal["may", "may lower", "by agreement"]
"""The rule for a setting in a folder's file that the user has not agreed to."""


@dataclass(frozen=True)
class FolderMay:
    """A setting's rule, as metadata of its field in `RunSettings`."""

    rule: FolderRule


_WHERE = "where requests and keys go"
_PROGRAMS = "which programs run as you"
_DECIDES = {
    "base_url": _WHERE,
    "sub_base_url": _WHERE,
    "then_base_url": _WHERE,
    "model": "who is asked, and paid",
    "sub_model": "who is asked, and paid",
    "then": "who is asked, and paid",
    "option": "what is added to requests",
    "sub_option": "what is added to requests",
    "kernel_env": _PROGRAMS,
    "kernel_provisioner": _PROGRAMS,
    "unsandboxed": "whether code runs without a sandbox",
    "price": "what a budget in dollars counts",
    "sub_price": "what a budget in dollars counts",
    "approve": "what needs approval",
    "allow_imports": "which imports need no approval",
    "instructions": "what the model is instructed to do",
    "encoding": "how files are read",
    "hidden": "whether hidden files, which may hold secrets, are sent to models",
    "password": "which files are opened with your passwords",
    "schema": "which files outside of it are read",
    "kernels": "how much of this machine is used",
    "notify": "which programs run as you, and where notifications go",
    "notify_key": "which of your keys is used",
}
_NEVER = {"tracing": "what is sent to LangSmith"}
"""Flags that are no settings of a run, and that no file may give."""
_BY_NAME = ("base_url", "sub_base_url", "then_base_url")
_SCRIPT = "scripted:"
_SCRIPTED = ("model", "sub_model", "then")
_LONGEST_VALUE = 300
_LARGEST_FILE = 1 << 20


class FileNotAgreed(NotAgreed):
    """The file of a folder sets what it may not set unasked."""

    def __init__(self, message: str, *, hint: str, digest: str, sets: str) -> None:
        super().__init__(message, hint=hint)
        self.digest = digest
        self.path = Path(FILE)
        self.sets = sets

    @property
    def type(self) -> str:
        """The name of the public class."""
        return NotAgreed.__name__


_APPLIED: ContextVar[dict[str, Any] | None] = ContextVar("applied", default=None)


@contextmanager
def collected() -> Generator[dict[str, Any]]:
    """Collect the settings that a folder's file sets within the context, by name."""
    found: dict[str, Any] = {}
    token = _APPLIED.set(found)
    try:
        yield found
    finally:
        _APPLIED.reset(token)


def described(values: Mapping[str, Any]) -> str:
    """Return settings of a file on one line of limited length: `max_turns=5, mode=direct`."""
    return _printable(", ".join(f"{name}={_shown(name, value)}" for name, value in values.items()))


class FolderFile(InitSettingsSource):
    """Settings read from `rlm.toml` in the current folder, the source with the lowest priority."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        self._content = _read(Path(FILE))
        super().__init__(settings_cls, _parsed(self._content))

    def __call__(self) -> dict[str, Any]:
        """Return the file's settings that no flag and no variable sets. Raises UsageError, FileNotAgreed.

        A setting that the user has not agreed to, or that does not exist, is an error. One that the user also sets has
        no effect in the file, and is not refused there.
        """
        values = {name: value for name, value in super().__call__().items() if name not in self.current_state}
        for name, value in values.items():
            _check_known(name, value, self.settings_cls)
        values = {name: value for name, value in values.items() if name not in _NEVER}
        asked = {name: value for name, value in values.items() if _needs_agreement(name, value, self.settings_cls)}
        if asked:
            digest = file_digest(Path(FILE), self._content)
            if not agreements.is_agreed(digest):
                raise _not_agreed(asked, digest)
        for name in _BY_NAME:
            if values.get(name) and isinstance(values[name], str):
                values[name] = without_provider_key(values[name])
        if (applied := _APPLIED.get()) is not None:
            # Empty, 0 and false change nothing.
            applied.update({name: value for name, value in values.items() if value})
        return values


def file_digest(path: Path, content: bytes | None = None) -> str:
    """Return the hash by which an agreement to a settings file is remembered. Raises UsageError.

    It covers the file's place, its content, and the content of the scripts that it names as models.
    """
    content = _read(path) if content is None else content
    values = _parsed(content)
    scripts = [str(values[name]) for name in _SCRIPTED if str(values.get(name, "")).startswith(_SCRIPT)]
    places = [(path.parent / script.removeprefix(_SCRIPT).partition("@")[0]).expanduser() for script in scripts]
    return agreements.digest_of("file", str(path.resolve()), content, *map(_script, places))


def said_by(path: Path) -> str:
    """Return what a settings file sets, on one line. Raises UsageError."""
    return described(_parsed(_read(path)))


def _read(path: Path) -> bytes:
    """Return the content of a settings file, empty when there is none. Raises UsageError."""
    try:
        return _limited(path)
    except OSError as error:
        raise UsageError(f"{FILE} cannot be read: {error.strerror}.") from error


def _script(path: Path) -> bytes:
    """Return the content of a script that a file names, empty when it cannot be read. Raises UsageError."""
    try:
        return _limited(path)
    except OSError:
        return b""


def _limited(path: Path) -> bytes:
    """Return the content of an ordinary file, and nothing of a device or a pipe. Raises UsageError, OSError."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise UsageError(f"{_printable(str(path))} is larger than a settings file or a script can be.")
    return content


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{FILE} is not valid TOML: {_printable(str(error))}") from error


def _check_known(name: str, value: Any, settings_cls: type[BaseModel]) -> None:
    """Raise UsageError for a setting that does not exist, and for one that no file may have."""
    known = {info.alias or field for field, info in settings_cls.model_fields.items()}
    if name not in known | set(_NEVER):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Is it {near[0]}?" if near else "The settings are the flags of `rlm run --help`, with _ for -."
        raise UsageError(f"There is no setting named {_printable(name)}, which ./{FILE} sets.", hint=hint)
    if not value:
        return
    if name in _NEVER:
        raise UsageError(
            f"./{FILE} sets {name}, and a folder's file may not say {_NEVER[name]}.",
            hint=f"If you want this, say it yourself: {_as_given(name, value)}.",
        )
    if name in ("option", "sub_option") and any(one.startswith(ENV) for one in headers_among(value)):
        raise UsageError(
            f"./{FILE} sets {name}, and a folder's file may not say which of your variables a header carries.",
            hint=f"If you want this, say it yourself: {_as_given(name, value)}.",
        )


def _needs_agreement(name: str, value: Any, settings_cls: type[BaseModel]) -> bool:
    """Return whether the user must have agreed to this value."""
    if not value:
        return False
    field = next(field for field, info in settings_cls.model_fields.items() if name in (field, info.alias))
    match rule_of(settings_cls, field):
        case "may":
            return name == "schema" and isinstance(value, str) and not _is_own_file(Path(value))
        case "may lower":
            return not _lowers(field, value, settings_cls)
        case "by agreement":
            return True


def _is_own_file(path: Path) -> bool:
    """Return whether a path leads to an ordinary file of the current folder, or to nothing there."""
    inside = path.resolve().is_relative_to(Path().resolve())
    return inside and (path.is_file() or not path.exists())


def rule_of(settings_cls: type[BaseModel], field: str) -> FolderRule:
    """Return a setting's rule. Raises LookupError for one that declares none."""
    for one in settings_cls.model_fields[field].metadata:
        if isinstance(one, FolderMay):
            return one.rule
    raise LookupError(f"The setting {field} does not say whether a folder's file may set it.")


def _lowers(field: str, value: Any, settings_cls: type[BaseModel]) -> bool:
    default = settings_cls.model_fields[field].default
    if default is None or default is False:
        return True
    try:
        [plain] = [base for base in settings_cls.__mro__ if base.__name__ == "RunSettings"]
        return getattr(cast(type[BaseModel], plain).model_validate({field: value}), field) <= default
    except ValidationError:
        # It is refused for what it is.
        return True


def _not_agreed(asked: Mapping[str, Any], digest: str) -> FileNotAgreed:
    name, value = next(iter(asked.items()))
    what = (
        _PROGRAMS if name in _SCRIPTED and str(value).startswith(_SCRIPT) else _DECIDES.get(name, "how much is spent")
    )
    return FileNotAgreed(
        f"./{FILE} sets {name}, and a folder's file may not say {what} unless you agree to it.",
        hint=f"If you want this, say it yourself: {_as_given(name, value)}. Or agree to the file as it is now: "
        f"`rlm home trust ./{FILE}`. For this call alone: --trust.",
        digest=digest,
        sets=described(asked),
    )


def _as_given(name: str, value: Any) -> str:
    return f"{_as_flag(name, value)}, or RLM_{name.upper()} in the environment"


def _as_flag(name: str, value: Any) -> str:
    flag = f"--{name.replace('_', '-')}"
    return flag if value is True else f"{flag} {shlex.quote(_printable(_shown(name, value)))}"


def _shown(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return "K=V"
    if isinstance(value, list):
        return ",".join(str(one) for one in cast("list[Any]", value))
    return hidden(str(value)) if name in _BY_NAME else str(value)


def _printable(text: str) -> str:
    """Return `text` on one line of limited length, with escapes for characters that a terminal interprets or hides."""
    shown = text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in shown)
