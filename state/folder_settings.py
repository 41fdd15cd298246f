"""The settings file of a folder, `./rlm.toml`, and the settings that only the user may set.

The folder may come from somebody else: a clone, an unpacked archive. Its file may set how much work a run does and
what the answer looks like. It may not set where requests and keys go, which programs run as the user, or switch off
safeguards, or instruct the model: these are refused, with the flag that sets them.
"""

import difflib
import shlex
import tomllib
from pathlib import Path
from typing import Any, cast

from pydantic_settings import BaseSettings, InitSettingsSource

from .errors import UsageError
from .model_options import adds_to_requests

FILE = "rlm.toml"

_PROGRAMS = "which programs run as you"
_USER_ONLY = {
    "base_url": "where requests and keys go",
    "sub_base_url": "where requests and keys go",
    "then_base_url": "where requests and keys go",
    "kernel_env": _PROGRAMS,
    "kernel_provisioner": _PROGRAMS,
    "unsandboxed": "whether code runs without a sandbox",
    "price": "what a budget in dollars counts",
    "sub_price": "what a budget in dollars counts",
    "allow_imports": "which imports need no approval",
    "tracing": "what is sent to LangSmith",
    "instructions": "what the model is instructed to do",
}
"""Settings that a folder's file may not have, with what they decide."""
_BESIDES = "which headers and fields are added to requests"
_SCRIPT = "scripted:"
_LONGEST_VALUE = 300


class FolderFile(InitSettingsSource):
    """Settings read from `rlm.toml` in the current folder, the source with the lowest priority."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls, _read(Path(FILE)))

    def __call__(self) -> dict[str, Any]:
        """Return the file's settings that no flag and no variable sets. Raises UsageError.

        A setting that the file may not have, or that does not exist, is an error. One that the user also sets has no
        effect in the file, and is not refused there.
        """
        values = {name: value for name, value in super().__call__().items() if name not in self.current_state}
        for name, value in values.items():
            _check(name, value, self.settings_cls)
        return values


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{FILE} is not valid TOML: {_printable(str(error))}") from error
    except OSError as error:
        raise UsageError(f"{FILE} cannot be read: {error.strerror}.") from error


def _check(name: str, value: Any, settings_cls: type[BaseSettings]) -> None:
    """Raise UsageError for an unknown setting, and for one that only the user may set."""
    known = {info.alias or field for field, info in settings_cls.model_fields.items()}
    if name not in known | set(_USER_ONLY):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Is it {near[0]}?" if near else "The settings are the flags of `rlm run --help`, with _ for -."
        raise UsageError(f"There is no setting named {_printable(name)}, which ./{FILE} sets.", hint=hint)
    # Empty, 0 and false change nothing.
    if not value:
        return
    if name in _USER_ONLY:
        raise _refused(name, value, _USER_ONLY[name])
    if name in ("model", "sub_model", "then") and str(value).startswith(_SCRIPT):
        raise _refused(name, value, _PROGRAMS)
    if name in ("option", "sub_option") and adds_to_requests(value):
        raise _refused(name, value, _BESIDES)
    if name == "schema" and isinstance(value, str) and not Path(value).resolve().is_relative_to(Path().resolve()):
        raise _refused(name, value, "which files outside of it are read")


def _refused(name: str, value: Any, what: str) -> UsageError:
    flag = f"--{name.replace('_', '-')}"
    if value is not True:
        flag += f" {shlex.quote(_printable(_as_flag(value)))}"
    return UsageError(
        f"./{FILE} sets {name}, and a folder's file may not say {what}.",
        hint=f"If you want this, say it yourself: {flag}, or RLM_{name.upper()} in the environment.",
    )


def _as_flag(value: Any) -> str:
    if isinstance(value, dict):
        return "K=V"
    return ",".join(str(one) for one in cast("list[Any]", value)) if isinstance(value, list) else str(value)


def _printable(text: str) -> str:
    """Return `text` on one line of limited length, with escapes for characters that a terminal interprets or hides."""
    shown = text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in shown)
