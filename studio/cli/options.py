"""The options of commands that run something, and shell completion of thread names.

Nothing here has a default of its own: an option that is not given stays None, so that `RLM_…` and `rlm.toml` can
decide (`state.settings`). Completion is fast and silent: a shell that hangs or prints is worse.
"""

import inspect
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from ...state.model_specs import MODEL_SETTINGS
from ...state.setting_specs import OUTPUT, SETTINGS
from ..invocation import DATABASE, invocation_of
from ..terminal.escape import safe_line

_MOST = 200


def complete_threads(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return thread names that begin with `incomplete`, the one touched last first, with status and question.

    Sub-RLMs come last, and only once something of a name is typed: there may be thousands.
    """
    try:
        from ...state.home_access import standing_of

        before = context.find_root().params.get("home")
        invocation = invocation_of(context.params.get("home") or before, as_json=False, debug=False)
        # Read-only, straight from the file: LangGraph and the store would take a second to import.
        path = (invocation.home / DATABASE).absolute().as_uri()
        # In a home that is not the user's, SQLite makes no files of its own.
        how = "mode=ro" if invocation.named or standing_of(invocation.home).agreed else "immutable=1"
        with closing(sqlite3.connect(f"{path}?{how}", uri=True, timeout=0.2)) as connection:
            child = "thread_id IN (SELECT thread_id FROM children)" if _knows_children(connection) else "FALSE"
            rows = connection.execute(
                f"SELECT thread_id, status, question FROM threads WHERE substr(thread_id, 1, ?) = ? "
                f"AND status != 'deleted' AND (? != '' OR NOT {child}) ORDER BY {child}, updated DESC LIMIT ?",
                (len(incomplete), incomplete, incomplete, _MOST),
            ).fetchall()
    except Exception:
        return []
    return [
        (name, f"{status}: {safe_line(question, 60)}") for name, status, question in rows if name == safe_line(name)
    ]


def _knows_children(connection: sqlite3.Connection) -> bool:
    """Return whether the home is of a format that has them."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'children'").fetchone())


@dataclass(frozen=True)
class SettingFlags:
    """The flags of some settings. A parameter of a command that is annotated with them gets their values by name.

    A flag that is not given is None.
    """

    names: tuple[str, ...]
    default: str | None = None
    """The meaning of a flag that is not given, in place of the default of a new run."""

    def parameters(self) -> list[inspect.Parameter]:
        """Return one keyword parameter for each flag, as typer reads them."""
        types = {name: _TYPES.get(SETTINGS[name].metavar, str) | None for name in self.names}
        return [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[kind, _option(name, self.default)],
            )
            for name, kind in types.items()
        ]

    def take(self, given: dict[str, Any]) -> dict[str, Any]:
        """Move the values of the flags out of `given` and return them."""
        values = {name: given.pop(name) for name in self.names}
        return {name: _together(value, SETTINGS[name].metavar) for name, value in values.items()}


def _together(value: Any, metavar: str | None) -> Any:
    """Return the values of a flag that may be repeated, as `RunSettings` takes them."""
    if not isinstance(value, list):
        return value
    given = cast("list[str]", value)
    # Several names may also be given in one flag, separated by commas; options of models and paths may have commas.
    return (given if metavar in (_OPTION, _PASSWORD, _NOTIFY) else ",".join(given)) or None


_OPTION = "K=V"
_PASSWORD = "env:NAME|file:PATH"
_NOTIFY = "CMD|URL"
_TYPES: dict[str | None, Any] = {
    **{"N": int, "USD": float, "SECONDS": float, None: bool},
    **{"GATE": list[str], "MODULE": list[str], _OPTION: list[str], _PASSWORD: list[str]},
    **{_NOTIFY: list[str], "FILE": Path},
}
"""The types of options by their metavar; texts are not listed."""


def _option(name: str, default: str | None = None) -> Any:
    """Return the option of a run's setting, made from its specification."""
    spec = SETTINGS[name]
    default = spec.default if default is None else default
    required = f"Required, unless {spec.variable} or rlm.toml has it."
    text = f"{spec.help}. {f'Default: {default}' if default else required}"
    text = text.replace("[", "\\[")
    return typer.Option(spec.flag, metavar=spec.metavar, help=text, rich_help_panel=spec.panel, show_default=False)


_RAISABLE = ("max_turns", "max_calls", "max_tokens", "max_cost", "max_time", "strict_budget", "max_home_size")

RunSettingFlags = Annotated[dict[str, Any], SettingFlags(tuple(SETTINGS))]
"""Every setting of a run."""
ChangeFlags = Annotated[dict[str, Any], SettingFlags((*MODEL_SETTINGS, *_RAISABLE), "the run's own")]
"""The settings that may be changed when a run is resumed or forked: its models and its limits."""
Thread = Annotated[
    str | None,
    typer.Argument(
        metavar="THREAD",
        help="The run: its name, or the first characters of it (4 or more). Default: the one touched last",
        autocompletion=complete_threads,
        show_default=False,
    ),
]

Unsandboxed = Annotated[bool | None, _option("unsandboxed")]
Tracing = Annotated[
    bool | None,
    typer.Option(
        "--tracing",
        help="Send questions, excerpts of the input, code and answers to LangSmith, as its variables say where "
        "(LANGSMITH_API_KEY, LANGSMITH_PROJECT). Default: RLM_TRACING, else nothing is traced, whatever "
        "LANGSMITH_TRACING says",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Fail when a cell that is run again asks for other sub-calls than it had. Default: continue and report it",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the answer to FILE instead, whole or not at all, in the form of its suffix: .txt, .md, .html, "
        ".json, .jsonl, or for a table .csv, .tsv, .xlsx, .parquet. With --questions a line for each: .jsonl. Default: "
        "stdout",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Files = Annotated[
    Path | None,
    typer.Option(
        "--files",
        metavar="DIR",
        help="Write the files that code has left beside the answer to DIR, a new or an empty folder. Default: they "
        "stay saved with the run",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Detach = Annotated[
    bool,
    typer.Option(
        "--detach",
        help="Return once the run has begun: it goes on in a process of its own, without this terminal. Its progress "
        "is in a log in the home. Default: stay until it ends",
        rich_help_panel=OUTPUT,
    ),
]
View = Annotated[
    bool,
    typer.Option(
        "--view",
        help="Open the page on the run once it has begun, as `rlm view` does. At a terminal it stays after the end, "
        "until Ctrl-C; with --detach the command stays to serve it. Default: no page",
        rich_help_panel=OUTPUT,
    ),
]
NewThread = Annotated[
    str | None,
    typer.Option(
        "--thread",
        metavar="NAME",
        help="Name the run. The same name, question and input again: the run is resumed. Default: after the question",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Questions = Annotated[
    str | None,
    typer.Option(
        "--questions",
        metavar="FILE.jsonl",
        help="Ask many questions over one input, one a line (- for stdin): an object with id and question, and paths "
        "and schema if it has its own. Default: one question, QUESTION",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
