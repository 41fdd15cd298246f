"""The `rlm home trust` command, which agrees to what a folder brings with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....state.errors import StoreError, UsageError
from ...cli.agreeing import agree_to_home, remember
from ...cli.common import command
from ...invocation import DATABASE, DEFAULT_HOME, Invocation
from ...terminal.console import put
from ...terminal.escape import safe_json, safe_line

if TYPE_CHECKING:
    from ....state.agreements import Kind

_FILE = "rlm.toml"

Place = Annotated[
    Path | None,
    typer.Argument(
        metavar="PATH",
        help="A folder with a .rlm or an rlm.toml, a home, or a settings file. Default: the current folder",
        show_default=False,
    ),
]
ListFlag = Annotated[bool, typer.Option("--list", help="List what you have agreed to, and agree to nothing.")]
WithdrawFlag = Annotated[bool, typer.Option("--withdraw", help="Withdraw the agreement to what PATH names.")]


@dataclass(frozen=True)
class _Found:
    kind: "Kind"
    path: Path


@command
def trust(invocation: Invocation, path: Place = None, listed: ListFlag = False, withdraw: WithdrawFlag = False) -> None:
    """Agree to what a folder brings with it: the settings in its rlm.toml, and the runs in its .rlm.

    Both may come from somebody else, with a clone or an archive. A settings file can name servers, programs and
    instructions; so can the runs of a home, when they are resumed. You agree to the file as it is now, and to the home
    wherever you move it. What you make yourself, or name with --home, needs no agreement.

    [bold]Examples[/bold]

      rlm home trust
      rlm home trust ./rlm.toml
      rlm home trust --list
    """
    if listed:
        _list(invocation)
        return
    found = _found_at(path or Path())
    done = [one for one in found if (_withdrawn(one) if withdraw else _agreed(one))]
    if invocation.json:
        rows = [{"kind": one.kind, "path": str(one.path.absolute())} for one in done]
        put(safe_json({"withdrawn" if withdraw else "agreed": rows}))
        return
    for one in found:
        where = safe_line(str(one.path))
        if not withdraw:
            put(f"Agreed to {where}{_what_it_sets(one)}.")
        else:
            put(f"Withdrawn: {where}." if one in done else f"You had not agreed to {where}.")


def _found_at(path: Path) -> list[_Found]:
    """Return the home and the settings file that a path names. Raises UsageError when there is neither."""
    path = path.expanduser()
    if path.is_file():
        return [_Found("home", path.parent) if path.name == DATABASE else _Found("file", path)]
    if (path / DATABASE).is_file():
        return [_Found("home", path)]
    found = [_Found("home", path / DEFAULT_HOME)] if (path / DEFAULT_HOME / DATABASE).is_file() else []
    found += [_Found("file", path / _FILE)] if (path / _FILE).is_file() else []
    if not found:
        raise UsageError(
            f"There is neither a home nor an {_FILE} in {path}.", hint="Name the folder that has them, or the file."
        )
    return found


def _agreed(found: _Found) -> bool:
    if found.kind == "home":
        agree_to_home(found.path)
    else:
        from ....state.folder_settings import file_digest

        remember("file", file_digest(found.path), found.path)
    return True


def _withdrawn(found: _Found) -> bool:
    from ....state.agreements import withdraw
    from ....state.db.home_id import read_id
    from ....state.folder_settings import file_digest
    from ....state.home_access import digest

    try:
        if found.kind == "file":
            return withdraw(file_digest(found.path))
        home_id = read_id(found.path / DATABASE)
        return home_id is not None and withdraw(digest(home_id))
    except OSError as error:
        raise StoreError(f"The agreement cannot be withdrawn: {error.strerror}.") from error


def _what_it_sets(found: _Found) -> str:
    if found.kind == "home":
        return ": its runs can be resumed"
    from ....state.folder_settings import said_by

    said = said_by(found.path)
    return f", which sets {said}" if said else ""


def _list(invocation: Invocation) -> None:
    from ....state.agreements import agreements

    every = list(agreements())
    if invocation.json:
        put(safe_json([{"kind": one.kind, "path": one.path} for one in every]))
        return
    for one in every:
        put(f"{one.kind}  {safe_line(one.path)}")
    if not every:
        put("You have agreed to nothing yet.")
